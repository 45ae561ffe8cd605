"""What each term cannot go below, found without a solver: every cluster has the calendar to itself."""

from collections.abc import Sequence

from fermata.domain.campaign import AvoidWeekday, FewestWindows, FinishByDeadline, Preference, SpreadEvenly
from fermata.planning.problem import Problem, Spot
from fermata.planning.values import calendar_days, count_where, spread_weights
from fermata.planning.ways import Way


def find_floor(problem: Problem, spots: Sequence[Spot], preference: Preference) -> int:
    """A lower bound of the term over all plans on these spots, in the units of `values.value_of`."""
    if isinstance(preference, SpreadEvenly):
        return _spread_floor(problem, preference)
    days = days_of_ways(spots)
    total = 0
    for ways in problem.ways_of:
        possible = [way for way in ways if len(days.get(way, ())) >= problem.ways[way].windows]
        total += min((_way_floor(problem, problem.ways[way], days[way], preference) for way in possible), default=0)
    return total


def find_homeless(problem: Problem, spots: Sequence[Spot]) -> tuple[int, ...]:
    """Clusters (indices into `ways_of`) that no way fits on these spots, were they alone in the fleet."""
    days = days_of_ways(spots)
    reached = {(spot.way, spot.group) for spot in spots}

    def has_home(way: int) -> bool:
        groups = range(len(problem.ways[way].groups))
        return len(days.get(way, ())) >= problem.ways[way].windows and all((way, g) in reached for g in groups)

    return tuple(c for c, ways in enumerate(problem.ways_of) if not any(has_home(way) for way in ways))


def days_of_ways(spots: Sequence[Spot]) -> dict[int, set[int]]:
    """The days on which any part of a way has a spot."""
    days: dict[int, set[int]] = {}
    for spot in spots:
        days.setdefault(spot.way, set()).add(spot.day)
    return days


def _way_floor(problem: Problem, way: Way, days: set[int], preference: Preference) -> int:
    match preference:
        case FinishByDeadline():  # the largest parts on the earliest days
            sizes = sorted((group.nodes for group in way.groups for _ in group.parts), reverse=True)
            late = [problem.days[day].late for day in sorted(days)]
            return sum(size * days_late for size, days_late in zip(sizes, late, strict=False))
        case FewestWindows():
            return way.windows
        case AvoidWeekday(weekday=weekday):  # parts for which other days do not suffice
            others = sum(1 for day in days if problem.days[day].date.weekday() != weekday)
            return max(0, way.windows - others)
        case _:
            return 0


def _spread_floor(problem: Problem, preference: SpreadEvenly) -> int:
    """Some place has nothing out on some day, so the largest share that any cluster takes at once counts in full."""
    weights = spread_weights(problem, preference)
    places = len(count_where(problem, preference.where, preference.over))
    windows_most = sum(max((problem.ways[way].windows for way in ways), default=0) for ways in problem.ways_of)
    if windows_most >= places * calendar_days(problem):
        return 0
    largest = 0
    for ways in problem.ways_of:
        peaks = [max(weights.get((way, g), ("", 0))[1] for g in range(len(problem.ways[way].groups))) for way in ways]
        largest = max(largest, min(peaks, default=0))
    return largest
