"""The independent judge of plans: runs every rule of `planning/constraints` and never solves anything.

It shares only `domain` and `planning.inputs` with the planner. A plan is judged when made, stored, published, and
before each of its windows.
"""

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module

from fermata.domain.ids import WindowId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import InputHashes, Plan
from fermata.domain.reasons import Reason, reason
from fermata.planning import constraints
from fermata.planning.case import CheckCase, build_case
from fermata.planning.inputs import PlanningInput, Violation
from fermata.planning.reading import Reading

__all__ = ["CheckCase", "Rule", "build_case", "check_case", "check_hashes", "check_plan", "list_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One file of `planning/constraints`: its code, the operator's sentence, and the specification."""

    code: str
    sentence: str
    check: Callable[[Reading], Iterator[Violation]]


@cache
def list_rules() -> tuple[Rule, ...]:
    """Every rule in the folder, by code. Raises AttributeError for a file without CODE or check."""
    names = sorted(module.name for module in pkgutil.iter_modules(constraints.__path__))
    modules = [import_module(f"{constraints.__name__}.{name}") for name in names]
    return tuple(Rule(code=m.CODE, sentence=_first_line(m.__doc__), check=m.check) for m in modules)


def _first_line(text: str | None) -> str:
    assert text, "a rule's docstring is the operator's sentence"
    return text.strip().splitlines()[0]


def check_plan(inputs: PlanningInput, plan: Plan, *, only: frozenset[WindowId] | None = None) -> tuple[Violation, ...]:
    """Every rule that `plan` breaks, by rule. `only`: what concerns those windows; limits still count everything,
    and what holds for the plan as a whole (nothing forgotten, truthful objective) is not asked.
    """
    return check_case(build_case(inputs), plan, only=only)


def check_case(case: CheckCase, plan: Plan, *, only: frozenset[WindowId] | None = None) -> tuple[Violation, ...]:
    """As `check_plan`, with facts derived before: for judging many windows against the same inputs.

    Raises KeyError when `only` names a window that the plan does not have: nothing found must mean checked.
    """
    missing = (only or frozenset()) - {window.id for window in plan.windows}
    if missing:
        raise KeyError(f"plan {plan.id} has no window {', '.join(sorted(missing))}")
    reading = Reading(case=case, plan=plan, only=only)
    return tuple(violation for rule in list_rules() for violation in rule.check(reading))


def check_hashes(plan: Plan, hashes: InputHashes) -> Reason | None:
    """None when the plan was made from exactly these inputs, else a refusal that names which differ."""
    names = [f.name for f in fields(InputHashes) if getattr(plan.inputs, f.name) != getattr(hashes, f.name)]
    if not names:
        return None
    return reason(PlanCode.PLAN_INPUTS_CHANGED, plan=plan.id, inputs=", ".join(names))
