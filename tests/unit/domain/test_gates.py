"""What a gate says of an update, from what is known of it."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.gate_evidence import BaseRate, Evidence, RackEvidence, RateSource, find_base_rate
from fermata.domain.gates import GateSaid, GateVerdict, GateWord, Judged, Question, find_bounds, judge
from fermata.domain.ids import UpdateId
from fermata.domain.phases import Counted, GateTerms, OnFailure, SequentialTest
from fermata.domain.reasons import Code

NOW = datetime(2026, 1, 5, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
BASE = BaseRate(rate=0.015, source=RateSource.CAMPAIGN, nodes=0)
CONTROL = GateTerms(at_least=20, decide_within=24 * HOUR)
FULL = GateTerms()


def ask(evidence: Evidence, terms: GateTerms = FULL, **more: object) -> Judged:
    fields: dict[str, object] = {"update": UpdateId("nic"), "evidence": evidence, "terms": terms, "base": BASE}
    return judge(Question(**(fields | more)), NOW)  # type: ignore[arg-type]


def said(word: GateWord, **more: int) -> GateSaid:
    return GateSaid(word=word, actor="operator-1", why="looked at it", at=NOW, **more)


@pytest.mark.parametrize(
    ("evidence", "terms", "verdict", "code"),
    [
        (Evidence(), GateTerms(), GateVerdict.PROCEED, Code.GATE_UNDECIDED),
        (Evidence(good=200, failed=3), GateTerms(), GateVerdict.PROCEED, Code.GATE_UNDECIDED),
        (Evidence(good=2000, failed=30), GateTerms(), GateVerdict.PROCEED, Code.GATE_PASSED),
        (Evidence(good=140, failed=11), GateTerms(), GateVerdict.HOLD, Code.GATE_FAILED),
        (Evidence(good=140, regressed=11), GateTerms(), GateVerdict.HOLD, Code.GATE_FAILED),
        (
            Evidence(good=140, regressed=11),
            GateTerms(counts=frozenset({Counted.FAILED})),
            GateVerdict.PROCEED,
            Code.GATE_UNDECIDED,
        ),
        (
            Evidence(good=140, failed=11),
            GateTerms(on_failure=OnFailure.ROLL_BACK),
            GateVerdict.ROLL_BACK,
            Code.GATE_FAILED,
        ),
        (Evidence(good=7, failed=3), GateTerms(), GateVerdict.HOLD, Code.GATE_FIRST_FAILED),
        (Evidence(good=8, failed=3), GateTerms(), GateVerdict.PROCEED, Code.GATE_UNDECIDED),
        (Evidence(good=2, open=6, failed=3), GateTerms(), GateVerdict.PROCEED, Code.GATE_UNDECIDED),
        (
            Evidence(good=500, failed=4, worst_rack=RackEvidence(rack="r7", tried=8, failed=4)),
            GateTerms(),
            GateVerdict.HOLD,
            Code.GATE_RACK_FAILED,
        ),
        (
            Evidence(good=500, failed=4, worst_rack=RackEvidence(rack="r7", tried=9, failed=4)),
            GateTerms(),
            GateVerdict.PROCEED,
            Code.GATE_PASSED,
        ),
        (Evidence(), CONTROL, GateVerdict.WAIT, Code.GATE_NEEDS_MORE),
        (Evidence(good=19, open=40, begun_at=NOW), CONTROL, GateVerdict.WAIT, Code.GATE_NEEDS_MORE),
        (Evidence(good=30, open=1, begun_at=NOW), CONTROL, GateVerdict.WAIT, Code.GATE_OPEN),
        (
            Evidence(good=30, baking=4, bakes_until=NOW + HOUR, begun_at=NOW),
            CONTROL,
            GateVerdict.WAIT,
            Code.GATE_BAKES,
        ),
        (Evidence(good=19, open=1, begun_at=NOW - 24 * HOUR), CONTROL, GateVerdict.HOLD, Code.GATE_TOO_LATE),
        (Evidence(good=30, begun_at=NOW - 24 * HOUR), CONTROL, GateVerdict.PROCEED, Code.GATE_UNDECIDED),
        (Evidence(good=3, failed=4, begun_at=NOW), CONTROL, GateVerdict.HOLD, Code.GATE_FIRST_FAILED),
    ],
)
def test_verdict(evidence: Evidence, terms: GateTerms, verdict: GateVerdict, code: Code) -> None:
    judged = ask(evidence, terms)
    assert (judged.verdict, judged.reason.code) == (verdict, code)


def test_a_baking_gate_says_until_when() -> None:
    evidence = Evidence(good=30, baking=4, bakes_until=NOW + HOUR, begun_at=NOW)
    assert ask(evidence, CONTROL).until == NOW + HOUR


def test_word_of_an_operator_stands_whatever_is_known() -> None:
    good = Evidence(good=2000)
    assert ask(good, said=said(GateWord.HOLD)).verdict is GateVerdict.HOLD
    assert ask(good, said=said(GateWord.ROLL_BACK)).verdict is GateVerdict.ROLL_BACK


def test_proceed_takes_what_failed_as_known_and_still_stops_what_fails_on() -> None:
    word = said(GateWord.PROCEED, good=140, bad=11)
    assert ask(Evidence(good=140, failed=11), said=word).verdict is GateVerdict.PROCEED
    assert ask(Evidence(good=280, failed=22), said=word).verdict is GateVerdict.HOLD


def test_long_record_of_good_nodes_is_no_credit_for_one_that_turns_bad() -> None:
    """Of 20,000 good nodes nothing remains but that it passed: 20 failures in a row are stopped all the same."""
    before = ask(Evidence(good=20_000))
    after = ask(Evidence(good=20_000, failed=20), lowest=before.lowest)
    assert before.reason.code is Code.GATE_PASSED
    assert after.verdict is GateVerdict.HOLD


@pytest.mark.parametrize(
    ("tried", "failed", "rate", "source"),
    [
        (499, 50, 0.015, RateSource.CAMPAIGN),
        (500, 10, 0.02, RateSource.HISTORY),
        (500, 0, 0.002, RateSource.HISTORY),
        (0, 0, 0.015, RateSource.CAMPAIGN),
    ],
)
def test_base_rate_is_the_fleets_own_where_enough_is_on_record(
    tried: int, failed: int, rate: float, source: RateSource
) -> None:
    found = find_base_rate(tried, failed, 0.015)
    assert (found.rate, found.source) == (rate, source)


counts = st.integers(min_value=0, max_value=400)
STRICT = {GateVerdict.PROCEED: 0, GateVerdict.WAIT: 1, GateVerdict.HOLD: 2}


@given(good=counts, failed=counts, still_open=counts, more=counts, terms=st.sampled_from([GateTerms(), CONTROL]))
def test_more_failures_never_turn_a_hold_into_a_proceed(
    good: int, failed: int, still_open: int, more: int, terms: GateTerms
) -> None:
    before = Evidence(good=good, failed=failed, open=still_open, begun_at=NOW)
    after = replace(before, failed=failed + more)
    held = ask(before, terms).verdict is GateVerdict.HOLD
    assert not (held and ask(after, terms).verdict is not GateVerdict.HOLD)


@given(good=counts, failed=counts, still_open=counts)
def test_open_nodes_never_count_as_good(good: int, failed: int, still_open: int) -> None:
    """What lets a control phase pass is never the nodes whose outcome is not known."""
    evidence = Evidence(good=good, failed=failed, open=still_open, begun_at=NOW)
    judged = ask(evidence, CONTROL)
    assert judged.verdict is not GateVerdict.PROCEED or still_open == 0
    without = ask(replace(evidence, open=0))
    assert ask(evidence).score_to_pass >= without.score_to_pass


@given(good=counts, failed=counts, still_open=counts, turn_bad=st.integers(0, 100))
def test_an_outcome_that_comes_late_never_undoes_a_stop(good: int, failed: int, still_open: int, turn_bad: int) -> None:
    """A stop with nodes still open stands whatever becomes of them: late failures cannot make it a false one."""
    early = Evidence(good=good, failed=failed, open=still_open, begun_at=NOW)
    bad = min(turn_bad, still_open)
    late = replace(early, good=good + still_open - bad, failed=failed + bad, open=0)
    stopped = ask(early).verdict is GateVerdict.HOLD
    assert not stopped or ask(late).verdict is GateVerdict.HOLD


def walk(rate: float, nodes: int, seed: int) -> GateVerdict:
    """One update whose nodes fail at `rate`, judged after each of them."""
    dice, evidence, lowest = random.Random(seed), Evidence(), 0.0
    terms = GateTerms()
    for _ in range(nodes):
        is_bad = dice.random() < rate
        evidence = replace(evidence, failed=evidence.failed + is_bad, good=evidence.good + (not is_bad))
        judged = ask(evidence, terms, lowest=lowest)
        lowest = judged.lowest
        if judged.verdict is GateVerdict.HOLD:
            return GateVerdict.HOLD
    return GateVerdict.PROCEED


def test_stated_error_probabilities_hold() -> None:
    """Hard stops included: at the base rate at most 1 in 100 of 600 walks is stopped, at p1 at least 98 in 100 are."""
    p1 = find_bounds(SequentialTest(), BASE).p1
    stops_of_good = sum(walk(BASE.rate, 600, seed) is GateVerdict.HOLD for seed in range(600))
    stops_of_bad = sum(walk(p1, 1500, 10_000 + seed) is GateVerdict.HOLD for seed in range(150))
    assert stops_of_good <= 6
    assert stops_of_bad >= 147


def test_bounds_are_walds() -> None:
    bounds = find_bounds(SequentialTest(false_stop=0.05, missed_stop=0.1), BASE)
    assert bounds.stops_at == pytest.approx(2.8904, abs=1e-4)  # ln(0.9 / 0.05)
    assert bounds.passes_at == pytest.approx(-2.2513, abs=1e-4)  # ln(0.1 / 0.95)
    assert bounds.p1 == pytest.approx(0.045)
