"""Roll-backs at work: what was ordered is put on the rows of its units, and nodes that were returned are taken out
again where freezes and limits let them; the conductor's own steps do the rest.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fermata.domain.gate_evidence import begun_mask
from fermata.domain.gates import GateVerdict
from fermata.domain.ids import DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, UnitOp
from fermata.domain.recovery import (
    Pair,
    Recovery,
    RecoveryOption,
    RecoveryOrder,
    Web,
    find_option,
    hold_under,
    is_taken,
    spread,
)
from fermata.domain.updates import Update
from fermata.execution.putting_back import Draft, Key, put_on_devices, put_on_nodes
from fermata.execution.stage import Stage
from fermata.execution.tail import list_units
from fermata.execution.taking_again import Room
from fermata.execution.trail import ACTOR
from fermata.store import journal, recovery, unit_ops
from fermata.store.database import Connection
from fermata.store.recovery import LastGoods


def follow_orders(stage: Stage, now: datetime, newest: int) -> None:
    """Takes up what was ordered since the last time. `newest`: the number of the last order, 0 without any."""
    if newest == stage.undo.latest:
        return
    with stage.database.read() as conn:
        orders = recovery.load_orders(conn, stage.run)
    stage.undo.latest = newest
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
        _order_stopped(stage, frozenset(stopped), now)
    begin_ordered(stage, now)


def _order_stopped(stage: Stage, updates: frozenset[UpdateId], now: datetime) -> None:
    """Windows in which nothing moved since they were judged for the same updates are not read again."""
    with stage.database.read() as conn:
        marks = {name: (updates, *mark) for name, mark in recovery.mark_windows(conn, stage.run).items()}
    moved = [name for name, mark in marks.items() if stage.stopped_seen.get(name) != mark]
    moved = [name for name in moved if updates & stage.script(name).by_id.keys()]
    if not moved:
        return
    with stage.database.begin() as conn:
        orders: list[RecoveryOrder] = []
        for window in moved:
            rows = {op.unit: op for op in unit_ops.ops_of_window(conn, stage.run, window)}
            good = recovery.load_last_goods(conn, rows.values())
            orders += _orders_of(stage, rows, updates, good, now)
        recovery.add_orders(conn, orders)
        stage.undo.latest = recovery.latest_order(conn, stage.run)
        stage.undo.load((*stage.undo.orders, *orders))
    stage.stopped_seen.update({name: marks[name] for name in moved})


def _orders_of(
    stage: Stage, rows: Mapping[str, UnitOp], updates: frozenset[UpdateId], good: LastGoods, now: datetime
) -> list[RecoveryOrder]:
    """Of one window: what was begun there is rolled back where that can be, what was not is left out."""
    (window,) = {op.window for op in rows.values()}
    script = stage.script(window)
    web = Web(
        updates={op.unit: _due_on(stage, op) for op in rows.values()},
        behind={name: device.behind for name, device in script.devices.items() if name in rows},
    )
    chosen = {(unit, name) for unit, due in web.updates.items() for name in due.keys() & updates}
    begun = {op.unit: begun_mask(op, script.bits) for op in rows.values()}
    options = {
        (unit, name): _option(stage, rows, web.updates[unit][name], rows[unit], good)
        for unit, name in spread(chosen, web)
        if begun[unit] & script.bits[name]
    }
    options = hold_under(options, web)
    meant = spread((p for p in chosen if p not in options or options[p].option is Recovery.ROLL_BACK), web)
    found: list[RecoveryOrder] = []
    for pair in sorted(meant):
        op, option = rows[pair[0]], options.get(pair)
        if stage.undo.has(window, *pair) or (option is None and op.finished_at is not None):
            continue
        if option is None or option.option is Recovery.ROLL_BACK:
            version = option.to_version if option is not None else ""
            found.append(_order(stage, op, pair, version, _why(stage, pair[1], updates), now))
    return found


def _due_on(stage: Stage, op: UnitOp) -> Mapping[UpdateId, Update]:
    """The updates that the window has for the unit, without those that are not to be on it any more."""
    script = stage.script(op.window)
    if op.kind is UnitKind.DEVICE:
        update = script.devices[DeviceId(op.unit)].update
        return {} if script.bits[update.id] & op.undo else {update.id: update}
    due = script.nodes[NodeId(op.unit)].due & ~op.undo
    return {update.id: update for update in script.updates if script.bits[update.id] & due}


def _option(stage: Stage, rows: Mapping[str, UnitOp], update: Update, op: UnitOp, good: LastGoods) -> RecoveryOption:
    fleet = stage.fleet
    device = fleet.devices.get(DeviceId(op.unit)) if op.kind is UnitKind.DEVICE else None
    behind = fleet.nodes_behind(device) if device is not None else ()
    beyond = tuple(node.name for node in behind if not is_taken(rows.get(node.name)))
    return find_option(update, op, fleet.clusters[op.cluster], good.of(op), stage.catalogue, beyond=beyond)


def _order(stage: Stage, op: UnitOp, pair: Pair, version: str, why: str, now: datetime) -> RecoveryOrder:
    return RecoveryOrder(
        run=stage.run,
        window=op.window,
        unit=op.unit,
        update=pair[1],
        to_version=version,
        actor=ACTOR,
        why=why,
        at=now,
    )


def _why(stage: Stage, update: UpdateId, stopped: Iterable[UpdateId]) -> str:
    state = stage.gates.states.get(update)
    return state.judged.reason.sentence if state is not None else f"it builds on {', '.join(sorted(stopped))}"


def begin_ordered(stage: Stage, now: datetime) -> None:
    """Puts orders on the rows of their units, devices first: all nodes behind one are taken together. What cannot be
    done now is looked at again with the next duty.
    """
    waiting = stage.undo.waiting(stage.roster)
    if not waiting:
        return
    with stage.database.begin() as conn:
        rows = _rows_of(stage, conn, waiting)
        draft = Draft(stage=stage, rows=rows, room=Room(stage, conn, now), now=now)
        orders = {key: found for key, found in waiting.items() if key in rows}
        put_on_devices(draft, orders)
        put_on_nodes(draft, orders)
        again = _store(stage, conn, draft)
    if again:
        stage.reload()
    else:
        stage.roster.put(op for _, op in draft.changed() if stage.roster.standing(op.window, op.unit) is not None)


def _rows_of(stage: Stage, conn: Connection, keys: Iterable[Key]) -> dict[Key, UnitOp]:
    """The rows of units with orders, and of all nodes behind those that are devices."""
    wanted: dict[WindowId, set[str]] = {}
    for window, unit in keys:
        names = wanted.setdefault(window, set())
        names.add(unit)
        device = stage.script(window).devices.get(DeviceId(unit))
        known = stage.fleet.devices.get(DeviceId(unit))
        names.update(device.behind if device is not None else ())
        names.update(node.name for node in (stage.fleet.nodes_behind(known) if known is not None else ()))
    found = (op for name, units in wanted.items() for op in unit_ops.named_ops(conn, stage.run, name, units))
    return {(op.window, op.unit): op for op in found}


def _store(stage: Stage, conn: Connection, draft: Draft) -> bool:
    """True when a unit that was finished is worked on again."""
    changed = draft.changed()
    unit_ops.save_ops(conn, [(before.version, after) for before, after in changed])
    again = {b.window for b, after in changed if b.finished_at is not None and after.finished_at is None}
    for window in sorted(again - stage.ownership.held.keys()):
        stage.ownership.begin_cohort(conn, window)  # it had ended with its last unit
    if any(not stage.roster.is_own(after.window) for _, after in changed):
        stage.ownership.rouse_others(conn)
    listed = [a for b, a in changed if a.tail_since is not None and (b.tail_since is None or b.finished_at is not None)]
    list_units(stage, conn, [op for op in listed if op.finished_at is None], draft.now)
    journal.append_many(conn, draft.lines)
    stage.crash("rolling back")
    return bool(again)
