"""Makes wrong pairs, and the terms after them, least in the model by days: asks for a plan little above the bound, and
for one somewhat farther above it when there is none. Near the bound counts are narrow, and both answers come soon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import ceil

from fermata.planning import cp_model
from fermata.planning.board import Board
from fermata.planning.model import Unsolved, make_solver
from fermata.planning.objective import Choice, add_term
from fermata.planning.order_bound import OrderBound
from fermata.planning.order_model import DayModel
from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row, lent_before
from fermata.planning.terms import CostTerm, OrderTerm, Term
from fermata.planning.values import value_of

# Deterministic time; a unit takes about two seconds of one core.
EFFORT_BY_DAYS = 16.0  # of all questions together: January takes seven
EFFORT_BESIDE_SEATS = 1.0  # of a plan of what is left to place: a re-plan is to take a few seconds
SHARE_OF_PAIRS = 0.75  # of that, before the terms after them
ITERATIONS_OF_UNIT = 15_000  # of the linear program that narrows the counts, in the time of a unit
EFFORT_BEFORE_PAIRS = 3.0  # of one term that comes before them
EFFORT_OF_TERM = 1.5  # of one question about it: days without starts have to be learnt
EFFORT_OF_CHANGES = 1.0  # of a plan nearer to the one before
EFFORT_OF_QUESTION = 4.0
EFFORT_OF_STARTS = 0.2  # of one day
NEAR = 0.1  # of the value: where the bound is so near, an answer costs more the farther from it the question goes
# How far a question goes from the bound to the best plan known.
WHOLE, HALF, QUARTER, LITTLE = 1.0, 0.5, 0.25, 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The best spots known, what the term is with them, and what it is at least: `bound` with steps as they are laid
    out, `floor` however steps shift when windows are timed.
    """

    spots: tuple[Spot, ...]
    value: int
    bound: int
    floor: int


class _Answer(Enum):
    """What a question came to: there are plans by days within the cutoff, there are none, or nobody knows."""

    SOME = auto()
    NONE = auto()
    OPEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """The term that is made least, and what the stronger ones are held at."""

    term: Term
    held: Sequence[tuple[Term, int]]


