"""Cumulative maintenance requests: one per supercomputer and kind, whatever its items, so that an outage is asked once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Device, Fleet
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, RequestId, SupercomputerId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.policy import Policy
from fermata.domain.updates import Impact, Update


class RequestKind(StrEnum):
    """Kinds of maintenance that customers are asked for separately."""

    DEPLOYMENT = "deployment"


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
    """Everything pending on one supercomputer. `incarnation` counts from 1 and grows when items or their units change.

    Items are ordered by update. `due_at` is the earliest of theirs and `impact` the worst; both None when nothing is
    pending any more. `nodes` counts nodes with own work or behind a draining device, `shared_devices` devices with
    work. `content_sha256` covers items with due dates and the names of their units.
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

    @property
    def updates(self) -> frozenset[UpdateId]:
        """The ids of its items: what an approval of this incarnation covers."""
        return frozenset(item.update for item in self.items)


def request_id(supercomputer: SupercomputerId, kind: RequestKind = RequestKind.DEPLOYMENT) -> RequestId:
    """The one request of that kind that a supercomputer ever has."""
    return RequestId(f"req_{supercomputer}_{kind}")


def build_requests(
    fleet: Fleet, pending: FleetPending, policy: Policy, previous: Mapping[RequestId, Request]
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
    for gone in previous.keys() - made.keys():
        made[gone] = _continue(previous[gone], _emptied(previous[gone]))
    return tuple(made[name] for name in sorted(made))


def shared_devices(fleet: Fleet, pending: FleetPending, supercomputer: SupercomputerId) -> tuple[Device, ...]:
    """The supercomputer's shared devices with due work, by name; `fleet.nodes_behind` says whom each concerns."""
    clusters = sorted(c.name for c in fleet.clusters.values() if c.supercomputer == supercomputer)
    return tuple(d for name in clusters for d in fleet.devices_by_cluster[name] if pending.of_device(d).due)


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
    )


class _Tally:
    """Names of the units of each update, and of each pair of superseded and superseding update."""

    def __init__(self) -> None:
        self.updates: dict[UpdateId, Update] = {}
        self.nodes: dict[UpdateId, list[str]] = defaultdict(list)
        self.devices: dict[UpdateId, list[str]] = defaultdict(list)
        self.older: dict[tuple[UpdateId, UpdateId], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, unit: UnitPending, *, is_device: bool) -> None:
        due = self.devices if is_device else self.nodes
        for item in unit.due:
            self.updates[item.update.id] = item.update
            due[item.update.id].append(item.unit)
        for older in unit.superseded:
            self.older[older.update.id, older.by.id][is_device] += 1


def _build(
    fleet: Fleet, pending: FleetPending, policy: Policy, supercomputer: SupercomputerId, clusters: Iterable[ClusterId]
) -> Request:
    tally = _Tally()
    customers: set[CustomerId] = set()
    devices: set[DeviceId] = set()
    out: set[str] = set()
    for name in clusters:
        customers.add(fleet.clusters[name].customer)
        for node in fleet.nodes_by_cluster[name]:
            tally.add(pending.of_node(node), is_device=False)
            if pending.of_node(node).due:
                out.add(node.name)
        for device in fleet.devices_by_cluster[name]:
            found = pending.of_device(device)
            tally.add(found, is_device=True)
            if found.due:
                devices.add(device.name)
            if any(item.update.needs_drain for item in found.due):
                out.update(node.name for node in fleet.nodes_behind(device))
    items = tuple(_item(tally, policy, update) for update in sorted(tally.updates))
    units = [(item.update, tally.nodes[item.update], tally.devices[item.update]) for item in items]
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
