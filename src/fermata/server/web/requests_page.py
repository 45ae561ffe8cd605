"""The screen of requests: what is asked, of which part of the fleet, and the word on it. Works without script."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import RequestId
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.policy import AfterDue, Conditions, ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import KIND_WORDS, RequestKind
from fermata.domain.work_orders import OrderWord, Word
from fermata.server.context import Context, Given
from fermata.server.web import cost_words, render, words
from fermata.server.web.routing import page_router
from fermata.services import consent, order_tree, order_words, request_costs, request_tree, request_words, requests
from fermata.services.errors import Refusal

FRESH = {"Cache-Control": "no-store"}
NAME_MAX = 200
TEXT_MAX = 2000
TIME_MAX = 40
SCOPES_MAX = 5_000  # chosen at once: beyond it, choose what is wider
SEQ_MAX = 2**53
SAID_WORDS = {
    consent.OutcomeState.RECORDED.value: "Your word is recorded.",
    consent.OutcomeState.STOOD.value: "It stood so already: nothing was added.",
}

router = page_router()

Named = Annotated[str, Query(max_length=NAME_MAX)]
Seq = Annotated[int, Query(ge=0, le=SEQ_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
Text = Annotated[str, Field(max_length=TEXT_MAX)]
Time = Annotated[str, Field(max_length=TIME_MAX)]


@router.get("/requests")
def requests_page(given: Given, request: Named = "", said: Named = "") -> Response:
    """What is open, as a tree to choose from; with `request`, that one alone with its details. `said`: what came of a
    form without script.
    """
    return _page(given, request, said=said)


@router.get("/requests/grove")
def grove(given: Given, since: Seq | None = None, request: Named = "", orders: Named = "") -> Response:
    """Every open request for updates as a branch, or one, or the one of work orders that `orders` names; and the words
    that came after `since`.
    """
    return _json(_plain_grove(_grove(given, orders or request, since, is_of_orders=bool(orders))))


@dataclass(frozen=True, slots=True)
class Below:
    """From which branch on, of a rack in which cluster, and of the work orders of which request, if of any."""

    cluster: Named = ""
    start: Annotated[int, Query(ge=0)] = 0
    orders: Named = ""


@router.get("/requests/branches")
def branches(given: Given, level: ScopeLevel, name: Named, below: Annotated[Below, Depends()]) -> Response:
    """What is below a branch, from the one at `start` on: of updates, or of the work orders of one request."""
    scope, now = Scope(level=level, name=name), given.now()
    start, cluster = below.start, below.cluster
    if below.orders:
        of = RequestId(below.orders)
        found = order_tree.list_order_branches(given.db, of, scope, now=now, start=start, cluster=cluster)
    else:
        found = request_tree.list_branches(given.db, scope, now=now, start=start, cluster=cluster)
    return _json({"branches": [_plain_branch(branch) for branch in found.branches], "rest": found.rest})


class Chosen(BaseModel):
    """A part of the fleet."""

    model_config = ConfigDict(extra="forbid")

    level: ScopeLevel
    name: Name


class CostBody(BaseModel):
    """What was chosen, and who would speak; null: each customer's first approver."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Chosen], Field(min_length=1, max_length=SCOPES_MAX)]
    actor: Name | None = None


@router.post("/requests/cost")
def cost(given: Given, body: CostBody) -> Response:
    """What approving it would cost, in words. Nothing is recorded."""
    scopes = [Scope(level=chosen.level, name=chosen.name) for chosen in body.scopes]
    priced = request_costs.price_words(given.db, scopes, actor=body.actor, now=given.now())
    return _json(
        {
            "nodes": priced.cost.nodes,
            "html": render.render_page("fragments/cost.html", priced=priced, zone="UTC", say=cost_words),
            "refused": [{"code": why.code, "sentence": why.sentence} for why in priced.refused],
        }
    )


class WordForm(BaseModel):
    """What the form of a whole request holds; times are in UTC, and what is empty was not said."""

    request: Annotated[str, Field(max_length=NAME_MAX)]
    incarnation: Annotated[int, Field(ge=1)]
    since: Annotated[int, Field(ge=0)]
    actor: Name
    verdict: Verdict
    reason: Text = ""
    until: Time = ""
    then: Annotated[str, Field(pattern="^(|escalate|proceed)$")] = ""
    not_before: Time = ""
    not_after: Time = ""

    def to_terms(self) -> Terms:
        """What is said beside yes and no."""
        match self.verdict:
            case Verdict.DECLINED:
                return Terms(until=_instant(self.until), then=AfterDue(self.then) if self.then else None)
            case Verdict.OFFERED:
                times = Conditions(not_before=_instant(self.not_before), not_after=_instant(self.not_after))
                return Terms(conditions=times)
            case _:
                return NO_TERMS


