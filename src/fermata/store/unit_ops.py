"""The operations of open windows, one row per node or device: what the conductor reads, moves and counts in bulk."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    select,
)

from fermata.domain.ids import ClusterId, DeviceId, NodeId, RunId, WindowId
from fermata.domain.node_states import FINAL, OUT, UnitKind, UnitState
from fermata.domain.operations import Asked, Busy, Gate, UnitOp
from fermata.domain.readmission import NO_EVIDENCE, Evidence, Reading
from fermata.domain.scripts import as_apply
from fermata.store.asking import ask
from fermata.store.bulk import NAMES_PER_STATEMENT, insert_rows, save_versions
from fermata.store.moves import Numbers
from fermata.store.runs import Stale, to_reason, window_run
from fermata.store.schema import Json, JsonOrNull, Sequence64, UtcTime, metadata
from fermata.store.trains import busy_riders

unit_op = Table(
    "unit_op",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("window", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("fault_domain", String, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("in_service_before", Boolean(create_constraint=False), nullable=False),
    Column("state", String, nullable=False),
    Column("step", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("asked", String, nullable=False),
    Column("applied", Integer, nullable=False),
    Column("active", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("undo", Integer, nullable=False, server_default="0"),
    Column("begun", Boolean(create_constraint=False), nullable=False),
    Column("gate", String, nullable=True),
    Column("reason_code", String, nullable=True),
    Column("reason", Text, nullable=True),
    Column("next_at", UtcTime, nullable=True),
    Column("step_started_at", UtcTime, nullable=True),
    Column("limit_at", UtcTime, nullable=True),
    Column("slip_minutes", Integer, nullable=False),
    Column("retries", Json, nullable=False),
    Column("tries_max", Integer, nullable=False),
    Column("locked_at", UtcTime, nullable=True),
    Column("drained_at", UtcTime, nullable=True),
    Column("failed_at", UtcTime, nullable=True),
    Column("tail_since", UtcTime, nullable=True),
    Column("finished_at", UtcTime, nullable=True),
    Column("taken_again_at", UtcTime, nullable=True),
    Column("changed_at", UtcTime, nullable=True),
    Column("checked_at", UtcTime, nullable=True),
    Column("healthy", Boolean(create_constraint=False), nullable=True),
    Column("reading", JsonOrNull, nullable=True),
    Column("astray_since", UtcTime, nullable=True),
    Column("version", Integer, nullable=False),
    Column("versions_before", JsonOrNull, nullable=True),
    Column("moved", BigInteger, nullable=False, server_default="0"),  # by which write of units of the run
    UniqueConstraint("run", "window", "unit"),
)
_WORKING = unit_op.c.finished_at.is_(None)
Index("ix_unit_op_working", unit_op.c.run, unit_op.c.window, sqlite_where=_WORKING, postgresql_where=_WORKING)
Index("ix_unit_op_state", unit_op.c.state, unit_op.c.kind)
Index("ix_unit_op_unit", unit_op.c.unit)
Index("ix_unit_op_moved", unit_op.c.run, unit_op.c.moved)

_GOES_BACK = (unit_op.c.state == UnitState.RECOVERING.value) & (unit_op.c.kind == UnitKind.DEVICE.value)
_WRITES = (unit_op.c.state == UnitState.APPLYING.value) | _GOES_BACK

_KINDS = {kind.value: kind for kind in UnitKind}
_STATES = {state.value: state for state in UnitState}
_ASKED = {asked.value: asked for asked in Asked}
_GATES = {gate.value: gate for gate in Gate}
_OUT_VALUES = sorted(state.value for state in OUT)
_FINAL_VALUES = sorted(state.value for state in FINAL)

_IS_NODE = unit_op.c.kind == UnitKind.NODE.value  # what is asked at every instant is built once
_NODES_OUT = select(unit_op.c.unit).where(unit_op.c.state.in_(_OUT_VALUES), _IS_NODE)
_NODES_IN_WORK = select(unit_op.c.unit).where(unit_op.c.state.not_in(_FINAL_VALUES), _IS_NODE)
_WRITERS = (unit_op.c.window, unit_op.c.step, unit_op.c.fault_domain)
_BUSY = select(*_WRITERS, func.count()).where(_WRITES).group_by(*_WRITERS)
_BUSY_BY_RUN = select(unit_op.c.run, *_WRITERS, func.count()).where(_WRITES).group_by(unit_op.c.run, *_WRITERS)
_OF_RUN = select(unit_op).where(unit_op.c.run == bindparam("of_run")).order_by(unit_op.c.id)
_OF_WINDOW = _OF_RUN.where(unit_op.c.window == bindparam("of_window"))
_NAMED = _OF_WINDOW.where(unit_op.c.unit.in_(bindparam("of_units", expanding=True)))
_TAKEN_AGAIN = select(unit_op.c.unit).where(
    unit_op.c.run == bindparam("of_run"), unit_op.c.taken_again_at >= bindparam("since"), _IS_NODE
)
_LISTED = (
    select(unit_op)
    .where(unit_op.c.run == bindparam("of_run"), unit_op.c.tail_since.is_not(None), _WORKING)
    .order_by(unit_op.c.tail_since, unit_op.c.id)
)
_TAKEN_SINCE = (
    select(unit_op.c.unit)
    .join_from(unit_op, window_run, (unit_op.c.run == window_run.c.run) & (unit_op.c.window == window_run.c.window))
    .where(window_run.c.opened_at >= bindparam("since"), _IS_NODE)
)
_UNFINISHED = select(unit_op.c.window).where(unit_op.c.run == bindparam("of_run"), _WORKING)
_OF_OPEN = (
    select(unit_op)
    .where(unit_op.c.run == bindparam("of_run"), unit_op.c.window.in_(_UNFINISHED))
    .order_by(unit_op.c.id)
)


def insert_ops(conn: Connection, ops: Iterable[UnitOp]) -> None:
    """Adds operations; their ids are given by the database."""
    numbers = Numbers(conn)
    rows = [{**_to_row(op), "moved": numbers[op.run]} for op in ops]
    insert_rows(conn, unit_op, rows)


def ops_of_window(conn: Connection, run: RunId, window: WindowId) -> tuple[UnitOp, ...]:
    """Every operation of a window, by id."""
    return tuple(to_op(row) for row in ask(conn, _OF_WINDOW, of_run=run, of_window=window))


def ops_of_run(conn: Connection, run: RunId) -> tuple[UnitOp, ...]:
    """Every operation of a run, by id."""
    return tuple(to_op(row) for row in ask(conn, _OF_RUN, of_run=run))


def named_ops(conn: Connection, run: RunId, window: WindowId, units: Collection[str]) -> tuple[UnitOp, ...]:
    """The operations on these units in a window; units that it does not have are absent."""
    names, found = sorted(units), list[UnitOp]()
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        chunk = names[start : start + NAMES_PER_STATEMENT]
        found += [to_op(r) for r in conn.execute(_NAMED, {"of_run": run, "of_window": window, "of_units": chunk})]
    return tuple(found)


def nodes_taken_again_since(conn: Connection, run: RunId, since: datetime) -> frozenset[NodeId]:
    """Nodes that a run took out again at `since` or later, after they had been returned."""
    return frozenset(NodeId(name) for (name,) in ask(conn, _TAKEN_AGAIN, of_run=run, since=since))


def save_ops(conn: Connection, ops: Sequence[tuple[int, UnitOp]]) -> None:
    """Stores moved operations, each with the version at which it was read; its own version is higher.

    Raises Stale when a row is no longer the one that was read.
    """
    numbers = Numbers(conn)
    rows = [(op.id, read_at, {**_moving(op), "version": op.version, "moved": numbers[op.run]}) for read_at, op in ops]
    done = save_versions(conn, unit_op, rows)
    if done != len(rows):
        raise Stale(f"{len(rows) - done} of {len(rows)} operations")


def busy(conn: Connection) -> tuple[Busy, ...]:
    """Who is writing what, over all runs, riders in service and devices that are rolled back included: the counters
    behind team limits and isolation.
    """
    return (*_busy(ask(conn, _BUSY)), *busy_riders(conn))


def busy_elsewhere(conn: Connection, run: RunId, windows: Collection[WindowId]) -> tuple[Busy, ...]:
    """The same without these windows of a run."""
    found = ask(conn, _BUSY_BY_RUN)
    rows = (rest for of_run, *rest in found if of_run != run or rest[0] not in windows)
    return (*_busy(rows), *busy_riders(conn))


def _busy(rows: Iterable[Any]) -> Iterator[Busy]:
    for window, step, domain, units in rows:
        yield Busy(window=WindowId(window), step=as_apply(step), fault_domain=domain, units=units)


def nodes_out(conn: Connection) -> frozenset[NodeId]:
    """Every node that any run holds right now, working on it or waiting for its repair."""
    return frozenset(NodeId(name) for (name,) in ask(conn, _NODES_OUT))


def nodes_in_work(conn: Connection) -> frozenset[NodeId]:
    """Every node whose window has opened and that is not finished: consent for these can no longer be withdrawn."""
    return frozenset(NodeId(name) for (name,) in ask(conn, _NODES_IN_WORK))


def devices_in_work(conn: Connection, *, but: WindowId | None = None) -> frozenset[DeviceId]:
    """Every shared device that a window has work on which did not end, in whatever run; `but`: of other windows."""
    query = select(unit_op.c.unit, unit_op.c.window).where(_WORKING, unit_op.c.kind == UnitKind.DEVICE.value)
    return frozenset(DeviceId(name) for name, window in conn.execute(query) if window != but)


def nodes_taken_since(conn: Connection, since: datetime) -> frozenset[NodeId]:
    """Every node that a window took which opened at `since` or later, in whatever run."""
    return frozenset(NodeId(name) for (name,) in ask(conn, _TAKEN_SINCE, since=since))


def tail_ops(conn: Connection, run: RunId) -> tuple[UnitOp, ...]:
    """Units on the tail list, longest there first."""
    return tuple(to_op(row) for row in ask(conn, _LISTED, of_run=run))


def latest_ops_of(conn: Connection, nodes: Sequence[NodeId]) -> Mapping[NodeId, UnitOp]:
    """The newest operation of each of these nodes, in whatever run; nodes that were never in a window are absent."""
    found: dict[NodeId, UnitOp] = {}
    for start in range(0, len(nodes), NAMES_PER_STATEMENT):
        named = unit_op.c.unit.in_(nodes[start : start + NAMES_PER_STATEMENT])
        query = select(unit_op).where(named, unit_op.c.kind == UnitKind.NODE.value).order_by(unit_op.c.id)
        found.update((NodeId(op.unit), op) for op in _fetch(conn, query))
    return found


def devices_of_window(conn: Connection, run: RunId, window: WindowId) -> tuple[UnitOp, ...]:
    """The operations on devices of a window, by id."""
    query = select(unit_op).where(*_of(run, window), unit_op.c.kind == UnitKind.DEVICE.value)
    return _fetch(conn, query.order_by(unit_op.c.id))


def ops_of_open_windows(conn: Connection, run: RunId) -> tuple[UnitOp, ...]:
    """Every operation, finished or not, of the windows in which something is unfinished, by id."""
    return tuple(to_op(row) for row in ask(conn, _OF_OPEN, of_run=run))


def _of(run: RunId, window: WindowId) -> tuple[Any, ...]:
    return (unit_op.c.run == run, unit_op.c.window == window)


def _fetch(conn: Connection, query: Select[Any]) -> tuple[UnitOp, ...]:
    return tuple(to_op(row) for row in conn.execute(query).all())


def to_op(row: Any) -> UnitOp:
    """The operation that a row of all columns is about."""
    (
        id_, run, window, unit, kind, cluster, fault_domain, rank, in_service_before, state, step, attempt, asked,
        applied, active, position, undo, begun, gate, reason_code, sentence, next_at, step_started_at, limit_at,
        slip_minutes, retries, tries_max, locked_at, drained_at, failed_at, tail_since, finished_at, taken_again_at,
        changed_at, checked_at, healthy, reading, astray_since, version, versions_before, _,
    ) = row  # fmt: skip
    return UnitOp(
        id=id_,
        run=RunId(run),
        window=WindowId(window),
        unit=unit,
        kind=_KINDS[kind],
        cluster=ClusterId(cluster),
        fault_domain=fault_domain,
        rank=rank,
        in_service_before=in_service_before,
        state=_STATES[state],
        step=step,
        attempt=attempt,
        asked=_ASKED[asked],
        applied=applied,
        active=active,
        position=position,
        undo=undo,
        begun=begun,
        gate=None if gate is None else _GATES[gate],
        reason=to_reason(reason_code, sentence),
        next_at=next_at,
        step_started_at=step_started_at,
        limit_at=limit_at,
        slip_minutes=slip_minutes,
        retries=retries,
        tries_max=tries_max,
        locked_at=locked_at,
        drained_at=drained_at,
        failed_at=failed_at,
        tail_since=tail_since,
        finished_at=finished_at,
        taken_again_at=taken_again_at,
        evidence=_to_evidence(changed_at, checked_at, healthy, reading),
        astray_since=astray_since,
        version=version,
        versions_before=versions_before,
    )


def _to_row(op: UnitOp) -> Mapping[str, Any]:
    return {
        "run": op.run,
        "window": op.window,
        "unit": op.unit,
        "kind": op.kind.value,
        "cluster": op.cluster,
        "fault_domain": op.fault_domain,
        "rank": op.rank,
        "in_service_before": op.in_service_before,
        "versions_before": None if op.versions_before is None else dict(op.versions_before),
        **_moving(op),
        "version": op.version,
    }


def _moving(op: UnitOp) -> dict[str, Any]:
    return {
        "state": op.state.value,
        "step": op.step,
        "attempt": op.attempt,
        "asked": op.asked.value,
        "applied": op.applied,
        "active": op.active,
        "position": op.position,
        "undo": op.undo,
        "begun": op.begun,
        "gate": op.gate.value if op.gate else None,
        "reason_code": op.reason.code.value if op.reason else None,
        "reason": op.reason.sentence if op.reason else None,
        "next_at": op.next_at,
        "step_started_at": op.step_started_at,
        "limit_at": op.limit_at,
        "slip_minutes": op.slip_minutes,
        "retries": dict(op.retries),
        "tries_max": op.tries_max,
        "locked_at": op.locked_at,
        "drained_at": op.drained_at,
        "failed_at": op.failed_at,
        "tail_since": op.tail_since,
        "finished_at": op.finished_at,
        "taken_again_at": op.taken_again_at,
        "changed_at": op.evidence.changed_at,
        "checked_at": op.evidence.checked_at,
        "healthy": op.evidence.healthy,
        "reading": _reading_row(op.evidence.reading),
        "astray_since": op.astray_since,
    }


def _reading_row(reading: Reading | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {
        "at": reading.at.isoformat(),
        "versions": dict(reading.versions),
        "reachable": reading.reachable,
        "in_service": reading.in_service,
        "locked": reading.locked,
    }


def _to_evidence(
    changed_at: datetime | None, checked_at: datetime | None, healthy: bool | None, reading: dict[str, Any] | None
) -> Evidence:
    if changed_at is None and checked_at is None and reading is None:
        return NO_EVIDENCE
    read = None if reading is None else Reading(**{**reading, "at": datetime.fromisoformat(reading["at"])})
    return Evidence(changed_at=changed_at, checked_at=checked_at, healthy=bool(healthy), reading=read)
