"""Why a window waits for services: what a service may lose that day is told like any other limit."""

from tests.unit.planning import bench as b
from tests.unit.planning.test_leapfrog import API, IDLE, TWO, service, workloads, world
from tests.unit.planning.test_why import move

from fermata.domain import campaign as c
from fermata.domain.plan_codes import PlanCode
from fermata.planning.checker import build_case, check_case
from fermata.planning.why_load import starts_of
from fermata.planning.why_window import WindowExplainer


def test_a_window_that_waits_for_nodes_that_carry_its_load_says_so_and_the_checker_agrees() -> None:
    order = (c.FinishByDeadline(), c.WorkloadOrder())
    inputs = world(TWO, workloads(service(API, IDLE, US=8)), preferences=order)
    plan = b.planned(inputs)
    explainer = WindowExplainer(inputs, plan)
    windows = {window.cluster: window for window in plan.windows}
    (first,) = explainer.explain(windows["serving"]).earlier
    assert first.reasons[0].code is PlanCode.DAY_LIMIT_ALONE
    assert "capacity of api in US allows 2 on Mon 2026-01-05, and its own 6" in first.reasons[0].sentence
    last = explainer.explain(windows["also"]).earlier[-1]
    assert last.reasons[0].code is PlanCode.DAY_LIMIT_FULL
    assert "allows 6; next to the 6 of serving-20260106" in last.reasons[0].sentence
    assert explainer.worth.now == (tuple(term.value for term in plan.objective))
    case = build_case(inputs)
    for name in ("serving", "also"):
        day = explainer.loads.days[0]
        for start in starts_of(day, windows[name]):
            broken = {violation.rule for violation in check_case(case, move(plan, windows[name], start))}
            assert "SERVICE_CAPACITY" in broken
