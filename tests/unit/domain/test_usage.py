"""Curves, peaks and limit use: half-open intervals, by hand and against counting every instant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.usage import curve, hours_within, peak, peak_within
from fermata.domain.windows import Interval

NOON = datetime(2026, 1, 3, 12, tzinfo=UTC)


def hours(start: float, end: float) -> Interval:
    return Interval(NOON + timedelta(hours=start), NOON + timedelta(hours=end))


@pytest.mark.parametrize(
    ("intervals", "highest", "first_at"),
    [
        ([], 0, None),
        ([hours(0, 2)], 1, 0),
        ([hours(0, 2), hours(2, 4)], 1, 0),  # touching ends share no instant
        ([hours(0, 2), hours(1, 3)], 2, 1),
        ([hours(0, 4), hours(1, 2), hours(2, 3)], 2, 1),
        ([hours(1, 1)], 0, None),  # an empty interval holds nothing
    ],
)
def test_peak_is_the_most_that_share_an_instant(
    intervals: list[Interval], highest: int, first_at: float | None
) -> None:
    expected_at = None if first_at is None else NOON + timedelta(hours=first_at)
    assert peak(curve(intervals)) == (highest, expected_at)


intervals_strategy = st.lists(
    st.tuples(st.integers(0, 48), st.integers(0, 24)).map(lambda pair: hours(pair[0] / 2, (pair[0] + pair[1]) / 2)),
    max_size=12,
)


@given(intervals_strategy)
def test_curve_agrees_with_counting_every_half_hour(intervals: list[Interval]) -> None:
    steps = curve(intervals)
    for half in range(80):
        instant = NOON + timedelta(minutes=30 * half)
        counted = sum(interval.start <= instant < interval.end for interval in intervals)
        on_curve = next((count for at, count in reversed(steps) if at <= instant), 0)
        assert on_curve == counted


@given(intervals_strategy)
def test_hours_under_the_curve_are_the_hours_of_all_intervals(intervals: list[Interval]) -> None:
    total = sum((interval.end - interval.start) / timedelta(hours=1) for interval in intervals)
    assert hours_within(curve(intervals), hours(-100, 100)) == pytest.approx(total)


def test_a_day_sees_what_was_out_before_it_began() -> None:
    steps = curve([hours(-24, 2), hours(-20, -1)])
    assert peak_within(steps, hours(0, 12)) == 1
    assert peak_within(steps, hours(3, 12)) == 0
    assert hours_within(steps, hours(0, 12)) == pytest.approx(2)
