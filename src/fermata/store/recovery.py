"""Roll-backs that were ordered, and what every node and shared device last ran well: the last known good per
component.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Column, Connection, ForeignKey, String, Table, Text, bindparam, func, select

from fermata.domain.fleet import Device
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import UnitOp
from fermata.domain.recovery import LastGood, RecoveryOrder
from fermata.store import inventory
from fermata.store.asking import ask, ask_value
from fermata.store.bulk import delete_names, insert_rows
from fermata.store.schema import Json, Sequence64, UtcTime, metadata
from fermata.store.unit_ops import unit_op

NAMES_PER_QUERY = 500

last_good = Table(
    "last_good",
    metadata,
    Column("name", String, primary_key=True),
    Column("versions", Json, nullable=False),
    Column("before", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)
device_last_good = Table(
    "device_last_good",
    metadata,
    Column("name", String, primary_key=True),
    Column("component", String, nullable=False),
    Column("version", String, nullable=False),
    Column("before", String, nullable=False),
    Column("at", UtcTime, nullable=False),
)
recovery_order = Table(
    "recovery_order",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False, index=True),
    Column("window", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("update", String, nullable=False),
    Column("to_version", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)
_ORDERED = recovery_order.c.run == bindparam("of_run")
_OF_RUN = select(recovery_order).where(_ORDERED).order_by(recovery_order.c.seq)
_LATEST = select(func.max(recovery_order.c.seq)).where(_ORDERED)

_MARKS = (
    select(
        unit_op.c.window,
        func.sum(unit_op.c.version),
        func.max(last_good.c.at),
        func.max(device_last_good.c.at),
    )
    .outerjoin(last_good, last_good.c.name == unit_op.c.unit)
    .outerjoin(device_last_good, device_last_good.c.name == unit_op.c.unit)
    .where(unit_op.c.run == bindparam("of_run"))
    .group_by(unit_op.c.window)
)

_NAMED: BindParameter[Any] = bindparam("of_names", expanding=True)
_GOOD = select(last_good).where(last_good.c.name.in_(_NAMED))
_DEVICES_GOOD = select(device_last_good).where(device_last_good.c.name.in_(_NAMED))


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGoods:
    """What is known of nodes and of devices."""

    nodes: Mapping[NodeId, LastGood]
    devices: Mapping[DeviceId, LastGood]

    def of(self, op: UnitOp) -> LastGood | None:
        """Of the unit of a row; None: nothing."""
        if op.kind is UnitKind.DEVICE:
            return self.devices.get(DeviceId(op.unit))
        return self.nodes.get(NodeId(op.unit))


def load_last_goods(conn: Connection, ops: Iterable[UnitOp]) -> LastGoods:
    """Of the units of these rows."""
    known = tuple(ops)
    return LastGoods(
        nodes=load_last_good(conn, {NodeId(op.unit) for op in known if op.kind is UnitKind.NODE}),
        devices=load_devices_last_good(conn, {DeviceId(op.unit) for op in known if op.kind is UnitKind.DEVICE}),
    )


def add_orders(conn: Connection, orders: Sequence[RecoveryOrder]) -> None:
    """Keeps them, in their order."""
    rows = [
        {
            "run": order.run,
            "window": order.window,
            "unit": order.unit,
            "update": order.update,
            "to_version": order.to_version,
            "actor": order.actor,
            "why": order.why,
            "at": order.at,
        }
        for order in orders
    ]
    insert_rows(conn, recovery_order, rows)


def load_orders(conn: Connection, run: RunId) -> tuple[RecoveryOrder, ...]:
    """All of a run, in the order in which they were given."""
    return tuple(_to_order(row) for row in ask(conn, _OF_RUN, of_run=run))


def latest_order(conn: Connection, run: RunId) -> int:
    """A number that grows with every order of the run; 0 while there is none."""
    return ask_value(conn, _LATEST, of_run=run) or 0


def mark_windows(conn: Connection, run: RunId) -> dict[WindowId, tuple[object, ...]]:
    """For each window that has opened, what differs as soon as one of its units moves, or something else is known to be
    good on it.
    """
    return {WindowId(window): tuple(marks) for window, *marks in conn.execute(_MARKS, {"of_run": run})}


def load_undone(conn: Connection, updates: Iterable[UpdateId]) -> dict[tuple[NodeId, UpdateId], datetime]:
    """When each of these updates was last ordered back, by node."""
    order = recovery_order.c
    asked = (
        select(order.unit, order.update, func.max(order.at))
        .where(order.update.in_(sorted(updates)))
        .group_by(order.unit, order.update)
    )
    return {(NodeId(unit), UpdateId(update)): at for unit, update, at in conn.execute(asked)}


def _to_order(row: Any) -> RecoveryOrder:
    return RecoveryOrder(
        run=RunId(row.run),
        window=WindowId(row.window),
        unit=row.unit,
        update=UpdateId(row.update),
        to_version=row.to_version,
        actor=row.actor,
        why=row.why,
        at=row.at,
    )


def load_last_good(conn: Connection, names: Iterable[NodeId]) -> dict[NodeId, LastGood]:
    """What is known of these nodes; those about which nothing is are absent."""
    wanted = sorted(names)
    found: dict[NodeId, LastGood] = {}
    for start in range(0, len(wanted), NAMES_PER_QUERY):
        chunk = wanted[start : start + NAMES_PER_QUERY]
        for row in conn.execute(_GOOD, {"of_names": chunk}):
            found[NodeId(row.name)] = LastGood(versions=row.versions, before=row.before, at=row.at)
    return found


def note_found(conn: Connection, versions: Mapping[NodeId, Mapping[str, str]], now: datetime) -> None:
    """Nodes in service of which nothing is on record: what they run there is good."""
    known = load_last_good(conn, versions)
    _insert(conn, {name: LastGood(versions=v, before={}, at=now) for name, v in versions.items() if name not in known})


def note_returned(conn: Connection, names: Sequence[NodeId], now: datetime) -> None:
    """Proven and given back: what the inventory has of them now is good, and what was good before is kept."""
    if not names:
        return
    known = load_last_good(conn, names)
    proven: dict[NodeId, Mapping[str, str]] = {}
    for start in range(0, len(names), NAMES_PER_QUERY):
        node = inventory.node
        asked = select(node.c.name, node.c.versions).where(node.c.name.in_(names[start : start + NAMES_PER_QUERY]))
        proven.update({NodeId(row.name): row.versions for row in conn.execute(asked)})
    changed: dict[NodeId, LastGood] = {}
    for name, versions in proven.items():
        old = known.get(name)
        if old is None:
            changed[name] = LastGood(versions=versions, before={}, at=now)
        elif old.versions != versions:
            moved = {c: v for c, v in old.versions.items() if versions.get(c) != v}
            changed[name] = replace(old, versions=versions, before={**old.before, **moved}, at=now)
    delete_names(conn, last_good, [name for name in changed if name in known])
    _insert(conn, changed)


def _insert(conn: Connection, found: Mapping[NodeId, LastGood]) -> None:
    rows = [
        {"name": name, "versions": dict(good.versions), "before": dict(good.before), "at": good.at}
        for name, good in sorted(found.items())
    ]
    insert_rows(conn, last_good, rows)


def load_devices_last_good(conn: Connection, names: Iterable[DeviceId]) -> dict[DeviceId, LastGood]:
    """What is known of these devices; those about which nothing is are absent."""
    wanted = sorted(names)
    found: dict[DeviceId, LastGood] = {}
    for start in range(0, len(wanted), NAMES_PER_QUERY):
        chunk = wanted[start : start + NAMES_PER_QUERY]
        for row in conn.execute(_DEVICES_GOOD, {"of_names": chunk}):
            before = {row.component: row.before} if row.before else {}
            found[DeviceId(row.name)] = LastGood(versions={row.component: row.version}, before=before, at=row.at)
    return found


def note_devices_found(conn: Connection, devices: Iterable[Device], now: datetime) -> None:
    """Devices in use of which nothing is on record: what they run is good."""
    found = {device.name: device for device in devices if device.version}
    known = load_devices_last_good(conn, found)
    rows = [_device_row(d.name, d.component, d.version, "", now) for name, d in found.items() if name not in known]
    insert_rows(conn, device_last_good, rows)


def note_devices_proven(conn: Connection, proven: Mapping[DeviceId, tuple[str, str]], now: datetime) -> None:
    """Component and version, as read back: good from now on, and what was good before is kept."""
    known = load_devices_last_good(conn, proven)
    rows = []
    for name, (component, version) in sorted(proven.items()):
        old = known.get(name)
        last = old.versions.get(component, "") if old is not None else ""
        if last != version:
            rows.append(_device_row(name, component, version, last, now))
    delete_names(conn, device_last_good, [row["name"] for row in rows if DeviceId(row["name"]) in known])
    insert_rows(conn, device_last_good, rows)


def _device_row(name: DeviceId, component: str, version: str, before: str, at: datetime) -> dict[str, Any]:
    return {"name": name, "component": component, "version": version, "before": before, "at": at}
