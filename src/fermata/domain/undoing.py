"""What a node needs next while updates on it are rolled back: a part of `decide`, asked first for such nodes.

`UnitOp.undo` masks the updates that are not to be on the node. Of these, `applied` are still to be written back, and
`active` wait for the reboot after that; when both are clear the node goes on with what else is due on it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fermata.domain.decide_begin import GATE_LOOK, HANG_FACTOR, Facts, bump, patience_for
from fermata.domain.decisions import Begin, Decision, EndStep, GiveUp, Park, Prove, Watch
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.intents import say_paused
from fermata.domain.node_states import UnitEvent, UnitState
from fermata.domain.observations import Failed, NodeSeen, Progress, Succeeded
from fermata.domain.operations import Gate, UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.recovery import builds_on, undo_order
from fermata.domain.scripts import (
    RESET_PREFIX,
    UNDO_PREFIX,
    UNDO_REBOOT,
    VERIFY,
    DeviceScript,
    name_step,
    undone_by,
)
from fermata.domain.updates import Update

RECOVER_TRIES_MAX = 3  # of a failed unit: then it waits for its repair like any other
RECOVER_AGAIN = timedelta(minutes=10)  # after the first try, twice that after the second
UNDO = "undo"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
PAUSE_LOOK = timedelta(hours=1)
REPORT_LOOK = timedelta(minutes=5)
_JUDGED_BY_REPORT = frozenset({UnitState.REBOOTING, UnitState.VERIFYING})


def decide_undo(op: UnitOp, node: NodeSeen | None, progress: Progress | None, facts: Facts) -> Decision | None:
    """The decision where rolling back makes a difference, else None. `progress`: of the call that is under way."""
    if not op.is_idle:  # intended, too: its process may have been killed after the call
        is_done = isinstance(progress, Succeeded) or (isinstance(progress, Failed) and _runs_anyway(op, node, facts))
        return _succeeded(op, node, facts) if is_done else None
    match op.state:
        case UnitState.DRAINED if is_undoing(op):
            return _begin_next(op, facts)
        case UnitState.PROVEN if is_undoing(op):
            return _end(op, UnitEvent.UNPROVE, op.applied, op.active)
        case UnitState.FAILED if node is not None and node.reachable:
            return _recover(op, facts)
        case _:
            return None


def is_undoing(op: UnitOp) -> bool:
    """True while something is still to be written back, or to be rebooted for it."""
    return bool(op.undo & (op.applied | op.active))


def _begin_next(op: UnitOp, facts: Facts) -> Decision:
    pause = facts.wanted(op).pause
    if pause is not None:
        why = say_paused(pause, op.unit)
        return Park(gate=Gate.PAUSE, reason=why, position=op.position, step="", until=facts.now + PAUSE_LOOK)
    to_write = op.undo & op.applied
    if not to_write:
        return _begin(op, UnitEvent.REBOOT, UNDO_REBOOT, patience_for(UNDO_REBOOT, facts))
    bits = facts.script.bits
    waiting = {update.id: update for update in facts.script.updates if bits[update.id] & to_write}
    found = _first_free(op, undo_order(waiting), facts)
    if isinstance(found, Reason):
        until = facts.now + GATE_LOOK
        return Park(gate=Gate.DEVICE, reason=found, position=op.position, step="", until=until)
    update = found
    patience = timedelta(minutes=round(update.duration_minutes.p90 * HANG_FACTOR))
    version = facts.undo_to(op)[update.id]
    return _begin(op, UnitEvent.UNDO, f"{UNDO_PREFIX}{version} {update.id}", patience)


def _first_free(op: UnitOp, ordered: tuple[Update, ...], facts: Facts) -> Update | Reason:
    """The first update that may go back now, or why none may: what builds on it goes first, here and on devices."""
    waiting: list[Update] = []
    why: Reason | None = None
    for update in ordered:
        first = _first_device(op, update, facts)
        if first is None and not any(builds_on(other, update) for other in waiting):
            return update
        waiting.append(update)
        if first is not None and why is None:
            told = {"update": update.id, "other": first.update.id, "place": first.device}
            why = reason(Code.RECOVERY_IN_TURN, unit=op.unit, **told)
    assert why is not None, "the first in order waits for nothing on the node itself"
    return why


def _first_device(op: UnitOp, update: Update, facts: Facts) -> DeviceScript | None:
    script = facts.script
    over = [script.devices[name] for name in script.nodes[NodeId(op.unit)].devices]
    return next((device for device in over if goes_back_first(device, update, facts)), None)


def goes_back_first(device: DeviceScript, update: Update, facts: Facts) -> bool:
    """True while what runs on the device builds on `update`, and is to be rolled back and is not yet."""
    if not builds_on(device.update, update):
        return False
    standing, state = facts.standing(device.device), facts.unproven.get(device.device)
    return standing is not None and bool(standing.undo) and state not in (None, UnitState.LEFT_OUT)


def _begin(op: UnitOp, event: UnitEvent, step: str, patience: timedelta) -> Begin:
    return Begin(
        event=event,
        step=step,
        attempt=op.retries.get(step, 0) + 1,
        position=op.position,
        patience=patience,
        slip_minutes=op.slip_minutes,
        changes_unit=True,
    )


def _recover(op: UnitOp, facts: Facts) -> Begin | Watch | None:
    """A failed node that can be reached is reset, which ends whatever hangs on it, and written back then."""
    if op.retries.get(UNDO, 0) >= RECOVER_TRIES_MAX:
        return None
    again = next_recovery(op)
    if again > facts.now:
        return Watch(until=again)
    return Begin(
        event=UnitEvent.RECOVER,
        step=RESET_PREFIX + UNDO,
        attempt=op.retries.get(UNDO, 0) + 1,
        position=op.position,
        patience=patience_for(RESET_PREFIX, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=True,
    )


def next_recovery(op: UnitOp) -> datetime:
    """When a failed unit, which is to be rolled back, may be reset: at once at first, then ever later."""
    return (op.failed_at or LONG_AGO) + RECOVER_AGAIN * op.retries.get(UNDO, 0)


def count_recovery(op: UnitOp) -> Mapping[str, int] | None:
    """The retries after a reset for the sake of a roll-back that came to nothing; None: they stay as they are."""
    return bump(op.retries, (UNDO,)) if op.step == RESET_PREFIX + UNDO else None


def _succeeded(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision | None:
    if op.state in _JUDGED_BY_REPORT and (node is None or not node.reachable):
        return None  # nothing is decided about versions that nobody read, here as anywhere
    match op.state:
        case UnitState.RECOVERING:
            return _written(op, node, facts)
        case UnitState.RESETTING if _runs_anyway(op, node, facts):
            return _written_before_reset(op, facts)
        case UnitState.REBOOTING if op.step == UNDO_REBOOT:
            return _rebooted(op, node, facts)
        case UnitState.VERIFYING if is_undoing(op):
            return _end(op, UnitEvent.STEP_ENDED, op.applied, op.active)
        case UnitState.VERIFYING:
            return _verified(op, node, facts)
        case _:
            return None


def _written(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision:
    update = facts.script.by_id[UpdateId(undone_by(op.step)[1])]
    bit = facts.script.bits[update.id]
    if update.needs_reboot:
        return _end(op, UnitEvent.STEP_ENDED, op.applied & ~bit, op.active | bit)
    if node is None or not node.reachable:
        return wait_for_report(op, facts, is_seen=node is not None)
    if not _runs(node, update, op, facts):
        return _unchanged(op, bit, facts)
    return _end(op, UnitEvent.STEP_ENDED, op.applied & ~bit, op.active & ~bit)


def wait_for_report(op: UnitOp, facts: Facts, *, is_seen: bool) -> Watch | GiveUp:
    """What was written back and not read since is looked at again, not written again. `is_seen`: the unit was looked at
    and cannot be reached: after its time it waits for a repair.
    """
    if is_seen and op.limit_at is not None and facts.now >= op.limit_at:
        minutes = round((facts.now - (op.step_started_at or facts.now)) / timedelta(minutes=1))
        return GiveUp(reason=reason(Code.NODE_UNREACHABLE, unit=op.unit, step=name_step(op.step), minutes=minutes))
    return Watch(until=facts.now + REPORT_LOOK, reason=reason(Code.RETURN_NOT_READ, unit=op.unit))


def _runs_anyway(op: UnitOp, node: NodeSeen | None, facts: Facts) -> bool:
    """True when a write that is said to have failed, or that was given up, is seen to have come right: what is there is
    not written again.
    """
    step = op.step.removeprefix(RESET_PREFIX)
    if not step.startswith(UNDO_PREFIX):
        return False
    update = facts.script.by_id[UpdateId(undone_by(step)[1])]
    is_reset = step != op.step  # which is a reboot, too
    return (is_reset or not update.needs_reboot) and _runs(node, update, op, facts)


def _written_before_reset(op: UnitOp, facts: Facts) -> EndStep:
    step = op.step.removeprefix(RESET_PREFIX)
    bit = facts.script.bits[UpdateId(undone_by(step)[1])]
    retries = {**op.retries, step: max(op.retries.get(step, 0), op.attempt)}  # no key of a reset is used twice
    event = UnitEvent.STEP_ENDED
    return EndStep(event=event, applied=op.applied & ~bit, active=op.active & ~bit, retries=retries)


def _rebooted(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision:
    bits = facts.script.bits
    asked = [update for update in facts.script.updates if bits[update.id] & op.undo & op.active]
    lacking = sum(bits[update.id] for update in asked if not _runs(node, update, op, facts))
    if lacking:
        return _unchanged(op, lacking, facts)
    return _end(op, UnitEvent.STEP_ENDED, op.applied, op.active & ~op.undo)


def _verified(op: UnitOp, node: NodeSeen | None, facts: Facts) -> Decision | None:
    """Proven for the old targets; what else was due on it is judged as on any node."""
    bits = facts.script.bits
    targets = facts.undo_to(op)
    undone = [update for update in facts.script.updates if bits[update.id] & op.undo and targets.get(update.id)]
    lacking = sum(bits[update.id] for update in undone if not _runs(node, update, op, facts))
    if lacking:
        return _unchanged(op, lacking, facts)
    due = facts.script.nodes[NodeId(op.unit)].due & ~op.undo
    return None if due & ~op.active else Prove(active=due)


def _runs(node: NodeSeen | None, update: Update, op: UnitOp, facts: Facts) -> bool:
    """True when the node itself reports the version that it was to be rolled back to, and no other."""
    version = facts.undo_to(op).get(update.id, "")
    return node is not None and bool(version) and node.versions.get(update.component) == version


def _unchanged(op: UnitOp, lacking: int, facts: Facts) -> Decision:
    """What claims to be written back does not run: write it again, or give up."""
    retries = bump(op.retries, (op.step, *_labels(op, lacking, facts)))
    why = "what was rolled back claimed success but the version is not the last known good"
    if any(tries >= op.tries_max for label, tries in retries.items() if label in (op.step, VERIFY)):
        tries = retries[op.step]
        return GiveUp(reason=reason(Code.STEP_FAILED, step=name_step(op.step), tries=tries, unit=op.unit, why=why))
    return EndStep(
        event=UnitEvent.STEP_ENDED,
        applied=op.applied | lacking,
        active=op.active & ~lacking,
        retries=retries,
        why=why,
    )


def _labels(op: UnitOp, lacking: int, facts: Facts) -> tuple[str, ...]:
    bits, targets = facts.script.bits, facts.undo_to(op)
    written = [f"{UNDO_PREFIX}{targets[u.id]} {u.id}" for u in facts.script.updates if bits[u.id] & lacking]
    return tuple(label for label in (*written, UNDO_REBOOT) if label != op.step)


def _end(op: UnitOp, event: UnitEvent, applied: int, active: int) -> EndStep:
    return EndStep(event=event, applied=applied, active=active, retries=op.retries)