class OrderSearch:
    """One search by days over the same spots and rows, for wrong pairs first, then for the terms after them. What it
    learns of one term serves the next.
    """

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], term: OrderTerm) -> None:
        self._problem = problem
        self._spots = spots
        self._rows = rows
        teams = problem.inputs.catalogue.team_limits
        self._shared = tuple(row for row in rows if problem.resources[row.resource].source not in teams)
        self._numbers = {spot: number for number, spot in enumerate(spots)}
        self._board = Board(problem, spots, rows)
        self._bound = OrderBound(problem, spots, rows, term)
        self._rows_of: dict[int, list[Row]] = {}
        for row in rows:
            if len(row.spots):
                self._rows_of.setdefault(spots[row.spots[0]].day, []).append(row)
        self._detailed: set[int] = set()
        self._least = 0  # wrong pairs that are proven
        self._least_timed = 0  # the same, however days are timed
        self._most = EFFORT_BESIDE_SEATS if problem.seats else EFFORT_BY_DAYS
        self.effort = 0.0  # of the solver

    def lessen(
        self, term: Term, known: Settled, held: Sequence[tuple[Term, int]], stops: Callable[[], bool]
    ) -> Settled:
        """Makes the term less, with the terms that are held no more than that, and bounds it."""
        is_pairs, aim = term is self._bound.term, _Aim(term=term, held=held)
        if is_pairs:
            known = _raise_floor(known, self._bound.find(known.value))
        elif isinstance(term, CostTerm):
            known = _raise_floor(known, self._bound.find_floor(term))
        most = self._most * (SHARE_OF_PAIRS if is_pairs else 1)
        share, is_timed = HALF, not is_pairs and isinstance(term, CostTerm)
        while known.bound < known.value and self._spent() < most and not stops():
            before, learnt = known, len(self._detailed)
            gap = known.value - 1 - known.bound
            known, answer = self._ask(aim, known.bound + ceil(share * gap), known, is_timed=is_timed)
            if answer is _Answer.SOME and known.value == before.value and is_timed:
                is_timed = False
            elif answer is not _Answer.OPEN and known == before and len(self._detailed) == learnt:
                break
            else:
                share = _go_on(share, answer, before, known, is_pairs=is_pairs)
        if known.floor < known.value and self._differs(is_timed=False) and self._spent() < most and not stops():
            known, _ = self._ask(aim, known.value - 1, known, is_timed=True)
        if is_pairs:
            self._bound.find(known.value)
            self._least, self._least_timed = known.bound, known.floor
        return known

    def lessen_before(
        self, term: Term, known: Settled, held: Sequence[tuple[Term, int]], stops: Callable[[], bool]
    ) -> Settled:
        """The same for a term that comes before wrong pairs, which do not matter yet. Timing changes no day."""
        most, first, aim = self._spent() + EFFORT_BEFORE_PAIRS, known, _Aim(term=term, held=held)
        while known.bound < known.value and self._spent() < most and not stops():
            before, learnt = known, len(self._detailed)
            model = self._hold([*held, (term, known.value)])
            model.lessen(term)
            effort = min(EFFORT_OF_TERM, most - self._spent())
            solved = model.solve(known.spots, seed=self._problem.inputs.seed, effort=effort)
            self.effort += solved.effort
            if isinstance(solved, Unsolved):
                break
            known = _raise_floor(known, solved.bound)
            known = self._take_better(aim, known, self._find_starts(solved.chosen, by_pairs=False))
            if known == before and len(self._detailed) == learnt:
                break
        return known if known.value == first.value else self._go_near(aim, first, known)

    def _go_near(self, aim: _Aim, first: Settled, known: Settled) -> Settled:
        """A plan as good as the one known that changes little of the first one, which terms to come have been made
        less for.
        """
        held = [*aim.held, (aim.term, known.value)]
        model = self._hold(held)
        model.lessen_changes(first.spots)
        solved = model.solve(known.spots, seed=self._problem.inputs.seed, effort=EFFORT_OF_CHANGES)
        self.effort += solved.effort
        taken = () if isinstance(solved, Unsolved) else self._find_starts(solved.chosen, by_pairs=False)
        is_as_good = bool(taken) and all(value_of(taken, each) <= value for each, value in held)
        return replace(known, spots=taken) if is_as_good else known

    def _hold(self, held: Sequence[tuple[Term, int]]) -> DayModel:
        model = DayModel(self._problem, self._spots, self._rows, self._bound, self._detailed)
        for each, value in held:
            model.hold(each, value)
        return model

    def _take_better(self, aim: _Aim, known: Settled, taken: tuple[Spot, ...]) -> Settled:
        if not taken or any(value_of(taken, each) > value for each, value in aim.held):
            return known
        value = value_of(taken, aim.term)
        return replace(known, spots=taken, value=value) if value < known.value else known

    def _differs(self, *, is_timed: bool) -> bool:
        """Whether answers say nothing of what days are when windows are timed."""
        return not is_timed and bool(self._detailed) and len(self._shared) < len(self._rows)

    def _ask(self, aim: _Aim, cutoff: int, known: Settled, *, is_timed: bool) -> tuple[Settled, _Answer]:
        """The best plan with the term within the cutoff, as far as its days have starts. `is_timed`: of days told apart
        by start, teams are left out, for their work may shift.
        """
        term, mark = aim.term, self._bound.mark()
        if term is self._bound.term and self._bound.find(cutoff) > cutoff:
            self._bound.go_back(mark)
            return _raise_floor(known, cutoff + 1), _Answer.NONE
        raise_ = _raise_bound if self._differs(is_timed=is_timed) else _raise_floor
        rows = self._shared if is_timed else self._rows
        model = DayModel(self._problem, self._spots, rows, self._bound, self._detailed)
        for each, value in (*aim.held, (term, cutoff)):
            model.hold(each, value)
        least = self._least_timed if is_timed else self._least
        if term is self._bound.term:
            least = known.floor if is_timed else known.bound
        model.lessen_pairs(least=least)
        effort = max(0.0, min(EFFORT_OF_QUESTION, self._most - self._spent()))
        solved = model.solve(known.spots, seed=self._problem.inputs.seed, effort=effort)
        self.effort += solved.effort
        if isinstance(solved, Unsolved):
            answer = _Answer.NONE if solved.proven else _Answer.OPEN
            known = raise_(known, cutoff + 1) if solved.proven else known
        else:
            answer = _Answer.SOME
            known = raise_(known, solved.bound) if term is self._bound.term else known
            known = self._take_better(aim, known, self._find_starts(solved.chosen))
        if known.value > cutoff:
            self._bound.go_back(mark)
        return known, answer

    def _spent(self) -> float:
        return self.effort + self._bound.iterations / ITERATIONS_OF_UNIT

    def _find_starts(self, members: Sequence[int], *, by_pairs: bool = True) -> tuple[Spot, ...]:
        """One of these spots for each place, with the fewest wrong pairs; none when a day has no such starts. Such days
        are told apart from now on, and `by_pairs` those on which starts cost wrong pairs.
        """
        by_day: dict[int, dict[tuple[int, int], list[int]]] = {}
        for number in members:
            spot = self._spots[number]
            by_day.setdefault(spot.day, {}).setdefault((spot.way, spot.group), []).append(number)
        some = [self._spots[each[0]] for places in by_day.values() for each in places.values()]
        taken: list[Spot] = []
        for day, places in by_day.items():
            found = self._find_starts_of(day, list(places.values()), some)
            if not found or (by_pairs and value_of(found, self._bound.term)):
                self._detailed.add(day)
            taken.extend(found)
        if len(taken) < len(some):
            return ()
        self._board.clear()
        self._board.take([self._numbers[spot] for spot in taken])
        return tuple(taken) if self._board.is_kept() else ()  # rows of other days may ask for more than is lent

    def _find_starts_of(self, day: int, places: Sequence[Sequence[int]], some: Sequence[Spot]) -> list[Spot]:
        """The best starts of one day; `some`: any spots of all places, for what they lend. Empty: none found."""
        model = cp_model.CpModel()
        taken = {number: model.new_bool_var("") for members in places for number in members}
        for members in places:
            model.add_exactly_one([taken[number] for number in members])
        for row in self._rows_of.get(day, []):
            used = [(taken[n], units) for n, units in row.terms if n in taken]
            capacity = row.capacity + lent_before(self._problem, row, some)
            model.add(cp_model.LinearExpr.weighted_sum([t for t, _ in used], [u for _, u in used]) <= capacity)
        choices = [Choice(spot=self._spots[number], taken=variable) for number, variable in taken.items()]
        model.minimize(add_term(model, choices, self._bound.term))
        solver = make_solver(seed=self._problem.inputs.seed, effort=EFFORT_OF_STARTS, is_for_proof=True)
        status = solver.solve(model)
        self.effort += solver.response_proto.deterministic_time
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return []
        return [choice.spot for choice in choices if solver.boolean_value(choice.taken)]


def _go_on(share: float, answer: _Answer, before: Settled, known: Settled, *, is_pairs: bool) -> float:
    """How far the next question goes from the bound to the best plan known."""
    if answer is _Answer.OPEN:
        return share / 2
    if answer is _Answer.NONE:
        is_near = known.value - known.bound < NEAR * known.value
        return WHOLE if not is_pairs else QUARTER if is_near else HALF
    if known.value < before.value:
        return HALF
    is_near = known.value - known.bound < NEAR * known.value
    return LITTLE if is_pairs and is_near else share


def _raise_bound(known: Settled, bound: int) -> Settled:
    return replace(known, bound=max(known.bound, min(bound, known.value)))


def _raise_floor(known: Settled, floor: int) -> Settled:
    """What holds however days are timed holds for steps as they are laid out, too."""
    return replace(_raise_bound(known, floor), floor=max(known.floor, min(floor, known.value)))
