"""Ruin and recreate: takes a few clusters off a complete plan and puts each back where it costs least, again and
again. Every term counts, strongest first; the solver starts from what this finds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fermata.planning.board import Board
from fermata.planning.problem import Problem
from fermata.planning.tally import Cost, Tally

RUINED_MOST = 8  # clusters at once: more rarely come back better
STRICT_TERMS = 2  # the strongest terms never get worse on the way, weaker ones may by the drift
ROUNDS_UNASKED = 100  # between two questions whether to stop: a fraction of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to go on. `drift`: how much worse than the best, in the strongest term that still differs, a plan may
    get on its way; much of it finds other plans, little of it the best one near by. `number` tells runs apart.
    """

    rounds: int
    drift: float
    number: int = 0


def repair_plan(
    problem: Problem, board: Board, tally: Tally, chosen: Sequence[int], *, pace: Pace, stops: Callable[[], bool]
) -> tuple[int, ...]:
    """The best choice found from `chosen` at that pace, never a worse one; equal arguments give equal choices.

    `board` and `tally` are over the same spots, and empty again afterwards. `stops` is asked now and then whether to
    end early.
    """
    return _Repair(problem, board, tally, chosen, pace).run(stops)


class _Repair:
    """The plan at hand, per cluster (index into `ways_of`), and the best one seen."""

    def __init__(self, problem: Problem, board: Board, tally: Tally, chosen: Sequence[int], pace: Pace) -> None:
        self._problem = problem
        self._board = board
        self._tally = tally
        cluster_of = {way: c for c, ways in enumerate(problem.ways_of) for way in ways}
        self._taken: list[list[int]] = [[] for _ in problem.ways_of]
        for number in chosen:
            self._taken[cluster_of[board.spots[number].way]].append(number)
            self._tally.add(number, 1)
        self._board.take(chosen)
        self._first_days = np.zeros(len(self._taken), dtype=np.int64)
        self._last_days = np.zeros(len(self._taken), dtype=np.int64)
        for cluster in range(len(self._taken)):
            self._note_days(cluster)
        self._pace = pace
        self._dice = np.random.default_rng([problem.inputs.seed, pace.number])

    def run(self, stops: Callable[[], bool]) -> tuple[int, ...]:
        """As `repair_plan`."""
        now = best = self._tally.total()
        kept = [list(taken) for taken in self._taken]
        for number in range(self._pace.rounds if len(self._taken) > 1 else 0):
            if number % ROUNDS_UNASKED == 0 and stops():
                break
            now = self._try_another(now, best)
            if now < best:
                best = now
                kept = [list(taken) for taken in self._taken]
        assert self._board.is_kept(), "only free spots are taken"
        for cluster in range(len(self._taken)):
            self._lift(cluster)
        return tuple(sorted(number for taken in kept for number in taken))

    def _try_another(self, now: Cost, best: Cost) -> Cost:
        """Ruins some clusters and puts them back; what the plan at hand is worth after that."""
        ruined = self._pick()
        before = {cluster: list(self._taken[cluster]) for cluster in ruined}
        for cluster in ruined:
            self._lift(cluster)
        is_whole = all(self._put_back(cluster) for cluster in ruined) and self._board.is_kept()
        value = self._tally.total() if is_whole else None
        if value is not None and self._is_near(value, best, now):
            return value
        for cluster in ruined:
            self._lift(cluster)
        for cluster, taken in before.items():
            self._set(cluster, taken)
        return now

    def _pick(self) -> list[int]:
        """Some clusters, in the order in which they are put back: any, or those with windows near one day."""
        size = min(int(self._dice.integers(2, RUINED_MOST + 1)), len(self._taken))
        order = self._dice.permutation(len(self._taken))
        if self._dice.random() < 0.5:
            day = self._first_days[order[0]]
            away = np.maximum(self._first_days[order] - day, day - self._last_days[order])
            order = order[np.argsort(np.maximum(away, 0), kind="stable")]
        picked: list[int] = self._dice.permutation(order[:size]).tolist()
        return picked

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
        self._note_days(cluster)

    def _note_days(self, cluster: int) -> None:
        days = [self._board.spots[number].day for number in self._taken[cluster]]
        self._first_days[cluster], self._last_days[cluster] = min(days), max(days)

    def _put_back(self, cluster: int) -> bool:
        """The cheapest way that finds room; False when none does."""
        best: tuple[Cost, list[int]] | None = None
        for way in self._problem.ways_of[cluster]:
            found = self._board.find_spots(way, self._tally.costs)
            if found is None:
                continue
            cost = self._tally.cost_of(found)
            if best is None or cost < best[0]:
                best = (cost, found)
        if best is not None:
            self._set(cluster, best[1])
        return best is not None

    def _is_near(self, value: Cost, best: Cost, now: Cost) -> bool:
        """True for a plan at least as good as the one at hand, or only a little worse than the best."""
        if value <= now:
            return True
        term = next(i for i, (a, b) in enumerate(zip(value, best, strict=True)) if a != b) if value != best else 0
        return term >= STRICT_TERMS and value[term] <= best[term] * (1 + self._pace.drift)
