"""What a unit needs that failed, or that people of a work order have: a part of `decide`."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fermata.domain.decide_begin import Facts, bump, hand_over, redo_labels
from fermata.domain.decisions import Decision, Leave, Prove, Resume, Watch
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code
from fermata.domain.repairs import LEAVING, REPAIR, why_kept
from fermata.domain.scripts import APPLY_PREFIX, DRAIN, LOCK, RESET_PREFIX, VERIFY
from fermata.domain.tail import find_second_try
from fermata.domain.versions import is_at_least

DEVICE_LOOK = timedelta(minutes=5)  # until work on a device is over: nobody wakes a failed node for that
TAIL_LOOK = timedelta(hours=1)  # repairs take days: an hour finds a repaired node soon enough


def look_at_waiting(op: UnitOp, node: NodeSeen | None, device: DeviceSeen | None, facts: Facts) -> Decision:
    """What a failed unit, or one that people have in their hands, needs next. `node`, `device`: as seen just now."""
    if op.state is UnitState.IN_REPAIR:
        return _look_at_repair(op, node, device, facts)
    due_to_people = hand_over(op, facts)
    if due_to_people is None:
        return _look_at_failed(op, node or device, node, facts)
    kept = why_kept(op, facts.handed[op.unit].order, facts.script, facts.unproven)
    is_at_work = kept is not None and kept.code is Code.ORDER_AFTER_DEVICE
    return Watch(until=facts.now + DEVICE_LOOK) if is_at_work else due_to_people


def _look_at_failed(op: UnitOp, found: NodeSeen | DeviceSeen | None, node: NodeSeen | None, facts: Facts) -> Decision:
    since = op.failed_at or facts.now
    if found is None or not found.reachable or found.repaired_at is None or found.repaired_at < since:
        return Watch(until=_next_look(op, facts.now))
    if found.observed_at < found.repaired_at:  # what it ran before its repair says nothing of it now
        return Watch(until=facts.now + TAIL_LOOK)
    if op.step in (LOCK, DRAIN) and op.astray_since is None:
        return Resume(event=UnitEvent.LOCK, applied=op.applied, active=op.active, retries=bump(op.retries, (op.step,)))
    done = _find_done(op, found, facts)
    return done or _mended(op, node, facts, op.step.removeprefix(RESET_PREFIX), is_restarted=True)


def _next_look(op: UnitOp, now: datetime) -> datetime:
    """An hour on, or when a rule may have it tried again."""
    again = find_second_try(op, 0)
    return min(now + TAIL_LOOK, again) if again is not None and again > now else now + TAIL_LOOK


def _look_at_repair(op: UnitOp, node: NodeSeen | None, device: DeviceSeen | None, facts: Facts) -> Decision:
    """Through, when the order's people or the site itself say so and the unit can be seen: its parts may be others.
    What leaves the fleet does so when its order ends.
    """
    handed = facts.handed.get(op.unit)
    is_over = handed is None or handed.ended
    if handed is not None and handed.kind in LEAVING:
        return Leave(event=UnitEvent.LEAVE_FLEET) if is_over else Watch(until=facts.now + TAIL_LOOK)
    found = node or device
    since = op.step_started_at or facts.now
    if found is None or not found.reachable:
        return Watch(until=facts.now + TAIL_LOOK)
    if not is_over and (found.repaired_at is None or found.repaired_at < since):
        return Watch(until=facts.now + TAIL_LOOK)
    if found.repaired_at is not None and found.observed_at < found.repaired_at:
        return Watch(until=facts.now + TAIL_LOOK)  # what it ran before its repair says nothing of it now
    is_restarted = found.repaired_at is not None and found.repaired_at >= since
    return _find_done(op, found, facts) or _mended(op, node, facts, REPAIR, is_restarted=is_restarted)


def _find_done(op: UnitOp, found: NodeSeen | DeviceSeen, facts: Facts) -> Prove | None:
    """Of a mended device that runs by its own word what was to be written there: it is not written again."""
    if not isinstance(found, DeviceSeen):
        return None
    update = facts.script.devices[facts.device_id(op)].update
    if op.undo:
        return Prove(active=0) if found.version == facts.undo_to(op)[update.id] else None
    return Prove(active=facts.script.bits[update.id]) if is_at_least(found.version, update.to_version) else None


def _mended(op: UnitOp, node: NodeSeen | None, facts: Facts, failed_in: str, *, is_restarted: bool) -> Resume:
    """Goes on with what the unit does not run by its own word now. `is_restarted`: the site says so; else what was
    written there may still wait for a reboot, and gets that first.
    """
    if op.kind is UnitKind.DEVICE:
        return Resume(event=UnitEvent.REPAIRED, applied=0, active=0, retries=bump(op.retries, (failed_in,)))
    script, own = facts.script, facts.script.nodes[NodeId(op.unit)]
    versions = node.versions if node else {}
    targets = facts.undo_to(op)
    left_out = sum(script.bits[u.id] for u in script.updates if script.bits[u.id] & op.undo and not targets.get(u.id))
    active = sum(
        script.bits[u.id]
        for u in script.updates
        if script.bits[u.id] & own.due & ~left_out and is_at_least(versions.get(u.component, ""), u.to_version)
    )
    lacking = op.applied & ~active
    waiting = 0 if is_restarted else lacking & ~op.active & ~left_out
    undone = 0 if is_restarted else op.undo & op.active & ~op.applied  # written back, and not rebooted since
    redone = [*redo_labels(script, op, lacking & ~waiting), *_reboots(redo_labels(script, op, waiting))]
    return Resume(
        event=UnitEvent.REPAIRED,
        applied=(active | waiting) & ~undone,
        active=active | undone,
        retries=bump(op.retries, tuple(dict.fromkeys((failed_in, *redone, VERIFY)))),
    )


def _reboots(labels: Iterable[str]) -> Iterable[str]:
    return (label for label in labels if not label.startswith(APPLY_PREFIX))
