"""How long what many wait for is likely to take: the slowest of so many drains, or devices. The planner orders the
steps of a window by this; steps are told by the median of one unit.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from fermata.domain.updates import Duration
from fermata.planning.rehearsal import REDO_SHARE, SLOW_DRAIN_FACTOR, SLOW_DRAIN_SHARE

SURE = 0.9  # as sure as a promised end is wanted to be
HALVINGS = 40  # of the range in which the answer lies: far below a minute
ANSWERS_KEPT = 4096  # a catalogue has some dozen durations, a fleet some dozen counts


@lru_cache(maxsize=ANSWERS_KEPT)
def slowest_drain(drain: Duration, nodes: int) -> int:
    """In whole minutes, at most how long, 9 times in 10, the longest of `nodes` drains takes; some are slow."""

    def within(minutes: float) -> float:
        usual = _within(drain, minutes)
        slow = _within(drain, minutes / SLOW_DRAIN_FACTOR)
        return (1 - SLOW_DRAIN_SHARE) * usual + SLOW_DRAIN_SHARE * slow

    return _sure_longest(within, nodes)


@lru_cache(maxsize=ANSWERS_KEPT)
def slowest_write(duration: Duration, units: int, reset_minutes: float) -> int:
    """In whole minutes, at most how long, 9 times in 10, the longest of `units` writes takes; some are done twice, with
    a reset between.
    """

    def within(minutes: float) -> float:
        once = _within(duration, minutes)
        twice = _within(duration, (minutes - reset_minutes) / 2)
        return (1 - REDO_SHARE) * once + REDO_SHARE * twice

    return _sure_longest(within, units)


def in_steps(count: int) -> int:
    """The power of two nearest above: windows of nearly the same size then count as alike."""
    return 1 << max(0, count - 1).bit_length()


def _within(duration: Duration, minutes: float) -> float:
    """The chance that one unit takes at most so long."""
    if minutes <= 0:
        return 0.0
    if duration.sigma <= 0:
        return float(minutes >= duration.p50)
    z = (math.log(minutes) - duration.mu) / duration.sigma
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _sure_longest(within: Callable[[float], float], count: int) -> int:
    low, high = 0.0, 1.0
    while within(high) ** max(1, count) < SURE:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if within(middle) ** max(1, count) >= SURE else (middle, high)
    return max(1, math.ceil(high))
