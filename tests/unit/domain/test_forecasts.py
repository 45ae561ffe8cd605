"""When a promise counts as at risk, and what a forecast is called."""

from datetime import timedelta

import pytest

from fermata.domain.forecasts import Timing, is_alarming, timing_of


@pytest.mark.parametrize(
    ("kept", "was", "alarming"),
    [
        (0.91, False, False),
        (0.90, False, False),
        (0.89, False, True),
        (0.91, True, True),
        (0.92, True, True),
        (0.93, True, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_a_promise_that_hovers_about_the_limit_is_told_once(kept: float | None, was: bool, alarming: bool) -> None:
    assert is_alarming(kept, was) is alarming


@pytest.mark.parametrize(
    ("minutes", "timing"),
    [(-6, Timing.AHEAD), (-5, Timing.ON_TIME), (0, Timing.ON_TIME), (5, Timing.ON_TIME), (6, Timing.BEHIND)],
)
def test_a_few_minutes_are_on_time(minutes: int, timing: Timing) -> None:
    assert timing_of(timedelta(minutes=minutes)) is timing
