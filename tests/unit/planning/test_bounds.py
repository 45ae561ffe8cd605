"""Bounds never exceed what a plan can reach, rows hold what overlaps, and repair never loses ground."""

from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.planning.board import Board
from fermata.planning.floors import leave_out
from fermata.planning.greedy import place_greedily
from fermata.planning.inputs import never
from fermata.planning.model import Solved
from fermata.planning.order_bound import OrderBound
from fermata.planning.order_model import DayModel
from fermata.planning.order_search import OrderSearch, Settled
from fermata.planning.outline import compile_problem
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.repair import Pace, repair_plan
from fermata.planning.rows import Row, build_rows
from fermata.planning.tally import Tally
from fermata.planning.terms import CostTerm, OrderTerm, Term, list_terms
from fermata.planning.values import value_of

FIRST = date(2026, 1, 5)
ORDER = c.OrderClasses(classes=("small research", "small applied"))
SPREAD = c.SpreadEvenly(where=c.Where(), over="geo")
PREFERENCES = (c.FinishByDeadline(), c.FewestWindows(), ORDER, SPREAD, c.AvoidWeekday(weekday=1))
KINDS = {"r": "research", "a": "applied"}
HALF_DAY_NIC = b.make_update(
    "nic", "nic_fw", 130, b.u.Impact.REBOOTFUL
)  # two windows after each other, in a day of eight


def compile_fleet(
    kinds: str, *, windows: int, days: int = 3, frozen: str = "", update: b.u.Update = b.LONG_NIC
) -> Problem:
    """A one-node cluster per letter (research or applied); so many windows at once; `frozen` have no first day."""
    clusters = [b.make_cluster(f"c{n}", division=KINDS[kind]) for n, kind in enumerate(kinds)]
    nodes = [node for cluster in clusters for node in b.make_nodes(cluster, [1])]
    campaign = b.make_campaign(
        first_day=FIRST,
        deadline=FIRST + timedelta(days=days - 1),
        extension_until=FIRST + timedelta(days=days - 1),
        limits=(c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=windows),),
        preferences=PREFERENCES,
    )
    day = b.datetime(2026, 1, 5, tzinfo=b.UTC)
    freezes = [b.make_freeze(f"c{n}", day, day + timedelta(days=1, hours=12)) for n in map(int, frozen)]
    return compile_problem(b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(update), campaign, *freezes))


def parts_of(
    problem: Problem, starts: tuple[int, ...] = (0,)
) -> tuple[tuple[Spot, ...], tuple[Row, ...], tuple[Term, ...]]:
    """With one start a day, or a few, so that every choice can be tried."""
    spots = tuple(spot for spot in find_spots(problem) if spot.start in starts)
    return spots, build_rows(problem, spots, with_reserve=False), list_terms(problem)


def choices_of(problem: Problem, starts: tuple[int, ...] = (0,)) -> list[list[Spot]]:
    """Every choice of spots that the rows allow."""
    spots, rows, _ = parts_of(problem, starts)
    by_cluster = [[n for n, spot in enumerate(spots) if spot.way in ways] for ways in problem.ways_of]
    board = Board(problem, spots, rows)
    found = []
    for chosen in product(*by_cluster):
        board.clear()
        board.take(chosen)
        if board.is_kept():
            found.append([spots[n] for n in chosen])
    return found


def worths_of(problem: Problem) -> list[tuple[int, ...]]:
    """What every choice of spots that the rows allow is worth."""
    terms = list_terms(problem)
    return [tuple(value_of(chosen, term) for term in terms) for chosen in choices_of(problem)]


