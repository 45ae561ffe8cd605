"""The planning problem as the solver chooses from it: spots, one per group of parts, day and start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.reasons import Reason
from fermata.domain.windows import Interval
from fermata.planning.days import Day
from fermata.planning.encoders import Encoding
from fermata.planning.encoding import Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.scope import Scope
from fermata.planning.ways import Group, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place for one part of group `group` of way `way` (indices): day `day`, `start` minutes into its room."""

    way: int
    group: int
    day: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """What a control phase divides: parts of the groups in `first`, pairs of way and group, go first and end by `ends`;
    others start from `opens` on, or are over by `ends` on `day` within the capacity of `resource`. `ends` None: who
    goes first is not for choosing any more.
    """

    opens: datetime
    ends: datetime | None = None
    first: frozenset[tuple[int, int]] = frozenset()
    day: int = -1
    resource: int = -1

    def lets(self, spot: Spot, out: Interval) -> bool:
        """True when a window that is out so may stand on that spot."""
        if (spot.way, spot.group) in self.first:
            return self.ends is None or out.end <= self.ends
        return out.start >= self.opens or (spot.day == self.day and self.ends is not None and out.end <= self.ends)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything compiled; `ways_of` lists, per cluster with work and in order of name, its ways.

    In a re-plan a cluster may stand there several times, once for each window or set of windows that is chosen by
    itself, and `seats` are the places that are not for choosing: the way stands there, whatever rows say of it.
    `barrier`: between the control phase, where there is one, and all others; `lack`: why it cannot be reserved, which
    leaves no spots.
    """

    inputs: PlanningInput
    scope: Scope
    encoding: Encoding
    resources: tuple[Resource, ...]
    days: tuple[Day, ...]
    ways: tuple[Way, ...]
    ways_of: tuple[tuple[int, ...], ...]
    big: frozenset[int] = field(default_factory=frozenset)
    seats: Mapping[int, Spot] = field(default_factory=dict)
    barrier: Barrier | None = None
    lack: Reason | None = None

    def group_of(self, spot: Spot) -> Group:
        """The parts of which one stands on `spot`."""
        return self.ways[spot.way].groups[spot.group]

    def is_out(self, spot: Spot) -> Interval:
        """The time for which a window on `spot` takes its nodes out."""
        day = self.days[spot.day]
        return Interval(day.at(spot.start), day.at(spot.start + self.group_of(spot).minutes))


def find_spots(problem: Problem) -> tuple[Spot, ...]:
    """Every spot that the calendar leaves, ordered by way, group, day, start."""
    closed = {each.name: each.time for each in problem.encoding.calendar.closed}
    barrier, spots = problem.barrier, list[Spot]()
    if problem.lack is not None:
        return ()
    outs: dict[int, list[list[tuple[int, Interval]]]] = {}  # by length and day: every start and the time out
    for w, way in enumerate(problem.ways):
        if w in problem.seats:
            spots.append(problem.seats[w])
            continue
        for g, group in enumerate(way.groups):
            held = [closed[name] for name in group.closed]
            if group.minutes not in outs:
                outs[group.minutes] = [_times_out(day, group.minutes) for day in problem.days]
            spots.extend(
                Spot(way=w, group=g, day=d, start=start)
                for d, times in enumerate(outs[group.minutes])
                for start, out in times
                if not any(out.overlaps(time) for time in held)
            )
    if barrier is not None:
        spots = [spot for spot in spots if spot.way in problem.seats or barrier.lets(spot, problem.is_out(spot))]
    return tuple(spots)


def _times_out(day: Day, minutes: int) -> list[tuple[int, Interval]]:
    return [(start, Interval(day.at(start), day.at(start + minutes))) for start in day.starts(minutes)]
