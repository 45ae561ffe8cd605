"""Riders that leave the impactless train: something else takes their node, which one request at a time holds, or what
let them board is no more.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.free_work import find_lacks
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.node_states import UnitEvent, UnitState, advance
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.train import say_end
from fermata.domain.updates import Update
from fermata.domain.windows import Interval
from fermata.execution.consented import read_cached
from fermata.execution.stage import Stage
from fermata.execution.yard import Yard
from fermata.store import trains, unit_ops
from fermata.store.database import Connection

MINUTE = timedelta(minutes=1)
RIDE_LOOK = timedelta(minutes=5)  # of a window that waits for riders


def leave_to_window(
    stage: Stage, conn: Connection, window: WindowId, nodes: Collection[NodeId], now: datetime
) -> Reason | None:
    """Riders of `nodes` that write nothing leave their train, in the transaction that opens the window. Returns why
    the window has to wait: nodes that still write in service.
    """
    mine = [op for op in trains.unfinished_riders(conn) if op.unit in nodes]
    leave_train(stage, conn, window, (op for op in mine if op.state is UnitState.PENDING), now)
    riding = [op for op in mine if op.state is not UnitState.PENDING]
    return say_riding(riding, window, f"{now + RIDE_LOOK:%H:%MZ}") if riding else None


def leave_train(stage: Stage, conn: Connection, window: WindowId, riders: Iterable[UnitOp], now: datetime) -> None:
    """None of them may be writing. Raises Stale."""
    left = [
        replace(
            op,
            state=advance(op.kind, op.state, UnitEvent.LEAVE_OUT),
            gate=None,
            next_at=None,
            reason=reason(Code.WINDOW_TAKES, unit=op.unit, window=window),
            finished_at=now,
            version=op.version + 1,
        )
        for op in riders
    ]
    if left:
        trains.save_riders(conn, [(op.version - 1, op) for op in left])
        stage.yard = None


def say_riding(riding: Collection[UnitOp], window: str, until: str) -> Reason:
    """Why nodes are not taken now on which riders write."""
    return reason(
        Code.RIDES_ALONG, window=window, nodes=len(riding), example=min(op.unit for op in riding), until=until
    )


def find_riders(conn: Connection) -> Mapping[NodeId, UnitOp]:
    """Whoever rides, of whatever run, by node."""
    return {NodeId(op.unit): op for op in trains.unfinished_riders(conn)}


def find_hung(conn: Connection) -> frozenset[NodeId]:
    """Nodes in service on which a rider's write never ended: no window takes them."""
    return frozenset(name for name, op in find_riders(conn).items() if op.state is UnitState.FAILED)


def find_barred(
    stage: Stage, conn: Connection, yard: Yard, ops: Iterable[UnitOp], now: datetime
) -> Mapping[int, Reason]:
    """By row id, riders on whose nodes nothing more begins in service, and why: a window has it, or consent to what is
    written next is gone, which can be withdrawn until then.
    """
    may_begin = [op for op in ops if op.state is UnitState.PENDING or op.asked in (Asked.INTENDED, Asked.UNSURE)]
    taken = unit_ops.nodes_in_work(conn)
    found = {op.id: say_end(op, "a window has it.") for op in may_begin if op.unit in taken}
    wanted: dict[NodeId, tuple[Update, Interval]] = {}
    for op in may_begin:
        update = _next_update(stage, yard, op)
        if op.id not in found and update is not None:
            wanted[NodeId(op.unit)] = update, Interval(now, now + MINUTE * round(update.duration_minutes.p90))
    if not wanted:
        return found
    said = read_cached(stage, conn)
    nodes = {name: stage.fleet.nodes[name] for name in wanted}
    clusters = {node.cluster: stage.fleet.clusters[node.cluster] for node in nodes.values()}
    lacks = find_lacks(nodes, clusters, said.policy, said.ledger, wanted)
    return found | {op.id: lacks[NodeId(op.unit)] for op in may_begin if op.unit in lacks and op.id not in found}


def _next_update(stage: Stage, yard: Yard, op: UnitOp) -> Update | None:
    """What is written next, or may not have been asked for yet; None: everything is."""
    due = yard.dues[op.window][NodeId(op.unit)] & ~op.active
    names = (name for bit, name in enumerate(yard.trains[op.window].updates) if due >> bit & 1)
    name = next(names, None)
    return None if name is None else stage.catalogue.updates[name]
