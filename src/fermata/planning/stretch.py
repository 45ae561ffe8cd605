"""Gives windows whose end is less sure than asked the time that nobody else needs, once all have their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fermata.planning.problem import Problem, Spot

MINUTE = timedelta(minutes=1)
NEXT_WINDOW = "another window of that day"
CONTROL_PHASE = "the end of the control phase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many minutes a window may last. `ends_with`: what comes after them, in words; "": the day is over."""

    minutes: int
    ends_with: str = ""


def find_longest(problem: Problem, spots: Sequence[Spot]) -> Mapping[Spot, Room]:
    """For each spot of a complete plan, how long its window may last without meeting another that it does not
    meet anyway: until the next window of the day starts, its time closes, the control phase that it is of is to be
    over, or the day's room ends.

    At every instant of the time added, what is open was open together with this window just before its end: no
    limit has more to bear than it had.
    """
    starts: dict[int, list[int]] = {}
    for spot in spots:
        starts.setdefault(spot.day, []).append(spot.start)
    closed = {each.name: each.time.start for each in problem.encoding.calendar.closed}
    longest: dict[Spot, Room] = {}
    for spot in spots:
        day, group = problem.days[spot.day], problem.group_of(spot)
        end = spot.start + group.minutes
        bounds = [(day.minutes, ""), *((start, NEXT_WINDOW) for start in starts[spot.day])]
        bounds.extend(((closed[name] - day.room.start) // MINUTE, name) for name in group.closed)
        barrier = problem.barrier
        if barrier is not None and barrier.ends is not None and day.at(spot.start) < barrier.opens:
            bounds.append(((barrier.ends - day.room.start) // MINUTE, CONTROL_PHASE))
        bound, ends_with = min(each for each in bounds if each[0] >= end)  # of equal ones the day's end
        longest[spot] = Room(minutes=bound - spot.start, ends_with=ends_with)
    return longest
