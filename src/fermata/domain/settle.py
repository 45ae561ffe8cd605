"""What the answer to a port call means for the unit it was about."""

from datetime import timedelta
from typing import assert_never

from fermata.domain.decide import POLL, retry
from fermata.domain.decide_begin import Facts
from fermata.domain.decide_return import say_early
from fermata.domain.decisions import Accept, Doubt, Leave, Postpone, Settlement
from fermata.domain.locking import leave_unlocked, stays_ours
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Accepted, Answer, Denied, Later, Overtaken, Unmade, Unsure
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.scripts import GIVE_BACK, name_step
from fermata.domain.train import try_again

DOUBT_LOOK = timedelta(minutes=1)  # a target that lost its answer deserves a moment before it is asked again
UNTOLD_LOOK = timedelta(minutes=10)  # at a unit whose notice is still to be delivered; then that is tried again, too
DENIED_LOOK = timedelta(hours=1)  # a refused return needs a person first


def judge_answer(op: UnitOp, answer: Answer, facts: Facts) -> Settlement:
    """Pure; `op` is the row with the intent."""
    match answer:
        case Accepted(check_again_at=again):
            return _accepted(op, facts, Accept(check_again_at=again))
        case Later() | Unsure() if op.is_idle:
            return _untold(op, answer, facts)
        case Later(after=after):
            return Postpone(until=facts.now + after)
        case Unsure():
            return Doubt(until=facts.now + DOUBT_LOOK)
        case Denied(why=why):
            return _denied(op, facts, why)
        case Unmade(old=old):
            seconds = round(old / timedelta(seconds=1))
            return Postpone(until=facts.now, unmade=f"{seconds} s had passed since it was decided: it is decided anew")
        case Overtaken():
            return Postpone(until=facts.now + DENIED_LOOK, stuck=reason(Code.UNIT_OVERTAKEN, unit=op.unit, run=op.run))
        case _:
            assert_never(answer)


def _untold(op: UnitOp, answer: Later | Unsure, facts: Facts) -> Postpone:
    """A repair notice that is not known to be delivered: the same key again, and the unit is looked at meanwhile."""
    is_new = op.failed_at is None or facts.now - op.failed_at < UNTOLD_LOOK
    wanted = answer.after if isinstance(answer, Later) else DOUBT_LOOK if is_new else UNTOLD_LOOK
    return Postpone(until=facts.now + min(wanted, UNTOLD_LOOK))


def _accepted(op: UnitOp, facts: Facts, answer: Accept) -> Settlement:
    match op.state:
        case UnitState.LOCKED | UnitState.FAILED | UnitState.IN_REPAIR:
            return Accept(check_again_at=None)
        case UnitState.PROVEN if answer.check_again_at is not None:
            return answer  # it is on its way back, and is back when that is observed
        case UnitState.PROVEN:
            event = UnitEvent.GIVE_BACK if op.step == GIVE_BACK else UnitEvent.KEEP_OUT
            return Leave(event=event, reason=say_early(op, facts))
        case _:
            return answer if answer.check_again_at is not None else Accept(check_again_at=facts.now + POLL)


def _denied(op: UnitOp, facts: Facts, why: str) -> Settlement:
    match op.state:
        case UnitState.LOCKED:
            return Postpone(until=facts.now + DENIED_LOOK) if stays_ours(op) else leave_unlocked(op, why)
        case UnitState.FAILED | UnitState.IN_REPAIR:
            return Accept(
                check_again_at=None
            )  # nobody takes repair notices: the tail list says it, and it is looked at
        case UnitState.PROVEN:
            stuck = reason(Code.STEP_FAILED, step=name_step(op.step), tries=1, unit=op.unit, why=why)
            return Postpone(until=facts.now + DENIED_LOOK, stuck=stuck)
        case _ if op.kind is UnitKind.RIDER:
            return try_again(op, why)
        case _ if facts.wanted(op).pause is not None:
            return Postpone(until=facts.now + POLL)
        case _:
            return retry(op, facts, why)
