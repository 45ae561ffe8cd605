"""The calendar of policies and freezes: which clusters of whom may be worked on when, with the plan's windows over it,
and a form to add a freeze or to end one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId, FreezeId
from fermata.domain.policy import Scope, ScopeLevel, Stance
from fermata.domain.windows import ONE_DAY, Interval, days_between, local_to_utc
from fermata.server.context import Context, Given
from fermata.server.errors import UNPROCESSABLE
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render, words
from fermata.server.web.campaign_page import FRESH, NAME_MAX, find_chosen, page_values
from fermata.server.web.routing import page_router
from fermata.services import freezes
from fermata.services.campaigns import CampaignView
from fermata.services.errors import Refusal
from fermata.services.policy_calendar import (
    STANCE_WORDS,
    WORK_WORDS,
    ClusterDays,
    WorkKind,
    list_customers,
    list_freezes,
)

SPAN_DAYS = 28
MOMENT_MAX = 25
SKIP_MAX = 1_000_000
LEVELS = (ScopeLevel.CLUSTER, ScopeLevel.SUPERCOMPUTER, ScopeLevel.RACK, ScopeLevel.NODE)
SATURDAY = 5
WINDOWS_NAMED = 3
ROWS_MAX = 300  # clusters of one page: beyond it there is a next one

router = page_router()

Name = Annotated[str, Query(max_length=NAME_MAX)]
FormName = Annotated[str, Form(max_length=NAME_MAX)]
Moment = Annotated[str, Form(max_length=MOMENT_MAX)]
Text = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the calendar: an empty campaign is the one on the board, an empty first day the campaign's."""

    campaign: str = ""
    customer: str = ""
    work: WorkKind = WorkKind.REBOOT
    first: date | None = None
    skip: int = 0

    def link(self, **other: str) -> str:
        """The address of the same with something else."""
        said = {"campaign": self.campaign, "customer": self.customer, "work": self.work.value}
        said |= {"first": self.first.isoformat() if self.first is not None else ""}
        said |= {"skip": str(self.skip or ""), **other}
        return f"/policy?{urlencode({key: value for key, value in said.items() if value})}"

    def turns(self, clusters: int) -> list[tuple[str, str]]:
        """Words and addresses of the pages before and after this one, of so many clusters."""
        before, after = max(0, self.skip - ROWS_MAX), self.skip + ROWS_MAX
        found = [("Clusters before", before)] if self.skip else []
        found += [("Clusters after", after)] if after < clusters else []
        return [(word, self.link(skip=str(skip or ""))) for word, skip in found]


@dataclass(frozen=True, slots=True)
class Typed:
    """The form of a freeze as somebody filled it in; times are wall times of the campaign's zone."""

    level: str = ScopeLevel.CLUSTER
    name: str = ""
    start: str = ""
    end: str = ""
    reason: str = ""
    actor: str = ""


def asked_in_query(
    campaign: Name = "",
    customer: Name = "",
    work: WorkKind = WorkKind.REBOOT,
    first: date | None = None,
    skip: Annotated[int, Query(ge=0, le=SKIP_MAX)] = 0,
) -> Asked:
    """What an address asks for. `skip`: so many clusters, by customer and name."""
    return Asked(campaign, customer, work, first, skip)


def typed_in_form(
    level: Annotated[ScopeLevel, Form()],
    name: FormName = "",
    start: Moment = "",
    end: Moment = "",
    reason: Text = "",
    actor: FormName = "",
) -> Typed:
    """The freeze that somebody filled in."""
    return Typed(level, name.strip(), start, end, reason.strip(), actor.strip())


@router.get("/policy")
async def policy_page(
    given: Given, asked: Annotated[Asked, Depends(asked_in_query)], added: Name = "", ended: Name = ""
) -> Response:
    """The calendar over four weeks, of one customer if it is named."""
    chosen = await find_chosen(given, asked.campaign)
    if chosen is None:
        return RedirectResponse("/campaign", HTTPStatus.SEE_OTHER)
    said = f"{added} is in force." if added else f"{ended} is over: its scope is open again." if ended else ""
    return await run_in_threadpool(_show, given, replace(asked, campaign=chosen), said=said)


