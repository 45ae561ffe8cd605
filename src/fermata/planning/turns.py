"""Waiting for a turn, for many rehearsals at once: a row per run, a column per unit; inf: that unit never comes."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fermata.domain.queues import TURN_SHARE
from fermata.planning.dice import Minutes

Truth = NDArray[np.bool_]
Numbers = NDArray[np.intp]

ROUNDS_MAX = 64  # of turns: more than windows of a few dozen fault domains need, and rehearsals end
EXTRA_PASSES = 4  # over a queue, until nobody's begin moves any more
NEVER = np.float32(np.inf)


def wait_for_room(arrive: Minutes, hold: Minutes, room: int) -> Minutes:
    """When each unit begins if `room` of them are let in at once, first come, first served."""
    units = arrive.shape[1]
    if units <= room:
        return arrive
    order = np.argsort(arrive, axis=1)
    came = np.take_along_axis(arrive, order, axis=1)
    stays = np.take_along_axis(hold, order, axis=1)
    begin = came
    for _ in range(math.ceil(units / room) + EXTRA_PASSES):
        left = np.sort(begin + stays, axis=1)
        later = came.copy()
        later[:, room:] = np.maximum(came[:, room:], left[:, :-room])
        if np.array_equal(later, begin):
            break
        begin = later
    result = np.empty_like(begin)
    np.put_along_axis(result, order, begin, axis=1)
    return result


def take_turns(arrive: Minutes, hold: Minutes, domains: Numbers, *, at_once: int) -> Minutes:
    """When each unit begins if `at_once` domains are in at once. `domains`: a number per column, ascending from 0.

    The domain with most units waiting goes first. One that has let in TURN_SHARE of its units lets nobody more in while
    another waits, and makes room when its last unit is through.
    """
    if domains[-1] < at_once:
        return arrive
    turns = _Turns.seat(arrive, hold, domains, at_once)
    for _ in range(ROUNDS_MAX):
        if not turns.has_some_left():
            break
        turns.take_one()
    return turns.find_begin()


@dataclass(kw_only=True)
class _Turns:
    """Where every run stands. `arrive`, `hold`, `begin`: a row per run, a layer per domain, its units by arrival, and
    one more that never comes; `column`: where they stood. `inside`: how many of a domain were let in, `coming`: of how
    many that ever come. `free`: when each place gets free; `holder`: the domain that had it last.
    """

    arrive: Minutes
    hold: Minutes
    begin: Minutes
    column: Numbers
    coming: Numbers
    stragglers: Numbers
    at_once: int

    @classmethod
    def seat(cls, arrive: Minutes, hold: Minutes, domains: Numbers, at_once: int) -> Self:
        """Every unit at its domain."""
        sizes = np.bincount(domains)
        runs, units = arrive.shape
        layers = np.full((runs, len(sizes), int(sizes.max()) + 1), NEVER, dtype=np.float32)
        place = np.arange(units) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        layers[:, domains, place] = arrive
        stays = np.zeros_like(layers)
        stays[:, domains, place] = hold
        order = np.argsort(layers, axis=2, kind="stable")
        back = np.empty_like(order)
        queues = np.arange(layers.size, step=layers.shape[2]).reshape(runs, -1, 1)
        flat = order + queues  # one index for all three axes: several times as fast as one for each
        back.reshape(-1)[flat] = np.arange(layers.shape[2])
        came = layers.reshape(-1)[flat]
        return cls(
            arrive=came,
            hold=stays.reshape(-1)[flat],
            begin=came.copy(),
            column=back[:, domains, place] + domains * layers.shape[2],
            coming=np.isfinite(came).sum(axis=2),
            stragglers=np.floor(sizes * (1 - TURN_SHARE) + 1e-6).astype(np.intp),
            at_once=at_once,
        )

    def __post_init__(self) -> None:
        self.runs = np.arange(len(self.arrive))
        self.ones = np.ones(self.arrive.shape[2], dtype=np.float32)
        self.inside: Numbers = np.zeros_like(self.coming)
        self.free: Minutes = np.zeros((len(self.arrive), self.at_once), dtype=np.float32)
        self.holder: Numbers = np.full((len(self.arrive), self.at_once), -1)

    def has_some_left(self) -> bool:
        """True while a unit that comes has not been let in."""
        return bool((self.inside < self.coming).any())

    def find_begin(self) -> Minutes:
        """When each unit begins, as they stood."""
        begin: Minutes = np.take_along_axis(self.begin.reshape(len(self.runs), -1), self.column, axis=1)
        return begin

    def take_one(self) -> None:
        """In each run, gives the place that gets free first to one domain, for as long as that lets units in."""
        coming = np.take_along_axis(self.arrive, self.inside[:, :, None], axis=2)[:, :, 0]
        place = self.free.argmin(axis=1)
        now = self.free[self.runs, place]
        first = np.where(self._is_in(now), NEVER, coming).min(axis=1)
        stuck = np.isinf(first)  # whatever is left belongs to domains that are in: look again when one gets out
        now = np.where(stuck, now, np.maximum(now, first))
        is_in = self._is_in(now)
        turn = self._most_waiting(now, is_in)
        contested = self._contested_at(now, turn, np.where(is_in, NEVER, coming))
        close = self._closes_at(now, turn, contested)
        arrive = self.arrive[self.runs, turn]
        here = np.where(stuck, 0, self.inside[self.runs, turn])
        due = np.minimum((arrive <= close[:, None]).sum(axis=1), self.coming[self.runs, turn])
        upto = np.where(stuck, 0, np.maximum(due, here))
        numbers = np.arange(arrive.shape[1])
        entering = (numbers >= here[:, None]) & (numbers < upto[:, None])
        begin = np.maximum(arrive, now[:, None])
        ends = np.maximum.accumulate(np.where(entering, begin + self.hold[self.runs, turn], -NEVER), axis=1)
        upto = _cut_at_gap(arrive, ends, entering, contested, upto)
        entering &= numbers < upto[:, None]
        self.begin[self.runs, turn] = np.where(entering, begin, self.begin[self.runs, turn])
        out = ends[self.runs, np.maximum(upto - 1, 0)]
        next_out = np.where(self.free > now[:, None], self.free, NEVER).min(axis=1)
        self.free[self.runs, place] = np.where(stuck, next_out, out)
        self.holder[self.runs, place] = np.where(stuck, -1, turn)
        self.inside[self.runs, turn] = np.where(stuck, self.inside[self.runs, turn], upto)

    def _is_in(self, now: Minutes) -> Truth:
        found = np.zeros((len(now), self.arrive.shape[1] + 1), dtype=np.bool_)  # the last column is nobody's
        for place in range(self.at_once):
            found[self.runs, self.holder[:, place]] |= self.free[:, place] > now
        return found[:, :-1]

    def _most_waiting(self, now: Minutes, is_in: Truth) -> Numbers:
        here = (self.arrive <= now[:, None, None]).astype(np.float32)
        waiting = (here @ self.ones).astype(np.intp) - self.inside  # counted as a product: numpy sums truths slowly
        waiting[is_in] = -1
        turn: Numbers = waiting.argmax(axis=1)
        return turn

    def _contested_at(self, now: Minutes, turn: Numbers, coming: Minutes) -> Minutes:
        """When there is first another domain for which no place is left."""
        others = coming.copy()
        others[self.runs, turn] = NEVER
        spare = (self.free <= now[:, None]).sum(axis=1) - 1
        contested: Minutes = np.sort(others, axis=1)[self.runs, np.clip(spare, 0, others.shape[1] - 1)]
        return contested

    def _closes_at(self, now: Minutes, turn: Numbers, contested: Minutes) -> Minutes:
        """When all but the stragglers are in, or later, when another domain first wants the place."""
        nearly = self.coming[self.runs, turn] - self.stragglers[turn] - 1
        is_open = nearly >= self.inside[self.runs, turn]
        nearly_all = np.where(is_open, self.arrive[self.runs, turn, np.maximum(nearly, 0)], now)
        close: Minutes = np.maximum(np.maximum(nearly_all, now), contested)
        return close


def _cut_at_gap(arrive: Minutes, ends: Minutes, entering: Truth, contested: Minutes, upto: Numbers) -> Numbers:
    """Up to whom a domain lets its units in: a place is free while nobody is inside, and another takes it if it waits.

    `ends`: when all that entered so far are through.
    """
    gap = np.zeros_like(entering)
    follows = entering[:, 1:] & entering[:, :-1]
    gap[:, 1:] = follows & (arrive[:, 1:] > np.maximum(ends[:, :-1], contested[:, None]))
    return np.where(gap.any(axis=1), gap.argmax(axis=1), upto)
