"""Ahead, on time or behind: how late an open window's nodes are against the plan's own steps."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.scripts import WindowScript

MINUTE = timedelta(minutes=1)


def minutes_behind(
    script: WindowScript, working: Iterable[UnitOp], taken: int, threshold: float, now: datetime
) -> int | None:
    """Minutes by which the window is late (negative: early) when `threshold` of the nodes `taken` are to be back.

    `working`: its nodes that are neither finished nor on the tail list; None when there are none.
    """
    late = sorted((_lateness(script, op, now) for op in working), reverse=True)
    if not late:
        return None
    stragglers = int(taken * (1 - threshold))
    return late[min(stragglers, len(late) - 1)]


def _lateness(script: WindowScript, op: UnitOp, now: datetime) -> int:
    if op.state is UnitState.PROVEN:
        return round((now - script.window.end) / MINUTE)
    start, end = script.planned(op.position)
    if op.state in (UnitState.APPLYING, UnitState.REBOOTING, UnitState.RESETTING, UnitState.VERIFYING):
        return max(op.slip_minutes, round((now - end) / MINUTE))
    if op.state is UnitState.DRAINED:
        return round((now - start) / MINUTE) if now > start else op.slip_minutes
    return max(round(((op.locked_at or now) - start) / MINUTE), round((now - end) / MINUTE))
