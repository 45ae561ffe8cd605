"""Watches nodes while they bake: who was given back and fails within the bake counts against what it was given.

Where a campaign names metrics, whoever was given back is watched until they speak for it or against it.
"""

from collections.abc import Mapping
from datetime import datetime

from fermata.domain.gate_book import Failure, FailureKind, Returned
from fermata.domain.ids import NodeId
from fermata.domain.metrics import Breach, Fine, Measure, Reading, Unread, judge_metrics
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
    breaches = _watch_metrics(stage, returned, now) if phases.metrics else []
    if not returned and not breaches:
        return
    names = sorted({NodeId(one.unit) for one in returned})
    seen = observe_nodes(stage.site, names)
    gone = {name for name in names if name in seen and not seen[name].reachable}
    repairs = _repairs(stage, since=now - bake)
    found = [
        (
            one,
            "cannot be reached" if NodeId(one.unit) in gone else f"repair asked for in {repairs[NodeId(one.unit)][1]}",
        )
        for one in returned
        if NodeId(one.unit) in gone or (NodeId(one.unit) in repairs and repairs[NodeId(one.unit)][0] > one.at)
    ]
    told = {(one.window, one.unit) for one, _ in found}
    found += [(one, why) for one, why in breaches if (one.window, one.unit) not in told]
    if not found:
        return
    with stage.database.begin() as conn:
        keep_failures(stage, conn, [_failure(stage, one, now) for one, _ in found])
        journal.append_many(conn, [_line(one, why, now) for one, why in found])


def _watch_metrics(stage: Stage, baking: tuple[Returned, ...], now: datetime) -> list[tuple[Returned, str]]:
    """Those whose metrics speak against them; of the others the book learns whether any speak for them."""
    book = open_book(stage)
    watched = {(one.window, one.unit): one for one in (*baking, *book.unmeasured())}
    if not watched:
        return []
    readings = _read_metrics(stage)
    breaches = []
    for one in watched.values():
        measure: Measure = judge_metrics(NodeId(one.unit), readings, since=one.at, now=now)
        if isinstance(measure, Breach):
            breaches.append((one, measure.why))
        else:
            book.note_measured(one.window, one.unit, "" if isinstance(measure, Fine) else measure.why)
    return breaches


def _read_metrics(stage: Stage) -> Mapping[str, Reading]:
    """Every metric that the campaign names; where nobody measures, nothing is known of any."""
    names, metrics = stage.campaign.phases.metrics, stage.site.metrics
    if metrics is None:
        return dict.fromkeys(names, Unread(why="no metrics are set here (FERMATA_METRICS)"))
    found = metrics.read(names)
    return {name: found.get(name, Unread(why="it was not answered")) for name in names}


def _repairs(stage: Stage, *, since: datetime) -> Mapping[NodeId, tuple[datetime, str]]:
    """When a repair of each node was last asked for, after `since`, and by which work order."""
    with stage.database.read() as conn:
        orders = work_orders.load_opened(conn, RequestKind.REPAIR, since)
    found: dict[NodeId, tuple[datetime, str]] = {}
    for order in sorted(orders, key=lambda order: order.opened.at):
        if order.target.level is TargetLevel.NODE:
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
