"""The fleet as inventory reports it: clusters, nodes and the devices that nodes share."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import TypeVar

from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, RackId, SupercomputerId
from fermata.domain.layered import put


class Role(StrEnum):
    """What a node is for: test nodes take risk first."""

    TEST = "test"
    PROD = "prod"


class NodeState(StrEnum):
    """Whether the inventory says the node serves workloads."""

    IN_SERVICE = "in_service"
    OUT_OF_SERVICE = "out_of_service"


class DeviceScope(StrEnum):
    """Which column of a node says that it hangs on a device."""

    RACK = "rack"
    SCALABLE_UNIT = "scalable_unit"
    CLUSTER = "cluster"

    __hash__ = str.__hash__  # an enumeration's own is slow, and places are looked up by the million


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster of one supercomputer; `timezone` is an IANA name."""

    name: ClusterId
    supercomputer: SupercomputerId
    customer: CustomerId
    region: str
    geo: str
    timezone: str
    datacenter: str
    sku: str
    division: str
    rolling_allowed: bool
    single_placement_group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node. `versions` maps a component to what it reports; "" is unknown, and unknown blocks.

    `gpus` None: nobody said how many it has.
    """

    name: NodeId
    cluster: ClusterId
    rack: RackId
    fault_domain: str
    scalable_unit: str
    role: Role
    workload: str
    state: NodeState
    versions: Mapping[str, str] = field(hash=False)
    gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A shared device. The nodes behind it are those of `cluster` whose `scope` column equals `scope_id`."""

    name: DeviceId
    kind: str
    cluster: ClusterId
    scope: DeviceScope
    scope_id: str
    component: str
    version: str


_NAME_OF: Callable[[Node], NodeId] = attrgetter("name")
Place = tuple[ClusterId, DeviceScope, str]  # a rack, a scalable unit or the whole of a cluster


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """All inventory by name, with the indices that rules ask for. Every index keeps names sorted."""

    clusters: Mapping[ClusterId, Cluster]
    nodes: Mapping[NodeId, Node]
    devices: Mapping[DeviceId, Device]

    @cached_property
    def nodes_by_cluster(self) -> Mapping[ClusterId, tuple[Node, ...]]:
        """Nodes of each cluster, by name; a cluster without nodes has an empty tuple."""
        groups: dict[ClusterId, list[Node]] = {name: [] for name in sorted(self.clusters)}
        for node in self.nodes.values():
            groups[node.cluster].append(node)
        return {cluster: tuple(sorted(nodes, key=attrgetter("name"))) for cluster, nodes in groups.items()}

    @cached_property
    def devices_by_cluster(self) -> Mapping[ClusterId, tuple[Device, ...]]:
        """Devices of each cluster, by name; a cluster without devices has an empty tuple."""
        groups: dict[ClusterId, list[Device]] = {name: [] for name in sorted(self.clusters)}
        for device in self.devices.values():
            groups[device.cluster].append(device)
        return {cluster: tuple(sorted(devices, key=attrgetter("name"))) for cluster, devices in groups.items()}

    @cached_property
    def _nodes_by_place(self) -> Mapping[Place, tuple[Node, ...]]:
        places: dict[Place, tuple[Node, ...]] = {}
        for cluster, nodes in self.nodes_by_cluster.items():
            racks: dict[str, list[Node]] = defaultdict(list)
            units: dict[str, list[Node]] = defaultdict(list)
            for node in nodes:
                racks[node.rack].append(node)
                units[node.scalable_unit].append(node)
            places.update(((cluster, DeviceScope.RACK, name), tuple(found)) for name, found in racks.items())
            places.update(((cluster, DeviceScope.SCALABLE_UNIT, name), tuple(found)) for name, found in units.items())
            if nodes:
                places[cluster, DeviceScope.CLUSTER, cluster] = nodes
        return places

    @cached_property
    def _devices_by_place(self) -> Mapping[Place, tuple[Device, ...]]:
        groups: dict[Place, list[Device]] = defaultdict(list)
        for devices in self.devices_by_cluster.values():
            for device in devices:
                groups[device.cluster, device.scope, device.scope_id].append(device)
        return {place: tuple(devices) for place, devices in groups.items()}

    def changed(self, nodes: Mapping[NodeId, Node | None], devices: Mapping[DeviceId, Device | None]) -> "Fleet":
        """The fleet with these units as they are now, None for one that is gone; clusters stay as they are. Indices
        that were built are carried over, so that few changes cost little.
        """
        after = Fleet(clusters=self.clusters, nodes=_with(self.nodes, nodes), devices=_with(self.devices, devices))
        node_changes = [(self.nodes.get(name), node) for name, node in nodes.items()]
        device_changes = [(self.devices.get(name), device) for name, device in devices.items()]
        built, carried = vars(self), vars(after)  # where cached properties keep what was built
        if "nodes_by_cluster" in built:
            carried["nodes_by_cluster"] = _regroup(self.nodes_by_cluster, node_changes, _cluster_of)
        if "devices_by_cluster" in built:
            carried["devices_by_cluster"] = _regroup(self.devices_by_cluster, device_changes, _cluster_of)
        if "_nodes_by_place" in built:
            groups = _regroup(self._nodes_by_place, node_changes, places_of)
            carried["_nodes_by_place"] = _without_empty(groups, node_changes, places_of)
        if "_devices_by_place" in built:
            groups_of_devices = _regroup(self._devices_by_place, device_changes, _place_alone)
            carried["_devices_by_place"] = _without_empty(groups_of_devices, device_changes, _place_alone)
        return after

    def names_in(self, cluster: ClusterId) -> list[NodeId]:
        """The names of a cluster's nodes, sorted."""
        return list(map(_NAME_OF, self.nodes_by_cluster[cluster]))

    def nodes_behind(self, device: Device) -> tuple[Node, ...]:
        """Every node that loses a path, power or management when `device` is worked on."""
        return self._nodes_by_place.get(place_of(device), ())

    def nodes_behind_each(self, devices: Iterable[DeviceId]) -> dict[DeviceId, tuple[Node, ...]]:
        """As `nodes_behind`, of many."""
        found = ((name, self.devices[name]) for name in devices)
        at = self._nodes_by_place.get
        return {name: at((device.cluster, device.scope, device.scope_id), ()) for name, device in found}

    def nodes_at(self, place: Place) -> tuple[Node, ...]:
        """The nodes behind every device at one place."""
        return self._nodes_by_place.get(place, ())

    def devices_at(self, place: Place) -> tuple[Device, ...]:
        """The devices at one place."""
        return self._devices_by_place.get(place, ())

    def devices_of(self, node: Node) -> tuple[Device, ...]:
        """Every shared device that `node` hangs on."""
        found = [d for place in places_of(node) for d in self._devices_by_place.get(place, ())]
        return tuple(sorted(found, key=lambda device: device.name))


