"""Roles that were taken by breaking the glass, a row each time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, String, Table, Text, insert, select, update

from fermata.domain.break_glass import BreakGlass
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.ids import BreakGlassId
from fermata.store.asking import ask
from fermata.store.schema import UtcTime, metadata

break_glass = Table(
    "break_glass",
    metadata,
    Column("id", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("role", String, nullable=False),
    Column("level", String, nullable=False),
    Column("name", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Index("ix_break_glass_ended_at", "ended_at"),
)
_OPEN = select(break_glass).where(break_glass.c.ended_at.is_(None)).order_by(break_glass.c.taken_at, break_glass.c.id)
_ALL = select(break_glass).order_by(break_glass.c.taken_at, break_glass.c.id)


def add(conn: Connection, taken: BreakGlass) -> None:
    """Keeps one that begins."""
    conn.execute(insert(break_glass).values(_row(taken)))


def load_open(conn: Connection) -> tuple[BreakGlass, ...]:
    """Those whose end is not on record, though it may be past, by when they began."""
    return tuple(_from_row(row) for row in ask(conn, _OPEN))


def load_all(conn: Connection) -> tuple[BreakGlass, ...]:
    """Every one, by when they began."""
    return tuple(_from_row(row) for row in ask(conn, _ALL))


def end(conn: Connection, name: BreakGlassId, at: datetime) -> bool:
    """Puts its end on record; False when somebody was before."""
    open_one = (break_glass.c.id == name) & break_glass.c.ended_at.is_(None)
    return conn.execute(update(break_glass).where(open_one).values(ended_at=at)).rowcount == 1


def _row(taken: BreakGlass) -> Mapping[str, Any]:
    return {
        "id": taken.id,
        "holder": taken.holder,
        "role": taken.grant.role.value,
        "level": taken.grant.level.value,
        "name": taken.grant.name,
        "why": taken.why,
        "taken_at": taken.taken_at,
        "until": taken.until,
        "ended_at": taken.ended_at,
    }


def _from_row(row: Any) -> BreakGlass:
    return BreakGlass(
        id=BreakGlassId(row.id),
        holder=row.holder,
        grant=Grant(role=Role(row.role), level=GrantLevel(row.level), name=row.name),
        why=row.why,
        taken_at=row.taken_at,
        until=row.until,
        ended_at=row.ended_at,
    )
