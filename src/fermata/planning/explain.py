"""Why there is no plan: the rules that clash, shrunk by leaving out one after the other, and for each of them the
least change that alone makes a plan possible.
"""

from collections.abc import Sequence
from dataclasses import replace

from fermata.domain.ids import ClusterId
from fermata.domain.plans import InputHashes
from fermata.planning.checker import check_plan
from fermata.planning.extract import write_plan
from fermata.planning.floors import find_homeless
from fermata.planning.greedy import place_greedily
from fermata.planning.inputs import Infeasible, PlanningInput, Relaxation, Violation
from fermata.planning.ladders import Ladder, Rule
from fermata.planning.loosen import list_rules
from fermata.planning.loosen_control import list_control
from fermata.planning.model import PlanModel, Unsolved
from fermata.planning.outline import compile_problem
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.rows import build_rows
from fermata.planning.search import Found, TermResult
from fermata.planning.terms import list_terms
from fermata.planning.values import value_of

EFFORT_OF_PROBE = 3.0  # deterministic time of one question "is there any plan?"
NAMES_SHOWN = 3
PROBE_ID = "plan_probe"  # of plans that are checked and thrown away
NO_HASHES = InputHashes(fleet="", updates="", policy="", campaign="")
PROBES_MOST = 150  # questions in all; at January size one takes one to ten seconds, for a single cluster milliseconds


def explain_infeasible(problem: Problem) -> Infeasible:
    """The clashing rules and the changes that resolve them, for a problem that is proven to have no plan."""
    probe = _Probe(problem)
    homeless = _find_homeless(problem, probe)
    only = homeless[:1] or None
    rules = [*list_control(problem), *list_rules(problem.inputs, problem.scope)]
    clashing = _shrink(rules, problem, probe, only)
    found = [_find_relaxation(rule, problem.inputs, probe, homeless) for rule in clashing]
    concerned = _find_concerned([rule for rule in rules if rule not in clashing], problem, probe, homeless)
    whom = _tell_homeless([problem.scope.works[c].cluster.name for c in concerned], len(homeless) - len(concerned))
    return Infeasible(
        clashes=tuple(Violation(rule=rule.name, sentence=rule.sentence + whom) for rule in clashing),
        relaxations=tuple(relaxation for relaxation in found if relaxation is not None),
    )


def _tell_homeless(names: Sequence[ClusterId], others: int) -> str:
    if not names:
        return ""
    hidden = len(names) - NAMES_SHOWN
    more = f" and {hidden} more" if hidden > 0 else ""
    rest = f" {others} more cannot be placed for other rules." if others else ""
    return f" {', '.join(names[:NAMES_SHOWN])}{more} cannot be placed, even alone.{rest}"


def explain_not_found() -> Infeasible:
    """When neither a plan was found nor a proof that there is none."""
    sentence = (
        "No plan was found within the solver's effort, though none is proven impossible: raise a limit or extend the"
        " campaign."
    )
    return Infeasible(clashes=(Violation(rule="EFFORT", sentence=sentence),), relaxations=())


class _Probe:
    """Asks whether loosened inputs have any plan, at most PROBES_MOST times."""

    def __init__(self, problem: Problem) -> None:
        self._scope = problem.scope
        self._asked = 0

    def is_possible(self, inputs: PlanningInput, only: Sequence[int] | None) -> bool | None:
        """For all clusters, or `only` those; None when that was not settled within the effort."""
        if self._asked >= PROBES_MOST:
            return None
        self._asked += 1
        problem = compile_problem(inputs, scope=self._scope, only=only)
        placed = _place(problem)
        return placed if isinstance(placed, bool | None) else True

    def is_verified(self, inputs: PlanningInput) -> bool:
        """True when a plan of these inputs, found anew and written out, passes the checker."""
        problem = compile_problem(inputs, scope=self._scope)
        placed = _place(problem)
        if isinstance(placed, bool | None):
            return False
        terms = tuple(TermResult(name=term.name, value=value_of(placed, term), bound=0) for term in list_terms(problem))
        found = Found(spots=placed, terms=terms, effort=0.0)
        return not check_plan(inputs, write_plan(problem, found, plan_id=PROBE_ID, hashes=NO_HASHES))


