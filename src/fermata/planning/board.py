"""A plan in the making: what is left of each row, and the best free spots for a cluster's parts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Numbers, Row
from fermata.planning.ways import Way

Cost = tuple[int, ...]
Ranking = Callable[[int, int], Sequence[Numbers]]  # of the spots from..until: a column per term, strongest first
_UNBOUND = np.iinfo(np.int64).max


class Board:
    """Spots are named by their index. Taking and giving back keeps count of the rows. Free spots break no row; giving a
    lender back may leave one short (`is_kept`).
    """

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> None:
        self._problem = problem
        self.spots = spots
        # A row more, which nothing fills, stands behind every spot's own: no spot is without any.
        self._capacities: Numbers = np.array([*(row.capacity for row in rows), _UNBOUND], dtype=np.int64)
        self._left = self._capacities.copy()
        everywhere = np.arange(len(spots))
        taken = np.concatenate([*(row.spots for row in rows), everywhere])
        numbers = np.repeat(np.arange(len(rows) + 1), [*(len(row.spots) for row in rows), len(spots)])
        units = np.concatenate([*(row.units for row in rows), np.zeros(len(spots), dtype=np.int64)])
        order = np.argsort(taken, kind="stable")
        self._rows, self._units = numbers[order], units[order]
        self._firsts = np.append(0, np.cumsum(np.bincount(taken, minlength=len(spots))))
        self._day = np.array([spot.day for spot in spots], dtype=np.int64)
        self._growing: dict[int, list[tuple[int, int]]] = {}  # by resource: day and index of its rows
        for index, row in enumerate(rows):
            if row.day is not None:
                self._growing.setdefault(row.resource, []).append((row.day, index))
        self._after: dict[tuple[int, int], Numbers] = {}
        self._of_group: dict[tuple[int, int], tuple[int, int]] = {}
        for number, spot in enumerate(spots):
            first, _ = self._of_group.get((spot.way, spot.group), (number, number))
            self._of_group[spot.way, spot.group] = (first, number + 1)

    @property
    def grows(self) -> bool:
        """True when what is taken can make room for something else."""
        return bool(self._growing)

    def _lend(self, number: int, sign: int) -> None:
        """Adds what a spot lends to the rows of all later days, or takes it away again."""
        spot = self.spots[number]
        for loan in self._problem.group_of(spot).loans:
            key = (loan.resource, spot.day)
            if key not in self._after:
                later = [index for day, index in self._growing.get(loan.resource, ()) if day > spot.day]
                self._after[key] = np.array(later, dtype=np.int64)
            self._left[self._after[key]] += sign * loan.units

    def clear(self) -> None:
        """Takes everything off."""
        self._left = self._capacities.copy()

    def take(self, chosen: Sequence[int]) -> None:
        """Uses up what the chosen spots need."""
        for number in chosen:
            uses = slice(self._firsts[number], self._firsts[number + 1])
            self._left[self._rows[uses]] -= self._units[uses]
            if self._growing:
                self._lend(number, 1)

    def give_back(self, chosen: Sequence[int]) -> None:
        """Frees what the chosen spots needed."""
        for number in chosen:
            uses = slice(self._firsts[number], self._firsts[number + 1])
            self._left[self._rows[uses]] += self._units[uses]
            if self._growing:
                self._lend(number, -1)

    def is_kept(self) -> bool:
        """True when no row is short: lenders that were given back, or moved later, may leave one so."""
        return bool(self._left.min() >= 0)

    def find_spots(self, way: int, ranking: Ranking | None = None) -> list[int] | None:
        """Free spots for all parts of a way, cheap ones first, one a day, the last part after the others.

        Without a ranking, by day and start.
        """
        groups = self._problem.ways[way].groups
        if self._problem.ways[way].windows == 1:
            best = self._find_best(way, ranking)
            return None if best is None else [best]
        free = [self._find_free(way, g, ranking) for g in range(len(groups))]
        last = next(g for g, group in enumerate(groups) if group.is_last)
        tried: set[int] = set()
        for number in free[last]:
            day = self.spots[number].day
            if day in tried:
                continue
            tried.add(day)
            others = self._fill(self._problem.ways[way], free, last, day)
            if others is not None:
                return [number, *others]
        return None

    def _fill(self, way: Way, free: Sequence[Sequence[int]], last: int, before: int) -> list[int] | None:
        days: set[int] = set()
        found: list[int] = []
        for g in sorted((g for g in range(len(way.groups)) if g != last), key=lambda g: -way.groups[g].nodes):
            wanted = len(way.groups[g].parts)
            for number in free[g]:
                if not wanted:
                    break
                day = self.spots[number].day
                if day < before and day not in days:
                    days.add(day)
                    found.append(number)
                    wanted -= 1
            if wanted:
                return None
        return found

    def _find_free(self, way: int, group: int, ranking: Ranking | None) -> list[int]:
        """The free spots of a group, best first; equal ones in their order."""
        first, until = self._of_group.get((way, group), (0, 0))
        free = np.flatnonzero(self._are_free(first, until))
        columns = [column[free] for column in ranking(first, until)] if ranking else []
        order = np.lexsort(columns[::-1]) if columns else np.arange(len(free))
        found: list[int] = (first + free[order]).tolist()
        return found

    def _find_best(self, way: int, ranking: Ranking | None) -> int | None:
        first, until = self._of_group.get((way, 0), (0, 0))
        best = np.flatnonzero(self._are_free(first, until))
        for column in ranking(first, until) if ranking and len(best) > 1 else ():
            costs = column[best]
            best = best[costs == costs.min()]
        return first + int(best[0]) if len(best) else None

    def _are_free(self, first: int, until: int) -> NDArray[np.bool_]:
        if first == until:
            return np.zeros(0, dtype=np.bool_)
        uses = slice(self._firsts[first], self._firsts[until])
        left = self._left[self._rows[uses]] - self._units[uses]
        return np.minimum.reduceat(left, self._firsts[first:until] - self._firsts[first]) >= 0
