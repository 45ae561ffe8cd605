"""What people changed on a node: when it comes back from them its versions are read again, and what it is due for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.consent import find_consent
from fermata.domain.decisions import Resume
from fermata.domain.fleet import Fleet
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.pending import find_pending
from fermata.domain.repairs import REPAIR, due_beyond
from fermata.execution.bringing import look_again
from fermata.execution.orders import join_orders
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark
from fermata.store import consent, handovers, inventory
from fermata.store.database import Connection

_S = UnitState
_AT_WORK = frozenset({_S.DRAINED, _S.APPLYING, _S.REBOOTING, _S.RESETTING, _S.FAILED})


def note_mended(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """Nodes that come back from people: what they run goes into the inventory, and what their window brings and they
    lack now is due in it, as far as their customers consented to it there. The people of another order that may begin
    are next, before anything is written.
    """
    if any(UnitState.IN_REPAIR in (mark.before.state, mark.after.state) for mark in marks):
        stage.handing.looked_at = None  # an order may have begun by that, or be done
    for mark in marks:
        if _is_back(mark) and mark.seen.node is not None:
            _note(stage, conn, mark, now)
    back = {NodeId(mark.before.unit) for mark in marks if _is_back(mark) and _is_over(stage, mark.before)}
    if back:
        join_orders(stage, conn, now, back=back)
    for mark in marks:
        is_own = mark.before.kind is UnitKind.DEVICE and mark.before.window in stage.handing.windows
        if is_own and mark.after.state in (UnitState.PROVEN, UnitState.LEFT_OUT):
            _note_behind(stage, conn, mark.before, now)


def _is_back(mark: Mark) -> bool:
    is_node = mark.before.kind is UnitKind.NODE
    return is_node and mark.before.state is UnitState.IN_REPAIR and isinstance(mark.decision, Resume)


def _is_over(stage: Stage, op: UnitOp) -> bool:
    """By the word of its people. What the site alone says is done ends its order first, with the next look at all."""
    handed = stage.handing.handed.get(op.window, {}).get(op.unit)
    return handed is None or handed.ended


def _note(stage: Stage, conn: Connection, mark: Mark, now: datetime) -> None:
    op, seen = mark.before, mark.seen.node
    assert seen is not None
    name = NodeId(op.unit)
    inventory.record_versions(conn, {name: seen.versions})
    script = stage.script(op.window)
    if op.window in stage.handing.windows:
        _bring(stage, conn, op, seen.versions, now)
        return
    fleet = stage.fleet_at(op.window)
    node = replace(fleet.nodes[name], versions=seen.versions)
    live = Fleet(clusters={op.cluster: fleet.clusters[op.cluster]}, nodes={name: node}, devices={})
    pending = find_pending(live, stage.score(stage.windows[op.window].plan).catalogue, stage.campaign.updates)
    more = due_beyond(script, name, [item.update.id for item in pending.of_node(node).due])
    if not more:
        return
    found = find_consent(live, inventory.load_policy(conn), pending, consent.load_ledger(conn))
    if name not in found.gaps:
        _amend(stage, conn, op, more)


def _note_behind(stage: Stage, conn: Connection, device: UnitOp, now: datetime) -> None:
    """Work on a shared device is over in a window of a work order's own: what builds on it may come along from now on,
    on nodes behind it that still wait for that. They go back only after it.
    """
    names = stage.script(device.window).devices[DeviceId(device.unit)].behind
    known = inventory.named_nodes(conn, names)
    for name in names:
        op = stage.roster.standing(device.window, name)
        if op is not None and op.state in _AT_WORK and op.retries.get(REPAIR) and name in known:
            _bring(stage, conn, op, known[name].versions, now)


def _bring(stage: Stage, conn: Connection, op: UnitOp, versions: Mapping[str, str], now: datetime) -> None:
    order = stage.handing.handed[op.window][op.unit].order
    found = look_again(stage, conn, op, order, versions, now)
    _amend(stage, conn, op, due_beyond(stage.script(op.window), NodeId(op.unit), found))


def _amend(stage: Stage, conn: Connection, op: UnitOp, more: int) -> None:
    name = NodeId(op.unit)
    if more:
        due = stage.script(op.window).nodes[name].due | more
        handovers.set_due_after(conn, stage.run, op.window, op.unit, due)
        stage.handing.amended.setdefault(op.window, {})[name] = due
        stage.forget(op.window)
