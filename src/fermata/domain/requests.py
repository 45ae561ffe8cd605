"""Cumulative requests: one per supercomputer and kind, whatever its items, so that an outage is asked for once."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.fleet import Device, Fleet
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, OrderId, RequestId, SupercomputerId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Reason
from fermata.domain.request_kinds import RequestKind, request_id
from fermata.domain.updates import Impact, Update
from fermata.domain.work_orders import Places, RequestOrder, TargetLevel, WorkOrder, list_open

__all__ = ["RequestKind", "request_id"]  # with all that is defined here


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestItem:
    """One update of a request, with how many units it is due on. `due_at` is UTC."""

    update: UpdateId
    title: str
    impact: Impact
    due_at: datetime
    nodes: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersededItem:
    """An older update whose place `by` takes on so many units: shown, never applied there."""

    update: UpdateId
    by: UpdateId
    nodes: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """All of one kind on one supercomputer. `incarnation` counts from 1 and grows when items or their units change.

    A deployment holds `items`, ordered by update; every other kind the work `orders` that are not over.
    `due_at` is the earliest of theirs and `impact` the worst; both None when nothing is pending any more. `nodes`
    counts nodes with own work or behind a draining device, `shared_devices` devices with work. `content_sha256` covers
    items with due dates and the names of their units, or the orders.
    """

    id: RequestId
    supercomputer: SupercomputerId
    kind: RequestKind
    customers: tuple[CustomerId, ...]
    incarnation: int
    due_at: datetime | None
    impact: Impact | None
    items: tuple[RequestItem, ...]
    superseded: tuple[SupersededItem, ...]
    nodes: int
    shared_devices: int
    content_sha256: str
    orders: tuple[RequestOrder, ...] = ()

    @property
    def is_open(self) -> bool:
        """True while it asks for something."""
        return bool(self.items or self.orders)

    @property
    def order_ids(self) -> frozenset[OrderId]:
        """The work orders that a word on this incarnation may speak of."""
        return frozenset(order.id for order in self.orders)

    @property
    def updates(self) -> frozenset[UpdateId]:
        """What an approval of this incarnation covers: its items, and older updates it shows whose place they take."""
        return frozenset(item.update for item in self.items) | frozenset(older.update for older in self.superseded)


def build_requests(
    fleet: Fleet,
    pending: FleetPending,
    policy: Policy,
    previous: Mapping[RequestId, Request],
    orders: Iterable[WorkOrder] = (),
) -> tuple[Request, ...]:
    """All requests in the order of their ids, `previous` ones with nothing left included.

    A request whose content is what it was keeps its incarnation, so building twice changes nothing.
    """
    clusters: dict[SupercomputerId, list[ClusterId]] = defaultdict(list)
    for cluster in fleet.clusters.values():
        clusters[cluster.supercomputer].append(cluster.name)
    made = {}
    for supercomputer, names in clusters.items():
        built = _build(fleet, pending, policy, supercomputer, sorted(names))
        before = previous.get(built.id)
        if before is not None or built.items:
            made[built.id] = _continue(before, built)
    for built in _build_of_orders(fleet, orders):
        made[built.id] = _continue(previous.get(built.id), built)
    for gone in previous.keys() - made.keys():
        made[gone] = _continue(previous[gone], _emptied(previous[gone]))
    return tuple(made[name] for name in sorted(made))


def shared_devices(fleet: Fleet, pending: FleetPending, supercomputer: SupercomputerId) -> tuple[Device, ...]:
    """The supercomputer's shared devices with due work, by name; `fleet.nodes_behind` says whom each concerns."""
    clusters = sorted(c.name for c in fleet.clusters.values() if c.supercomputer == supercomputer)
    return tuple(d for name in clusters for d in fleet.devices_by_cluster[name] if pending.of_device(d).due)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How far consent reaches in one cluster: nodes with work, those covered, and the rest by what they lack."""

    cluster: ClusterId
    nodes: int
    covered: int
    missing: tuple[tuple[Reason, int], ...]


def cover_clusters(
    fleet: Fleet, pending: FleetPending, gaps: Mapping[NodeId, Reason], supercomputer: SupercomputerId
) -> tuple[Coverage, ...]:
    """Coverage of the supercomputer's clusters that have work, by name; `gaps` as in `consent.consent_gaps`."""
    found = []
    for name in sorted(c.name for c in fleet.clusters.values() if c.supercomputer == supercomputer):
        taken = nodes_with_work(fleet, pending, name)
        if taken:
            lacking = Counter(gaps[node] for node in taken if node in gaps)
            missing = tuple(sorted(lacking.items(), key=lambda pair: (-pair[1], pair[0].sentence)))
            covered = len(taken) - lacking.total()
            found.append(Coverage(cluster=name, nodes=len(taken), covered=covered, missing=missing))
    return tuple(found)


def nodes_concerned(fleet: Fleet, pending: FleetPending) -> frozenset[NodeId]:
    """Nodes that have a say: with own due work, or behind a device with due work, even if they would not feel it."""
    own = (name for name, unit in pending.nodes.items() if unit.due)
    shared = (
        node.name
        for name, unit in pending.devices.items()
        if unit.due
        for node in fleet.nodes_behind(fleet.devices[name])
    )
    return frozenset(own) | frozenset(shared)


