"""A first plan by list scheduling: clusters one after the other, hardest first, each at its earliest free spots."""

from collections.abc import Sequence

from fermata.domain.campaign import OrderClasses
from fermata.planning.values import class_of
from fermata.planning.problem import Problem, Row, Spot


ROUNDS_MOST = 60  # a round takes about 30 ms at January size; later ones rarely find more


def place_greedily(problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> tuple[int, ...] | None:
    """Chosen spots (indices) that break no row, or None when in no round every cluster found room.

    Clusters that came late, or found nothing, go first in the next round; the round with the least lateness counts.
    """
    board = _Board(problem, spots, rows)
    order = sorted(range(len(problem.ways_of)), key=lambda cluster: _rank(problem, problem.ways_of[cluster]))
    best: tuple[int, ...] | None = None
    for _ in range(ROUNDS_MOST):
        chosen, troubled, complete = _place_all(problem, board, order)
        if complete and (best is None or board.late(chosen) < board.late(best)):
            best = tuple(sorted(chosen))
        moved = [cluster for cluster in order if cluster in troubled]
        promoted = moved + [cluster for cluster in order if cluster not in troubled]
        if promoted == order:
            break
        order = promoted
    return best


def _place_all(problem: Problem, board: "_Board", order: Sequence[int]) -> tuple[list[int], set[int], bool]:
    """One round: what was chosen, which clusters came late or not at all, and whether all found room."""
    board.clear()
    chosen: list[int] = []
    troubled: set[int] = set()
    complete = True
    for cluster in order:
        found = [spots for way in problem.ways_of[cluster] if (spots := board.try_way(way)) is not None]
        if not found:
            troubled.add(cluster)
            complete = False
            continue
        best = min(found, key=board.late)
        if board.late(best):
            troubled.add(cluster)
        board.take(best)
        chosen.extend(best)
    return chosen, troubled, complete


def _rank(problem: Problem, ways: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Most parts first, then the big, then classes in the preferred order, then the larger."""
    if not ways:
        return (0, 0, 0, 0)
    first = problem.ways[ways[0]]
    classes = next((p.classes for p in problem.inputs.campaign.preferences if isinstance(p, OrderClasses)), ())
    name = class_of(problem, ways[0])
    place = classes.index(name) if name in classes else len(classes)
    nodes = sum(group.nodes * len(group.parts) for group in first.groups)
    return (-first.windows, 0 if ways[0] in problem.big else 1, place, -nodes)


class _Board:
    """What is left of each row while clusters are placed."""

    def __init__(self, problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> None:
        self._problem = problem
        self._spots = spots
        self._rows = rows
        self._left = [row.capacity for row in rows]
        self._uses: list[list[tuple[int, int]]] = [[] for _ in spots]
        for index, row in enumerate(rows):
            for spot, units in row.terms:
                self._uses[spot].append((index, units))
        self._of_group: dict[tuple[int, int], list[int]] = {}
        for number, spot in enumerate(spots):
            self._of_group.setdefault((spot.way, spot.group), []).append(number)
        for numbers in self._of_group.values():
            numbers.sort(key=lambda n: (spots[n].day, spots[n].start))

    def clear(self) -> None:
        """Takes everything off again."""
        self._left = [row.capacity for row in self._rows]

    def late(self, chosen: Sequence[int]) -> int:
        """Late node-days of the chosen spots."""
        problem = self._problem
        return sum(problem.days[self._spots[n].day].late * problem.group_of(self._spots[n]).nodes for n in chosen)

    def try_way(self, way: int) -> list[int] | None:
        """The earliest spots for all its parts, the last one after the others, one a day; None when there are none."""
        groups = self._problem.ways[way].groups
        days: set[int] = set()
        found: list[int] = []
        for g in sorted(range(len(groups)), key=lambda g: groups[g].is_last):
            for _ in groups[g].parts:
                after = max(days, default=-1) if groups[g].is_last else -1
                spot = next((n for n in self._of_group.get((way, g), []) if self._is_free(n, days, after)), None)
                if spot is None:
                    return None
                found.append(spot)
                days.add(self._spots[spot].day)
        return found

    def _is_free(self, number: int, days: set[int], after: int) -> bool:
        day = self._spots[number].day
        return day > after and day not in days and all(self._left[row] >= units for row, units in self._uses[number])

    def take(self, chosen: Sequence[int]) -> None:
        """Uses up what the chosen spots need."""
        for number in chosen:
            for row, units in self._uses[number]:
                self._left[row] -= units
