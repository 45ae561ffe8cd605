"""Windows of a day moved forward without a solver: nothing asked for more than it can, and never claimed too much."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain.ids import TeamId
from fermata.planning.daywork_model import plan_day
from fermata.planning.daywork_moves import Moved, are_least, move_forward
from fermata.planning.daywork_steps import DayRow, DayWindow, Movable

TEAM = TeamId("team")
ROOM = 40  # minutes of a tiny day
NOTHING = b.make_catalogue()


def work(least: int, minutes: int, *, units: int = 1, later: int = 0) -> Movable:
    return Movable(least=least, most=least + later, minutes=minutes, team=TEAM, units=units)


def window(now: int, *steps: Movable, starts: Sequence[int] = (0, 5, 10, 20)) -> DayWindow:
    own = tuple(sorted({*(start for start in starts if start <= now), now}))
    return DayWindow(starts=own, now=now, steps=steps, ordered=(), catalogue=NOTHING)


def moved(windows: Sequence[DayWindow], at_once: int, **given: object) -> Moved | None:
    rows: Sequence[DayRow] = given.get("rows", ())  # type: ignore[assignment]
    not_after: Sequence[tuple[int, int]] = given.get("not_after", ())  # type: ignore[assignment]
    return move_forward(windows, rows, {TEAM: at_once}, not_after)


def busiest(windows: Sequence[DayWindow], found: Moved) -> int:
    spans = [
        (start + begin, start + begin + step.minutes, step.units)
        for each, start, begins in zip(windows, found.starts, found.steps, strict=True)
        for step, begin in zip(each.steps, begins, strict=True)
    ]
    return max(sum(units for a, b, units in spans if a <= minute < b) for minute in range(2 * ROOM))


def test_step_waits_for_the_team_so_that_its_window_need_not() -> None:
    windows = [window(0, work(0, 5)), window(5, work(0, 5, later=5))]
    assert moved(windows, 1) == Moved(starts=(0, 0), steps=((0,), (5,)))


def test_window_stays_when_its_step_cannot_wait_long_enough() -> None:
    windows = [window(0, work(0, 5)), window(5, work(0, 5, later=4))]
    found = moved(windows, 1)
    assert found == Moved(starts=(0, 5), steps=((0,), (0,)))
    assert not are_least(windows, found)


def test_steps_of_one_window_share_the_team_as_well() -> None:
    windows = [window(5, work(0, 5, later=9), work(0, 5, later=9))]
    assert moved(windows, 1) is None, "as the day stands, two steps at once ask for more than the team can"
    windows = [window(5, work(0, 5, later=9), work(5, 5, later=9)), window(0, work(0, 5))]
    assert moved(windows, 1) == Moved(starts=(0, 0), steps=((5, 10), (0,)))


def test_window_does_not_overtake_one_that_has_to_start_first() -> None:
    windows = [window(5, work(0, 5)), window(5)]
    blocked = [window(0, work(0, 10)), *windows]
    assert moved(blocked, 2, not_after=[(1, 2)]) == Moved(starts=(0, 0, 0), steps=((0,), (0,), ()))
    alone = DayRow(most=0, terms=((1, 0, 1),))
    assert moved(blocked, 2, not_after=[(1, 2)], rows=[alone]) == Moved(starts=(0, 5, 5), steps=((0,), (0,), ()))


def test_window_that_waits_for_another_follows_it_forward() -> None:
    windows = [window(5), window(10)]
    assert moved(windows, 1, not_after=[(1, 0)]) == Moved(starts=(0, 0), steps=((), ()))


def test_row_that_is_full_keeps_a_window_out() -> None:
    row = DayRow(most=1, terms=((0, 0, 1), (1, 0, 1), (1, 5, 1)))
    assert moved([window(0), window(10)], 1, rows=[row]) == Moved(starts=(0, 10), steps=((), ()))


steps = st.builds(
    work,
    st.integers(min_value=0, max_value=8),
    st.integers(min_value=1, max_value=6),
    units=st.integers(min_value=1, max_value=2),
    later=st.integers(min_value=0, max_value=8),
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    data=st.lists(st.tuples(st.sampled_from([0, 5, 10, 20]), st.lists(steps, max_size=3)), min_size=1, max_size=5),
    at_once=st.integers(min_value=2, max_value=4),
    is_ordered=st.booleans(),
)
def test_moves_keep_teams_and_order_and_do_not_beat_the_solver(
    data: list[tuple[int, list[Movable]]], at_once: int, is_ordered: bool
) -> None:
    windows = [window(now, *own) for now, own in data]
    starts = [each.now for each in windows]
    not_after = [(0, 1)] if is_ordered and len(starts) > 1 and starts[0] <= starts[1] else []
    found = moved(windows, at_once, not_after=not_after)
    if found is None:
        return
    assert busiest(windows, found) <= at_once
    assert all(found.starts[first] <= found.starts[second] for first, second in not_after)
    for each, start, begins in zip(windows, found.starts, found.steps, strict=True):
        assert start in each.starts
        assert start <= each.now
        assert all(step.least <= begin <= step.most for step, begin in zip(each.steps, begins, strict=True))
    best = plan_day(windows, [], {TEAM: at_once}, not_after, effort=1.0)
    assert best is not None
    assert best.proven
    assert sum(best.starts) <= sum(found.starts)
