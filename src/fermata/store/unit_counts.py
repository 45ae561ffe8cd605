"""How many units of a run stand where, counted by the database."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from fermata.domain.ids import RunId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.store.unit_ops import unit_op


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    """How many units of a window are in one state; `in_tail`: on the tail list."""

    window: WindowId
    kind: UnitKind
    state: UnitState
    in_tail: bool
    in_service_before: bool
    units: int


def state_counts(conn: Connection, run: RunId) -> tuple[StateCount, ...]:
    """Counts of units of a run by window, kind, state and tail."""
    in_tail = unit_op.c.tail_since.is_not(None)
    columns = (unit_op.c.window, unit_op.c.kind, unit_op.c.state, in_tail, unit_op.c.in_service_before)
    query = select(*columns, func.count()).where(unit_op.c.run == run).group_by(*columns)
    return tuple(
        StateCount(
            window=WindowId(window),
            kind=UnitKind(kind),
            state=UnitState(state),
            in_tail=bool(tail),
            in_service_before=before,
            units=units,
        )
        for window, kind, state, tail, before, units in conn.execute(query)
    )


def returns(conn: Connection, run: RunId) -> tuple[tuple[datetime, int], ...]:
    """How many nodes came back, proven, at each instant, in no order."""
    is_back = (
        unit_op.c.run == run,
        unit_op.c.kind == UnitKind.NODE.value,
        unit_op.c.state == UnitState.RETURNED.value,
        unit_op.c.finished_at.is_not(None),
    )
    query = select(unit_op.c.finished_at, func.count()).where(*is_back).group_by(unit_op.c.finished_at)
    return tuple((row[0], row[1]) for row in conn.execute(query))
