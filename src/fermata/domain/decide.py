"""What one unit needs next: a pure function of its row, what is observed of it, the facts around it, and now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from fermata.domain.decide_begin import Facts, begin_device, begin_node, bump, patience_for, redo_labels
from fermata.domain.decide_return import decide_return
from fermata.domain.decide_waiting import TAIL_LOOK, look_at_waiting
from fermata.domain.decisions import (
    Begin,
    Decision,
    EndStep,
    GiveUp,
    Leave,
    Park,
    Prove,
    Repeat,
    Watch,
)
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.intents import Intent, say_ended, say_paused
from fermata.domain.late_freezes import keep_unlocked
from fermata.domain.locking import judge_lost_lock
from fermata.domain.node_states import EMPTY, UnitEvent, UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, Failed, NeverAsked, NodeSeen, Progress, Running, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.scripts import APPLY_PREFIX, DRAIN, LOCK, RESET_PREFIX, name_step
from fermata.domain.undoing import count_recovery, decide_undo
from fermata.domain.undoing_devices import decide_device_undo
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least
from fermata.domain.winding import end_failed, leave_device, prove_partly, undo, wait_for_end, wind_down

POLL = timedelta(minutes=5)  # when a target cannot tell how long it will be
DRAIN_LOOK = timedelta(minutes=10)  # a drain past its limit is waited for, by policy: nobody's job is killed
# what takes a node from its workloads, or changes it; health checks and returns go on whatever is held
BEGINS_SOMETHING = frozenset(
    {
        UnitState.LOCKED,
        UnitState.DRAINING,
        UnitState.APPLYING,
        UnitState.RECOVERING,
        UnitState.REBOOTING,
        UnitState.RESETTING,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was observed of one unit just now; None: nothing was. `looked`: somebody asked what it reports."""

    progress: Progress | None = None
    node: NodeSeen | None = None
    device: DeviceSeen | None = None
    looked: bool = False


NOTHING_SEEN = Seen()


def decide(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    """The one thing to do about a unit. An intent whose call may not have been made (asked is INTENDED) is judged anew,
    unless its call is harmless and repeated as it is: the world went on meanwhile. Nobody is locked in a freeze. A
    notice that is not delivered yet is tried again with each look that changes nothing.
    """
    first = _regain(op, seen, facts) or keep_unlocked(op, seen.progress, facts)
    if first is not None:
        return first
    decided = (_take_back(op, seen, facts) if op.undo else None) or _decide(op, seen, facts)
    is_told = op.asked is Asked.NOTHING or not op.is_idle
    return decided if is_told or not isinstance(decided, Watch) else Repeat()


def _take_back(op: UnitOp, seen: Seen, facts: Facts) -> Decision | None:
    if op.kind is UnitKind.DEVICE:
        return decide_device_undo(op, seen.progress, seen.device, facts)
    return decide_undo(op, seen.node, seen.progress, facts)


def _decide(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    if op.state is UnitState.PROVEN and op.kind is UnitKind.NODE:
        return decide_return(op, seen.progress, facts)
    if not op.is_idle:
        return _judge(op, seen, facts)
    match op.state:
        case UnitState.PENDING:
            return _lock(op, facts) if op.kind is UnitKind.NODE else _idle_device(op, seen, facts)
        case UnitState.LOCKED | UnitState.DRAINED:
            return _idle_node(op, seen, facts)
        case UnitState.FAILED | UnitState.IN_REPAIR:
            return look_at_waiting(op, seen.node, seen.device, facts)
        case _:
            raise AssertionError(f"{op.unit} is {op.state} with nothing asked")


def _regain(op: UnitOp, seen: Seen, facts: Facts) -> Decision | None:
    """The next step of a marked node towards our hands; None for others, and while something goes on on it, or people
    have it.
    """
    if op.astray_since is None or op.state not in EMPTY or op.state in (UnitState.FAILED, UnitState.IN_REPAIR):
        return None
    if op.asked is not Asked.NOTHING and not isinstance(seen.progress, NeverAsked):
        return None
    if op.state in (UnitState.DRAINED, UnitState.PROVEN):
        return _simple(op, facts, UnitEvent.LOCK, LOCK)
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=op.retries)


def _lock(op: UnitOp, facts: Facts) -> Decision:
    wanted = facts.wanted(op)
    if wanted.end is not None:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=say_ended(wanted.end, op.unit))
    if wanted.pause is not None:
        return _hold(op, facts, wanted.pause, "")
    return _simple(op, facts, UnitEvent.LOCK, LOCK)


