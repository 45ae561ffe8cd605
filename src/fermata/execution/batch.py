"""One batch step over due units: observe, decide, record the intent, act, record the outcome. Kill it anywhere: what
was intended is repeated under the same key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.astray import HARMLESS_INTENTS, hold_unseen
from fermata.domain.decide import NOTHING_SEEN, POLL, Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Begin, EndStep, Leave, Prove, Repeat, Resume, carry_out, settle
from fermata.domain.evidence import note_decision, note_progress
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId, WindowId
from fermata.domain.late_freezes import awaits_lock
from fermata.domain.node_states import BACK, UnitKind, UnitState
from fermata.domain.observations import Answer, NodeSeen
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.policy import Freeze
from fermata.domain.reasons import Reason
from fermata.domain.settle import judge_answer
from fermata.domain.tally import Tally
from fermata.execution.accounts import keep_ledger
from fermata.execution.bringing import find_staying, own_devices
from fermata.execution.calling import make_caller
from fermata.execution.consented import find_frozen, find_gaps, find_lacking
from fermata.execution.gating import note_marks
from fermata.execution.last_good import note_devices_proven
from fermata.execution.mended import note_mended
from fermata.execution.obeying import obey_anew, winding_down
from fermata.execution.observe import Looked, may_begin, observe
from fermata.execution.orders import heed_ends
from fermata.execution.patrol import mark_astray_rows, nodes_behind, tell_astray, unseen
from fermata.execution.perform import perform
from fermata.execution.room import has_room, rouse_waiting
from fermata.execution.stage import Stage
from fermata.execution.tail import keep_tail
from fermata.execution.trail import Mark, journal_lines
from fermata.execution.wake import wake_others
from fermata.store import inventory, journal, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.recovery import note_returned

DUE_MAX = 1000  # units of one batch step: a transaction stays short, and a port call holds as many
_CALLS, _GOES_ON = (Begin, Repeat), (EndStep, Resume, Prove)  # made once: a union of classes is made at every look
DECISIONS_IN_A_ROW_MAX = 6  # repaired, locked, ... : more means that two decisions undo each other


@dataclass(kw_only=True)
class Batch:
    """The units of one batch step, and everything decided about them so far. `looked_at`: when all were observed."""

    stage: Stage
    now: datetime
    looked_at: datetime | None = None
    settled_windows: set[WindowId] = field(default_factory=set)
    gaps: Mapping[NodeId, tuple[Reason, ...]] = field(default_factory=dict)
    frozen: Mapping[NodeId, Freeze] = field(default_factory=dict)
    lacking: Mapping[DeviceId, Reason] = field(default_factory=dict)


@dataclass(kw_only=True)
class Draft:
    """What one transaction will store: decisions, and every row they change, as it was read and as it will be."""

    marks: list[Mark] = field(default_factory=list)
    changes: dict[int, tuple[UnitOp, UnitOp]] = field(default_factory=dict)

    def add(self, moved: Iterable[tuple[UnitOp, UnitOp]]) -> None:
        """Takes in changed rows; of one that changes twice, only the last is stored."""
        for before, after in moved:
            first = self.changes.get(after.id)
            self.changes[after.id] = (before if first is None else first[0], after)


def step_cohort(stage: Stage, now: datetime) -> tuple[int, frozenset[WindowId]]:
    """Moves up to DUE_MAX due units of the cohorts that `stage` holds: how many there were, and the windows in which a
    unit finished or stopped. This is the whole of a step, whatever drives it.

    Raises Stale or Outdated: then nothing of it is stored, and the stage has to be loaded again.
    """
    due = stage.roster.due(now, DUE_MAX)
    if not due:
        return 0, frozenset()
    batch = Batch(stage=stage, now=now)
    repeated, fresh = _part(batch, due)
    also = winding_down(stage, fresh) | own_devices(stage, fresh)
    looked = observe(make_caller(stage), fresh, now, nodes_behind(stage, fresh), also=also)
    batch.looked_at = max(now, stage.clock.now())
    stage.crash("observed")
    caller = make_caller(stage)
    intended = _record_intent(batch, fresh, looked)
    stage.crash("intended")
    to_do = [*_still_good(batch, repeated), *intended]
    if to_do:
        caller.confirm()
        tell_astray(stage.site, [op for op in to_do if op.state is UnitState.LOCKED])
        answers = perform(caller, to_do)
        stage.crash("performed")
        _record_outcome(batch, to_do, answers)
        stage.crash("recorded")
    return len(due), frozenset(batch.settled_windows)


def _part(batch: Batch, due: Sequence[UnitOp]) -> tuple[list[UnitOp], list[UnitOp]]:
    """Those whose call is made again as it is, and those that are looked at first: among these are locks and drains of
    what operators hold or give back by now, and locks that nobody has accepted once a freeze has met one of them, since
    others may go together with it.
    """
    intended = (op for op in due if op.asked is Asked.INTENDED and not op.is_idle)
    harmless = [op for op in intended if op.state in HARMLESS_INTENTS]
    repeated = _still_good(batch, harmless)
    as_they_are = {op.id for op in repeated}
    return repeated, [op for op in due if op.id not in as_they_are]


def _still_good(batch: Batch, repeated: list[UnitOp]) -> list[UnitOp]:
    """Those that are asked for again as they are. Asked before units are looked at, which may take its time, and right
    before the calls: whom a word or a freeze met meanwhile is looked at first, with the next step.
    """
    if not repeated:
        return []
    stage = batch.stage
    with stage.database.read() as conn:
        obey_anew(stage, conn)
        may_be_frozen = any(awaits_lock(op) for op in repeated)
        frozen = find_frozen(stage, conn, repeated, batch.now) if may_be_frozen else {}
    return [op for op in repeated if not (_is_held(stage, op) or (frozen and awaits_lock(op)))]


def _is_held(stage: Stage, op: UnitOp) -> bool:
    """True when a word says that nothing of the unit begins any more; a run that stops finishes what it took."""
    wanted = stage.intents.of_unit(op)
    return wanted.pause is not None or wanted.abort is not None


def _record_intent(batch: Batch, ops: Sequence[UnitOp], looked: Looked) -> list[UnitOp]:
    """Decides before the transaction: nobody else moves these units. What all cohorts share is counted anew within it,
    and where that leaves less room than was thought, or customers bar somebody who is not begun, everything is decided
    again. Before all, whoever is out of our hands is marked.
    """
    stage = batch.stage
    if not ops:
        return []
    mark_astray_rows(stage, ops, looked, batch.now)
    heed_ends(stage, ops)
    ops = [stage.roster.get(op.id) for op in ops]
    batch.gaps = find_gaps(stage, ops, winding_down(stage, ops))
    draft = _decide_batch(batch, ops, looked)
    stage.crash("decided")
    with stage.database.begin() as conn:
        staying = find_staying(stage, conn, ops, looked.seen, batch.now)
        batch.frozen = find_frozen(stage, conn, ops, batch.now)
        batch.lacking = {**find_lacking(stage, conn, ops, batch.now, _over(ops, looked, batch.now)), **staying}
        is_barred = bool(batch.frozen or batch.lacking)
        if obey_anew(stage, conn) or is_barred or not has_room(stage, conn, draft.marks):
            stage.roster.put(before for before, _ in draft.changes.values())
            draft = _decide_batch(batch, ops, looked)
        _store(batch, conn, draft)
        stage.crash("intent")
    intended = (mark.after for mark in draft.marks if mark.after.asked is Asked.INTENDED)
    return [op for op in intended if op.next_at == batch.now]


def _over(ops: Iterable[UnitOp], looked: Looked, now: datetime) -> set[int]:
    """Rows whose step has ended one way or another, or is taken for hung."""
    return {op.id for op in ops if may_begin(op, looked.seen.get(op.id, NOTHING_SEEN).progress, now)}


def _decide_batch(batch: Batch, ops: Sequence[UnitOp], looked: Looked) -> Draft:
    """Nodes first: whether a device may begin depends on where they stand then."""
    stage = batch.stage
    draft = Draft()
    tally = stage.tally()
    for kind in (UnitKind.NODE, UnitKind.DEVICE):
        marks, changed = _decide_all(batch, [op for op in ops if op.kind is kind], looked, tally)
        stage.roster.put(after for _, after in changed)
        draft.marks += marks
        draft.add(changed)
    draft.add(wake_others(stage, draft.marks, batch.now))
    return draft


def _decide_all(
    batch: Batch, ops: Sequence[UnitOp], looked: Looked, tally: Tally
) -> tuple[list[Mark], list[tuple[UnitOp, UnitOp]]]:
    marks: list[Mark] = []
    changed: list[tuple[UnitOp, UnitOp]] = []
    for window, members in _by_window(ops).items():
        facts = batch.stage.facts(window, now=batch.now, tally=tally, gaps=batch.gaps, looked_at=batch.looked_at)
        facts = replace(facts, frozen=batch.frozen, lacking=batch.lacking)
        for op in sorted(members, key=lambda op: (op.rank, op.id)):
            found = _decide_one(op, looked.seen.get(op.id, NOTHING_SEEN), facts, looked.nodes)
            marks += found
            changed.append((op, found[-1].after))
    return marks, changed


def _decide_one(op: UnitOp, seen: Seen, facts: Facts, nodes: Mapping[NodeId, NodeSeen]) -> list[Mark]:
    """Decides until there is something to wait for. `nodes`: those looked at just now."""
    marks: list[Mark] = []
    for _ in range(DECISIONS_IN_A_ROW_MAX):
        op = note_progress(op, seen.progress, seen.node, facts.script)
        decision = decide(op, seen, facts)
        if isinstance(decision, _CALLS):
            decision = hold_unseen(op, decision, unseen(op, facts, nodes), facts.now + POLL) or decision
        after = note_decision(decision, carry_out(op, decision, facts.now), seen.node, facts.now)
        marks.append(Mark(before=op, decision=decision, after=after, seen=seen))
        is_final = after.next_at is None
        is_mended = op.state is UnitState.IN_REPAIR  # what it is due for is found anew first
        if is_final or is_mended or not isinstance(decision, _GOES_ON):
            return marks
        op, seen = after, Seen(node=seen.node, device=seen.device, looked=seen.looked)
    raise AssertionError(f"{op.unit} in {op.window}: decisions go round in a circle at {op.step}")


def _record_outcome(batch: Batch, ops: Sequence[UnitOp], answers: Mapping[int, Answer]) -> None:
    stage = batch.stage
    tally = Tally(stage.catalogue, ())
    draft = Draft()
    for window, members in _by_window(ops).items():
        facts = stage.facts(window, now=batch.now, tally=tally)
        for op in members:
            answer = judge_answer(op, answers[op.id], facts)
            after = settle(op, answer, batch.now)
            draft.marks.append(Mark(before=op, decision=answer, after=after, seen=NOTHING_SEEN))
    stage.roster.put(mark.after for mark in draft.marks)
    draft.add((mark.before, mark.after) for mark in draft.marks)
    draft.add(wake_others(stage, draft.marks, batch.now))
    with stage.database.begin() as conn:
        _store(batch, conn, draft)
        stage.crash("outcome")


def _store(batch: Batch, conn: Connection, draft: Draft) -> None:
    """Rows, journal, inventory; and which windows may be over."""
    stage, marks = batch.stage, draft.marks
    unit_ops.save_ops(conn, [(before.version, after) for before, after in draft.changes.values()])
    runs.touch_clock(conn, stage.run, batch.now)
    journal.append_many(conn, journal_lines(marks, batch.now))
    for mark in marks:
        is_listed = mark.before.tail_since is None and mark.after.tail_since is not None
        if is_listed or mark.after.finished_at is not None:
            batch.settled_windows.add(mark.before.window)
    _record_versions(stage, conn, marks, batch.now)
    _record_states(conn, marks)
    note_mended(stage, conn, marks, batch.now)
    keep_ledger(stage, conn, marks, batch.now)
    keep_tail(stage, conn, marks, batch.now)
    note_marks(stage, conn, marks, batch.now)
    back = [NodeId(m.before.unit) for m in marks if m.before.finished_at is None and m.after.state in BACK]
    note_returned(conn, back, batch.now)
    rouse_waiting(stage, conn, marks)


def _record_versions(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """What proven units report goes into the inventory."""
    proven = [mark for mark in marks if isinstance(mark.decision, Prove)]
    nodes = {NodeId(mark.before.unit): mark.seen.node.versions for mark in proven if mark.seen.node is not None}
    devices = {DeviceId(mark.before.unit): mark.seen.device.version for mark in proven if mark.seen.device is not None}
    if nodes:
        inventory.record_versions(conn, nodes)
    if devices:
        inventory.record_device_versions(conn, devices)
        note_devices_proven(conn, stage.fleet, devices, now)
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
