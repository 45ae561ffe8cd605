"""Windows of one day timed together: teams over all of them, starts as early as limits let them, nothing worse."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.plans import DeviceApplyStep, Plan, Window
from fermata.domain.updates import Catalogue, Duration, Impact
from fermata.planning.daywork import time_days
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.outline import compile_problem
from fermata.planning.search import DEFAULTS, Found, find_plan

MORNING = datetime(2026, 1, 5, 19, tzinfo=UTC)  # 11:00 in Los Angeles
MANAGER = b.make_update("manager", "manager_fw", 10, Impact.IMPACTLESS, target="manager")
NIC = replace(b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL), duration_minutes=Duration(p50=60, p90=110))


def scenario(clusters: Sequence[str], catalogue: Catalogue, campaign: c.Campaign, *, racks: int = 2) -> PlanningInput:
    """Clusters of racks with four nodes and a manager each."""
    made = [b.make_cluster(name) for name in clusters]
    nodes = [node for cluster in made for node in b.make_nodes(cluster, [4] * racks)]
    devices = [b.make_device(name, "manager", f"{name}-r{rack}") for name in clusters for rack in range(racks)]
    return b.make_inputs(b.make_fleet(made, nodes, devices), catalogue, campaign)


def one_day(**changes: object) -> c.Campaign:
    day = b.make_campaign().first_day
    return replace(b.make_campaign(), deadline=day, extension_until=day, **changes)  # type: ignore[arg-type]


def planned(inputs: PlanningInput) -> Planned:
    outcome = b.plan(inputs)
    assert isinstance(outcome, Planned), outcome
    return outcome


def on_managers(plan: Plan) -> list[DeviceApplyStep]:
    return [step for window in plan.windows for step in window.steps if isinstance(step, DeviceApplyStep)]


def busiest(windows: Sequence[Window]) -> int:
    steps = [step for window in windows for step in window.steps if isinstance(step, DeviceApplyStep)]
    return max(sum(len(s.devices) for s in steps if s.start <= step.start < s.end) for step in steps)


def test_team_goes_from_window_to_window_instead_of_windows_waiting_for_it() -> None:
    catalogue = b.make_catalogue(NIC, MANAGER, teams={"team-manager": 2})
    outcome = planned(scenario(["alpha", "beta", "gamma"], catalogue, one_day()))
    assert {window.start for window in outcome.plan.windows} == {MORNING}
    assert busiest(outcome.plan.windows) == 2
    assert len({step.start for step in on_managers(outcome.plan)}) == 3
    assert [(day.windows, day.proven, day.minutes_saved) for day in outcome.days] == [(3, True, 30 + 60)]


def test_steps_stay_where_they_are_when_the_team_can_do_it_all() -> None:
    catalogue = b.make_catalogue(NIC, MANAGER, teams={"team-manager": 4})
    outcome = planned(scenario(["alpha", "beta"], catalogue, one_day()))
    assert {window.start for window in outcome.plan.windows} == {MORNING}
    assert len({step.start for step in on_managers(outcome.plan)}) == 1
    assert [(day.proven, day.minutes_saved) for day in outcome.days] == [(True, 0)]


def test_windows_wait_where_a_limit_of_the_campaign_wants_it() -> None:
    short = replace(NIC, duration_minutes=Duration(p50=60, p90=66))
    limit = c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1)
    outcome = planned(scenario(["alpha", "beta"], b.make_catalogue(short, MANAGER), one_day(limits=(limit,))))
    first, second = sorted(outcome.plan.windows, key=lambda window: window.start)
    assert first.end <= second.start
    assert all(day.proven for day in outcome.days)


def test_window_ends_no_later_and_is_no_shorter_for_being_timed_with_others() -> None:
    inputs = scenario(["alpha", "beta", "gamma"], b.make_catalogue(NIC, MANAGER, teams={"team-manager": 2}), one_day())
    problem = compile_problem(inputs)
    found = find_plan(problem)
    assert isinstance(found, Found)
    timed = time_days(problem, found, DEFAULTS)
    for before, after in zip(found.spots, timed.found.spots, strict=True):
        assert after.start <= before.start
        assert (after.way, after.group, after.day) == (before.way, before.group, before.day)
        old, new = problem.group_of(before).parts, timed.problem.group_of(after).parts
        assert [part.steps.minutes for part in old] == [part.steps.minutes for part in new]


def test_order_that_was_right_stays_right() -> None:
    order = c.OrderClasses(classes=("small research", "big research"))
    catalogue = b.make_catalogue(NIC, MANAGER, teams={"team-manager": 2})
    campaign = one_day(preferences=(c.FinishByDeadline(), order), big_cluster_nodes=8)
    inputs = scenario(["alpha", "beta"], catalogue, campaign)
    big = scenario(["gamma"], catalogue, campaign, racks=3)
    fleet = b.make_fleet(
        [*inputs.fleet.clusters.values(), *big.fleet.clusters.values()],
        [*inputs.fleet.nodes.values(), *big.fleet.nodes.values()],
        [*inputs.fleet.devices.values(), *big.fleet.devices.values()],
    )
    wide = replace(catalogue, team_limits=dict.fromkeys(catalogue.team_limits, 3))
    plan = planned(replace(inputs, fleet=fleet, catalogue=wide)).plan
    assert [term.value for term in plan.objective if term.term == "order"] == [0]
    small = [window.start for window in plan.windows if window.cluster != "gamma"]
    assert max(small) <= next(window.start for window in plan.windows if window.cluster == "gamma")


@settings(max_examples=12, derandomize=True, deadline=None)
@given(
    clusters=st.integers(min_value=1, max_value=4),
    managers=st.integers(min_value=2, max_value=5),
    nics=st.integers(min_value=8, max_value=20),
    at_once=st.integers(min_value=1, max_value=4),
)
def test_whatever_the_teams_the_day_passes_the_checker(clusters: int, managers: int, nics: int, at_once: int) -> None:
    catalogue = b.make_catalogue(NIC, MANAGER, teams={"team-manager": managers, "team-nic": nics})
    limit = c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=at_once)
    names = ["alpha", "beta", "gamma", "delta"][:clusters]
    campaign = replace(b.make_campaign(), limits=(limit,))
    outcome = planned(scenario(names, catalogue, campaign))  # the planner raises when the checker faults its plan
    assert sum(day.windows for day in outcome.days) == clusters
    assert all(window.end - window.start >= timedelta(hours=1) for window in outcome.plan.windows)
