"""How long a window is planned and how sure its end is."""

import numpy as np
import pytest

from fermata.planning.confidence import (
    CONFIDENCE_WANTED,
    START_SLACK_MINUTES,
    choose_minutes,
    find_end_confidence,
)
from fermata.planning.rehearsal import Minutes

ROOM = 480


def backs(first: float, last: float, never: int = 0) -> Minutes:
    """A hundred rehearsals, `never` of which do not end."""
    found = np.linspace(first, last, 100, dtype=np.float32)
    found[100 - never :] = np.inf
    return found


def test_window_is_as_short_as_the_confidence_wanted_allows() -> None:
    back = backs(200, 299)
    minutes = choose_minutes(back, least=100, room=ROOM)
    assert find_end_confidence(back, minutes) >= CONFIDENCE_WANTED > find_end_confidence(back, minutes - 1)


def test_window_is_never_shorter_than_its_steps() -> None:
    assert choose_minutes(backs(50, 60), least=100, room=ROOM) == 100


def test_window_too_long_for_the_day_takes_the_room_and_tells_its_honest_confidence() -> None:
    back = backs(401, 500)
    minutes = choose_minutes(back, least=100, room=ROOM)
    assert minutes == ROOM - START_SLACK_MINUTES
    assert find_end_confidence(back, minutes) == 0.5


def test_steps_that_need_all_of_the_day_leave_no_slack() -> None:
    assert choose_minutes(backs(500, 600), least=ROOM, room=ROOM) == ROOM


def test_fallout_makes_a_window_less_sure_and_not_longer() -> None:
    back = backs(200, 299, never=20)
    minutes = choose_minutes(back, least=100, room=ROOM)
    assert minutes < 280
    assert find_end_confidence(back, minutes) == pytest.approx(0.8 * CONFIDENCE_WANTED, abs=0.01)


def test_window_that_never_has_enough_nodes_back_takes_the_room() -> None:
    back = backs(1, 1, never=100)
    minutes = choose_minutes(back, least=100, room=ROOM)
    assert minutes == ROOM - START_SLACK_MINUTES
    assert find_end_confidence(back, minutes) == 0.0
