"""Gates of a run and the failures they count: what is known of every update, and what operators said of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)

from fermata.domain.gate_book import Failure, FailureKind
from fermata.domain.gates import GateState
from fermata.domain.ids import RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Gate
from fermata.domain.scripts import APPLY_PREFIX
from fermata.store.asking import ask, ask_value
from fermata.store.bulk import insert_rows
from fermata.store.codec import from_plain, to_plain
from fermata.store.runs import Stale
from fermata.store.schema import Json, Sequence64, UtcTime, metadata
from fermata.store.unit_ops import unit_op

gate = Table(
    "gate",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("update", String, primary_key=True),
    Column("verdict", String, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("said_at", UtcTime, nullable=True),
    Column("body", Json, nullable=False),
    Column("version", Integer, nullable=False),
)
_SAVING = (
    update(gate)
    .where(gate.c.run == bindparam("of_run"), gate.c.update == bindparam("of_update"))
    .where(gate.c.version == bindparam("read_version"))
    .values({name: bindparam(name) for name in ("verdict", "changed_at", "said_at", "body", "version")})
)
gate_failure = Table(
    "gate_failure",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False, index=True),
    Column("window", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("rack", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("updates", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)

_RUN: BindParameter[Any] = bindparam("of_run")
_GATES = select(gate.c.body, gate.c.version).where(gate.c.run == _RUN).order_by(gate.c.update)
_LATEST_WORD = select(func.max(gate.c.said_at)).where(gate.c.run == _RUN)
_FAILURES = select(gate_failure).where(gate_failure.c.run == _RUN).order_by(gate_failure.c.seq)
_NEWEST_FAILURE = select(func.max(gate_failure.c.seq)).where(gate_failure.c.run == _RUN)
_TRIED_ELSEWHERE = (
    select(func.count())
    .select_from(unit_op)
    .where(unit_op.c.run != _RUN, unit_op.c.kind == UnitKind.NODE.value, unit_op.c.begun)
)
_FAILED_ELSEWHERE = select(func.count()).select_from(
    select(gate_failure.c.run, gate_failure.c.window, gate_failure.c.unit)
    .distinct()
    .where(gate_failure.c.run != _RUN)
    .subquery()
)


def load_gates(conn: Connection, run: RunId) -> dict[UpdateId, GateState]:
    """The gates of a run by update, in the order of their names."""
    rows = ask(conn, _GATES, of_run=run)
    found = [replace(from_plain(GateState, row.body), version=row.version) for row in rows]
    return {state.update: state for state in found}


def save_gates(conn: Connection, states: Iterable[GateState]) -> dict[UpdateId, GateState]:
    """Stores gates, each with the version at which it was read, and returns them as they are then.

    Raises Stale when one was changed by somebody else since.
    """
    saved = {state.update: replace(state, version=state.version + 1) for state in states}
    rows = [
        {
            "of_run": after.run,
            "of_update": after.update,
            "read_version": after.version - 1,
            "verdict": after.judged.verdict.value,
            "changed_at": after.changed_at,
            "said_at": after.said.at if after.said else None,
            "body": to_plain(after),
            "version": after.version,
        }
        for after in saved.values()
    ]
    if rows and conn.execute(_SAVING, rows).rowcount != len(rows):
        raise Stale(f"one of the gates {', '.join(saved)}")
    return saved


def add_gates(conn: Connection, states: Iterable[GateState]) -> None:
    """Stores new gates."""
    rows = [
        {
            "run": state.run,
            "update": state.update,
            "verdict": state.judged.verdict.value,
            "changed_at": state.changed_at,
            "said_at": state.said.at if state.said else None,
            "body": to_plain(state),
            "version": state.version,
        }
        for state in states
    ]
    if rows:
        conn.execute(insert(gate), rows)


def latest_word(conn: Connection, run: RunId) -> datetime | None:
    """When an operator last said something at a gate of the run, or None."""
    found: datetime | None = ask_value(conn, _LATEST_WORD, of_run=run)
    return found


def count_waiting(conn: Connection, run: RunId) -> dict[UpdateId, int]:
    """How many units wait at the gate of each update."""
    waiting = (unit_op.c.run == run, unit_op.c.gate == Gate.EVIDENCE.value)
    rows = conn.execute(select(unit_op.c.step, func.count()).where(*waiting).group_by(unit_op.c.step))
    return {UpdateId(step.removeprefix(APPLY_PREFIX)): units for step, units in rows}


def add_failures(conn: Connection, run: RunId, failures: Sequence[Failure]) -> None:
    """Keeps them for good."""
    rows = [
        {
            "run": run,
            "window": failure.window,
            "unit": failure.unit,
            "rack": failure.rack,
            "kind": failure.kind.value,
            "updates": sorted(failure.updates),
            "at": failure.at,
        }
        for failure in failures
    ]
    insert_rows(conn, gate_failure, rows)


def load_failures(conn: Connection, run: RunId) -> tuple[Failure, ...]:
    """The failures of a run, in the order in which they were seen."""
    return tuple(
        Failure(
            window=WindowId(row.window),
            unit=row.unit,
            rack=row.rack,
            kind=FailureKind(row.kind),
            updates=tuple(UpdateId(name) for name in row.updates),
            at=row.at,
        )
        for row in ask(conn, _FAILURES, of_run=run)
    )


def newest_failure(conn: Connection, run: RunId) -> int:
    """The number of the last failure of a run; 0 without any."""
    return ask_value(conn, _NEWEST_FAILURE, of_run=run) or 0


def count_history(conn: Connection, run: RunId) -> tuple[int, int]:
    """Nodes of other runs on which something was changed, and how many of them failed; a node counts in each window."""
    return ask_value(conn, _TRIED_ELSEWHERE, of_run=run), ask_value(conn, _FAILED_ELSEWHERE, of_run=run)
