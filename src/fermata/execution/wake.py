"""Who waits at a gate that a batch has just opened is woken in the same transaction; nobody polls."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from fermata.domain.decide_begin import blocking_nodes
from fermata.domain.decisions import EndStep, GiveUp, Leave, Prove, Resume
from fermata.domain.ids import DeviceId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Gate
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.tally import Tally
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark
from fermata.store import unit_ops

_ENDINGS = (EndStep, GiveUp, Prove, Resume, Leave)


def wake_others(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """Wakes nodes behind proven devices, devices whose nodes are ready, and those for whom there is room now."""
    proven: dict[WindowId, set[str]] = {}
    moved: set[WindowId] = set()
    freed: set[WindowId] = set()
    for mark in marks:
        op = mark.before
        if op.state is UnitState.APPLYING and mark.after.state is not UnitState.APPLYING:
            freed.add(op.window)
        if not isinstance(mark.decision, _ENDINGS):
            continue
        if op.kind is UnitKind.DEVICE:
            behind = stage.script(op.window).devices[DeviceId(op.unit)].behind
            proven.setdefault(op.window, set()).update(behind)
        else:
            moved.add(op.window)
    ids = [*_nodes_behind(stage, conn, proven), *_ready_devices(stage, conn, moved), *_admitted(stage, conn, freed)]
    unit_ops.wake_ops(conn, sorted(set(ids)), now)


def _nodes_behind(stage: Stage, conn: Connection, proven: dict[WindowId, set[str]]) -> Iterable[int]:
    for window, names in proven.items():
        for gate in (Gate.DEVICE, Gate.REQUIREMENT):
            yield from (p.id for p in unit_ops.parked(conn, stage.run, gate, window) if p.unit in names)


def _ready_devices(stage: Stage, conn: Connection, moved: Iterable[WindowId]) -> Iterable[int]:
    for window in sorted(moved):
        waiting = unit_ops.parked(conn, stage.run, Gate.NODES, window)
        if waiting:
            script = stage.script(window)
            standings = unit_ops.progress(conn, stage.run, window)
            for parked in waiting:
                if not blocking_nodes(script.devices[DeviceId(parked.unit)], script, standings):
                    yield parked.id


def _admitted(stage: Stage, conn: Connection, freed: set[WindowId]) -> Iterable[int]:
    """As many as fit, in the plan's order. Team limits are of the whole fleet, isolation is of the window."""
    if not freed:
        return
    waiting = [*unit_ops.parked(conn, stage.run, Gate.TEAM)]
    for window in sorted(freed):
        waiting += unit_ops.parked(conn, stage.run, Gate.ISOLATION, window)
    if not waiting:
        return
    tally = Tally(stage.catalogue, unit_ops.busy(conn))
    for parked in waiting:
        update = stage.catalogue.updates[UpdateId(parked.step.removeprefix(APPLY_PREFIX))]
        nodes = len(stage.script(parked.window).nodes)
        if tally.admit(update, parked.window, parked.fault_domain, nodes) is None:
            yield parked.id
