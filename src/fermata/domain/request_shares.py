"""What each cluster adds to the deployment of its supercomputer. Pure; the expensive part of a look after a change."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Generic, TypeVar

from fermata.domain.fleet import Fleet, place_of
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.pending import NOTHING, FleetPending, UnitPending
from fermata.domain.updates import Update

N = TypeVar("N", bound=str)


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


def nodes_with_work(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> frozenset[NodeId]:
    """Nodes of `cluster` with own due work or behind a draining device: `pending.has_work`, asked for all at once."""
    return _find_working(fleet, _nodes_of(fleet, pending, cluster), _devices_of(fleet, pending, cluster))


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
