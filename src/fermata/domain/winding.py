"""What a unit does after an abort: it goes back as soon as something proves it, lets end what runs, begins nothing."""

from datetime import timedelta

from fermata.domain.decide_begin import Facts, bump, patience_for
from fermata.domain.decisions import Begin, Decision, EndStep, GiveUp, Leave, Park, Prove, Watch
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.intents import Intent, say_ended, way_out
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.domain.operations import Gate, UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import APPLY_PREFIX, VERIFY, WindowScript, name_step
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least

# Empty for longer, a node's health is checked before workloads come back, although nothing was done to it: links and
# GPUs that nobody uses fail as others do, and nobody notices. Two hours are within what draining alone may take.
CHECK_AFTER = timedelta(hours=2)
STAYS_LOOK = timedelta(hours=1)  # a word that lets it go on wakes it at once
RUNS_LOOK = timedelta(minutes=5)


def needs_look(op: UnitOp, abort: Intent | None) -> bool:
    """True when a unit is decided about by what it reports now, since it is to go back."""
    if abort is None:
        return False
    if op.kind is UnitKind.DEVICE:
        return op.state is UnitState.PENDING and op.begun
    return op.state in (UnitState.LOCKED, UnitState.DRAINING, UnitState.DRAINED)


def wind_down(op: UnitOp, node: NodeSeen | None, facts: Facts, word: Intent, *, looked: bool) -> Decision:
    """What a node does that is held and idle, or whose drain goes on: nothing of it may begin any more.

    `looked`: somebody asked what it reports, and `node` is the answer.
    """
    script = facts.script
    tried = [u.id for u in script.updates if _is_unproven(op, u, script)]
    if tried:
        names = ", ".join(sorted(tried))
        why = reason(Code.NOT_PROVEN_YET, unit=op.unit, place=word.place, updates=names, verb=way_out(word))
        return _park(op, facts, Gate.ABORT, why, listed=True)
    device = _device_in_work(op, facts)
    if device is not None:
        why = reason(
            Code.WAITS_FOR_DEVICE,
            unit=op.unit,
            device=device.unit,
            update=script.devices[DeviceId(device.unit)].update.id,
            state=device.state,
        )
        return _park(op, facts, Gate.DEVICE, why, listed=device.state is UnitState.FAILED)
    long_empty = op.locked_at is not None and facts.now - op.locked_at >= CHECK_AFTER
    if op.state is UnitState.DRAINED and (op.begun or op.retries or long_empty):
        return _check_health(op, facts)
    if not looked:
        return Watch(until=facts.now)
    return _judge_unchanged(op, node, facts, word)


def _is_unproven(op: UnitOp, update: Update, script: WindowScript) -> bool:
    """True when the update was written, or a try to write it failed, and it is not seen to run: half a write may look
    like none.
    """
    bit = script.bits[update.id]
    return not op.active & bit and bool(op.applied & bit or op.retries.get(APPLY_PREFIX + update.id))


def _judge_unchanged(op: UnitOp, node: NodeSeen | None, facts: Facts, word: Intent) -> Decision:
    if node is None or not node.reachable:
        why = reason(Code.UNREACHABLE, unit=op.unit)
        return Watch(until=facts.now + RUNS_LOOK, reason=why, listed=True)
    changed = _find_change(op, node, facts, word)
    if changed is not None:
        return Watch(until=facts.now + STAYS_LOOK, reason=changed, listed=True)
    return Prove(event=UnitEvent.UNCHANGED, active=op.active, reason=say_given_back(op, word))


def prove_partly(op: UnitOp, node: NodeSeen | None, facts: Facts, word: Intent) -> Decision:
    """A healthy node that goes back with what is done: that runs as written, and the rest as it was."""
    if node is None:
        return Watch(until=facts.now + RUNS_LOOK)
    changed = _find_change(op, node, facts, word)
    if changed is not None:
        return Watch(until=facts.now + STAYS_LOOK, reason=changed, listed=True)
    return Prove(active=op.active, reason=say_given_back(op, word))


