"""Who waits at a gate that a batch has just opened is woken in the same transaction; nobody polls.

Only units of cohorts that are held here are woken: others are told that there is room, and wake their own.
"""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from fermata.domain.blocking import is_blocked
from fermata.domain.decide_begin import waits_as_before
from fermata.domain.decisions import EndStep, GiveUp, HandOver, Leave, Prove, Resume
from fermata.domain.ids import DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.moving import moved
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Gate, UnitOp
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.tally import Tally, in_turn
from fermata.domain.undoing_devices import nodes_in_the_way
from fermata.execution.room import count_elsewhere
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark
from fermata.store import unit_ops

_WRITES = (UnitState.APPLYING, UnitState.RECOVERING)
_ENDINGS = (EndStep, GiveUp, HandOver, Prove, Resume, Leave)


def wake_others(stage: Stage, marks: Sequence[Mark], now: datetime) -> list[tuple[UnitOp, UnitOp]]:
    """Wakes nodes behind proven devices, devices whose nodes are ready, and those for whom there is room now: the rows
    before and after, which are still to be stored.
    """
    proven: dict[WindowId, set[str]] = {}
    versions: dict[DeviceId, str] = {}
    ended: dict[WindowId, set[DeviceId]] = {}
    freed: set[WindowId] = set()
    for mark in marks:
        op = mark.before
        if op.state in _WRITES and mark.after.state is not op.state:
            freed.add(op.window)
        if not isinstance(mark.decision, _ENDINGS):
            continue
        if op.kind is UnitKind.DEVICE:
            behind = stage.script(op.window).devices[DeviceId(op.unit)].behind
            proven.setdefault(op.window, set()).update(behind)
            if isinstance(mark.decision, Prove) and mark.seen.device is not None:
                versions[DeviceId(op.unit)] = mark.seen.device.version
        else:
            own = stage.script(op.window).nodes[NodeId(op.unit)]
            ended.setdefault(op.window, set()).update(own.devices)
    found = (*_nodes_behind(stage, proven, versions, now), *_ready_devices(stage, ended), *_admitted(stage, freed))
    return _wake(stage, found, now)


def wake_paused(stage: Stage, now: datetime) -> None:
    """Everybody who waits because the run was paused may go on."""
    _wake_now(stage, stage.roster.parked(Gate.PAUSE), now)


def wake_roused(stage: Stage, now: datetime) -> None:
    """Other workers' cohorts made room: whoever fits is woken."""
    with stage.database.read() as conn:
        count_elsewhere(stage, conn)
    _wake_now(stage, list(_fitting(stage, stage.roster.parked(Gate.TEAM))), now)


def _wake_now(stage: Stage, ops: Sequence[UnitOp], now: datetime) -> None:
    if ops:
        with stage.database.begin() as conn:
            changes = _wake(stage, ops, now)
            unit_ops.save_ops(conn, [(before.version, after) for before, after in changes])


def _wake(stage: Stage, ops: Iterable[UnitOp], now: datetime) -> list[tuple[UnitOp, UnitOp]]:
    woken = {op.id: op for op in ops if op.next_at != now}
    changes = [(op, moved(op, next_at=now, version=op.version + 1)) for op in woken.values()]
    stage.roster.put(after for _, after in changes)
    return changes


def _nodes_behind(
    stage: Stage, proven: Mapping[WindowId, set[str]], versions: dict[DeviceId, str], now: datetime
) -> Iterable[UnitOp]:
    """Of the nodes behind these devices, those that wait no more, or for something else. Many hang on a dozen devices
    that end one by one. `versions`: what those run that are proven just now.
    """
    for window, names in proven.items():
        gates = (Gate.DEVICE, Gate.REQUIREMENT)
        parked = [op for gate in gates for op in stage.roster.parked(gate, window) if op.unit in names]
        if parked:
            facts = stage.facts(window, now=now, tally=Tally(stage.catalogue, ()))
            facts = replace(facts, device_versions=ChainMap(versions, stage.device_versions))
            yield from (op for op in parked if not waits_as_before(op, facts))


def _ready_devices(stage: Stage, moved: Mapping[WindowId, set[DeviceId]]) -> Iterable[UnitOp]:
    """Of the devices that the moved nodes hang on, those that wait for no node any more."""
    for window, names in moved.items():
        waiting = [op for op in stage.roster.parked(Gate.NODES, window) if op.unit in names]
        script = stage.script(window)
        standing = partial(stage.roster.standing, window)
        for op in waiting:
            place = (script.devices[DeviceId(op.unit)], script, standing)
            blocked = bool(nodes_in_the_way(*place)) if op.undo else is_blocked(*place)
            if not blocked:
                yield op


def _admitted(stage: Stage, freed: set[WindowId]) -> Iterable[UnitOp]:
    """As many as fit. Teams' limits are of the whole fleet, isolation is of the window."""
    if not freed:
        return
    waiting = list(stage.roster.at_gate(Gate.TEAM))
    for window in freed:
        waiting += stage.roster.at_gate(Gate.ISOLATION, window)
        waiting += stage.roster.at_gate(Gate.PACE, window)
    yield from _fitting(stage, waiting)


def _fitting(stage: Stage, waiting: Sequence[UnitOp]) -> Iterable[UnitOp]:
    """As many as fit, the longest queue of a fault domain first. Nothing frees room on the way: where one was refused,
    no other of its update and fault domain fits.
    """
    if not waiting:
        return
    tally = stage.tally()
    refused: set[tuple[WindowId, str, str]] = set()
    for op in in_turn(waiting, stage.catalogue):
        place = (op.window, op.step, op.fault_domain)
        if place in refused:
            continue
        if _fits(stage, tally, op):
            yield op
        else:
            refused.add(place)


def _fits(stage: Stage, tally: Tally, op: UnitOp) -> bool:
    update = stage.catalogue.updates[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
    script = stage.script(op.window)
    standing = partial(stage.roster.standing, op.window)
    tried = partial(stage.roster.tries.count, script, update, standing, stage.catalogue)
    if tally.is_too_fast(update, op.window, tried) is not None:
        return False
    queue = partial(stage.roster.queues.count, script, update, standing)
    return tally.admit(update, op.window, op.fault_domain, nodes=len(script.nodes), queue=queue) is None
