"""A control phase in plans made again under way: who goes first is settled, and so is when others follow."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.planning import bench as b
from tests.unit.planning.replanning import CAMPAIGN, INPUTS, again, follow, seen

from fermata.domain.control import choose_control, find_reserved
from fermata.domain.observed import Fate
from fermata.domain.phases import ControlPhase, GateTerms, Phases
from fermata.domain.plans import Plan
from fermata.planning.inputs import PlanningInput

PHASE = ControlPhase(max_fraction=0.1, gate=GateTerms(at_least=1, bake=timedelta(hours=60)))
PHASED = replace(INPUTS, campaign=replace(CAMPAIGN, phases=Phases(control=PHASE)))
PARENT = b.planned(PHASED)


def after(parent: Plan = PARENT, **changes: object) -> PlanningInput:
    return again(parent, campaign=PHASED.campaign, **changes)


def test_campaign_reserves_a_part_of_the_rolled_cluster() -> None:
    reserved = find_reserved(PARENT.windows, PHASE)
    assert reserved is not None
    assert [window.cluster for window in PARENT.windows if window.id in reserved.windows] == ["r0"]


@pytest.mark.parametrize("days", [0, 1, 2, 3])
def test_nothing_changes_where_all_went_as_planned(days: int) -> None:
    plan, diff = follow(after(now=PARENT.windows[0].start + timedelta(hours=6, days=days)))
    assert [window.start for window in plan.windows] == [window.start for window in PARENT.windows]
    assert diff.changes == ()
    assert choose_control(plan.windows, PHASE, INPUTS.fleet) == choose_control(PARENT.windows, PHASE, INPUTS.fleet)


def test_others_that_are_planned_anew_do_not_start_before_the_bake_is_over() -> None:
    """A freeze takes the first of their windows away."""
    reserved = find_reserved(PARENT.windows, PHASE)
    assert reserved is not None
    first = PARENT.windows[1]
    freeze = b.make_freeze(first.cluster, first.start, first.end)
    now = PARENT.windows[0].end + timedelta(hours=1)
    plan, diff = follow(after(now=now, policy=replace(INPUTS.policy, freezes=(freeze,))))
    assert diff.changes
    moved = [window for window in plan.windows if window.cluster == first.cluster]
    assert all(window.start >= reserved.opens for window in plan.windows if window.id not in reserved.windows)
    assert moved[0].start != first.start


def test_control_window_that_missed_its_day_goes_with_the_others_behind_another_that_takes_its_place() -> None:
    reserved = find_reserved(PARENT.windows, PHASE)
    assert reserved is not None
    (missed,) = reserved.windows
    now = PARENT.windows[0].end + timedelta(hours=1)
    plan, _ = follow(after(now=now, observed=seen(missed, Fate.MISSED)))
    assert all(window.start >= reserved.opens for window in plan.windows)
    anew = find_reserved(plan.windows, PHASE)
    assert anew is not None
    assert [window.start for window in plan.windows if window.id in anew.windows] == [
        window.start for window in PARENT.windows if window.id in anew.windows
    ]
    assert choose_control(plan.windows, PHASE, INPUTS.fleet) == anew.windows


@pytest.mark.parametrize("is_back", [True, False], ids=["back late", "still out"])
def test_others_start_when_control_windows_that_are_late_can_have_baked(is_back: bool) -> None:
    """Where they were told they would wait at the gate, and miss their day."""
    reserved = find_reserved(PARENT.windows, PHASE)
    assert reserved is not None
    (first,) = reserved.windows
    now = PARENT.windows[0].end + timedelta(hours=30)
    ended = PARENT.windows[0].end + timedelta(hours=29)
    fate, more = (Fate.DONE, {"ended_at": ended}) if is_back else (Fate.RUNNING, {})
    plan, diff = follow(after(now=now, observed=seen(first, fate, started_at=PARENT.windows[0].start, **more)))
    evidence_at = (ended if is_back else now) + PHASE.gap
    assert evidence_at > reserved.opens
    late = {window.id for window in PARENT.windows if window.id != first and window.start < evidence_at}
    assert late
    assert all(window.start >= evidence_at for window in plan.windows if window.id != first)
    assert late <= {window.id for change in diff.changes for window in change.was}


def test_once_others_have_begun_nobody_waits_for_a_control_window_that_is_late() -> None:
    """A person let them go: its gate says so, and not the plan."""
    reserved = find_reserved(PARENT.windows, PHASE)
    assert reserved is not None
    (first,) = reserved.windows
    now = PARENT.windows[1].start + timedelta(hours=1)
    plan, diff = follow(after(now=now, observed=seen(first, Fate.RUNNING, started_at=PARENT.windows[0].start)))
    assert diff.changes == ()
    assert [window.start for window in plan.windows] == [window.start for window in PARENT.windows]
