"""How much may be out, open or under work at once: nodes, shares, big clusters, windows, teams."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.ids import TeamId, WindowId
from fermata.domain.plans import Plan
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
OUT, BIG, OPEN = LimitKind.NODES_OUT, LimitKind.WHOLE_BIG_CLUSTERS, LimitKind.CLUSTER_WINDOWS


def limited(*limits: Limit) -> PlanningInput:
    return w.scenario(campaign=w.campaign(limits=limits))


def gamma_at(inputs: PlanningInput, by: timedelta) -> Plan:
    """The valid plan with gamma (6 nodes) starting `by` after alpha (6 nodes, 35 minutes)."""
    made = w.windows(inputs)
    return w.plan(inputs, w.swap(made, w.move(made[-1], w.MONDAY + by - made[-1].start)))


def where(**conditions: str) -> Where:
    return Where(conditions={key: frozenset({value}) for key, value in conditions.items()})


@pytest.mark.parametrize(
    ("limit", "by_minutes", "expected"),
    [
        (Limit(what=OUT, at_once=12), 0, set()),
        (Limit(what=OUT, at_once=11), 0, {"NODES_OUT"}),
        (Limit(what=OUT, at_once=11), 34, {"NODES_OUT"}),
        (Limit(what=OUT, at_once=11), 35, set()),
        (Limit(what=OUT, at_once=5, where=where(geo="EU")), 60, {"NODES_OUT"}),
        (Limit(what=OUT, at_once=6, where=where(workload="api")), 0, set()),
        (Limit(what=OUT, at_once=5, where=where(workload="api")), 0, {"NODES_OUT"}),
        # 22 nodes are in scope, 11 of them serve the api
        (Limit(what=OUT, at_once_fraction=0.55), 0, set()),
        (Limit(what=OUT, at_once_fraction=0.5), 0, {"NODES_OUT_SHARE"}),
        (Limit(what=OUT, at_once_fraction=0.6, where=where(workload="api")), 0, set()),
        (Limit(what=OUT, at_once_fraction=0.54, where=where(workload="api")), 0, {"NODES_OUT_SHARE"}),
        (Limit(what=OUT, at_once_fraction=0.54, where=where(workload="api")), 35, set()),
        (Limit(what=BIG, per_day=2), 60, set()),
        (Limit(what=BIG, per_day=1), 60, {"BIG_CLUSTERS_PER_DAY"}),
        (Limit(what=BIG, per_day=1), 25 * 60, set()),
        (Limit(what=BIG, per_day=1, last_day=date(2026, 1, 4)), 60, set()),
        (Limit(what=BIG, per_day=1, last_day=date(2026, 1, 5)), 60, {"BIG_CLUSTERS_PER_DAY"}),
        (Limit(what=BIG, per_day=1, first_day=date(2026, 1, 5)), 60, {"BIG_CLUSTERS_PER_DAY"}),
        (Limit(what=BIG, per_day=1, first_day=date(2026, 1, 6)), 60, set()),
        (Limit(what=OPEN, at_once=2), 0, set()),
        (Limit(what=OPEN, at_once=1), 34, {"CLUSTER_WINDOWS"}),
        (Limit(what=OPEN, at_once=1), 35, set()),
        (Limit(what=OPEN, at_once=1, where=where(division="research")), 0, set()),
        (Limit(what=OPEN, at_once=0, where=where(division="research")), 60, {"CLUSTER_WINDOWS"}),
    ],
)
def test_limits_hold_at_every_instant(limit: Limit, by_minutes: int, expected: set[str]) -> None:
    inputs = limited(limit)
    assert w.faults(inputs, gamma_at(inputs, by_minutes * MINUTE)) == expected


def test_nodes_that_are_out_twice_count_once() -> None:
    inputs = limited(Limit(what=OUT, at_once=6))
    made = w.windows(inputs)
    again = replace(made[0], id=WindowId("w-alpha-again"))
    assert "NODES_OUT" not in w.faults(inputs, w.plan(inputs, [*made, again]))


def test_a_limit_is_broken_once_for_each_time_over_it() -> None:
    inputs = limited(Limit(what=OUT, at_once=5))
    found = [v for v in check_plan(inputs, w.plan(inputs, w.windows(inputs))) if v.rule == "NODES_OUT"]
    assert [violation.window for violation in found] == ["w-alpha", "w-gamma"]


def test_limits_count_all_windows_and_fault_those_asked_for() -> None:
    inputs = limited(Limit(what=OUT, at_once=11))
    built = gamma_at(inputs, timedelta(0))
    asked = check_plan(inputs, built, only=frozenset({WindowId("w-gamma")}))
    assert {violation.rule for violation in asked} == {"NODES_OUT"}
    assert check_plan(inputs, built, only=frozenset({WindowId("w-beta-1")})) == ()


@pytest.mark.parametrize(
    ("team", "at_once", "by", "expected"),
    [
        ("team-nic", 11, 4 * MINUTE, set()),  # gamma has no devices to wait for: 4 minutes later both write NICs
        ("team-nic", 10, 4 * MINUTE, {"TEAM_LIMIT"}),
        ("team-nic", 10, 9 * MINUTE, set()),
        ("team-nic", 6, HOUR, set()),
        ("team-nic", 5, HOUR, {"TEAM_LIMIT"}),
        ("team-tor-os", 2, HOUR, set()),
        ("team-tor-os", 1, HOUR, {"TEAM_LIMIT"}),
    ],
)
def test_a_team_works_on_no_more_units_than_it_can(team: str, at_once: int, by: timedelta, expected: set[str]) -> None:
    limits = {**w.catalogue().team_limits, TeamId(team): at_once}
    inputs = w.scenario(catalogue=replace(w.catalogue(), team_limits=limits))
    assert w.faults(inputs, gamma_at(inputs, by)) == expected
