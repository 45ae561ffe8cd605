"""Finds the best plan term by term: each preference is made least with the stronger ones held where they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.campaign import FinishByDeadline, OrderClasses, Preference
from fermata.planning.floors import find_floor, find_homeless
from fermata.planning.greedy import place_greedily
from fermata.planning.model import PlanModel, Solved, Unsolved
from fermata.planning.objective import add_term
from fermata.planning.problem import Problem, Spot, build_rows, find_spots
from fermata.planning.repair import repair_plan
from fermata.planning.values import late_node_days, value_of

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

    value: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The spots of the best plan found, and one result per preference in the campaign's order."""

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


def find_plan(problem: Problem) -> Found | NothingFound:
    """The best plan. Room is kept for nodes that do not come back, unless that makes the plan impossible or later."""
    spots = find_spots(problem, problem.inputs.policy.freezes)
    least_late = find_floor(problem, spots, FinishByDeadline())
    if find_homeless(problem, spots):
        return NothingFound(proven=True, effort=0.0)
    roomy = _find_start(problem, spots, least_late, with_reserve=True)
    if isinstance(roomy, _Start) and roomy.late == least_late:
        return _improve(problem, spots, roomy)
    tight = _find_start(problem, spots, least_late, with_reserve=False)
    if isinstance(roomy, _Start) and (isinstance(tight, NothingFound) or tight.late >= roomy.late):
        return _improve(problem, spots, roomy)
    return tight if isinstance(tight, NothingFound) else _improve(problem, spots, tight)


def _find_start(
    problem: Problem, spots: Sequence[Spot], least_late: int, *, with_reserve: bool
) -> _Start | NothingFound:
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
    if start.late == least_late or not _puts_deadline_first(problem):
        return start
    return _Descent(problem, spots, start).lessen_lateness()


def _puts_deadline_first(problem: Problem) -> bool:
    preferences = problem.inputs.campaign.preferences
    return bool(preferences) and isinstance(preferences[0], FinishByDeadline)


def _improve(problem: Problem, spots: Sequence[Spot], start: _Start) -> Found:
    return _Descent(problem, spots, start).run()


class _Descent:
    """One model, solved for one preference after the other. Spots later than the start's lateness are left out."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], start: _Start) -> None:
        self._problem = problem
        self._start = start
        if _puts_deadline_first(problem):
            spots = [spot for spot in spots if late_node_days(problem, spot) <= start.late]
        self._spots = spots
        numbers = {spot: number for number, spot in enumerate(spots)}
        self._chosen = tuple(sorted(numbers[spot] for spot in start.spots))
        self._rows = build_rows(problem, spots, with_reserve=start.with_reserve)
        self._model = PlanModel(problem, spots, self._rows)
        self._effort = start.effort

    def lessen_lateness(self) -> _Start:
        """The start with the least lateness found for the first term alone."""
        result = self._lessen(FinishByDeadline(), EFFORTS[0])
        return _Start(
            spots=self._taken(),
            late=result.value,
            with_reserve=self._start.with_reserve,
            effort=self._effort,
        )

    def run(self) -> Found:
        """All terms, strongest first, from what repair makes of the start."""
        rounds = min(REPAIR_ROUNDS_MOST, REPAIR_ROUNDS_PER_CLUSTER * len(self._problem.ways_of))
        self._chosen = repair_plan(self._problem, self._spots, self._rows, self._chosen, rounds=rounds)
        terms: list[TermResult] = []
        for number, preference in enumerate(self._problem.inputs.campaign.preferences):
            effort = EFFORTS[number] if number < len(EFFORTS) else EFFORT_OF_LATER_TERMS
            terms.append(self._lessen(preference, effort))
        return Found(spots=self._taken(), terms=tuple(terms), effort=self._effort)

    def _taken(self) -> tuple[Spot, ...]:
        return tuple(self._spots[number] for number in self._chosen)

    def _is_left_to_repair(self, preference: Preference) -> bool:
        return isinstance(preference, OrderClasses) and len(self._spots) > ORDER_SPOTS_MOST

    def _lessen(self, preference: Preference, effort: float) -> TermResult:
        """Makes one term least, then holds it there. A term that is at its floor already is not solved for."""
        quantity = add_term(self._model.cp, self._problem, self._model.choices, preference)
        value = value_of(self._problem, self._taken(), preference)
        bound = find_floor(self._problem, self._spots, preference)
        if value > bound and not self._is_left_to_repair(preference):
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
        return TermResult(value=value, bound=bound)
