"""Seeded dice of rehearsals and simulations: how long a step takes on every unit, and to whom something happens."""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fermata.domain.updates import Duration

Minutes = NDArray[np.float32]
Columns = NDArray[np.intp]
Shape = tuple[int, int]  # runs, units

POOL = 2**17  # draws of one kind: more than any rehearsed window needs at once, few enough to make in milliseconds
POOLS_KEPT = 32  # of each sort, from one plan to the next: half a MB each, and a catalogue claims few durations
SEED = 20260103  # any fixed number: equal windows get equal lengths in every plan
STRIDE = 7919  # a prime: windows of different sizes read the pools from different places
_HAPPENS, _LASTS = 1, 2
_MARGIN = 5  # standard deviations: once in a million times a second batch of gaps is drawn


class Dice(Protocol):
    """Where draws come from. No draw depends on another."""

    def last(self, duration: Duration, shape: Shape) -> Minutes:
        """Lognormal minutes, an array of the caller's own."""

    def pick(self, share: float | Minutes, shape: Shape) -> Columns:
        """Places (flat indices, ascending) at which something happens that has probability `share`, one for all or
        a row per run.
        """


@dataclass(frozen=True, kw_only=True)
class FreshDice:
    """Every draw is new. Used up in the order of asking."""

    random: np.random.Generator

    def last(self, duration: Duration, shape: Shape) -> Minutes:
        """As in Dice."""
        takes: Minutes = self.random.standard_normal(shape, dtype=np.float32)
        takes *= np.float32(duration.sigma)
        takes += np.float32(duration.mu)
        return np.exp(takes, out=takes)

    def pick(self, share: float | Minutes, shape: Shape) -> Columns:
        """As in Dice."""
        if not isinstance(share, float):
            return np.flatnonzero(self.random.random(shape, dtype=np.float32) < share)
        size = shape[0] * shape[1]
        expected = size * share
        places = np.empty(0, dtype=np.intp)
        while share > 0 and (not len(places) or places[-1] < size):  # gaps are cheaper than a throw per unit
            gaps = self.random.geometric(share, round(expected + _MARGIN * math.sqrt(expected) + _MARGIN))
            places = np.concatenate([places, np.cumsum(gaps) + (places[-1] if len(places) else -1)])
        return places[: np.searchsorted(places, size)]


@dataclass(kw_only=True)
class Pools:
    """Draws that all windows of a plan share: made once for every duration and share, read from different places.

    Drawing anew for every window took half of the time of planning.
    """

    _lasting: dict[Duration, Minutes] = field(default_factory=dict)
    _happening: dict[float, Columns] = field(default_factory=dict)

    def lengths(self, duration: Duration) -> Minutes:
        """POOL draws of a duration, rounded so that the last bit of a machine's exponential does not show."""
        if duration not in self._lasting:
            self._lasting[duration] = _draw_lengths(duration)
        return self._lasting[duration]

    def happenings(self, share: float) -> Columns:
        """The places in a pool, ascending, at which something with this probability happens."""
        if share not in self._happening:
            self._happening[share] = _draw_happenings(share)
        return self._happening[share]


@lru_cache(maxsize=POOLS_KEPT)
def _draw_lengths(duration: Duration) -> Minutes:
    keys = (SEED, _LASTS, round(duration.p50 * 1000), round(duration.p90 * 1000))
    z = np.random.default_rng(keys).standard_normal(POOL)
    found: Minutes = np.exp(duration.mu + duration.sigma * z).astype(np.float32)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=POOLS_KEPT)
def _draw_happenings(share: float) -> Columns:
    keys = (SEED, _HAPPENS, round(share * 1_000_000))
    found = np.flatnonzero(np.random.default_rng(keys).random(POOL) < share)
    found.flags.writeable = False
    return found


@dataclass(kw_only=True)
class PooledDice:
    """Reads pools from `start` on, each by itself, and from the front again at their end."""

    pools: Pools
    start: int
    _read: dict[Duration | float, int] = field(default_factory=dict)

    def last(self, duration: Duration, shape: Shape) -> Minutes:
        """As in Dice."""
        size = shape[0] * shape[1]
        at = self._advance(duration, size)
        pool = self.pools.lengths(duration)
        if at + size <= POOL:
            return pool[at : at + size].reshape(shape).copy()
        return np.take(pool, np.arange(at, at + size), mode="wrap").reshape(shape)

    def pick(self, share: float | Minutes, shape: Shape) -> Columns:
        """As in Dice."""
        assert isinstance(share, float), "pools are for windows without a strain"
        size = shape[0] * shape[1]
        at = self._advance(share, size)
        places = self.pools.happenings(share)
        found = []
        for turn in range((at + size - 1) // POOL + 1):  # as often as the pool is begun anew
            first, last = np.searchsorted(places, (at - turn * POOL, at + size - turn * POOL))
            found.append(places[first:last] + (turn * POOL - at))
        return np.concatenate(found)

    def _advance(self, kind: Duration | float, size: int) -> int:
        at = self._read.get(kind, self.start) % POOL
        self._read[kind] = at + size
        return at
