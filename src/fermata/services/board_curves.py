"""Nodes over time: what the plan takes, and what was really out, in as few points as a chart can show."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.operations import Sample
from fermata.domain.plans import Window
from fermata.services.board_views import Curves

STEP = timedelta(minutes=30)  # 16 days are 768 points: 4 kB a push, and two pixels a point on a wide desk
POINTS_MAX = 4000  # 83 days; what comes later is folded into the last one


def planned_curve(windows: Iterable[Window]) -> tuple[tuple[datetime, int], ...]:
    """Steps of nodes out under the plan: from this instant on, so many."""
    changes: dict[datetime, int] = {}
    for window in windows:
        changes[window.start] = changes.get(window.start, 0) + len(window.nodes)
        changes[window.end] = changes.get(window.end, 0) - len(window.nodes)
    steps: list[tuple[datetime, int]] = []
    out = 0
    for instant in sorted(changes):
        out += changes[instant]
        steps.append((instant, out))
    return tuple(steps)


@dataclass(slots=True)
class SampleBuckets:
    """Samples of one run folded into equal steps from `start` on: of each the most nodes out, the most used of each
    limit, and the fewest in service.

    Fed with new samples only, in their order, so that a snapshot never reads a whole run again.
    """

    start: datetime
    baseline: int
    out: list[int] = field(default_factory=list)
    in_service: list[int] = field(default_factory=list)
    limits: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, samples: Iterable[Sample]) -> None:
        """Folds samples in. A step without one repeats the last value seen."""
        for sample in samples:
            index = min((sample.at - self.start) // STEP, POINTS_MAX - 1)
            if index < 0:
                continue
            if index < len(self.out):
                self.out[-1] = max(self.out[-1], sample.nodes_out)
                self.in_service[-1] = min(self.in_service[-1], sample.in_service)
                self.limits[-1] = tuple(map(max, self.limits[-1], sample.limits)) or sample.limits
                continue
            missing = index - len(self.out)
            self.out += [self.out[-1] if self.out else 0] * missing
            self.in_service += [self.in_service[-1] if self.in_service else self.baseline] * missing
            self.limits += [self.limits[-1] if self.limits else ()] * missing
            self.out.append(sample.nodes_out)
            self.limits.append(sample.limits)
            self.in_service.append(sample.in_service)

    def curves(self, end: datetime, planned: tuple[tuple[datetime, int], ...]) -> Curves:
        """As values."""
        return Curves(
            start=self.start,
            end=end,
            step=STEP,
            actual=tuple(self.out),
            in_service=tuple(self.in_service),
            limits=tuple(self.limits),
            planned=planned,
        )