def _find_change(op: UnitOp, node: NodeSeen, facts: Facts, word: Intent) -> Reason | None:
    """Why what a node reports proves nothing, or None: each component is as it was, or as an update made it."""
    before = facts.nodes_before[NodeId(op.unit)].versions if op.versions_before is None else op.versions_before
    made = {u.component: u.to_version for u in facts.script.updates if facts.script.bits[u.id] & op.active}
    for component in sorted(before.keys() | made.keys()):
        found = node.versions.get(component, "")
        wanted = made.get(component)
        if found == before.get(component) or (wanted is not None and is_at_least(found, wanted)):
            continue
        return reason(
            Code.CHANGED_MEANWHILE,
            unit=op.unit,
            place=word.place,
            component=component,
            found=found or "not reported",
            before=wanted or before.get(component, ""),
            verb=way_out(word),
        )
    return None


def say_given_back(op: UnitOp, word: Intent) -> Reason:
    """Why a node goes back without all that it was taken for."""
    how = "with part of its work done" if op.active else "unchanged"
    return reason(Code.GIVEN_BACK, unit=op.unit, how=how, place=word.place, who=word.who)


def _check_health(op: UnitOp, facts: Facts) -> Begin:
    own = facts.script.nodes[NodeId(op.unit)]
    return Begin(
        event=UnitEvent.VERIFY,
        step=VERIFY,
        attempt=op.retries.get(VERIFY, 0) + 1,
        position=own.steps[-1],
        patience=patience_for(VERIFY, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=False,
    )


def _device_in_work(op: UnitOp, facts: Facts) -> UnitOp | None:
    """A device that the node hangs on and that needs it empty, as long as it was begun and is not proven."""
    for name in facts.script.nodes[NodeId(op.unit)].devices:
        device = facts.standing(name)
        if device is None or not device.begun or not facts.script.devices[name].update.needs_drain:
            continue
        if device.state not in (UnitState.PROVEN, UnitState.LEFT_OUT):
            return device
    return None


def _park(op: UnitOp, facts: Facts, gate: Gate, why: Reason, *, listed: bool) -> Park:
    until = facts.now + STAYS_LOOK
    return Park(gate=gate, reason=why, position=op.position, step=op.step, until=until, listed=listed)


def leave_device(op: UnitOp, seen: DeviceSeen | None, facts: Facts, word: Intent, *, looked: bool) -> Decision:
    """An idle device: untouched, it is left out. Once something was tried on it, only what it reports lets go of it."""
    if not op.begun:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=say_ended(word, op.unit))
    if not looked:
        return Watch(until=facts.now)
    device = facts.device_id(op)
    update = facts.script.devices[device].update
    if seen is None or not seen.reachable:
        why = reason(Code.UNREACHABLE, unit=op.unit)
        return Watch(until=facts.now + RUNS_LOOK, reason=why, listed=True)
    if seen.version == facts.device_versions.get(device):
        return Leave(event=UnitEvent.LEAVE_OUT, reason=say_ended(word, op.unit))
    why = reason(
        Code.CHANGED_MEANWHILE,
        unit=op.unit,
        place=word.place,
        component=update.component,
        found=seen.version or "not reported",
        before=facts.device_versions.get(device, ""),
        verb=way_out(word),
    )
    return Watch(until=facts.now + STAYS_LOOK, reason=why, listed=True)


def undo(op: UnitOp, word: Intent) -> Leave | EndStep:
    """A step of which the target never heard is not asked for again."""
    match op.state:
        case UnitState.LOCKED:
            return Leave(event=UnitEvent.LEAVE_OUT, reason=say_ended(word, op.unit))
        case _:
            return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=op.retries)


def end_failed(op: UnitOp, why: str) -> EndStep | GiveUp:
    """A step that failed is not tried again, and nothing is power cycled for it; a health check may try once more."""
    retries = bump(op.retries, (op.step,))
    if op.state is UnitState.VERIFYING and retries[op.step] >= op.tries_max:
        return GiveUp(
            reason=reason(Code.STEP_FAILED, step=name_step(op.step), tries=retries[op.step], unit=op.unit, why=why)
        )
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries, why=why)


def wait_for_end(op: UnitOp, facts: Facts, word: Intent) -> Watch:
    """A step that takes too long is waited for: an abort cuts nothing off."""
    minutes = round((facts.now - (op.step_started_at or facts.now)) / timedelta(minutes=1))
    why = reason(Code.STILL_WRITES, unit=op.unit, step=name_step(op.step), minutes=minutes, verb=way_out(word))
    return Watch(until=facts.now + RUNS_LOOK, reason=why, listed=True)
