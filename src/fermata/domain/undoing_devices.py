"""What a shared device needs next while its update is rolled back, or left out: a part of `decide`, asked first for
such devices. The nodes behind it stay empty meanwhile where the update needs that, and are checked anew after it.

A device has one update in a window. From the order on its row says `undo`, and it is through when it is proven: by
exactly the last known good version, read back.
"""

from collections.abc import Iterator
from datetime import timedelta

from fermata.domain.decide_begin import (
    GATE_LOOK,
    HANG_FACTOR,
    Facts,
    bump,
    hand_over,
    not_admitted,
    patience_for,
    pause_of_device,
)
from fermata.domain.decisions import Begin, Decision, EndStep, GiveUp, Leave, Park, Prove, Watch
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.intents import say_paused
from fermata.domain.node_states import UnitEvent, UnitState
from fermata.domain.observations import DeviceSeen, Failed, NeverAsked, Progress, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.queues import Standing
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.recovery import with_dependents
from fermata.domain.scripts import (
    APPLY_PREFIX,
    DRAIN,
    LOCK,
    RESET_PREFIX,
    UNDO_PREFIX,
    DeviceScript,
    WindowScript,
    name_step,
)
from fermata.domain.undoing import RECOVER_TRIES_MAX, UNDO, goes_back_first, next_recovery, wait_for_report

LOOK = timedelta(minutes=5)  # of what nobody is woken for: a failed device, or one that waits for another device


def decide_device_undo(op: UnitOp, progress: Progress | None, seen: DeviceSeen | None, facts: Facts) -> Decision | None:
    """The decision where rolling back makes a difference, else None. `progress`: of the call that is under way."""
    match op.state:
        case UnitState.PENDING:
            return _begin_or_wait(op, facts)
        case UnitState.APPLYING if isinstance(progress, NeverAsked | Succeeded | Failed):
            return _end(op)
        case UnitState.RESETTING if isinstance(progress, Succeeded) and op.step.startswith(RESET_PREFIX + APPLY_PREFIX):
            return _end(op)
        case UnitState.RECOVERING if isinstance(progress, Succeeded):
            return _written(op, seen, facts)
        case UnitState.RECOVERING | UnitState.RESETTING if _runs_anyway(op, progress, seen, facts):
            return Prove(active=0)
        case UnitState.RESETTING if isinstance(progress, Succeeded) and (seen is None or not seen.reachable):
            return wait_for_report(op, facts, is_seen=seen is not None)
        case UnitState.FAILED if seen is not None and seen.reachable:
            return _recover(op, facts)
        case _:
            return None


def _end(op: UnitOp) -> EndStep:
    """The update's own write, or a reset of it, is over, however it ended: what comes is the way back."""
    tried = op.step.removeprefix(RESET_PREFIX)
    retries = {**op.retries, tried: max(op.retries.get(tried, 0), op.attempt)}
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries)


def _begin_or_wait(op: UnitOp, facts: Facts) -> Decision | None:
    if facts.wanted(op).abort is not None:
        return None  # it stays as it is
    due_to_people = hand_over(op, facts)
    if due_to_people is not None:
        return due_to_people
    device = facts.script.devices[DeviceId(op.unit)]
    version = _target(op, device, facts)
    if not version:
        why = reason(Code.RECOVERY_LEFT_OUT, update=device.update.id, unit=op.unit)
        return Leave(event=UnitEvent.LEAVE_OUT, reason=why)
    lost = _find_lost(op, device, facts)
    if lost is not None:
        return Leave(event=UnitEvent.LEAVE_OUT, reason=lost)
    closed = _closed(op, device, facts)
    if closed is None:
        return _begin(op, device, version)
    gate, why = closed
    until = facts.now + (LOOK if gate is Gate.NODES else GATE_LOOK)
    step = APPLY_PREFIX + device.update.id  # what there is to be room for
    return Park(gate=gate, reason=why, position=device.step, step=step, until=until)


def _target(op: UnitOp, device: DeviceScript, facts: Facts) -> str:
    """The version to write; "" for an update that is left out, since it was not begun there."""
    return facts.undo_to(op)[device.update.id]


def _step(device: DeviceScript, version: str) -> str:
    return f"{UNDO_PREFIX}{version} {device.update.id}"


def _find_lost(op: UnitOp, device: DeviceScript, facts: Facts) -> Reason | None:
    """Why a device, proven with its update and not touched since, keeps it: a node behind it may not be taken again."""
    if not device.update.needs_drain or not op.active:
        return None
    for name in device.behind:
        node = facts.standing(name)
        if node is not None and node.state is UnitState.LEFT_OUT:
            return reason(Code.BEHIND_RETURNED, unit=op.unit, example=name)
    return None


def _closed(op: UnitOp, device: DeviceScript, facts: Facts) -> tuple[Gate, Reason] | None:
    pause = pause_of_device(op, device, [facts.standing(name) for name in device.behind], facts)
    if pause is not None:
        return Gate.PAUSE, say_paused(pause, op.unit)
    busy = nodes_in_the_way(device, facts.script, facts.standing)
    if busy:
        return Gate.NODES, reason(Code.WAITS_FOR_NODES, unit=op.unit, nodes=len(busy), example=busy[0])
    first = _first_device(device, facts)
    if first is not None:
        told = {"update": device.update.id, "other": first.update.id, "place": first.device}
        return Gate.NODES, reason(Code.RECOVERY_IN_TURN, unit=op.unit, **told)
    return not_admitted(op, device.update, facts)


