"""The page of a question: what if cap, deadline, weekends, rolling share or anything else were others. Its address is
the question, so that whoever has it finds the answer while the server keeps it, or asks anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId
from fermata.domain.outlines import outline_days
from fermata.domain.reasons import Code, reason
from fermata.formats.comparison import tell_changes, tell_verdict
from fermata.formats.faults import BadInput
from fermata.formats.values import parse_day
from fermata.planning.inputs import Asked, Planned, PlanningOutcome
from fermata.planning.stages import Watch
from fermata.server.context import Context, Given
from fermata.server.errors import UNPROCESSABLE, ServerBusy
from fermata.server.kept_work import Kept, State
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render, words
from fermata.server.web.campaign_page import FRESH, NAME_MAX, find_chosen, page_values
from fermata.server.web.routing import page_router
from fermata.services.errors import Refusal
from fermata.services.what_if import Answer, WhatIf, ask_what_if, find_cap, judge_what_if

BUSY = "The server plans or simulates for somebody else: ask again in a minute. Nothing was begun."
VALUE_MAX = 40
CHANGES_MAX = 2000  # what an address can carry
SATURDAY = 5
MOVES_SHOWN = 40  # two screens; `fermata plan --what-if --json` tells all

T = TypeVar("T")

router = page_router()

Name = Annotated[str, Query(max_length=NAME_MAX)]
Value = Annotated[str, Query(max_length=VALUE_MAX)]
Changes = Annotated[str, Query(max_length=CHANGES_MAX)]
FormName = Annotated[str, Form(max_length=NAME_MAX)]
FormValue = Annotated[str, Form(max_length=VALUE_MAX)]
FormChanges = Annotated[str, Form(max_length=CHANGES_MAX)]


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields as somebody typed them; empty: as it is. `rolling` is per cent."""

    nodes_out: str = ""
    deadline: str = ""
    weekends: str = ""
    rolling: str = ""
    changes: str = ""  # any others, a KEY=VALUE a line

    @property
    def given(self) -> Mapping[str, str]:
        """Those that are not empty."""
        every = {"nodes_out": self.nodes_out, "deadline": self.deadline, "weekends": self.weekends}
        every |= {"rolling": self.rolling, "changes": "\n".join(self.lines)}
        return {name: value.strip() for name, value in every.items() if value.strip()}

    @property
    def lines(self) -> tuple[str, ...]:
        """The other changes, one by one."""
        return tuple(line.strip() for line in self.changes.splitlines() if line.strip())

    def read(self) -> WhatIf:
        """Raises Refusal with every value that cannot be read."""
        given, found = self.given, list[Refusal]()

        def take(name: str, read: Callable[[str], T]) -> T | None:
            try:
                return read(given[name]) if name in given else None
            except Refusal as refused:
                found.append(refused)
                return None

        wanted = WhatIf(
            nodes_out=take("nodes_out", _whole),
            deadline=take("deadline", _day),
            weekends=take("weekends", _weekends),
            rolling=take("rolling", _share),
            changes=self.lines,
        )
        if found:
            raise Refusal(*(refused.reason for refused in found))
        return wanted


def _whole(text: str) -> int:
    plain = text.replace(",", "").replace(" ", "")
    if not plain.isdecimal() or not plain.isascii():
        raise _unreadable("The cap", text, "it is a whole number of nodes, such as 1900.")
    return int(plain)


def _day(text: str) -> date:
    found = parse_day(text)
    if found is None:
        raise _unreadable("The deadline", text, "it is a day, such as 2026-01-16.")
    return found


def _weekends(text: str) -> bool:
    if text not in ("staffed", "never"):
        raise _unreadable("Weekends", text, "they are staffed or never.")
    return text == "staffed"


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%").strip()) / 100
    except ValueError:
        raise _unreadable("The rolling share", text, "it is per cent of a cluster's nodes, such as 15.") from None


def _unreadable(field: str, value: str, why: str) -> Refusal:
    return Refusal(reason(Code.CHANGE_UNUSABLE, field=field, value=f"‘{value}’", why=why))


def asked_in_query(
    nodes_out: Value = "", deadline: Value = "", weekends: Value = "", rolling: Value = "", changes: Changes = ""
) -> Typed:
    """The question of an address."""
    return Typed(nodes_out, deadline, weekends, rolling, changes)


