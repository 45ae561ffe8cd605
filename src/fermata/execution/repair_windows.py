"""Windows that no plan has: for work of people on nodes that no other window has out, or takes soon."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Node, NodeState
from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import NodeSeen
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.plans import DrainStep, Mode, VerifyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import WindowState
from fermata.domain.work_orders import WorkOrder
from fermata.execution.accounts import open_books
from fermata.execution.stage import Stage
from fermata.store import handovers, inventory, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.handovers import Handover

MINUTE = timedelta(minutes=1)


def open_repair_window(
    stage: Stage,
    conn: Connection,
    order: WorkOrder,
    nodes: Sequence[Node],
    seen: Mapping[NodeId, NodeSeen],
    now: datetime,
) -> Reason | None:
    """Locks and drains the nodes of an order that may begin, hands them to its people, and takes them back with proof.

    One window for each cluster, all or none. None when they opened, else why they wait: what is out is counted first.
    """
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
    for row in rows:
        members = tuple(clusters[row.cluster])
        ops = [_op(stage, row, name, rank, seen[name]) for rank, name in enumerate(members)]
        _open(stage, conn, row, order, ops)
    return None


def _row(stage: Stage, run: Run, order: WorkOrder, part: tuple[ClusterId, int], now: datetime) -> WindowRun:
    cluster, nodes = part
    defaults = stage.catalogue.defaults
    days = stage.campaign.fallout.mean_days_to_repair
    end = now + (defaults.drain_minutes.p90 + defaults.verify_minutes.p90) * MINUTE + timedelta(days=days)
    return WindowRun(
        run=stage.run,
        window=WindowId(f"rep-{order.id}-{cluster}"),
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


def _open(stage: Stage, conn: Connection, row: WindowRun, order: WorkOrder, ops: Sequence[UnitOp]) -> None:
    opened = replace(row, in_service_at_open=sum(op.in_service_before for op in ops))
    window = _window(stage, opened, [NodeId(op.unit) for op in ops])
    handovers.add_window(conn, stage.run, window, order.id)
    runs.add_windows(conn, [opened])
    stage.windows[row.window] = opened
    stage.handing.windows[row.window] = window
    open_books(stage, conn, opened, inventory.serving_nodes(conn, row.cluster), row.planned_start)
    unit_ops.insert_ops(conn, ops)
    stage.ownership.begin_cohort(conn, row.window)
    stage.roster.put(unit_ops.ops_of_window(conn, stage.run, row.window))
    found = [Handover(window=row.window, unit=op.unit, number=1, order=order.id, kind=order.kind) for op in ops]
    handovers.add_handovers(conn, stage.run, found, row.planned_start)
    for each in found:
        stage.handing.put(each)


def _window(stage: Stage, row: WindowRun, members: Sequence[NodeId]) -> Window:
    drained = row.planned_start + stage.catalogue.defaults.drain_minutes.p90 * MINUTE
    return Window(
        id=row.window,
        cluster=row.cluster,
        mode=row.mode,
        part=1,
        parts=1,
        start=row.planned_start,
        end=row.planned_end,
        nodes=tuple(members),
        updates=(),
        steps=(DrainStep(start=row.planned_start, end=drained), VerifyStep(start=drained, end=row.planned_end)),
        reboots_per_node=0,
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
        next_at=row.planned_start,
    )
