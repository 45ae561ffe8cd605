"""Units of a run that somebody has written since a look."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from fermata.domain.ids import RunId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import UnitOp
from fermata.store.asking import ask
from fermata.store.bulk import NAMES_PER_STATEMENT
from fermata.store.unit_ops import to_op, unit_op

_MOVED = select(unit_op.c.id, unit_op.c.window, unit_op.c.unit, unit_op.c.kind, unit_op.c.version).where(
    unit_op.c.run == bindparam("of_run"), unit_op.c.moved > bindparam("since")
)
_WITH_IDS = select(unit_op).where(unit_op.c.id.in_(bindparam("of_ids", expanding=True))).order_by(unit_op.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A row that was written, and the version that it has now."""

    id: int
    window: WindowId
    unit: str
    is_device: bool
    version: int


def moved_since(conn: Connection, run: RunId, move: int) -> tuple[Moved, ...]:
    """The units of a run that were written after the write of that number."""
    return tuple(
        Moved(id=id_, window=WindowId(window), unit=unit, is_device=kind == UnitKind.DEVICE.value, version=version)
        for id_, window, unit, kind, version in ask(conn, _MOVED, of_run=run, since=move)
    )


def ops_by_id(conn: Connection, ids: Collection[int]) -> tuple[UnitOp, ...]:
    """These operations, by id."""
    wanted, found = sorted(ids), list[UnitOp]()
    for start in range(0, len(wanted), NAMES_PER_STATEMENT):
        rows = conn.execute(_WITH_IDS, {"of_ids": wanted[start : start + NAMES_PER_STATEMENT]})
        found += [to_op(row) for row in rows]
    return tuple(found)
