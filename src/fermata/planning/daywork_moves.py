"""Moves the windows of a day forward one at a time, without a solver: each to the earliest start at which its steps,
some of them begun a little later, find their teams free. A window that finds no such start stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fermata.domain.ids import TeamId
from fermata.planning.daywork_steps import DayRow, DayWindow, Movable

Starts = tuple[int, ...]
Begins = tuple[int, ...]  # of the steps of one window, from its start
_Orders = Sequence[tuple[list[int], list[int]]]  # for each step, those that end, and that begin, before it begins

PASSES_MOST = 8  # a window that another held back may follow it in the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The start of each window and, from there, of each of its steps."""

    starts: Starts
    steps: tuple[Begins, ...]


def move_forward(
    windows: Sequence[DayWindow],
    rows: Sequence[DayRow],
    limits: Mapping[TeamId, int],
    not_after: Sequence[tuple[int, int]],
) -> Moved | None:
    """None when the day as it stands asks more of a team or a row than it can. Arguments as in `plan_day`."""
    day = _Day(windows, rows, limits, not_after)
    if not day.is_possible():
        return None
    late = sorted((window.now, number) for number, window in enumerate(windows) if window.now > min(window.starts))
    waiting = [number for _, number in late]
    for _ in range(PASSES_MOST):
        left = [number for number in waiting if not day.advance(number)]
        if len(left) == len(waiting):
            break
        waiting = left
    return Moved(starts=tuple(day.starts), steps=tuple(day.steps))


def are_least(windows: Sequence[DayWindow], moved: Moved) -> bool:
    """True when every window starts as early as it ever may: no sum of ends is less."""
    return all(start == min(window.starts) for start, window in zip(moved.starts, windows, strict=True))


class _Day:
    """How busy each team is minute by minute, and how full each row is, with windows where they are."""

    def __init__(
        self,
        windows: Sequence[DayWindow],
        rows: Sequence[DayRow],
        limits: Mapping[TeamId, int],
        not_after: Sequence[tuple[int, int]],
    ) -> None:
        self._windows = windows
        self._limits = limits
        self.starts = [window.now for window in windows]
        self.steps: list[Begins] = [tuple(step.least for step in window.steps) for window in windows]
        ends = (max(w.starts) + max((s.most + s.minutes for s in w.steps), default=0) for w in windows)
        minutes = max(ends, default=0) + 1
        self._busy: dict[TeamId, NDArray[np.int64]] = {
            team: np.zeros(minutes, dtype=np.int64)
            for team in sorted({s.team for w in windows for s in w.steps if s.team in limits and s.team is not None})
        }
        self._left = [row.most for row in rows]
        self._uses: dict[tuple[int, int], list[tuple[int, int]]] = {}  # by window and start: rows with units
        for number, row in enumerate(rows):
            for window, start, units in row.terms:
                self._uses.setdefault((window, start), []).append((number, units))
        self._before: dict[int, list[int]] = {}  # windows that start no later
        for first, second in not_after:
            self._before.setdefault(second, []).append(first)
        for number in range(len(windows)):
            self._put(number, 1)

    def is_possible(self) -> bool:
        """True when nothing is asked for more than it can."""
        teams = (int(busy.max()) <= self._limits[team] for team, busy in self._busy.items())
        return all(teams) and all(left >= 0 for left in self._left)

    def _put(self, number: int, sign: int) -> None:
        """Adds what a window keeps busy where it is, or takes it away."""
        start = self.starts[number]
        for step, begin in zip(self._windows[number].steps, self.steps[number], strict=True):
            self._keep_busy(step, start + begin, sign)
        for row, units in self._uses.get((number, start), ()):
            self._left[row] -= sign * units

    def advance(self, number: int) -> bool:
        """Moves a window to the earliest start that works; True when it has none left before it."""
        window, now = self._windows[number], self.starts[number]
        orders = _orders_of(window)
        earliest = max((self.starts[first] for first in self._before.get(number, ())), default=0)
        self._put(number, -1)
        for start in sorted(window.starts):
            if start >= now:
                break
            if start < earliest or any(self._left[row] < units for row, units in self._uses.get((number, start), ())):
                continue
            begins = self._fit(window, orders, start)
            if begins is not None:
                self.starts[number], self.steps[number] = start, begins
                break
        self._put(number, 1)
        return self.starts[number] == min(window.starts)

    def _fit(self, window: DayWindow, orders: _Orders, start: int) -> Begins | None:
        """Each step of the window as early as can be from that start; None when one comes too late."""
        begins: list[int] = []
        for step, (ended, begun) in zip(window.steps, orders, strict=True):
            earliest = max(
                step.least,
                max((begins[first] + window.steps[first].minutes for first in ended), default=0),
                max((begins[first] for first in begun), default=0),
            )
            found = self._find_free(step, start, earliest)
            if found is None:
                break
            begins.append(found)
            self._keep_busy(step, start + found, 1)
        for step, begin in zip(window.steps, begins, strict=False):
            self._keep_busy(step, start + begin, -1)
        return tuple(begins) if len(begins) == len(window.steps) else None

    def _keep_busy(self, step: Movable, begin: int, sign: int) -> None:
        if step.team in self._busy:
            self._busy[step.team][begin : begin + step.minutes] += sign * step.units

    def _find_free(self, step: Movable, start: int, earliest: int) -> int | None:
        """When the step can begin, from `earliest` on: its team is free for all of it."""
        if step.team not in self._busy or not step.minutes:
            return earliest if earliest <= step.most else None
        busy = self._busy[step.team][start + earliest : start + step.most + step.minutes]
        over = np.flatnonzero(busy > self._limits[step.team] - step.units)
        begin = earliest
        for at in (over + earliest).tolist():
            if at >= begin + step.minutes:
                break
            begin = at + 1
        return begin if begin <= step.most else None


def _orders_of(window: DayWindow) -> _Orders:
    orders: list[tuple[list[int], list[int]]] = [([], []) for _ in window.steps]
    for first, second in window.bonds:
        orders[second][0].append(first)
    for first, second in window.rising:
        orders[second][1].append(first)
    return orders
