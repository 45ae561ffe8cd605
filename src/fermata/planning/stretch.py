"""Gives windows whose end is less sure than asked the time that nobody else needs, once all have their place."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from fermata.planning.problem import Problem, Spot

MINUTE = timedelta(minutes=1)


def find_longest(problem: Problem, spots: Sequence[Spot]) -> Mapping[Spot, int]:
    """For each spot of a complete plan, how many minutes its window may last without meeting another that it does not
    meet anyway: until the next window of the day starts, its time closes, the control phase that it is of is to be
    over, or the day's room ends.

    At every instant of the time added, what is open was open together with this window just before its end: no
    limit has more to bear than it had.
    """
    starts: dict[int, list[int]] = {}
    for spot in spots:
        starts.setdefault(spot.day, []).append(spot.start)
    closed = {each.name: each.time.start for each in problem.encoding.calendar.closed}
    longest: dict[Spot, int] = {}
    for spot in spots:
        day, group = problem.days[spot.day], problem.group_of(spot)
        end = spot.start + group.minutes
        closes = ((closed[name] - day.room.start) // MINUTE for name in group.closed)
        bounds = [day.minutes, *starts[spot.day], *closes]
        barrier = problem.barrier
        if barrier is not None and barrier.ends is not None and day.at(spot.start) < barrier.opens:
            bounds.append((barrier.ends - day.room.start) // MINUTE)
        longest[spot] = min(bound for bound in bounds if bound >= end) - spot.start
    return longest
