"""How long a window is planned and how sure its end is, from when its rehearsals had enough nodes back."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from fermata.planning.days import START_GRID_MINUTES

# Left of the day's room where that is short, so that such a window may start at two instants of the day, not at one:
# teams cannot serve all windows of a day from the same minute on. In January nodes would otherwise be late by days.
# What nobody needs of it once all windows have their place goes back to the promise (`stretch.py`).
START_SLACK_MINUTES = START_GRID_MINUTES
LENGTH_GRID_MINUTES = 5  # windows about as long become equally long, which leaves less to tell apart


def choose_minutes(back: Sequence[float], *, least: int, longest: int, wanted: float) -> int:
    """The shortest length that is as sure as `wanted` among the rehearsals that end at all: time does not bring back
    what fell out, and a small window must not get hours for it. Up to `longest`, and `least` in any case.

    `back`: minutes until enough nodes were back, per rehearsal, ascending; inf: never.
    """
    ended = bisect_left(back, math.inf)
    return _fit(back, _rank(wanted, ended), least, longest)


def stretch_minutes(back: Sequence[float], *, least: int, longest: int, wanted: float) -> int:
    """The shortest length that is as sure as `wanted`, or else as sure as can be: for time that costs nobody anything.

    Arguments as in `choose_minutes`.
    """
    return _fit(back, min(bisect_right(back, longest), _rank(wanted, len(back))), least, longest)


def _rank(wanted: float, runs: int) -> int:
    return math.ceil(round(wanted * runs, 6))


def _fit(back: Sequence[float], rank: int, least: int, longest: int) -> int:
    """The length at which the rehearsal of that rank is back; none is: all of the time."""
    last = back[rank - 1] if rank else math.inf
    minutes = longest if math.isinf(last) else LENGTH_GRID_MINUTES * math.ceil(last / LENGTH_GRID_MINUTES)
    return max(least, min(minutes, longest))


def find_needed(back: Sequence[float], wanted: float) -> float:
    """The minutes after which enough nodes were back in a share `wanted` of the rehearsals; inf when they never were,
    or when there are none.
    """
    rank = _rank(wanted, len(back))
    return back[rank - 1] if rank else math.inf


def find_end_confidence(back: Sequence[float], minutes: int) -> float:
    """The share, to two decimals, of rehearsals in which enough nodes were back after `minutes`."""
    return round(bisect_right(back, minutes) / len(back), 2)