def asked_in_form(
    nodes_out: FormValue = "",
    deadline: FormValue = "",
    weekends: FormValue = "",
    rolling: FormValue = "",
    changes: FormChanges = "",
) -> Typed:
    """The question of a form."""
    return Typed(nodes_out, deadline, weekends, rolling, changes)


InQuery = Annotated[Typed, Depends(asked_in_query)]
InForm = Annotated[Typed, Depends(asked_in_form)]


@router.get("/campaign/what-if")
async def what_if_page(given: Given, typed: InQuery, campaign: Name = "") -> Response:
    """The question with its answer, how far that is, or the form to ask it."""
    chosen = await find_chosen(given, campaign)
    if chosen is None:
        return RedirectResponse("/campaign", HTTPStatus.SEE_OTHER)
    return await run_in_threadpool(_show, given, chosen, typed)


@router.post("/campaign/what-if")
async def begin_what_if(given: Given, typed: InForm, campaign: FormName) -> Response:
    """Begins to plan both, and goes to where the answer will be."""
    return await run_in_threadpool(_begin, given, CampaignId(campaign), typed)


@router.post("/campaign/what-if/cancel")
async def cancel_what_if(given: Given, typed: InForm, campaign: FormName) -> Response:
    """Ends it with the next stage, for everybody who waits for it."""
    address = _address(CampaignId(campaign), typed)
    kept = given.kept_work.find(address)
    if kept is not None:
        kept.cancel()
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


@router.get("/campaign/what-if/work")
def what_if_work(given: Given, typed: InQuery, campaign: Name) -> Response:
    """How far it is, as a fragment that asks again; once it is over, the page is read anew."""
    return tell_work(given.kept_work.find(_address(CampaignId(campaign), typed)))


def tell_work(kept: Kept | None) -> Response:
    """A line on work that is on, else the word to htmx to read the page anew."""
    if kept is None or kept.state is not State.ON:
        return HTMLResponse("", headers=FRESH | {"HX-Refresh": "true"})
    return HTMLResponse(render.render_page("fragments/work_told.html", work=kept), headers=FRESH)


def _begin(given: Context, name: CampaignId, typed: Typed) -> Response:
    address = _address(name, typed)
    try:
        what = typed.read()
        judge_what_if(given.db, name, what)  # what makes no sense is refused before anything is planned
        if what.is_empty:
            why = "at least one thing has to be another."
            raise Refusal(reason(Code.CHANGE_UNUSABLE, field="Nothing", value="a change", why=why))
    except Refusal as refused:
        return _show(given, name, typed, refusals=[r.sentence for r in refused.reasons])
    except BadInput as bad:
        return _show(given, name, typed, refusals=str(bad).splitlines())
    except ValueError as none:
        return _show(given, name, typed, refusals=[f"{none}."])

    def work(watch: Watch, is_overdue: Callable[[], bool]) -> Answer:
        return ask_what_if(given.db, name, what, now=given.now(), asked=Asked(is_overdue=is_overdue), watch=watch)

    try:
        given.kept_work.begin(address, work)
    except ServerBusy:
        return _show(given, name, typed, refusals=[BUSY], status=HTTPStatus.SERVICE_UNAVAILABLE)
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _address(name: CampaignId, typed: Typed) -> str:
    return f"/campaign/what-if?{urlencode({'campaign': name, **typed.given})}"


def _show(
    given: Context,
    name: CampaignId,
    typed: Typed,
    *,
    refusals: list[str] | None = None,
    status: int = UNPROCESSABLE,
) -> Response:
    view = given.campaigns.look(name, given.now())
    address = _address(name, typed)
    kept = given.kept_work.find(address) if typed.given else None
    answer = kept.value if kept is not None and isinstance(kept.value, Answer) else None
    cap = find_cap(view.campaign)
    html = render.render_page(
        "what_if.html",
        **page_values(given, view, "what-if"),
        typed=typed,
        query=address.partition("?")[2],
        cap=view.campaign.limits[cap].at_once if cap is not None else None,
        refusals=refusals or [],
        work=kept,
        State=State,
        answer=answer,
        shown=_tell_answer(answer) if answer is not None else None,
    )
    return HTMLResponse(html, status_code=status if refusals else HTTPStatus.OK, headers=FRESH)


