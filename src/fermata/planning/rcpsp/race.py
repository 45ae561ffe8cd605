"""What is known while a project is solved: the best schedule of each lane and the best bound. Lanes may run side by
side; each writes its own slot only, so that none undoes another's find.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum


class Lane(StrEnum):
    """Who found something; of equal finds the first lane's counts."""

    LISTS = "lists"
    SOLVER = "solver"


class Race:
    """Schedules are start times by task."""

    def __init__(self, durations: Sequence[int], bound: int) -> None:
        self._durations = durations
        self._found: dict[Lane, tuple[int, tuple[int, ...]]] = {}
        self._stops: list[Callable[[], None]] = []
        self.bound = bound

    @property
    def starts(self) -> tuple[int, ...]:
        """Of the shortest schedule."""
        return self._best()[1]

    @property
    def makespan(self) -> int:
        """Of the shortest schedule."""
        return self._best()[0]

    @property
    def is_settled(self) -> bool:
        """True when nothing shorter can exist."""
        return bool(self._found) and self.makespan <= self.bound

    def offer(self, lane: Lane, starts: Sequence[int]) -> None:
        """A lane's schedule; kept when it is the lane's shortest."""
        makespan = max(start + length for start, length in zip(starts, self._durations, strict=True))
        if lane not in self._found or makespan < self._found[lane][0]:
            self._found[lane] = (makespan, tuple(starts))
            self._stop_if_settled()

    def raise_bound(self, bound: int) -> None:
        """A proof that nothing is shorter than `bound`."""
        self.bound = max(self.bound, bound)
        self._stop_if_settled()

    def when_settled(self, stop: Callable[[], None] | None) -> None:
        """What ends the solve that runs; None when none does."""
        self._stops = [stop] if stop else []

    def _best(self) -> tuple[int, tuple[int, ...]]:
        return min((self._found[lane] for lane in Lane if lane in self._found), key=lambda found: found[0])

    def _stop_if_settled(self) -> None:
        if self.is_settled:
            for stop in self._stops:
                stop()
