"""Windows less sure than asked get time that nobody else needs, and no limit bears more than before."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.reasons import Code
from fermata.domain.updates import Duration, Impact
from fermata.domain.windows import day_interval
from fermata.planning.inputs import PlanningInput
from fermata.planning.weak_promises import find_chance_of_enough, find_weak_promises

ALPHA, BETA = b.make_cluster("alpha"), b.make_cluster("beta")
SLOW = replace(
    b.make_update("nic", "nic_fw", 250, Impact.REBOOTFUL), duration_minutes=Duration(p50=250, p90=380)
)  # of twenty nodes one takes all of a day

QUICK = b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL)


def make_inputs(*, campaign: c.Campaign | None = None, frozen_after: timedelta | None = None) -> PlanningInput:
    """Two clusters of twenty nodes; with `frozen_after`, alpha is frozen from then on, on the first day."""
    nodes = [*b.make_nodes(ALPHA, [20]), *b.make_nodes(BETA, [20])]
    fleet = b.make_fleet([ALPHA, BETA], nodes)
    made = campaign or b.make_campaign(return_threshold=1.0)
    day = day_interval(made.first_day, made.daily_window.start, made.daily_window.back_in_service_by, made.timezone)
    freezes = []
    if frozen_after is not None:
        freezes.append(b.make_freeze("alpha", day.start + frozen_after, day.start + timedelta(days=9)))
    return b.make_inputs(fleet, b.make_catalogue(SLOW), made, *freezes)


def test_window_that_is_alone_gets_the_whole_day() -> None:
    plan = b.planned(make_inputs())
    room = timedelta(hours=8)
    assert [window.end - window.start for window in plan.windows] == [room, room]
    assert all(window.steps[-1].end == window.end for window in plan.windows)


def test_window_stretches_up_to_a_freeze() -> None:
    inputs = make_inputs(frozen_after=timedelta(hours=7, minutes=45))
    end = {window.cluster: window.end for window in b.planned(inputs).windows}
    frozen = inputs.policy.freezes[0].start
    assert end["alpha"] == frozen < end["beta"]


def test_window_that_is_sure_enough_stays_as_short_as_it_is() -> None:
    inputs = replace(make_inputs(campaign=b.make_campaign(return_threshold=0.7)), catalogue=b.make_catalogue(QUICK))
    plan = b.planned(inputs)
    assert all(window.end - window.start < timedelta(hours=3) for window in plan.windows)
    assert find_weak_promises(plan, inputs.campaign, wanted=0.9) == ()
    assert [window.unsure for window in plan.windows] == [None, None]


def test_windows_one_after_the_other_under_a_limit_do_not_stretch_into_each_other() -> None:
    limit = c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1)
    day = b.make_campaign().first_day
    fallout = c.Fallout(fraction=0.02, mean_days_to_repair=2)
    campaign = b.make_campaign(
        return_threshold=1.0, limits=(limit,), fallout=fallout, deadline=day, extension_until=day
    )
    inputs = replace(make_inputs(campaign=campaign), catalogue=b.make_catalogue(QUICK))
    first, second = sorted(b.planned(inputs).windows, key=lambda window: window.start)
    assert first.end <= second.start


@pytest.mark.parametrize(("fallout", "code"), [(0.0, Code.END_UNSURE_ROOM), (0.05, Code.END_UNSURE_FALLOUT)])
def test_window_less_sure_than_asked_says_why(fallout: float, code: Code) -> None:
    lost = c.Fallout(fraction=fallout, mean_days_to_repair=2)
    campaign = b.make_campaign(return_threshold=1.0, fallout=lost)
    weak = find_weak_promises(b.planned(make_inputs(campaign=campaign)), campaign, wanted=0.9)
    assert [found.reason.code for found in weak] == [code, code]
    assert "None" not in str(weak[0].reason)


def test_plan_states_with_each_window_what_keeps_its_end_from_being_as_sure_as_asked() -> None:
    inputs = make_inputs(frozen_after=timedelta(hours=7, minutes=45))
    plan = b.planned(inputs)
    why = {window.cluster: window.unsure for window in plan.windows}
    assert why["alpha"] is not None
    assert why["beta"] is not None
    assert why["alpha"].code is Code.END_UNSURE_NEXT
    assert f"and {inputs.policy.freezes[0].id} comes first" in why["alpha"].sentence
    assert why["beta"].code is Code.END_UNSURE_ROOM
    assert re.search(r"leaves it, until about \d\d:\d\d\. Widen daily_window", why["beta"].sentence)
    told = find_weak_promises(plan, inputs.campaign, wanted=0.9)
    assert {found.window.cluster: found.reason for found in told} == why


def test_fallout_says_how_many_would_have_to_be_allowed_to_be_missing() -> None:
    lost = c.Fallout(fraction=0.05, mean_days_to_repair=2)
    plan = b.planned(make_inputs(campaign=b.make_campaign(return_threshold=1.0, fallout=lost)))
    (why, _) = [window.unsure for window in plan.windows]
    assert why is not None
    assert "a return_threshold that lets 2 be missing does; else keep spare nodes" in why.sentence
    assert find_chance_of_enough(20, 1, 0.05) < 0.9 <= find_chance_of_enough(20, 2, 0.05)


@pytest.mark.parametrize(
    ("nodes", "spare", "fallout", "chance"),
    [
        (10, 0, 0.05, 0.95**10),
        (2, 1, 0.5, 0.75),
        (20, 1, 0.0, 1.0),
        (3, 2, 1.0, 0.0),
        (3, 3, 1.0, 1.0),
        (50_000, 2_500, 0.015, 1.0),
    ],
)
def test_chance_that_enough_nodes_stay(nodes: int, spare: int, fallout: float, chance: float) -> None:
    assert find_chance_of_enough(nodes, spare, fallout) == pytest.approx(chance)
