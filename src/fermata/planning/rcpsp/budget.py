"""How long a project may be worked on: seconds that the caller's clock counts, or effort, which gives equal results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

SOLVER_EFFORT = 12.0  # units for one of the solver's deterministic time: 14 to 17 s of a core were measured on j30
SideBySide = Callable[[Sequence[Callable[[], None]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverLimit:
    """What one solve may take: seconds, or units of the solver's own deterministic time."""

    amount: float
    is_deterministic: bool


class Budget(Protocol):
    """What is left, and how it is shared."""

    def left(self) -> float:
        """Seconds or units of effort; 0 or less when there is nothing left."""

    def spend(self, effort: float) -> None:
        """Counts effort that was spent on lists."""

    def spend_solver(self, deterministic_time: float) -> None:
        """Counts what a solve took by the solver's own measure."""

    def solver_limit(self, share: float) -> SolverLimit:
        """That share of what is left, for a solve."""

    def run_lanes(self, lanes: "Sequence[Work]", share: float) -> None:
        """Runs all lanes on that share of what is left."""


Work = Callable[[Budget], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """`remaining` tells the seconds left and may read a clock, so that results depend on the machine.

    `side_by_side` runs calls at the same time; None: they run in turn.
    """

    remaining: Callable[[], float]
    side_by_side: SideBySide | None = None

    def left(self) -> float:
        """Seconds."""
        return self.remaining()

    def spend(self, effort: float) -> None:
        """Nothing to count: the clock runs by itself."""

    def spend_solver(self, deterministic_time: float) -> None:
        """Nothing to count."""

    def solver_limit(self, share: float) -> SolverLimit:
        """Wall time."""
        return SolverLimit(amount=max(0.0, self.left() * share), is_deterministic=False)

    def run_lanes(self, lanes: Sequence[Work], share: float) -> None:
        """Side by side for that share of the time, or each for its part of it."""
        if self.side_by_side is not None:
            part = self._part(self.left() * share)
            self.side_by_side([lambda lane=lane: lane(part) for lane in lanes])  # type: ignore[misc]
            return
        seconds = self.left() * share / len(lanes)
        for lane in lanes:
            lane(self._part(seconds))

    def _part(self, seconds: float) -> "Seconds":
        floor = self.remaining() - seconds
        return Seconds(remaining=lambda: self.remaining() - floor)


class Effort:
    """Deterministic units, near a second each on a common core. Equal inputs give equal results on any machine."""

    def __init__(self, units: float) -> None:
        self._units = units

    def left(self) -> float:
        """Units."""
        return self._units

    def spend(self, effort: float) -> None:
        """Takes it off."""
        self._units -= effort

    def spend_solver(self, deterministic_time: float) -> None:
        """Takes it off, in units."""
        self._units -= deterministic_time * SOLVER_EFFORT

    def solver_limit(self, share: float) -> SolverLimit:
        """Deterministic time."""
        return SolverLimit(amount=max(0.0, self._units * share / SOLVER_EFFORT), is_deterministic=True)

    def run_lanes(self, lanes: Sequence[Work], share: float) -> None:
        """In turn, each on its part."""
        units = self._units * share / len(lanes)
        for lane in lanes:
            part = Effort(units)
            lane(part)
            self.spend(units - part.left())