def places_of(node: Node) -> tuple[Place, ...]:
    """Where shared devices stand that `node` hangs on."""
    return (
        (node.cluster, DeviceScope.RACK, node.rack),
        (node.cluster, DeviceScope.SCALABLE_UNIT, node.scalable_unit),
        (node.cluster, DeviceScope.CLUSTER, node.cluster),
    )


def place_of(device: Device) -> Place:
    """Where a device stands: all devices at one place have the same nodes behind them."""
    return (device.cluster, device.scope, device.scope_id)


K = TypeVar("K")
N = TypeVar("N", bound=str)
U = TypeVar("U", Node, Device)
Changes = Iterable[tuple[U | None, U | None]]  # each unit as it was and as it is


def _with(units: Mapping[N, U], changes: Mapping[N, U | None]) -> Mapping[N, U]:
    """In the order of names, if they were."""
    fresh = {name: unit for name, unit in changes.items() if unit is not None}
    found = put(units, fresh, changes.keys() - fresh.keys())
    return found if fresh.keys() <= units.keys() else {name: found[name] for name in sorted(found)}


def _regroup(
    groups: Mapping[K, tuple[U, ...]], changes: Changes[U], keys_of: Callable[[U], tuple[K, ...]]
) -> Mapping[K, tuple[U, ...]]:
    """The groups after the changes, each by name; those that nobody is left in are empty."""
    found: dict[K, tuple[U, ...]] = {}  # what is another than in `groups`
    rest = [(before, after) for before, after in changes if not _swap(groups, found, before, after, keys_of)]
    touched: dict[K, dict[str, U]] = {}
    for before, after in rest:
        for unit in (before, after):
            for key in keys_of(unit) if unit is not None else ():
                members = found.get(key, groups.get(key, ()))
                touched.setdefault(key, {member.name: member for member in members})
        if before is not None:
            for key in keys_of(before):
                touched[key].pop(before.name, None)
        if after is not None:
            for key in keys_of(after):
                touched[key][after.name] = after
    found.update({key: tuple(units[name] for name in sorted(units)) for key, units in touched.items()})
    return put(groups, found, ())


def _swap(
    groups: Mapping[K, tuple[U, ...]],
    found: dict[K, tuple[U, ...]],
    before: U | None,
    after: U | None,
    keys_of: Callable[[U], tuple[K, ...]],
) -> bool:
    """Puts a unit that stays in its groups where it was. False: it comes, goes or moves, and nothing was done."""
    if before is None or after is None or before.name != after.name or keys_of(before) != keys_of(after):
        return False
    for key in keys_of(after):
        found[key] = _put_in_place(found.get(key) or groups[key], after)
    return True


def _put_in_place(members: tuple[U, ...], unit: U) -> tuple[U, ...]:
    found = list(members)
    found[bisect_left([member.name for member in members], unit.name)] = unit
    return tuple(found)


def _without_empty(
    groups: Mapping[K, tuple[U, ...]], changes: Changes[U], keys_of: Callable[[U], tuple[K, ...]]
) -> Mapping[K, tuple[U, ...]]:
    left = {key for before, _ in changes if before is not None for key in keys_of(before)}
    empty = [key for key in left if not groups.get(key, (None,))]
    return put(groups, {}, empty) if empty else groups


def _cluster_of(unit: Node | Device) -> tuple[ClusterId, ...]:
    return (unit.cluster,)


def _place_alone(device: Device) -> tuple[Place, ...]:
    return (place_of(device),)