@router.post("/requests/word")
def word(given: Given, form: Annotated[WordForm, Form()]) -> Response:
    """A word on the whole of one request, from a form: what browsers without script have. Nothing is recorded when
    somebody else spoke of it since the form was made.
    """
    try:
        said = _say(given, form)
    except Refusal as refused:
        return _page(given, form.request, refusal=refused, status=HTTPStatus.CONFLICT)
    address = f"/requests?{urlencode({'request': form.request, 'said': said.value})}#said"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _say(given: Context, form: WordForm) -> consent.OutcomeState:
    now, new_id = given.now(), given.new_id
    asked = requests.find_request(given.db, RequestId(form.request), now=now)
    if asked.kind is RequestKind.DEPLOYMENT:
        order = consent.Order(
            scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name=asked.supercomputer),
            verdict=form.verdict,
            actor=form.actor,
            reason=form.reason,
            seen=form.incarnation,
            terms=form.to_terms(),
        )
        (told,) = consent.decide(given.db, [order], now=now, new_id=new_id, since=form.since)
        return consent.OutcomeState.STOOD if told.entry is None else consent.OutcomeState.RECORDED
    spoken = order_words.WordOrder(
        word=Word(form.verdict.value),
        actor=form.actor,
        reason=form.reason,
        seen=form.incarnation,
        until=_instant(form.until),
    )
    order_words.decide_orders(given.db, asked.id, [spoken], now=now, new_id=new_id, since=form.since)
    return consent.OutcomeState.RECORDED


def _page(
    given: Context, request: str, *, said: str = "", refusal: Refusal | None = None, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    now = given.now()
    one = requests.show_request(given.db, RequestId(request), now=now) if request else None
    is_of_orders = one is not None and one.request.kind is not RequestKind.DEPLOYMENT
    found = _grove(given, request, is_of_orders=is_of_orders)
    html = render.render_page(
        "requests.html",
        one=one,
        grove=found,
        shown=_plain_grove(found),
        is_of_orders=is_of_orders,
        speakers=found.speakers,
        seq=found.seq,
        views=() if one is not None else requests.list_requests(given.db, PendingFilter(), now=now),
        kinds=KIND_WORDS,
        words_next=request_words.next_words,
        words_state=request_words.state_words,
        say_meeting=request_words.say_meeting,
        is_waited_for=request_words.is_waited_for,
        said=SAID_WORDS.get(said, ""),
        refusal=refusal,
    )
    return HTMLResponse(html, status_code=status, headers=FRESH)


def _grove(given: Context, request: str, since: int | None = None, *, is_of_orders: bool = False) -> request_tree.Grove:
    """Of one request, or of all for updates."""
    only = RequestId(request) if request else None
    if only is not None and is_of_orders:
        return order_tree.read_order_grove(given.db, only, now=given.now(), since=since)
    return request_tree.read_grove(given.db, now=given.now(), since=since, only=only)


def _plain_grove(found: request_tree.Grove) -> Mapping[str, Any]:
    return {
        "seq": found.seq,
        "trunks": [_plain_trunk(trunk) for trunk in found.trunks],
        "words": [say_word(entry) for entry in found.words],
    }


def _plain_trunk(trunk: request_tree.Trunk) -> Mapping[str, Any]:
    request = trunk.request
    return {
        **_plain_branch(trunk.branch),
        "request": request.id,
        "incarnation": request.incarnation,
        "state": request_words.state_words(trunk.standing.state),
        "due": words.moment(request.due_at, "UTC") if request.due_at else "",
        "items": {item.update: [item.title, item.nodes, item.devices] for item in request.items}
        | {order.id: [order.cause, len(order.nodes), int(order.is_of_device)] for order in request.orders},
    }


def _plain_branch(branch: request_tree.Branch) -> Mapping[str, Any]:
    return {**asdict(branch), "level": branch.level.value, "held": branch.held}


def say_word(entry: ConsentEntry | OrderWord) -> str:
    """Who said what of which part, and when."""
    said = entry.word if isinstance(entry, OrderWord) else entry.verdict
    until = f" until {entry.until:%Y-%m-%d %H:%MZ}" if entry.until else ""
    why = f" ({entry.reason})" if entry.reason else ""
    return f"{entry.actor} {said} {entry.scope}{until} at {entry.at:%Y-%m-%d %H:%MZ}{why}"


def _instant(text: str) -> datetime | None:
    """What a field for date and time holds, which is in UTC on this page; None for an empty one, or no time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _json(told: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers=FRESH)
