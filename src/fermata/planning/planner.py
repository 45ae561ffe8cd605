"""The planner on one screen: compile the problem, search it, write the plan, check it, or explain why there is none.

With a parent plan that is `replan.py`'s business instead.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from fermata.domain.plans import InputHashes, Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.checker import check_plan
from fermata.planning.daywork import time_days
from fermata.planning.explain import explain_infeasible, explain_not_found
from fermata.planning.extract import write_plan
from fermata.planning.inputs import Infeasible, Planned, PlanningInput, Relaxation, Violation
from fermata.planning.problem import Problem, compile_problem
from fermata.planning.replan import replan_campaign
from fermata.planning.risk.bound import Bounded, Spare, bound_breach, leave_unused
from fermata.planning.search import DEFAULTS, Found, Milestone, SearchOptions, find_plan, tell_nobody
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
        _fault(inputs, followed.plan)
        notes = _note(inputs, is_cut_short=followed.is_cut_short)
        return Planned(plan=followed.plan, days=followed.days, diff=followed.diff, notes=notes)
    options.watch(Stage.LENGTHS, "")
    return plan_problem(compile_problem(inputs), options, new_plan_id=new_plan_id, hashes=hashes)


def plan_problem(
    problem: Problem, options: SearchOptions, *, new_plan_id: str, hashes: InputHashes
) -> Planned | Infeasible:
    """As `plan_campaign`, of inputs that are compiled already. Who listens hears of a first plan that the checker
    passed too; with nobody listening only the last one is checked.
    """

    def check_first(found: Found) -> None:
        _fault(problem.inputs, write_plan(problem, found, plan_id=new_plan_id, hashes=hashes))

    found = find_plan(problem, _checking_the_first(options, check_first))
    if not isinstance(found, Found):
        options.watch(Stage.EXPLAINING, "")
        return explain_infeasible(problem) if found.proven else explain_not_found()
    tries: list[Planned] = []

    def write_checked(of: Problem, found: Found) -> Plan:
        timed = time_days(of, found, options)
        plan = write_plan(timed.problem, timed.found, plan_id=new_plan_id, hashes=hashes)
        options.watch(Stage.CHECKING, "")
        _fault(of.inputs, plan)
        tries.append(Planned(plan=plan, days=timed.days, notes=_note(problem.inputs, is_cut_short=found.is_cut_short)))
        return plan

    def solve(spare: Spare) -> Plan | None:
        spared = replace(problem, resources=leave_unused(problem.resources, spare))
        found = find_plan(spared, options)
        return write_checked(spared, found) if isinstance(found, Found) else None

    plan = write_checked(problem, found)
    if problem.inputs.max_breach is None:
        return tries[0]
    bounded = bound_breach(problem.inputs, plan, solve)
    if not bounded.is_within:
        return _explain_breach(bounded, problem.inputs.max_breach)
    return next(made for made in tries if made.plan is bounded.plan)


def _fault(inputs: PlanningInput, plan: Plan) -> None:
    """Raises PlanFaulted unless the checker passes the plan."""
    violations = check_plan(inputs, plan)
    if violations:
        raise PlanFaulted(violations)


def _note(inputs: PlanningInput, *, is_cut_short: bool) -> tuple[Reason, ...]:
    return (reason(Code.SEARCH_CUT_SHORT, campaign=inputs.campaign.id),) if is_cut_short else ()


def _checking_the_first(options: SearchOptions, check: Callable[[Found], None]) -> SearchOptions:
    """Who listens hears of a first plan only after the checker passed it."""

    def tell(milestone: Milestone, found: Found) -> None:
        if milestone is Milestone.FIRST:
            check(found)
        options.tell(milestone, found)

    return options if options.tell is tell_nobody else replace(options, tell=tell)


def _explain_breach(bounded: Bounded, wanted: float) -> Infeasible:
    """No spare room that leaves a plan keeps the chance of a breach as low as asked."""
    percent = math.ceil(1000 * bounded.breach) / 10
    told = {"wanted": f"{100 * wanted:g}", "best": f"{percent:g}", "limit": bounded.limit}
    clash = Violation(rule=Code.BREACH_UNAVOIDABLE, sentence=reason(Code.BREACH_UNAVOIDABLE, **told).sentence)
    change = f"Ask for --max-breach {percent / 100:.3f} or more."
    return Infeasible(clashes=(clash,), relaxations=(Relaxation(rule="max_breach", sentence=change),))
