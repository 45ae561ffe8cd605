"""Sources of inventory as stored: how each did, what is whose, and the changes that wait for a person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    null,
    select,
    update,
)

from fermata.domain.fleet import NodeState
from fermata.domain.fleet_diff import FleetDiff
from fermata.domain.freshness import Stale, StaleSource, say_stale
from fermata.domain.ids import ClusterId, DeviceId, HoldId, NodeId, SourceId
from fermata.domain.inventory_holds import Hold, HoldState
from fermata.domain.inventory_reports import Loss, NotTaken, Report, SourceState
from fermata.domain.inventory_sync import InWork, Proposal, Said, Stored
from fermata.domain.node_states import UnitKind
from fermata.domain.reasons import Reason
from fermata.domain.run_states import WindowState
from fermata.domain.sources import SourceKind
from fermata.store.asking import ask
from fermata.store.bulk import update_rows
from fermata.store.codec import from_json, to_json
from fermata.store.inventory import TABLES, apply_diff, load_fleet
from fermata.store.runs import window_run
from fermata.store.schema import Json, UtcTime, metadata
from fermata.store.unit_ops import unit_op

inventory_source = Table(
    "inventory_source",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("stale_after_seconds", Integer, nullable=False),
    Column("tried_at", UtcTime, nullable=False),
    Column("observed_at", UtcTime, nullable=True),
    Column("failure", Text, nullable=False),
    Column("not_taken", Text, nullable=False),
    Column("losses", Json, nullable=False),
    Column("dropped_sha256", String, nullable=True),
)
inventory_hold = Table(
    "inventory_hold",
    metadata,
    Column("id", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("state", String, nullable=False),
    Column("held_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime, nullable=True),
    Column("decided_by", String, nullable=True),
    Column("why", Text, nullable=False),
    Column("sha256", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_inventory_hold_source_state", "source", "state"),
)
_SOURCES = select(inventory_source).order_by(inventory_source.c.id)


@dataclass(frozen=True, kw_only=True)
class _NotTakenList:
    items: tuple[NotTaken, ...]


@dataclass(frozen=True, kw_only=True)
class _Body:
    """What a hold holds: read and written whole."""

    reasons: tuple[Reason, ...]
    report: Report
    diff: FleetDiff


def load_source(conn: Connection, source: SourceId) -> SourceState | None:
    """How that source did; None when it was never tried."""
    row = conn.execute(select(inventory_source).where(inventory_source.c.id == source)).first()
    return None if row is None else _to_source(row)


def list_sources(conn: Connection) -> tuple[SourceState, ...]:
    """Every source that was ever tried and not forgotten, by id."""
    return tuple(sorted((_to_source(row) for row in ask(conn, _SOURCES)), key=lambda state: state.id))


def save_source(conn: Connection, state: SourceState) -> None:
    """Replaces what is known of that source."""
    conn.execute(delete(inventory_source).where(inventory_source.c.id == state.id))
    row = {
        "id": state.id,
        "kind": state.kind.value,
        "stale_after_seconds": round(state.stale_after.total_seconds()),
        "tried_at": state.tried_at,
        "observed_at": state.observed_at,
        "failure": state.failure,
        "not_taken": to_json(_NotTakenList(items=state.not_taken)).decode(),
        "losses": [[loss.at.isoformat(), loss.nodes] for loss in state.losses],
        "dropped_sha256": state.dropped_sha256,
    }
    conn.execute(insert(inventory_source).values(row))


def forget_source(conn: Connection, source: SourceId) -> int:
    """What was the source's is nobody's from now on, and nothing is known of it. Returns how many nodes that were."""
    nodes = 0
    for kind, table in TABLES.items():
        values = {"source": None} if kind == "cluster" else {"source": None, "said": null()}
        done = conn.execute(update(table).where(table.c.source == source).values(values))
        nodes = done.rowcount if kind == "node" else nodes
    conn.execute(delete(inventory_source).where(inventory_source.c.id == source))
    return nodes


def load_stored(conn: Connection) -> Stored:
    """The fleet, whose its units are, and what sources that keep records said of them."""
    owners: dict[str, dict[Any, SourceId]] = {}
    said: dict[str, dict[Any, Said]] = {}
    for kind, table in TABLES.items():
        columns = [table.c.name, table.c.source, *([] if kind == "cluster" else [table.c.said])]
        rows = conn.execute(select(*columns).where(table.c.source.is_not(None))).all()
        owners[kind] = {row.name: SourceId(row.source) for row in rows}
        said[kind] = {} if kind == "cluster" else {row.name: _to_said(row.said) for row in rows if row.said is not None}
    return Stored(
        fleet=load_fleet(conn),
        clusters=owners["cluster"],
        nodes=owners["node"],
        devices=owners["device"],
        node_said=said["node"],
        device_said=said["device"],
    )


def save_proposal(conn: Connection, stored: Stored, proposal: Proposal, source: SourceId) -> None:
    """Makes the stored fleet, and what is the source's, as proposed; writes only what differs."""
    apply_diff(conn, proposal.diff, proposal.fleet)
    owned: tuple[tuple[str, Mapping[Any, SourceId], Iterable[Any]], ...] = (
        ("cluster", stored.clusters, proposal.clusters),
        ("node", stored.nodes, proposal.nodes),
        ("device", stored.devices, proposal.devices),
    )
    for kind, before, after in owned:
        new = [name for name in after if before.get(name) != source]
        update_rows(conn, TABLES[kind], [{"name": name, "source": source} for name in sorted(new)])
    words: tuple[tuple[str, Mapping[Any, Said], Mapping[Any, Said]], ...] = (
        ("node", stored.node_said, proposal.node_said),
        ("device", stored.device_said, proposal.device_said),
    )
    for kind, known, said in words:
        changed = sorted(name for name, word in said.items() if known.get(name) != word)
        update_rows(conn, TABLES[kind], [{"name": name, "said": _said_row(said[name])} for name in changed])


