"""How long a window is planned and how sure its end is, from when its rehearsals had enough nodes back."""

import math

import numpy as np

from fermata.planning.days import START_GRID_MINUTES
from fermata.planning.rehearsal import Minutes

CONFIDENCE_WANTED = 0.9  # among the rehearsals that end at all: in small windows fallout alone makes the end less sure
# Left of the day's room where that is short, so that such a window may start at two instants of the day, not at one:
# teams cannot serve all windows of a day from the same minute on. In January nodes would otherwise be late by days.
START_SLACK_MINUTES = START_GRID_MINUTES


def choose_minutes(back: Minutes, *, least: int, room: int) -> int:
    """The shortest length that is as sure as wanted, but no longer than `room` less the slack; `least` in any case.

    `back`: minutes until enough nodes were back, per rehearsal, ascending.
    """
    ended = back[np.isfinite(back)]
    longest = max(least, room - START_SLACK_MINUTES)
    if not len(ended):
        return longest
    wanted = math.ceil(float(ended[math.ceil(CONFIDENCE_WANTED * len(ended)) - 1]))
    return min(max(least, wanted), longest)


def find_end_confidence(back: Minutes, minutes: int) -> float:
    """The share, to two decimals, of rehearsals in which enough nodes were back after `minutes`."""
    return round(float(np.searchsorted(back, minutes, side="right")) / len(back), 2)
