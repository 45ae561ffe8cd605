"""The planner on one screen: compile the problem, search it, write the plan, check it, or explain why there is none.

With a parent plan that is `replan.py`'s business instead.
"""

import math
from dataclasses import replace
from functools import cached_property

from fermata.domain.plans import InputHashes, Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.checker import CheckCase, build_case, check_case
from fermata.planning.control_notes import note_control
from fermata.planning.daywork import time_days
from fermata.planning.explain import explain_infeasible, explain_not_found
from fermata.planning.extract import write_plan
from fermata.planning.fewest import FIRST_TERMS, compile_fewest, may_do_with_fewest
from fermata.planning.inputs import Infeasible, Planned, PlanningInput, Relaxation, Violation
from fermata.planning.outline import Outline, outline_problem
from fermata.planning.problem import Problem
from fermata.planning.replan import replan_campaign
from fermata.planning.risk.bound import Bounded, Spare, bound_breach, leave_unused
from fermata.planning.search import DEFAULTS, Found, Milestone, NothingFound, SearchOptions, find_plan, tell_nobody
from fermata.planning.stages import Stage


class PlanFaulted(Exception):
    """The checker faults a plan of our own: a bug in the planner or in the checker. Nothing was written."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        told = "; ".join(f"{violation.rule}: {violation.sentence}" for violation in violations[:5])
        super().__init__(f"the checker found {len(violations)} violations: {told}")
        self.violations = violations


def plan_campaign(
    inputs: PlanningInput, *, new_plan_id: str, hashes: InputHashes, options: SearchOptions = DEFAULTS
) -> Planned | Infeasible:
    """A plan that the checker passed, or why there is none. Equal arguments give equal plans.

    Raises PlanFaulted, and ParentRefused for a parent that cannot be followed.
    """
    if inputs.parent is not None:
        followed = replan_campaign(inputs, new_plan_id=new_plan_id, hashes=hashes, is_overdue=options.is_overdue)
        if isinstance(followed, Infeasible):
            return followed
        _fault(build_case(inputs), followed.plan)
        notes = (*note_control(inputs, followed.plan), *_note(inputs, is_cut_short=followed.is_cut_short))
        return Planned(plan=followed.plan, days=followed.days, diff=followed.diff, notes=notes)
    options.watch(Stage.LENGTHS, "")
    return _Planning(options, outline_problem(inputs), new_plan_id=new_plan_id, hashes=hashes).plan()


class _Planning:
    """One campaign without a parent. Who listens hears of a first plan that the checker passed too; with nobody
    listening only the last one is checked.
    """

    def __init__(self, options: SearchOptions, outline: Outline, *, new_plan_id: str, hashes: InputHashes) -> None:
        self._options = options
        self._outline = outline
        self._new_plan_id = new_plan_id
        self._hashes = hashes

    @cached_property
    def _case(self) -> CheckCase:
        return build_case(self._outline.inputs)

    def plan(self) -> Planned | Infeasible:
        """The best plan found, within the wanted chance of a breach."""
        problem, found = self._find()
        if isinstance(found, NothingFound):
            self._options.watch(Stage.EXPLAINING, "")
            return explain_infeasible(problem) if found.proven else explain_not_found()
        made = self._write_checked(problem, found)
        wanted = problem.inputs.max_breach
        return made if wanted is None else self._bound_breach(problem, made, wanted)

    def _find(self) -> tuple[Problem, Found | NothingFound]:
        if may_do_with_fewest(self._outline):
            self._outline = self._outline.lay_out_fewest()
            problem = compile_fewest(self._outline)
            found = self._search(problem, replace(self._options, at_floor=FIRST_TERMS))
            if isinstance(found, Found):
                return problem, found
        problem = self._outline.compile()
        return problem, self._search(problem, self._options)

    def _search(self, problem: Problem, options: SearchOptions) -> Found | NothingFound:
        def tell(milestone: Milestone, found: Found) -> None:
            if milestone is Milestone.FIRST:
                _fault(self._case, self._write(problem, found))
            options.tell(milestone, found)

        return find_plan(problem, options if options.tell is tell_nobody else replace(options, tell=tell))

    def _write(self, problem: Problem, found: Found) -> Plan:
        return write_plan(problem, found, plan_id=self._new_plan_id, hashes=self._hashes)

    def _write_checked(self, problem: Problem, found: Found) -> Planned:
        timed = time_days(problem, found, self._options)
        plan = self._write(timed.problem, timed.found)
        self._options.watch(Stage.CHECKING, "")
        _fault(self._case, plan)
        notes = (*note_control(problem.inputs, plan), *_note(problem.inputs, is_cut_short=found.is_cut_short))
        return Planned(plan=plan, days=timed.days, notes=notes)

    def _bound_breach(self, problem: Problem, made: Planned, wanted: float) -> Planned | Infeasible:
        tries = [made]

        def solve(spare: Spare) -> Plan | None:
            spared = replace(problem, resources=leave_unused(problem.resources, spare))
            found = find_plan(spared, self._options)
            if isinstance(found, NothingFound):
                return None
            tries.append(self._write_checked(spared, found))
            return tries[-1].plan

        bounded = bound_breach(problem.inputs, made.plan, solve)
        if not bounded.is_within:
            return _explain_breach(bounded, wanted)
        return next(each for each in tries if each.plan is bounded.plan)


def _fault(case: CheckCase, plan: Plan) -> None:
    """Raises PlanFaulted unless the checker passes the plan."""
    violations = check_case(case, plan)
    if violations:
        raise PlanFaulted(violations)


def _note(inputs: PlanningInput, *, is_cut_short: bool) -> tuple[Reason, ...]:
    return (reason(Code.SEARCH_CUT_SHORT, campaign=inputs.campaign.id),) if is_cut_short else ()


def _explain_breach(bounded: Bounded, wanted: float) -> Infeasible:
    """No spare room that leaves a plan keeps the chance of a breach as low as asked."""
    percent = math.ceil(1000 * bounded.breach) / 10
    told = {"wanted": f"{100 * wanted:g}", "best": f"{percent:g}", "limit": bounded.limit}
    clash = Violation(rule=Code.BREACH_UNAVOIDABLE, sentence=reason(Code.BREACH_UNAVOIDABLE, **told).sentence)
    change = f"Ask for --max-breach {percent / 100:.3f} or more."
    return Infeasible(clashes=(clash,), relaxations=(Relaxation(rule="max_breach", sentence=change),))
