"""Cumulative requests: one per supercomputer and kind, whatever its items, so that an outage is asked for once."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.fleet import Device, Fleet
from fermata.domain.hashing import canonical_json, content_sha256
from fermata.domain.ids import ClusterId, CustomerId, NodeId, OrderId, RequestId, SupercomputerId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Reason
from fermata.domain.request_kinds import RequestKind, request_id
from fermata.domain.request_shares import NOBODY, ClusterShare, UnitNames, share_of
from fermata.domain.updates import Impact
from fermata.domain.work_orders import Places, RequestOrder, WorkOrder, list_open

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
            lacking = _count_reasons([gaps[node] for node in taken if node in gaps])
            missing = tuple(sorted(lacking.items(), key=lambda pair: (-pair[1], pair[0].sentence)))
            covered = len(taken) - lacking.total()
            found.append(Coverage(cluster=name, nodes=len(taken), covered=covered, missing=missing))
    return tuple(found)


def _count_reasons(found: Sequence[Reason]) -> Counter[Reason]:
    """Many nodes share a reason: it is compared once for all of them."""
    counted: Counter[Reason] = Counter()
    shared = Counter(map(id, found))
    for why in dict(zip(map(id, found), found, strict=True)).values():
        counted[why] += shared[id(why)]
    return counted


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