def nodes_in_the_way(device: DeviceScript, script: WindowScript, standing: Standing) -> tuple[NodeId, ...]:
    """Nodes behind a device because of which it may not be rolled back: not empty, busy, or with an update on them that
    builds on it.
    """
    later = later_mask(device, script)
    return tuple(name for name in device.behind if not _lets_it_go_back(device, later, standing(name)))


def later_mask(device: DeviceScript, script: WindowScript) -> int:
    """The updates of the window that build on that of the device, however far: a mask."""
    names = with_dependents(frozenset({device.update.id}), script.by_id) - {device.update.id}
    return sum(script.bits[name] for name in names)


def _lets_it_go_back(device: DeviceScript, later: int, node: UnitOp | None) -> bool:
    """A proven node is on its way back, and is none that may be relied on to stay."""
    if node is None:
        return not device.update.needs_drain
    if later & (node.applied | node.active):
        return False
    if not device.update.needs_drain or node.state is UnitState.GONE:
        return True
    if node.astray_since is not None or node.drained_at is None:
        return False
    if node.state in (UnitState.FAILED, UnitState.IN_REPAIR):
        return node.step not in (LOCK, DRAIN)
    return node.state is UnitState.DRAINED and node.asked is Asked.NOTHING


def _first_device(device: DeviceScript, facts: Facts) -> DeviceScript | None:
    """Another device of the same nodes that goes back first, since its update builds on this one."""
    near = _devices_near(device, facts.script)
    return next((other for other in near if goes_back_first(other, device.update, facts)), None)


def _devices_near(device: DeviceScript, script: WindowScript) -> Iterator[DeviceScript]:
    names = {name for node in device.behind for name in script.nodes[node].devices} - {device.device}
    yield from (script.devices[name] for name in sorted(names))


def _begin(op: UnitOp, device: DeviceScript, version: str) -> Begin:
    step = _step(device, version)
    return Begin(
        event=UnitEvent.UNDO,
        step=step,
        attempt=op.retries.get(step, 0) + 1,
        position=device.step,
        patience=timedelta(minutes=round(device.update.duration_minutes.p90 * HANG_FACTOR)),
        slip_minutes=op.slip_minutes,
        changes_unit=True,
    )


def _recover(op: UnitOp, facts: Facts) -> Decision | None:
    """A failed device that can be reached is reset, which ends whatever hangs on it, and written back then. One that
    workloads need is only written.
    """
    device = facts.script.devices[DeviceId(op.unit)]
    version = _target(op, device, facts)
    if not version or facts.wanted(op).abort is not None or not _has_a_try(op, device, version):
        return None
    closed = _closed(op, device, facts)
    if closed is not None:
        return Watch(until=facts.now + LOOK, reason=closed[1], listed=True)
    if not device.update.needs_drain:
        return _begin(op, device, version)
    again = next_recovery(op)
    if again > facts.now:
        return Watch(until=again)
    return Begin(
        event=UnitEvent.RECOVER,
        step=RESET_PREFIX + UNDO,
        attempt=op.retries.get(UNDO, 0) + 1,
        position=device.step,
        patience=patience_for(RESET_PREFIX, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=True,
    )


def _has_a_try(op: UnitOp, device: DeviceScript, version: str) -> bool:
    if device.update.needs_drain:
        return op.retries.get(UNDO, 0) < RECOVER_TRIES_MAX
    return op.retries.get(_step(device, version), 0) < op.tries_max


def _runs_anyway(op: UnitOp, progress: Progress | None, seen: DeviceSeen | None, facts: Facts) -> bool:
    """True when a write that is said to have failed, or that was given up, is seen to have come right."""
    is_over = isinstance(progress, Failed if op.state is UnitState.RECOVERING else Succeeded)
    is_way_back = op.step.removeprefix(RESET_PREFIX).startswith(UNDO)
    return is_over and is_way_back and _runs_last_good(op, seen, facts)


def _runs_last_good(op: UnitOp, seen: DeviceSeen | None, facts: Facts) -> bool:
    """By its own word, and no other version."""
    device = facts.script.devices[DeviceId(op.unit)]
    return seen is not None and seen.reachable and seen.version == _target(op, device, facts)


def _written(op: UnitOp, seen: DeviceSeen | None, facts: Facts) -> Decision:
    """Proven by what the device itself reports: the last known good, and no other version."""
    if seen is None or not seen.reachable:
        return wait_for_report(op, facts, is_seen=seen is not None)
    if _runs_last_good(op, seen, facts):
        return Prove(active=0)
    retries = bump(op.retries, (op.step,))
    why = "what was rolled back claimed success but the version is not the last known good"
    if retries[op.step] >= op.tries_max:
        told = {"step": name_step(op.step), "tries": retries[op.step], "unit": op.unit, "why": why}
        return GiveUp(reason=reason(Code.STEP_FAILED, **told))
    return EndStep(event=UnitEvent.STEP_ENDED, applied=op.applied, active=op.active, retries=retries, why=why)
