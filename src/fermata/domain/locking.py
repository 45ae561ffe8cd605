"""What becomes of a node whose lock was refused, or does not hold although its answer was lost: a part of `decide`."""

from fermata.domain.decide_begin import Facts, patience_for
from fermata.domain.decisions import Begin, Leave
from fermata.domain.node_states import UnitEvent
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.scripts import LOCK


def stays_ours(op: UnitOp) -> bool:
    """True of a node that is locked anew: something was changed on it, or is to be rolled back. It is not left out,
    whatever its target says.
    """
    return op.begun or op.astray_since is not None or op.taken_again_at is not None


def leave_unlocked(op: UnitOp, why: str) -> Leave:
    """The node stays as it is: nothing was done to it, and whoever holds its workloads does not let us have it."""
    return Leave(event=UnitEvent.LEAVE_OUT, reason=reason(Code.NOT_LOCKED, unit=op.unit, window=op.window, why=why))


def judge_lost_lock(op: UnitOp, facts: Facts, why: str) -> Begin | Leave:
    """Somebody took the lock off before anybody saw that it was accepted. A node that stays ours is locked once more,
    under a key that its target has not judged yet; it is on the tail list already.
    """
    if not stays_ours(op):
        return leave_unlocked(op, why)
    tries = max(op.retries.get(LOCK, 0), op.attempt)
    return Begin(
        event=UnitEvent.LOCK,
        step=LOCK,
        attempt=tries + 1,
        position=op.position,
        patience=patience_for(LOCK, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=False,
        why=why,
        retries={**op.retries, LOCK: tries},
    )
