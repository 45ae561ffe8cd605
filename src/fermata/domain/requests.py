"""Cumulative requests: one per supercomputer and kind, whatever its items, so that an outage is asked for once."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from typing import Generic, TypeVar

from fermata.domain.fleet import Device, Fleet, place_of
from fermata.domain.hashing import canonical_json, content_sha256
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, OrderId, RequestId, SupercomputerId, UpdateId
from fermata.domain.pending import NOTHING, FleetPending, UnitPending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Reason
from fermata.domain.request_kinds import RequestKind, request_id
from fermata.domain.updates import Impact, Update
from fermata.domain.work_orders import Places, RequestOrder, WorkOrder, list_open

__all__ = ["RequestKind", "request_id"]  # with all that is defined here
N = TypeVar("N", bound=str)


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
class CustomerPart:
    """What of a deployment is due on the units of one customer, counted on these alone."""

    customer: CustomerId
    items: tuple[RequestItem, ...]
    superseded: tuple[SupersededItem, ...]
    nodes: int
    shared_devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """All of one kind on one supercomputer. `incarnation` counts from 1 and grows when items or their units change.

    A deployment holds `items`, ordered by update; every other kind the work `orders` that are not over.
    `due_at` is the earliest of theirs and `impact` the worst; both None when nothing is pending any more. `nodes`
    counts nodes with own work or behind a draining device, `shared_devices` devices with work. `content_sha256` covers
    items with due dates and the names of their units, or the orders. `parts`: of a deployment that several customers
    share, what is due on the units of each.
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
    parts: tuple[CustomerPart, ...] = ()

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
    found = clusters_by_supercomputer(fleet).items()
    deployments = [
        build_deployment(fleet, policy, supercomputer, {name: share_of(fleet, pending, name) for name in clusters})
        for supercomputer, clusters in found
    ]
    return join_requests(fleet, deployments, previous, orders)


def join_requests(
    fleet: Fleet,
    deployments: Iterable[Request],
    previous: Mapping[RequestId, Request],
    orders: Iterable[WorkOrder],
) -> tuple[Request, ...]:
    """As `build_requests`. `deployments`: of every supercomputer, as `build_deployment` makes them."""
    made = {}
    for built in deployments:
        before = previous.get(built.id)
        if before is not None or built.items:
            made[built.id] = _continue(before, built)
    made |= {built.id: built for built in build_order_requests(fleet, previous, orders)}
    for gone in previous.keys() - made.keys():
        made[gone] = _continue(previous[gone], _emptied(previous[gone]))
    return tuple(made[name] for name in sorted(made))


def build_order_requests(
    fleet: Fleet, previous: Mapping[RequestId, Request], orders: Iterable[WorkOrder]
) -> tuple[Request, ...]:
    """Those that ask for work orders, in the order of their ids; what has no open order any more is left out."""
    built = sorted(_build_of_orders(fleet, orders), key=lambda request: request.id)
    return tuple(_continue(previous.get(request.id), request) for request in built)


def clusters_by_supercomputer(fleet: Fleet) -> Mapping[SupercomputerId, tuple[ClusterId, ...]]:
    """By name."""
    found: dict[SupercomputerId, list[ClusterId]] = defaultdict(list)
    for name in sorted(fleet.clusters):
        found[fleet.clusters[name].supercomputer].append(name)
    return {supercomputer: tuple(names) for supercomputer, names in found.items()}


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
    working: Mapping[ClusterId, frozenset[NodeId]], gaps: Mapping[NodeId, Reason]
) -> tuple[Coverage, ...]:
    """Coverage of the clusters that have work, in their order. `working`: nodes with work; `gaps` as in
    `consent.consent_gaps`.
    """
    found = []
    for name, taken in working.items():
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
    return _find_working(fleet, _nodes_of(fleet, pending, cluster), _devices_of(fleet, pending, cluster))


