"""What operators outside ask for by objects of their own, and what becomes of their work orders. Pure.

Whoever made an object cannot be asked anything: it is there, or it has begun, or it is gone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import NodeId, OrderId, SourceId
from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import Target, TargetLevel, WorkOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideAsk:
    """One object that stands for work on a node. `ref`: no other object, now or later, has it. `has_begun`: its
    operator works on the node, or prepares it. `is_agreed`: it shows that its customers let it begin. `wanted_at` UTC;
    None: as soon as may be.
    """

    ref: str
    node: NodeId
    kind: RequestKind
    cause: str
    has_begun: bool
    is_agreed: bool = False
    wanted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An order to be opened, for all that is asked on one node."""

    target: Target
    kind: RequestKind
    asked_by: tuple[str, ...]
    cause: str
    wanted_at: datetime | None


class End(StrEnum):
    """How an order goes away."""

    COMPLETE = "complete"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An order whose objects say that it is over."""

    order: OrderId
    how: End
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What becomes of what is asked. `handed`: nodes that are with those who asked and nobody else waits for there.
    `left`: what is not taken in, in sentences.
    """

    openings: tuple[Opening, ...] = ()
    endings: tuple[Ending, ...] = ()
    handed: tuple[NodeId, ...] = ()
    left: tuple[str, ...] = ()


def settle_asks(source: SourceId, asks: Sequence[OutsideAsk], orders: Iterable[WorkOrder]) -> Settled:
    """`asks`: all that there are; `orders`: every one ever opened, so that what a person ended is not opened again."""
    there = {ref_of(source, ask): ask for ask in asks}
    known = list(orders)
    ours = [order for order in known if any(ref.startswith(f"{source}/") for ref in order.asked_by)]
    endings = [end for order in ours if order.is_open and (end := _end(order, there)) is not None]
    ended = {end.order for end in endings}
    taken = {ref for order in ours for ref in order.asked_by}
    fresh: dict[NodeId, list[OutsideAsk]] = {}
    left: list[str] = []
    standing = {
        order.target.name: order for order in known if order.is_open and order.id not in ended and _is_like(order)
    }
    for ref, ask in there.items():
        if ref in taken:
            continue
        if ask.has_begun:
            left.append(f"{ask.cause}: it has begun on {ask.node} without us")
        elif ask.node in standing:
            left.append(f"{ask.cause}: it is asked for once {standing[ask.node].id} of {ask.node} is over")
        else:
            fresh.setdefault(ask.node, []).append(ask)
    openings = tuple(_open(source, node, wanted) for node, wanted in sorted(fresh.items()))
    handed = _handed([order for order in ours if order.in_work and order.id not in ended], there)
    return Settled(openings=openings, endings=tuple(endings), handed=handed, left=tuple(left))


def ref_of(source: SourceId, ask: OutsideAsk) -> str:
    """As orders keep it."""
    return f"{source}/{ask.ref}"


def _is_like(order: WorkOrder) -> bool:
    """Another order of a node is wherever its kind is mended inside a window: one stay with people at a time."""
    return order.target.level is TargetLevel.NODE and order.kind in (RequestKind.HARDWARE, RequestKind.REPAIR)


def _end(order: WorkOrder, there: Mapping[str, OutsideAsk]) -> Ending | None:
    left = [there[ref] for ref in order.asked_by if ref in there]
    if order.in_work:
        return (
            None if left else Ending(order=order.id, how=End.COMPLETE, why="who asked for it has taken its object away")
        )
    if not left:
        return Ending(order=order.id, how=End.CANCEL, why="who asked for it has taken its object away")
    begun = next((ask for ask in left if ask.has_begun and not ask.is_agreed), None)
    if begun is not None:
        return Ending(order=order.id, how=End.CANCEL, why=f"{begun.cause}: it has begun without us")
    return None


def settle_agreements(
    source: SourceId, asks: Sequence[OutsideAsk], orders: Iterable[WorkOrder], may_begin: Collection[OrderId]
) -> Mapping[str, bool]:
    """By object whether it has to show from now on that it may begin; those that show it right are absent, and so are
    those that have begun.
    """
    agreed = {ref for order in orders if order.in_work or order.id in may_begin for ref in order.asked_by}
    waiting = [ask for ask in asks if not ask.has_begun]
    return {ask.ref: not ask.is_agreed for ask in waiting if ask.is_agreed != (ref_of(source, ask) in agreed)}


def _open(source: SourceId, node: NodeId, asks: Collection[OutsideAsk]) -> Opening:
    """Of several the latest wish, and a repair if one of them is."""
    wishes = [ask.wanted_at for ask in asks if ask.wanted_at is not None]
    is_repair = any(ask.kind is RequestKind.REPAIR for ask in asks)
    return Opening(
        target=Target(level=TargetLevel.NODE, name=node),
        kind=RequestKind.REPAIR if is_repair else RequestKind.HARDWARE,
        asked_by=tuple(ref_of(source, ask) for ask in asks),
        cause="; ".join(ask.cause for ask in asks),
        wanted_at=max(wishes, default=None),
    )


def _handed(orders: Iterable[WorkOrder], there: Mapping[str, OutsideAsk]) -> tuple[NodeId, ...]:
    """A node is left to those who asked only when all who wait for it were consented to."""
    in_work = [order for order in orders if order.target.level is TargetLevel.NODE]
    agreed = {ref for order in in_work for ref in order.asked_by}
    waiting = {ask.node for ref, ask in there.items() if ref not in agreed and not ask.has_begun}
    return tuple(sorted({NodeId(order.target.name) for order in in_work} - waiting))
