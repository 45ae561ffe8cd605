"""The page of planning again: what would move, for whom and why; publishing it takes a second look."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from fermata.domain.ids import CampaignId, ClusterId
from fermata.domain.plan_diff import Change
from fermata.domain.replans import Replan, ReplanLine, ReplanOutcome
from fermata.domain.windows import ONE_DAY
from fermata.planning.inputs import Asked
from fermata.planning.stages import Watch
from fermata.server.context import Context, Given
from fermata.server.errors import ServerBusy
from fermata.server.kept_work import State
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render
from fermata.server.web.campaign_page import FRESH, NAME_MAX, find_chosen, find_proposal, find_status, page_values
from fermata.server.web.routing import page_router
from fermata.server.web.what_if_page import BUSY, tell_work
from fermata.services import replans
from fermata.services.errors import Refusal
from fermata.services.plans import Wanted
from fermata.services.words import span_words

NO_TIME = timedelta(0)
WHY_MAX = 2_000
NO_NAME = "Your name is missing: it stands in the journal beside what you do."
CHANGE_WORDS = {
    Change.MOVED: "moves",
    Change.CHANGED: "changes",
    Change.SPLIT: "is split",
    Change.MERGED: "is merged",
    Change.DROPPED: "is dropped",
    Change.ADDED: "is new",
}

router = page_router()

Name = Annotated[str, Query(max_length=NAME_MAX)]
Number = Annotated[int, Query(ge=0, lt=2**63)]
FormName = Annotated[str, Form(max_length=NAME_MAX)]


@router.get("/campaign/replan")
async def replan_page(given: Given, campaign: Name = "") -> Response:
    """What came of planning again last."""
    chosen = await find_chosen(given, campaign)
    if chosen is None:
        return RedirectResponse("/campaign", HTTPStatus.SEE_OTHER)
    return await run_in_threadpool(_show, given, chosen)


@router.post("/campaign/replan")
async def begin_replan(given: Given, campaign: FormName, actor: FormName = "") -> Response:
    """Begins to plan what is left again. What comes of it is stored, as with `fermata replan`."""
    return await run_in_threadpool(_begin, given, CampaignId(campaign), actor.strip())


@router.post("/campaign/replan/cancel")
async def cancel_replan(given: Given, campaign: FormName) -> Response:
    """Ends it with the next stage; nothing is stored then."""
    address = _address(CampaignId(campaign))
    kept = given.kept_work.find(address)
    if kept is not None:
        kept.cancel()
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


@router.get("/campaign/replan/work")
def replan_work(given: Given, campaign: Name) -> Response:
    """How far it is, as a fragment that asks again; once it is over, the page is read anew."""
    return tell_work(given.kept_work.find(_address(CampaignId(campaign))))


@router.get("/campaign/replan/publish")
async def second_look(given: Given, campaign: Name, proposal: Number) -> Response:
    """The proposal once more, with the button that puts it in force."""
    return await run_in_threadpool(_show, given, CampaignId(campaign), second=proposal)


@router.post("/campaign/replan/publish")
async def publish(
    given: Given,
    campaign: FormName,
    proposal: Annotated[int, Form(ge=0, lt=2**63)],
    actor: FormName = "",
    why: Annotated[str, Form(max_length=WHY_MAX)] = "",
) -> Response:
    """Puts in force what was shown, or says why that is not to be had any more."""
    return await run_in_threadpool(_publish, given, CampaignId(campaign), proposal, actor.strip(), why.strip())


def _begin(given: Context, name: CampaignId, actor: str) -> Response:
    if not actor:
        return _show(given, name, refused=NO_NAME)

    def work(watch: Watch, is_overdue: Callable[[], bool]) -> Replan:
        wanted = Wanted(asked=Asked(is_overdue=is_overdue), watch=watch)
        return replans.propose(given.db, name, now=given.now(), actor=actor, new_id=given.new_id, wanted=wanted)

    try:
        given.kept_work.begin(_address(name), work)
    except ServerBusy:
        return _show(given, name, refused=BUSY, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return RedirectResponse(_address(name), HTTPStatus.SEE_OTHER)


def _publish(given: Context, name: CampaignId, proposal: int, actor: str, why: str) -> Response:
    if not actor:
        return _show(given, name, second=proposal, refused=NO_NAME)
    try:
        replans.publish_shown(given.db, name, proposal, actor=actor, why=why)
    except Refusal as refused:
        return _show(given, name, refused=refused.reason.sentence)
    return RedirectResponse(f"{_address(name)}&published=1", HTTPStatus.SEE_OTHER)


def _address(name: CampaignId) -> str:
    return f"/campaign/replan?{urlencode({'campaign': name})}"


def _show(
    given: Context,
    name: CampaignId,
    *,
    second: int | None = None,
    refused: str = "",
    status: int = HTTPStatus.CONFLICT,
) -> Response:
    view = given.campaigns.look(name, given.now())
    run = find_status(given, name)
    last = run.last_replan if run is not None else None
    proposal = find_proposal(run)
    if second is not None and not refused and (proposal is None or proposal.seq != second):
        refused, second = "This proposal is none any more: below is what came of planning again last.", None
    html = render.render_page(
        "replan.html",
        **page_values(given, view, "replan"),
        run=run,
        last=last,
        is_open=proposal is not None,
        second=second if proposal is not None else None,
        refused=refused,
        work=given.kept_work.find(_address(name)),
        State=State,
        Outcome=ReplanOutcome,
        lines=_tell_lines(last.lines, view.customers) if last is not None else (),
        whom=_tell_whom(last.lines, view.customers) if last is not None else (),
    )
    return HTMLResponse(html, status_code=status if refused else HTTPStatus.OK, headers=FRESH)


def _tell_lines(lines: Iterable[ReplanLine], customers: Mapping[ClusterId, str]) -> list[dict[str, Any]]:
    return [
        {
            "line": line,
            "name": line.windows[0] if len(line.windows) == 1 else f"{line.cluster}, {len(line.windows)} windows",
            "customer": customers.get(line.cluster, ""),
            "change": CHANGE_WORDS[line.change],
            "by": _shift(line.was, line.now),
        }
        for line in lines
    ]


def _shift(was: datetime | None, now: datetime | None) -> str:
    if was is None or now is None or was == now:
        return ""
    by = abs(now - was)
    told = f"{by.days} {'day' if by.days == 1 else 'days'}" if by % ONE_DAY == NO_TIME else span_words(by)
    return f"{told} {'later' if now > was else 'earlier'}"


def _tell_whom(lines: Iterable[ReplanLine], customers: Mapping[ClusterId, str]) -> list[tuple[str, str]]:
    """For each customer how many of its dates differ in which way, the most touched first."""
    counts: dict[str, Counter[Change]] = {}
    for line in lines:
        counts.setdefault(customers.get(line.cluster, "unknown"), Counter())[line.change] += 1
    ranked = sorted(counts.items(), key=lambda each: (-each[1].total(), each[0]))
    return [(name, ", ".join(_count(change, number) for change, number in found.items())) for name, found in ranked]


def _count(change: Change, number: int) -> str:
    """1 window moves, 3 windows are dropped."""
    if number == 1:
        return f"1 window {CHANGE_WORDS[change]}"
    verb = CHANGE_WORDS[change].replace("is ", "are ") if "is " in CHANGE_WORDS[change] else CHANGE_WORDS[change][:-1]
    return f"{number:,} windows {verb}"
