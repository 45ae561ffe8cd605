"""What is pending, by number of node and device: which updates are due, what is unknown, what drains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.pending import NOTHING, FleetPending, UnitPending
from fermata.domain.updates import Update
from fermata.planning.columns import NOBODY, Columns, Flags, Numbers, look_up, number_values


@dataclass(frozen=True, kw_only=True)
class Dues:
    """The pending work of a fleet in columns.

    kinds: the different sets of updates due on nodes, by id; `kind` says which of them each node has.
    unknown: nodes that do not report the version of a component that an update targets.
    updates: those due on devices; `update` says which each device has, NOBODY for none: a device has one component.
    """

    columns: Columns
    kinds: Sequence[tuple[UpdateId, ...]]
    kind: Numbers
    unknown: Flags
    updates: Sequence[Update]
    update: Numbers

    @cached_property
    def drains(self) -> Flags:
        """Devices whose due update a workload would feel: every node behind them must be out."""
        felt = [update.needs_drain for update in self.updates]
        return np.array([*felt, False], np.bool_)[self.update]

    @cached_property
    def place_drains(self) -> Flags:
        """Places with a draining device: all nodes there go together."""
        found = np.zeros(self.columns.place_count, np.bool_)
        places = self.columns.devices.place[self.drains]
        found[places[places != NOBODY]] = True
        return found

    @cached_property
    def has_work(self) -> Flags:
        """Nodes with work: own due updates, or a draining device they hang on."""
        is_due = np.array([bool(due) for due in self.kinds], np.bool_)
        return is_due[self.kind] | self.place_drains[self.columns.nodes.places].any(axis=0)

    @cached_property
    def _carrying(self) -> dict[frozenset[UpdateId], Flags]:
        return {}

    def carrying(self, updates: Iterable[UpdateId]) -> Flags:
        """By kind, whether one of `updates` is due."""
        wanted = frozenset(updates)
        found = self._carrying.get(wanted)
        if found is None:
            found = np.array([not wanted.isdisjoint(due) for due in self.kinds], np.bool_)
            self._carrying[wanted] = found
        return found

    def of_node(self, name: NodeId) -> tuple[UpdateId, ...]:
        """The updates due on a node, by id; none on one that the fleet does not know."""
        number = self.columns.nodes.number.get(name)
        return self.kinds[self.kind[number]] if number is not None else ()

    def is_due(self, update: UpdateId, devices: Numbers) -> Flags:
        """For each of these devices, whether that update is due on it."""
        number = next((n for n, due in enumerate(self.updates) if due.id == update), None)
        if number is None:
            return np.zeros(len(devices), np.bool_)
        is_due: Flags = look_up(self.update, devices, NOBODY) == number
        return is_due

    def of_device(self, number: int) -> Update | None:
        """The update due on the device of that number."""
        return self.updates[self.update[number]] if self.update[number] != NOBODY else None


def read_dues(columns: Columns, pending: FleetPending) -> Dues:
    """Judges units that share what is pending once."""
    of_nodes = list(map(pending.nodes.get, columns.nodes.number, repeat(NOTHING)))
    unit, units = _number_units(of_nodes)
    kind, kinds = number_values((tuple([x.update.id for x in found.due]) for found in units), len(units))
    of_devices = list(map(pending.devices.get, columns.devices.number, repeat(NOTHING)))
    device_unit, device_units = _number_units(of_devices)
    updates = {found.due[0].update.id: found.due[0].update for found in device_units if found.due}
    places = {name: number for number, name in enumerate(updates)}
    update = [places[found.due[0].update.id] if found.due else NOBODY for found in device_units]
    return Dues(
        columns=columns,
        kinds=tuple(kinds),
        kind=kind[unit],
        unknown=np.array([bool(found.unknown) for found in units], np.bool_)[unit],
        updates=tuple(updates.values()),
        update=np.array(update, np.int64)[device_unit],
    )


def _number_units(units: Sequence[UnitPending]) -> tuple[Numbers, Sequence[UnitPending]]:
    """Units by number: alike are those that are the same object, which `find_pending` shares among them."""
    number, _ = number_values(map(id, units), len(units))
    return number, list({id(unit): unit for unit in units}.values())
