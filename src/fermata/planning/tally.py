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
    """Windows per class and instant; `costs` are the numbers of wrong pairs that windows on spots would be part of."""

    def __init__(self, spots: Sequence[Spot], term: OrderTerm) -> None:
        instants = sorted({(spot.day, spot.start) for spot in spots})
        place = {instant: i for i, instant in enumerate(instants)}
        self._ranks = [term.ranks[spot.way] for spot in spots]
        self._instants: _Counts = np.array([place[spot.day, spot.start] for spot in spots], dtype=np.int64)
        self._counts: _Counts = np.zeros((term.classes, len(instants)), dtype=np.int64)
        self._costs: _Counts | None = None

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        if self._ranks[number] >= 0:
            self._counts[self._ranks[number], self._instants[number]] += sign
            self._costs = None

    def costs(self, first: int, until: int) -> _Counts:
        """Wrong pairs that a window on each of these spots, all of one way, makes with those that stand."""
        rank = self._ranks[first]
        if rank < 0:
            return np.zeros(until - first, dtype=np.int64)
        if self._costs is None:
            self._costs = self._find_costs()
        found: _Counts = self._costs[rank, self._instants[first:until]]
        return found

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
        found = [term.weights.get((spot.way, spot.group), ("", 0)) for spot in spots]
        self._places = [places[place] if weight else 0 for place, weight in found]
        self._weights = [weight for _, weight in found]
        self._days: _Counts = np.array([term.calendar[spot.day] for spot in spots], dtype=np.int64)

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        self._shares[self._places[number], self._days[number]] += sign * self._weights[number]

    def costs(self, first: int, until: int) -> _Counts:
        """The share that the place of these spots, all of one group, would have out on each of their days."""
        weight = self._weights[first]
        if not weight:
            return np.zeros(until - first, dtype=np.int64)
        found: _Counts = self._shares[self._places[first], self._days[first:until]] + weight
        return found

    def total(self) -> int:
        """The largest minus the smallest share."""
        return int(self._shares.max() - self._shares.min())


class CostTally:
    """A term to which each spot adds a number of its own."""

    def __init__(self, spots: Sequence[Spot], term: CostTerm) -> None:
        self._costs: _Counts = np.array([term.cost(spot) for spot in spots], dtype=np.int64)
        self._total = 0

    def add(self, number: int, sign: int) -> None:
        """Puts a window on a spot (sign 1) or takes it off (sign -1)."""
        self._total += sign * int(self._costs[number])

    def costs(self, first: int, until: int) -> _Counts:
        """What each of these spots adds."""
        return self._costs[first:until]

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

    def costs(self, first: int, until: int) -> tuple[_Counts, ...]:
        """What one more window on each of these spots, all of one group, would cost: a column per term."""
        return tuple(term.costs(first, until) for term in self._terms) if first < until else ()

    def cost_of(self, chosen: Sequence[int]) -> Cost:
        """What windows on these spots would cost, each by itself; equal costs are told apart by the spots' numbers."""
        each = [[int(column[0]) for column in self.costs(number, number + 1)] for number in chosen]
        return (*(sum(costs) for costs in zip(*each, strict=True)), sum(chosen))

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
