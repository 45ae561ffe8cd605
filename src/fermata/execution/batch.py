"""One batch step over due units: observe, decide, record the intent, act, record the outcome. Kill it anywhere: what
was intended is repeated under the same key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.decide import NOTHING_SEEN, Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import EndStep, Leave, Prove, Resume, carry_out, settle
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId, WindowId
from fermata.domain.node_states import BACK, UnitKind, UnitState
from fermata.domain.observations import Answer
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.settle import judge_answer
from fermata.domain.tally import Tally
from fermata.execution.accounts import keep_ledger
from fermata.execution.gating import note_marks
from fermata.execution.observe import observe
from fermata.execution.perform import perform
from fermata.execution.stage import Stage
from fermata.execution.trail import Mark, journal_lines
from fermata.execution.wake import wake_others
from fermata.store import inventory, journal, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.recovery import note_returned

DUE_MAX = 1000  # units of one batch step: a transaction stays short, and a port call holds as many
DECISIONS_IN_A_ROW_MAX = 6  # repaired, locked, ... : more means that two decisions undo each other


@dataclass(kw_only=True)
class Batch:
    """The units of one batch step, and everything decided about them so far."""

    stage: Stage
    now: datetime
    paused: bool
    settled_windows: set[WindowId] = field(default_factory=set)


def step_batch(stage: Stage, now: datetime, *, paused: bool) -> tuple[int, frozenset[WindowId]]:
    """Moves up to DUE_MAX due units: how many there were, and the windows in which a unit finished or stopped."""
    due = stage.roster.due(now, DUE_MAX)
    if not due:
        return 0, frozenset()
    batch = Batch(stage=stage, now=now, paused=paused)
    fresh = [op for op in due if op.asked is not Asked.INTENDED]
    repeated = [op for op in due if op.asked is Asked.INTENDED]
    seen = observe(stage.site, fresh, now)
    stage.crash("observed")
    intended = _record_intent(batch, fresh, seen)
    stage.crash("intended")
    to_do = [*repeated, *intended]
    if to_do:
        answers = perform(stage.site, stage.catalogue, to_do, stage.scale_in)
        stage.crash("performed")
        _record_outcome(batch, to_do, answers)
        stage.crash("recorded")
    return len(due), frozenset(batch.settled_windows)


def _record_intent(batch: Batch, ops: Sequence[UnitOp], seen: Mapping[int, Seen]) -> list[UnitOp]:
    """Nodes first: whether a device may begin depends on where they stand then."""
    stage = batch.stage
    if not ops:
        return []
    with stage.database.begin() as conn:
        tally = Tally(stage.catalogue, unit_ops.busy(conn))
        marks: list[Mark] = []
        moved: list[tuple[int, UnitOp]] = []
        for kind in (UnitKind.NODE, UnitKind.DEVICE):
            found, changed = _decide_all(batch, [op for op in ops if op.kind is kind], seen, tally)
            stage.roster.put(op for _, op in changed)
            marks += found
            moved += changed
        unit_ops.save_ops(conn, moved)
        runs.touch_clock(conn, stage.run, batch.now)
        _note(batch, conn, marks)
        stage.crash("intent")
    return [op for _, op in moved if op.asked is Asked.INTENDED]


def _decide_all(
    batch: Batch, ops: Sequence[UnitOp], seen: Mapping[int, Seen], tally: Tally
) -> tuple[list[Mark], list[tuple[int, UnitOp]]]:
    marks: list[Mark] = []
    changed: list[tuple[int, UnitOp]] = []
    for window, members in _by_window(ops).items():
        facts = batch.stage.facts(window, now=batch.now, paused=batch.paused, tally=tally)
        for op in sorted(members, key=lambda op: (op.rank, op.id)):
            found = _decide_one(op, seen.get(op.id, NOTHING_SEEN), facts)
            marks += found
            changed.append((op.version, found[-1].after))
    return marks, changed


def _decide_one(op: UnitOp, seen: Seen, facts: Facts) -> list[Mark]:
    """Decides until there is something to wait for."""
    marks: list[Mark] = []
    for _ in range(DECISIONS_IN_A_ROW_MAX):
        decision = decide(op, seen, facts)
        after = carry_out(op, decision, facts.now)
        marks.append(Mark(before=op, decision=decision, after=after, seen=seen))
        is_final = after.next_at is None
        if is_final or not isinstance(decision, EndStep | Resume | Prove):
            return marks
        op, seen = after, NOTHING_SEEN
    raise AssertionError(f"{op.unit} in {op.window}: decisions go round in a circle at {op.step}")


def _record_outcome(batch: Batch, ops: Sequence[UnitOp], answers: Mapping[int, Answer]) -> None:
    stage = batch.stage
    tally = Tally(stage.catalogue, ())
    marks: list[Mark] = []
    for window, members in _by_window(ops).items():
        facts = stage.facts(window, now=batch.now, paused=batch.paused, tally=tally)
        for op in members:
            answer = judge_answer(op, answers[op.id], facts)
            after = settle(op, answer, batch.now)
            marks.append(Mark(before=op, decision=answer, after=after, seen=NOTHING_SEEN))
    with stage.database.begin() as conn:
        unit_ops.save_ops(conn, [(mark.before.version, mark.after) for mark in marks])
        stage.roster.put(mark.after for mark in marks)
        _note(batch, conn, marks)
        stage.crash("outcome")


def _note(batch: Batch, conn: Connection, marks: Sequence[Mark]) -> None:
    """Journal, inventory, whom to wake, and which windows may be over."""
    journal.append_many(conn, journal_lines(marks, batch.now))
    for mark in marks:
        is_listed = mark.before.tail_since is None and mark.after.tail_since is not None
        if is_listed or mark.after.finished_at is not None:
            batch.settled_windows.add(mark.before.window)
    _record_versions(batch.stage, conn, marks)
    _record_states(conn, marks)
    keep_ledger(batch.stage, conn, marks, batch.now)
    wake_others(batch.stage, conn, marks, batch.now)
    note_marks(batch.stage, conn, marks, batch.now)
    back = [NodeId(m.before.unit) for m in marks if m.before.finished_at is None and m.after.state in BACK]
    note_returned(conn, back, batch.now)


def _record_versions(stage: Stage, conn: Connection, marks: Sequence[Mark]) -> None:
    """What proven units report goes into the inventory."""
    proven = [mark for mark in marks if isinstance(mark.decision, Prove)]
    nodes = {NodeId(mark.before.unit): mark.seen.node.versions for mark in proven if mark.seen.node is not None}
    devices = {DeviceId(mark.before.unit): mark.seen.device.version for mark in proven if mark.seen.device is not None}
    if nodes:
        inventory.record_versions(conn, nodes)
    if devices:
        inventory.record_device_versions(conn, devices)
        stage.device_versions.update(devices)


def _record_states(conn: Connection, marks: Sequence[Mark]) -> None:
    """A node is out of service from its lock to its return."""
    states: dict[NodeId, NodeState] = {}
    for mark in marks:
        if isinstance(mark.decision, Leave) and _serves_again(mark):
            states[NodeId(mark.before.unit)] = NodeState.IN_SERVICE
        elif mark.before.locked_at is None and mark.after.locked_at is not None:
            states[NodeId(mark.before.unit)] = NodeState.OUT_OF_SERVICE
    if states:
        inventory.record_node_states(conn, states)


def _serves_again(mark: Mark) -> bool:
    """Given back, or let go untouched because the site refused the lock."""
    if mark.after.state is UnitState.RETURNED:
        return True
    refused = mark.after.state is UnitState.LEFT_OUT and mark.before.locked_at is not None
    return refused and mark.before.in_service_before


def _by_window(ops: Iterable[UnitOp]) -> dict[WindowId, list[UnitOp]]:
    groups: dict[WindowId, list[UnitOp]] = {}
    for op in ops:
        groups.setdefault(op.window, []).append(op)
    return groups