def _tell_answer(answer: Answer) -> dict[str, Any]:
    sides = [
        _side(outcome, campaign) for outcome, campaign in ((answer.now, answer.campaign), (answer.then, answer.changed))
    ]
    found = answer.comparison
    cap = find_cap(answer.changed)
    return {
        "sides": sides,
        "plain": _tell_plainly(sides) if found is not None else [],
        "verdict": tell_verdict(found) if found is not None else "",
        "terms": tell_changes(found, answer.campaign) if found is not None else (),
        "moved": found.moved[:MOVES_SHOWN] if found is not None else (),
        "recut": found.recut[:MOVES_SHOWN] if found is not None else (),
        "more": max(0, len(found.moved) - MOVES_SHOWN) + max(0, len(found.recut) - MOVES_SHOWN) if found else 0,
        "bars": _bars(answer, answer.changed.limits[cap].at_once or 0 if cap is not None else 0),
    }


def _side(outcome: PlanningOutcome, campaign: Campaign) -> dict[str, Any]:
    """One plan in figures; `plan` None: there is none, and why."""
    said = {
        "campaign": campaign,
        "plan": None,
        "clashes": () if isinstance(outcome, Planned) else outcome.clashes,
        "relaxations": () if isinstance(outcome, Planned) else outcome.relaxations,
    }
    if not isinstance(outcome, Planned):
        return said
    days = outline_days(outcome.plan, campaign.timezone)
    late = [day for day in days if day.day > campaign.deadline]
    return said | {
        "plan": outcome.plan,
        "notes": outcome.notes,
        "windows": len(outcome.plan.windows),
        "nodes": sum(len(window.nodes) for window in outcome.plan.windows),
        "last": days[-1].day if days else None,
        "working_days": len(days),
        "weekend_days": sum(day.day.weekday() >= SATURDAY for day in days),
        "most": max((day.nodes_out_most for day in days), default=0),
        "late_windows": sum(len(day.windows) for day in late),
        "late_nodes": sum(day.nodes for day in late),
    }


def _tell_plainly(sides: list[dict[str, Any]]) -> list[str]:
    """The difference in sentences, what matters most first."""
    now, then = sides
    told = []
    if now["last"] != then["last"] and now["last"] and then["last"]:
        by = (then["last"] - now["last"]).days
        pace = "later" if by > 0 else "earlier"
        told.append(f"The last window is {_count(abs(by), 'day')} {pace}: {words.day(then['last'])}.")
    elif now["last"]:
        told.append(f"The last window stays on {words.day(now['last'])}.")
    told.append(_tell_late(now, then))
    for key, noun in (
        ("windows", "Windows"),
        ("working_days", "Days with work"),
        ("weekend_days", "Weekend days with work"),
        ("nodes", "Nodes with a window"),
    ):
        if then[key] != now[key]:
            told.append(f"{noun}: {then[key]:,}, where it was {now[key]:,}.")
    if now["most"] != then["most"]:
        told.append(f"At most {then['most']:,} nodes are out at once, where it was {now['most']:,}.")
    return told


def _tell_late(now: dict[str, Any], then: dict[str, Any]) -> str:
    deadline = words.day(then["campaign"].deadline)
    if not then["late_windows"]:
        kept = " (as it is, they are not)" if now["late_windows"] else ""
        return f"Every window is in time for the deadline, {deadline}{kept}."
    was = f"; as it is, {_count(now['late_windows'], 'window')}" if now["late_windows"] != then["late_windows"] else ""
    late = _count(then["late_windows"], "window")
    return f"{late} with {words.nodes(then['late_nodes'])} after the deadline, {deadline}{was}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bars(answer: Answer, allowed: int) -> dict[str, Any]:
    """Both plans by day, beside each other, in per cent of the most or of the cap."""
    days = answer.days
    top = max((max(day.now, day.then) for day in days), default=0)
    top = max(top, allowed, 1)
    width = 100 / max(1, len(days))
    return {
        "days": days,
        "mark": round(100 - 100 * allowed / top, 2) if allowed else None,
        "bars": [
            {
                "x": round((at + 0.12) * width, 3),
                "half": round((at + 0.5) * width, 3),
                "w": round(0.36 * width, 3),
                "now": round(100 * day.now / top, 2),
                "then": round(100 * day.then / top, 2),
            }
            for at, day in enumerate(days)
        ],
    }
