"""Windows that no plan has: for work of people on nodes that no other window has out, or takes soon."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.devices_along import NOTHING_ALONG, Along
from fermata.domain.fleet import Node, NodeState
from fermata.domain.ids import ClusterId, DeviceId, NodeId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import NodeSeen
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.plans import DeviceApplyStep, DrainStep, Mode, NodeApplyStep, RebootStep, Step, VerifyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import FOLDED
from fermata.domain.run_states import WindowState
from fermata.domain.scripts import DeviceScript
from fermata.domain.work_orders import TargetLevel, WorkOrder
from fermata.execution.accounts import open_books
from fermata.execution.bringing import choose_along, lay_out_along
from fermata.execution.last_good import note_as_found
from fermata.execution.leaving import leave_to_window
from fermata.execution.observe import Watched
from fermata.execution.stage import Stage
from fermata.planning.sequence import WindowSteps, shift_steps
from fermata.store import handovers, inventory, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.handovers import Handover

MINUTE = timedelta(minutes=1)


def open_repair_window(
    stage: Stage,
    conn: Connection,
    order: WorkOrder,
    nodes: Sequence[Node],
    watched: Watched,
    now: datetime,
) -> Reason | Mapping[DeviceId, Reason]:
    """Locks and drains the nodes of an order that may begin, hands them to its people, and takes them back with proof.

    One window for each cluster, all or none. When they opened, the shared devices whose due work stays with the plan,
    and why; else why they wait: what is out is counted first.
    """
    seen = watched.nodes
    run = runs.load_run(conn, stage.run)
    assert run is not None
    fleet = stage.score(run.plan).fleet
    unknown = [node.name for node in nodes if node.name not in fleet.nodes or node.name not in seen]
    if unknown:
        return reason(Code.UNREACHABLE, unit=unknown[0])
    taken = frozenset(node.name for node in nodes)
    out = unit_ops.nodes_in_work(conn)
    if taken & out:
        return reason(Code.ALREADY_HELD, unit=min(taken & out))
    clusters: dict[ClusterId, list[NodeId]] = {}
    for node in nodes:
        clusters.setdefault(node.cluster, []).append(node.name)
    watched = replace(watched, nodes={name: seen[name] for name in taken})
    along = _choose_along(stage, conn, run, order, watched, now)
    rows = [_row(stage, run, order, (cluster, len(members)), now) for cluster, members in sorted(clusters.items())]
    windows = runs.load_windows(conn, stage.run)
    uses = stage.capacity.uses(out, windows, now)
    full = stage.capacity.first_full(rows[0], taken, uses, now)
    if full is not None and order.started is None:  # what its people began is out already, whatever a limit says
        use, added = full
        return reason(
            Code.WAITS_FOR_CAPACITY,
            window=rows[0].window,
            nodes=added,
            limit=str(use.limit.what),
            allowed=use.allowed,
            used=use.used,
            until="the next look",
        )
    riding = leave_to_window(stage, conn, rows[0].window, taken, now)
    if riding is not None:
        return riding
    for row in rows:
        members = tuple(clusters[row.cluster])
        ops = [_op(stage, row, name, rank, seen[name]) for rank, name in enumerate(members)]
        steps = lay_out_along([fleet.nodes[name] for name in members], along, fleet, stage.catalogue)
        length = timedelta(minutes=steps.minutes) if steps is not None else timedelta(0)
        _open(stage, conn, replace(row, planned_end=row.planned_end + length), order, ops, steps)
        devices = {name: watched.devices[name] for name in stage.script(row.window).devices}
        note_as_found(conn, fleet, {name: seen[name] for name in members}, devices, now)
    return along.left


def _choose_along(stage: Stage, conn: Connection, run: Run, order: WorkOrder, watched: Watched, now: datetime) -> Along:
    """Nothing is written on what leaves its place."""
    return choose_along(stage, conn, run.plan, order.id, watched, now) if order.kind in FOLDED else NOTHING_ALONG


def list_windows(stage: Stage, order: WorkOrder) -> list[Window]:
    """Those that the run has opened for the order so far: more than one where its nodes were let go untouched."""
    return [window for window in stage.handing.windows.values() if window.id.startswith(f"rep-{order.id}-")]


def _new_id(stage: Stage, order: WorkOrder, cluster: ClusterId) -> WindowId:
    before = sum(window.cluster == cluster for window in list_windows(stage, order))
    return WindowId(f"rep-{order.id}-{cluster}" + (f"-{before + 1}" if before else ""))


def _row(stage: Stage, run: Run, order: WorkOrder, part: tuple[ClusterId, int], now: datetime) -> WindowRun:
    cluster, nodes = part
    defaults = stage.catalogue.defaults
    days = stage.campaign.fallout.mean_days_to_repair
    end = now + (defaults.drain_minutes.p90 + defaults.verify_minutes.p90) * MINUTE + timedelta(days=days)
    return WindowRun(
        run=stage.run,
        window=_new_id(stage, order, cluster),
        plan=run.plan,
        cluster=cluster,
        mode=Mode.ROLLING,
        part=1,
        parts=1,
        nodes=nodes,
        planned_start=now,
        planned_end=end,
        back_by=end,
        hard_stop=end,
        state=WindowState.OPEN,
        opened_at=now,
        taken=nodes,
        recheck_at=end,
        behind_minutes=0,
    )


def _open(
    stage: Stage,
    conn: Connection,
    row: WindowRun,
    order: WorkOrder,
    ops: Sequence[UnitOp],
    along: WindowSteps | None,
) -> None:
    end = row.planned_end
    opened = replace(
        row, in_service_at_open=sum(op.in_service_before for op in ops), back_by=end, hard_stop=end, recheck_at=end
    )
    window = _window(stage, opened, [NodeId(op.unit) for op in ops], along)
    handovers.add_window(conn, stage.run, window, order.id)
    runs.add_windows(conn, [opened])
    stage.windows[row.window] = opened
    stage.handing.windows[row.window] = window
    open_books(stage, conn, opened, inventory.serving_nodes(conn, row.cluster), row.planned_start)
    script = stage.script(row.window)
    devices = [_device_op(stage, row, device, rank) for rank, device in enumerate(script.devices.values())]
    unit_ops.insert_ops(conn, (*ops, *devices))
    stage.ownership.begin_cohort(conn, row.window)
    stage.roster.put(unit_ops.ops_of_window(conn, stage.run, row.window))
    target = order.target.name if order.target.level is TargetLevel.DEVICE else None
    units = [*(op.unit for op in ops), *(op.unit for op in devices if op.unit == target)]
    found = [Handover(window=row.window, unit=unit, number=1, order=order.id, kind=order.kind) for unit in units]
    handovers.add_handovers(conn, stage.run, found, row.planned_start)
    for each in found:
        stage.handing.put(each)


def _window(stage: Stage, row: WindowRun, members: Sequence[NodeId], along: WindowSteps | None) -> Window:
    """Drain, what comes `along` once the people are through, and the proof."""
    drained = row.planned_start + stage.catalogue.defaults.drain_minutes.p90 * MINUTE
    steps: list[Step] = [DrainStep(start=row.planned_start, end=drained)]
    checked = drained
    if along is not None:
        begins = row.planned_end - timedelta(minutes=along.minutes)
        work = [each for each in along.steps if isinstance(each, NodeApplyStep | DeviceApplyStep | RebootStep)]
        steps += shift_steps(work, begins)
        checked = max(step.end for step in steps)
    return Window(
        id=row.window,
        cluster=row.cluster,
        mode=row.mode,
        part=1,
        parts=1,
        start=row.planned_start,
        end=row.planned_end,
        nodes=tuple(members),
        updates=along.updates if along is not None else (),
        steps=(*steps, VerifyStep(start=checked, end=max(checked, row.planned_end))),
        reboots_per_node=along.reboots_per_node if along is not None else 0,
        end_confidence=0.5,
    )


def _op(stage: Stage, row: WindowRun, name: NodeId, rank: int, seen: NodeSeen) -> UnitOp:
    node = stage.score(row.plan).fleet.nodes[name]
    return UnitOp(
        id=0,
        run=stage.run,
        window=row.window,
        unit=name,
        kind=UnitKind.NODE,
        cluster=row.cluster,
        fault_domain=node.fault_domain,
        rank=rank,
        in_service_before=seen.state is NodeState.IN_SERVICE,
        versions_before=seen.versions,
        next_at=row.planned_start,
    )


def _device_op(stage: Stage, row: WindowRun, device: DeviceScript, rank: int) -> UnitOp:
    return UnitOp(
        id=0,
        run=stage.run,
        window=row.window,
        unit=device.device,
        kind=UnitKind.DEVICE,
        cluster=row.cluster,
        fault_domain="",
        rank=rank,
        in_service_before=True,
        position=device.step,
        next_at=row.planned_start,
    )
