"""What is due in one window: on which of its nodes and devices, and the runs of nodes that go through it together."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update
from fermata.planning.batches import cut_evenly, device_batches, node_batches, share_of_window

CELLS_MOST = 6  # with more, nothing fills their waits any more, and a window has too many steps to read

Cells = tuple[tuple[Node, ...], ...]
BatchSizes = Mapping[UpdateId, tuple[tuple[int, ...], ...]]  # by cell


@dataclass(frozen=True, kw_only=True)
class WindowWork:
    """The nodes of a window, ordered as batches are cut, and the units on which each of its updates is due."""

    nodes: tuple[Node, ...]
    updates: Mapping[UpdateId, Update]
    nodes_of: Mapping[UpdateId, tuple[Node, ...]]
    devices_of: Mapping[UpdateId, tuple[Device, ...]]
    fleet: Fleet
    catalogue: Catalogue

    @cached_property
    def _names(self) -> frozenset[NodeId]:
        return frozenset(node.name for node in self.nodes)

    @cached_property
    def _behind(self) -> dict[tuple[DeviceScope, str], int]:
        return {}

    def count_behind(self, device: Device) -> int:
        """How many of the window's nodes hang on a device of its cluster; counted once per place."""
        place = (device.scope, device.scope_id)
        if place not in self._behind:
            self._behind[place] = sum(node.name in self._names for node in self.fleet.nodes_behind(device))
        return self._behind[place]

    @property
    def needs_drain(self) -> bool:
        """True when a workload would feel any of it."""
        return any(update.needs_drain for update in self.updates.values())

    def cut(self, update: Update, members: Sequence[Node]) -> tuple[int, ...]:
        """Sizes of the batches in which these nodes take the update; none for no nodes."""
        limit = self.catalogue.team_limits.get(update.owner_team)
        return node_batches(update, members, limit=limit, window=len(self.nodes)) if members else ()

    def cut_devices(self, update: Update) -> tuple[tuple[Device, ...], ...]:
        """The devices of each batch of the update."""
        limit = self.catalogue.team_limits.get(update.owner_team)
        devices = self.devices_of[update.id]
        return device_batches(update, devices, fleet=self.fleet, limit=limit, window=len(self.nodes))


def gather_work(
    nodes: Sequence[Node], devices: Sequence[Device], *, fleet: Fleet, pending: FleetPending, catalogue: Catalogue
) -> WindowWork:
    """Everything that is due on `nodes` and `devices`."""
    updates: dict[UpdateId, Update] = {}
    nodes_of: dict[UpdateId, list[Node]] = {}
    devices_of: dict[UpdateId, list[Device]] = {}
    ordered = sorted(nodes, key=lambda node: (node.fault_domain, node.name))
    for node in ordered:
        for item in pending.of_node(node).due:
            updates[item.update.id] = item.update
            nodes_of.setdefault(item.update.id, []).append(node)
    for device in devices:
        for item in pending.of_device(device).due:
            updates[item.update.id] = item.update
            devices_of.setdefault(item.update.id, []).append(device)
    return WindowWork(
        nodes=tuple(ordered),
        updates=updates,
        nodes_of={update: tuple(found) for update, found in nodes_of.items()},
        devices_of={update: tuple(found) for update, found in devices_of.items()},
        fleet=fleet,
        catalogue=catalogue,
    )


def find_cells(work: WindowWork) -> Cells:
    """Runs of the window's nodes, in their order, of which no two take the longest isolated update at the same time.

    Whole fault domains where an update is isolated by them: one in two runs would need two turns. One run when no
    update has to be taken in turns.
    """
    found: list[tuple[bool, float, UpdateId, Cells]] = []
    for name, nodes in work.nodes_of.items():
        update = work.updates[name]
        ends = _find_ends(work, update, nodes)
        if 1 < len(ends) <= CELLS_MOST:
            keeps_domains = update.isolation.by is IsolationBy.FAULT_DOMAIN
            waits = update.duration_minutes.p50 * (len(ends) - 1)
            found.append((keeps_domains, waits, name, _cut_after(work.nodes, ends)))
    return max(found, key=lambda item: item[:3])[3] if found else (work.nodes,)


def cut_cells(work: WindowWork, cells: Cells) -> BatchSizes:
    """For each update that is due on nodes, cell by cell, the sizes of the batches in which the nodes there take it."""
    cell_of = {node.name: number for number, cell in enumerate(cells) for node in cell}
    found: dict[UpdateId, tuple[tuple[int, ...], ...]] = {}
    for name, nodes in work.nodes_of.items():
        members: list[list[Node]] = [[] for _ in cells]
        for node in nodes:
            members[cell_of[node.name]].append(node)
        found[name] = tuple(work.cut(work.updates[name], own) for own in members)
    return found


def _find_ends(work: WindowWork, update: Update, nodes: Sequence[Node]) -> list[Node]:
    """The last node, of those on which it is due, of each turn that isolation makes the update take."""
    match update.isolation.by:
        case IsolationBy.NONE:
            sizes: tuple[int, ...] = (len(nodes),)
        case IsolationBy.PERCENT:
            sizes = cut_evenly(len(nodes), share_of_window(update, len(work.nodes)))
        case IsolationBy.FAULT_DOMAIN:
            domains = [len(list(group)) for _, group in itertools.groupby(nodes, key=lambda node: node.fault_domain)]
            cuts = [0, *itertools.accumulate(cut_evenly(len(domains), max(1, update.isolation.at_once)))]
            sizes = tuple(sum(domains[a:b]) for a, b in itertools.pairwise(cuts))
    return [nodes[at - 1] for at in itertools.accumulate(sizes)]


def _cut_after(nodes: Sequence[Node], ends: Sequence[Node]) -> Cells:
    """The nodes in runs, each but the last ending with one of `ends`."""
    cuts = [0, *(nodes.index(end) + 1 for end in ends[:-1]), len(nodes)]
    return tuple(tuple(nodes[a:b]) for a, b in itertools.pairwise(cuts))


def is_on_nodes(update: Update) -> bool:
    """True for what is written on nodes, not on devices."""
    return update.target == NODE_TARGET