class _Units(Generic[N]):
    """Units of a cluster by their names, with what is pending on each, which is of few `kinds`, known by identity."""

    def __init__(self, names: Sequence[N], pending: Mapping[N, UnitPending]) -> None:
        self.names = names
        units = [pending.get(name, NOTHING) for name in names]
        self._keys = list(map(id, units))
        self.kinds: Mapping[int, UnitPending] = dict(zip(self._keys, units, strict=True))

    def of(self, kinds: Collection[int]) -> Sequence[N]:
        """The names of those units of which one of the kinds is pending."""
        if len(kinds) == len(self.kinds):
            return self.names
        return list(compress(self.names, map(kinds.__contains__, self._keys)))

    def with_due(self) -> Sequence[N]:
        """The names of those on which something is due."""
        return self.of(frozenset([key for key, unit in self.kinds.items() if unit.due]))


def _nodes_of(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> _Units[NodeId]:
    return _Units(fleet.names_in(cluster), pending.nodes)


def _devices_of(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> _Units[DeviceId]:
    return _Units([device.name for device in fleet.devices_by_cluster[cluster]], pending.devices)


def _find_working(fleet: Fleet, nodes: _Units[NodeId], devices: _Units[DeviceId]) -> frozenset[NodeId]:
    own = frozenset(nodes.with_due())
    if len(own) == len(nodes.names):
        return own
    draining = devices.of(frozenset([key for key, unit in devices.kinds.items() if unit.drains]))
    places = {place_of(fleet.devices[name]) for name in draining}
    return own.union(*([node.name for node in fleet.nodes_at(place)] for place in places))


def _continue(before: Request | None, built: Request) -> Request:
    if before is None:
        return built
    if before.content_sha256 == built.content_sha256:
        return replace(built, incarnation=before.incarnation)
    return replace(built, incarnation=before.incarnation + 1)


def empty_request(supercomputer: SupercomputerId, customers: tuple[CustomerId, ...]) -> Request:
    """The deployment request of a supercomputer on which nothing was ever pending."""
    return Request(
        id=request_id(supercomputer),
        supercomputer=supercomputer,
        kind=RequestKind.DEPLOYMENT,
        customers=customers,
        incarnation=1,
        due_at=None,
        impact=None,
        items=(),
        superseded=(),
        nodes=0,
        shared_devices=0,
        content_sha256=content_sha256(()),
    )


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
        parts=(),
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
            shared_devices=sum(order.is_of_device for order in found),
            content_sha256=content_sha256(tuple(found)),
            orders=tuple(found),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNames:
    """How many units, and their names one a line."""

    count: int = 0
    lines: str = ""


NOBODY = UnitNames()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterShare:
    """What one cluster adds to the deployment of its supercomputer. `nodes`, `devices`: the units on which each of its
    `updates` is due; `older`: on how many nodes and devices an update's place is taken by another's. `working`: nodes
    with own due work or behind a draining device; `shared`: how many devices have due work.
    """

    updates: Mapping[UpdateId, Update]
    nodes: Mapping[UpdateId, UnitNames]
    devices: Mapping[UpdateId, UnitNames]
    older: Mapping[tuple[UpdateId, UpdateId], tuple[int, int]]
    working: frozenset[NodeId]
    shared: int


def share_of(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> ClusterShare:
    """What `cluster` adds."""
    nodes, devices = _nodes_of(fleet, pending, cluster), _devices_of(fleet, pending, cluster)
    of_nodes, of_devices = _count_older(nodes), _count_older(devices)
    kinds = (*nodes.kinds.values(), *devices.kinds.values())
    return ClusterShare(
        updates={item.update.id: item.update for unit in kinds for item in unit.due},
        nodes=_name_units(nodes),
        devices=_name_units(devices),
        older={pair: (of_nodes[pair], of_devices[pair]) for pair in (of_nodes | of_devices)},
        working=_find_working(fleet, nodes, devices),
        shared=len(devices.with_due()),
    )


def _count_older(units: _Units[N]) -> Counter[tuple[UpdateId, UpdateId]]:
    """On how many of these units the place of an update is taken by another's."""
    found: Counter[tuple[UpdateId, UpdateId]] = Counter()
    for key, unit in units.kinds.items():
        for item in unit.superseded:
            found[item.update.id, item.by.id] += len(units.of({key}))
    return found


def _name_units(units: _Units[N]) -> Mapping[UpdateId, UnitNames]:
    """Updates that are due on the same units share one list."""
    kinds: dict[UpdateId, set[int]] = defaultdict(set)
    for key, unit in units.kinds.items():
        for item in unit.due:
            kinds[item.update.id].add(key)
    lists: dict[frozenset[int], UnitNames] = {}
    for found in {frozenset(each) for each in kinds.values()}:
        names = units.of(found)
        lists[found] = UnitNames(count=len(names), lines="\n".join(names))
    return {update: lists[frozenset(each)] for update, each in kinds.items()}


def build_deployment(
    fleet: Fleet, policy: Policy, supercomputer: SupercomputerId, shares: Mapping[ClusterId, ClusterShare]
) -> Request:
    """What is asked of a supercomputer as if it had never been asked before. `shares`: of its clusters, by name."""
    found = tuple(shares.values())
    items = _items(policy, found)
    customers = tuple(sorted({fleet.clusters[name].customer for name in shares}))
    by_customer = {
        c: [share for name, share in shares.items() if fleet.clusters[name].customer == c] for c in customers
    }
    return Request(
        id=request_id(supercomputer),
        supercomputer=supercomputer,
        kind=RequestKind.DEPLOYMENT,
        customers=customers,
        incarnation=1,
        due_at=min((item.due_at for item in items), default=None),
        impact=max((item.impact for item in items), key=list(Impact).index, default=None),
        items=items,
        superseded=_superseded(found),
        nodes=sum(len(share.working) for share in found),
        shared_devices=sum(share.shared for share in found),
        content_sha256=_hash_content(items, found) if items else content_sha256(()),
        parts=tuple(_part(policy, c, own) for c, own in by_customer.items()) if items and len(customers) > 1 else (),
    )


def _items(policy: Policy, shares: Sequence[ClusterShare]) -> tuple[RequestItem, ...]:
    updates = {name: update for share in shares for name, update in share.updates.items()}
    return tuple(
        RequestItem(
            update=name,
            title=updates[name].title,
            impact=updates[name].impact,
            due_at=policy.due_at(updates[name]),
            nodes=sum(share.nodes.get(name, NOBODY).count for share in shares),
            devices=sum(share.devices.get(name, NOBODY).count for share in shares),
        )
        for name in sorted(updates)
    )


def _part(policy: Policy, customer: CustomerId, shares: Sequence[ClusterShare]) -> CustomerPart:
    return CustomerPart(
        customer=customer,
        items=_items(policy, shares),
        superseded=_superseded(shares),
        nodes=sum(len(share.working) for share in shares),
        shared_devices=sum(share.shared for share in shares),
    )


def _hash_content(items: Sequence[RequestItem], shares: Sequence[ClusterShare]) -> str:
    """What `content_sha256` gives for the items and, for each, its update with the names of its nodes and of its
    devices, one a line. The names are long, and many updates share them: those are written once.
    """
    written: dict[tuple[int, ...], bytes] = {}

    def write(found: Iterable[UnitNames | None]) -> bytes:
        parts = [each for each in found if each is not None and each.count]
        key = tuple(map(id, parts))
        if key not in written:
            written[key] = canonical_json("\n".join(each.lines for each in parts))
        return written[key]

    digest = hashlib.sha256(b"[" + canonical_json(items))
    before = b",["
    for name in (item.update for item in items):
        nodes, devices = ([share.nodes.get(name) for share in shares], [share.devices.get(name) for share in shares])
        for part in (before, b"[", canonical_json(name), b",", write(nodes), b",", write(devices), b"]"):
            digest.update(part)
        before = b","
    digest.update(b"]]")
    return digest.hexdigest()


def _superseded(shares: Iterable[ClusterShare]) -> tuple[SupersededItem, ...]:
    older: dict[tuple[UpdateId, UpdateId], list[int]] = defaultdict(lambda: [0, 0])
    for share in shares:
        for pair, (nodes, devices) in share.older.items():
            older[pair][0] += nodes
            older[pair][1] += devices
    return tuple(
        SupersededItem(update=update, by=by, nodes=older[update, by][0], devices=older[update, by][1])
        for update, by in sorted(older)
    )
