"""What is pending, and what customers are asked for."""

from datetime import UTC
from typing import Annotated

from fastapi import Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from fermata.domain.freshness import OldWord
from fermata.domain.ids import OrderId, RequestId
from fermata.domain.pending_lines import PendingFilter, PendingGroup, PendingLine, place_of
from fermata.domain.request_kinds import OrderedKind
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import Target, TargetLevel, Word, WorkOrder
from fermata.server.api.bodies import TEXT_MAX, Body, Instant, Name, Text
from fermata.server.api.consent import ScopeBody
from fermata.server.api.cursors import (
    CURSOR_MAX,
    LIMIT_MOST,
    CursorParam,
    LimitParam,
    link_next,
    page,
    read_cursor,
    write_cursor,
)
from fermata.server.api.nouns import open_noun
from fermata.server.api.tags import IfMatch, request_tag, seen_incarnation
from fermata.server.context import Given
from fermata.services import order_words, requests, work_orders

LINES_MAX = LIMIT_MOST
LINE_PLACE = (str, int, str, int, str)
ORDERS_MAX = 1_000
NAMES_MAX = 200

_VIEW = TypeAdapter(requests.RequestView)

router = open_noun("requests")

Names = Annotated[frozenset[str], Field(max_length=NAMES_MAX)]


class Filter(BaseModel):
    """Every set that is not empty must hold the line's value."""

    model_config = ConfigDict(extra="forbid")

    cluster: Names = frozenset()
    supercomputer: Names = frozenset()
    customer: Names = frozenset()
    update: Names = frozenset()
    node: Names = frozenset()
    device: Names = frozenset()
    sku: Names = frozenset()

    def to_filter(self) -> PendingFilter:
        """As the domain has it."""
        return PendingFilter(
            clusters=self.cluster,
            supercomputers=self.supercomputer,
            customers=self.customer,
            updates=self.update,
            nodes=self.node,
            devices=self.device,
            skus=self.sku,
        )


class PagedFilter(Filter):
    """A filter, and which of the lines that pass it. `superseded`: also older updates whose place a newer one takes."""

    superseded: bool = True
    limit: Annotated[int, Field(ge=0, le=LINES_MAX)] = 1000
    cursor: Annotated[str | None, Field(max_length=CURSOR_MAX)] = None


class PendingAnswer(BaseModel):
    """A page of lines. `total` and `groups` count all that pass the filter, `rest` those after the page; `next`
    is the cursor to go on from, null at the end (and where `limit` is 0). `stale`: units of the clusters in question
    that are shown by an old word of a source of inventory.
    """

    total: int
    rest: int
    lines: list[PendingLine]
    groups: list[PendingGroup]
    next: str | None
    stale: list[OldWord]


@router.get("/pending")
def get_pending(
    given: Given, wanted: Annotated[PagedFilter, Query()], request: Request, response: Response
) -> PendingAnswer:
    """What is due on which node and device, and why: lines by cluster and unit, and counts by update."""
    after = read_cursor(wanted.cursor, LINE_PLACE) if wanted.cursor is not None else None
    found = requests.page_pending(
        given.db, wanted.to_filter(), superseded=wanted.superseded, after=after, limit=wanted.limit, now=given.now()
    )
    following = write_cursor(place_of(found.lines[-1])) if found.rest and found.lines else None
    if following is not None:
        link_next(request, response, following)
    return PendingAnswer(
        total=found.total,
        rest=found.rest,
        lines=list(found.lines),
        groups=list(found.groups),
        next=following,
        stale=list(found.stale),
    )


class ListedFilter(Filter):
    """A filter, whether requests are listed too of which nothing is left, and which page of them."""

    ended: bool = False
    limit: LimitParam = 1000
    cursor: CursorParam = None


class TargetBody(Body):
    """What a work order is about: a cluster, a rack, a node, or a shared device with every node behind it."""

    level: Annotated[TargetLevel, Field(strict=False)]
    name: Name

    def to_target(self) -> Target:
        """As the domain has it."""
        return Target(level=self.level, name=self.name)


class NewOrderBody(Body):
    """What is asked for. `impact` null: what a workload feels of that kind, at worst. `wanted_at` puts the due date off
    and never brings it nearer than the notice that was promised.
    """

    kind: Annotated[OrderedKind, Field(strict=False)]
    target: TargetBody
    cause: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
    impact: Annotated[Impact | None, Field(strict=False)] = None
    criticality: Annotated[Criticality, Field(strict=False)] = Criticality.REGULAR
    wanted_at: Instant | None = None


class NewOrdersBody(Body):
    """All of them or none."""

    actor: Name
    orders: Annotated[list[NewOrderBody], Field(min_length=1, max_length=ORDERS_MAX)]


class SaidBody(Body):
    """Who says so, and why."""

    actor: Name
    why: Text = ""


class StartBody(SaidBody):
    """`drained`: workloads have left the nodes, whatever the inventory says."""

    drained: bool = False


