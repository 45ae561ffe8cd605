"""What is pending on one place, and how far work there came: read from the picture, for doors that ask by place."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.flights import find_offered
from fermata.domain.ids import NodeId, OrderId, RequestId, UpdateId
from fermata.domain.maintenance_words import UpdateStatus, work_status
from fermata.domain.request_kinds import RequestKind
from fermata.domain.requests import request_id
from fermata.domain.scheduled_events import COMING, Answer, EventStatus, OrderedWork
from fermata.domain.updates import Update
from fermata.services.maintenance import Picture, PlannedStay
from fermata.services.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUpdate:
    """One update pending on so many nodes of a place, or on devices behind which they stand."""

    update: Update
    nodes: int
    due_at: datetime
    status: UpdateStatus
    request: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A work order on a place that is not over: how many nodes of the place it concerns, and where it stands there."""

    order: OrderId
    kind: RequestKind
    request: RequestId
    target: str
    cause: str
    nodes: int
    due_at: datetime
    status: UpdateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceState:
    """Where work on a place stands. `asked` counts the nodes whose approval is missing, `held` those that their
    customer took back or a policy keeps off; `changed_at` is when a window last opened or closed there. `plan` has the
    next window, or the last one.
    """

    status: UpdateStatus
    updates: tuple[UpdateId, ...]
    orders: tuple[PlaceOrder, ...]
    asked: int
    held: int
    changed_at: datetime | None
    plan: str | None


def list_updates(picture: Picture, place: Place) -> tuple[PlaceUpdate, ...]:
    """By id."""
    policy = picture.settled.policy
    if policy is None:
        return ()
    nodes: dict[UpdateId, int] = {}
    updates: dict[UpdateId, Update] = {}
    running: set[UpdateId] = set()
    for node in place.nodes:
        started = set(_started(picture, node))
        for update in picture.settled.updates_of(node):
            updates[update.id] = update
            nodes[update.id] = nodes.get(update.id, 0) + 1
            if update.id in started:
                running.add(update.id)
    return tuple(
        PlaceUpdate(
            update=updates[name],
            nodes=nodes[name],
            due_at=policy.due_at(updates[name]),
            status=UpdateStatus.IN_PROGRESS if name in running else UpdateStatus.PENDING,
            request=request_id(place.group.supercomputer),
        )
        for name in sorted(updates)
    )


def list_flights(picture: Picture, place: Place) -> tuple[Update, ...]:
    """Flights of nodes that there is something to try of on the place, by id."""
    catalogue = picture.settled.catalogue
    return find_offered(catalogue, picture.fleet, place.nodes) if catalogue is not None else ()


def state_of(picture: Picture, place: Place, kinds: Collection[RequestKind] = frozenset(RequestKind)) -> PlaceState:
    """Of everything on the place, or of work of some kinds alone."""
    outlooks = [picture.outlook(node.name) for node in place.nodes]
    with_updates = RequestKind.DEPLOYMENT in kinds
    ordered = {each.node: [work for work in each.ordered if work.kind in kinds] for each in outlooks}
    coming = {node: [work for work in works if work.status in COMING] for node, works in ordered.items()}
    updates = sorted({u.id for node in place.nodes for u in picture.settled.updates_of(node)}) if with_updates else []
    asks = {each.node for each in outlooks if with_updates and each.question is not None and each.question.is_open}
    holds = {each.node for each in outlooks if with_updates and each.is_held}
    asks |= {node for node, works in coming.items() if _any(works, Answer.ASKED)}
    holds |= {node for node, works in coming.items() if _any(works, Answer.HELD)}
    windows = windows_of(picture, place) if with_updates else ()
    runs = [planned.run for planned in windows if planned.run is not None]
    ahead = [planned for planned in windows if planned.run is None or planned.run.closed_at is None]
    times = [at for run in runs for at in (run.opened_at, run.closed_at) if at is not None]
    stays = [stay.status for each in outlooks for stay in each.stays] if with_updates else []
    return PlaceState(
        status=work_status(
            (*stays, *(work.status for works in ordered.values() for work in works)),
            has_pending=bool(updates) or any(coming.values()),
            is_asked=bool(asks or holds),
        ),
        updates=tuple(updates),
        orders=tuple(_list_orders(coming)),
        asked=len(asks),
        held=len(holds),
        changed_at=max(times, default=None),
        plan=next((planned.plan for planned in (*ahead, *reversed(windows))), None),
    )


def _any(works: Iterable[OrderedWork], answer: Answer) -> bool:
    return any(work.answer is answer for work in works if work.status is EventStatus.SCHEDULED)


def _list_orders(coming: Mapping[NodeId, Sequence[OrderedWork]]) -> Iterator[PlaceOrder]:
    """By their ids."""
    found: dict[OrderId, list[OrderedWork]] = {}
    for works in coming.values():
        for work in works:
            found.setdefault(work.order, []).append(work)
    for name, works in sorted(found.items()):
        first = works[0]
        yield PlaceOrder(
            order=name,
            kind=first.kind,
            request=first.request,
            target=first.target,
            cause=first.cause,
            nodes=len(works),
            due_at=first.due_at,
            status=work_status(
                (work.status for work in works),
                has_pending=True,
                is_asked=_any(works, Answer.ASKED) or _any(works, Answer.HELD),
            ),
        )


def windows_of(picture: Picture, place: Place) -> tuple[PlannedStay, ...]:
    """Every window that takes a node of the place, by start."""
    found = {
        (planned.plan, planned.window.id): planned
        for node in place.nodes
        for planned in picture.settled.windows.get(node.name, ())
    }
    return tuple(sorted(found.values(), key=lambda planned: (planned.window.start, planned.window.id)))


def _started(picture: Picture, node: Node) -> Iterator[UpdateId]:
    stays = picture.outlook(node.name).stays
    planned: Iterable[PlannedStay] = picture.settled.windows.get(node.name, ())
    for stay, window in zip(stays, planned, strict=True):
        if stay.status is EventStatus.STARTED:
            yield from window.window.updates