@router.post("/policy/freezes")
async def add_freeze(given: Given, campaign: FormName, typed: Annotated[Typed, Depends(typed_in_form)]) -> Response:
    """Closes a scope for a time."""
    return await run_in_threadpool(_add, given, Asked(campaign=campaign), typed)


@router.post("/policy/freezes/end")
async def end_freeze(
    given: Given, campaign: FormName, freeze: FormName, actor: FormName = "", why: Text = ""
) -> Response:
    """Opens a scope again from now on."""
    return await run_in_threadpool(_end, given, Asked(campaign=campaign), freeze, actor.strip(), why.strip())


def _add(given: Context, asked: Asked, typed: Typed) -> Response:
    zone = given.campaigns.look(CampaignId(asked.campaign), given.now()).campaign.timezone
    start, end = (_read_moment(text, zone) for text in (typed.start, typed.end))
    if start is None or end is None:
        which = "first" if start is None else "last"
        refused = f"The {which} moment of the freeze is missing, or is no time: write it as 2026-01-09T08:00."
        return _show(given, asked, typed=typed, refused=refused, status=UNPROCESSABLE)
    order = freezes.FreezeOrder(
        scope=Scope(level=ScopeLevel(typed.level), name=typed.name),
        start=start,
        end=end,
        reason=typed.reason,
        actor=typed.actor or None,
    )
    try:
        made = freezes.add_freeze(given.db, order, now=given.now(), new_id=given.new_id)
    except Refusal as refusal:
        return _show(given, asked, typed=typed, refused=refusal.reason.sentence)
    return RedirectResponse(f"{asked.link(added=made.id)}#freezes", HTTPStatus.SEE_OTHER)


def _end(given: Context, asked: Asked, freeze: str, actor: str, why: str) -> Response:
    try:
        freezes.end_freeze(given.db, FreezeId(freeze), now=given.now(), actor=actor or None, why=why)
    except Refusal as refusal:
        return _show(given, asked, refused=refusal.reason.sentence)
    return RedirectResponse(f"{asked.link(ended=freeze)}#freezes", HTTPStatus.SEE_OTHER)


