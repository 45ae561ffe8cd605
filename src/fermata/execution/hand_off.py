"""Hands units that wait for a repair to people: a work order with everything that is known, linked both ways."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import DeviceId, NodeId, OrderId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import UnitOp
from fermata.domain.policy import Policy, Said
from fermata.domain.request_kinds import IMPACTS, RequestKind, due_at, request_id
from fermata.domain.requests import build_order_requests
from fermata.domain.tail import TailItem, TailStep, plan_next
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import Target, TargetLevel, WorkOrder
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import inventory, journal, tail, work_orders
from fermata.store import requests as request_store
from fermata.store.database import Connection
from fermata.store.journal import Entry
from fermata.store.request_lines import say_changed

LINES_TOLD = 20  # of a unit's own history, the newest
NUMBER_LENGTH = 12  # of an order that was opened by itself: people type it


def find_lacking(stage: Stage, conn: Connection, ops: Sequence[UnitOp]) -> list[tuple[UnitOp, TailItem]]:
    """The units that only people can help and for which no order was opened."""
    items = tail.open_items(conn, stage.run) if ops else {}
    return [
        (op, item)
        for op in ops
        if (item := items.get((op.window, op.unit))) is not None
        and item.order is None
        and plan_next(op, item).step is TailStep.REPAIR
    ]


def hand_off(stage: Stage, conn: Connection, lacking: Sequence[tuple[UnitOp, TailItem]], now: datetime) -> None:
    """Opens an order of kind repair for each of these units; one that is open for the same unit already is taken
    instead.
    """
    if not lacking:
        return
    policy = inventory.load_policy(conn)
    known = {(order.kind, order.target): order for order in work_orders.load_open(conn).values()}
    opened: list[WorkOrder] = []
    for op, item in lacking:
        target = _target(op)
        order = known.get((RequestKind.REPAIR, target))
        if order is None:
            order = _order(stage, conn, op, policy, now)
            opened.append(order)
        tail.save_item(conn, replace(item, order=order.id))
    if opened:
        _put_to_customers(stage.fleet, conn, opened, now)


def _target(op: UnitOp) -> Target:
    level = TargetLevel.NODE if op.kind is UnitKind.NODE else TargetLevel.DEVICE
    return Target(level=level, name=op.unit)


def _order(stage: Stage, conn: Connection, op: UnitOp, policy: Policy, now: datetime) -> WorkOrder:
    """A node's repair is felt by no workload: it is empty and locked. Behind a device there may be some."""
    kind, criticality = RequestKind.REPAIR, Criticality.REGULAR
    number = content_sha256((op.run, op.window, op.unit, op.attempt, now))[:NUMBER_LENGTH]
    return WorkOrder(
        id=OrderId(f"wo_{number}"),
        kind=kind,
        supercomputer=stage.fleet_at(op.window).clusters[op.cluster].supercomputer,
        target=_target(op),
        cause=op.reason.sentence if op.reason is not None else f"{op.unit} failed",
        impact=Impact.IMPACTLESS if op.kind is UnitKind.NODE else IMPACTS[kind],
        criticality=criticality,
        opened=Said(actor=ACTOR, at=now),
        due_at=due_at(policy.notice, kind, criticality, opened_at=now, wanted_at=None),
        tail=f"{op.run}/{op.window}/{op.unit}",
        known=tuple(_known(stage, conn, op)),
    )


def _known(stage: Stage, conn: Connection, op: UnitOp) -> Iterable[str]:
    """What people need to begin with: versions, tries, and what the journal says of the unit."""
    versions: Mapping[str, str] = {}
    if op.kind is UnitKind.NODE:
        versions = stage.fleet_at(op.window).nodes[NodeId(op.unit)].versions
    else:
        device = stage.fleet_at(op.window).devices[DeviceId(op.unit)]
        versions = {device.component: stage.device_versions.get(device.name, device.version)}
    script = stage.script(op.window)
    running = {u.component: u.to_version for u in script.updates if script.bits[u.id] & op.active}
    yield from (f"version {name} {version}" for name, version in sorted({**versions, **running}.items()))
    yield from (f"tried {step} {times + 1} times" for step, times in sorted(op.retries.items()))
    kind = "node" if op.kind is UnitKind.NODE else "device"
    lines = journal.read(conn, subject=f"{kind}:{op.unit}")[-LINES_TOLD:]
    for line in lines:
        step = line.data.get("step", "")
        yield f"{line.at:%Y-%m-%d %H:%MZ} {line.event} {step}: {line.why}".rstrip(": ")


def _put_to_customers(fleet: Fleet, conn: Connection, opened: Sequence[WorkOrder], now: datetime) -> None:
    """Each joins the one request of its kind of its supercomputer, whose customers decide."""
    work_orders.save_orders(conn, opened)
    journal.append_many(conn, [_line(order, now) for order in opened])
    before = request_store.load_requests(conn)
    touched = {request_id(order.supercomputer, order.kind) for order in opened}
    built = build_order_requests(fleet, before, work_orders.load_open(conn).values())
    changed = tuple(r for r in built if r.id in touched and before.get(r.id) != r)
    request_store.save_requests(conn, changed)
    why = "nodes that failed in a window wait for their repair"
    journal.append_many(conn, [say_changed(r, before.get(r.id), ACTOR, now, why) for r in changed])


def _line(order: WorkOrder, now: datetime) -> Entry:
    data = {
        "request": order.request,
        "kind": order.kind.value,
        "target": str(order.target),
        "impact": order.impact.value,
        "criticality": order.criticality.value,
        "due_at": order.due_at.isoformat(),
        "tail": order.tail,
    }
    subject = f"order:{order.id}"
    return Entry(at=now, actor=ACTOR, event="order.opened", subject=subject, why=order.cause, data=data)
