"""Who goes first: with a control phase no other window starts before it has ended and baked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import WindowId
from fermata.domain.phases import DECIDES, ControlPhase, GateTerms, Phases
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput, Violation

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
LENGTH = w.windows(w.scenario())[0].end - w.MONDAY
LONGEST = DAY - LENGTH - DECIDES  # from the end of alpha's window on Monday to beta's first on Tuesday


def scenario(bake: timedelta = timedelta(hours=1), fraction: float = 0.3) -> PlanningInput:
    """Alpha's 6 of 22 nodes are small enough to go first."""
    control = ControlPhase(max_fraction=fraction, gate=GateTerms(bake=bake))
    return w.scenario(campaign=w.campaign(phases=Phases(control=control)))


def early(inputs: PlanningInput) -> list[Violation]:
    found = check_plan(inputs, w.plan(inputs, w.windows(inputs)))
    assert {violation.rule for violation in found} <= {"CONTROL_FIRST"}
    return list(found)


@pytest.mark.parametrize(
    ("bake", "windows"),
    [
        (timedelta(0), []),
        (LONGEST, []),
        (LONGEST + MINUTE, ["w-beta-1"]),
        (LONGEST + timedelta(minutes=61), ["w-beta-1", "w-gamma"]),
        (2 * DAY, ["w-beta-1", "w-beta-2", "w-gamma"]),
    ],
)
def test_no_window_of_others_starts_within_the_bake(bake: timedelta, windows: list[str]) -> None:
    assert [violation.window for violation in early(scenario(bake))] == windows


def test_window_that_is_early_is_told_when_it_may_start() -> None:
    (fault,) = early(scenario(LONGEST + MINUTE))
    ends, opens = w.MONDAY + LENGTH, w.TUESDAY + MINUTE
    said = f"before {opens:%Y-%m-%d %H:%M:%SZ}: control windows w-alpha end at {ends:%Y-%m-%d %H:%M:%SZ}"
    assert said in fault.sentence


def test_plan_in_which_every_window_is_too_large_has_no_control_phase() -> None:
    (fault,) = early(scenario(fraction=0.05))
    assert fault.window is None
    assert "1 of 22 nodes may, and the smallest window takes 2" in fault.sentence


def test_without_a_control_phase_all_may_start_at_once() -> None:
    assert early(w.scenario()) == []


def test_before_a_single_window_the_gate_is_asked_instead() -> None:
    inputs = scenario(2 * DAY)
    built = w.plan(inputs, w.windows(inputs))
    assert check_plan(inputs, built, only=frozenset({WindowId("w-beta-1")})) == ()


@pytest.mark.parametrize(("bake", "faulted"), [(timedelta(hours=1), True), (3 * DAY, False)])
def test_replan_is_held_to_what_its_parent_reserved(bake: timedelta, faulted: bool) -> None:
    """Beta's first part is brought forward to half an hour after alpha. A parent that reserved nothing settles none."""
    inputs = scenario(bake)
    made = w.windows(inputs)
    parent = w.plan(inputs, made)
    moved = w.move(made[1], w.MONDAY + LENGTH + 30 * MINUTE - made[1].start)
    followed = w.plan(inputs, w.swap(made, moved))
    found = check_plan(replace(inputs, parent=parent), followed)
    assert any(fault.rule == "CONTROL_FIRST" and fault.window == moved.id for fault in found) == faulted
