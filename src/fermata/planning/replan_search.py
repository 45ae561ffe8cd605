"""Finds the places of a re-plan: as few and as distant moves as can be, then the campaign's own preferences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fermata.domain.replanning import move_weight
from fermata.planning import cp_model
from fermata.planning.daywork import time_days
from fermata.planning.inputs import Daywork, never
from fermata.planning.model import PlanModel, Solved
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.replan_agenda import Agenda, keep_together
from fermata.planning.replan_tasks import Kind
from fermata.planning.rows import build_rows
from fermata.planning.search import Found, NothingFound, SearchOptions, TermResult, find_plan
from fermata.planning.terms import list_terms
from fermata.planning.values import value_of

EFFORT_OF_MOVES = 6.0  # deterministic time, when keeping as much as limits allow leaves the rest without a place


@dataclass(frozen=True, kw_only=True)
class Placed:
    """`spots` of `problem`, whose ways belong to `tasks` in that order; `moved_bound`: no plan moves less than that.

    `terms`: the campaign's, with bounds over the plans that keep what this one keeps.
    """

    problem: Problem
    tasks: tuple[int, ...]
    spots: tuple[Spot, ...]
    terms: tuple[TermResult, ...]
    moved_bound: int
    effort: float
    is_cut_short: bool
    days: tuple[Daywork, ...] = ()


def time_places(agenda: Agenda, placed: Placed) -> Placed:
    """The same with the windows that have no old time to keep timed together with all others of their day."""
    found = Found(spots=placed.spots, terms=placed.terms, effort=placed.effort)
    timed = time_days(placed.problem, found, SearchOptions(allows=agenda.allows(placed.problem)))
    return replace(placed, problem=timed.problem, spots=timed.found.spots, terms=timed.found.terms, days=timed.days)


def find_places(agenda: Agenda, is_overdue: Callable[[], bool] = never) -> Placed | NothingFound:
    """Keeps the windows whose moving would cost most, as long as the rest finds a place; nothing else is touched."""
    settled = agenda.settled()
    weights = {
        i: move_weight(task.source.start, agenda.ahead.now)
        for i, task in enumerate(agenda.tasks)
        if task.kind is Kind.MOVABLE and task.source is not None
    }
    at_home = {i: weight for i, weight in weights.items() if i in agenda.homes}
    stays = keep_together(agenda, settled, at_home, hoped=agenda.others(than={*settled, *at_home}))
    bound = sum(weight for i, weight in weights.items() if i not in stays)
    placed = _place_rest(agenda, _Chosen(stays=stays, bound=bound, effort=0.0), is_overdue)
    if isinstance(placed, Placed):
        return placed
    chosen = _move_more(agenda, weights)
    if isinstance(chosen, NothingFound):
        return chosen
    return _place_rest(agenda, chosen, is_overdue)


def _place_rest(agenda: Agenda, chosen: _Chosen, is_overdue: Callable[[], bool]) -> Placed | NothingFound:
    seated = frozenset({*agenda.settled(), *chosen.stays})
    free = agenda.others(than=seated)
    problem = agenda.problem(seated, free)
    tasks = tuple(range(len(agenda.tasks)))
    if free:
        found = find_plan(problem, SearchOptions(allows=agenda.allows(problem), is_overdue=is_overdue))
        if isinstance(found, NothingFound):
            return found
    else:
        spots = tuple(problem.seats[way] for way, *_ in problem.ways_of)
        values = ((term.name, value_of(spots, term)) for term in list_terms(problem))
        terms = tuple(TermResult(name=name, value=value, bound=value) for name, value in values)
        found = Found(spots=spots, terms=terms, effort=0.0)
    return Placed(
        problem=problem,
        tasks=tasks,
        spots=found.spots,
        terms=found.terms,
        moved_bound=chosen.bound,
        effort=chosen.effort + found.effort,
        is_cut_short=found.is_cut_short,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Tasks that stay at home in some complete plan, and a bound of what the others cost."""

    stays: frozenset[int]
    bound: int
    effort: float


def _move_more(agenda: Agenda, weights: Mapping[int, int]) -> _Chosen | NothingFound:
    """All windows that may move are free to, and the sum of what moves is made least."""
    settled = agenda.settled()
    problem = agenda.problem(settled, agenda.others(than=settled))
    allows = agenda.allows(problem)
    grid = [spot for spot in find_spots(problem) if allows(spot)]
    homes = {
        agenda.home_spot(i, ways[0]): i for i, ways in enumerate(problem.ways_of) if i in weights and i in agenda.homes
    }
    spots = [*grid, *(spot for spot in homes if spot not in set(grid))]
    model = PlanModel(problem, spots, build_rows(problem, spots, with_reserve=False))
    at_home = [choice for choice in model.choices if choice.spot in homes]
    kept = cp_model.LinearExpr.weighted_sum([c.taken for c in at_home], [weights[homes[c.spot]] for c in at_home])
    total = sum(weights.values())
    model.cp.minimize(total - kept)
    solved = model.solve(seed=agenda.ahead.seed, effort=EFFORT_OF_MOVES)
    if not isinstance(solved, Solved):
        return NothingFound(proven=solved.proven, effort=solved.effort)
    stays = frozenset(homes[spots[number]] for number in solved.chosen if spots[number] in homes)
    return _Chosen(stays=stays, bound=solved.bound, effort=solved.effort)
