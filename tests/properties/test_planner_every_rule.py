"""On tiny campaigns with every rule a little, the planner finds a plan if there is one, and never claims too much."""

from math import inf, isclose

import pytest
from hypothesis import HealthCheck, given, settings
from tests.properties.tiny import find_choices, tiny_campaigns, value
from tests.unit.planning import bench as b

from fermata.domain.campaign import SpreadEvenly
from fermata.planning.checker import check_plan
from fermata.planning.extract import write_plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.outline import compile_problem
from fermata.planning.search import NothingFound, find_plan

pytestmark = pytest.mark.timeout(300)  # every plan there is: a busy machine needs minutes

BASIS_POINT = 2e-4  # the model counts shares in whole basis points


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(tiny_campaigns())
def test_planner_agrees_with_brute_force_on_every_rule(inputs: PlanningInput) -> None:
    choices = list(find_choices(inputs))
    problem = compile_problem(inputs)
    found = find_plan(problem)
    if isinstance(found, NothingFound):
        assert found.proven
        assert choices == []
        return
    plan = write_plan(problem, found, plan_id="plan_1", hashes=b.HASHES)
    assert check_plan(inputs, plan) == ()
    left = choices
    for term, preference in zip(plan.objective, inputs.campaign.preferences, strict=True):
        values = [value(inputs, choice, preference) for choice in left]
        best = min(values, default=inf)
        assert term.value >= best - BASIS_POINT, f"{term.term} is better than any plan there is"
        assert term.bound <= best + BASIS_POINT, f"{term.term} is proven to be worse than it can be"
        if not isclose(term.value, best, abs_tol=BASIS_POINT) or isinstance(preference, SpreadEvenly):
            return  # what follows is made least with another value held
        left = [choice for choice, worth in zip(left, values, strict=True) if worth == best]
