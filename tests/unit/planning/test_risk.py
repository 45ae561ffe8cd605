"""Simulated campaigns: chances that can be worked out by hand come out so, and waiting turns breaches into delays."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.plans import Plan
from fermata.domain.windows import days_between
from fermata.planning.inputs import PlanningInput
from fermata.planning.risk.deadline import foresee_deadline
from fermata.planning.risk.figures import CampaignRisk
from fermata.planning.risk.simulate import Simulation, simulate_plan

ALPHA, BETA = b.make_cluster("alpha"), b.make_cluster("beta", geo="EU")
SIZE = 10
NODES_OUT = c.Limit(what=c.LimitKind.NODES_OUT, at_once=SIZE)
FALLOUT = c.Fallout(fraction=0.1, mean_days_to_repair=2)
DAYS_UNTIL_NEXT = (24 - 5) / 24  # a node that falls out is missed about five hours after its window's start


def make_case(fallout: c.Fallout = FALLOUT, **changes: object) -> tuple[PlanningInput, Plan]:
    """Two clusters of SIZE nodes each that a limit keeps on two days."""
    campaign = b.make_campaign(**{"limits": (NODES_OUT,), "fallout": fallout, "return_threshold": 0.7, **changes})
    nodes = [*b.make_nodes(ALPHA, [5, 5]), *b.make_nodes(BETA, [5, 5])]
    inputs = b.make_inputs(b.make_fleet([ALPHA, BETA], nodes), b.make_catalogue(b.LONG_NIC), campaign)
    return inputs, b.planned(inputs)


def simulated(inputs: PlanningInput, plan: Plan, **asked: object) -> CampaignRisk:
    return simulate_plan(inputs, plan, replace(Simulation(runs=1000, correlation=0.0), **asked))  # type: ignore[arg-type]


def test_chance_of_a_breach_is_that_of_a_repair_that_outlasts_the_night() -> None:
    mode = simulated(*make_case()).modes[0]
    still_out = FALLOUT.fraction * math.exp(-DAYS_UNTIL_NEXT / FALLOUT.mean_days_to_repair)
    assert mode.any_exceeded == pytest.approx(1 - (1 - still_out) ** SIZE, abs=0.05)
    assert mode.limits[0].worst_day is not None
    assert mode.limits[0].exceeded_on_worst_day == mode.any_exceeded == mode.limits[0].exceeded


def test_nodes_of_elsewhere_do_not_count_towards_a_limit() -> None:
    inputs, plan = make_case()
    only_alpha = replace(NODES_OUT, at_once=SIZE, where=c.Where(conditions={"cluster": frozenset({"alpha"})}))
    campaign = replace(inputs.campaign, limits=(only_alpha,))
    assert simulated(replace(inputs, campaign=campaign), plan).modes[0].any_exceeded == 0


def test_nothing_goes_wrong_where_nothing_falls_out_and_there_is_time() -> None:
    inputs, plan = make_case(c.Fallout(fraction=0.0, mean_days_to_repair=2))
    mode = simulated(inputs, plan).modes[0]
    assert mode.any_exceeded == 0
    assert mode.late_node_days.mean < 0.5  # a write that hangs may last until after midnight
    assert mode.deadline_missed < 0.05


def test_windows_that_wait_exceed_nothing_and_open_late_or_miss_their_day() -> None:
    held, gated = simulated(*make_case(), with_gate=True).modes
    assert held.any_exceeded > 0.3
    assert held.waited_windows.mean == held.missed_windows.mean == 0
    assert gated.any_exceeded == 0
    assert gated.missed_windows.mean == pytest.approx(held.any_exceeded, abs=0.1)
    assert gated.missed_nodes.mean == pytest.approx(SIZE * gated.missed_windows.mean, abs=0.1)
    assert gated.deadline_missed >= gated.missed_windows.mean - 0.01


def test_ends_are_kept_as_often_as_the_plan_says() -> None:
    risk = simulated(*make_case(b.make_campaign().fallout, return_threshold=0.95))
    assert risk.modes[0].kept.mean == pytest.approx(risk.planned.kept, abs=0.1)


def test_each_node_costs_the_hours_until_its_return() -> None:
    inputs, plan = make_case()
    whole, none = (simulated(replace(inputs, campaign=x), plan) for x in (inputs.campaign, without_fallout(inputs)))
    nodes = 2 * SIZE
    repairs = nodes * FALLOUT.fraction * FALLOUT.mean_days_to_repair * 24
    extra = whole.modes[0].lost_node_hours.mean - none.modes[0].lost_node_hours.mean
    assert extra == pytest.approx(repairs, rel=0.1)
    assert none.modes[0].lost_node_hours.mean < none.planned.lost_node_hours


def without_fallout(inputs: PlanningInput) -> c.Campaign:
    return replace(inputs.campaign, fallout=c.Fallout(fraction=0.0, mean_days_to_repair=2))


def test_what_is_planned_after_the_deadline_misses_it() -> None:
    inputs, plan = make_case(deadline=b.make_campaign().first_day)
    risk = simulated(inputs, plan)
    assert risk.planned.late_windows == 1
    assert risk.planned.late_node_days == SIZE
    assert risk.modes[0].deadline_missed == 1
    assert risk.modes[0].late_node_days.mean >= SIZE


def test_what_runs_have_in_common_spreads_them_and_leaves_the_middle() -> None:
    inputs, plan = make_case(c.Fallout(fraction=0.0, mean_days_to_repair=2))
    apart, together = (simulated(inputs, plan, correlation=x).modes[0].lost_node_hours for x in (0.0, 0.6))
    assert together.p90 - together.p10 > 1.3 * (apart.p90 - apart.p10)
    assert together.p50 == pytest.approx(apart.p50, rel=0.03)


def test_equal_seeds_give_equal_figures_and_others_do_not() -> None:
    inputs, plan = make_case()
    first, again, other = (simulated(inputs, plan, runs=300, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.modes != other.modes


def test_every_window_and_limit_is_told_of() -> None:
    windows = c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1)
    per_day = c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=1)
    inputs, plan = make_case(limits=(NODES_OUT, windows, per_day))
    mode = simulated(inputs, plan, runs=200).modes[0]
    assert [found.allowed for found in mode.limits] == [SIZE, 1]  # chance breaks no limit on windows per day
    assert [found.is_on_nodes for found in mode.limits] == [True, False]
    assert {found.window for found in mode.windows} == {window.id for window in plan.windows}


def test_the_fan_counts_who_is_back_by_the_end_of_each_day() -> None:
    inputs, plan = make_case(c.Fallout(fraction=0.0, mean_days_to_repair=2))
    seen = foresee_deadline(inputs, plan, plays=250, recovery_days=1)
    days = [each.day for each in seen.fan]
    assert days == list(days_between(min(days), inputs.campaign.deadline))
    assert [each.median for each in seen.fan[:2]] == [SIZE, 2 * SIZE], "a cluster a day, and nobody falls out"


def test_the_fan_opens_with_those_who_fall_out_and_never_promises_more_than_it_saw() -> None:
    inputs, plan = make_case()
    seen = foresee_deadline(inputs, plan, plays=1000, recovery_days=1)
    first = seen.fan[0]
    out = FALLOUT.fraction * math.exp(-((24 - 11) / 24) / FALLOUT.mean_days_to_repair)
    mean = SIZE * (1 - out)
    assert first.bound <= first.median <= SIZE
    assert abs(first.median - mean) <= 1
    shares = [math.comb(SIZE, k) * out**k * (1 - out) ** (SIZE - k) for k in range(SIZE + 1)]
    lost, total = 0, shares[0]
    while total < 0.9:
        lost += 1
        total += shares[lost]
    assert first.bound == SIZE - lost, "one play in ten has fewer"
    for before, after in pairwise(seen.fan):
        assert after.median >= before.median
        assert after.bound >= before.bound


def test_a_window_that_finds_no_room_on_its_day_is_not_counted_as_back() -> None:
    inputs, plan = make_case(c.Fallout(fraction=1.0, mean_days_to_repair=100))
    seen = foresee_deadline(inputs, plan, plays=125, recovery_days=1)
    assert seen.fan[-1].bound <= seen.fan[-1].median < SIZE
