"""What observations make of the catalogue's claims: more of them narrow, steps under way count as at least so long."""

import math
import random
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import forecasts

from fermata.domain.ids import ClusterId
from fermata.planning.forecast.evidence import Evidence, kind_of
from fermata.planning.forecast.learning import Belief, Under
from fermata.planning.forecast.normal import draw_beyond, hazard, survival

NIC = "nic"  # claimed: 10 minutes in the median, 18 at the 90th percentile


def belief(evidence: Evidence | None = None, under: list[Under] | None = None, cluster: str = "c0") -> Belief:
    return forecasts.learn(evidence, under=under or []).lessons.belief(ClusterId(cluster))


def median(found: Belief, kind: str = NIC) -> float:
    return math.exp(found.mean[found.kinds.index(kind)])


def doubt(found: Belief, kind: str = NIC) -> float:
    at = found.kinds.index(kind)
    return math.sqrt(found.covariance[at, at])


def test_without_observations_the_claim_is_believed_with_its_doubt() -> None:
    found = belief()
    assert median(found) == pytest.approx(10)
    assert doubt(found) > 0.1


def test_many_observations_outvote_a_wrong_claim() -> None:
    assert median(belief(forecasts.observed(NIC, [20] * 400))) == pytest.approx(20, rel=0.02)


def test_another_cluster_learns_from_this_one_and_is_less_sure() -> None:
    evidence = forecasts.observed(NIC, [20] * 400)
    here, there = belief(evidence), belief(evidence, cluster="c1")
    assert 12 < median(there) < median(here)
    assert doubt(there) > doubt(here)


@given(count=st.integers(1, 60), more=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_more_observations_narrow(count: int, more: int) -> None:
    minutes = [6, 10, 17]
    few, many = forecasts.observed(NIC, minutes * count), forecasts.observed(NIC, minutes * (count + more))
    assert doubt(belief(many)) < doubt(belief(few))


@given(elapsed=st.floats(1, 25), nodes=st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_steps_under_way_never_shorten_what_is_believed(elapsed: float, nodes: int) -> None:
    evidence = forecasts.observed(NIC, [8, 10, 12] * 5)
    under = [Under(kind=NIC, cluster=ClusterId("c0"), minutes=elapsed)] * nodes
    assert median(belief(evidence, under)) >= median(belief(evidence)) * 0.999


def test_what_still_runs_corrects_what_ended_early() -> None:
    """Of a hundred steps those that ended within 10 minutes are the quick ones; the others count as well."""
    dice = random.Random(5)
    lengths = [dice.lognormvariate(math.log(14), 0.45) for _ in range(400)]
    ended = forecasts.observed(NIC, [max(1, round(x)) for x in lengths if x <= 10])
    under = [Under(kind=NIC, cluster=ClusterId("c0"), minutes=10.0) for x in lengths if x > 10]
    assert median(belief(ended)) < 10
    assert median(belief(ended, under)) == pytest.approx(14, rel=0.08)


def test_slow_drains_are_told_from_slow_nodes() -> None:
    dice = random.Random(7)
    quick = [max(2, round(dice.lognormvariate(math.log(5), 0.45))) for _ in range(300)]
    slow = [round(dice.lognormvariate(math.log(40), 0.45)) for _ in range(60)]
    learned = forecasts.learn(forecasts.observed("drain", quick + slow), under=[])
    found = learned.lessons.belief(ClusterId("c0"))
    assert median(found, "drain") == pytest.approx(5, rel=0.15)
    assert learned.lessons.slow.share == pytest.approx(60 / 360, abs=0.04)
    assert math.exp(learned.lessons.slow.log_factor) == pytest.approx(8, rel=0.2)


def test_a_step_that_hangs_hardly_moves_the_median() -> None:
    evidence = forecasts.observed(NIC, [8, 10, 12] * 10)
    hung = [Under(kind=NIC, cluster=ClusterId("c0"), minutes=44.0)]
    assert median(belief(evidence, hung)) == pytest.approx(median(belief(evidence)), rel=0.03)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [NIC, "drain"])
@pytest.mark.parametrize("minutes", [100.0, 1e3, 1e5])
def test_what_runs_for_ages_never_shortens_what_is_believed(kind: str, minutes: float) -> None:
    """Its weight was below zero: beyond its table the hazard is less than the distance."""
    ages = [Under(kind=kind, cluster=ClusterId("c0"), minutes=minutes)]
    evidence = forecasts.observed(kind, [10] * 200)
    assert median(belief(evidence, ages), kind) >= median(belief(evidence), kind) * 0.999


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("apply:nic", "nic"),
        ("reboot:7", "reboot"),
        ("reset:apply:nic", "reboot"),
        ("drain", "drain"),
        ("verify", "verify"),
        ("lock", None),
        ("give_back", None),
    ],
)
def test_steps_are_told_apart_by_what_takes_equally_long(step: str, kind: str | None) -> None:
    assert kind_of(step) == kind


def test_evidence_counts_failures_and_repairs_and_no_idle_drain() -> None:
    found = Evidence()
    told = [
        ("step.ended", "n1", {"step": "drain", "minutes": 1, "window": "w"}, ""),
        ("step.failed", "n1", {"step": "apply:nic", "window": "w"}, "no answer for 45 minutes"),
        ("step.failed", "n2", {"step": "apply:nic", "window": "w"}, "the image was not accepted"),
        ("step.ended", "n2", {"step": "reboot:4", "minutes": 9, "window": "w"}, ""),
        ("unit.failed", "n1", {"step": "reboot:4", "window": "w"}, "gone"),
    ]
    for event, unit, data, why in told:
        found.note(event, unit, ClusterId("c0"), forecasts.START, why, data)
    found.note("unit.resumed", "n1", ClusterId("c0"), forecasts.START + timedelta(hours=2), "", {"step": "reboot:4"})
    assert "drain" not in found.minutes
    assert (found.tries["nic"].hung, found.tries["nic"].failed, found.tries["nic"].tried) == (1, 1, 2)
    assert (found.fell_out, len(found.rebooted)) == (1, 1)
    assert (found.repaired, found.repair_minutes, found.in_repair) == (1, 120.0, {})


def test_the_table_of_the_normal_tail_is_the_normal_tail() -> None:
    z = np.array([-3.0, 0.0, 1.0, 4.0])
    assert survival(z) == pytest.approx([0.99865, 0.5, 0.158655, 3.167e-05], rel=1e-3)
    assert hazard(z) == pytest.approx([0.004438, 0.797885, 1.525135, 4.225607], rel=1e-3)
    drawn = draw_beyond(np.random.default_rng(1), np.full(20_000, 1.0))
    assert drawn.min() >= 1.0
    assert drawn.mean() == pytest.approx(1.525, abs=0.01)
