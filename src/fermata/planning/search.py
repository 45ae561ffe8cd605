"""Finds the best plan term by term: each is made least with the stronger ones held where they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from fermata.domain.campaign import FinishByDeadline
from fermata.planning.board import Board
from fermata.planning.floors import find_floor, find_homeless, leave_out
from fermata.planning.greedy import place_greedily
from fermata.planning.inputs import never
from fermata.planning.model import PlanModel, Solved, Unsolved
from fermata.planning.objective import add_term
from fermata.planning.order_search import OrderSearch, Settled
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.repair import Pace, repair_plan
from fermata.planning.rows import Row, build_rows
from fermata.planning.stages import Stage, Watch, ignore_stage
from fermata.planning.tally import Tally
from fermata.planning.terms import CostTerm, OrderTerm, Term, late_node_days, list_terms, term_of
from fermata.planning.values import value_of

# Deterministic time; a unit takes one to three seconds on two cores. The first terms weigh most and are proven
# quickly; the weak ones seldom are and get what keeps January well under a minute.
EFFORT_FOR_ANY_PLAN = 40.0
EFFORTS = (6.0, 4.0)
EFFORT_OF_LATER_TERMS = 1.0
EFFORT_AFTER_DAYS = 2.0  # of a term that the model by days made better or bounded, yet not near enough
NEAR = 0.01  # of the value
FAR = 0.1  # the same
# January has 2,300 spots that count. Beyond 1,000 the solver neither improves nor bounds wrong pairs, nor what comes
# after them; beyond 20,000 it finds nothing in its effort that repair did not, but for terms that are sums over spots;
# beyond 100,000 building its model takes longer than all the rest.
PAIRED_SPOTS_MOST = 1_000
SOLVED_SPOTS_MOST = 20_000
SUMMED_SPOTS_MOST = 100_000
BOUNDED_SPOTS_MOST = 4_000  # the bound of wrong pairs takes three seconds for January's 2,300
REPAIR_ROUNDS_PER_CLUSTER = 28  # January's 2,000: later ones find nothing more there
REPAIR_ROUNDS_BEFORE_DAYS = 10  # the same, where the model by days goes on from a plan that need only be near
REPAIR_ROUNDS_MOST = 20_000  # a round takes one to three milliseconds
# First far and wide, then what lies near the best: in January one long way ends with fewer wrong pairs, and costs less,
# than the best of three short ones.
WIDE_ROUNDS_TIMES = 2
WIDE_CLUSTERS_MOST = 200  # larger fleets need all rounds to come near anything
WIDE_DRIFT = 0.02
NARROW_DRIFT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TermResult:
    """A term's value in the model's units and the proven bound: equal means that no better one exists."""

    name: str
    value: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The spots of the best plan found, and one result per term, strongest first. `is_cut_short`: the search was
    overdue and left out what might have made the plan, or its bounds, better.
    """

    spots: tuple[Spot, ...]
    terms: tuple[TermResult, ...]
    effort: float
    is_cut_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingFound:
    """No plan: `proven` when there is none, otherwise none was found within the effort."""

    proven: bool
    effort: float


class Milestone(StrEnum):
    """How far a search is when it tells what it has."""

    FIRST = "first plan"
    REPAIRED = "improved"
    SETTLED = "settled"  # one more term


def tell_nobody(milestone: Milestone, found: Found) -> None:
    """Listens to no news of a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What a search is told beside the problem. `leading`: terms that come before the campaign's preferences, as a
    re-plan has them. `allows`: says of a spot whether it may be taken; None: all may. `at_floor`: nothing is
    found, and nobody told, unless the first plan has so many of its terms, strongest first, at their floors.

    `is_overdue`: asked between stages, and now and then in the longest; once it says so, the search ends with what it
    has. Planning reads no clock, so what a guard cuts short depends on the machine and nothing else does. `tell`: gets
    the plan at hand at every milestone, `watch` the stage that begins.
    """

    leading: tuple[CostTerm, ...] = ()
    allows: Callable[[Spot], bool] | None = None
    at_floor: int = 0
    is_overdue: Callable[[], bool] = never
    tell: Callable[[Milestone, Found], None] = tell_nobody
    watch: Watch = ignore_stage


