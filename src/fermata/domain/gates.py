"""What a gate says of an update: proceed, wait, hold or roll back. Values in, value out.

The test is Wald's sequential probability ratio test of a failure rate (A. Wald, Sequential Tests of Statistical
Hypotheses, 1945): p0 the fleet's own rate, p1 a rate that must not pass. Each failed node adds ln(p1/p0), each good one
ln((1-p1)/(1-p0)); at ln((1-beta)/alpha) the update is stopped, at ln(beta/(1-alpha)) it has passed. A node whose
outcome is open helps neither: it counts as good where the question is to stop, and as failed where it is to pass, so
that both error probabilities hold however late outcomes become known.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.gate_evidence import BaseRate, Evidence
from fermata.domain.ids import RunId, UpdateId
from fermata.domain.phases import Counted, GateTerms, OnFailure, Phases, SequentialTest
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Stage, Update

RATE_MAX = 0.95  # of p1: a test against certainty would take one good node as proof


class GateVerdict(StrEnum):
    """What becomes of nodes that have not begun the update."""

    PROCEED = "proceed"
    WAIT = "wait"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


class GateWord(StrEnum):
    """What an operator said of a gate; it stands until the next word."""

    PROCEED = "proceed"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSaid:
    """An operator's word, and how many had failed when it was given: a proceed takes those as known."""

    word: GateWord
    actor: str
    why: str
    at: datetime
    good: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A test in numbers: the two rates, what a failed and a good node add, and where it stops and passes."""

    p0: float
    p1: float
    failed_adds: float
    good_adds: float
    stops_at: float
    passes_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with its reason and numbers. `until`: when a wait is looked at again; None: when evidence comes.

    score_to_stop and score_to_pass: the log likelihood ratio with open nodes taken as good, and as failed. `lowest`:
    the least that `score_to_pass` has been, kept for the next time.
    """

    verdict: GateVerdict
    reason: Reason
    until: datetime | None
    bounds: Bounds
    score_to_stop: float
    score_to_pass: float
    lowest: float


