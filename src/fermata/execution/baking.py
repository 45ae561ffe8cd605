"""Watches nodes while they bake: who was given back and fails within the bake counts against what it was given."""

from collections.abc import Mapping
from datetime import datetime

from fermata.domain.gate_book import Failure, FailureKind, Returned
from fermata.domain.ids import NodeId
from fermata.domain.operations import Run
from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import TargetLevel
from fermata.execution.gating import keep_failures, open_book, rack_of
from fermata.execution.observe import observe_nodes
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import journal, work_orders
from fermata.store.journal import Entry


def watch_bake(stage: Stage, _run: Run, now: datetime) -> None:
    """Looks at every node that was given back within the bake: cannot it be reached, or was a repair asked for?"""
    phases = stage.campaign.phases
    bake = max(phases.full.bake, phases.control.gate.bake if phases.control else phases.full.bake)
    returned = open_book(stage).baking(bake, now)
    if not returned:
        return
    names = sorted({NodeId(one.unit) for one in returned})
    seen = observe_nodes(stage.site, names)
    gone = {name for name in names if name in seen and not seen[name].reachable}
    repairs = _repairs(stage)
    found = [
        (
            one,
            "cannot be reached" if NodeId(one.unit) in gone else f"repair asked for in {repairs[NodeId(one.unit)][1]}",
        )
        for one in returned
        if NodeId(one.unit) in gone or (NodeId(one.unit) in repairs and repairs[NodeId(one.unit)][0] > one.at)
    ]
    if not found:
        return
    with stage.database.begin() as conn:
        keep_failures(stage, conn, [_failure(stage, one, now) for one, _ in found])
        journal.append_many(conn, [_line(one, why, now) for one, why in found])


def _repairs(stage: Stage) -> Mapping[NodeId, tuple[datetime, str]]:
    """When a repair of each node was last asked for, and by which work order."""
    with stage.database.read() as conn:
        orders = work_orders.load_orders(conn)
    found: dict[NodeId, tuple[datetime, str]] = {}
    for order in sorted(orders.values(), key=lambda order: order.opened.at):
        if order.kind is RequestKind.REPAIR and order.target.level is TargetLevel.NODE:
            found[NodeId(order.target.name)] = (order.opened.at, order.id)
    return found


def _failure(stage: Stage, one: Returned, now: datetime) -> Failure:
    return Failure(
        window=one.window,
        unit=one.unit,
        rack=rack_of(stage, one.unit),
        kind=FailureKind.REGRESSED,
        updates=one.updates,
        at=now,
    )


def _line(one: Returned, why: str, now: datetime) -> Entry:
    data = {"window": one.window, "returned_at": one.at.isoformat(), "updates": sorted(one.updates)}
    return Entry(at=now, actor=ACTOR, event="node.regressed", subject=f"node:{one.unit}", why=why, data=data)
