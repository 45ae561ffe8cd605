"""A search tells what it has after every stage, ends early when it is overdue, and repeats in any process."""

import os
import subprocess
import sys
from dataclasses import replace

from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.reasons import Code
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.planning.search import Found, Milestone, SearchOptions

ORDER = c.OrderClasses(classes=("small research", "small applied"))
SPREAD = c.SpreadEvenly(where=c.Where(), over="geo")
PREFERENCES = (c.FinishByDeadline(), c.FewestWindows(), ORDER, SPREAD, c.AvoidWeekday(weekday=1))


def make_inputs() -> PlanningInput:
    """Six small clusters of two classes, of which no more than four nodes may be out at once."""
    kinds = [("applied", "US"), ("research", "EU")]
    clusters = [b.make_cluster(f"c{n}", division=kinds[n % 2][0], geo=kinds[n % 2][1]) for n in range(6)]
    nodes = [node for n, cluster in enumerate(clusters) for node in b.make_nodes(cluster, [1 + n % 3])]
    limits = (c.Limit(what=c.LimitKind.NODES_OUT, at_once=4),)
    campaign = b.make_campaign(limits=limits, preferences=PREFERENCES)
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), campaign)


def plan(inputs: PlanningInput, options: SearchOptions) -> Planned:
    outcome = plan_campaign(inputs, new_plan_id="plan_1", hashes=b.HASHES, options=options)
    assert isinstance(outcome, Planned)
    return outcome


def test_every_stage_is_told_and_none_is_worse_than_the_one_before() -> None:
    told: list[tuple[Milestone, Found]] = []
    plan(make_inputs(), SearchOptions(tell=lambda stage, found: told.append((stage, found))))
    settled = [Milestone.SETTLED] * len(PREFERENCES)
    assert [stage for stage, _ in told] == [Milestone.FIRST, Milestone.REPAIRED, *settled]
    values = [[term.value for term in found.terms] for stage, found in told if stage is not Milestone.SETTLED]
    assert values == sorted(values, reverse=True)


def test_listening_does_not_change_the_plan() -> None:
    assert plan(make_inputs(), SearchOptions(tell=lambda *_: None)) == plan(make_inputs(), SearchOptions())


def test_an_overdue_search_ends_with_the_plan_it_has_and_says_so() -> None:
    cut = plan(make_inputs(), SearchOptions(is_overdue=lambda: True))
    assert [note.code for note in cut.notes] == [Code.SEARCH_CUT_SHORT]
    assert cut.plan.solver.status == "feasible"
    assert all(0 <= term.bound <= term.value for term in cut.plan.objective)
    assert plan(make_inputs(), SearchOptions()).notes == ()


def test_a_plan_that_is_proven_best_before_the_guard_bites_is_not_called_cut_short() -> None:
    easy = make_inputs()
    easy = replace(easy, campaign=replace(easy.campaign, preferences=(c.FewestWindows(),)))
    asked = iter([False] * 3)
    outcome = plan(easy, SearchOptions(is_overdue=lambda: next(asked, True)))
    assert outcome.notes == ()
    assert outcome.plan.solver.status == "optimal"


SCRIPT = """
from tests.unit.planning import bench, test_search
from fermata.formats.plans import plan_to_bytes
import sys
sys.stdout.buffer.write(plan_to_bytes(bench.planned(test_search.make_inputs())))
"""


def test_any_process_finds_the_same_bytes() -> None:
    found = set()
    for seed, threads in (("0", "1"), ("4711", "3")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", SCRIPT]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True, timeout=50).stdout)
    assert len(found) == 1
    assert b'"fermata.plan/1"' in found.pop()
