"""How long a window is planned and how sure its end is."""

import math
from collections.abc import Callable, Sequence

import pytest

from fermata.planning.confidence import (
    LENGTH_GRID_MINUTES,
    choose_minutes,
    find_end_confidence,
    stretch_minutes,
)

LONGEST = 450
WANTED = 0.9


def backs(first: float, last: float, never: int = 0) -> Sequence[float]:
    """A hundred rehearsals, `never` of which do not end."""
    found = [first + (last - first) * run / 99 for run in range(100)]
    return [*found[: 100 - never], *[math.inf] * never]


@pytest.mark.parametrize("wanted", [0.5, 0.9, 0.99, 1.0])
def test_window_is_as_short_as_the_confidence_wanted_allows(wanted: float) -> None:
    back = backs(200, 299)
    minutes = choose_minutes(back, least=100, longest=LONGEST, wanted=wanted)
    shorter = find_end_confidence(back, minutes - LENGTH_GRID_MINUTES)
    assert find_end_confidence(back, minutes) >= wanted > shorter


def test_window_is_never_shorter_than_its_steps() -> None:
    assert choose_minutes(backs(50, 60), least=103, longest=LONGEST, wanted=WANTED) == 103


def test_window_too_long_for_the_day_takes_the_room_and_tells_its_honest_confidence() -> None:
    back = backs(401, 500)
    minutes = choose_minutes(back, least=100, longest=LONGEST, wanted=WANTED)
    assert minutes == LONGEST
    assert find_end_confidence(back, minutes) == 0.5


def test_window_whose_steps_are_longer_than_that_is_as_long_as_they_are() -> None:
    assert choose_minutes(backs(500, 600), least=480, longest=LONGEST, wanted=WANTED) == 480


def test_fallout_makes_a_window_less_sure_and_not_longer() -> None:
    back = backs(200, 299, never=20)
    minutes = choose_minutes(back, least=100, longest=LONGEST, wanted=WANTED)
    assert minutes < 280
    assert find_end_confidence(back, minutes) == pytest.approx(0.8 * WANTED, abs=0.04)


def test_time_that_costs_nobody_anything_makes_a_window_as_sure_as_it_can_be_and_no_longer() -> None:
    back = backs(200, 299, never=20)
    minutes = stretch_minutes(back, least=100, longest=LONGEST, wanted=WANTED)
    assert minutes == 280
    assert find_end_confidence(back, minutes) == 0.8
    assert stretch_minutes(back, least=100, longest=250, wanted=WANTED) == 250


@pytest.mark.parametrize("choose", [choose_minutes, stretch_minutes])
def test_window_that_never_has_enough_nodes_back_takes_the_room(choose: Callable[..., int]) -> None:
    back = backs(1, 1, never=100)
    minutes = choose(back, least=100, longest=LONGEST, wanted=WANTED)
    assert minutes == LONGEST
    assert find_end_confidence(back, minutes) == 0.0
