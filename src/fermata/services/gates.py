"""Operator verbs of gates: what is known of every update of a run, and a person's word on one of them."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.gate_evidence import Evidence, find_base_rate
from fermata.domain.gates import GateSaid, GateState, GateWord, Phase, Question, count_bad, first_phase, judge
from fermata.domain.ids import CampaignId, RunId, UpdateId
from fermata.domain.operations import Run
from fermata.domain.phases import GateTerms, Phases
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import LIVE_RUNS
from fermata.domain.updates import Update
from fermata.services.errors import Refusal, nearest
from fermata.store import gates, inventory, journal, plans, runs
from fermata.store.database import Connection, Database, NotStored
from fermata.store.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """One gate as last judged, the terms it is judged by, and how many units wait at it."""

    gate: GateState
    terms: GateTerms
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesView:
    """All gates of a run: every update that its windows bring, once the conductor has looked at it."""

    run: RunId
    campaign: CampaignId
    gates: tuple[GateView, ...]


def find_run(db: Database, campaign: CampaignId | None) -> RunId:
    """The newest run, of that campaign if one is named. Refused when there is none."""
    with db.read() as conn:
        run = runs.live_run(conn, campaign) or runs.latest_run(conn, campaign)
    if run is None:
        told = {"of": f" of {campaign}", "name": f" {campaign}"} if campaign else {"of": "", "name": ""}
        raise Refusal(reason(Code.RUN_NONE, **told))
    return run.id


def show_gates(db: Database, run_id: RunId) -> GatesView:
    """The gates of a run, by update. Refused when there is no such run."""
    with db.read() as conn:
        run = _load(conn, run_id)
        phases = inventory.load_campaign(conn, run.campaign).phases
        states = gates.load_gates(conn, run_id)
        waiting = gates.count_waiting(conn, run_id)
    views = tuple(
        GateView(gate=state, terms=terms_of(phases, state.phase), waiting=waiting.get(name, 0))
        for name, state in states.items()
    )
    return GatesView(run=run.id, campaign=run.campaign, gates=views)


def say(db: Database, run_id: RunId, update: UpdateId, said: GateSaid) -> GateState:
    """Records a person's word on an update: proceed takes what failed so far as known, hold and roll back stand.

    Refused without a reason, when the run is over, or when it does not bring that update.
    """
    if not said.why.strip():
        raise Refusal(reason(Code.GATE_REASON_MISSING, update=update))
    with db.begin() as conn:
        run = _load(conn, run_id)
        if run.state not in LIVE_RUNS:
            raise Refusal(reason(Code.RUN_OVER, run=run.id, state=run.state))
        known = gates.load_gates(conn, run_id)
        phases = inventory.load_campaign(conn, run.campaign).phases
        before = known.get(update) or _untried(conn, run, update, phases, said.at)
        after = _with_word(before, phases, said)
        if update in known:
            gates.save_gates(conn, [after])
        else:
            gates.add_gates(conn, [after])
        data = {"run": run.id, "word": said.word.value, "verdict": after.judged.verdict.value}
        subject = f"update:{update}"
        journal.append(
            conn, Entry(at=said.at, actor=said.actor, event="gate.said", subject=subject, why=said.why, data=data)
        )
        return after


def terms_of(phases: Phases, phase: Phase) -> GateTerms:
    """What an update in that phase is judged by."""
    return phases.control.gate if phase is Phase.CONTROL and phases.control is not None else phases.full


def _load(conn: Connection, run_id: RunId) -> Run:
    run = runs.load_run(conn, run_id)
    if run is None:
        raise Refusal(reason(Code.RUN_UNKNOWN, run=run_id))
    return run


def _with_word(before: GateState, phases: Phases, said: GateSaid) -> GateState:
    """A proceed ends the control phase and starts the test anew from what is known."""
    phase, lowest = before.phase, before.judged.lowest
    if said.word is GateWord.PROCEED:
        bad = count_bad(before.evidence, terms_of(phases, before.phase))
        said = replace(said, good=before.evidence.good, bad=bad)
        phase, lowest = Phase.FULL, 0.0
    evidence = replace(before.evidence, worst_rack=None) if said.word is GateWord.PROCEED else before.evidence
    question = Question(
        update=before.update,
        evidence=evidence,
        terms=terms_of(phases, phase),
        base=before.base,
        lowest=lowest,
        said=said,
    )
    judged = judge(question, said.at)
    is_same = judged.verdict is before.judged.verdict
    changed_at = before.changed_at if is_same else said.at
    return replace(before, phase=phase, evidence=evidence, judged=judged, said=said, changed_at=changed_at)


def _find_update(conn: Connection, name: UpdateId) -> Update | None:
    with suppress(NotStored):
        return inventory.load_catalogue(conn).updates.get(name)
    return None


def _untried(conn: Connection, run: Run, update: UpdateId, phases: Phases, now: datetime) -> GateState:
    """The gate of an update about which nothing is known yet. Refused when the run does not bring it."""
    plan = plans.load_plan(conn, run.plan)
    brought = sorted({name for window in plan.windows for name in window.updates})
    if update not in brought:
        raise Refusal(reason(Code.GATE_UNKNOWN, run=run.id, update=update, nearest=nearest(update, brought)))
    phase = first_phase(phases, _find_update(conn, update))
    tried, failed = gates.count_history(conn, run.id)
    base = find_base_rate(tried, failed, inventory.load_campaign(conn, run.campaign).fallout.fraction)
    terms = terms_of(phases, phase)
    judged = judge(Question(update=update, evidence=Evidence(), terms=terms, base=base), now)
    return GateState(
        run=run.id,
        update=update,
        phase=phase,
        evidence=Evidence(),
        base=base,
        judged=judged,
        begun_at=None,
        changed_at=now,
    )
