"""Counts what windows stand where, so that the worth of taking one more spot is known without counting all pairs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import OrderClasses, Preference, SpreadEvenly
from fermata.planning.problem import Problem, Spot
from fermata.planning.values import calendar_days, class_of, count_where, spread_weights, value_of

Cost = tuple[int, ...]  # one number per preference, strongest first

_Counts = NDArray[np.int64]


class OrderTally:
    """Windows per class and instant; `cost_of` a spot is the number of wrong pairs it would be part of."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], preference: OrderClasses) -> None:
        instants = sorted({(spot.day, spot.start) for spot in spots})
        place = {instant: i for i, instant in enumerate(instants)}
        classes = preference.classes
        names = [class_of(problem, way) for way in range(len(problem.ways))]
        ranks = [classes.index(name) if name in classes else -1 for name in names]
        self._at = [(ranks[spot.way], place[spot.day, spot.start]) for spot in spots]
        self._counts: _Counts = np.zeros((len(classes), len(instants)), dtype=np.int64)
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

    def __init__(self, problem: Problem, spots: Sequence[Spot], preference: SpreadEvenly) -> None:
        weights = spread_weights(problem, preference)
        places = sorted(count_where(problem, preference.where, preference.over))
        self._shares: _Counts = np.zeros((max(1, len(places)), calendar_days(problem)), dtype=np.int64)
        first = problem.inputs.campaign.first_day
        self._at: list[tuple[int, int, int]] = []
        for spot in spots:
            place, weight = weights.get((spot.way, spot.group), ("", 0))
            day = (problem.days[spot.day].date - first).days
            self._at.append((places.index(place) if weight else 0, day, weight))

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


class FixedTally:
    """A term to which each spot adds a number of its own."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], preference: Preference) -> None:
        self._costs = [value_of(problem, [spot], preference) for spot in spots]
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
    """All preferences of a campaign, strongest first."""

    def __init__(self, problem: Problem, spots: Sequence[Spot]) -> None:
        self._terms: list[OrderTally | SpreadTally | FixedTally] = []
        for preference in problem.inputs.campaign.preferences:
            match preference:
                case OrderClasses():
                    self._terms.append(OrderTally(problem, spots, preference))
                case SpreadEvenly():
                    self._terms.append(SpreadTally(problem, spots, preference))
                case _:
                    self._terms.append(FixedTally(problem, spots, preference))

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
