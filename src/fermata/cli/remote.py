"""Commands' verbs over a server's API: the same values as from a store, so that nothing is rendered twice."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from fermata.cli.remote_link import Params, ServerLink
from fermata.cli.verbs import OrderEnding, RunChange
from fermata.domain.combinations import Combination
from fermata.domain.deliveries import DeliveryState
from fermata.domain.hashing import to_plain
from fermata.domain.ids import (
    ApprovalId,
    CampaignId,
    CustomerId,
    ExemptionId,
    FreezeId,
    HoldId,
    OrderId,
    PlanId,
    RequestId,
    SourceId,
    SubscriptionId,
    SupercomputerId,
    UpdateId,
)
from fermata.domain.operations import Run
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.piles import Pile
from fermata.domain.plans import Plan
from fermata.domain.policy import Conditions, ConsentEntry, Exemption, Freeze, Scope, Verdict
from fermata.domain.policy_trial import Trial
from fermata.domain.qualification import QualificationRule, Signal
from fermata.domain.report import Report
from fermata.domain.subscriptions import SubscriptionOrder
from fermata.domain.work_orders import WorkOrder
from fermata.formats.faults import BadInput
from fermata.formats.plans import plan_to_bytes
from fermata.planning.inputs import Violation
from fermata.planning.risk.simulate import Simulation
from fermata.planning.stages import Stage
from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.planning.why import Explanation
from fermata.server.api import PREFIX
from fermata.server.api.consent import OutcomeLine
from fermata.server.api.query import QueryAnswer
from fermata.server.api.requests import LINES_MAX, PendingAnswer
from fermata.services.consent import Order, Outcome
from fermata.services.exemptions import ExemptionOrder
from fermata.services.freezes import EndedFreeze, FreezeOrder, FreezeView
from fermata.services.import_files import ImportKind
from fermata.services.inventory import ImportSet, ImportSummary, WorkloadsRemoved
from fermata.services.inventory_changes import Synced
from fermata.services.inventory_held import HoldView
from fermata.services.inventory_sources import Forgotten, SourceLine
from fermata.services.notices import NoticePage, NoticeView
from fermata.services.offers import Answer, OfferView
from fermata.services.order_words import SaidWord, WordOrder
from fermata.services.plans import Made, PublishedLine, Wanted
from fermata.services.query import Answer as Answered
from fermata.services.query import Column
from fermata.services.requests import PendingPage, RequestsLooked, RequestView
from fermata.services.run_views import RunStatus
from fermata.services.simulation import Simulated, Told
from fermata.services.subscriptions import SubscriptionView
from fermata.services.updates import CatalogueChanged, SignalOrder, UpdateView
from fermata.services.work_orders import NewOrder, Opened

T = TypeVar("T")


@contextmanager
def opened_server(url: str) -> Iterator["ServerVerbs"]:
    """The verbs of the server at `url`; its connection is closed at the end of the block."""
    with ServerLink(url) as link:
        yield ServerVerbs(link)


@dataclass(frozen=True, slots=True)
class ServerVerbs:
    """Each verb is one request, but for long lists, which come in pages."""

    link: ServerLink
    lines_per_page: int = LINES_MAX

    def page_pending(self, wanted: PendingFilter, *, superseded: bool, limit: int | None) -> PendingPage:
        page = self._pending(wanted, superseded=superseded, cursor=None, limit=limit)
        lines = page.lines
        while page.next is not None and (limit is None or len(lines) < limit):
            wished = None if limit is None else limit - len(lines)
            page = self._pending(wanted, superseded=superseded, cursor=page.next, limit=wished)
            lines += page.lines
        return PendingPage(total=page.total, rest=page.rest, lines=tuple(lines), groups=tuple(page.groups))

    def list_requests(self, wanted: PendingFilter, *, ended: bool) -> Sequence[RequestView]:
        return self.link.get(list[RequestView], "/requests", [*_filter(wanted), ("ended", ended)])

    def show_request(self, request: RequestId) -> RequestView:
        return self.link.get(RequestView, f"/requests/{_part(request)}")

    def try_policy(self, node: str, update: str, at: datetime) -> Trial:
        asked = [("node", node), ("update", update), ("at", at.isoformat())]
        return self.link.get(Trial, "/policy/test", asked)

    def query(self, text: str, *, limit: int, customers: Sequence[str]) -> Answered:
        asked = {"query": text, "limit": limit, "customers": list(customers)}
        told = self.link.post(QueryAnswer, "/query", asked)
        columns = tuple(Column(name=column.name, kind=column.kind) for column in told.columns)
        return Answered(columns=columns, rows=told.rows, total=told.total, skip=told.skip)

    def import_files(
        self, kind: ImportKind, files: Mapping[str, Path], read: ImportSet, *, actor: str, why: str
    ) -> ImportSummary:
        parts = [("files", (name, path.read_bytes())) for name, path in files.items()]
        fields = {"kind": kind.value, "actor": actor, "why": why}
        try:
            return self.link.upload(ImportSummary, "/imports", fields, parts)
        except BadInput as bad:  # the server's readers are stricter than ours: say it of the files as they are here
            named = (replace(f, file=str(files[f.file])) if f.file in files else f for f in bad.faults)
            raise BadInput(tuple(named), bad.total) from bad

    def list_updates(self) -> Sequence[UpdateView]:
        return self.link.get(list[UpdateView], "/updates")

    def show_update(self, update: UpdateId) -> UpdateView:
        return self.link.get(UpdateView, f"/updates/{_part(update)}")

    def register_updates(self, path: Path, *, actor: str, why: str) -> CatalogueChanged:
        return self._send_file(CatalogueChanged, "POST", "/updates", path, {"actor": actor, "why": why})

    def save_rules(self, path: Path, *, actor: str, why: str) -> Sequence[QualificationRule]:
        said = {"actor": actor, "why": why}
        return self._send_file(list[QualificationRule], "PUT", "/qualification", path, said)

    def record_signal(self, order: SignalOrder, *, actor: str) -> Signal:
        body = {
            "actor": actor,
            "updates": sorted(order.updates),
            "ring": order.ring,
            "name": order.name,
            "result": order.result,
            "nodes": order.nodes,
            "sku": order.sku,
            "at": order.at.isoformat() if order.at else None,
            "note": order.note,
        }
        return self.link.post(Signal, "/signals", body)

    def promote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.post(CatalogueChanged, f"/updates/{_part(update)}/promote", {"actor": actor, "why": why})

    def demote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.post(CatalogueChanged, f"/updates/{_part(update)}/demote", {"actor": actor, "why": why})

    def withdraw_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.delete(CatalogueChanged, f"/updates/{_part(update)}", [("actor", actor), ("why", why)])

    def list_combinations(self, supercomputer: SupercomputerId | None, plan: PlanId | None) -> Sequence[Combination]:
        named = {"supercomputer": supercomputer, "plan": plan}
        asked = [(key, name) for key, name in named.items() if name]
        return self.link.get(list[Combination], "/combinations", asked)

    def list_piles(self, freeze: FreezeId | None) -> Sequence[Pile]:
        return self.link.get(list[Pile], "/piles", [("freeze", freeze)] if freeze else [])

    def _send_file(self, kind: type[T], method: str, where: str, path: Path, fields: Mapping[str, str]) -> T:
        try:
            return self.link.upload(kind, where, fields, [("file", (path.name, path.read_bytes()))], method=method)
        except BadInput as bad:  # told of the file as it is called here
            raise BadInput(tuple(replace(fault, file=str(path)) for fault in bad.faults), bad.total) from bad

    def decide(self, orders: Sequence[Order], *, atomic: bool) -> Sequence[Outcome]:
        if not orders:
            return ()
        body = {"atomic": atomic, "orders": [_order(order) for order in orders]}
        lines = self.link.post(list[OutcomeLine], f"/{_NOUNS[orders[0].verdict]}", body)
        return [
            Outcome(order=order, nodes=line.nodes, entry=line.entry, refused=line.refused)
            for order, line in zip(orders, lines, strict=True)
        ]

    def list_offers(self) -> Sequence[OfferView]:
        return self.link.get(list[OfferView], "/offers")

    def answer_offer(self, offer: ApprovalId, answer: Answer) -> ConsentEntry:
        body = {"actor": answer.actor, "why": answer.why}
        return self.link.post(ConsentEntry, f"/offers/{_part(offer)}/{'accept' if answer.accept else 'refuse'}", body)

    def open_orders(self, orders: Sequence[NewOrder], *, actor: str) -> Sequence[Opened]:
        body = {"actor": actor, "orders": [_new_order(order) for order in orders]}
        return self.link.post(list[Opened], "/work-orders", body)

    def start_order(self, order: OrderId, *, actor: str, why: str, drained: bool) -> WorkOrder:
        body = {"actor": actor, "why": why, "drained": drained}
        return self.link.post(WorkOrder, f"/work-orders/{_part(order)}/start", body)

    def end_order(self, end: OrderEnding, order: OrderId, *, actor: str, why: str) -> WorkOrder:
        return self.link.post(WorkOrder, f"/work-orders/{_part(order)}/{end}", {"actor": actor, "why": why})

    def decide_orders(self, request: RequestId, words: Sequence[WordOrder]) -> Sequence[SaidWord]:
        body = {"words": [_word(word) for word in words]}
        return self.link.post(list[SaidWord], f"/requests/{_part(request)}/words", body)

    def record_notice(self, request: RequestId, *, actor: str, why: str) -> RequestView:
        return self.link.post(RequestView, f"/requests/{_part(request)}/told", {"actor": actor, "why": why})

    def watch_requests(self) -> RequestsLooked:
        return self.link.post(RequestsLooked, "/looks", {})

    def add_freeze(self, order: FreezeOrder) -> Freeze:
        body = {
            "scope": {"level": order.scope.level, "name": order.scope.name},
            "start": order.start.isoformat(),
            "end": order.end.isoformat(),
            "reason": order.reason,
            "customer": order.customer,
            "actor": order.actor,
        }
        return self.link.post(Freeze, "/freezes", body)

    def end_freeze(self, freeze: FreezeId, *, actor: str | None, why: str) -> EndedFreeze:
        params = [("why", why), *([("actor", actor)] if actor is not None else [])]
        return self.link.delete(EndedFreeze, f"/freezes/{_part(freeze)}", params)

    def list_freezes(self, *, over: bool) -> Sequence[FreezeView]:
        return self.link.get(list[FreezeView], "/freezes", [("over", over)])

    def ask_exemption(self, order: ExemptionOrder) -> Exemption:
        body = {"updates": sorted(order.updates), "reason": order.reason, "actor": order.actor}
        return self.link.post(Exemption, f"/freezes/{_part(order.freeze)}/exemptions", body)

    def confirm_exemption(self, exemption: ExemptionId, *, actor: str | None) -> Exemption:
        return self.link.post(Exemption, f"/exemptions/{_part(exemption)}/confirm", {"actor": actor})

    def add_subscriptions(self, orders: Sequence[SubscriptionOrder], *, actor: str) -> Sequence[SubscriptionView]:
        body = {"actor": actor, "subscriptions": [_subscription(order) for order in orders]}
        return self.link.post(list[SubscriptionView], "/subscriptions", body)

    def list_subscriptions(self) -> Sequence[SubscriptionView]:
        return self.link.get(list[SubscriptionView], "/subscriptions")

    def remove_subscription(self, name: SubscriptionId, *, actor: str, why: str) -> SubscriptionView:
        return self.link.delete(SubscriptionView, f"/subscriptions/{_part(name)}", [("actor", actor), ("why", why)])

    def validate_subscription(self, name: SubscriptionId, *, actor: str) -> SubscriptionView:
        return self.link.post(SubscriptionView, f"/subscriptions/{_part(name)}/validate", {"actor": actor})

    def test_subscription(self, name: SubscriptionId, *, actor: str) -> NoticeView:
        return self.link.post(NoticeView, f"/subscriptions/{_part(name)}/test", {"actor": actor})

    def list_notices(
        self, *, customers: Sequence[CustomerId], states: Sequence[DeliveryState], before: int | None, limit: int
    ) -> NoticePage:
        asked: Params = [("limit", limit), *(("customer", name) for name in customers)]
        asked = [*asked, *(("state", state.value) for state in states)]
        return self.link.get(NoticePage, "/notices", [*asked, *([("before", before)] if before is not None else [])])

    def show_notice(self, name: str) -> NoticeView:
        return self.link.get(NoticeView, f"/notices/{_part(name)}")

    def replay_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> NoticeView:
        body = {"actor": actor, "why": why, "subscription": to}
        return self.link.post(NoticeView, f"/notices/{_part(name)}/replay", body)

    def publish(self, plan: PlanId | Plan, *, actor: str, why: str) -> PublishedLine:
        said = {"actor": actor, "why": why}
        if isinstance(plan, Plan):
            return self.link.upload(PublishedLine, "/plans", said, [("plan", ("plan.json", plan_to_bytes(plan)))])
        return self.link.post(PublishedLine, f"/plans/{_part(plan)}/publish", said)

    def check_plan(self, plan: PlanId) -> Sequence[Violation]:
        return self.link.get(list[Violation], f"/plans/{_part(plan)}/violations")

    def explain(self, name: str, plan: PlanId | None, campaign: CampaignId | None) -> Explanation:
        asked = [("name", name), *([("plan", plan)] if plan else []), *_campaign(campaign)]
        return self.link.get(Explanation, "/why", asked)

    def plan_campaign(self, campaign: CampaignId, wanted: Wanted, *, time_limit: int | None) -> Made:
        body = {
            "as_of": wanted.as_of.isoformat() if wanted.as_of else None,
            "seed": wanted.asked.seed,
            "confidence": wanted.asked.confidence,
            "max_breach": wanted.asked.max_breach,
            "time_limit": time_limit,
        }

        def tell(progress: Mapping[str, Any]) -> None:
            if progress.get("stage") in set(Stage):  # a later server may have more of them
                wanted.watch(Stage(progress["stage"]), str(progress.get("detail", "")))

        return self.link.follow(Made, f"/campaigns/{_part(campaign)}/plan", body, tell)

    def draw_page(self, plan: PlanId) -> bytes:
        return self.link.download(f"/plans/{_part(plan)}")

    def draw_calendar(self, plan: PlanId) -> bytes:
        return self.link.download(f"{PREFIX}/plans/{_part(plan)}/calendar")

    def simulate_plan(self, plan: PlanId, asked: Simulation, told: Told) -> Simulated:
        body = {"runs": asked.runs, "seed": asked.seed, "correlation": asked.correlation, "gate": asked.with_gate}

        def tell(progress: Mapping[str, Any]) -> None:
            told(int(progress["done"]), int(progress["of"]))

        return self.link.follow(Simulated, f"/plans/{_part(plan)}/simulation", body, tell)

    def plan_standing(self, terms: Terms, *, now: datetime | None, published: Sequence[Outage]) -> StandingPlan:
        body = {
            "days": terms.days,
            "notice_days": terms.notice_days,
            "hours": (terms.room_minutes or 0) / 60,
            "seed": terms.seed,
            "now": now.isoformat() if now else None,
            "previous": [to_plain(outage) for outage in published],
        }
        return self.link.follow(StandingPlan, "/standing", body, lambda _progress: None)

    def remove_workloads(self, *, actor: str, why: str) -> WorkloadsRemoved:
        return self.link.delete(WorkloadsRemoved, "/workloads", [("actor", actor), ("why", why)])

    def list_sources(self) -> Sequence[SourceLine]:
        return self.link.get(list[SourceLine], "/inventory/sources")

    def sync_source(self, source: SourceId, *, actor: str) -> Synced:
        return self.link.post(Synced, f"/inventory/sources/{_part(source)}/sync", {"actor": actor})

    def diff_source(self, source: SourceId) -> Synced:
        return self.link.get(Synced, f"/inventory/sources/{_part(source)}/diff")

    def forget_source(self, source: SourceId, *, actor: str, why: str) -> Forgotten:
        return self.link.delete(Forgotten, f"/inventory/sources/{_part(source)}", [("actor", actor), ("why", why)])

    def list_held(self, *, over: bool) -> Sequence[HoldView]:
        return self.link.get(list[HoldView], "/inventory/holds", [("over", over)])

    def show_held(self, hold: HoldId) -> HoldView:
        return self.link.get(HoldView, f"/inventory/holds/{_part(hold)}")

    def accept_held(self, hold: HoldId, *, actor: str, why: str) -> Synced:
        return self.link.post(Synced, f"/inventory/holds/{_part(hold)}/accept", {"actor": actor, "why": why})

    def drop_held(self, hold: HoldId, *, actor: str, why: str) -> HoldView:
        return self.link.post(HoldView, f"/inventory/holds/{_part(hold)}/drop", {"actor": actor, "why": why})

    def start_run(self, campaign: CampaignId | None, *, actor: str) -> Run:
        return self.link.post(Run, "/run/start", {"actor": actor}, _campaign(campaign))

    def change_run(self, change: RunChange, campaign: CampaignId | None, *, actor: str, why: str) -> Run:
        return self.link.post(Run, f"/run/{change}", {"actor": actor, "why": why}, _campaign(campaign))

    def show_status(self, campaign: CampaignId | None) -> RunStatus:
        return self.link.get(RunStatus, "/run", _campaign(campaign))

    def make_report(self, campaign: CampaignId | None) -> Report:
        return self.link.get(Report, "/report/values", _campaign(campaign))

    def _pending(
        self, wanted: PendingFilter, *, superseded: bool, cursor: str | None, limit: int | None
    ) -> PendingAnswer:
        size = self.lines_per_page if limit is None else min(limit, self.lines_per_page)
        page: Params = [("superseded", superseded), ("limit", size), *([("cursor", cursor)] if cursor else [])]
        return self.link.get(PendingAnswer, "/pending", [*_filter(wanted), *page])


def _filter(wanted: PendingFilter) -> Params:
    asked = {
        "cluster": wanted.clusters,
        "supercomputer": wanted.supercomputers,
        "customer": wanted.customers,
        "update": wanted.updates,
        "node": wanted.nodes,
        "device": wanted.devices,
        "sku": wanted.skus,
    }
    return [(key, name) for key, names in asked.items() for name in sorted(names)]


def _campaign(campaign: CampaignId | None) -> Params:
    return [] if campaign is None else [("campaign", campaign)]


def _part(name: str) -> str:
    """As one part of a path, whatever it holds."""
    return quote(name, safe="")


_NOUNS = {
    Verdict.APPROVED: "approvals",
    Verdict.WITHDRAWN: "withdrawals",
    Verdict.DECLINED: "declines",
    Verdict.OFFERED: "offers",
}


def _subscription(order: SubscriptionOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "channel": order.channel,
        "target": dict(order.target),
        "customers": sorted(order.customers),
        "supercomputers": sorted(order.supercomputers),
        "kinds": sorted(order.kinds),
        "shape": order.shape,
        "attempts_max": order.attempts_max,
        "lives_minutes": round(order.lives / timedelta(minutes=1)),
    }


def _order(order: Order) -> dict[str, Any]:
    """Only what was said: thousands of orders have to fit into one body."""
    terms = order.terms
    said = {
        "reason": order.reason or None,
        "incarnation": order.seen,
        "actor": order.actor,
        "at": _iso(order.at),
        "only": sorted(terms.only) if terms.only is not None else None,
        "without": sorted(terms.without) or None,
        "flight": terms.flight,
        "conditions": _conditions(terms.conditions) if terms.conditions is not None else None,
        "until": _iso(terms.until),
        "then": terms.then,
    }
    return {"scope": _scope(order.scope), **{name: value for name, value in said.items() if value is not None}}


def _conditions(conditions: Conditions) -> dict[str, Any]:
    said = {
        "not_before": _iso(conditions.not_before),
        "not_after": _iso(conditions.not_after),
        "nodes_per_day": conditions.nodes_per_day,
        "with_updates": sorted(conditions.with_updates) or None,
        "with_scope": _scope(conditions.with_scope) if conditions.with_scope else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _scope(scope: Scope) -> dict[str, Any]:
    return {"level": scope.level, "name": scope.name}


def _new_order(order: NewOrder) -> dict[str, Any]:
    return {
        "kind": order.kind,
        "target": {"level": order.target.level, "name": order.target.name},
        "cause": order.cause,
        "impact": order.impact,
        "criticality": order.criticality,
        "wanted_at": order.wanted_at.isoformat() if order.wanted_at else None,
    }


def _word(word: WordOrder) -> dict[str, Any]:
    return {
        "word": word.word,
        "scope": {"level": word.scope.level, "name": word.scope.name} if word.scope else None,
        "orders": sorted(word.orders) if word.orders is not None else None,
        "actor": word.actor,
        "reason": word.reason,
        "incarnation": word.seen,
        "until": word.until.isoformat() if word.until else None,
    }
