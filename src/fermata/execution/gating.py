"""The gates at work: failures are kept as they happen, every update is judged anew when more is known of it, and
whoever waits at a gate that opens is woken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial

from fermata.domain.decisions import GiveUp
from fermata.domain.gate_book import Failure, FailureKind, GateBook
from fermata.domain.gate_evidence import Evidence, find_base_rate, order_steps, suspects
from fermata.domain.gates import GateState, GateVerdict, GateWord, Judged, Phase, Question, first_phase, judge
from fermata.domain.ids import DeviceId, NodeId, UpdateId, WindowId
from fermata.domain.moving import moved
from fermata.domain.operations import Gate, WindowRun
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep
from fermata.domain.reasons import Reason
from fermata.domain.run_states import GONE, WindowState
from fermata.domain.scripts import APPLY_PREFIX
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR, Mark
from fermata.store import gates, journal, runs, unit_ops
from fermata.store.database import Connection
from fermata.store.journal import Entry

SAVE_EVERY = timedelta(minutes=5)  # figures of a gate that move while its verdict and the reason for it stand


def note_marks(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """Keeps what failed, in the transaction that says so; the lead counts what every unit of the batch is now, too."""
    failures = [found for mark in marks if (found := _failure(stage, mark, now)) is not None]
    if not stage.ownership.leads:
        gates.add_failures(conn, stage.run, failures)
        return
    keep_failures(stage, conn, failures)
    open_book(stage).note_ops(mark.after for mark in marks)


def keep_failures(stage: Stage, conn: Connection, failures: Sequence[Failure]) -> None:
    """Stores and counts them."""
    book = open_book(stage)
    gates.add_failures(conn, stage.run, failures)
    book.note_failures(failures)


def follow_verdicts(stage: Stage, now: datetime, newest_word: datetime | None) -> None:
    """The lead judges anew what operators have said something about; who conducts cohorts alone reads what it found."""
    if stage.ownership.leads:
        _follow_words(stage, now, newest_word)
        return
    before = stage.gates.states
    with stage.database.read() as conn:
        stage.gates.states = gates.load_gates(conn, stage.run)
    opened = any(state.is_closed and not stage.gates.states[name].is_closed for name, state in before.items())
    if (opened or not before) and stage.roster.parked(Gate.EVIDENCE):
        with stage.database.begin() as conn:
            wake_waiting(stage, conn, now)


def _follow_words(stage: Stage, now: datetime, newest: datetime | None) -> None:
    is_new = stage.gates.book is None
    open_book(stage)
    if is_new and _may_go_on(stage):  # what was said before it was opened
        with stage.database.begin() as conn:
            wake_waiting(stage, conn, now)
    if newest == stage.gates.latest_word:
        return
    with stage.database.read() as conn:
        before, stage.gates.states = stage.gates.states, gates.load_gates(conn, stage.run)
    stage.gates.latest_word = newest
    _judge(stage, tuple(stage.gates.states), now)
    if any(state.is_closed and not stage.gates.states[name].is_closed for name, state in before.items()):
        with stage.database.begin() as conn:
            wake_waiting(stage, conn, now)


def _may_go_on(stage: Stage) -> bool:
    """True when a unit still waits at a gate that is open."""
    steps = {APPLY_PREFIX + name for name, state in stage.gates.states.items() if not state.is_closed}
    return any(op.step in steps for op in stage.roster.parked(Gate.EVIDENCE))


def judge_gates(stage: Stage, now: datetime) -> None:
    """Judges every update of which more is known, or whose wait is over. Cheap when there is none."""
    book = open_book(stage)
    waited = {
        name
        for name, state in stage.gates.states.items()
        if state.judged.until is not None and state.judged.until <= now
    }
    missing = _in_play(stage) - set(stage.gates.states)
    touched = book.take_changed() | waited | missing
    if touched:
        _judge(stage, sorted(touched), now)


def find_closed(stage: Stage, row: WindowRun) -> Reason | None:
    """Why the window may not open: the first of its updates whose gate is closed, or None."""
    window = stage.planned(row)
    closed = stage.closed_to(row.window)
    return next((closed[update] for update in window.updates if update in closed), None)


def _judge(stage: Stage, updates: Iterable[UpdateId], now: datetime) -> None:
    desk = stage.gates
    known = desk.states
    after = {name: _state(stage, name, known.get(name), now) for name in updates}
    changed = [state for name, state in after.items() if name in known and state != known[name]]
    added = [state for name, state in after.items() if name not in known]
    if not added and not any(_reads_otherwise(known[state.update], state) for state in changed):
        known.update({state.update: state for state in changed})
        desk.unsaved.update(state.update for state in changed)
        if desk.unsaved and (desk.saved_at is None or now - desk.saved_at >= SAVE_EVERY):
            save_figures(stage, now)
        return
    opened = [state for state in changed if known[state.update].is_closed and not state.is_closed]
    with stage.database.begin() as conn:
        gates.add_gates(conn, added)
        saved = gates.save_gates(conn, changed)
        desk.unsaved -= saved.keys()
        journal.append_many(conn, [_line(state, now) for state in changed if _is_news(known[state.update], state)])
        if opened:
            wake_waiting(stage, conn, now)
    known.update({state.update: state for state in added})
    known.update(saved)


def save_figures(stage: Stage, now: datetime) -> None:
    """Stores what is known of gates that read as they did: figures for people, counted anew after a restart."""
    desk = stage.gates
    if desk.unsaved:
        with stage.database.begin() as conn:
            desk.states.update(gates.save_gates(conn, [desk.states[name] for name in sorted(desk.unsaved)]))
        desk.unsaved.clear()
    desk.saved_at = now


def _state(stage: Stage, update: UpdateId, before: GateState | None, now: datetime) -> GateState:
    """The gate as it is now. An update that passes its control gate is judged as any other from then on."""
    first = first_phase(stage.campaign.phases, stage.catalogue.updates.get(update))
    phase = before.phase if before is not None else first
    evidence, judged = _ask(stage, update, before, phase, now)
    if phase is Phase.CONTROL and judged.verdict is GateVerdict.PROCEED:
        phase = Phase.FULL
        evidence, judged = _ask(stage, update, before, phase, now)
    base = stage.gates.base
    assert base is not None, "the book is open"
    is_same = before is not None and before.judged.verdict is judged.verdict
    return GateState(
        run=stage.run,
        update=update,
        phase=phase,
        evidence=evidence,
        base=base,
        judged=judged,
        begun_at=evidence.begun_at,
        changed_at=before.changed_at if before is not None and is_same else now,
        said=before.said if before else None,
        version=before.version if before else 1,
    )


def _ask(
    stage: Stage, update: UpdateId, before: GateState | None, phase: Phase, now: datetime
) -> tuple[Evidence, Judged]:
    phases = stage.campaign.phases
    terms = phases.full
    if phase is Phase.CONTROL and phases.control is not None:
        few = max(1, min(phases.control.gate.at_least, _in_control(stage, update)))
        terms = replace(phases.control.gate, at_least=few)
    said = before.said if before else None
    since = said.at if said is not None and said.word is GateWord.PROCEED else None
    begun_at = before.begun_at if before else None
    base = stage.gates.base
    assert base is not None, "the book is open"
    evidence = open_book(stage).evidence(update, bake=terms.bake, now=now, begun_at=begun_at, since=since)
    question = Question(
        update=update,
        evidence=evidence,
        terms=terms,
        base=base,
        lowest=before.judged.lowest if before else 0.0,
        said=said,
    )
    return evidence, judge(question, now)


def _in_control(stage: Stage, update: UpdateId) -> int:
    """Nodes, or devices, that the control phase brings the update to: it cannot be asked for more."""
    units = 0
    for name in stage.control:
        for step in stage.score(stage.windows[name].plan).windows[name].steps:
            if isinstance(step, NodeApplyStep) and step.update == update:
                units += step.nodes
            elif isinstance(step, DeviceApplyStep) and step.update == update:
                units += len(step.devices)
    return units


def _is_news(before: GateState, after: GateState) -> bool:
    return before.judged.verdict is not after.judged.verdict or before.phase is not after.phase


def _reads_otherwise(before: GateState, after: GateState) -> bool:
    """True when people are told something else than figures."""
    return _is_news(before, after) or before.judged.reason.code is not after.judged.reason.code


def _line(state: GateState, now: datetime) -> Entry:
    found, judged = state.evidence, state.judged
    data = {
        "run": state.run,
        "phase": state.phase.value,
        "good": found.good,
        "failed": found.failed,
        "regressed": found.regressed,
        "open": found.open,
        "score": judged.score_to_stop,
        "stops_at": round(judged.bounds.stops_at, 4),
        "base_rate": state.base.rate,
    }
    why = str(judged.reason)
    return Entry(
        at=now, actor=ACTOR, event=f"gate.{judged.verdict}", subject=f"update:{state.update}", why=why, data=data
    )


def wake_waiting(stage: Stage, conn: Connection, now: datetime) -> None:
    """Units that wait for evidence, and windows that did not open for want of it, are looked at now."""
    waiting = stage.roster.parked(Gate.EVIDENCE)
    changes = [(op.version, moved(op, next_at=now, version=op.version + 1)) for op in waiting if op.next_at != now]
    unit_ops.save_ops(conn, changes)
    stage.roster.put(op for _, op in changes)
    if not stage.ownership.leads:
        return
    stage.ownership.rouse_others(conn)
    for row in [row for row in stage.windows.values() if row.state is WindowState.WAITING]:
        if row.recheck_at != now:
            after = replace(row, recheck_at=now)
            runs.save_window(conn, after)
            stage.windows[row.window] = replace(after, version=row.version + 1)


def _in_play(stage: Stage) -> frozenset[UpdateId]:
    """The updates of every window that opened or may still open; found anew when a window's row has changed."""
    stands = (len(stage.windows), sum(row.version for row in stage.windows.values()))
    if stage.gates.in_play[0] != stands:
        left = (row for row in stage.windows.values() if row.state not in GONE)
        stage.gates.in_play = (stands, frozenset(name for row in left for name in stage.planned(row).updates))
    return stage.gates.in_play[1]