def make_bound(problem: Problem) -> OrderBound:
    spots, rows, terms = parts_of(problem)
    assert isinstance(terms[2], OrderTerm)
    return OrderBound(problem, spots, rows, terms[2])


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    kinds=st.text("ra", min_size=2, max_size=4),
    windows=st.integers(1, 2),
    frozen=st.sets(st.integers(0, 1), max_size=2),
)
def test_no_bound_is_more_than_the_least_there_is(kinds: str, windows: int, frozen: set[int]) -> None:
    problem = compile_fleet(kinds, windows=windows, days=4, frozen="".join(map(str, sorted(frozen))))
    worths = worths_of(problem)
    pairs = sorted({worth[2] for worth in worths})
    for cutoff in {pairs[0], pairs[-1]}:
        bound = make_bound(problem)
        assert bound.find(cutoff) <= pairs[0]
        late, avoided = parts_of(problem)[2][0], parts_of(problem)[2][4]
        assert isinstance(late, CostTerm)
        assert isinstance(avoided, CostTerm)
        near = [worth for worth in worths if worth[2] <= cutoff]
        assert bound.find_floor(late) <= min(worth[0] for worth in near)
        assert bound.find_floor(avoided) <= min(worth[4] for worth in near)
    if pairs[0]:
        assert make_bound(problem).find(pairs[0] - 1) <= pairs[0]


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    kinds=st.text("ra", min_size=2, max_size=4),
    windows=st.integers(1, 2),
    frozen=st.sets(st.integers(0, 1), max_size=2),
)
def test_the_model_by_days_finds_the_least_there_is(kinds: str, windows: int, frozen: set[int]) -> None:
    """With one start a day it leaves out nothing, told apart or not."""
    problem = compile_fleet(kinds, windows=windows, days=4, frozen="".join(map(str, sorted(frozen))))
    spots, rows, terms = parts_of(problem)
    worths = worths_of(problem)
    pairs = min(worth[2] for worth in worths)
    for cutoff, detailed in ((max(worth[2] for worth in worths), set[int]()), (pairs, {spot.day for spot in spots})):
        bound = make_bound(problem)
        bound.find(cutoff)
        model = DayModel(problem, spots, rows, bound, detailed)
        model.lessen(bound.term)
        found = model.solve((), seed=1, effort=5.0)
        assert isinstance(found, Solved)
        assert (found.value, found.bound) == (pairs, pairs)
        model.hold(bound.term, pairs)
        for number in (0, 4):
            model.lessen(terms[number])
            solved = model.solve((), seed=1, effort=5.0)
            assert isinstance(solved, Solved)
            assert solved.value == solved.bound == min(worth[number] for worth in worths if worth[2] == pairs)


@settings(derandomize=True, max_examples=15, deadline=None)
@given(kinds=st.text("ra", min_size=2, max_size=4), frozen=st.sets(st.integers(0, 3), max_size=2))
def test_the_search_by_days_proves_the_least_where_windows_cannot_start_together(kinds: str, frozen: set[int]) -> None:
    """One window at a time and room for two a day: which windows share a day is not all that the order depends on."""
    at_first = "".join(str(number) for number in sorted(frozen) if number < len(kinds))
    problem = compile_fleet(kinds, windows=1, frozen=at_first, update=HALF_DAY_NIC)
    starts = (0, 120, 240)
    spots, rows, terms = parts_of(problem, starts)
    order, avoided = terms[2], terms[4]
    assert isinstance(order, OrderTerm)
    choices = choices_of(problem, starts)
    worst = max(choices, key=lambda chosen: value_of(chosen, order))
    search = OrderSearch(problem, spots, rows, order)
    known = Settled(spots=tuple(worst), value=value_of(worst, order), bound=0, floor=0)
    settled = search.lessen(order, known, (), never)
    pairs = min(value_of(chosen, order) for chosen in choices)
    assert settled.value == settled.bound == settled.floor == value_of(settled.spots, order) == pairs
    best = min(value_of(chosen, avoided) for chosen in choices if value_of(chosen, order) == pairs)
    known = Settled(spots=settled.spots, value=value_of(settled.spots, avoided), bound=0, floor=0)
    last = search.lessen(avoided, known, [(order, pairs)], never)
    assert last.value == last.bound == last.floor == value_of(last.spots, avoided) == best
    assert set(map(frozenset, choices)) >= {frozenset(settled.spots), frozenset(last.spots)}


def test_wrong_pairs_that_freezes_force_are_proven() -> None:
    problem = compile_fleet("rra", windows=1, frozen="01")
    assert make_bound(problem).find(10) == 2
    assert make_bound(problem).find(1) == 2  # none has as few


def test_what_a_lower_cutoff_taught_is_forgotten_on_going_back() -> None:
    bound = make_bound(compile_fleet("rra", windows=1, frozen="01"))
    assert bound.find(10) == 2
    ranges, mark = bound.ranges(0), bound.mark()
    assert bound.find(1) == 2  # none has as few
    bound.go_back(mark)
    assert bound.ranges(0) == ranges
    assert bound.find(10) == 2


def test_avoided_days_that_the_wrong_pairs_force_are_proven() -> None:
    problem = compile_fleet("rra", windows=1)  # one a day, Monday on: the second cluster on the avoided Tuesday
    bound = make_bound(problem)
    assert bound.find(0) == 0
    avoided = parts_of(problem)[2][4]
    assert isinstance(avoided, CostTerm)
    assert bound.find_floor(avoided) == 1


