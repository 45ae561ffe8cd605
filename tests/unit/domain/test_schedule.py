"""The published schedule: what became of each window from plan to plan."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.test_notices import PLAN

from fermata.domain.ids import CampaignId, PlanId, WindowId
from fermata.domain.plans import Window
from fermata.domain.run_states import WindowState
from fermata.domain.schedule import Edition, Ended, Scheduled, fold_schedule

HOUR = timedelta(hours=1)
AT = datetime(2026, 1, 5, tzinfo=UTC)
CAMPAIGN = CampaignId("january")
FIRST = PLAN.windows[0]


def fold(*plans: tuple[Window, ...], **ended: WindowState) -> dict[str, Scheduled]:
    editions = [Edition(plan=PlanId(f"plan_{n}"), at=AT + n * HOUR, windows=windows) for n, windows in enumerate(plans)]
    over = {WindowId(name): Ended(state=state, at=AT + 99 * HOUR) for name, state in ended.items()}
    return {said.window: said for said in fold_schedule(CAMPAIGN, editions, over)}


def test_a_window_that_moves_keeps_its_name_and_says_so_once() -> None:
    moved = replace(FIRST, start=FIRST.start + HOUR, end=FIRST.end + HOUR)
    said = [fold(*plans)[FIRST.id] for plans in ([(FIRST,)], [(FIRST,), (FIRST,)], [(FIRST,), (moved,), (moved,)])]
    assert [each.version for each in said] == [0, 0, 1]
    assert [each.said_at for each in said] == [AT, AT, AT + HOUR]
    assert said[-1].start == FIRST.start + HOUR


def test_what_is_dropped_is_withdrawn_and_may_come_again() -> None:
    gone = fold((FIRST,), ())[FIRST.id]
    assert (gone.is_withdrawn, gone.version, gone.start) == (True, 1, FIRST.start)
    assert fold((FIRST,), (), ())[FIRST.id] == gone, "once"
    again = fold((FIRST,), (), (FIRST,))[FIRST.id]
    assert (again.is_withdrawn, again.version) == (False, 2)


def test_what_does_not_take_place_is_withdrawn() -> None:
    for state in WindowState:
        said = fold((FIRST,), **{FIRST.id: state})[FIRST.id]
        is_over = state in (WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED)
        assert (said.is_withdrawn, said.version) == (is_over, int(is_over)), state


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), unique_by=lambda each: each[0]), max_size=6)
)
def test_one_more_plan_never_takes_back_a_version(history: list[list[tuple[str, int]]]) -> None:
    plans = [
        tuple(replace(FIRST, id=WindowId(name), start=FIRST.start + shift * HOUR) for name, shift in windows)
        for windows in history
    ]
    before: dict[str, Scheduled] = {}
    for length in range(len(plans) + 1):
        now = fold(*plans[:length])
        assert before.keys() <= now.keys()
        for name, was in before.items():
            assert now[name] == was or now[name].version > was.version
        before = now
