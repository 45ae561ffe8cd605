"""Roll-backs at work: what was ordered is put on the rows of its nodes, and nodes that were returned are taken out
again where freezes and limits let them; the conductor's own steps do the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from fermata.domain.decide_begin import bump
from fermata.domain.gate_evidence import begun_mask
from fermata.domain.gates import GateVerdict
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.node_states import FINAL, UnitEvent, UnitKind, UnitState, advance
from fermata.domain.operations import Asked, Run, UnitOp
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, reason
from fermata.domain.recovery import LastGood, Recovery, RecoveryOrder, find_option, with_dependents
from fermata.domain.scripts import DRAIN, GIVE_BACK, LOCK, RELEASE, VERIFY
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import inventory, journal, recovery, unit_ops, work_orders
from fermata.store.database import Connection
from fermata.store.journal import Entry

TAKE_AT_ONCE_MAX = 200  # returned nodes taken out again at one instant: a transaction stays short


def follow_orders(stage: Stage, now: datetime) -> None:
    """Takes up what was ordered since the last time."""
    with stage.database.read() as conn:
        latest = recovery.latest_order(conn, stage.run)
        if latest == stage.undo.latest:
            return
        orders = recovery.load_orders(conn, stage.run)
    stage.undo.latest = latest
    stage.undo.load(orders)
    if stage.ownership.leads:
        begin_ordered(stage, now)


def roll_back_stopped(stage: Stage, _run: Run, now: datetime) -> None:
    """Orders what gates say is to be rolled back wherever it is due; then goes on with all orders."""
    stopped = {
        name: state for name, state in stage.gates.states.items() if state.judged.verdict is GateVerdict.ROLL_BACK
    }
    if not stage.ownership.leads:
        return
    if stopped:
        _order_stopped(stage, stopped.keys(), now)
    begin_ordered(stage, now)


def _order_stopped(stage: Stage, updates: Iterable[UpdateId], now: datetime) -> None:
    with stage.database.begin() as conn:
        ops = [op for op in unit_ops.ops_of_run(conn, stage.run) if op.kind is UnitKind.NODE]
        good = recovery.load_last_good(conn, {NodeId(op.unit) for op in ops})
        orders: list[RecoveryOrder] = []
        for op in ops:
            orders += _orders_of(stage, op, frozenset(updates), good, now)
        recovery.add_orders(conn, orders)
        stage.undo.latest = recovery.latest_order(conn, stage.run)
        stage.undo.load((*stage.undo.orders, *orders))


def _orders_of(
    stage: Stage, op: UnitOp, updates: frozenset[UpdateId], good: Mapping[NodeId, LastGood], now: datetime
) -> list[RecoveryOrder]:
    """Of one node: what was begun there is rolled back where that can be, what was not is left out."""
    script = stage.script(op.window)
    own = script.nodes[NodeId(op.unit)]
    due = {u.id: u for u in script.updates if script.bits[u.id] & own.due & ~op.undo}
    names = with_dependents(updates, due) if updates & due.keys() else frozenset()
    begun = begun_mask(op, script.bits)
    found: list[RecoveryOrder] = []
    for name in sorted(names):
        if stage.undo.has(op.window, op.unit, name) or (op.state in FINAL and not begun & script.bits[name]):
            continue
        version = ""
        if begun & script.bits[name]:
            cluster = stage.fleet.clusters[op.cluster]
            known = good.get(NodeId(op.unit))
            option = find_option(due[name], op, cluster, known, stage.catalogue)
            if option.option is not Recovery.ROLL_BACK:
                continue
            version = option.to_version
        state = stage.gates.states.get(name)
        why = state.judged.reason.sentence if state is not None else f"it builds on {', '.join(sorted(updates))}"
        order = RecoveryOrder(
            run=stage.run,
            window=op.window,
            unit=op.unit,
            update=name,
            to_version=version,
            actor=ACTOR,
            why=why,
            at=now,
        )
        found.append(order)
    return found


def begin_ordered(stage: Stage, now: datetime) -> None:
    """Puts orders on the rows of their nodes. What cannot be done now is looked at again with the next duty."""
    waiting = stage.undo.waiting(stage.roster)
    if not waiting:
        return
    with stage.database.begin() as conn:
        rows = {(op.window, op.unit): op for op in unit_ops.ops_of_run(conn, stage.run)}
        policy = inventory.load_policy(conn)
        changed: list[tuple[int, UnitOp]] = []
        free = _Free(stage, conn, policy, now)
        for key, orders in waiting.items():
            op = rows.get(key)
            if op is None:
                continue
            after = _undo(stage, op, orders, free, now)
            if after is not None:
                changed.append((op.version, after))
        unit_ops.save_ops(conn, changed)
        if any(not stage.roster.is_own(op.window) for _, op in changed):
            stage.ownership.rouse_others(conn)
        journal.append_many(conn, [_line(op, waiting[op.window, op.unit], now) for _, op in changed])
    if any(before.finished_at is not None for before in (rows[op.window, op.unit] for _, op in changed)):
        stage.reload()
    else:
        stage.roster.put(op for _, op in changed)


class _Free:
    """Which returned nodes may be taken out again now: freezes, other work, and every limit on nodes out."""

    def __init__(self, stage: Stage, conn: Connection, policy: Policy, now: datetime) -> None:
        self._stage = stage
        self._policy = policy
        self._now = now
        self._out = set(unit_ops.nodes_in_work(conn))
        self._held = frozenset(self._out) | work_orders.held_nodes(conn, stage.fleet, now).keys()
        self._left = TAKE_AT_ONCE_MAX

    def take(self, name: NodeId) -> bool:
        """True when it may be, and is counted as out from then on."""
        node = self._stage.fleet.nodes.get(name)
        if node is None or name in self._held or not self._left:
            return False
        cluster = self._stage.fleet.clusters[node.cluster]
        for freeze in self._policy.freezes:
            if freeze.start <= self._now < freeze.end and freeze.scope.covers(node, cluster):
                return False
        capacity, windows = self._stage.capacity, tuple(self._stage.windows.values())
        uses = capacity.uses(frozenset(self._out | {name}), windows, self._now)
        if any(
            use.used > use.allowed and name in members
            for use, (_, members, _) in zip(uses, capacity.counted, strict=True)
        ):
            return False
        self._out.add(name)
        self._left -= 1
        return True


def _undo(stage: Stage, op: UnitOp, orders: tuple[RecoveryOrder, ...], free: _Free, now: datetime) -> UnitOp | None:
    """The row with the orders on it; None when it has them already or may not be touched now."""
    bits = stage.script(op.window).bits
    mask = sum(bits[order.update] for order in orders if order.update in bits)
    fresh = mask & ~op.undo
    if not fresh or op.asked is Asked.INTENDED:
        return None
    to_write = sum(bits[order.update] for order in orders if order.to_version and order.update in bits) & fresh
    if op.state in FINAL:
        return _take_back(op, fresh, to_write, orders[-1], now) if free.take(NodeId(op.unit)) else None
    is_idle = op.asked is Asked.NOTHING
    return replace(
        op,
        undo=op.undo | fresh,
        applied=op.applied | to_write,
        gate=None if is_idle else op.gate,
        next_at=now if is_idle else op.next_at,
        version=op.version + 1,
    )


def _take_back(op: UnitOp, fresh: int, to_write: int, order: RecoveryOrder, now: datetime) -> UnitOp:
    """A node that was given back is locked and drained anew, under fresh keys, and listed until it is back again."""
    why = reason(Code.RECOVERING, update=order.update, unit=op.unit, actor=order.actor, why=order.why)
    return replace(
        op,
        state=advance(op.kind, op.state, UnitEvent.TAKE_BACK),
        undo=op.undo | fresh,
        applied=op.applied | to_write,
        retries=bump(op.retries, (LOCK, DRAIN, VERIFY, GIVE_BACK, RELEASE)),
        asked=Asked.NOTHING,
        in_service_before=op.state is UnitState.RETURNED,
        locked_at=None,
        reason=why,
        tail_since=now,
        taken_again_at=now,
        finished_at=None,
        next_at=now,
        version=op.version + 1,
    )


def _line(op: UnitOp, orders: tuple[RecoveryOrder, ...], now: datetime) -> Entry:
    data = {"window": op.window, "updates": {order.update: order.to_version for order in orders}}
    return Entry(at=now, actor=ACTOR, event="node.recovering", subject=f"node:{op.unit}", why=orders[-1].why, data=data)


def note_last_good(conn: Connection, returned: Iterable[NodeId], now: datetime) -> None:
    """What nodes that have just been given back were proven with is their last known good from now on."""
    recovery.note_returned(conn, sorted(returned), now)
