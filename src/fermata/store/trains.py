"""Impactless trains and their riders. They stand apart from windows and units, so that nothing that counts what is out
can take a node in service for one of those.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
    update,
)

from fermata.domain.ids import ClusterId, NodeId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Asked, Busy, Gate, UnitOp
from fermata.domain.train import Train
from fermata.store.asking import ask
from fermata.store.bulk import insert_rows, save_versions
from fermata.store.runs import Stale, to_reason
from fermata.store.schema import Json, Sequence64, UtcTime, metadata

train = Table(
    "train",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("id", String, primary_key=True),
    Column("cluster", String, nullable=False),
    Column("updates", Json, nullable=False),
    Column("cluster_nodes", Integer, nullable=False),
    Column("riders", Integer, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("due_by", UtcTime, nullable=False),
    Column("closed_at", UtcTime, nullable=True),
)
rider = Table(
    "rider",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("train", String, nullable=False),
    Column("node", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("fault_domain", String, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("due", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("step", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("asked", String, nullable=False),
    Column("active", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("gate", String, nullable=True),
    Column("reason_code", String, nullable=True),
    Column("reason", Text, nullable=True),
    Column("next_at", UtcTime, nullable=True),
    Column("step_started_at", UtcTime, nullable=True),
    Column("limit_at", UtcTime, nullable=True),
    Column("retries", Json, nullable=False),
    Column("tries_max", Integer, nullable=False),
    Column("failed_at", UtcTime, nullable=True),
    Column("tail_since", UtcTime, nullable=True),
    Column("finished_at", UtcTime, nullable=True),
    Column("versions_before", Json, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("run", "train", "node"),
)
_WORKING = rider.c.finished_at.is_(None)
Index("ix_rider_working", rider.c.run, rider.c.train, sqlite_where=_WORKING, postgresql_where=_WORKING)
Index("ix_rider_state", rider.c.state)
_WRITERS = (rider.c.train, rider.c.step, rider.c.fault_domain)
_BUSY = select(*_WRITERS, func.count()).where(rider.c.state == UnitState.APPLYING.value).group_by(*_WRITERS)

_OF_RUN = rider.c.run == bindparam("of_run")
_TRAINS = select(train).where(train.c.run == bindparam("of_run")).order_by(train.c.opened_at, train.c.id)
_RIDERS = select(rider).where(_OF_RUN).order_by(rider.c.id)
_GOING = select(train.c.id).where(train.c.run == bindparam("of_run"), train.c.closed_at.is_(None))
_RIDERS_GOING = _RIDERS.where(rider.c.train.in_(_GOING))
_DUES = select(rider.c.train, rider.c.node, rider.c.due).where(_OF_RUN)
_UNFINISHED = select(rider).where(_WORKING).order_by(rider.c.id)


def add_train(conn: Connection, made: Train, riders: Iterable[UnitOp], dues: Mapping[NodeId, int]) -> None:
    """Stores a train with those who ride, each with the mask of what is done on it."""
    conn.execute(insert(train).values({**_train_row(made), "run": made.run, "id": made.id}))
    insert_rows(
        conn,
        rider,
        [{**_fixed(op), "due": dues[NodeId(op.unit)], **_moving(op), "version": op.version} for op in riders],
    )


def close_train(conn: Connection, run: RunId, name: WindowId, now: datetime) -> None:
    """It has arrived: every rider is finished."""
    conn.execute(update(train).where(train.c.run == run, train.c.id == name).values(closed_at=now))


def load_trains(conn: Connection, run: RunId) -> tuple[Train, ...]:
    """All trains of a run, by opening and id."""
    return tuple(_to_train(row) for row in ask(conn, _TRAINS, of_run=run))


def riders_of_run(conn: Connection, run: RunId) -> tuple[UnitOp, ...]:
    """Every rider of a run, finished or not, by id."""
    return tuple(_to_rider(row) for row in ask(conn, _RIDERS, of_run=run))


def riders_of_open_trains(conn: Connection, run: RunId) -> tuple[UnitOp, ...]:
    """Every rider, finished or not, of the trains of a run that have not arrived, by id."""
    return tuple(_to_rider(row) for row in ask(conn, _RIDERS_GOING, of_run=run))


def load_dues(conn: Connection, run: RunId) -> Mapping[WindowId, Mapping[NodeId, int]]:
    """What is done on each rider of a run: by train and node, the mask of the train's updates."""
    found: dict[WindowId, dict[NodeId, int]] = {}
    for name, node, due in ask(conn, _DUES, of_run=run):
        found.setdefault(WindowId(name), {})[NodeId(node)] = due
    return found


