"""Work orders for what operators outside ask for: opened, ended, and nodes left to them once that was consented to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import NodeId, OrderId, SourceId
from fermata.domain.order_begin import why_not_yet
from fermata.domain.outside_asks import End, Opening, settle_agreements, settle_asks
from fermata.domain.work_orders import WorkOrder
from fermata.ports import AskSource
from fermata.services.errors import Refusal
from fermata.services.work_orders import NewOrder, cancel_order, complete_order, list_orders, open_desk, open_orders
from fermata.store.database import Database

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAsks:
    """What came of one look. `left`: what was not taken in, or not ended, and why, in sentences."""

    opened: tuple[OrderId, ...] = ()
    completed: tuple[OrderId, ...] = ()
    cancelled: tuple[OrderId, ...] = ()
    handed: tuple[NodeId, ...] = ()
    left: tuple[str, ...] = ()


def take_asks(db: Database, source: SourceId, reader: AskSource, *, now: datetime, new_id: NewId) -> TakenAsks:
    """Looks once. Each order is a transaction of its own, so that one that is refused keeps no other. Raises TryLater
    or Refused when the source cannot be read: then nothing is opened or ended.
    """
    asks = reader.read()
    settled = settle_asks(source, asks, list_orders(db, ended=True))
    actor = actor_of(source)
    left = list(settled.left)
    ended: dict[End, list[OrderId]] = {End.COMPLETE: [], End.CANCEL: []}
    for ending in settled.endings:
        end = complete_order if ending.how is End.COMPLETE else cancel_order
        try:
            ended[ending.how].append(end(db, ending.order, now=now, actor=actor, why=ending.why).id)
        except Refusal as refusal:
            left.extend(_say(ending.order, refusal))
    opened: list[OrderId] = []
    for opening in settled.openings:
        try:
            opened.append(_open(db, opening, now=now, actor=actor, new_id=new_id))
        except Refusal as refusal:
            left.extend(_say(opening.cause, refusal))
    marks = settle_agreements(source, asks, *_who_may_begin(db, now))
    if marks:
        reader.mark(marks)
    if settled.handed:
        reader.hand_over(settled.handed)
    return TakenAsks(
        opened=tuple(opened),
        completed=tuple(ended[End.COMPLETE]),
        cancelled=tuple(ended[End.CANCEL]),
        handed=settled.handed,
        left=tuple(left),
    )


def _who_may_begin(db: Database, now: datetime) -> tuple[Sequence[WorkOrder], frozenset[OrderId]]:
    """The open orders that operators outside asked for, and which of them nothing keeps from beginning now."""
    orders = [order for order in list_orders(db) if order.asked_by]
    if not orders:
        return (), frozenset()
    with db.read() as conn:
        book = open_desk(conn, now).book()
    places = book.ordered.desk.places
    may = (order.id for order in orders if not any(why_not_yet(book, order, places.nodes_of(order))))
    return orders, frozenset(may)


def actor_of(source: SourceId) -> str:
    """Who opens and ends them, on record."""
    return f"source {source}"


def _open(db: Database, opening: Opening, *, now: datetime, actor: str, new_id: NewId) -> OrderId:
    order = NewOrder(
        kind=opening.kind,
        target=opening.target,
        cause=opening.cause,
        wanted_at=opening.wanted_at,
        asked_by=opening.asked_by,
    )
    (found,) = open_orders(db, [order], now=now, actor=actor, new_id=new_id)
    return found.order.id


def _say(what: str, refusal: Refusal) -> Sequence[str]:
    return [f"{what}: {why.sentence}" for why in refusal.reasons]
