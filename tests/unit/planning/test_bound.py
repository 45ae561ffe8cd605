"""Plans whose chance to exceed a limit is bounded: by spare room, by as little delay as possible, or not at all."""

from collections.abc import Sequence
from dataclasses import replace

from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Node
from fermata.domain.reasons import Code
from fermata.planning.inputs import Infeasible, PlanningInput
from fermata.planning.risk.simulate import Simulation, simulate_plan

CLUSTERS = [b.make_cluster(name) for name in ("alpha", "beta", "gamma", "delta")]
FALLOUT = c.Fallout(fraction=0.1, mean_days_to_repair=1)
MOST = 0.2


def make_inputs(sizes: Sequence[int], at_once: int) -> PlanningInput:
    """A cluster for each size; a limit on nodes out; days enough."""
    nodes: list[Node] = [
        n for cluster, size in zip(CLUSTERS, sizes, strict=False) for n in b.make_nodes(cluster, [size])
    ]
    limit = c.Limit(what=c.LimitKind.NODES_OUT, at_once=at_once)
    first = b.make_campaign().first_day
    campaign = b.make_campaign(
        limits=(limit,), fallout=FALLOUT, deadline=first, extension_until=first.replace(day=first.day + 6)
    )
    return b.make_inputs(b.make_fleet(CLUSTERS[: len(sizes)], nodes), b.make_catalogue(b.LONG_NIC), campaign)


def breach(inputs: PlanningInput) -> float:
    return simulate_plan(inputs, b.planned(inputs), Simulation(seed=inputs.seed)).modes[0].any_exceeded


def test_spare_room_keeps_breaches_as_rare_as_asked_and_costs_delay() -> None:
    free = make_inputs([10, 10, 10, 10], at_once=20)
    bound = replace(free, max_breach=MOST)
    assert breach(free) > MOST >= breach(bound)
    free_late, bound_late = (b.planned(inputs).objective[0].value for inputs in (free, bound))
    assert free_late < bound_late == 10 * (0 + 1 + 2 + 3)  # one a day


def test_plan_that_is_safe_anyway_stays_as_it_is() -> None:
    free = make_inputs([10, 10], at_once=40)
    assert b.planned(replace(free, max_breach=MOST)) == b.planned(free)


def test_bound_that_no_room_can_keep_names_the_least_that_was_found() -> None:
    outcome = b.plan(replace(make_inputs([20, 20], at_once=20), max_breach=0.001))
    assert isinstance(outcome, Infeasible)
    assert [clash.rule for clash in outcome.clashes] == [Code.BREACH_UNAVOIDABLE]
    assert "nodes_out" in outcome.clashes[0].sentence
    assert "--max-breach" in outcome.relaxations[0].sentence
