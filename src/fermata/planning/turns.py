"""Waiting for a turn, for many rehearsals at once: a row per run, a column per unit; inf: that unit never comes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fermata.domain.tally import TURN_SHARE

Minutes = NDArray[np.float32]
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
    firsts = np.flatnonzero(np.r_[True, domains[1:] != domains[:-1]])
    if len(firsts) <= at_once:
        return arrive
    turns = _Turns(arrive=arrive, hold=hold, domains=domains, firsts=firsts, at_once=at_once)
    for _ in range(ROUNDS_MAX):
        if not turns.left.any():
            break
        turns.take_one()
    return turns.begin


@dataclass(kw_only=True)
class _Turns:
    """Where every run stands. `free`: when each place gets free; `holder`: the domain that had it last."""

    arrive: Minutes
    hold: Minutes
    domains: Numbers
    firsts: Numbers
    at_once: int

    def __post_init__(self) -> None:
        self.runs = np.arange(len(self.arrive))
        self.left: Truth = np.isfinite(self.arrive)
        self.begin: Minutes = np.where(self.left, self.arrive, NEVER)
        self.free: Minutes = np.zeros((len(self.arrive), self.at_once), dtype=np.float32)
        self.holder: Numbers = np.full((len(self.arrive), self.at_once), -1)
        sizes = np.diff(np.r_[self.firsts, len(self.domains)])
        self.stragglers = np.floor(sizes * (1 - TURN_SHARE) + 1e-6).astype(np.intp)

    def take_one(self) -> None:
        """In each run, gives the place that gets free first to one domain, for as long as that lets units in."""
        coming = np.minimum.reduceat(np.where(self.left, self.arrive, NEVER), self.firsts, axis=1)
        place = self.free.argmin(axis=1)
        now = self.free[self.runs, place]
        first = np.where(self._is_in(now), NEVER, coming).min(axis=1)
        stuck = np.isinf(first)  # whatever is left belongs to domains that are in: look again when one gets out
        now = np.where(stuck, now, np.maximum(now, first))
        is_in = self._is_in(now)
        turn = self._most_waiting(now, is_in)
        members = self.left & (self.domains[None, :] == turn[:, None])
        close = self._closes_at(now, turn, members, np.where(is_in, NEVER, coming))
        entering = members & (self.arrive <= close[:, None]) & ~stuck[:, None]
        self.begin = np.where(entering, np.maximum(self.arrive, now[:, None]), self.begin)
        ends = np.where(entering, self.begin + self.hold, -NEVER).max(axis=1)
        next_out = np.where(self.free > now[:, None], self.free, NEVER).min(axis=1)
        self.free[self.runs, place] = np.where(stuck, next_out, ends)
        self.holder[self.runs, place] = np.where(stuck, -1, turn)
        self.left &= ~entering

    def _is_in(self, now: Minutes) -> Truth:
        found = np.zeros((len(now), len(self.firsts) + 1), dtype=np.bool_)  # the last column is nobody's
        for place in range(self.at_once):
            found[self.runs, self.holder[:, place]] |= self.free[:, place] > now
        return found[:, :-1]

    def _most_waiting(self, now: Minutes, is_in: Truth) -> Numbers:
        here = self.left & (self.arrive <= now[:, None])
        waiting = np.add.reduceat(here, self.firsts, axis=1, dtype=np.int32)
        waiting[is_in] = -1
        turn: Numbers = waiting.argmax(axis=1)
        return turn

    def _closes_at(self, now: Minutes, turn: Numbers, members: Truth, coming: Minutes) -> Minutes:
        """When all but the stragglers are in, or later, when there is first a domain for which no place is left."""
        arrivals = np.sort(np.where(members, self.arrive, NEVER), axis=1)
        more = members.sum(axis=1) - self.stragglers[turn]
        nearly_all = np.where(more > 0, arrivals[self.runs, np.clip(more - 1, 0, arrivals.shape[1] - 1)], now)
        others = coming.copy()
        others[self.runs, turn] = NEVER
        spare = (self.free <= now[:, None]).sum(axis=1) - 1
        contested = np.sort(others, axis=1)[self.runs, np.clip(spare, 0, others.shape[1] - 1)]
        close: Minutes = np.maximum(np.maximum(nearly_all, now), contested)
        return close
