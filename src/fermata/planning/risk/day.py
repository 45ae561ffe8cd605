"""One day of a simulated campaign, all runs at once: which windows open when, and what is out each time one does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fermata.planning.dice import Minutes
from fermata.planning.risk.stage import Cap, Counts, Scene

RECHECK_MINUTES = 5  # the conductor looks at a window that waits this often
Truth = NDArray[np.bool_]


@dataclass(kw_only=True)
class Tail:
    """Nodes that were still out when their day was over: a kind (the limits that count it), a run, a time of return."""

    kinds: list[tuple[int, ...]] = field(default_factory=list)
    rows: list[NDArray[np.intp]] = field(default_factory=list)
    back: list[NDArray[np.floating]] = field(default_factory=list)

    def keep(self, after: int) -> None:
        """Forgets who is back by then."""
        for number, back in enumerate(self.back):
            still = back > after
            self.rows[number], self.back[number] = self.rows[number][still], back[still]
        left = [number for number, back in enumerate(self.back) if len(back)]
        self.kinds = [self.kinds[number] for number in left]
        self.rows = [self.rows[number] for number in left]
        self.back = [self.back[number] for number in left]

    def count(self, at: int, runs: int, caps: int) -> Counts:
        """How many are out at that minute: a row per run, a column per limit."""
        out = np.zeros((runs, caps), dtype=np.int32)
        for kind, rows, back in zip(self.kinds, self.rows, self.back, strict=True):
            if kind:
                out[:, list(kind)] += np.bincount(rows[back > at], minlength=runs).astype(np.int32)[:, None]
        return out


@dataclass(kw_only=True)
class DayPlay:
    """The windows of a day. `back`: for each, minutes after its start at which each node is back, a row per run.

    `gated`: whether a window waits while it would exceed a limit; otherwise all open as planned. After `play`:
    `opened`, a row per run and a column per window, the minute at which it opened, -1 for one that missed its day;
    `most`: the largest use of each limit at any instant of the day.
    """

    scenes: Sequence[Scene]
    back: Sequence[Minutes]
    caps: Sequence[Cap]
    tail: Tail
    gated: bool

    def __post_init__(self) -> None:
        self.runs = len(self.back[0])
        self.opened: NDArray[np.int64] = np.full((self.runs, len(self.scenes)), -1, dtype=np.int64)
        self.most: Counts = np.zeros((self.runs, len(self.caps)), dtype=np.int32)
        self._waiting: Truth = np.ones((self.runs, len(self.scenes)), dtype=np.bool_)
        self._allowed = np.array([cap.allowed for cap in self.caps], dtype=np.int32)
        self._added = [self._count_added(scene) for scene in self.scenes]
        self._closes = [_find_closes(scene, back) for scene, back in zip(self.scenes, self.back, strict=True)]

    def play(self) -> None:
        """Opens what may open, minute by minute where something waits."""
        for at in self._instants():
            due = [number for number, scene in enumerate(self.scenes) if scene.start <= at]
            due = [number for number in due if self._waiting[:, number].any()]
            if not due:
                continue
            used = self._count_used(at)
            for number in due:
                self._open(number, at, used)
            np.maximum(self.most, used, out=self.most)

    def _instants(self) -> Iterator[int]:
        """Minutes at which windows are looked at: their starts and, while any waits, every few minutes after."""
        starts = sorted({scene.start for scene in self.scenes})
        if not self.gated:
            yield from starts
            return
        last = max(scene.latest for scene in self.scenes)
        yield from sorted({*starts, *range(starts[0], last + RECHECK_MINUTES, RECHECK_MINUTES)})

    def _open(self, number: int, at: int, used: Counts) -> None:
        scene, waiting = self.scenes[number], self._waiting[:, number]
        if self.gated and at > scene.latest:
            waiting[:] = False
            return
        added = self._added[number]
        fits = waiting.copy()
        if self.gated:
            fits &= ((used + added <= self._allowed) | (added == 0)).all(axis=1)
        used[fits] += added
        self.opened[fits, number] = at
        waiting &= ~fits

    def _count_added(self, scene: Scene) -> Counts:
        added = np.zeros(len(self.caps), dtype=np.int32)
        for kind, columns in scene.kinds:
            added[list(kind)] += len(columns)
        added[list(scene.opens)] += 1
        return added

    def _count_used(self, at: int) -> Counts:
        """What is out, and open, just before windows open at that minute."""
        used = self.tail.count(at, self.runs, len(self.caps))
        for number, scene in enumerate(self.scenes):
            rows = np.flatnonzero(self.opened[:, number] >= 0)
            if not len(rows):
                continue
            since = (at - self.opened[rows, number]).astype(np.float32)
            back = self.back[number] if len(rows) == self.runs else self.back[number][rows]
            still = back > since[:, None]
            for kind, columns in scene.kinds:
                if kind:
                    out = still[:, columns].sum(axis=1, dtype=np.int32)
                    used[np.ix_(rows, np.array(kind))] += out[:, None]
            if scene.opens:
                used[np.ix_(rows, np.array(scene.opens))] += (self._closes[number][rows] > since)[:, None]
        return used

    def hand_over(self, over: int) -> None:
        """Puts on the tail whoever is not back at minute `over`, and forgets who is back of those that were on it."""
        self.tail.keep(over)
        for number, scene in enumerate(self.scenes):
            opened = self.opened[:, number]
            for kind, columns in scene.kinds:
                back = self.back[number][:, columns] + opened[:, None].astype(np.float64)
                rows, places = np.nonzero((back > over) & (opened >= 0)[:, None])
                self.tail.kinds.append(kind)
                self.tail.rows.append(rows)
                self.tail.back.append(back[rows, places])


def find_enough(scene: Scene, back: Minutes) -> Minutes:
    """Per run, minutes after the start at which the return threshold is back."""
    if scene.needed == 0:
        return np.zeros(len(back), dtype=np.float32)
    enough: Minutes = np.partition(back, scene.needed - 1, axis=1)[:, scene.needed - 1]
    return enough


def _find_closes(scene: Scene, back: Minutes) -> Minutes:
    """Per run, minutes after its start until the window is over: all are back; enough are, after its planned end; or
    the day's hours are up.
    """
    planned = np.float32(scene.end - scene.start)
    over = np.minimum(np.maximum(find_enough(scene, back), planned), np.float32(scene.back_by - scene.start))
    closes: Minutes = np.minimum(back.max(axis=1), over)
    return closes
