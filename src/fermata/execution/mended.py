"""What people changed on a node: when it comes back from them its versions are read again, and what it is due for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.consent import find_consent
from fermata.domain.decisions import Resume
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.pending import find_pending
from fermata.domain.repairs import due_beyond
from fermata.execution.bringing import look_again
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark
from fermata.store import consent, handovers, inventory
from fermata.store.database import Connection


def note_mended(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """Nodes that come back from people: what they run goes into the inventory, and what their window brings and they
    lack now is due in it, as far as their customers consented to it there.
    """
    if any(UnitState.IN_REPAIR in (mark.before.state, mark.after.state) for mark in marks):
        stage.handing.looked_at = None  # an order may have begun by that, or be done
    for mark in marks:
        is_back = mark.before.state is UnitState.IN_REPAIR and isinstance(mark.decision, Resume)
        if is_back and mark.before.kind is UnitKind.NODE and mark.seen.node is not None:
            _note(stage, conn, mark, now)


def _note(stage: Stage, conn: Connection, mark: Mark, now: datetime) -> None:
    op, seen = mark.before, mark.seen.node
    assert seen is not None
    name = NodeId(op.unit)
    inventory.record_versions(conn, {name: seen.versions})
    script = stage.script(op.window)
    if op.window in stage.handing.windows:
        order = stage.handing.handed[op.window][op.unit].order
        _amend(stage, conn, op, due_beyond(script, name, look_again(stage, conn, op, order, seen, now)))
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


def _amend(stage: Stage, conn: Connection, op: UnitOp, more: int) -> None:
    name = NodeId(op.unit)
    if more:
        due = stage.script(op.window).nodes[name].due | more
        handovers.set_due_after(conn, stage.run, op.window, op.unit, due)
        stage.handing.amended.setdefault(op.window, {})[name] = due
        stage.forget(op.window)