def _failure(stage: Stage, mark: Mark, now: datetime) -> Failure | None:
    """A unit that gave up, with what may be to blame; None when nothing of ours can be."""
    if not isinstance(mark.decision, GiveUp):
        return None
    op = mark.before
    window = stage.planned(stage.windows[op.window])
    bits = _bits(stage, op.window)
    mask = suspects(op, order_steps(window.steps), bits)
    if not mask:
        return None
    return Failure(
        window=op.window,
        unit=op.unit,
        rack=rack_of(stage, op.unit),
        kind=FailureKind.FAILED,
        updates=tuple(update for update, bit in bits.items() if bit & mask),
        at=now,
    )


def open_book(stage: Stage) -> GateBook:
    """The book, written anew from rows when there is none."""
    desk = stage.gates
    if desk.book is None:
        with stage.database.read() as conn:
            desk.states = gates.load_gates(conn, stage.run)
            failures = gates.load_failures(conn, stage.run)
            desk.newest_failure = gates.newest_failure(conn, stage.run)
            tried, failed = gates.count_history(conn, stage.run)
            ops = unit_ops.ops_of_run(conn, stage.run)
            desk.latest_word = gates.latest_word(conn, stage.run)
        desk.base = find_base_rate(tried, failed, stage.campaign.fallout.fraction)
        needs_metrics = bool(stage.campaign.phases.metrics)
        desk.book = GateBook(cache(partial(_bits, stage)), partial(rack_of, stage), needs_metrics=needs_metrics)
        desk.book.note_failures(failures)
        desk.book.note_ops(ops)
    return desk.book


def _bits(stage: Stage, window: WindowId) -> Mapping[UpdateId, int]:
    updates = stage.planned(stage.windows[window]).updates
    return {update: 1 << i for i, update in enumerate(updates)}


def rack_of(stage: Stage, unit: str) -> str:
    """Where a unit stands: a node's rack, a device's place."""
    node = stage.fleet.nodes.get(NodeId(unit))
    if node is not None:
        return node.rack
    device = stage.fleet.devices.get(DeviceId(unit))
    return device.scope_id if device is not None else ""
