"""Who takes part in a rehearsed window, as columns of numbers: what is due on whom, who hangs on which device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.ids import ClusterId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.plans import DeviceApplyStep, Step
from fermata.planning.dice import Columns

Span = Columns | slice
Place = tuple[ClusterId, DeviceScope, str]

NOBODY: Columns = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """Who hangs on the devices of one update, which are grouped by that. `idle` devices have nobody of the window.

    `counts`: devices in each group; `firsts`: where its nodes begin in `columns`; `sizes`: how many nodes it has.
    """

    idle: int
    counts: Columns
    sizes: Columns
    firsts: Columns
    columns: Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who takes part: `nodes` nodes, ordered as batches are cut; `domains`: a number per node, ascending, for its fault
    domain; `due`: for each update, the columns of its nodes; `behind`: for each device update, who hangs on it.
    """

    nodes: int
    domains: Columns
    due: dict[UpdateId, Columns]
    behind: dict[UpdateId, Behind]


def find_cast(nodes: Sequence[Node], steps: Sequence[Step], *, fleet: Fleet, pending: FleetPending) -> Cast:
    """The cast of a window with these nodes and steps."""
    ordered = order_cast(nodes)
    column_of = {node.name: column for column, node in enumerate(ordered)}
    counts: dict[UpdateId, dict[Place, int]] = {}
    some: dict[Place, Device] = {}  # many devices stand at one place
    for step in steps:
        if isinstance(step, DeviceApplyStep):
            own = counts.setdefault(step.update, {})
            for name in step.devices:
                device = fleet.devices[name]
                place = (device.cluster, device.scope, device.scope_id)
                some.setdefault(place, device)
                own[place] = own.get(place, 0) + 1
    behind = {
        place: tuple(column_of[node.name] for node in fleet.nodes_behind(device) if node.name in column_of)
        for place, device in some.items()
    }
    return Cast(
        nodes=len(ordered),
        domains=_number([node.fault_domain for node in ordered]),
        due=_find_due([pending.of_node(node) for node in ordered]),
        behind={update: _join(own, behind) for update, own in counts.items()},
    )


def _number(domains: Sequence[str]) -> Columns:
    """A number per domain, ascending from 0, of domains that are in order."""
    first = {domain: number for number, domain in enumerate(dict.fromkeys(domains))}
    return np.array([first[domain] for domain in domains], dtype=np.intp)


def find_span(columns: Columns) -> Span:
    """The same columns, as a slice where they follow each other: numpy reads and writes that several times as fast."""
    if len(columns) and np.array_equal(columns, np.arange(columns[0], columns[0] + len(columns))):
        return slice(int(columns[0]), int(columns[0]) + len(columns))
    return columns


def order_cast(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes in the order of their columns."""
    return tuple(sorted(nodes, key=lambda node: (node.fault_domain, node.name)))


def _find_due(found: Sequence[UnitPending]) -> dict[UpdateId, Columns]:
    """The columns on which each update is due; many nodes share one and the same object."""
    kinds = {id(unit): unit for unit in found}
    numbers = {key: number for number, key in enumerate(kinds)}
    kind_of = np.array([numbers[id(unit)] for unit in found], dtype=np.intp)
    ids = {item.update.id for unit in kinds.values() for item in unit.due}
    has = {update: [any(item.update.id == update for item in unit.due) for unit in kinds.values()] for update in ids}
    return {update: np.flatnonzero(np.array(has[update])[kind_of]) for update in sorted(ids)}


def _join(counts: Mapping[Place, int], behind: Mapping[Place, tuple[int, ...]]) -> Behind:
    found = [place for place in counts if behind[place]]
    sizes = np.array([len(behind[place]) for place in found], dtype=np.intp)
    return Behind(
        idle=sum(count for place, count in counts.items() if not behind[place]),
        counts=np.array([counts[place] for place in found], dtype=np.intp),
        sizes=sizes,
        firsts=np.cumsum(sizes) - sizes,
        columns=np.array([column for place in found for column in behind[place]], dtype=np.intp),
    )