DEFAULTS = SearchOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """What is searched for: the spots that may be taken, and what makes a choice of them better."""

    problem: Problem
    options: SearchOptions
    spots: tuple[Spot, ...]
    terms: tuple[Term, ...]
    least_late: int

    @property
    def puts_deadline_first(self) -> bool:
        return bool(self.terms) and self.terms[0].name == FinishByDeadline().term


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Some complete plan, as spots, and its late node-days. `rows`: of all spots of the aim. `least`: what is known of
    the lateness of every plan that keeps them, once they have been searched for less; None: not yet.
    """

    spots: tuple[Spot, ...]
    late: int
    least: int | None = None
    rows: tuple[Row, ...]
    with_reserve: bool
    effort: float


def find_plan(problem: Problem, options: SearchOptions = DEFAULTS) -> Found | NothingFound:
    """The best plan. Room is kept for nodes that do not come back, unless that makes the plan impossible or later."""
    spots = find_spots(problem)
    if options.allows is not None:
        spots = tuple(spot for spot in spots if options.allows(spot))
    if find_homeless(problem, spots):
        return NothingFound(proven=True, effort=0.0)
    least_late = find_floor(problem, spots, term_of(problem, FinishByDeadline()))
    options.watch(Stage.FIRST, "")
    terms = list_terms(problem, options.leading)
    aim = _Aim(problem=problem, options=options, spots=spots, terms=terms, least_late=least_late)
    start = _choose_start(aim)
    return start if isinstance(start, NothingFound) else _Descent(aim, start).run()


def _choose_start(aim: _Aim) -> _Start | NothingFound:
    roomy = _find_start(aim, with_reserve=True)
    if aim.options.at_floor:
        return roomy
    if isinstance(roomy, _Start) and (roomy.late == aim.least_late or aim.options.is_overdue()):
        return roomy
    tight = _find_start(aim, with_reserve=False, is_first=isinstance(roomy, NothingFound))
    if isinstance(roomy, _Start) and (isinstance(tight, NothingFound) or tight.late >= roomy.late):
        return roomy
    return tight


def _find_start(aim: _Aim, *, with_reserve: bool, is_first: bool = True) -> _Start | NothingFound:
    problem, spots = aim.problem, aim.spots
    rows = build_rows(problem, spots, with_reserve=with_reserve)
    chosen = place_greedily(problem, spots, rows, enough=aim.least_late)
    effort = 0.0
    if chosen is None and aim.options.at_floor:
        return NothingFound(proven=False, effort=0.0)
    if chosen is None:
        solved = PlanModel(problem, spots, rows).solve(seed=problem.inputs.seed, effort=EFFORT_FOR_ANY_PLAN)
        if isinstance(solved, Unsolved):
            return NothingFound(proven=solved.proven, effort=solved.effort)
        chosen, effort = solved.chosen, solved.effort
    taken = tuple(spots[number] for number in chosen)
    late = sum(late_node_days(problem, spot) for spot in taken)
    start = _Start(spots=taken, late=late, rows=rows, with_reserve=with_reserve, effort=effort)
    descent = _Descent(aim, start)
    wanted = aim.options.at_floor
    if wanted and any(term.value > term.bound for term in descent.stand().terms[:wanted]):
        return NothingFound(proven=False, effort=0.0)
    if is_first:
        aim.options.tell(Milestone.FIRST, descent.stand())
    if late == aim.least_late or not aim.puts_deadline_first or aim.options.is_overdue():
        return start
    return descent.lessen_lateness()


class _Descent:
    """One problem, improved for one term after the other. Spots that only worse plans can use are left out."""

    def __init__(self, aim: _Aim, start: _Start) -> None:
        self._aim = aim
        self._problem = aim.problem
        self._start = start
        self._spots = aim.spots
        self._rows: tuple[Row, ...] = start.rows
        self._chosen: tuple[int, ...] = ()
        self._take(start.spots)
        self._model: PlanModel | None = None
        self._held: list[tuple[Term, int]] = []
        self._held_by_model = 0
        self._by_days: OrderSearch | None = None
        self._before_pairs: OrderSearch | None = None
        self._effort = start.effort
        self._is_cut_short = False

    @cached_property
    def _floors(self) -> tuple[int, ...]:
        return tuple(find_floor(self._problem, self._spots, term) for term in self._aim.terms)

    def lessen_lateness(self) -> _Start:
        """The start with the least lateness found for the first term alone."""
        self._focus()
        self._repair(self._aim.terms[:1])
        result = self._lessen(0)
        return replace(self._start, spots=self._taken(), late=result.value, least=result.bound, effort=self._effort)

    def run(self) -> Found:
        """All terms, strongest first, from what repair makes of the start."""
        self._aim.options.watch(Stage.BETTER, "")
        self._focus()
        self._repair(self._aim.terms)
        self._focus()
        self._aim.options.tell(Milestone.REPAIRED, self.stand())
        terms: list[TermResult] = []
        for number in range(len(self._aim.terms)):
            self._aim.options.watch(Stage.PROVING, self._aim.terms[number].name)
            before = self._chosen
            terms.append(self._lessen(number))
            if self._chosen != before and self._is_before_pairs(number):
                self._repair(self._aim.terms)  # the solver looked at no later term
            self._aim.options.tell(Milestone.SETTLED, replace(self.stand(), terms=tuple(terms)))
        taken = self._taken()  # a later term may have brought an earlier one below where it was held
        values = (value_of(taken, term) for term in self._aim.terms)
        terms = [replace(term, value=value) for term, value in zip(terms, values, strict=True)]
        is_proven = all(term.value <= term.bound for term in terms)
        return replace(self.stand(), terms=tuple(terms), is_cut_short=self._is_cut_short and not is_proven)

    def stand(self) -> Found:
        """The plan at hand, each term with its floor."""
        taken = self._taken()
        return Found(
            spots=taken,
            terms=tuple(self._measure(number) for number in range(len(self._aim.terms))),
            effort=self._effort,
            is_cut_short=self._is_cut_short,
        )

    def _focus(self) -> None:
        """Leaves out spots that would make one of the first terms worse than it is. Where it is, is an end in itself
        only while the terms before it are at their floors.
        """
        spots = self._spots
        for number, term in enumerate(self._aim.terms):
            result = self._measure(number)
            if not isinstance(term, CostTerm):
                break
            spots = leave_out(self._problem, spots, term, result.value)
            if result.value > result.bound:
                break
        if len(spots) < len(self._spots):
            taken = self._taken()
            self._spots = spots
            self._take(taken)
            self._rows = build_rows(self._problem, spots, with_reserve=self._start.with_reserve)

    def _repair(self, terms: tuple[Term, ...], *, per_cluster: int | None = None) -> None:
        seats = self._problem.seats.keys()
        clusters = sum(1 for ways in self._problem.ways_of if not seats >= set(ways))
        goes_on = len(self._spots) <= BOUNDED_SPOTS_MOST and any(isinstance(term, OrderTerm) for term in terms)
        per_cluster = per_cluster or (REPAIR_ROUNDS_BEFORE_DAYS if goes_on else REPAIR_ROUNDS_PER_CLUSTER)
        rounds = min(REPAIR_ROUNDS_MOST, per_cluster * clusters)
        board, tally = Board(self._problem, self._spots, self._rows), Tally(self._spots, terms)

        def repair(chosen: tuple[int, ...], pace: Pace) -> tuple[int, ...]:
            return repair_plan(self._problem, board, tally, chosen, pace=pace, stops=self._is_stopped)

        if clusters <= WIDE_CLUSTERS_MOST:
            self._chosen = repair(self._chosen, Pace(rounds=WIDE_ROUNDS_TIMES * rounds, drift=WIDE_DRIFT, number=1))
        self._chosen = repair(self._chosen, Pace(rounds=rounds, drift=NARROW_DRIFT))

    def _is_stopped(self) -> bool:
        self._is_cut_short = self._is_cut_short or self._aim.options.is_overdue()
        return self._is_cut_short

    def _take(self, spots: Iterable[Spot]) -> None:
        numbers = {spot: number for number, spot in enumerate(self._spots)}
        self._chosen = tuple(sorted(numbers[spot] for spot in spots))

    def _taken(self) -> tuple[Spot, ...]:
        return tuple(self._spots[number] for number in self._chosen)

    def _measure(self, number: int) -> TermResult:
        term = self._aim.terms[number]
        return TermResult(name=term.name, value=value_of(self._taken(), term), bound=self._floors[number])

    def _is_left_to_repair(self, term: Term) -> bool:
        terms = (term, *(held for held, _ in self._held))
        if any(isinstance(each, OrderTerm) for each in terms):
            return len(self._spots) > PAIRED_SPOTS_MOST
        are_sums = all(isinstance(each, CostTerm) for each in terms)
        return len(self._spots) > (SUMMED_SPOTS_MOST if are_sums else SOLVED_SPOTS_MOST)

    def _lessen(self, number: int) -> TermResult:
        """Makes one term least, then holds it there. A term that is at its floor already is not solved for."""
        term, result = self._aim.terms[number], self._measure(number)
        is_searched = number == 0 and self._start.least is not None
        if is_searched:
            result = replace(result, bound=max(result.bound, self._start.least or 0))
        elif result.value > result.bound and not self._is_stopped():
            result = self._make_less(number, result)
            if isinstance(term, OrderTerm) and result.value - result.bound > FAR * result.value:
                self._repair(self._aim.terms, per_cluster=REPAIR_ROUNDS_PER_CLUSTER)  # what days could not say
                result = replace(result, value=self._measure(number).value)
        self._held.append((term, result.value))
        return result

    def _make_less(self, number: int, result: TermResult) -> TermResult:
        term, bound = self._aim.terms[number], result.bound
        effort = EFFORTS[number] if number < len(EFFORTS) else EFFORT_OF_LATER_TERMS
        near = 0.0
        if PAIRED_SPOTS_MOST < len(self._spots) <= SOLVED_SPOTS_MOST and self._is_before_pairs(number):
            by_days, near = self._settle_before_pairs(term, result), NEAR
            result, effort = by_days, effort if by_days == result else EFFORT_AFTER_DAYS
        if (
            result.value - result.bound > near * result.value
            and not self._is_left_to_repair(term)
            and not self._is_stopped()
        ):
            result, bound = self._solve(term, result, effort)
        if result.bound < result.value:
            result = self._settle_by_days(term, result, bound)
        return result

    def _solve(self, term: Term, result: TermResult, effort: float) -> tuple[TermResult, int]:
        """The term made less, and its bound with steps as they are laid out. That bounds what is told of the term, too,
        unless it is, or was found beside, wrong pairs, for these may still become fewer when windows are timed.
        """
        if self._model is None:
            self._model = PlanModel(self._problem, self._spots, self._rows)
        model = self._model
        for held, value in self._held[self._held_by_model :]:
            model.cp.add(add_term(model.cp, model.choices, held) <= value)
        self._held_by_model = len(self._held)
        model.cp.minimize(add_term(model.cp, model.choices, term))
        model.hint(self._chosen)
        solved = model.solve(seed=self._problem.inputs.seed, effort=effort)
        self._effort += solved.effort
        model.cp.clear_objective()  # type: ignore[no-untyped-call]
        if not isinstance(solved, Solved):
            assert not solved.proven, "the plan at hand satisfies the model"
            return result, result.bound
        self._chosen = solved.chosen
        bound = max(result.bound, solved.bound)
        is_timed = any(isinstance(each, OrderTerm) for each in (term, *(held for held, _ in self._held)))
        return replace(result, value=solved.value, bound=result.bound if is_timed else bound), bound

    def _is_before_pairs(self, number: int) -> bool:
        return not any(isinstance(term, OrderTerm) for term in self._aim.terms[: number + 1])

    def _settle_before_pairs(self, term: Term, result: TermResult) -> TermResult:
        """Makes a term that comes before wrong pairs less in the model by days, and bounds it."""
        if self._before_pairs is None:
            orders = [each for each in self._aim.terms if isinstance(each, OrderTerm)]
            nobody = OrderTerm(name="", ranks=(-1,) * len(self._problem.ways), classes=0)
            self._before_pairs = OrderSearch(self._problem, self._spots, self._rows, next(iter(orders), nobody))
        effort = self._before_pairs.effort
        known = Settled(spots=self._taken(), value=result.value, bound=result.bound, floor=result.bound)
        settled = self._before_pairs.lessen_before(term, known, self._held, self._is_stopped)
        self._effort += self._before_pairs.effort - effort
        self._take(settled.spots)
        return replace(result, value=settled.value, bound=settled.floor)

    def _settle_by_days(self, term: Term, result: TermResult, bound: int) -> TermResult:
        """Makes wrong pairs, or what comes after them, least in the model by days, and bounds them."""
        if len(self._spots) > BOUNDED_SPOTS_MOST or self._is_stopped():
            return result
        if isinstance(term, OrderTerm):
            self._by_days = OrderSearch(self._problem, self._spots, self._rows, term)
        if self._by_days is None:
            return result
        effort = self._by_days.effort
        known = Settled(spots=self._taken(), value=result.value, bound=bound, floor=result.bound)
        settled = self._by_days.lessen(term, known, self._held, self._is_stopped)
        self._effort += self._by_days.effort - effort
        self._take(settled.spots)
        return replace(result, value=settled.value, bound=settled.floor)
