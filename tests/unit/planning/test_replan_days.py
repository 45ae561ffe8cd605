"""Re-plans of days: new windows timed with those that stay, and services whose lenders ran or stay."""

from dataclasses import replace
from datetime import date, timedelta

from tests.properties.pinched import MONDAY, pinch, with_services
from tests.unit.planning import bench as b
from tests.unit.planning.replanning import AS_PLANNED, follow, seen
from tests.unit.planning.test_daywork import MANAGER, MORNING, NIC, busiest, one_day, scenario

from fermata.domain.fleet import Fleet
from fermata.domain.observed import Fate
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code
from fermata.planning.inputs import Infeasible, Planned, PlanningInput
from fermata.planning.planner import plan_campaign

DAY = timedelta(days=1)


def without(inputs: PlanningInput, cluster: str) -> PlanningInput:
    fleet = inputs.fleet
    kept = Fleet(
        clusters={name: each for name, each in fleet.clusters.items() if name != cluster},
        nodes={name: node for name, node in fleet.nodes.items() if node.cluster != cluster},
        devices={name: device for name, device in fleet.devices.items() if device.cluster != cluster},
    )
    return replace(inputs, fleet=kept)


def test_a_new_window_is_timed_with_those_of_its_day_and_moves_none_of_their_steps() -> None:
    catalogue = b.make_catalogue(NIC, MANAGER, teams={"team-manager": 2})
    inputs = scenario(["alpha", "beta", "gamma"], catalogue, one_day())
    parent = b.planned(without(inputs, "gamma"))
    outcome = plan_campaign(replace(inputs, parent=parent), new_plan_id="plan_2", hashes=b.HASHES)
    assert isinstance(outcome, Planned)
    new = [window for window in outcome.plan.windows if window not in parent.windows]
    assert [(window.cluster, window.start) for window in new] == [("gamma", MORNING)]
    assert len(outcome.plan.windows) == 3
    assert busiest(outcome.plan.windows) == 2
    assert [(day.windows, day.proven) for day in outcome.days] == [(3, True)]
    assert outcome.days[0].minutes_saved > 0


def services(days: int) -> PlanningInput:
    """An idle cluster of one node, on whose node the one of api moves while it is out: every day one window."""
    return with_services(pinch((1,), (1,), days=(MONDAY, MONDAY + timedelta(days=days - 1))), "api", "idle")


def days_of(plan: Plan) -> dict[str, date]:
    return {window.cluster: window.start.date() for window in plan.windows}


def test_windows_that_need_what_others_lend_stay_where_they_are() -> None:
    inputs = services(days=2)
    parent = b.planned(inputs)
    assert days_of(parent) == {"b": MONDAY, "a": MONDAY + DAY}
    plan, _ = follow(replace(inputs, parent=parent))
    assert (plan.windows, plan.services) == (parent.windows, parent.services)


def test_what_ran_lends_on_later_days() -> None:
    inputs = services(days=2)
    parent = b.planned(inputs)
    ran = parent.windows[0].end
    plan, _ = follow(replace(inputs, parent=parent, now=ran, observed=AS_PLANNED))
    assert (plan.windows, plan.services) == (parent.windows, parent.services)


def test_who_waits_for_a_lender_that_was_called_off_goes_after_it() -> None:
    inputs = services(days=4)
    parent = b.planned(inputs)
    off = replace(inputs, parent=parent, observed=seen("b-20260105", Fate.CANCELLED))
    plan, _ = follow(off)
    assert days_of(plan) == {"b": MONDAY + DAY, "a": MONDAY + 2 * DAY}


def test_without_a_day_for_the_lender_there_is_no_plan() -> None:
    inputs = services(days=2)
    off = replace(inputs, parent=b.planned(inputs), observed=seen("b-20260105", Fate.CANCELLED))
    assert isinstance(plan_campaign(off, new_plan_id="plan_2", hashes=b.HASHES), Infeasible)


def test_within_the_notice_who_lost_its_lender_waits_for_a_new_consent() -> None:
    inputs = services(days=4)
    parent = b.planned(inputs)
    missed = seen("b-20260105", Fate.MISSED)
    plan, _ = follow(replace(inputs, parent=parent, now=parent.windows[0].end, observed=missed))
    (left,) = plan.unplanned
    assert (left.cluster, left.reason.code) == ("a", Code.CONSENT_AGAIN)
    assert "capacity of api in US allows 0, and it would bring 1 with nothing else" in left.reason.sentence


def test_what_ran_without_its_lender_is_past_mending() -> None:
    inputs = services(days=4)
    parent = b.planned(inputs)
    lender, borrower = parent.windows
    alone = replace(seen(lender.id, Fate.MISSED), as_planned=True)
    plan, _ = follow(replace(inputs, parent=parent, now=borrower.end, observed=alone))
    assert days_of(plan) == {"a": MONDAY + DAY, "b": MONDAY + 2 * DAY}