def test_starts_of_one_day_bound_as_the_day_does() -> None:
    """All starts of a day are one place: what each of them takes at least is what the place takes."""
    problem = compile_fleet("rraa", windows=1, frozen="01")
    spots = find_spots(problem)
    assert {spot.start for spot in spots} > {0}
    order = list_terms(problem)[2]
    assert isinstance(order, OrderTerm)
    first_starts = make_bound(problem).find(10)
    assert OrderBound(problem, spots, build_rows(problem, spots, with_reserve=False), order).find(10) <= first_starts


@pytest.mark.parametrize(("value", "days"), [(0, {0, 1}), (1, {0, 1, 2}), (2, {0, 1, 2, 3})])
def test_spots_that_cost_more_than_there_is_to_spare_are_left_out(value: int, days: set[int]) -> None:
    problem = compile_fleet("ra", windows=1, days=4)
    spots = find_spots(problem)
    term = CostTerm(name="late", cost=lambda spot: max(0, spot.day - 1))
    assert {spot.day for spot in leave_out(problem, spots, term, value)} == days


def test_rows_name_windows_that_meet_and_none_that_do_not() -> None:
    problem = compile_fleet("rrr", windows=2, days=2)
    spots, rows, _ = parts_of(problem)
    for row in rows:
        assert len({spots[n].day for n in row.spots.tolist()}) == 1
        assert row.capacity == 2
    chosen = [next(n for n, spot in enumerate(spots) if spot.way == way and spot.day == 0) for way in range(3)]
    board = Board(problem, spots, rows)
    board.take(chosen[:2])
    assert board.is_kept()
    assert [spots[n].day for n in board.find_spots(2) or ()] == [1]
    board.take(chosen[2:])
    assert not board.is_kept()


def test_a_limit_that_all_windows_together_keep_makes_no_row() -> None:
    assert parts_of(compile_fleet("rra", windows=3))[1] == ()


@settings(derandomize=True, max_examples=10, deadline=None)
@given(kinds=st.text("ra", min_size=3, max_size=8), number=st.integers(0, 3))
def test_repair_never_makes_a_plan_worse_and_leaves_nothing_on_the_board(kinds: str, number: int) -> None:
    problem = compile_fleet(kinds, windows=3)
    spots, rows, terms = parts_of(problem)
    start = place_greedily(problem, spots, rows)
    assert start is not None
    board, tally = Board(problem, spots, rows), Tally(spots, terms)
    pace = Pace(rounds=60, drift=0.5, number=number)
    best = repair_plan(problem, board, tally, start, pace=pace, stops=lambda: False)

    def worth(chosen: tuple[int, ...]) -> list[int]:
        return [value_of([spots[n] for n in chosen], term) for term in terms]

    assert worth(best) <= worth(start)
    assert not np.any(tally.total())
    board.take(best)
    assert board.is_kept()


def compile_sized(sizes: str, *, at_once: int, days: int, frozen: str = "") -> Problem:
    """A cluster per pair of letter and digit, its nodes; so many nodes out at once; `frozen` have no first day."""
    kinds = list(zip(sizes[::2], map(int, sizes[1::2]), strict=True))
    clusters = [b.make_cluster(f"c{n}", division=KINDS[kind]) for n, (kind, _) in enumerate(kinds)]
    nodes = [n for cluster, (_, size) in zip(clusters, kinds, strict=True) for n in b.make_nodes(cluster, [size])]
    last = FIRST + timedelta(days=days - 1)
    limit = c.Limit(what=c.LimitKind.NODES_OUT, at_once=at_once)
    campaign = b.make_campaign(
        first_day=FIRST, deadline=last, extension_until=last, limits=(limit,), preferences=PREFERENCES
    )
    day = b.datetime(2026, 1, 5, tzinfo=b.UTC)
    freezes = [b.make_freeze(f"c{n}", day, day + timedelta(days=1, hours=12)) for n in map(int, frozen)]
    fleet = b.make_fleet(clusters, nodes)
    return compile_problem(b.make_inputs(fleet, b.make_catalogue(b.LONG_NIC), campaign, *freezes))


@pytest.mark.parametrize(
    ("sizes", "at_once", "days", "frozen", "least", "bound"),
    [("r1a4r1a4", 4, 3, "2", 2, 1), ("r1r8r5a3a6", 8, 4, "012", 1, 0)],
)
def test_the_program_by_days_splits_clusters_and_cannot_bound_what_comes_of_keeping_them_whole(
    sizes: str, at_once: int, days: int, frozen: str, least: int, bound: int
) -> None:
    """Why such bounds stay far: the best plan's own value as cutoff helps no more."""
    problem = compile_sized(sizes, at_once=at_once, days=days, frozen=frozen)
    assert min(worth[2] for worth in worths_of(problem)) == least
    assert make_bound(problem).find(least) == bound
