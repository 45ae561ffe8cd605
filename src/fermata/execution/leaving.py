"""Riders that leave the impactless train, since something else takes their node: one request at a time holds it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.ids import NodeId, WindowId
from fermata.domain.node_states import UnitEvent, UnitState, advance
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.execution.stage import Stage
from fermata.store import trains, unit_ops
from fermata.store.database import Connection

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


def find_barred(conn: Connection, ops: Iterable[UnitOp]) -> Mapping[int, Reason]:
    """By row id, riders on whose nodes nothing more begins in service, and why."""
    taken = unit_ops.nodes_in_work(conn)
    return {op.id: _say_end(op, "a window has it.") for op in ops if op.unit in taken}


def _say_end(op: UnitOp, why: str) -> Reason:
    return reason(Code.RIDE_ENDS, unit=op.unit, why=why)
