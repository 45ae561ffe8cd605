"""Ruin and recreate: takes a few clusters off a complete plan and puts each back where it costs least, again and
again. Every term counts, strongest first; the solver starts from what this finds.
"""

from collections.abc import Sequence

import numpy as np

from fermata.planning.board import Board
from fermata.planning.problem import Problem
from fermata.planning.tally import Cost, Tally

RUINED_MOST = 8  # clusters at once: more rarely come back better
STRICT_TERMS = 2  # the strongest terms never get worse on the way, weaker ones may by DRIFT
DRIFT = 0.01  # how much worse than the best, in the strongest term that still differs, a plan may get on its way


def repair_plan(problem: Problem, board: Board, tally: Tally, chosen: Sequence[int], *, rounds: int) -> tuple[int, ...]:
    """The best choice found from `chosen` in so many rounds, never a worse one; equal arguments give equal choices.

    `board` and `tally` are empty, over the same spots.
    """
    return _Repair(problem, board, tally, chosen).run(rounds)


class _Repair:
    """The plan at hand, per cluster (index into `ways_of`), and the best one seen."""

    def __init__(self, problem: Problem, board: Board, tally: Tally, chosen: Sequence[int]) -> None:
        self._problem = problem
        self._board = board
        self._tally = tally
        cluster_of = {way: c for c, ways in enumerate(problem.ways_of) for way in ways}
        self._taken: list[list[int]] = [[] for _ in problem.ways_of]
        for number in chosen:
            self._taken[cluster_of[board.spots[number].way]].append(number)
            self._tally.add(number, 1)
        self._board.take(chosen)
        self._dice = np.random.default_rng(problem.inputs.seed)

    def run(self, rounds: int) -> tuple[int, ...]:
        """As `repair_plan`."""
        now = best = self._tally.total()
        kept = [list(taken) for taken in self._taken]
        for _ in range(rounds if len(self._taken) > 1 else 0):
            ruined = self._pick()
            before = {cluster: list(self._taken[cluster]) for cluster in ruined}
            for cluster in ruined:
                self._lift(cluster)
            is_whole = all(self._put_back(cluster) for cluster in ruined) and self._board.is_kept()
            value = self._tally.total() if is_whole else None
            if value is None or not _is_near(value, best, now):
                for cluster in ruined:
                    self._lift(cluster)
                for cluster, taken in before.items():
                    self._set(cluster, taken)
                continue
            now = value
            if value < best:
                best = value
                kept = [list(taken) for taken in self._taken]
        return tuple(sorted(number for taken in kept for number in taken))

    def _pick(self) -> list[int]:
        """Some clusters, in the order in which they are put back: any, or those with windows near one day."""
        size = min(int(self._dice.integers(2, RUINED_MOST + 1)), len(self._taken))
        order = [int(cluster) for cluster in self._dice.permutation(len(self._taken))]
        if self._dice.random() < 0.5:
            spots = self._board.spots
            day = spots[self._taken[order[0]][0]].day
            order.sort(key=lambda cluster: min(abs(spots[number].day - day) for number in self._taken[cluster]))
        return [int(cluster) for cluster in self._dice.permutation(order[:size])]

    def _lift(self, cluster: int) -> None:
        self._board.give_back(self._taken[cluster])
        for number in self._taken[cluster]:
            self._tally.add(number, -1)
        self._taken[cluster] = []

    def _set(self, cluster: int, taken: list[int]) -> None:
        self._board.take(taken)
        for number in taken:
            self._tally.add(number, 1)
        self._taken[cluster] = taken

    def _put_back(self, cluster: int) -> bool:
        """The cheapest way that finds room; False when none does."""
        best: tuple[Cost, list[int]] | None = None
        for way in self._problem.ways_of[cluster]:
            found = self._board.find_spots(way, self._tally.cost_of)
            if found is None:
                continue
            costs = [self._tally.cost_of(number) for number in found]
            cost = tuple(sum(parts) for parts in zip(*costs, strict=True))
            if best is None or cost < best[0]:
                best = (cost, found)
        if best is not None:
            self._set(cluster, best[1])
        return best is not None


def _is_near(value: Cost, best: Cost, now: Cost) -> bool:
    """True for a plan at least as good as the one at hand, or only a little worse than the best."""
    if value <= now:
        return True
    term = next(i for i, (a, b) in enumerate(zip(value, best, strict=True)) if a != b) if value != best else 0
    return term >= STRICT_TERMS and value[term] <= best[term] * (1 + DRIFT)