def count_nodes(conn: Connection) -> Mapping[SourceId, int]:
    """How many nodes are whose."""
    node = TABLES["node"]
    owners = conn.execute(select(node.c.source).where(node.c.source.is_not(None))).scalars()
    found: dict[SourceId, int] = {}
    for owner in owners:
        found[SourceId(owner)] = found.get(SourceId(owner), 0) + 1
    return found


def list_stale(conn: Connection, now: datetime) -> Stale:
    """Units of which the last word is too old to be evidence, or could not be read."""
    found: dict[str, dict[Any, Reason]] = {"node": {}, "device": {}}
    for state in list_sources(conn):
        why = say_stale(state.last_word) if state.last_word.is_stale(now) else None
        unread = {(left.kind, left.unit): left.reason for left in state.not_taken}
        if why is None and not unread:
            continue
        for kind, units in found.items():
            table = TABLES[kind]
            for name in conn.execute(select(table.c.name).where(table.c.source == state.id)).scalars():
                reason = why or unread.get((kind, name))
                if reason is not None:
                    units[name] = reason
    return Stale(nodes=found["node"], devices=found["device"])


def stale_sources(conn: Connection, now: datetime) -> tuple[StaleSource, ...]:
    """Those whose last word is too old to be evidence, by id."""
    words = [state.last_word for state in list_sources(conn)]
    return tuple(
        StaleSource(
            word=word,
            nodes=_count_by_cluster(conn, "node", word.source),
            devices=_count_by_cluster(conn, "device", word.source),
        )
        for word in words
        if word.is_stale(now)
    )


def _count_by_cluster(conn: Connection, kind: str, source: SourceId) -> dict[ClusterId, int]:
    table = TABLES[kind]
    query = select(table.c.cluster, func.count()).where(table.c.source == source).group_by(table.c.cluster)
    return {ClusterId(name): number for name, number in conn.execute(query)}


def load_in_work(conn: Connection) -> tuple[InWork, frozenset[NodeId]]:
    """Units that a run holds, and all nodes of open windows, those that are done included."""
    held = conn.execute(select(unit_op.c.kind, unit_op.c.unit).where(unit_op.c.finished_at.is_(None))).all()
    nodes = frozenset(NodeId(row.unit) for row in held if row.kind == UnitKind.NODE.value)
    devices = frozenset(DeviceId(row.unit) for row in held if row.kind == UnitKind.DEVICE.value)
    is_open = (
        (window_run.c.run == unit_op.c.run)
        & (window_run.c.window == unit_op.c.window)
        & (window_run.c.state == WindowState.OPEN.value)
    )
    query = select(unit_op.c.unit).join(window_run, is_open).where(unit_op.c.kind == UnitKind.NODE.value)
    opened = frozenset(NodeId(name) for name in conn.execute(query).scalars())
    return InWork(nodes=nodes, devices=devices), nodes | opened


