"""The nodes and devices of a fleet in numbered columns, so that the checker counts whole windows at once.

A unit's number is its place in the order of names. Nodes hang on devices by where they stand: a place is a cluster, a
rack or a scalable unit, and places are numbered too.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, repeat
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
NOBODY = -1  # the number of what is not there
NO_NUMBERS: Numbers = np.empty(0, np.int64)
_Value = TypeVar("_Value", bound=Hashable)
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Numbers by the group that they belong to; the numbers of a group ascend."""

    members: Numbers
    starts: Numbers  # where each group begins in `members`; one more at the end

    @staticmethod
    def of(group_of: Numbers, groups: int) -> "Groups":
        """What belongs to each of so many groups; NOBODY belongs to none."""
        members = np.argsort(group_of, kind="stable")
        return Groups(members=members, starts=np.searchsorted(group_of[members], np.arange(groups + 1)))

    def one(self, group: int) -> Numbers:
        """The members of a group."""
        return self.members[self.starts[group] : self.starts[group + 1]]

    def several(self, groups: Numbers) -> Numbers:
        """The members of different groups, group by group."""
        begins = self.starts[groups]
        sizes = self.starts[groups + 1] - begins
        before = np.cumsum(sizes) - sizes
        found: Numbers = self.members[np.repeat(begins - before, sizes) + np.arange(sizes.sum())]
        return found

    @cached_property
    def sizes(self) -> Numbers:
        """How many each group has."""
        sizes: Numbers = self.starts[1:] - self.starts[:-1]
        return sizes


@dataclass(frozen=True, kw_only=True)
class NodeColumns:
    """All nodes. `places`: by kind of place (cluster, rack, scalable unit) and node; `spot`: nodes of one spot share
    all their places, and so all their devices. `fault_domain` ranks the domains in the order of their names.
    """

    nodes: Sequence[Node]
    number: Mapping[NodeId, int]
    cluster: Numbers
    places: Numbers
    spot: Numbers
    fault_domain: Numbers

    def find(self, names: Sequence[NodeId]) -> Numbers:
        """Their numbers, NOBODY for those that the fleet does not know."""
        return np.fromiter(map(self.number.get, names, repeat(NOBODY)), np.int64, len(names))

    def count(self, groups: Iterable[Numbers]) -> Numbers:
        """How often each node occurs in all groups together."""
        return _count(groups, len(self.nodes))

    def named(self, numbers: Numbers) -> tuple[NodeId, ...]:
        """The names of these."""
        return tuple(self.nodes[number].name for number in numbers.tolist())


@dataclass(frozen=True, kw_only=True)
class DeviceColumns:
    """All devices. `place`: where the nodes behind it stand, NOBODY when there are none."""

    devices: Sequence[Device]
    number: Mapping[DeviceId, int]
    place: Numbers

    def find(self, names: Sequence[DeviceId]) -> Numbers:
        """Their numbers, NOBODY for those that the fleet does not know."""
        return np.fromiter(map(self.number.get, names, repeat(NOBODY)), np.int64, len(names))

    def count(self, groups: Iterable[Numbers]) -> Numbers:
        """How often each device occurs in all groups together."""
        return _count(groups, len(self.devices))


@dataclass(frozen=True, kw_only=True)
class Columns:
    """A fleet in columns. `clusters` are numbered in the order of names, and are the first places."""

    clusters: Mapping[ClusterId, int]
    nodes: NodeColumns
    devices: DeviceColumns
    place_count: int

    @cached_property
    def nodes_at(self) -> Groups:
        """The nodes that stand at each place."""
        places = self.nodes.places
        here = Groups.of(places.ravel(), self.place_count)
        return Groups(members=here.members % places.shape[1], starts=here.starts)

    @cached_property
    def devices_at(self) -> Groups:
        """The devices behind which nodes stand at each place."""
        return Groups.of(self.devices.place, self.place_count)

    def members(self, cluster: ClusterId) -> Numbers:
        """The nodes of a cluster that the fleet knows."""
        return self.nodes_at.one(self.clusters[cluster])

    def behind(self, device: int) -> Numbers:
        """The nodes behind a device."""
        place = int(self.devices.place[device])
        return self.nodes_at.one(place) if place != NOBODY else NO_NUMBERS

    def behind_any(self, devices: Sequence[DeviceId]) -> Numbers:
        """The nodes behind those of `devices` that the fleet knows, each once."""
        found = self.devices.find(devices)
        places = np.unique(self.devices.place[found[found != NOBODY]])
        return np.unique(self.nodes_at.several(places[places != NOBODY]))

    def clusters_of(self, nodes: Numbers) -> list[ClusterId]:
        """The clusters of these nodes, by name."""
        names = tuple(self.clusters)
        return [names[number] for number in np.unique(self.nodes.cluster[nodes]).tolist()]

    def of_clusters(self, wanted: Iterable[ClusterId]) -> Flags:
        """By number of cluster, whether it is wanted."""
        flags = np.zeros(len(self.clusters), np.bool_)
        flags[[self.clusters[name] for name in wanted]] = True
        return flags