class WordBody(Body):
    """One word. `scope` null: all of the supercomputer; `orders` null: all that the request holds; `incarnation` null:
    the current one; `until`: of a no. `actor` null lets the customer's first approver speak.
    """

    word: Annotated[Word, Field(strict=False)]
    scope: ScopeBody | None = None
    orders: Annotated[list[Name], Field(min_length=1, max_length=ORDERS_MAX)] | None = None
    actor: Name | None = None
    reason: Text = ""
    incarnation: Annotated[int, Field(ge=1)] | None = None
    until: Instant | None = None


class WordsBody(Body):
    """All of them or none. `since`: `seq` of the last word on work orders that was seen; when another was said since of
    this request, nothing is recorded. Null does not ask.
    """

    words: Annotated[list[WordBody], Field(min_length=1, max_length=ORDERS_MAX)]
    since: Annotated[int, Field(ge=0)] | None = None


@router.get("/requests")
def get_requests(
    given: Given, wanted: Annotated[ListedFilter, Query()], request: Request, response: Response
) -> list[requests.RequestView]:
    """Open requests by due date: where each stands, why, what it needs next, and how far consent reaches."""
    return page(
        requests.list_requests(given.db, wanted.to_filter(), now=given.now(), ended=wanted.ended),
        lambda view: (view.request.due_at.isoformat() if view.request.due_at else "~", view.request.id),
        like=(str, str),
        cursor=wanted.cursor,
        limit=wanted.limit,
        exchange=(request, response),
    )


@router.post("/looks")
def post_look(given: Given, _body: Body) -> requests.RequestsLooked:
    """Records the states of requests that moved since the last look, such as those whose due date has passed."""
    return requests.watch_requests(given.db, now=given.now())


@router.get("/requests/{request_id}")
def get_request(given: Given, request_id: str, response: Response) -> requests.RequestView:
    """One request with its work orders, its shared devices and every node behind each. Its ETag begins with its
    incarnation, and may be sent as If-Match with what is decided of it.
    """
    view = requests.show_request(given.db, RequestId(request_id), now=given.now())
    response.headers["ETag"] = request_tag(view.request.incarnation, _VIEW.dump_json(view))
    return view


@router.post("/requests/{request_id}/words", status_code=status.HTTP_201_CREATED)
def post_words(given: Given, request_id: str, body: WordsBody, if_match: IfMatch = None) -> list[order_words.SaidWord]:
    """Says yes, no until a date, or takes a word back, on work orders of the request."""
    seen = seen_incarnation(if_match)
    words = [
        order_words.WordOrder(
            word=word.word,
            scope=word.scope.to_scope() if word.scope else None,
            orders=frozenset(OrderId(name) for name in word.orders) if word.orders else None,
            actor=word.actor,
            reason=word.reason,
            seen=word.incarnation or seen,
            until=word.until.astimezone(UTC) if word.until else None,
        )
        for word in body.words
    ]
    found = order_words.decide_orders(
        given.db, RequestId(request_id), words, now=given.now(), new_id=given.new_id, since=body.since
    )
    return list(found)


@router.post("/requests/{request_id}/told")
def post_told(given: Given, request_id: str, body: SaidBody) -> requests.RequestView:
    """The customers of the request were told of it, by whatever means."""
    return requests.record_notice(given.db, RequestId(request_id), now=given.now(), actor=body.actor, why=body.why)


@router.get("/work-orders")
def get_orders(given: Given, ended: bool = False) -> list[WorkOrder]:
    """Work orders that are not over, or all on record, by when they were opened."""
    return list(work_orders.list_orders(given.db, ended=ended))


@router.post("/work-orders", status_code=status.HTTP_201_CREATED)
def post_orders(given: Given, body: NewOrdersBody) -> list[work_orders.Opened]:
    """Asks for repairs, hardware maintenance, decommissions or moves; each joins the one request of its kind."""
    orders = [
        work_orders.NewOrder(
            kind=order.kind.kind,
            target=order.target.to_target(),
            cause=order.cause,
            impact=order.impact,
            criticality=order.criticality,
            wanted_at=order.wanted_at.astimezone(UTC) if order.wanted_at else None,
        )
        for order in body.orders
    ]
    return list(work_orders.open_orders(given.db, orders, now=given.now(), actor=body.actor, new_id=given.new_id))


@router.post("/work-orders/{order_id}/start")
def post_start(given: Given, order_id: str, body: StartBody) -> WorkOrder:
    """Begins an order, which holds its nodes from then on; refused as long as anything forbids it."""
    return work_orders.start_order(
        given.db, OrderId(order_id), now=given.now(), actor=body.actor, why=body.why, drained=body.drained
    )


@router.post("/work-orders/{order_id}/complete")
def post_complete(given: Given, order_id: str, body: SaidBody) -> WorkOrder:
    """An order that was begun is done: its nodes are free again."""
    return work_orders.complete_order(given.db, OrderId(order_id), now=given.now(), actor=body.actor, why=body.why)


@router.post("/work-orders/{order_id}/cancel")
def post_cancel(given: Given, order_id: str, body: SaidBody) -> WorkOrder:
    """Takes an order back before it begins."""
    return work_orders.cancel_order(given.db, OrderId(order_id), now=given.now(), actor=body.actor, why=body.why)
