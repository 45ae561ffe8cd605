"""Signals of qualification, never changed once recorded, and what runs have proven of updates that went together."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, String, Table, Text, insert, select

from fermata.domain.ids import ClusterId, RunId, SignalId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.qualification import QualificationRule, Result, Ring, Signal
from fermata.store import inventory
from fermata.store.runs import run as run_table
from fermata.store.schema import Json, UtcTime, metadata
from fermata.store.unit_ops import unit_op

signal = Table(
    "signal",
    metadata,
    Column("id", String, primary_key=True),
    Column("updates", Json, nullable=False),
    Column("ring", String, nullable=False),
    Column("name", String, nullable=False),
    Column("result", String, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("sku", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("note", Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one operation brought to its unit: `active` is a bit mask over the updates of the window."""

    run: RunId
    window: WindowId
    unit: str
    kind: UnitKind
    cluster: ClusterId
    state: UnitState
    active: int


def add_signals(conn: Connection, signals: Sequence[Signal]) -> None:
    """Records them; their ids must be new."""
    rows = [
        {
            "id": one.id,
            "updates": sorted(one.updates),
            "ring": one.ring.value,
            "name": one.name,
            "result": one.result.value,
            "nodes": one.nodes,
            "sku": one.sku,
            "at": one.at,
            "actor": one.actor,
            "note": one.note,
        }
        for one in signals
    ]
    if rows:
        conn.execute(insert(signal), rows)


def load_signals(conn: Connection) -> tuple[Signal, ...]:
    """All of them, by when they were judged."""
    return tuple(
        Signal(
            id=SignalId(row.id),
            updates=frozenset(UpdateId(name) for name in row.updates),
            ring=Ring(row.ring),
            name=row.name,
            result=Result(row.result),
            nodes=row.nodes,
            sku=row.sku,
            at=row.at,
            actor=row.actor,
            note=row.note,
        )
        for row in conn.execute(select(signal).order_by(signal.c.at, signal.c.id))
    )


def save_rules(conn: Connection, rules: tuple[QualificationRule, ...]) -> bool:
    """Replaces the rules of qualification. False when they were stored already."""
    return inventory.save_document(conn, "qualification", "", rules)


def load_rules(conn: Connection) -> tuple[QualificationRule, ...]:
    """The rules; none before some were stored."""
    found = inventory.find_document(conn, "qualification", "", tuple[QualificationRule, ...])
    return found or ()


def load_worked(conn: Connection) -> tuple[Worked, ...]:
    """Every finished operation that brought an update to its unit, of all runs, by run and id."""
    done = unit_op.c.finished_at.is_not(None) | (unit_op.c.state == UnitState.FAILED.value)
    columns = unit_op.c
    asked = (
        select(columns.run, columns.window, columns.unit, columns.kind, columns.cluster, columns.state, columns.active)
        .join(run_table, run_table.c.id == columns.run)
        .where(columns.active != 0, done)
        .order_by(run_table.c.started_at, columns.id)
    )
    return tuple(
        Worked(
            run=RunId(row.run),
            window=WindowId(row.window),
            unit=row.unit,
            kind=UnitKind(row.kind),
            cluster=ClusterId(row.cluster),
            state=UnitState(row.state),
            active=row.active,
        )
        for row in conn.execute(asked)
    )