def read_columns(fleet: Fleet) -> Columns:
    """Numbers everything once."""
    nodes = sorted(chain.from_iterable(fleet.nodes_by_cluster.values()), key=attrgetter("name"))
    clusters = {name: number for number, name in enumerate(sorted(fleet.clusters))}
    own = list(map(attrgetter("cluster"), nodes))
    cluster = np.fromiter(map(clusters.__getitem__, own), np.int64, len(nodes))
    rack, racks = number_values(zip(own, map(attrgetter("rack"), nodes), strict=True), len(nodes))
    unit, units = number_values(zip(own, map(attrgetter("scalable_unit"), nodes), strict=True), len(nodes))
    domain, domains = number_values(map(attrgetter("fault_domain"), nodes), len(nodes))
    ranks = {name: rank for rank, name in enumerate(sorted(domains))}
    first_rack, first_unit = len(clusters), len(clusters) + len(racks)
    return Columns(
        clusters=clusters,
        nodes=NodeColumns(
            nodes=nodes,
            number=dict(zip(map(attrgetter("name"), nodes), count())),
            cluster=cluster,
            places=np.stack([cluster, rack + first_rack, unit + first_unit]),
            spot=np.unique(rack * (len(units) + 1) + unit, return_inverse=True)[1],
            fault_domain=np.array([ranks[name] for name in domains], np.int64)[domain],
        ),
        devices=_read_devices(
            fleet,
            {
                DeviceScope.CLUSTER: {(name, str(name)): number for name, number in clusters.items()},
                DeviceScope.RACK: {place: first_rack + number for place, number in racks.items()},
                DeviceScope.SCALABLE_UNIT: {place: first_unit + number for place, number in units.items()},
            },
        ),
        place_count=first_unit + len(units),
    )


def _read_devices(fleet: Fleet, places: Mapping[DeviceScope, Mapping[tuple[ClusterId, str], int]]) -> DeviceColumns:
    devices = sorted(chain.from_iterable(fleet.devices_by_cluster.values()), key=attrgetter("name"))
    place = (places[device.scope].get((device.cluster, device.scope_id), NOBODY) for device in devices)
    return DeviceColumns(
        devices=devices,
        number=dict(zip(map(attrgetter("name"), devices), count())),
        place=np.fromiter(place, np.int64, len(devices)),
    )


def look_up(column: NDArray[_Scalar], numbers: Numbers, absent: int) -> NDArray[_Scalar]:
    """The column's values at these numbers, `absent` for NOBODY."""
    found = np.full(numbers.shape, absent, column.dtype)
    is_known = numbers != NOBODY
    found[is_known] = column[numbers[is_known]]
    return found


def is_among(numbers: Numbers, ascending: Numbers) -> Flags:
    """Which of `numbers` are in `ascending`."""
    if not ascending.size:
        return np.zeros(numbers.shape, np.bool_)
    places = np.searchsorted(ascending, numbers)
    nearest = look_up(ascending, np.where(places < len(ascending), places, NOBODY), NOBODY)
    is_there: Flags = (nearest == numbers) & (numbers != NOBODY)
    return is_there


def _count(groups: Iterable[Numbers], units: int) -> Numbers:
    found = np.concatenate([NO_NUMBERS, *groups])
    return np.bincount(found[found != NOBODY], minlength=units)


def number_values(values: Iterable[_Value], length: int) -> tuple[Numbers, Mapping[_Value, int]]:
    """A number for each value, and the numbers by value, in the order in which values first occur."""
    known: defaultdict[_Value, int] = defaultdict(count().__next__)
    return np.fromiter(map(known.__getitem__, values), np.int64, length), known