def _read_moment(text: str, zone: str) -> datetime | None:
    """A wall time of the zone, as browsers write it."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    if wall.tzinfo is not None:
        return wall.astimezone(UTC)
    return local_to_utc(wall.date(), wall.time(), zone)


def _show(
    given: Context,
    asked: Asked,
    *,
    typed: Typed = Typed(),
    said: str = "",
    refused: str = "",
    status: int = HTTPStatus.CONFLICT,
) -> Response:
    view = given.campaigns.look(CampaignId(asked.campaign), given.now())
    campaign, zone = view.campaign, view.campaign.timezone
    first = asked.first or campaign.first_day
    days = tuple(days_between(first, first + (SPAN_DAYS - 1) * ONE_DAY))
    span = Interval(local_to_utc(days[0], time.min, zone), local_to_utc(days[-1] + ONE_DAY, time.min, zone))
    fleet = given.campaigns.read_fleet()
    policy = freezes.read_policy(given.db)
    windows = view.windows
    held = sorted((cluster.customer, name) for name, cluster in fleet.clusters.items() if fleet.nodes_by_cluster[name])
    wanted = [name for customer, name in held if asked.customer in ("", customer)]
    rows = wanted[asked.skip : asked.skip + ROWS_MAX]
    shown = list_customers(fleet, policy, windows, kind=asked.work, span=span, only=rows) if policy is not None else ()
    axis = _Axis(span, days, zone)
    html = render.render_page(
        "policy.html",
        **page_values(given, view, "policy"),
        asked=asked,
        typed=typed,
        said=said,
        refused=refused,
        axis=axis.draw(view.board.now, campaign),
        customers=[(each, [axis.row(days_of, view) for days_of in each.clusters]) for each in shown],
        names=sorted({customer for customer, _ in held}),
        of=Counter(customer for customer, _ in held),
        more=asked.turns(len(wanted)),
        rows=(min(asked.skip + 1, len(wanted)), asked.skip + len(rows), len(wanted)),
        freezes=list_freezes(fleet, policy, windows, view.board.now) if policy is not None else (),
        works=WORK_WORDS,
        stances=STANCE_WORDS,
        levels=LEVELS,
        days=days,
        earlier=asked.link(first=(first - SPAN_DAYS // 2 * ONE_DAY).isoformat()),
        later=asked.link(first=(first + SPAN_DAYS // 2 * ONE_DAY).isoformat()),
        clusters=sorted(fleet.clusters),
        no_policy=policy is None,
    )
    return HTMLResponse(html, status_code=status if refused else HTTPStatus.OK, headers=FRESH)


class _Axis:
    """Places in per cent over whole days."""

    def __init__(self, span: Interval, days: Sequence[date], zone: str) -> None:
        self._span, self._days, self._zone = span, days, zone

    def x(self, at: datetime) -> float:
        share = (at - self._span.start) / (self._span.end - self._span.start)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    def bar(self, start: datetime, end: datetime, least: float = 0.3) -> dict[str, float]:
        x = self.x(start)
        return {"x": x, "w": round(max(self.x(end) - x, least), 3)}

    def draw(self, now: datetime, campaign: Campaign) -> dict[str, Any]:
        width = 100 / len(self._days)
        days = [
            {
                "x": round(number * width, 3),
                "w": round(width, 3),
                "middle": round((number + 0.5) * width, 3),
                "end": round((number + 1) * width, 3),
                "day": day,
                "initial": f"{day:%a}"[:1],
                "is_weekend": day.weekday() >= SATURDAY,
                "is_late": False,
                "is_deadline": day == campaign.deadline,
            }
            for number, day in enumerate(self._days)
        ]
        return {"days": days, "now_x": self.x(now) if self._span.start <= now < self._span.end else None}

    def row(self, days: ClusterDays, view: CampaignView) -> dict[str, Any]:
        """One cluster with its bands and windows, and all of it in words."""
        bands: list[dict[str, Any]] = []
        if days.stances[0] is Stance.BLOCK:
            bands.append(
                {"kind": "never", "title": STANCE_WORDS[Stance.BLOCK], **self.bar(self._span.start, self._span.end)}
            )
        elif days.stances == (Stance.ALLOW,):
            bands.append(
                {"kind": "open", "title": STANCE_WORDS[Stance.ALLOW], **self.bar(self._span.start, self._span.end)}
            )
        bands += [
            {
                "kind": "open",
                "title": f"unasked {self._when(hours.start, hours.end)}",
                **self.bar(hours.start, hours.end),
            }
            for hours in days.open_hours
        ]
        for freeze, count in days.freezes:
            part = "" if count == days.nodes else f", {words.number(count)} of {words.nodes(days.nodes)}"
            title = f"frozen {self._when(freeze.start, freeze.end)}{part}: {freeze.reason}"
            bands.append({"kind": "freeze", "title": title, **self.bar(freeze.start, freeze.end)})
        bars = [
            {
                "id": w.id,
                "title": f"window {self._when(w.start, w.end)}, {words.nodes(len(w.nodes))}",
                **self.bar(w.start, w.end),
            }
            for w in days.windows
        ]
        return {"days": days, "bands": bands, "bars": bars, "says": self._says(days)}

    def _says(self, days: ClusterDays) -> str:
        stances = " or ".join(STANCE_WORDS[stance] for stance in days.stances)
        frozen = "".join(f"; frozen {self._when(f.start, f.end)}" for f, _ in days.freezes)
        starts = [words.day(w.start.astimezone(ZoneInfo(self._zone)).date()) for w in days.windows]
        more = f" and {len(starts) - WINDOWS_NAMED} more" if len(starts) > WINDOWS_NAMED else ""
        told = f"; windows {', '.join(starts[:WINDOWS_NAMED])}{more}" if starts else ""
        return f"{stances}{frozen}{told}"

    def _when(self, start: datetime, end: datetime) -> str:
        return f"{words.moment(start, self._zone)} to {words.moment(end, self._zone)}"
