"""What is due in one window: on which of its nodes and devices, and the runs of nodes that go through it together.

Nodes are named by their place in the order in which batches are cut, column by column in numpy: a fleet has many.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.ids import UpdateId
from fermata.domain.pending import NOTHING, FleetPending
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update
from fermata.planning.batches import cut_evenly, device_batches, node_batches, share_of_window

CELLS_MOST = 6  # with more, nothing fills their waits any more, and a window has too many steps to read

Columns = NDArray[np.intp]  # nodes of a window, ascending
Cells = tuple[tuple[int, int], ...]  # of each run its first node and the one after its last
BatchSizes = Mapping[UpdateId, tuple[tuple[int, ...], ...]]  # by cell


@dataclass(frozen=True, kw_only=True)
class WindowWork:
    """The nodes of a window, ordered as batches are cut, and the units on which each of its updates is due; `domains`:
    a number for each node's fault domain, ascending.
    """

    nodes: tuple[Node, ...]
    domains: Columns
    updates: Mapping[UpdateId, Update]
    nodes_of: Mapping[UpdateId, Columns]
    devices_of: Mapping[UpdateId, tuple[Device, ...]]
    fleet: Fleet
    catalogue: Catalogue

    @cached_property
    def _at(self) -> Mapping[DeviceScope, Mapping[str, int]]:
        """How many of the window's nodes there are at each place."""
        return {
            DeviceScope.RACK: Counter([node.rack for node in self.nodes]),
            DeviceScope.SCALABLE_UNIT: Counter([node.scalable_unit for node in self.nodes]),
            DeviceScope.CLUSTER: Counter([node.cluster for node in self.nodes]),
        }

    def count_behind(self, device: Device) -> int:
        """How many of the window's nodes hang on a device of its cluster."""
        return self._at[device.scope].get(device.scope_id, 0)

    @property
    def needs_drain(self) -> bool:
        """True when a workload would feel any of it."""
        return any(update.needs_drain for update in self.updates.values())

    def cut(self, update: Update, members: Columns) -> tuple[int, ...]:
        """Sizes of the batches in which these nodes take the update; none for no nodes."""
        if not len(members):
            return ()
        limit = self.catalogue.team_limits.get(update.owner_team)
        return node_batches(update, self.count_domains(members), limit=limit, window=len(self.nodes))

    def count_domains(self, members: Columns) -> list[int]:
        """How many of these nodes stand in each fault domain, where any does, in order."""
        counts = np.bincount(self.domains[members])
        found: list[int] = counts[counts > 0].tolist()
        return found

    @cached_property
    def batches_of_devices(self) -> Mapping[UpdateId, tuple[tuple[Device, ...], ...]]:
        """For each update that is due on devices, those of each batch."""
        found: dict[UpdateId, tuple[tuple[Device, ...], ...]] = {}
        for name, devices in self.devices_of.items():
            update = self.updates[name]
            limit = self.catalogue.team_limits.get(update.owner_team)
            found[name] = device_batches(update, devices, fleet=self.fleet, limit=limit, window=len(self.nodes))
        return found


def gather_work(
    nodes: Sequence[Node], devices: Sequence[Device], *, fleet: Fleet, pending: FleetPending, catalogue: Catalogue
) -> WindowWork:
    """Everything that is due on `nodes` and `devices`."""
    ordered = order_nodes(nodes)
    updates: dict[UpdateId, Update] = {}
    units = list(map(pending.nodes.get, map(attrgetter("name"), ordered), repeat(NOTHING)))
    unlike = dict(zip(map(id, units), units, strict=True))
    numbers = dict(zip(unlike, range(len(unlike)), strict=True))
    is_due: dict[UpdateId, list[bool]] = {}
    for number, unit in enumerate(unlike.values()):
        for item in unit.due:
            updates[item.update.id] = item.update
            is_due.setdefault(item.update.id, [False] * len(numbers))[number] = True
    kind_of = np.fromiter(map(numbers.__getitem__, map(id, units)), dtype=np.intp, count=len(units))
    devices_of = _find_due_devices(devices, pending, updates)
    return WindowWork(
        nodes=ordered,
        domains=number_domains(ordered),
        updates=updates,
        nodes_of={update: np.flatnonzero(np.array(due)[kind_of]) for update, due in is_due.items()},
        devices_of={update: tuple(found) for update, found in devices_of.items()},
        fleet=fleet,
        catalogue=catalogue,
    )


