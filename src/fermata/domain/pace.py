"""Ahead, on time or behind: when enough of an open window's nodes are back at the plan's own speed, against its end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import VerifyStep
from fermata.domain.scripts import WindowScript

MINUTE = timedelta(minutes=1)


def minutes_behind(
    script: WindowScript, working: Iterable[UnitOp], *, may_miss: int, verify: timedelta, now: datetime
) -> int | None:
    """Minutes by which the window is late (positive) or early (negative) when all but `may_miss` nodes are back.

    A plan pools its spare time in the verify step, of which a node needs `verify`: late is only who uses up all of it,
    early who is ahead of the steps themselves; in between a window is on time, 0. `working`: its nodes that are
    neither finished nor on the tail list; None when there are none.
    """
    back = sorted((_projected_back(script, op, verify, now) for op in working), reverse=True)
    if not back:
        return None
    enough = back[min(max(may_miss, 0), len(back) - 1)]
    if enough > script.window.end:
        return round((enough - script.window.end) / MINUTE)
    return min(0, round((enough - bare_end(script, verify)) / MINUTE))


def bare_end(script: WindowScript, verify: timedelta) -> datetime:
    """When the plan's steps end without the spare time that the verify step pools; `verify`: what one node needs."""
    start = next(step.start for step in script.steps if isinstance(step, VerifyStep))
    return min(start + verify, script.window.end)


def _projected_back(script: WindowScript, op: UnitOp, verify: timedelta, now: datetime) -> datetime:
    """When a node is back if what it still has to do takes as long, and waits as long, as planned."""
    start, end = script.planned(op.position)
    is_verify = isinstance(script.steps[op.position], VerifyStep)
    takes = verify if is_verify else end - start
    rest = timedelta(0) if is_verify else bare_end(script, verify) - end
    match op.state:
        case UnitState.PROVEN | UnitState.RETURNED | UnitState.KEPT_OUT | UnitState.LEFT_OUT:
            return now
        case UnitState.APPLYING | UnitState.RECOVERING | UnitState.REBOOTING | UnitState.VERIFYING | UnitState.DRAINING:
            return max(now, (op.step_started_at or now) + takes) + rest
        case UnitState.DRAINED:
            return max(now, start) + takes + rest
        case UnitState.PENDING | UnitState.LOCKED | UnitState.RESETTING | UnitState.FAILED:
            return now + takes + rest
        case _:
            assert_never(op.state)
