"""Work orders as they stand on each node they concern: what doors tell of them, read with the rest of the picture."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import NodeId, RequestId
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code
from fermata.domain.request_states import RequestState
from fermata.domain.requests import Request
from fermata.domain.scheduled_events import Answer, EventStatus, OrderedWork
from fermata.domain.updates import Impact
from fermata.domain.work_orders import OrderConsent, OrderDesk, Places, Word, WorkOrder
from fermata.store import inventory, work_orders
from fermata.store.database import Connection

ENDED_MAX = 1000  # orders that are over: what is told of the past is for a look back, not for an archive


def read_ordered_work(
    conn: Connection, fleet: Fleet | None, policy: Policy, requests: Mapping[RequestId, Request]
) -> Mapping[NodeId, tuple[OrderedWork, ...]]:
    """By node, every order that is not over, and the last ones that are, by when they were opened. `fleet` None: it is
    read, as far as orders reach.
    """
    open_orders, ended = work_orders.load_open(conn), work_orders.load_ended(conn, ENDED_MAX)
    if not open_orders and not ended:
        return {}
    if fleet is None:
        reached = {order.supercomputer for order in (*open_orders.values(), *ended)}
        fleet = inventory.load_fleet_of(conn, reached)
    desk = OrderDesk(places=Places(fleet), policy=policy, words=work_orders.load_words(conn) if open_orders else ())
    found: dict[NodeId, list[OrderedWork]] = {}
    for order in (*reversed(ended), *open_orders.values()):
        request = requests.get(order.request)
        incarnation = request.incarnation if request is not None else 0
        for node, work in _works(desk, order, incarnation):
            found.setdefault(node, []).append(work)
    return {node: tuple(works) for node, works in found.items()}


def hand_over(work: OrderedWork, since: datetime | None) -> OrderedWork:
    """The order on a node that a window has out for it since then, None for none: it begins for a node when a window
    has it out for that, and ends there when it is back.
    """
    if since is None:
        return work
    began_at = since if work.began_at is None else min(since, work.began_at)
    return replace(work, began_at=began_at, status=EventStatus.STARTED)


def _works(desk: OrderDesk, order: WorkOrder, incarnation: int) -> Iterator[tuple[NodeId, OrderedWork]]:
    nodes = _nodes_of(desk.places, order)
    consent = desk.hear(order) if order.is_open else None
    for node in nodes:
        word = desk.word_on(order.id, node)
        yield (
            node.name,
            OrderedWork(
                order=order.id,
                kind=order.kind,
                request=order.request,
                incarnation=incarnation,
                target=str(order.target),
                cause=order.cause,
                reboots=order.impact is Impact.REBOOTFUL,
                due_at=order.due_at,
                answer=_answer(consent, node.name),
                is_approved=word is not None and word.word is Word.APPROVED,
                starts_at=_starts_at(consent, order, node.name),
                began_at=order.started.at if order.started is not None else None,
                status=_status(order),
            ),
        )


def _nodes_of(places: Places, order: WorkOrder) -> tuple[Node, ...]:
    """What an order was begun with is what it was about, wherever inventory has it since."""
    if order.held:
        return tuple(places.fleet.nodes[name] for name in order.held if name in places.fleet.nodes)
    return places.nodes_of(order)


def _answer(consent: OrderConsent | None, node: NodeId) -> Answer:
    gap = consent.gaps.get(node) if consent is not None else None
    if gap is None:
        return Answer.GIVEN
    return Answer.ASKED if gap.code is Code.APPROVAL_MISSING else Answer.HELD


def _starts_at(consent: OrderConsent | None, order: WorkOrder, node: NodeId) -> datetime | None:
    """The time that was wished for, or, where nobody answers and the policy lets it go on, the one it may go on at."""
    if consent is None or node in consent.gaps:
        return None
    if node not in consent.proceeding:
        return order.wanted_at
    bounds = [allowance.not_before for allowance in consent.allowances if allowance.not_before is not None]
    return max(bounds, default=order.due_at)


def _status(order: WorkOrder) -> EventStatus:
    if order.ended is None:
        return EventStatus.STARTED if order.in_work else EventStatus.SCHEDULED
    return EventStatus.COMPLETED if order.ended.how is RequestState.COMPLETED else EventStatus.CANCELED
