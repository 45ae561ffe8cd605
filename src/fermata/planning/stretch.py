"""Gives windows whose end is less sure than asked the time that nobody else needs, once all have their place."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from fermata.planning.problem import Problem, Spot

MINUTE = timedelta(minutes=1)


def find_longest(problem: Problem, spots: Sequence[Spot]) -> Mapping[Spot, int]:
    """For each spot of a complete plan, how many minutes its window may last without meeting another that it does not
    meet anyway: until the next window of the day starts, a freeze begins, or the day's room ends.

    At every instant of the time added, what is open was open together with this window just before its end: no
    limit has more to bear than it had.
    """
    starts: dict[int, list[int]] = {}
    for spot in spots:
        starts.setdefault(spot.day, []).append(spot.start)
    frozen = {closed.freeze: closed.time.start for closed in problem.encoding.calendar.closed}
    longest: dict[Spot, int] = {}
    for spot in spots:
        day, group = problem.days[spot.day], problem.group_of(spot)
        end = spot.start + group.minutes
        freezes = ((frozen[name] - day.room.start) // MINUTE for name in group.freezes)
        bounds = [day.minutes, *starts[spot.day], *freezes]
        longest[spot] = min(bound for bound in bounds if bound >= end) - spot.start
    return longest