def find_bounds(test: SequentialTest, base: BaseRate) -> Bounds:
    """Wald's bounds for these error probabilities and rates."""
    p0 = min(base.rate, RATE_MAX / test.worse_factor)
    p1 = min(max(p0 * test.worse_factor, p0 + test.worse_by), RATE_MAX)
    return Bounds(
        p0=p0,
        p1=p1,
        failed_adds=math.log(p1 / p0),
        good_adds=math.log((1 - p1) / (1 - p0)),
        stops_at=math.log((1 - test.missed_stop) / test.false_stop),
        passes_at=math.log(test.missed_stop / (1 - test.false_stop)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that a gate looks at. `lowest`: of the last judgement, 0 before the first."""

    update: UpdateId
    evidence: Evidence
    terms: GateTerms
    base: BaseRate
    lowest: float = 0.0
    said: GateSaid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Score:
    """Counts since the operator's last proceed, and what the test makes of them."""

    bad: int
    fine: int
    bounds: Bounds
    to_stop: float
    to_pass: float
    lowest: float


def judge(question: Question, now: datetime) -> Judged:
    """The verdict on an update at `now`. A stop stands before any wait; more failures never undo one."""
    score = _score(question)
    verdict, why, until = _decide(question, score, now)
    return Judged(
        verdict=verdict,
        reason=why,
        until=until,
        bounds=score.bounds,
        score_to_stop=round(score.to_stop, 4),
        score_to_pass=round(score.to_pass, 4),
        lowest=round(score.lowest, 4),
    )


def _score(question: Question) -> _Score:
    evidence, terms, said = question.evidence, question.terms, question.said
    bounds = find_bounds(terms.test, question.base)
    known = said if said is not None and said.word is GateWord.PROCEED else None
    bad = count_bad(evidence, terms) - (known.bad if known else 0)
    good = max(0, evidence.good - (known.good if known else 0))
    bad = max(0, bad)
    to_pass = (bad + evidence.open) * bounds.failed_adds + good * bounds.good_adds
    lowest = min(question.lowest, to_pass)
    spare = max(0.0, bounds.passes_at - lowest)  # what passed long ago is no credit for what comes now
    to_stop = bad * bounds.failed_adds + (good + evidence.open) * bounds.good_adds + spare
    return _Score(bad=bad, fine=good + evidence.open, bounds=bounds, to_stop=to_stop, to_pass=to_pass, lowest=lowest)


def count_bad(evidence: Evidence, terms: GateTerms) -> int:
    """Nodes that count against the update."""
    failed = evidence.failed if Counted.FAILED in terms.counts else 0
    return failed + (evidence.regressed if Counted.REGRESSED in terms.counts else 0)


def _decide(question: Question, score: _Score, now: datetime) -> tuple[GateVerdict, Reason, datetime | None]:
    said, update = question.said, question.update
    if said is not None and said.word is not GateWord.PROCEED:
        verdict = GateVerdict.HOLD if said.word is GateWord.HOLD else GateVerdict.ROLL_BACK
        code = Code.GATE_HELD if verdict is GateVerdict.HOLD else Code.GATE_ROLLED_BACK
        return verdict, reason(code, update=update, actor=said.actor, why=said.why), None
    stopped = _find_stop(question, score)
    if stopped is not None:
        is_hold = question.terms.on_failure is OnFailure.HOLD
        return (GateVerdict.HOLD if is_hold else GateVerdict.ROLL_BACK), stopped, None
    return _find_wait(question, score, now)


def _find_stop(question: Question, score: _Score) -> Reason | None:
    update, evidence, stops = question.update, question.evidence, question.terms.stops
    shown = {"update": update, "bad": score.bad, "tried": score.bad + score.fine}
    if score.bad >= stops.first_failed and score.fine <= stops.of_first - stops.first_failed:
        return reason(Code.GATE_FIRST_FAILED, **shown)
    rack = evidence.worst_rack
    if rack is not None and rack.failed >= stops.rack_failed and rack.failed >= stops.rack_share * rack.tried:
        return reason(Code.GATE_RACK_FAILED, update=update, rack=rack.rack, bad=rack.failed, tried=rack.tried)
    if score.to_stop >= score.bounds.stops_at:
        base, test = question.base, question.terms.test
        return reason(
            Code.GATE_FAILED,
            **shown,
            base=f"{base.rate:.1%}",
            source=base.source,
            false_stop=f"{test.false_stop:.1%}",
        )
    return None


def _find_wait(question: Question, score: _Score, now: datetime) -> tuple[GateVerdict, Reason, datetime | None]:
    """Only a gate that asks for evidence waits for it; else an update goes on while nothing speaks against it."""
    update, evidence, terms = question.update, question.evidence, question.terms
    known = score.bad + evidence.good
    if terms.at_least and evidence.unmeasured and (known < terms.at_least or evidence.open == evidence.unmeasured):
        lack = evidence.lack or "they have not been looked at yet"
        return _wait(question, now, Code.GATE_UNMEASURED, unmeasured=evidence.unmeasured, why=lack)
    if terms.at_least and known < terms.at_least:
        return _wait(question, now, Code.GATE_NEEDS_MORE, known=known, at_least=terms.at_least, open=evidence.open)
    if terms.at_least and evidence.open:
        return _wait(question, now, Code.GATE_OPEN, known=known, open=evidence.open)
    if terms.at_least and evidence.bakes_until is not None and evidence.bakes_until > now:
        until = evidence.bakes_until
        why = reason(Code.GATE_BAKES, update=update, baking=evidence.baking, until=f"{until:%Y-%m-%d %H:%MZ}")
        return GateVerdict.WAIT, why, until
    passed = score.lowest <= score.bounds.passes_at
    code = Code.GATE_PASSED if passed else Code.GATE_UNDECIDED
    return GateVerdict.PROCEED, reason(code, update=update, known=known, bad=score.bad), None


def _wait(question: Question, now: datetime, code: Code, **told: object) -> tuple[GateVerdict, Reason, datetime | None]:
    """Waits for evidence, and holds once it has not come within its time: missing evidence never lets anybody in."""
    begun, within = question.evidence.begun_at, question.terms.decide_within
    until = begun + within if begun is not None and within is not None else None
    if until is not None and now >= until:
        return (
            GateVerdict.HOLD,
            reason(Code.GATE_TOO_LATE, update=question.update, until=f"{until:%Y-%m-%d %H:%MZ}"),
            None,
        )
    return GateVerdict.WAIT, reason(code, update=question.update, **told), until


class Phase(StrEnum):
    """Which nodes may begin an update: few to try it, or all."""

    CONTROL = "control"
    FULL = "full"


def first_phase(phases: Phases, update: Update | None) -> Phase:
    """Where an update begins. A flight is a trial itself, before any control phase, which would wait for it in vain."""
    is_flight = update is not None and update.stage is Stage.FLIGHT_READY
    return Phase.FULL if phases.control is None or is_flight else Phase.CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """The gate of one update of a run as last judged. `changed_at`: since when the verdict is what it is."""

    run: RunId
    update: UpdateId
    phase: Phase
    evidence: Evidence
    base: BaseRate
    judged: Judged
    begun_at: datetime | None
    changed_at: datetime
    said: GateSaid | None = None
    version: int = 1

    @property
    def is_closed(self) -> bool:
        """True while nobody else may begin the update."""
        return self.judged.verdict is not GateVerdict.PROCEED

    @property
    def is_trying(self) -> bool:
        """True while only the control phase's windows may begin it."""
        return self.phase is Phase.CONTROL and self.judged.verdict is GateVerdict.WAIT
