"""A planner that hears a rule wrongly makes a plan that the checker faults for exactly that rule."""

import pytest
from tests.properties.pinched import PINCHED
from tests.properties.planted import PLANTED, Fault, spoil_encoder
from tests.unit.planning import bench as b

from fermata.planning.checker import check_plan
from fermata.planning.encoders import Encoder, list_encoders
from fermata.planning.encoding import Steps
from fermata.planning.extract import write_plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.outline import compile_problem
from fermata.planning.search import NothingFound, find_plan

PLACING = {encoder.code: encoder for encoder in list_encoders() if encoder.kind is not Steps}


def find_faults(inputs: PlanningInput, encoders: tuple[Encoder, ...]) -> set[str]:
    """The rules broken by the plan that is made with these encoders; none when there is no plan."""
    problem = compile_problem(inputs, encoders=encoders)
    found = find_plan(problem)
    if isinstance(found, NothingFound):
        return set()
    plan = write_plan(problem, found, plan_id="plan_1", hashes=b.HASHES)
    faults = {violation.rule for violation in check_plan(inputs, plan)}
    return faults - {"OBJECTIVE_VALUES"} if inputs.parent is not None else faults  # what moved is told by `replan`


def test_every_rule_that_places_windows_is_pinched() -> None:
    assert PINCHED.keys() == PLACING.keys()


@pytest.mark.parametrize("code", PINCHED)
def test_planner_that_hears_rightly_makes_no_plan_at_fault(code: str) -> None:
    assert [find_faults(inputs, list_encoders()) for inputs in PINCHED[code]] == [set()] * len(PINCHED[code])


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        pytest.param(code, fault, id=f"{code}: {fault.how}")
        for code in PINCHED
        for fault in PLANTED[code]
        if fault.is_lax
    ],
)
def test_planner_that_hears_wrongly_is_found_out_by_the_checker(code: str, fault: Fault) -> None:
    spoilt = tuple(spoil_encoder(e, fault) if e.code == code else e for e in list_encoders())
    assert any(code in find_faults(inputs, spoilt) for inputs in PINCHED[code])
