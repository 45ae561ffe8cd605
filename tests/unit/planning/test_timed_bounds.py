"""A bound that a plan states is none that timing the windows of a day together could pass."""

from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.updates import Impact
from fermata.planning.board import Board
from fermata.planning.daywork import time_days
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.outline import compile_problem
from fermata.planning.problem import Problem, find_spots
from fermata.planning.rows import build_rows
from fermata.planning.search import DEFAULTS, Found, TermResult, find_plan
from fermata.planning.terms import list_terms
from fermata.planning.values import value_of

MANAGER = b.make_update("manager", "manager_fw", 10, Impact.IMPACTLESS, target="manager")
NIC = b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL)
LONG = b.make_update("long", "long_fw", 390, Impact.REBOOTFUL)  # with the others there is one start a day for it
KINDS = {"r": "research", "a": "applied"}
ORDER = c.OrderClasses(classes=("small research", "small applied"))
STARTS = (0, 30, 60)


def small(kinds: str, *, managers: int, days: int) -> PlanningInput:
    """A cluster of two racks per letter, research short and applied as long as a day; a rack manager in each rack."""
    clusters = [b.make_cluster(f"c{n}", division=KINDS[kind]) for n, kind in enumerate(kinds)]
    versions = {"r": {"nic_fw": b.OLD, "long_fw": b.NEW}, "a": {"nic_fw": b.OLD, "long_fw": b.OLD}}
    members = zip(kinds, clusters, strict=True)
    nodes = [replace(n, versions=versions[kind]) for kind, each in members for n in b.make_nodes(each, [2, 2])]
    devices = [b.make_device(f"c{n}", "manager", f"c{n}-r{rack}") for n in range(len(kinds)) for rack in range(2)]
    last = b.make_campaign().first_day.replace(day=4 + days)
    campaign = replace(
        b.make_campaign(),
        deadline=last,
        extension_until=last,
        preferences=(c.FinishByDeadline(), ORDER, c.AvoidWeekday(weekday=1)),
    )
    catalogue = b.make_catalogue(NIC, LONG, MANAGER, teams={"team-manager": managers})
    return b.make_inputs(b.make_fleet(clusters, nodes, devices), catalogue, campaign)


def worths_when_timed(problem: Problem) -> tuple[list[list[int]], list[list[int]]]:
    """What every choice of early spots that the rows allow is worth, before its days are timed and after."""
    spots = [spot for spot in find_spots(problem) if spot.start in STARTS]
    terms = list_terms(problem)
    board = Board(problem, spots, build_rows(problem, spots, with_reserve=False))
    laid_out, timed = [], []
    for chosen in product(*([n for n, spot in enumerate(spots) if spot.way in ways] for ways in problem.ways_of)):
        board.clear()
        board.take(chosen)
        if board.is_kept():
            taken = tuple(spots[n] for n in chosen)
            worth = [value_of(taken, term) for term in terms]
            results = tuple(TermResult(name=t.name, value=v, bound=0) for t, v in zip(terms, worth, strict=True))
            found = Found(spots=taken, terms=results, effort=0.0)
            laid_out.append(worth)
            timed.append([result.value for result in time_days(problem, found, DEFAULTS).found.terms])
    return laid_out, timed


def test_timing_may_leave_fewer_wrong_pairs_than_steps_as_laid_out_and_the_bound_is_not_above_it() -> None:
    """Both clusters need the one team first; applied has one start. Laid out, research has to wait and is too late."""
    inputs = small("ra", managers=2, days=1)
    laid_out, timed = worths_when_timed(compile_problem(inputs))
    assert min(worth[1] for worth in laid_out) == 1
    assert min(worth[1] for worth in timed) == 0
    found = find_plan(compile_problem(inputs))
    assert isinstance(found, Found)
    assert (found.terms[1].value, found.terms[1].bound) == (1, 0)
    outcome = b.plan(inputs)
    assert isinstance(outcome, Planned)
    assert [(term.value, term.bound) for term in outcome.plan.objective if term.term == "order"] == [(0, 0)]


@settings(derandomize=True, max_examples=12, deadline=None)
@given(kinds=st.text("ra", min_size=2, max_size=3), managers=st.integers(2, 4), days=st.integers(1, 2))
def test_no_choice_of_days_and_starts_is_timed_below_the_bound(kinds: str, managers: int, days: int) -> None:
    problem = compile_problem(small(kinds, managers=managers, days=days))
    _, timed = worths_when_timed(problem)
    found = find_plan(problem)
    if not isinstance(found, Found):
        assert not timed
        return
    late, order, avoided = (term.bound for term in found.terms)
    assert late <= min(worth[0] for worth in timed)
    best = [worth for worth in timed if worth[0] <= found.terms[0].value]
    assert order <= min(worth[1] for worth in best)
    own = time_days(problem, found, DEFAULTS).found.terms[1].value
    assert avoided <= min((worth[2] for worth in best if worth[1] <= own), default=avoided)
