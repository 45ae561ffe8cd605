"""Runs, reports, queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.client.part import Part, campaign_params, iso, path_part
from fermata.client.words import RunChange
from fermata.domain.capacity_ledger import CapacityView, GroupBy
from fermata.domain.ids import (
    CampaignId,
)
from fermata.domain.intents import Intent
from fermata.domain.operations import Run
from fermata.domain.replans import Replan
from fermata.domain.report import Report
from fermata.domain.run_states import Desired, ReplanMode
from fermata.server.api.query import QueryAnswer
from fermata.services.board_views import Board
from fermata.services.forecasts import Forecasts
from fermata.services.intents import BrakeShown, Wanted
from fermata.services.query import Answer as Answered
from fermata.services.query import Column
from fermata.services.run_views import RunStatus, TailEntry, TailView

SILENCE_SECONDS = 15.0  # three heartbeats of the server


@dataclass(frozen=True, slots=True)
class RunsVerbs(Part):
    """Runs, reports, queries."""

    def start_run(self, campaign: CampaignId | None, replan: ReplanMode | None, *, actor: str) -> Run:
        return self.link.post(Run, "/run/start", {"actor": actor, "replan": replan}, campaign_params(campaign))

    def replan(self, campaign: CampaignId | None, *, actor: str, publish: bool) -> Replan:
        path = "/run/replan" if campaign is None else f"/campaigns/{path_part(campaign)}/run/replan"
        return self.link.follow(Replan, path, {"actor": actor, "publish": publish}, lambda _: None)

    def set_replan_mode(self, campaign: CampaignId | None, mode: ReplanMode, *, actor: str, why: str) -> Run:
        said = {"actor": actor, "mode": mode, "why": why}
        return self.link.post(Run, "/run/replan-mode", said, campaign_params(campaign))

    def change_run(self, change: RunChange, campaign: CampaignId | None, *, actor: str, why: str) -> Run:
        return self.link.post(Run, f"/run/{change}", {"actor": actor, "why": why}, campaign_params(campaign))

    def say_intent(self, wanted: Wanted, desired: Desired, *, actor: str, why: str) -> Sequence[Intent]:
        body = {
            "desired": desired,
            "nodes": list(wanted.nodes),
            "window": wanted.window,
            "campaign": wanted.campaign,
            "fleet": wanted.fleet,
            "actor": actor,
            "why": why,
        }
        return self.link.post(tuple[Intent, ...], "/intents", body)

    def list_intents(self) -> Sequence[Intent]:
        return self.link.get(tuple[Intent, ...], "/intents")

    def show_brake(self) -> BrakeShown:
        return self.link.get(BrakeShown, "/brake")

    def pull_brake(self, *, actor: str, why: str) -> BrakeShown:
        return self.link.post(BrakeShown, "/brake/on", {"actor": actor, "why": why})

    def release_brake(self, *, actor: str, why: str) -> BrakeShown:
        return self.link.post(BrakeShown, "/brake/off", {"actor": actor, "why": why})

    def show_board(self) -> Board:
        """What the board shows, at most a second old."""
        return self.link.get(Board, "/board")

    def listen_board(self) -> Iterator[tuple[str, str | None]]:
        """At each sign of life of the board: a text that changes with what it shows, and what keeps it from being
        refreshed, if anything does. Raises Refusal when nothing is heard any more.
        """
        for version, said in self.link.listen("/board/stream?bare=true", SILENCE_SECONDS):
            yield version, said.get("trouble")

    def show_status(self, campaign: CampaignId | None) -> RunStatus:
        return self.link.get(RunStatus, "/run", campaign_params(campaign))

    def show_capacity(self, campaign: CampaignId | None, by: GroupBy) -> CapacityView:
        return self.link.get(CapacityView, "/capacity", [*campaign_params(campaign), ("by", by.value)])

    def show_forecasts(self, campaign: CampaignId | None, window: str | None) -> Forecasts:
        asked = [("window", window)] if window else []
        return self.link.get(Forecasts, "/forecasts", [*campaign_params(campaign), *asked])

    def show_tail(self, campaign: CampaignId | None, owner: str | None) -> TailView:
        named = [] if owner is None else [("owner", owner)]
        return self.link.get(TailView, "/tail", [*campaign_params(campaign), *named])

    def assign_tail(self, unit: str, owner: str, *, promised_at: datetime | None, actor: str, why: str) -> TailEntry:
        body = {"actor": actor, "owner": owner, "promised_at": iso(promised_at), "why": why}
        return self.link.post(TailEntry, f"/tail/{path_part(unit)}/assign", body)

    def retry_tail(self, unit: str, *, actor: str, why: str) -> TailEntry:
        return self.link.post(TailEntry, f"/tail/{path_part(unit)}/retry", {"actor": actor, "why": why})

    def make_report(self, campaign: CampaignId | None) -> Report:
        return self.link.get(Report, "/report/values", campaign_params(campaign))

    def query(self, text: str, *, limit: int, customers: Sequence[str]) -> Answered:
        asked = {"query": text, "limit": limit, "customers": list(customers)}
        told = self.link.post(QueryAnswer, "/query", asked)
        columns = tuple(Column(name=column.name, kind=column.kind) for column in told.columns)
        return Answered(columns=columns, rows=told.rows, total=told.total, skip=told.skip)
