"""What counts as a deviation from the plan, what is noise, and that equal facts have equal keys."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation import small

from fermata.domain.deviation import RunFacts, TailUse, find_deviation, learn_stretch, may_plan_now
from fermata.domain.ids import ClusterId, NodeId, PlanId, RunId, WindowId
from fermata.domain.observed import AS_CATALOGUED
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Mode
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import WindowState

HOUR = timedelta(hours=1)
C0 = ClusterId("c0")


def row(name: str, state: WindowState = WindowState.PLANNED, *, hours: float | None = None) -> WindowRun:
    """A window planned for four hours; `hours`: how long it took."""
    opened = None if hours is None else small.START
    return WindowRun(
        run=RunId("run_1"),
        window=WindowId(name),
        plan=PlanId("plan_1"),
        cluster=C0,
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        nodes=100,
        planned_start=small.START,
        planned_end=small.START + 4 * HOUR,
        back_by=small.START + 8 * HOUR,
        hard_stop=small.START + 9 * HOUR,
        state=state,
        opened_at=opened,
        closed_at=None if hours is None else small.START + hours * HOUR,
    )


def names(count: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(f"n{i:03}") for i in range(count))


AHEAD = tuple(row(f"w{i}") for i in range(4))
FACTS = RunFacts(plan=PlanId("plan_1"), windows=AHEAD)
CLOSED = replace(AHEAD[0], state=WindowState.CLOSED)
W0, W1 = AHEAD[0].window, AHEAD[1].window


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (FACTS, []),
        (replace(FACTS, windows=(CLOSED, *AHEAD[1:])), []),
        (replace(FACTS, windows=(row("w0", WindowState.MISSED), *AHEAD[1:])), [Code.WINDOW_NOT_RUN]),
        (replace(FACTS, windows=(row("w0", WindowState.SKIPPED), *AHEAD[1:])), [Code.WINDOW_NOT_RUN]),
        (replace(FACTS, windows=(row("w0", WindowState.CANCELLED), *AHEAD[1:])), [Code.WINDOW_NOT_RUN]),
        (replace(FACTS, windows=(CLOSED, *AHEAD[1:]), left={W0: names(1)}), [Code.WINDOW_LEFT_NODES]),
        (replace(FACTS, windows=(CLOSED, *AHEAD[1:]), left={W0: names(1)}, is_quiet=False), []),
        (replace(FACTS, windows=(CLOSED, *AHEAD[1:]), left={W0: names(2)}, is_quiet=False), [Code.WINDOW_LEFT_NODES]),
        (replace(FACTS, left={W0: names(5)}), []),
        (replace(FACTS, barred={W1: {"frozen": names(3)}}), [Code.NODES_BARRED]),
        (replace(FACTS, gone={C0: names(1)}), [Code.CLUSTER_LOST_NODES]),
        (replace(FACTS, new={C0: names(1)}), [Code.CLUSTER_GOT_NODES]),
        (replace(FACTS, freed={C0: names(1)}), [Code.CONSENT_CAME]),
        (replace(FACTS, gone={C0: names(1)}, new={C0: names(1)}, is_quiet=False), []),
        (replace(FACTS, tail=(TailUse(limit="nodes_out", allowed=100, used=9),)), []),
        (replace(FACTS, tail=(TailUse(limit="nodes_out", allowed=100, used=10),)), [Code.TAIL_IN_THE_WAY]),
        (replace(FACTS, tail=(TailUse(limit="nodes_out", allowed=0, used=0),)), []),
        (replace(FACTS, windows=tuple(row(f"w{i}", WindowState.CLOSED, hours=5) for i in range(2))), []),
        (replace(FACTS, windows=tuple(row(f"w{i}", WindowState.CLOSED, hours=4.9) for i in range(3))), []),
        (
            replace(FACTS, windows=tuple(row(f"w{i}", WindowState.CLOSED, hours=5) for i in range(3))),
            [Code.WINDOWS_LONGER],
        ),
    ],
)  # fmt: skip
def test_what_is_a_deviation_and_what_is_noise(facts: RunFacts, codes: list[Code]) -> None:
    found = find_deviation(facts)
    assert [cause.code for cause in (found.causes if found is not None else ())] == codes


def test_a_window_that_did_not_run_is_told_with_its_own_reason() -> None:
    missed = replace(row("w0", WindowState.MISSED), reason=reason(Code.RUN_PAUSED, who="ann", unit="w0"))
    found = find_deviation(replace(FACTS, windows=(missed,)))
    assert found is not None
    assert found.causes[0].sentence == (
        "w0 was missed: 100 node(s) need another window. RUN_PAUSED: The run is paused (ann), so nothing new begins"
        " on w0: `fermata resume` lets it go on."
    )


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_facts_are_gathered_does_not_matter(dice: Random) -> None:
    windows = [row("w0", WindowState.MISSED), row("w1", WindowState.SKIPPED), *AHEAD[2:]]
    facts = replace(FACTS, windows=tuple(windows), new={C0: names(3), ClusterId("c1"): names(4)})
    dice.shuffle(windows)
    shuffled = replace(facts, windows=tuple(windows), new=dict(reversed(facts.new.items())))
    first, second = find_deviation(facts), find_deviation(shuffled)
    assert first is not None
    assert second is not None
    assert first.key == second.key


def test_another_plan_in_force_is_another_question() -> None:
    facts = replace(FACTS, windows=(row("w0", WindowState.MISSED),))
    first, second = find_deviation(facts), find_deviation(replace(facts, plan=PlanId("plan_2")))
    assert first is not None
    assert second is not None
    assert first.key != second.key


@pytest.mark.parametrize(
    ("hours", "overall"),
    [((4, 4, 4), 1.0), ((5, 5, 5), 1.25), ((2, 6, 6), 1.5), ((2, 2, 9), 1.0), ((8, 8), 1.0), ((6.3, 6.3, 6.3), 1.6)],
)
def test_durations_are_learned_from_the_median_window(hours: tuple[float, ...], overall: float) -> None:
    windows = [row(f"w{i}", WindowState.CLOSED, hours=length) for i, length in enumerate(hours)]
    assert learn_stretch(windows).overall == overall
    assert learn_stretch([*windows, *AHEAD]) == learn_stretch(windows)
    assert learn_stretch(AHEAD) == AS_CATALOGUED


def test_nobody_plans_while_a_window_waits_for_its_turn() -> None:
    assert may_plan_now(AHEAD)
    assert not may_plan_now((*AHEAD[1:], row("w0", WindowState.WAITING)))
