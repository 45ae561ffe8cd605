"""What is pending and what is asked for: kept up to date in the store, listed from the store or from files alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.combinations import say_new
from fermata.domain.fleet import Device, Fleet
from fermata.domain.flights import Flight
from fermata.domain.freshness import OldWord, find_old
from fermata.domain.ids import NodeId, OrderId, RequestId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.pending_lines import (
    Listing,
    PendingFilter,
    PendingGroup,
    PendingLine,
    Standing,
    group_kinds,
    group_lines,
    list_lines,
    place_of,
    unknown_names,
)
from fermata.domain.policy import Said
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_book import Meeting, RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import Standing as RequestStanding
from fermata.domain.request_states import ENDED
from fermata.domain.requests import Coverage, Request, shared_devices
from fermata.domain.work_orders import RequestOrder
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown
from fermata.services.pending_pages import count_once, take_lines
from fermata.services.request_record import (
    ACTOR,
    Inputs,
    find_ends,
    find_moved,
    read_inputs_in,
    record_moved,
)
from fermata.services.together import list_combinations
from fermata.store import journal
from fermata.store import requests as request_store
from fermata.store.database import Connection, Database, NotStored
from fermata.store.request_lines import say_changed

HISTORY_LINES = 20

__all__ = ["Inputs", "read_inputs"]


@dataclass(frozen=True, kw_only=True)
class PendingList:
    """Lines that passed the filter, and the same counted by update."""

    lines: tuple[PendingLine, ...]
    groups: tuple[PendingGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPage:
    """Some of the lines that passed a filter, and how many come after them. `total` and `groups` count all. `stale`:
    what of the clusters in question is shown by an old word.
    """

    total: int
    rest: int
    lines: tuple[PendingLine, ...]
    groups: tuple[PendingGroup, ...]
    stale: tuple[OldWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWork:
    """A shared device with due work, and every node behind it. `drains` tells whether those nodes must be empty."""

    device: Device
    updates: tuple[UpdateId, ...]
    drains: bool
    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """A work order of a request, where it stands alone, and what it meets on its nodes. `tail`, `known`: of the unit on
    a tail list that it was opened for by itself.
    """

    order: RequestOrder
    opened: Said
    started: Said | None
    standing: RequestStanding
    meets: tuple[Meeting, ...]
    tail: str
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request, where it stands and since when (UTC; None: it was not looked at since), and how far consent reaches.

    `flights`: those approved in its supercomputer; `stale`: what of it is shown by an old word of a source. `devices`,
    `orders`, `risks` (sets of updates that never ran together) and `history`, the last lines of the journal about it,
    are filled where one request is asked for in detail.
    """

    request: Request
    standing: RequestStanding
    since: datetime | None
    coverage: tuple[Coverage, ...]
    stale: tuple[OldWord, ...] = ()
    devices: tuple[DeviceWork, ...] = ()
    orders: tuple[OrderView, ...] = ()
    risks: tuple[Reason, ...] = ()
    history: tuple[journal.Entry, ...] = ()
    flights: tuple[Flight, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMoved:
    """A request that was found in another state than it was last seen in."""

    request: RequestId
    standing: RequestStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsLooked:
    """What came of a look at all requests."""

    moved: tuple[StateMoved, ...]


def refresh_requests(db: Database, *, now: datetime) -> tuple[Request, ...]:
    """Recomputes every request from what is pending now; returns those that changed. Idempotent."""
    with db.begin() as conn:
        return refresh_in(conn, now=now, why="pending work was looked at again")


def refresh_in(conn: Connection, *, now: datetime, why: str, fleet: Fleet | None = None) -> tuple[Request, ...]:
    """As `refresh_requests`, inside the caller's transaction; `fleet` is what the store holds, if it is at hand.

    States that moved are recorded with them. Before all inputs are imported there is no request.
    """
    try:
        inputs = read_inputs_in(conn, now, fleet)
    except NotStored:
        return ()
    before, built = inputs.stored, inputs.list_requests()
    changed = tuple(request for request in built if before.get(request.id) != request)
    request_store.save_requests(conn, changed)
    journal.append_many(conn, [say_changed(request, before.get(request.id), ACTOR, now, why) for request in changed])
    book = inputs.open_book(now, find_ends(before, built, inputs.catalogue))
    record_moved(conn, find_moved(book, inputs.seen, built), actor=ACTOR, now=now)
    return changed


def watch_requests(db: Database, *, now: datetime) -> RequestsLooked:
    """Records the states that moved since the last look, such as those whose due date has passed.

    Looks before it writes: as long as nothing moved, it keeps no other writer waiting.
    """
    try:
        with db.read() as conn:
            inputs = read_inputs_in(conn, now)
    except NotStored:
        return RequestsLooked(moved=())
    found = find_moved(inputs.open_book(now), inputs.seen, inputs.stored.values())
    if not found:
        return RequestsLooked(moved=())
    with db.begin() as conn:
        known = request_store.load_states(conn)
        unchanged = [moved for moved in found if known.get(moved.request.id) == moved.before]
        record_moved(conn, unchanged, actor=ACTOR, now=now)
    return RequestsLooked(
        moved=tuple(StateMoved(request=m.request.id, standing=m.standing) for m in unchanged),
    )


def record_notice(db: Database, request_id: RequestId, *, now: datetime, actor: str, why: str = "") -> RequestView:
    """The customers of a request were told of it, by whatever means; what `why` says of that goes into the journal.

    Who was told before stays told since then. Raises Refusal for an unknown request, or one of which nothing is left.
    """
    with refusing_unknown(), db.begin() as conn:
        inputs = read_inputs_in(conn, now)
        request = inputs.stored.get(request_id)
        if request is None:
            raise Refusal(reason(Code.REQUEST_UNKNOWN, request=request_id, nearest=nearest(request_id, inputs.stored)))
        if not request.is_open:
            raise Refusal(reason(Code.NOTHING_PENDING, scope=f"request {request_id}"))
        request_store.mark_notified(conn, [request_id], now)
        subject = f"request:{request_id}"
        line = journal.Entry(at=now, actor=actor, event="request.told", subject=subject, why=why, data={})
        journal.append(conn, line)
        after = replace(inputs, seen=request_store.load_states(conn))
        book = after.open_book(now)
        record_moved(conn, find_moved(book, after.seen, [request]), actor=actor, now=now)
        return _view(replace(after, seen=request_store.load_states(conn)), book, request)


def read_inputs(db: Database, now: datetime | None = None) -> Inputs:
    """What the store holds; see `read_inputs_in`. Raises Refusal when something was not imported yet."""
    with refusing_unknown(), db.read() as conn:
        return read_inputs_in(conn, now)


def list_pending(source: Database | Inputs, wanted: PendingFilter) -> PendingList:
    """Everything pending that passes the filter. Raises Refusal for a name in the filter that nobody knows."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    _refuse_unknown(inputs, wanted)
    pending = inputs.basis.pending
    lines = tuple(sorted(list_lines(inputs.fleet, inputs.catalogue, inputs.policy, pending, wanted), key=place_of))
    return PendingList(lines=lines, groups=group_lines(lines, inputs.catalogue))


def page_pending(
    source: Database | Inputs,
    wanted: PendingFilter,
    *,
    superseded: bool,
    after: tuple[str | int, ...] | None = None,
    limit: int | None = None,
    now: datetime,
) -> PendingPage:
    """As `list_pending`: `limit` lines of it, None for all, from behind the place `after` on. Without `superseded` it
    is as if older updates did not exist.
    """
    inputs = read_inputs(source, now) if isinstance(source, Database) else source
    _refuse_unknown(inputs, wanted)
    listing = Listing(inputs.fleet, inputs.catalogue, inputs.policy, inputs.basis.pending, wanted)
    hidden = () if superseded else (Standing.SUPERSEDED,)
    count = count_once(inputs, wanted) if isinstance(source, Database) else listing.count
    kinds = {cluster: [k for k in count(cluster) if k.standing not in hidden] for cluster in listing.clusters}
    counts = {cluster: sum(kind.lines for kind in found) for cluster, found in kinds.items()}
    lines, passed = take_lines(listing, hidden, counts, after, limit)
    return PendingPage(
        total=sum(counts.values()),
        rest=sum(counts.values()) - passed - len(lines),
        lines=tuple(lines),
        groups=group_kinds((kind for found in kinds.values() for kind in found), inputs.catalogue),
        stale=find_old(inputs.stale, frozenset(listing.clusters), now),
    )


def list_requests(
    source: Database | Inputs, wanted: PendingFilter, *, now: datetime, ended: bool = False
) -> tuple[RequestView, ...]:
    """Open requests, by due date and id, with at least one cluster and one update that pass the filter; with `ended`
    also those of which nothing is left, last.
    """
    inputs = read_inputs(source, now) if isinstance(source, Database) else source
    _refuse_unknown(inputs, wanted)
    book = inputs.open_book(now)
    taken = {c.supercomputer for c in inputs.fleet.clusters.values() if wanted.takes(c)}
    found = [
        request
        for request in inputs.list_requests()
        if request.supercomputer in taken and (not wanted.updates or not wanted.updates.isdisjoint(request.updates))
    ]
    views = [_view(inputs, book, request) for request in found]
    shown = [view for view in views if ended or view.standing.state not in ENDED]
    return tuple(sorted(shown, key=_by_due_date))


def show_request(source: Database | Inputs, request_id: RequestId, *, now: datetime) -> RequestView:
    """One request with its work orders, its shared devices and every node behind each. Raises Refusal for an unknown
    id.
    """
    inputs = read_inputs(source, now) if isinstance(source, Database) else source
    request = _find(inputs, request_id)
    book, pending = inputs.open_book(now), inputs.basis.pending
    devices: tuple[DeviceWork, ...] = ()
    if request.kind is RequestKind.DEPLOYMENT:
        found = shared_devices(inputs.fleet, pending, request.supercomputer)
        devices = tuple(_device_work(inputs.fleet, pending, device) for device in found)
    orders = tuple(_order_view(book, order.id) for order in request.orders)
    history: tuple[journal.Entry, ...] = ()
    if isinstance(source, Database):
        with source.read() as conn:
            history = journal.read(conn, limit=journal.LINES_MAX, subject=f"request:{request_id}")[-HISTORY_LINES:]
    risks: tuple[Reason, ...] = ()
    if isinstance(source, Database) and request.items:
        seen = (inputs.fleet, pending)
        risks = say_new(list_combinations(source, supercomputer=request.supercomputer, seen=seen))
    return replace(_view(inputs, book, request), devices=devices, orders=orders, risks=risks, history=history)


def find_request(db: Database, request_id: RequestId, *, now: datetime) -> Request:
    """What one request asks for. Raises Refusal for an unknown id."""
    return _find(read_inputs(db, now), request_id)


def _find(inputs: Inputs, request_id: RequestId) -> Request:
    requests = {request.id: request for request in inputs.list_requests()}
    if request_id not in requests:
        known = nearest(request_id, requests)
        raise Refusal(reason(Code.REQUEST_UNKNOWN, request=request_id, nearest=known))
    return requests[request_id]


def _view(inputs: Inputs, book: RequestBook, request: Request) -> RequestView:
    standing, seen = book.stand(request), inputs.seen.get(request.id)
    return RequestView(
        request=request,
        standing=standing,
        since=seen.since if seen is not None and seen.state is standing.state else None,
        coverage=book.cover(request),
        flights=_flights(inputs, request),
        stale=find_old(inputs.stale, book.basis.supercomputers.get(request.supercomputer, ()), book.record.now),
    )


def _flights(inputs: Inputs, request: Request) -> tuple[Flight, ...]:
    if request.kind is not RequestKind.DEPLOYMENT:
        return ()
    return tuple(flight for flight in inputs.flights if flight.supercomputer == request.supercomputer)


def _order_view(book: RequestBook, name: OrderId) -> OrderView:
    order = book.orders[name]
    places = book.ordered.desk.places
    return OrderView(
        order=places.show(order),
        opened=order.opened,
        started=order.started,
        standing=book.stand_order(order),
        meets=book.meet(order.kind, places.nodes_of(order), but=order.id),
        tail=order.tail,
        known=order.known,
    )


def _by_due_date(view: RequestView) -> tuple[bool, str, str]:
    due_at = view.request.due_at
    return (due_at is None, due_at.isoformat() if due_at else "", view.request.id)


def _device_work(fleet: Fleet, pending: FleetPending, device: Device) -> DeviceWork:
    due = pending.of_device(device).due
    return DeviceWork(
        device=device,
        updates=tuple(item.update.id for item in due),
        drains=any(item.update.needs_drain for item in due),
        nodes=tuple(node.name for node in fleet.nodes_behind(device)),
    )


def _refuse_unknown(inputs: Inputs, wanted: PendingFilter) -> None:
    refuse_all(_unknown(inputs, kind, name) for kind, name in unknown_names(inputs.fleet, inputs.catalogue, wanted))


def _unknown(inputs: Inputs, kind: str, name: str) -> Reason:
    fleet = inputs.fleet
    known: dict[str, Iterable[str]] = {
        "cluster": set(fleet.clusters),
        "supercomputer": {c.supercomputer for c in fleet.clusters.values()},
        "customer": {c.customer for c in fleet.clusters.values()},
        "sku": {c.sku for c in fleet.clusters.values()},
        "update": set(inputs.catalogue.updates),
        "node": set(fleet.nodes),
        "device": set(fleet.devices),
    }
    return reason(Code.SCOPE_UNKNOWN, level=kind, name=name, nearest=nearest(name, known[kind]))