def unfinished_riders(conn: Connection) -> tuple[UnitOp, ...]:
    """Every rider of any run that is not finished, by id."""
    return tuple(_to_rider(row) for row in ask(conn, _UNFINISHED))


def save_riders(conn: Connection, ops: Sequence[tuple[int, UnitOp]]) -> None:
    """Stores moved riders, each with the version at which it was read. Raises Stale when a row is not that any more."""
    rows = [(op.id, read_at, {**_moving(op), "version": op.version}) for read_at, op in ops]
    done = save_versions(conn, rider, rows)
    if done != len(rows):
        raise Stale(f"{len(rows) - done} of {len(rows)} riders")


def busy_riders(conn: Connection) -> tuple[Busy, ...]:
    """Who is writing what in service, over all runs: teams' limits count them too."""
    return tuple(
        Busy(window=WindowId(row[0]), step=row[1], fault_domain=row[2], units=row[3]) for row in ask(conn, _BUSY)
    )


def count_riders(conn: Connection, run: RunId) -> Mapping[WindowId, Mapping[UnitState, int]]:
    """Riders of a run by train and state."""
    columns = (rider.c.train, rider.c.state)
    found: dict[WindowId, dict[UnitState, int]] = {}
    for name, state, count in conn.execute(select(*columns, func.count()).where(rider.c.run == run).group_by(*columns)):
        found.setdefault(WindowId(name), {})[UnitState(state)] = count
    return found


def _train_row(made: Train) -> dict[str, Any]:
    return {
        "cluster": made.cluster,
        "updates": list(made.updates),
        "cluster_nodes": made.cluster_nodes,
        "riders": made.riders,
        "opened_at": made.opened_at,
        "due_by": made.due_by,
        "closed_at": made.closed_at,
    }


def _to_train(row: Any) -> Train:
    return Train(
        id=WindowId(row.id),
        run=RunId(row.run),
        cluster=ClusterId(row.cluster),
        updates=tuple(UpdateId(name) for name in row.updates),
        cluster_nodes=row.cluster_nodes,
        riders=row.riders,
        opened_at=row.opened_at,
        due_by=row.due_by,
        closed_at=row.closed_at,
    )


def _fixed(op: UnitOp) -> dict[str, Any]:
    return {
        "run": op.run,
        "train": op.window,
        "node": op.unit,
        "cluster": op.cluster,
        "fault_domain": op.fault_domain,
        "rank": op.rank,
        "versions_before": dict(op.versions_before or {}),
    }


def _moving(op: UnitOp) -> dict[str, Any]:
    return {
        "state": op.state.value,
        "step": op.step,
        "attempt": op.attempt,
        "asked": op.asked.value,
        "active": op.active,
        "position": op.position,
        "gate": op.gate.value if op.gate else None,
        "reason_code": op.reason.code.value if op.reason else None,
        "reason": op.reason.sentence if op.reason else None,
        "next_at": op.next_at,
        "step_started_at": op.step_started_at,
        "limit_at": op.limit_at,
        "retries": dict(op.retries),
        "tries_max": op.tries_max,
        "failed_at": op.failed_at,
        "tail_since": op.tail_since,
        "finished_at": op.finished_at,
    }


def _to_rider(row: Any) -> UnitOp:
    return UnitOp(
        id=row.id,
        run=RunId(row.run),
        window=WindowId(row.train),
        unit=NodeId(row.node),
        kind=UnitKind.RIDER,
        cluster=ClusterId(row.cluster),
        fault_domain=row.fault_domain,
        rank=row.rank,
        in_service_before=True,
        state=UnitState(row.state),
        step=row.step,
        attempt=row.attempt,
        asked=Asked(row.asked),
        applied=row.active,
        active=row.active,
        position=row.position,
        gate=None if row.gate is None else Gate(row.gate),
        reason=to_reason(row.reason_code, row.reason),
        next_at=row.next_at,
        step_started_at=row.step_started_at,
        limit_at=row.limit_at,
        retries=row.retries,
        tries_max=row.tries_max,
        failed_at=row.failed_at,
        tail_since=row.tail_since,
        finished_at=row.finished_at,
        versions_before=row.versions_before,
        version=row.version,
    )