def _idle_device(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    abort = facts.wanted(op).abort
    if abort is not None:
        return leave_device(op, seen.device, facts, abort, looked=seen.looked)
    return begin_device(op, facts)


def _idle_node(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    """A node that is locked or drained, with nothing under way."""
    abort = facts.wanted(op).abort
    if abort is not None and _is_emptied_first(op):
        return _simple(op, facts, UnitEvent.DRAIN, DRAIN)
    if abort is not None:
        return wind_down(op, seen.node, facts, abort, looked=seen.looked)
    return _drain(op, facts) if op.state is UnitState.LOCKED else begin_node(op, facts)


def _is_emptied_first(op: UnitOp) -> bool:
    """True of a node that is locked anew, since it was out of our hands or repaired: an abort gives it back only after
    a health check, for which it has to be empty.
    """
    return (op.begun or bool(op.retries)) and op.state in (UnitState.LOCKED, UnitState.DRAINING)


def _drain(op: UnitOp, facts: Facts) -> Decision:
    pause = facts.wanted(op).pause
    return _simple(op, facts, UnitEvent.DRAIN, DRAIN) if pause is None else _hold(op, facts, pause, DRAIN)


def _hold(op: UnitOp, facts: Facts, word: Intent, step: str) -> Park:
    why, until = say_paused(word, op.unit), facts.now + TAIL_LOOK
    return Park(gate=Gate.PAUSE, reason=why, position=op.position, step=step, until=until)


def _simple(op: UnitOp, facts: Facts, event: UnitEvent, step: str) -> Begin:
    return Begin(
        event=event,
        step=step,
        attempt=op.retries.get(step, 0) + 1,
        position=op.position,
        patience=patience_for(step, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=False,
    )


def _judge(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    progress = seen.progress
    abort = facts.wanted(op).abort
    if abort is not None and op.state is UnitState.DRAINING and not _is_emptied_first(op):
        return wind_down(op, seen.node, facts, abort, looked=seen.looked)
    match progress:
        case None | NeverAsked():
            return _ask_again(op, facts)
        case Running(check_again_at=again):
            if op.limit_at is not None and facts.now >= op.limit_at:
                return _hung(op, seen, facts, again)
            until = again if again is not None and again > facts.now else facts.now + POLL
            return Watch(until=min(until, op.limit_at) if op.limit_at else until)
        case Failed(why=why):
            return _failed(op, seen, facts, why)
        case Succeeded():
            return _succeeded(op, seen, facts)
        case _:
            assert_never(progress)


def _ask_again(op: UnitOp, facts: Facts) -> Decision:
    """Of a step that the target never heard of: what may not begin is not asked for."""
    wanted = facts.wanted(op)
    if op.state not in BEGINS_SOMETHING or wanted.is_free or (wanted.abort is not None and _is_emptied_first(op)):
        return Repeat()
    if wanted.abort is not None:
        return undo(op, wanted.abort)
    if wanted.pause is not None:
        return Watch(until=facts.now + POLL, reason=say_paused(wanted.pause, op.unit), held=True)
    return Repeat()


def _failed(op: UnitOp, seen: Seen, facts: Facts, why: str) -> Decision:
    """Another try, unless the unit runs what is said to have failed: what is there is not written again."""
    if op.state is UnitState.APPLYING:
        update = facts.script.by_id[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
        if not update.needs_reboot:
            if _is_unread(seen):
                return _unread(op, seen, facts)
            if is_at_least(_reported(seen, update), update.to_version):
                return _written(op, seen, facts)
    wanted = facts.wanted(op)
    if wanted.pause is not None and wanted.abort is None and op.state in BEGINS_SOMETHING:
        return Watch(until=facts.now + POLL, reason=say_paused(wanted.pause, op.unit))
    return judge_lost_lock(op, facts, why) if op.state is UnitState.LOCKED else retry(op, facts, why)


def _hung(op: UnitOp, seen: Seen, facts: Facts, again: datetime | None) -> Decision:
    minutes = round((facts.now - (op.step_started_at or facts.now)) / timedelta(minutes=1))
    if op.state is UnitState.DRAINING:
        until = again if again is not None and again > facts.now else facts.now + DRAIN_LOOK
        return Watch(until=until, reason=reason(Code.DRAIN_SLOW, unit=op.unit, minutes=minutes))
    if op.state is UnitState.LOCKED:
        return Watch(until=facts.now + POLL)  # nothing is done to a node of which nobody knows whether it is locked
    unreachable = seen.node is not None and not seen.node.reachable
    if unreachable or op.state is UnitState.RESETTING:
        why = reason(Code.NODE_UNREACHABLE, unit=op.unit, step=name_step(op.step), minutes=minutes)
        return GiveUp(reason=why, retries=count_recovery(op))
    wanted = facts.wanted(op)
    if wanted.abort is not None:
        return wait_for_end(op, facts, wanted.abort)
    if wanted.pause is not None:
        return Watch(until=facts.now + POLL, reason=say_paused(wanted.pause, op.unit))
    return retry(op, facts, f"no answer for {minutes} minutes", hung=True)


def retry(op: UnitOp, facts: Facts, why: str, *, hung: bool = False) -> Begin | EndStep | GiveUp:
    """Another try under a new key, after a power reset; or the tail list.

    A device that workloads need, because its update is impactless and nobody was drained, is reset only when it hangs;
    one for which nodes were drained not at all once others came behind it. Nor is a node that came into service.
    """
    if op.astray_since is not None:
        return _retry_astray(op, facts, why, hung=hung)
    if op.state in (UnitState.RESETTING, UnitState.DRAINING):
        told = reason(Code.STEP_FAILED, step=name_step(op.step), tries=op.attempt, unit=op.unit, why=why)
        return GiveUp(reason=told, retries=count_recovery(op))
    if facts.wanted(op).abort is not None:
        return end_failed(op, why)
    retries = bump(op.retries, (op.step,))
    if retries[op.step] >= op.tries_max:
        return GiveUp(
            reason=reason(Code.STEP_FAILED, step=name_step(op.step), tries=retries[op.step], unit=op.unit, why=why)
        )
    in_use = op.kind is UnitKind.DEVICE and not facts.script.devices[facts.device_id(op)].update.needs_drain
    if in_use and not hung:
        return EndStep(event=UnitEvent.STEP_ENDED, applied=0, active=0, retries=retries, why=why)
    lacking = facts.lacking.get(facts.device_id(op)) if op.kind is UnitKind.DEVICE else None
    if lacking is not None:
        return GiveUp(reason=lacking, retries=retries)
    return Begin(
        event=UnitEvent.RESET,
        step=RESET_PREFIX + op.step,
        attempt=retries[op.step],
        position=op.position,
        patience=patience_for(RESET_PREFIX, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=True,
        why=why,
    )


def _retry_astray(op: UnitOp, facts: Facts, why: str, *, hung: bool) -> Begin | EndStep | GiveUp:
    """A drain that came to nothing begins again with the lock; another step is tried again once the node is empty,
    unless it hangs: only a reset would end it.
    """
    if op.state is UnitState.DRAINING:
        return _simple(op, facts, UnitEvent.LOCK, LOCK)
    retries = bump(op.retries, (op.step,))
    if hung or op.state is UnitState.RESETTING or retries[op.step] >= op.tries_max:
        return GiveUp(reason=reason(Code.ASTRAY_STUCK, unit=op.unit, step=name_step(op.step)))
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries, why=why)


def _succeeded(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    match op.state:
        case UnitState.LOCKED:
            return _idle_node(op, seen, facts)
        case UnitState.DRAINING if op.astray_since is not None:
            return _simple(op, facts, UnitEvent.LOCK, LOCK)
        case UnitState.VERIFYING if op.astray_since is not None:
            return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=op.retries)
        case UnitState.DRAINING:
            return EndStep(event=UnitEvent.EMPTIED, applied=op.applied, active=op.active, retries=op.retries)
        case UnitState.RESETTING:
            return _reset(op, seen, facts)
        case UnitState.APPLYING:
            return _written(op, seen, facts)
        case UnitState.REBOOTING | UnitState.VERIFYING:
            return _judge_versions(op, seen, facts)
        case _:
            raise AssertionError(f"{op.unit} is {op.state} with a call under way")


def _reset(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    """Another try of the step that was given up, unless it is seen to have come right: a write that takes longer than
    anybody waits may end just before the reset.
    """
    tried = op.step.removeprefix(RESET_PREFIX)
    if tried.startswith(APPLY_PREFIX):
        if _is_unread(seen):
            return _unread(op, seen, facts)
        update = facts.script.by_id[UpdateId(tried.removeprefix(APPLY_PREFIX))]
        if is_at_least(_reported(seen, update), update.to_version):
            bit = facts.script.bits[update.id]
            if op.kind is UnitKind.DEVICE:
                return Prove(active=bit)
            applied, active = op.applied | bit, op.active | bit
            return EndStep(event=UnitEvent.STEP_ENDED, applied=applied, active=active, retries=op.retries)
    retries = {**op.retries, tried: max(op.retries.get(tried, 0), op.attempt)}  # no key of a reset is used twice
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries)


def _reported(seen: Seen, update: Update) -> str:
    """The version that the unit itself reports; empty when it was not looked at."""
    if seen.device is not None:
        return seen.device.version
    return seen.node.versions.get(update.component, "") if seen.node is not None else ""


def _written(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    update = facts.script.by_id[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
    bit = facts.script.bits[update.id]
    if update.needs_reboot:
        applied = op.applied | bit
        return EndStep(event=UnitEvent.STEP_ENDED, applied=applied, active=op.active, retries=op.retries)
    if _is_unread(seen):
        return _unread(op, seen, facts)
    if not is_at_least(_reported(seen, update), update.to_version):
        return _unchanged(op, bit, facts)
    if op.kind is UnitKind.DEVICE:
        return Prove(active=bit)
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied | bit, active=op.active | bit, retries=op.retries)


def _judge_versions(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    """After a reboot: what it activated. After a health check: everything that was due."""
    if _is_unread(seen):
        return _unread(op, seen, facts)
    script, own = facts.script, facts.script.nodes[NodeId(op.unit)]
    versions = seen.node.versions if seen.node else {}
    verifying = op.state is UnitState.VERIFYING
    if verifying and own.due & ~op.active & ~op.undo:
        abort = facts.wanted(op).abort
        if abort is not None:
            return prove_partly(op, seen.node, facts, abort)
        return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=op.retries)
    asked = own.due & ~op.undo if verifying else script.activates[op.position] & op.applied
    lacking = sum(
        script.bits[u.id]
        for u in script.updates
        if script.bits[u.id] & asked and not is_at_least(versions.get(u.component, ""), u.to_version)
    )
    if lacking:
        return _unchanged(op, lacking, facts)
    if verifying:
        return Prove(active=own.due & ~op.undo)
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active | asked, retries=op.retries)


def _is_unread(seen: Seen) -> bool:
    found = seen.node or seen.device
    return found is None or not found.reachable


def _unread(op: UnitOp, seen: Seen, facts: Facts) -> Decision:
    """Nothing is decided about versions that nobody read: asked again, until it counts as hung."""
    found = seen.node or seen.device
    if found is not None and op.limit_at is not None and facts.now >= op.limit_at:
        return _hung(op, seen, facts, None)
    return Watch(until=facts.now + POLL, reason=reason(Code.RETURN_NOT_READ, unit=op.unit))


def _unchanged(op: UnitOp, lacking: int, facts: Facts) -> Decision:
    """A false 'done': what claims to be written does not run. Write it again, or give up."""
    script = facts.script
    labels = (op.step, *redo_labels(script, op, lacking))
    retries = bump(op.retries, tuple(dict.fromkeys(labels)))
    names = ", ".join(sorted(u.id for u in script.updates if script.bits[u.id] & lacking))
    why = f"{names} claimed success but the version is not the target"
    if any(retries[label] >= op.tries_max for label in labels):
        tries = max(retries[label] for label in labels)
        return GiveUp(reason=reason(Code.STEP_FAILED, step=name_step(op.step), tries=tries, unit=op.unit, why=why))
    good = 0
    if op.state is UnitState.REBOOTING:
        good = script.activates[op.position] & op.applied & ~lacking
    return EndStep(
        event=UnitEvent.STEP_ENDED,
        applied=op.applied & ~lacking,
        active=(op.active | good) & ~lacking,
        retries=retries,
        why=why,
    )
