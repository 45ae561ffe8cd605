"""Looks after the nodes that we hold: whoever is in service without proof, or lost our lock, is raised within one poll.

Every look that the conductor takes counts, not only the patrol's own: a node that is out of our hands is marked before
anything is decided.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from fermata.domain.astray import judge_sighting, mark_astray
from fermata.domain.decide import NOTHING_SEEN, POLL
from fermata.domain.decide_begin import Facts
from fermata.domain.ids import DeviceId, NodeId, step_key
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import NodeSeen, Progress
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Reason
from fermata.domain.scripts import WindowScript
from fermata.execution.observe import Looked, observe_service
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.ports import CALL_SIZE_MAX, Notice, NoticeKind, OutcomeUnknown, Refused, Site, TryLater
from fermata.store import journal, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.journal import Entry

PATROL = "patrol"
PATROL_EVERY: timedelta = POLL


def next_round(stage: Stage, last: datetime | None) -> datetime | None:
    """When the next round is due, or None while no node is out. `last`: the one before, in this process."""
    if last is None or not any(stage.roster.is_own(op.window) for op in stage.roster.out()):
        return None
    return last + PATROL_EVERY


def make_round(stage: Stage, now: datetime) -> bool:
    """Looks at every node that is out, marks those out of our hands, and says so until they are locked again. True
    when somebody was marked: there is work to do. Raises Stale.
    """
    held = _held(stage)
    if not held:
        return False
    nodes = observe_service(stage.site, [NodeId(op.unit) for op in held])
    stage.crash("patrolled")
    found = _find_astray(held, nodes, {})
    if found:
        with stage.database.begin() as conn:
            _mark(stage, conn, found, now)
            runs.touch_clock(conn, stage.run, now)
            stage.crash("patrol")
    tell_astray(stage.site, _held(stage) if found else held)
    return bool(found)


def mark_astray_rows(stage: Stage, ops: Iterable[UnitOp], looked: Looked, now: datetime) -> None:
    """Of `ops` and of the nodes behind them, marks those that were seen out of our hands: their rows are saved, and
    are on the roster.
    """
    found: dict[int, UnitOp] = {}
    for op in ops:
        if op.kind is UnitKind.NODE:
            found[op.id] = op
            continue
        behind = (stage.roster.standing(op.window, name) for name in _behind(stage.script(op.window), op))
        found |= {near.id: near for near in behind if near is not None}
    progress = {op.unit: looked.seen.get(op.id, NOTHING_SEEN).progress for op in found.values()}
    astray = _find_astray(found.values(), looked.nodes, progress)
    if astray:
        with stage.database.begin() as conn:
            _mark(stage, conn, astray, now)


def nodes_behind(stage: Stage, ops: Iterable[UnitOp]) -> Mapping[int, Sequence[NodeId]]:
    """By row id of each device: the nodes that must be empty while it is written or reset."""
    return {op.id: _behind(stage.script(op.window), op) for op in ops if op.kind is UnitKind.DEVICE}


def unseen(op: UnitOp, facts: Facts, nodes: Mapping[NodeId, NodeSeen]) -> tuple[str, ...]:
    """The nodes that must be empty for a step on the unit, and are not known to be: nobody looked, or somebody is on
    them. Of a node itself all has to be known: a controller that says nothing takes no step either.
    """
    if op.kind is UnitKind.NODE:
        seen = nodes.get(NodeId(op.unit))
        return () if seen is not None and seen.whole else (op.unit,)
    return tuple(name for name in _behind(facts.script, op) if name not in nodes or _is_astray(facts, name))


def tell_astray(site: Site, ops: Iterable[UnitOp]) -> None:
    """Says of each marked node that it is out of our hands. The key is of the mark: it is delivered once."""
    notices = list(_notices(ops))
    for start in range(0, len(notices), CALL_SIZE_MAX):
        try:
            site.notifier.notify(notices[start : start + CALL_SIZE_MAX])
        except (TryLater, Refused, OutcomeUnknown):
            continue  # said again with the next patrol, and on record anyway: journal, list, board


def _held(stage: Stage) -> list[UnitOp]:
    """Nodes that are out, of the cohorts that this worker conducts."""
    held = sorted(stage.roster.out(), key=lambda op: op.id)
    return [op for op in held if stage.roster.is_own(op.window)]


def _behind(script: WindowScript, op: UnitOp) -> tuple[NodeId, ...]:
    device = script.devices[DeviceId(op.unit)]
    return device.behind if device.update.needs_drain else ()


def _is_astray(facts: Facts, name: NodeId) -> bool:
    op = facts.standing(name)
    return op is not None and op.astray_since is not None


def _find_astray(
    ops: Iterable[UnitOp], nodes: Mapping[NodeId, NodeSeen], progress: Mapping[str, Progress | None]
) -> list[tuple[UnitOp, Reason]]:
    found = []
    for op in ops:
        seen = nodes.get(NodeId(op.unit))
        why = judge_sighting(op, seen, progress.get(op.unit)) if seen is not None else None
        if why is not None:
            found.append((op, why))
    return found


def _mark(stage: Stage, conn: Connection, found: Sequence[tuple[UnitOp, Reason]], now: datetime) -> None:
    marked = [mark_astray(op, why, now) for op, why in found]
    unit_ops.save_ops(conn, [(op.version - 1, op) for op in marked])
    stage.roster.put(marked)
    journal.append_many(conn, [_entry(op, now) for op in marked])


def _entry(op: UnitOp, now: datetime) -> Entry:
    assert op.reason is not None, "a marked row says why"
    data = {"window": op.window, "state": op.state.value, "step": op.step, "code": op.reason.code.value}
    return Entry(at=now, actor=ACTOR, event="node.astray", subject=f"node:{op.unit}", why=op.reason.sentence, data=data)


def _notices(ops: Iterable[UnitOp]) -> Iterator[Notice]:
    for op in ops:
        if op.astray_since is None or op.reason is None:
            continue
        at = f"{op.astray_since:%Y%m%dT%H%M%S}"
        key = step_key(op.run, op.window, op.unit, f"astray:{at}", 1)
        yield Notice(key=key, kind=NoticeKind.ASTRAY, subject=op.unit, sentence=op.reason.sentence)
