"""Whether a work order may begin now, by everything but who else holds its nodes. Pure."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from fermata.domain.allowances import covers
from fermata.domain.closures import say_frozen, say_outside
from fermata.domain.fleet import Node
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_book import RequestBook
from fermata.domain.updates import Impact
from fermata.domain.windows import Interval
from fermata.domain.work_orders import WorkOrder

SHORTEST = timedelta(hours=1)  # of a time that is open: a shorter one is over before anybody has a tool in hand


def why_not_yet(book: RequestBook, order: WorkOrder, nodes: Sequence[Node]) -> Iterable[Reason]:
    """Every reason why an order may not begin at the book's time; none for one that was begun, or is over."""
    if not order.is_open or order.in_work:
        return
    if not nodes:
        yield reason(Code.ORDER_TARGET_GONE, target=order.target, order=order.id)
    heard = book.ordered.hear(order)
    yield from (heard.gaps[node.name] for node in nodes if node.name in heard.gaps)
    now = book.record.now
    if order.wanted_at is not None and now < order.wanted_at:
        at = f"{order.wanted_at:%Y-%m-%d %H:%MZ}"
        yield reason(Code.ORDER_TOO_EARLY, order=order.id, at=at, why="the time that its customers were asked for")
    if heard.allowances and nodes and not covers(heard.allowances, Interval(now, now + SHORTEST)):
        customer = book.fleet.clusters[nodes[0].cluster].customer
        yield say_outside(heard.allowances, customer, order.target, after=now, length=SHORTEST)
    if order.impact is not Impact.IMPACTLESS:
        yield from _why_frozen(book, order, nodes)


def _why_frozen(book: RequestBook, order: WorkOrder, nodes: Sequence[Node]) -> Iterable[Reason]:
    """A freeze beats approvals, unless two people said that the order, or its kind, may pass it."""
    now, fleet = book.record.now, book.fleet
    for freeze in book.policy.freezes:
        is_on = freeze.start <= now < freeze.end and not book.policy.is_order_exempt(freeze, order.known_as)
        if is_on and any(freeze.scope.covers(node, fleet.clusters[node.cluster]) for node in nodes):
            yield say_frozen(freeze)