def save_hold(conn: Connection, hold: Hold) -> None:
    """Adds the hold, or replaces the one of its id."""
    conn.execute(delete(inventory_hold).where(inventory_hold.c.id == hold.id))
    body = _Body(reasons=hold.reasons, report=hold.report, diff=hold.diff)
    row = {
        "id": hold.id,
        "source": hold.source,
        "state": hold.state.value,
        "held_at": hold.held_at,
        "decided_at": hold.decided_at,
        "decided_by": hold.decided_by,
        "why": hold.why,
        "sha256": hold.sha256,
        "body": to_json(body).decode(),
    }
    conn.execute(insert(inventory_hold).values(row))


def load_hold(conn: Connection, hold: HoldId) -> Hold | None:
    """The hold of that id, or None."""
    row = conn.execute(select(inventory_hold).where(inventory_hold.c.id == hold)).first()
    return None if row is None else _to_hold(row)


def open_hold(conn: Connection, source: SourceId) -> Hold | None:
    """What of that source waits for a person, or None. There is one at most."""
    is_open = (inventory_hold.c.source == source) & (inventory_hold.c.state == HoldState.OPEN.value)
    row = conn.execute(select(inventory_hold).where(is_open)).first()
    return None if row is None else _to_hold(row)


def list_holds(conn: Connection, *, over: bool) -> tuple[Hold, ...]:
    """Those that are open, or all on record, oldest first."""
    query = select(inventory_hold).order_by(inventory_hold.c.held_at, inventory_hold.c.id)
    rows = conn.execute(query if over else query.where(inventory_hold.c.state == HoldState.OPEN.value))
    return tuple(_to_hold(row) for row in rows)


def open_holds(conn: Connection) -> tuple[tuple[HoldId, str], ...]:
    """Id and weight of each hold that is open, oldest first: as cheap as whoever looks every second needs it."""
    table = inventory_hold
    query = select(table.c.id, table.c.sha256).where(table.c.state == HoldState.OPEN.value)
    rows = conn.execute(query.order_by(table.c.held_at, table.c.id))
    return tuple((HoldId(row.id), row.sha256) for row in rows)


def last_dropped(conn: Connection, source: SourceId) -> Hold | None:
    """What a person dropped last of that source."""
    is_dropped = (inventory_hold.c.source == source) & (inventory_hold.c.state == HoldState.DROPPED.value)
    row = conn.execute(select(inventory_hold).where(is_dropped).order_by(inventory_hold.c.decided_at.desc())).first()
    return None if row is None else _to_hold(row)


def _to_source(row: Any) -> SourceState:
    return SourceState(
        id=SourceId(row.id),
        kind=SourceKind(row.kind),
        stale_after=timedelta(seconds=row.stale_after_seconds),
        tried_at=row.tried_at,
        observed_at=row.observed_at,
        failure=row.failure,
        not_taken=from_json(_NotTakenList, row.not_taken).items,
        losses=tuple(Loss(at=datetime.fromisoformat(at), nodes=nodes) for at, nodes in row.losses),
        dropped_sha256=row.dropped_sha256,
    )


def _to_hold(row: Row[Any]) -> Hold:
    body = from_json(_Body, row.body)
    return Hold(
        id=HoldId(row.id),
        source=SourceId(row.source),
        state=HoldState(row.state),
        held_at=row.held_at,
        reasons=body.reasons,
        report=body.report,
        diff=body.diff,
        sha256=row.sha256,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        why=row.why,
    )


def _to_said(word: Mapping[str, Any]) -> Said:
    return Said(versions=word["versions"], state=NodeState(word["state"]) if word["state"] else None)


def _said_row(said: Said) -> dict[str, Any]:
    return {"versions": dict(said.versions), "state": said.state.value if said.state else None}