def _find_homeless(problem: Problem, probe: _Probe) -> tuple[int, ...]:
    """Clusters that find no place, were they alone; who then has to wait for no control phase either."""
    if problem.barrier is None and problem.lack is None:
        return find_homeless(problem, find_spots(problem))
    free = replace(problem, barrier=None, lack=None)
    found = find_homeless(free, find_spots(free))
    return tuple(cluster for cluster in found if probe.is_possible(problem.inputs, [cluster]) is False)


def _find_concerned(others: Sequence[Rule], problem: Problem, probe: _Probe, homeless: Sequence[int]) -> list[int]:
    """Those of the homeless that all rules but the others by themselves leave no place; of the first it was shown."""
    inputs = problem.inputs
    for rule in others:
        inputs = rule.leave_out(inputs)
    return [c for number, c in enumerate(homeless) if number == 0 or probe.is_possible(inputs, [c]) is not True]


def _place(problem: Problem) -> tuple[Spot, ...] | bool | None:
    """Spots of some plan; False when there is none, None when that was not settled within the effort."""
    spots = find_spots(problem)
    if find_homeless(problem, spots):
        return False
    rows = build_rows(problem, spots, with_reserve=False)
    chosen = place_greedily(problem, spots, rows)
    if chosen is None:
        solved = PlanModel(problem, spots, rows).solve(seed=problem.inputs.seed, effort=EFFORT_OF_PROBE)
        if isinstance(solved, Unsolved):
            return False if solved.proven else None
        chosen = solved.chosen
    return tuple(spots[number] for number in chosen)


def _shrink(rules: Sequence[Rule], problem: Problem, probe: _Probe, only: Sequence[int] | None) -> list[Rule]:
    """The rules without which, one at a time, the clash was not shown to last. Halves are tried before single ones."""
    kept: list[Rule] = []
    inputs = problem.inputs
    waiting = [list(rules)]
    while waiting:
        block = waiting.pop(0)
        without = inputs
        for rule in block:
            without = rule.leave_out(without)
        if probe.is_possible(without, only) is False:
            inputs = without
        elif len(block) == 1:
            kept.append(block[0])
        else:
            middle = len(block) // 2
            waiting[:0] = [block[:middle], block[middle:]]
    return kept


def _find_relaxation(rule: Rule, inputs: PlanningInput, probe: _Probe, homeless: Sequence[int]) -> Relaxation | None:
    """The shortest climb on any of the rule's ladders after which all clusters find room, all other rules kept.

    Nothing is said that was not verified: planned anew with the change, and checked.
    """
    best: tuple[int, str] | None = None
    for ladder in rule.ladders:
        least = _climb(ladder, inputs, probe, homeless, 1) if homeless else 1
        step = _climb(ladder, inputs, probe, None, least) if least is not None else None
        if step is not None and (best is None or step < best[0]):
            loosened, words = ladder.loosen(inputs, step)
            if probe.is_verified(loosened):
                best = (step, words)
    return Relaxation(rule=rule.name, sentence=best[1]) if best is not None else None


def _climb(ladder: Ladder, inputs: PlanningInput, probe: _Probe, only: Sequence[int] | None, least: int) -> int | None:
    """The lowest step from `least` on at which a plan was found; None when there is none at the top either."""

    def holds(step: int) -> bool:
        return probe.is_possible(ladder.loosen(inputs, step)[0], only) is True

    if least > ladder.top:
        return None
    if holds(least):
        return least
    if not holds(ladder.top):
        return None
    low, high = least, ladder.top
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
