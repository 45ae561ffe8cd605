"""What a re-plan owes the plan that it follows: spoilt re-plans, each found out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.planning import bench as b
from tests.unit.planning.replanning import AS_PLANNED, INPUTS, PARENT, again, follow, seen

from fermata.domain import policy as pol
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.observed import Fate, Withdrawal
from fermata.domain.plans import Plan, Unplanned
from fermata.domain.reasons import Code, reason
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput

FROZEN = replace(
    INPUTS.policy, freezes=(b.make_freeze("c3", datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC)),)
)


def spoil(inputs: PlanningInput, plan: Plan, **changes: Any) -> list[str]:
    return sorted({violation.rule for violation in check_plan(inputs, replace(plan, **changes))})


def test_the_checker_finds_a_window_of_the_past_that_was_touched() -> None:
    inputs = again()
    plan, _ = follow(inputs)
    first = replace(plan.windows[0], end=plan.windows[0].end - timedelta(minutes=1))
    assert "PUBLISHED_KEPT" in spoil(inputs, plan, windows=(first, *plan.windows[1:]))
    assert "PUBLISHED_KEPT" in spoil(inputs, plan, windows=plan.windows[1:])


def test_the_checker_finds_a_promise_moved_without_consent() -> None:
    inputs = again()
    plan, _ = follow(inputs)
    near = next(w for w in plan.windows if w.id == "c2-20260107")
    for by in (timedelta(minutes=30), timedelta(days=5)):
        moved = replace(near, start=near.start + by, end=near.end + by)
        faults = spoil(inputs, plan, windows=tuple(moved if w is near else w for w in plan.windows))
        assert "PUBLISHED_KEPT" in faults


def test_the_checker_finds_a_missed_window_sold_as_one_that_ran() -> None:
    plan, _ = follow(again())
    assert "NOT_BEFORE_NOW" in spoil(again(observed=seen("c1-20260106", Fate.MISSED)), plan)


def test_the_checker_finds_moves_that_the_objective_hides() -> None:
    inputs = again(policy=FROZEN)
    plan, _ = follow(inputs)
    hidden = tuple(replace(t, value=0, bound=0) if t.term == "moved_windows" else t for t in plan.objective)
    assert spoil(inputs, plan, objective=hidden) == ["OBJECTIVE_VALUES"]
    assert spoil(inputs, plan, objective=plan.objective[2:]) == ["OBJECTIVE_VALUES"]


def test_the_checker_finds_a_withdrawn_node_in_a_window() -> None:
    left = (Withdrawal(scope=pol.Scope(level=pol.ScopeLevel.NODE, name="c3-r1-n00"), why="sold"),)
    plan, _ = follow(again())
    assert "WITHDRAWN_NODES" in spoil(again(observed=replace(AS_PLANNED, withdrawn=left)), plan)
    assert ClusterId("c3") in {w.cluster for w in plan.windows}


def test_the_checker_finds_a_node_that_a_work_order_keeps() -> None:
    plan, _ = follow(again())
    for code in (Code.ORDER_FIRST, Code.HELD_BY_ORDER, Code.LEAVES_BY_ORDER):
        why = reason(code, unit="c3-r1-n00", order="wo_1", kind="repair", state="approved")
        assert "WORK_ORDERS" in spoil(again(held={NodeId("c3-r1-n00"): why}), plan)


def test_the_checker_finds_a_node_taken_while_it_waits_for_a_new_consent() -> None:
    why = reason(Code.CONSENT_AGAIN, window="c3-1", start="then", hours=24, why="it was frozen.")
    third = next(w for w in PARENT.windows if w.cluster == "c3")
    waits = Unplanned(cluster=ClusterId("c3"), nodes=third.nodes, reason=why)
    parent = replace(PARENT, windows=tuple(w for w in PARENT.windows if w is not third), unplanned=(waits,))
    inputs = again(parent, ledger=())
    plan, _ = follow(inputs)
    later = timedelta(days=4)
    taken = replace(third, start=third.start + later, end=third.end + later)
    assert "CONSENT_AGAIN" in spoil(inputs, plan, windows=(*plan.windows, taken), unplanned=())
