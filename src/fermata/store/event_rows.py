"""What scheduled events are read from beside windows: how far work on nodes came, and marks of what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from fermata.domain.ids import NodeId, RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.store.query_rows import read_mark
from fermata.store.unit_ops import unit_op

_OF_UNITS = 2  # how many members at the end of a mark are of operations on units


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Equal marks mean equal content: `settled` of everything but operations on units, `units` of these."""

    settled: tuple[Any, ...]
    units: tuple[Any, ...]


def read_marks(conn: Connection) -> Marks:
    """As the store stands now."""
    mark = read_mark(conn)
    return Marks(settled=mark[:-_OF_UNITS], units=mark[-_OF_UNITS:])


def read_unit_states(conn: Connection, runs: Sequence[RunId]) -> Iterator[tuple[RunId, WindowId, NodeId, UnitState]]:
    """Every node that those runs have taken into a window, and where it stands there."""
    columns = (unit_op.c.run, unit_op.c.window, unit_op.c.unit, unit_op.c.state)
    of_nodes = (unit_op.c.run.in_(list(runs)), unit_op.c.kind == UnitKind.NODE.value)
    for run, window, unit, state in conn.execute(select(*columns).where(*of_nodes)):
        yield RunId(run), WindowId(window), NodeId(unit), _STATES[state]


_STATES = {state.value: state for state in UnitState}