def _find_due_devices(
    devices: Sequence[Device], pending: FleetPending, updates: dict[UpdateId, Update]
) -> dict[UpdateId, list[Device]]:
    """The devices on which each update is due, in their order; `updates` learns of those."""
    found: dict[UpdateId, list[Device]] = {}
    lists: dict[int, list[list[Device]]] = {}  # by what is pending, which many devices share, where such a device goes
    get = pending.devices.get
    for device in devices:
        unit = get(device.name, NOTHING)
        places = lists.get(id(unit))
        if places is None:
            updates.update((item.update.id, item.update) for item in unit.due)
            places = lists[id(unit)] = [found.setdefault(item.update.id, []) for item in unit.due]
        for place in places:
            place.append(device)
    return found


def order_nodes(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes by fault domain, then name, as batches are cut. Twice sorted, since names mostly come in order."""
    return tuple(sorted(sorted(nodes, key=attrgetter("name")), key=attrgetter("fault_domain")))


def number_domains(ordered: Sequence[Node]) -> Columns:
    """A number per node, ascending, for its fault domain; `ordered` by that."""
    domains = [node.fault_domain for node in ordered]
    numbers = {domain: number for number, domain in enumerate(dict.fromkeys(domains))}
    return np.fromiter(map(numbers.__getitem__, domains), dtype=np.intp, count=len(domains))


def find_cells(work: WindowWork) -> Cells:
    """Runs of the window's nodes, in their order, of which no two take the longest isolated update at the same time.

    Whole fault domains where an update is isolated by them: one in two runs would need two turns. One run when no
    update has to be taken in turns.
    """
    found: list[tuple[bool, float, UpdateId, list[int]]] = []
    for name, nodes in work.nodes_of.items():
        update = work.updates[name]
        ends = _find_ends(work, update, nodes)
        if 1 < len(ends) <= CELLS_MOST:
            keeps_domains = update.isolation.by is IsolationBy.FAULT_DOMAIN
            waits = update.duration_minutes.p50 * (len(ends) - 1)
            found.append((keeps_domains, waits, name, ends))
    ends = max(found, key=lambda item: item[:3])[3] if found else []
    return tuple(itertools.pairwise([0, *(end + 1 for end in ends[:-1]), len(work.nodes)]))


def cut_cells(work: WindowWork, cells: Cells) -> BatchSizes:
    """For each update that is due on nodes, cell by cell, the sizes of the batches in which the nodes there take it."""
    edges = [first for first, _ in cells[1:]]
    found: dict[UpdateId, tuple[tuple[int, ...], ...]] = {}
    for name, nodes in work.nodes_of.items():
        cuts = [0, *np.searchsorted(nodes, edges).tolist(), len(nodes)]
        found[name] = tuple(work.cut(work.updates[name], nodes[a:b]) for a, b in itertools.pairwise(cuts))
    return found


def _find_ends(work: WindowWork, update: Update, nodes: Columns) -> list[int]:
    """The last node, of those on which it is due, of each turn that isolation makes the update take."""
    match update.isolation.by:
        case IsolationBy.NONE:
            sizes: tuple[int, ...] = (len(nodes),)
        case IsolationBy.PERCENT:
            sizes = cut_evenly(len(nodes), share_of_window(update, len(work.nodes)))
        case IsolationBy.FAULT_DOMAIN:
            domains = work.count_domains(nodes)
            cuts = [0, *itertools.accumulate(cut_evenly(len(domains), max(1, update.isolation.at_once)))]
            sizes = tuple(sum(domains[a:b]) for a, b in itertools.pairwise(cuts))
    return [int(nodes[at - 1]) for at in itertools.accumulate(sizes)]


def is_on_nodes(update: Update) -> bool:
    """True for what is written on nodes, not on devices."""
    return update.target == NODE_TARGET
