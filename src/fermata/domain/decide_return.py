"""What a proven node needs next: the proof of its return is the only gate in front of its workloads."""

from datetime import timedelta
from typing import assert_never

from fermata.domain.decide_begin import Facts, bump, redo_labels
from fermata.domain.decisions import Decision, EndStep, GiveUp, HandBack, Leave, Park, Repeat, Watch
from fermata.domain.evidence import case_of
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitEvent
from fermata.domain.observations import Failed, NeverAsked, Progress, Running, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.readmission import NotReadmitted, Readmitted, judge
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import GIVE_BACK, RELEASE, VERIFY, WindowScript, name_step
from fermata.domain.versions import is_at_least
from fermata.domain.winding import say_given_back

EVERYTHING = -1  # as a mask of updates
LOOK_AGAIN = timedelta(minutes=5)
PERSON_LOOK = timedelta(minutes=30)  # what only a person can set free; whoever does is seen half an hour later
UNREAD = frozenset({Code.RETURN_NOT_READ, Code.RETURN_READ_EARLY, Code.RETURN_READ_STALE, Code.RETURN_READ_AHEAD})
DO_AGAIN = frozenset(
    {
        Code.RETURN_VERSION,
        Code.RETURN_CHECK_EARLY,
        Code.RETURN_CHECK_STALE,
        Code.RETURN_UNCHECKED,
        Code.RETURN_UNHEALTHY,
    }
)
BY_PEOPLE = frozenset({Code.RETURN_NOT_AS_BEFORE, Code.RETURN_CONSENT, Code.RETURN_UNLOCKED, Code.RETURN_IN_SERVICE})


def decide_return(op: UnitOp, progress: Progress | None, facts: Facts) -> Decision:
    """Hands the node back when the proof says yes now, or says what it waits for; what contradicts is done again.

    `progress`: of a return that was asked for already.
    """
    if op.asked is not Asked.NOTHING and not isinstance(progress, NeverAsked):
        return _judge_asked(op, progress, facts)
    ends = facts.wanted(op).abort is not None
    case = case_of(op, facts.script, facts.gaps.get(NodeId(op.unit)), facts.unproven, ends=ends)
    verdict = judge(case, facts.looked_at or facts.now)
    match verdict:
        case Readmitted():
            step = GIVE_BACK if op.in_service_before else RELEASE
            return HandBack(step=step) if op.asked is Asked.NOTHING else Repeat()
        case NotReadmitted(missing=missing):
            return _not_yet(op, missing, facts, ends=ends)
        case _:
            assert_never(verdict)


def _judge_asked(op: UnitOp, progress: Succeeded | Running | Failed | None, facts: Facts) -> Decision:
    match progress:
        case Succeeded():
            event = UnitEvent.GIVE_BACK if op.step == GIVE_BACK else UnitEvent.KEEP_OUT
            return Leave(event=event, reason=say_early(op, facts))
        case Running(check_again_at=again) if again is not None and again > facts.now:
            return Watch(until=again)
        case None | Running():
            return Watch(until=facts.now + LOOK_AGAIN)
        case Failed(why=why):
            failed = reason(Code.STEP_FAILED, step=name_step(op.step), tries=1, unit=op.unit, why=why)
            return _wait(op, failed, facts, PERSON_LOOK)
        case _:
            assert_never(progress)


def say_early(op: UnitOp, facts: Facts) -> Reason | None:
    """Why a node goes back without all that it was taken for; None when it has it, or when nobody ended its work."""
    abort = facts.wanted(op).abort
    is_done = not facts.script.nodes[NodeId(op.unit)].due & ~op.active
    return None if abort is None or is_done else say_given_back(op, abort)


def _not_yet(op: UnitOp, missing: tuple[Reason, ...], facts: Facts, *, ends: bool) -> Decision:
    """Without a look that counts nothing else is judged; it is asked for again, so its window waits for it."""
    codes = {why.code for why in missing}
    unread = next((why for why in missing if why.code in UNREAD), None)
    if unread is not None:
        return _wait(op, unread, facts, LOOK_AGAIN, listed=False)
    if codes & DO_AGAIN:
        return _do_again(op, missing, facts, op.active if ends else EVERYTHING)
    for_people = next((why for why in missing if why.code in BY_PEOPLE), None)
    if for_people is not None:
        return _wait(op, for_people, facts, LOOK_AGAIN)
    gate = Gate.DEVICE if codes == {Code.RETURN_DEVICE} else Gate.PROOF
    return _wait(op, missing[0], facts, LOOK_AGAIN, gate=gate, listed=False)


def _wait(
    op: UnitOp, why: Reason, facts: Facts, look: timedelta, *, gate: Gate = Gate.PROOF, listed: bool = True
) -> Park:
    """`listed`: on the list of what needs a person."""
    return Park(gate=gate, reason=why, position=op.position, step=op.step, until=facts.now + look, listed=listed)


def _do_again(op: UnitOp, missing: tuple[Reason, ...], facts: Facts, wanted: int) -> Decision:
    """What was proven is so no more: written and checked again under fresh keys, or given up. `wanted`: mask of what it
    goes back with.
    """
    lacking = _lacking(op, facts.script) & wanted
    labels = tuple(dict.fromkeys((VERIFY, *redo_labels(facts.script, op, lacking))))
    retries = bump(op.retries, labels)
    why = " ".join(reason.sentence for reason in missing)
    if any(retries[label] >= op.tries_max for label in labels):
        tries = max(retries[label] for label in labels)
        return GiveUp(reason=reason(Code.STEP_FAILED, step="its proof", tries=tries, unit=op.unit, why=why))
    return EndStep(
        event=UnitEvent.UNPROVE,
        applied=op.applied & ~lacking,
        active=op.active & ~lacking,
        retries=retries,
        why=why,
    )


def _lacking(op: UnitOp, script: WindowScript) -> int:
    """The mask of the updates whose component does not report their target."""
    own, reading = script.nodes[NodeId(op.unit)], op.evidence.reading
    versions = reading.versions if reading is not None else {}
    return sum(
        script.bits[update.id]
        for update in script.updates
        if script.bits[update.id] & own.due & ~op.undo
        and not is_at_least(versions.get(update.component, ""), update.to_version)
    )
