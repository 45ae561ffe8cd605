"""What an order to roll back does to rows: of a node, of a shared device, and of the nodes behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.decide_begin import bump
from fermata.domain.gate_evidence import begun_mask
from fermata.domain.ids import DeviceId, NodeId, WindowId
from fermata.domain.node_states import BACK, FINAL, UnitEvent, UnitKind, UnitState, advance
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.readmission import NO_EVIDENCE
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.recovery import RecoveryOrder, is_taken
from fermata.domain.scripts import DRAIN, GIVE_BACK, LOCK, RELEASE, VERIFY, DeviceScript
from fermata.domain.undoing_devices import later_mask
from fermata.execution.stage import Stage
from fermata.execution.taking_again import Room
from fermata.execution.trail import ACTOR
from fermata.store.journal import Entry

Key = tuple[WindowId, str]
Orders = Mapping[Key, tuple[RecoveryOrder, ...]]


@dataclass(kw_only=True)
class Draft:
    """The rows of a run as they were read, and as they will be stored. `held`: returned nodes that are not taken for
    orders of their own, since the device that they hang on is not worked on yet.
    """

    stage: Stage
    rows: Mapping[Key, UnitOp]
    room: Room
    now: datetime
    after: dict[Key, UnitOp] = field(default_factory=dict)
    held: set[Key] = field(default_factory=set)
    lines: list[Entry] = field(default_factory=list)

    def row(self, key: Key) -> UnitOp | None:
        """As it is by now."""
        return self.after.get(key) or self.rows.get(key)

    def put(self, op: UnitOp) -> None:
        """Takes it in; it is stored once, however often it changes."""
        key = (op.window, op.unit)
        self.after[key] = replace(op, version=self.rows[key].version + 1)

    def changed(self) -> list[tuple[UnitOp, UnitOp]]:
        """Before and after."""
        return [(self.rows[key], op) for key, op in self.after.items()]

    def tell(self, op: UnitOp, event: str, why: str, data: Mapping[str, object]) -> None:
        """Writes a line about a unit."""
        subject = f"{'device' if op.kind is UnitKind.DEVICE else 'node'}:{op.unit}"
        told = {"window": op.window, **data}
        self.lines.append(Entry(at=self.now, actor=ACTOR, event=event, subject=subject, why=why, data=told))


def put_on_nodes(draft: Draft, orders: Orders) -> None:
    """Orders on nodes; those that were returned are taken out again, if there is room."""
    for key, found in orders.items():
        op = draft.row(key)
        if op is None or op.kind is not UnitKind.NODE:
            continue
        after = _undo(draft, op, found)
        if after is not None:
            draft.put(after)
            updates = {order.update: order.to_version for order in found}
            draft.tell(op, "node.recovering", found[-1].why, {"updates": updates})


def _undo(draft: Draft, op: UnitOp, orders: Sequence[RecoveryOrder]) -> UnitOp | None:
    """The row with the orders on it; None when it has them already or may not be touched now."""
    bits = draft.stage.script(op.window).bits
    ordered = {order.update: order.to_version for order in orders if order.update in bits}  # once, however often it was
    fresh = sum(bits[name] for name in ordered) & ~op.undo
    if not fresh or _is_intended(op):
        return None
    to_write = sum(bits[name] for name, version in ordered.items() if version) & fresh
    if op.state in FINAL:
        names = ", ".join(sorted(name for name in ordered if bits[name] & fresh))
        if op.state not in BACK or (op.window, op.unit) in draft.held or not _may_take(draft, op, names):
            return None
        return replace(_take_back(draft, op, orders[-1]), undo=op.undo | fresh, applied=op.applied | to_write)
    return replace(_woken(op, draft.now), undo=op.undo | fresh, applied=op.applied | to_write)


def _may_take(draft: Draft, op: UnitOp, updates: str) -> bool:
    names = (NodeId(op.unit),)
    if draft.room.is_used_up:
        return False
    why = draft.room.why_not(names)
    if why is not None:
        _say_waiting(draft, op, updates, why)
        return False
    draft.room.take(op.window, names)
    return True


def _woken(op: UnitOp, now: datetime) -> UnitOp:
    return replace(op, gate=None if op.is_idle else op.gate, next_at=now if op.is_idle else op.next_at)


def _is_intended(op: UnitOp) -> bool:
    """True while a call may just be made about the unit; a notice is none."""
    return op.asked is Asked.INTENDED and not op.is_idle


def _take_back(draft: Draft, op: UnitOp, order: RecoveryOrder) -> UnitOp:
    """A node that was given back is locked and drained anew, under fresh keys, and listed until it is back again."""
    return replace(
        op,
        state=advance(op.kind, op.state, UnitEvent.TAKE_BACK),
        retries=bump(op.retries, (LOCK, DRAIN, VERIFY, GIVE_BACK, RELEASE)),
        asked=Asked.NOTHING,
        in_service_before=op.state is UnitState.RETURNED,
        locked_at=None,
        drained_at=None,
        reason=_say(op, order),
        tail_since=draft.now,
        taken_again_at=draft.now,
        finished_at=None,
        next_at=draft.now,
    )


def _say(op: UnitOp, order: RecoveryOrder) -> Reason:
    return reason(Code.RECOVERING, update=order.update, unit=op.unit, actor=order.actor, why=order.why)


def put_on_devices(draft: Draft, orders: Orders) -> None:
    """Orders on devices. One is begun when all nodes behind it that its update wants empty are held, or may be taken
    out again, all at once; until then its row says why not.
    """
    for key, found in orders.items():
        op = draft.row(key)
        if op is None or op.kind is not UnitKind.DEVICE:
            continue
        device = draft.stage.script(op.window).devices.get(DeviceId(op.unit))
        mine = [order for order in found if device is not None and order.update == device.update.id]
        if device is not None and mine:
            _put_on_device(draft, op, device, mine[-1])


def _put_on_device(draft: Draft, op: UnitOp, device: DeviceScript, order: RecoveryOrder) -> None:
    is_through = bool(op.undo) and op.finished_at is not None
    if is_through or _is_intended(op) or op.state in FINAL:
        return
    if not order.to_version:
        if not op.begun and not op.undo:
            _begin(draft, op, device, order)
        return
    behind = [row for name in device.behind if (row := draft.row((op.window, name))) is not None]
    back = [row for row in behind if row.state in BACK] if device.update.needs_drain else []
    if device.update.needs_drain and any(_is_going_back(row) for row in behind):
        draft.held |= {(row.window, row.unit) for row in behind}
        return  # taken out again with the next round
    why = _why_not(draft, op, device, behind, back)
    if why is not None or (back and draft.room.is_used_up):
        draft.held |= {(row.window, row.unit) for row in behind}
        _say_waiting(draft, op, device.update.id, why)
        return
    draft.room.take(op.window, (NodeId(row.unit) for row in back))
    for row in behind:
        _put_behind(draft, row, device, order)
    if not op.undo:
        _begin(draft, op, device, order)


def _is_going_back(row: UnitOp) -> bool:
    return row.state is UnitState.PROVEN and row.asked is not Asked.NOTHING


def _why_not(
    draft: Draft, op: UnitOp, device: DeviceScript, behind: Sequence[UnitOp], back: Sequence[UnitOp]
) -> Reason | None:
    """Why the device is not rolled back now; None: it may be."""
    stage, later = draft.stage, later_mask(device, draft.stage.script(op.window))
    taken = [NodeId(row.unit) for row in back]
    known = stage.fleet.devices.get(device.device)
    names = [node.name for node in stage.fleet.nodes_behind(known)] if known is not None else []
    missing = [name for name in names if not is_taken(draft.row((op.window, name)))]
    if device.update.needs_drain and missing:
        told = {"update": device.update.id, "unit": op.unit, "nodes": len(missing), "example": missing[0]}
        return reason(Code.RECOVERY_NOT_EMPTIED, **told)
    bits = stage.script(op.window).bits
    for row in behind:
        stays = later & begun_mask(row, bits) & ~row.undo
        for update, bit in bits.items():
            if bit & stays and not stage.undo.has(row.window, row.unit, update):
                told = {"update": device.update.id, "unit": op.unit, "other": update, "place": row.unit}
                return reason(Code.RECOVERY_HELD_UNDER, **told)
    if not taken and (op.undo or device.update.needs_drain):
        return None  # nobody serves there who was not asked
    in_reach = taken if device.update.needs_drain else [name for name in names if name in stage.fleet.nodes]
    return draft.room.why_not(taken) or draft.room.find_freeze(in_reach) or draft.room.find_gap(op, device, taken)


def _say_waiting(draft: Draft, op: UnitOp, updates: str, why: Reason | None) -> None:
    """On the row of a unit that was through; on others stands what they wait for themselves, and on a node that was
    given back early, that it was. None: its turn comes with the next round.
    """
    is_early = op.reason is not None and op.reason.code is Code.GIVEN_BACK
    if why is None or op.finished_at is None or is_early:
        return
    told = reason(Code.RECOVERY_WAITS, update=updates, unit=op.unit, why=why.sentence)
    if op.reason != told:
        draft.put(replace(op, reason=told))
        event = f"{'device' if op.kind is UnitKind.DEVICE else 'node'}.recovery_waits"
        draft.tell(op, event, told.sentence, {"update": updates, "code": why.code.value})


def _put_behind(draft: Draft, row: UnitOp, device: DeviceScript, order: RecoveryOrder) -> None:
    """A node behind a device that is rolled back: in our hands, to be checked anew, without what builds on it."""
    script = draft.stage.script(row.window)
    due = script.nodes[NodeId(row.unit)].due
    later = later_mask(device, script) & due & ~begun_mask(row, script.bits) & ~row.undo & ~row.applied
    after = row
    if row.state in BACK and device.update.needs_drain:
        after = _take_back(draft, row, order)
    elif row.state is UnitState.PROVEN and row.asked is Asked.NOTHING and device.update.needs_drain:
        after = _check_again(draft, row)
    elif later and row.state not in FINAL and not _is_intended(row):
        after = _woken(row, draft.now)
    else:
        return
    draft.put(replace(after, undo=row.undo | later))
    draft.tell(row, "node.recovering", order.why, {"updates": {}, "behind": device.device})


def _check_again(draft: Draft, row: UnitOp) -> UnitOp:
    """A node that was about to go back: what proved it says nothing of it under the device's other version."""
    return replace(
        row,
        state=advance(row.kind, row.state, UnitEvent.UNPROVE),
        retries=bump(row.retries, (VERIFY,)),
        tries_max=row.tries_max + 1,
        evidence=NO_EVIDENCE,
        gate=None,
        next_at=draft.now,
    )


def _begin(draft: Draft, op: UnitOp, device: DeviceScript, order: RecoveryOrder) -> None:
    bit = draft.stage.script(op.window).bits[device.update.id]
    after = replace(_woken(op, draft.now), undo=op.undo | bit)
    if op.state is UnitState.PROVEN:
        after = replace(
            after,
            state=advance(op.kind, op.state, UnitEvent.TAKE_BACK),
            reason=_say(op, order),
            tail_since=draft.now,
            finished_at=None,
            next_at=draft.now,
        )
    draft.put(after)
    draft.tell(op, "device.recovering", order.why, {"updates": {order.update: order.to_version}})
