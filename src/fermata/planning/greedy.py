"""A first plan by list scheduling: clusters one after the other, hardest first, each at its earliest free spots."""

from collections.abc import Sequence

from fermata.domain.campaign import OrderClasses
from fermata.planning.board import Board
from fermata.planning.problem import Problem, Spot
from fermata.planning.rows import Row
from fermata.planning.terms import class_of, late_node_days

ROUNDS_MOST = 60  # a round takes about 30 ms at January size; later ones rarely find more


def place_greedily(
    problem: Problem, spots: Sequence[Spot], rows: Sequence[Row], *, enough: int = 0
) -> tuple[int, ...] | None:
    """Chosen spots (indices) that break no row, or None when in no round every cluster found room.

    Clusters that came late, or found nothing, go first in the next round; the round with the least lateness counts,
    and the first that is not later than `enough` late node-days is the last.
    """
    board = Board(problem, spots, rows)
    order = sorted(range(len(problem.ways_of)), key=lambda cluster: _rank(problem, problem.ways_of[cluster]))
    best: tuple[int, tuple[int, ...]] | None = None
    for _ in range(ROUNDS_MOST):
        chosen, troubled, complete = _place_all(problem, board, order)
        late = sum(late_node_days(problem, spots[number]) for number in chosen)
        if complete and (best is None or late < best[0]):
            best = (late, tuple(sorted(chosen)))
        promoted = [c for c in order if c in troubled] + [c for c in order if c not in troubled]
        if promoted == order or (best is not None and best[0] <= enough):
            break
        order = promoted
    return best[1] if best is not None else None


def _place_all(problem: Problem, board: Board, order: Sequence[int]) -> tuple[list[int], set[int], bool]:
    """One round: what was chosen, which clusters came late or not at all, and whether all found room."""

    def late(chosen: Sequence[int]) -> int:
        return sum(late_node_days(problem, board.spots[number]) for number in chosen)

    board.clear()
    chosen: list[int] = []
    troubled: set[int] = set()
    waiting, left = list(order), list[int]()
    while waiting:
        for cluster in waiting:
            ways = problem.ways_of[cluster]
            found = [spots for way in ways if (spots := board.find_spots(way)) is not None]
            if not found:
                left.append(cluster)
                continue
            best = min(found, key=late)
            if late(best):
                troubled.add(cluster)
            board.take(best)
            chosen.extend(best)
        troubled.update(left)
        goes_on = board.grows and len(left) < len(waiting)  # others may have made room since
        waiting, left = (left, []) if goes_on else ([], left)
    return chosen, troubled, not left and board.is_kept()


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
