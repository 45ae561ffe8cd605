"""Counts what windows stand where, so that the worth of taking one more spot is known without counting all pairs."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from fermata.planning.problem import Spot
from fermata.planning.terms import CostTerm, OrderTerm, SpreadTerm, Term

Cost = tuple[int, ...]  # one number per term, strongest first

_Counts = NDArray[np.int64]


class OrderTally:
    """Windows per class and instant; `cost_of` a spot is the number of wrong pairs it would be part of."""

    def __init__(self, spots: Sequence[Spot], term: OrderTerm) -> None:
        instants = sorted({(spot.day, spot.start) for spot in spots})
        place = {instant: i for i, instant in enumerate(instants)}
        self._at = [(term.ranks[spot.way], place[spot.day, spot.start]) for spot in spots]
        self._counts: _Counts = np.zeros((term.classes, len(instants)), dtype=np.int64)
        self._costs: _Counts | None = None

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        rank, instant = self._at[number]
        if rank >= 0:
            self._counts[rank, instant] += sign
            self._costs = None

    def cost_of(self, number: int) -> int:
        """Wrong pairs that a window on this spot makes with those that stand."""
        rank, instant = self._at[number]
        if rank < 0:
            return 0
        if self._costs is None:
            self._costs = self._find_costs()
        return int(self._costs[rank, instant])

    def _find_costs(self) -> _Counts:
        before = np.cumsum(self._counts, axis=1) - self._counts
        after = self._counts.sum(axis=1, keepdims=True) - before - self._counts
        costs = np.zeros_like(self._counts)
        for rank in range(len(costs)):
            costs[rank] = before[rank + 1 :].sum(axis=0) + after[:rank].sum(axis=0)
        return costs

    def total(self) -> int:
        """All wrong pairs."""
        before = np.cumsum(self._counts, axis=1) - self._counts
        return int(sum((self._counts[rank] * before[rank + 1 :].sum(axis=0)).sum() for rank in range(len(before))))


class SpreadTally:
    """Share of its nodes, in basis points, that each place has out on each day."""

    def __init__(self, spots: Sequence[Spot], term: SpreadTerm) -> None:
        places = {place: number for number, place in enumerate(term.places)}
        self._shares: _Counts = np.zeros((max(1, len(places)), term.days), dtype=np.int64)
        self._at: list[tuple[int, int, int]] = []
        for spot in spots:
            place, weight = term.weights.get((spot.way, spot.group), ("", 0))
            self._at.append((places[place] if weight else 0, term.calendar[spot.day], weight))

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        place, day, weight = self._at[number]
        self._shares[place, day] += sign * weight

    def cost_of(self, number: int) -> int:
        """The share that the spot's place would have out that day."""
        place, day, weight = self._at[number]
        return int(self._shares[place, day]) + weight if weight else 0

    def total(self) -> int:
        """The largest minus the smallest share."""
        return int(self._shares.max() - self._shares.min())


class CostTally:
    """A term to which each spot adds a number of its own."""

    def __init__(self, spots: Sequence[Spot], term: CostTerm) -> None:
        self._costs = [term.cost(spot) for spot in spots]
        self._total = 0

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        self._total += sign * self._costs[number]

    def cost_of(self, number: int) -> int:
        """What the spot adds."""
        return self._costs[number]

    def total(self) -> int:
        """The sum over all windows."""
        return self._total


class Tally:
    """All terms of a search, strongest first."""

    def __init__(self, spots: Sequence[Spot], terms: Sequence[Term]) -> None:
        self._terms = [_tally_of(spots, term) for term in terms]

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        for term in self._terms:
            term.add(number, sign)

    def cost_of(self, number: int) -> Cost:
        """What one more window on this spot would cost; the spot breaks ties, so that equal plans come out equal."""
        return (*(term.cost_of(number) for term in self._terms), number)

    def total(self) -> Cost:
        """The value of every term, as `values.value_of` has it."""
        return tuple(term.total() for term in self._terms)


def _tally_of(spots: Sequence[Spot], term: Term) -> OrderTally | SpreadTally | CostTally:
    match term:
        case CostTerm():
            return CostTally(spots, term)
        case OrderTerm():
            return OrderTally(spots, term)
        case SpreadTerm():
            return SpreadTally(spots, term)
        case _:
            assert_never(term)
