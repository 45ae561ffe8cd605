"""Finds the best plan term by term: each is made least with the stronger ones held where they are."""

from collections.abc import Callable
from dataclasses import dataclass

from fermata.domain.campaign import FinishByDeadline
from fermata.planning.board import Board
from fermata.planning.floors import find_floor, find_homeless
from fermata.planning.greedy import place_greedily
from fermata.planning.model import PlanModel, Solved, Unsolved
from fermata.planning.objective import add_term
from fermata.planning.problem import Problem, Spot, build_rows, find_spots
from fermata.planning.repair import repair_plan
from fermata.planning.stages import Stage, Watch, ignore_stage
from fermata.planning.tally import Tally
from fermata.planning.terms import CostTerm, OrderTerm, Term, late_node_days, list_terms, term_of
from fermata.planning.values import value_of

# Deterministic time; a unit takes one to three seconds on two cores. The first terms weigh most and are proven
# quickly; the weak ones seldom are and get what keeps January well under a minute.
EFFORT_FOR_ANY_PLAN = 40.0
EFFORTS = (6.0, 4.0)
EFFORT_OF_LATER_TERMS = 1.0
ORDER_SPOTS_MOST = 3000  # pairs of windows are products in the model: beyond this the solver adds nothing to repair
REPAIR_ROUNDS_MOST = 2000  # four milliseconds each at January size, where later ones find nothing more
REPAIR_ROUNDS_PER_CLUSTER = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class TermResult:
    """A term's value in the model's units and the proven bound: equal means that no better one exists."""

    name: str
    value: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The spots of the best plan found, and one result per term, strongest first."""

    spots: tuple[Spot, ...]
    terms: tuple[TermResult, ...]
    effort: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingFound:
    """No plan: `proven` when there is none, otherwise none was found within the effort."""

    proven: bool
    effort: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Some complete plan, as spots, and its late node-days."""

    spots: tuple[Spot, ...]
    late: int
    with_reserve: bool
    effort: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """What is searched for: the spots that may be taken, and what makes a choice of them better."""

    problem: Problem
    spots: tuple[Spot, ...]
    terms: tuple[Term, ...]
    watch: Watch

    @property
    def puts_deadline_first(self) -> bool:
        return bool(self.terms) and self.terms[0].name == FinishByDeadline().term


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What a search is told beside the problem. `leading`: terms that come before the campaign's preferences, as a
    re-plan has them. `allows`: says of a spot whether it may be taken; None: all may. `watch` is told how far it is.
    """

    leading: tuple[CostTerm, ...] = ()
    allows: Callable[[Spot], bool] | None = None
    watch: Watch = ignore_stage


DEFAULTS = SearchOptions()


def find_plan(problem: Problem, options: SearchOptions = DEFAULTS) -> Found | NothingFound:
    """The best plan. Room is kept for nodes that do not come back, unless that makes the plan impossible or later."""
    spots = find_spots(problem, problem.inputs.policy.freezes)
    if options.allows is not None:
        spots = tuple(spot for spot in spots if options.allows(spot))
    if find_homeless(problem, spots):
        return NothingFound(proven=True, effort=0.0)
    aim = _Aim(problem=problem, spots=spots, terms=list_terms(problem, options.leading), watch=options.watch)
    options.watch(Stage.FIRST, "")
    least_late = find_floor(problem, spots, term_of(problem, FinishByDeadline()))
    roomy = _find_start(aim, least_late, with_reserve=True)
    if isinstance(roomy, _Start) and roomy.late == least_late:
        return _Descent(aim, roomy).run()
    tight = _find_start(aim, least_late, with_reserve=False)
    if isinstance(roomy, _Start) and (isinstance(tight, NothingFound) or tight.late >= roomy.late):
        return _Descent(aim, roomy).run()
    return tight if isinstance(tight, NothingFound) else _Descent(aim, tight).run()


def _find_start(aim: _Aim, least_late: int, *, with_reserve: bool) -> _Start | NothingFound:
    problem, spots = aim.problem, aim.spots
    rows = build_rows(problem, spots, with_reserve=with_reserve)
    chosen = place_greedily(problem, spots, rows)
    effort = 0.0
    if chosen is None:
        model = PlanModel(problem, spots, rows)
        solved = model.solve(seed=problem.inputs.seed, effort=EFFORT_FOR_ANY_PLAN)
        if isinstance(solved, Unsolved):
            return NothingFound(proven=solved.proven, effort=solved.effort)
        chosen, effort = solved.chosen, solved.effort
    taken = tuple(spots[number] for number in chosen)
    start = _Start(
        spots=taken,
        late=sum(late_node_days(problem, spot) for spot in taken),
        with_reserve=with_reserve,
        effort=effort,
    )
    if start.late == least_late or not aim.puts_deadline_first:
        return start
    return _Descent(aim, start).lessen_lateness()


class _Descent:
    """One model, solved for one preference after the other. Spots later than the start's lateness are left out."""

    def __init__(self, aim: _Aim, start: _Start) -> None:
        problem, spots = aim.problem, aim.spots
        self._problem = problem
        self._terms = aim.terms
        self._start = start
        self._watch = aim.watch
        if aim.puts_deadline_first:
            spots = tuple(spot for spot in spots if late_node_days(problem, spot) <= start.late)
        self._spots = spots
        numbers = {spot: number for number, spot in enumerate(spots)}
        self._chosen = tuple(sorted(numbers[spot] for spot in start.spots))
        self._rows = build_rows(problem, spots, with_reserve=start.with_reserve)
        self._model = PlanModel(problem, spots, self._rows)
        self._effort = start.effort

    def lessen_lateness(self) -> _Start:
        """The start with the least lateness found for the first term alone."""
        result = self._lessen(self._terms[0], EFFORTS[0])
        return _Start(
            spots=self._taken(),
            late=result.value,
            with_reserve=self._start.with_reserve,
            effort=self._effort,
        )

    def run(self) -> Found:
        """All terms, strongest first, from what repair makes of the start."""
        self._watch(Stage.BETTER, "")
        rounds = min(REPAIR_ROUNDS_MOST, REPAIR_ROUNDS_PER_CLUSTER * len(self._problem.ways_of))
        board = Board(self._problem, self._spots, self._rows)
        self._chosen = repair_plan(self._problem, board, Tally(self._spots, self._terms), self._chosen, rounds=rounds)
        terms: list[TermResult] = []
        for number, term in enumerate(self._terms):
            self._watch(Stage.PROVING, term.name)
            effort = EFFORTS[number] if number < len(EFFORTS) else EFFORT_OF_LATER_TERMS
            terms.append(self._lessen(term, effort))
        return Found(spots=self._taken(), terms=tuple(terms), effort=self._effort)

    def _taken(self) -> tuple[Spot, ...]:
        return tuple(self._spots[number] for number in self._chosen)

    def _is_left_to_repair(self, term: Term) -> bool:
        return isinstance(term, OrderTerm) and len(self._spots) > ORDER_SPOTS_MOST

    def _lessen(self, term: Term, effort: float) -> TermResult:
        """Makes one term least, then holds it there. A term that is at its floor already is not solved for."""
        quantity = add_term(self._model.cp, self._model.choices, term)
        value = value_of(self._taken(), term)
        bound = find_floor(self._problem, self._spots, term)
        if value > bound and not self._is_left_to_repair(term):
            self._model.cp.minimize(quantity)
            self._model.hint(self._chosen)
            solved = self._model.solve(seed=self._problem.inputs.seed, effort=effort)
            self._effort += solved.effort
            self._model.cp.clear_objective()  # type: ignore[no-untyped-call]
            if isinstance(solved, Solved):
                self._chosen, value, bound = solved.chosen, solved.value, max(bound, solved.bound)
            else:
                assert not solved.proven, "the plan at hand satisfies the model"
        self._model.cp.add(quantity <= value)
        return TermResult(name=term.name, value=value, bound=bound)