def nodes_with_work(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> frozenset[NodeId]:
    """Nodes of `cluster` with own due work or behind a draining device: `pending.has_work`, asked for all at once."""
    own = (node.name for node in fleet.nodes_by_cluster[cluster] if pending.of_node(node).due)
    drained = (
        node.name
        for device in fleet.devices_by_cluster[cluster]
        if any(item.update.needs_drain for item in pending.of_device(device).due)
        for node in fleet.nodes_behind(device)
    )
    return frozenset(own) | frozenset(drained)


def _continue(before: Request | None, built: Request) -> Request:
    if before is None:
        return built
    if before.content_sha256 == built.content_sha256:
        return replace(built, incarnation=before.incarnation)
    return replace(built, incarnation=before.incarnation + 1)


def _emptied(before: Request) -> Request:
    return replace(
        before,
        due_at=None,
        impact=None,
        items=(),
        superseded=(),
        nodes=0,
        shared_devices=0,
        content_sha256=content_sha256(()),
        orders=(),
    )


def _build_of_orders(fleet: Fleet, orders: Iterable[WorkOrder]) -> Iterator[Request]:
    """One for each supercomputer and kind that an order is open for."""
    places = Places(fleet)
    groups: dict[tuple[SupercomputerId, RequestKind], list[RequestOrder]] = defaultdict(list)
    for order in list_open(orders):
        groups[order.supercomputer, order.kind].append(places.show(order))
    for (supercomputer, kind), found in groups.items():
        yield Request(
            id=request_id(supercomputer, kind),
            supercomputer=supercomputer,
            kind=kind,
            customers=tuple(sorted({customer for order in found for customer in order.customers})),
            incarnation=1,
            due_at=min(order.due_at for order in found),
            impact=max((order.impact for order in found), key=list(Impact).index),
            items=(),
            superseded=(),
            nodes=len({name for order in found for name in order.nodes}),
            shared_devices=sum(order.target.level is TargetLevel.DEVICE for order in found),
            content_sha256=content_sha256(tuple(found)),
            orders=tuple(found),
        )


class _Tally:
    """Names of the units of each update, and of each pair of superseded and superseding update."""

    def __init__(self) -> None:
        self.updates: dict[UpdateId, Update] = {}
        self.nodes: dict[UpdateId, list[str]] = defaultdict(list)
        self.devices: dict[UpdateId, list[str]] = defaultdict(list)
        self.older: dict[tuple[UpdateId, UpdateId], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, unit: UnitPending, *, is_device: bool) -> None:
        due = self.devices if is_device else self.nodes
        for item in unit.due:
            self.updates[item.update.id] = item.update
            due[item.update.id].append(name)
        for older in unit.superseded:
            self.older[older.update.id, older.by.id][is_device] += 1


def _build(
    fleet: Fleet, pending: FleetPending, policy: Policy, supercomputer: SupercomputerId, clusters: Iterable[ClusterId]
) -> Request:
    tally = _Tally()
    customers: set[CustomerId] = set()
    devices: set[DeviceId] = set()
    out: set[NodeId] = set()
    for name in clusters:
        customers.add(fleet.clusters[name].customer)
        for node in fleet.nodes_by_cluster[name]:
            tally.add(node.name, pending.of_node(node), is_device=False)
        for device in fleet.devices_by_cluster[name]:
            found = pending.of_device(device)
            tally.add(device.name, found, is_device=True)
            if found.due:
                devices.add(device.name)
        out.update(nodes_with_work(fleet, pending, name))
    items = tuple(_item(tally, policy, update) for update in sorted(tally.updates))
    units = [(i.update, "\n".join(tally.nodes[i.update]), "\n".join(tally.devices[i.update])) for i in items]
    return Request(
        id=request_id(supercomputer),
        supercomputer=supercomputer,
        kind=RequestKind.DEPLOYMENT,
        customers=tuple(sorted(customers)),
        incarnation=1,
        due_at=min((item.due_at for item in items), default=None),
        impact=max((item.impact for item in items), key=list(Impact).index, default=None),
        items=items,
        superseded=_superseded(tally),
        nodes=len(out),
        shared_devices=len(devices),
        content_sha256=content_sha256((items, units)) if items else content_sha256(()),
    )


def _item(tally: _Tally, policy: Policy, update_id: UpdateId) -> RequestItem:
    update = tally.updates[update_id]
    return RequestItem(
        update=update_id,
        title=update.title,
        impact=update.impact,
        due_at=policy.due_at(update),
        nodes=len(tally.nodes[update_id]),
        devices=len(tally.devices[update_id]),
    )


def _superseded(tally: _Tally) -> tuple[SupersededItem, ...]:
    return tuple(
        SupersededItem(update=update, by=by, nodes=tally.older[update, by][0], devices=tally.older[update, by][1])
        for update, by in sorted(tally.older)
    )
