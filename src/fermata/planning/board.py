"""A plan in the making: what is left of each row, and the best free spots for a cluster's parts."""

from collections.abc import Callable, Sequence

from fermata.planning.problem import Problem, Row, Spot
from fermata.planning.ways import Way

Cost = tuple[int, ...]


class Board:
    """Spots are named by their index. Free spots break no row; giving a lender back may leave one short (`is_kept`)."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> None:
        self._problem = problem
        self.spots = spots
        self._capacities = [row.capacity for row in rows]
        self._left = list(self._capacities)
        self._uses: list[list[tuple[int, int]]] = [[] for _ in spots]
        for index, row in enumerate(rows):
            for taken, units in row.terms:
                self._uses[taken].append((index, units))
        self._growing: dict[int, list[tuple[int, int]]] = {}  # by resource: day and index of its rows
        for index, row in enumerate(rows):
            if row.day is not None:
                self._growing.setdefault(row.resource, []).append((row.day, index))
        self._after: dict[tuple[int, int], list[int]] = {}
        self._of_group: dict[tuple[int, int], list[int]] = {}
        for number, spot in enumerate(spots):
            self._of_group.setdefault((spot.way, spot.group), []).append(number)

    @property
    def grows(self) -> bool:
        """True when what is taken can make room for something else."""
        return bool(self._growing)

    def is_kept(self) -> bool:
        """True when no row is short of what lenders that were given back, or moved later, had lent it."""
        return all(self._left[index] >= 0 for rows in self._growing.values() for _, index in rows)

    def _lend(self, number: int, sign: int) -> None:
        """Adds what a spot lends to the rows of all later days, or takes it away again."""
        spot = self.spots[number]
        for loan in self._problem.group_of(spot).loans:
            key = (loan.resource, spot.day)
            if key not in self._after:
                self._after[key] = [index for day, index in self._growing.get(loan.resource, ()) if day > spot.day]
            for row in self._after[key]:
                self._left[row] += sign * loan.units

    def clear(self) -> None:
        """Takes everything off."""
        self._left = list(self._capacities)

    def take(self, chosen: Sequence[int]) -> None:
        """Uses up what the chosen spots need."""
        for number in chosen:
            for row, units in self._uses[number]:
                self._left[row] -= units
            if self._growing:
                self._lend(number, 1)

    def give_back(self, chosen: Sequence[int]) -> None:
        """Frees what the chosen spots needed."""
        for number in chosen:
            for row, units in self._uses[number]:
                self._left[row] += units
            if self._growing:
                self._lend(number, -1)

    def find_spots(self, way: int, cost_of: Callable[[int], Cost]) -> list[int] | None:
        """Free spots for all parts of a way, cheap ones first, one a day, the last part after the others."""
        groups = self._problem.ways[way].groups
        free = [
            sorted((n for n in self._of_group.get((way, g), []) if self._is_free(n)), key=cost_of)
            for g in range(len(groups))
        ]
        if self._problem.ways[way].windows == 1:
            return free[0][:1] or None
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

    def _is_free(self, number: int) -> bool:
        return all(self._left[row] >= units for row, units in self._uses[number])
