"""Terms of a search: what re-plans put first counts first, spots that are not allowed are never taken, floors hold."""

from datetime import date, timedelta

import pytest
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.planning.extract import write_plan
from fermata.planning.floors import find_floor
from fermata.planning.inputs import PlanningInput
from fermata.planning.outline import compile_problem
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.search import Found, NothingFound, SearchOptions, find_plan
from fermata.planning.terms import CostTerm, term_of

ROLLED = b.make_cluster("beta", rolling=True)
LIMITS = (c.Limit(what=c.LimitKind.NODES_OUT, at_once=4),)
FIRST = date(2026, 1, 5)


def make_inputs(**changes: object) -> PlanningInput:
    clusters = [b.make_cluster("alpha"), ROLLED]
    nodes = [*b.make_nodes(clusters[0], [2]), *b.make_nodes(ROLLED, [2, 2, 2, 2])]
    campaign = b.make_campaign(limits=LIMITS, **changes)
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), campaign)


def days_of(problem: Problem, found: Found, cluster: str) -> list[date]:
    spots = (spot for spot in found.spots if problem.ways[spot.way].cluster.name == cluster)
    return sorted(problem.days[spot.day].date for spot in spots)


def search(problem: Problem, options: SearchOptions) -> Found:
    found = find_plan(problem, options)
    assert isinstance(found, Found)
    return found


def test_a_leading_term_counts_before_the_deadline_and_stands_first_in_the_objective() -> None:
    problem = compile_problem(make_inputs())

    def cost(spot: Spot) -> int:  # alpha was promised the last day, which is late
        return int(problem.ways[spot.way].cluster.name == "alpha" and spot.day != 3)

    found = search(problem, SearchOptions(leading=(CostTerm(name="broken_promises", cost=cost),)))
    plan = write_plan(problem, found, plan_id="plan_1", hashes=b.HASHES)
    assert days_of(problem, found, "alpha") == [FIRST + timedelta(days=3)]
    assert [(t.term, t.value, t.bound) for t in plan.objective] == [
        ("broken_promises", 0, 0),
        ("finish_by_deadline", 4, 4),
        ("fewest_windows", 3, 3),
    ]


def test_a_leading_term_that_cannot_be_met_states_its_bound() -> None:
    problem = compile_problem(make_inputs())
    found = search(problem, SearchOptions(leading=(CostTerm(name="moved_windows", cost=lambda _: 7),)))
    assert next((t.name, t.value, t.bound) for t in found.terms) == ("moved_windows", 21, 21)


def test_spots_that_are_not_allowed_are_never_taken() -> None:
    problem = compile_problem(make_inputs())
    found = search(problem, SearchOptions(allows=lambda spot: spot.day != 0))
    taken = days_of(problem, found, "alpha") + days_of(problem, found, "beta")
    assert FIRST not in taken
    assert isinstance(find_plan(problem, SearchOptions(allows=lambda spot: spot.day == 0)), NothingFound)


@pytest.mark.parametrize(("deadline", "late"), [(0, 4), (1, 0)])
def test_a_rolled_cluster_is_late_with_its_last_part_when_days_before_the_deadline_do_not_suffice(
    deadline: int, late: int
) -> None:
    problem = compile_problem(make_inputs(deadline=FIRST + timedelta(days=deadline)))
    spots = find_spots(problem)
    assert find_floor(problem, spots, term_of(problem, c.FinishByDeadline())) == late
