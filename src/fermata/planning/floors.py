"""What each term cannot go below, found without a solver: every cluster has the calendar to itself."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from fermata.planning.problem import Problem, Spot
from fermata.planning.terms import CostTerm, OrderTerm, SpreadTerm, Term
from fermata.planning.ways import Way


def find_floor(problem: Problem, spots: Sequence[Spot], term: Term) -> int:
    """A lower bound of the term over all plans on these spots, in the units of `values.value_of`."""
    match term:
        case CostTerm():
            return _cost_floor(problem, spots, term)
        case OrderTerm():
            return 0
        case SpreadTerm():
            return _spread_floor(problem, term)
        case _:
            assert_never(term)


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


def _cost_floor(problem: Problem, spots: Sequence[Spot], term: CostTerm) -> int:
    """Every cluster in its cheapest way, of those that its days leave room for."""
    floors = _floors_of_ways(problem, spots, term)
    return sum(min((floors[way] for way in ways if way in floors), default=0) for ways in problem.ways_of)


def leave_out(problem: Problem, spots: Sequence[Spot], term: CostTerm, value: int) -> tuple[Spot, ...]:
    """The spots that a plan of at most this value may use: others cost their cluster too much by themselves."""
    floors = _floors_of_ways(problem, spots, term)
    most: dict[int, int] = {}
    least = [min((floors[way] for way in ways if way in floors), default=0) for ways in problem.ways_of]
    spare = value - sum(least)
    for ways, floor in zip(problem.ways_of, least, strict=True):
        most.update((way, floor + spare) for way in ways if floors.get(way, floor + spare + 1) <= floor + spare)
    return tuple(spot for spot in spots if spot.way in most and term.cost(spot) <= most[spot.way])


def _floors_of_ways(problem: Problem, spots: Sequence[Spot], term: CostTerm) -> dict[int, int]:
    """The least that each way costs; one that its days leave no room for is absent."""
    cheapest: dict[int, dict[int, dict[int, int]]] = {}  # by way, group and day
    for spot in spots:
        days = cheapest.setdefault(spot.way, {}).setdefault(spot.group, {})
        cost = term.cost(spot)
        days[spot.day] = min(cost, days.get(spot.day, cost))
    found = {way: _way_floor(problem.ways[way], days) for way, days in cheapest.items()}
    return {way: floor for way, floor in found.items() if floor is not None}


def _way_floor(way: Way, cheapest: Mapping[int, Mapping[int, int]]) -> int | None:
    """The least cost of the parts on separate days, the last one after the others; None: its days do not suffice."""
    last = next((g for g, group in enumerate(way.groups) if group.is_last), 0)
    if way.windows == 1:
        return min(cheapest.get(last, {}).values(), default=None)
    others = {g: cheapest.get(g, {}) for g in range(len(way.groups)) if g != last}
    found: list[int] = []
    for end, cost in cheapest.get(last, {}).items():
        before = {g: {day: c for day, c in days.items() if day < end} for g, days in others.items()}
        rest = _parts_floor(way, before)
        if rest is not None:
            found.append(cost + rest)
    return min(found, default=None)


def _parts_floor(way: Way, cheapest: Mapping[int, Mapping[int, int]]) -> int | None:
    """The larger of two: each group on its cheapest days; all parts on the days that are cheapest for any of them."""
    wanted = {g: len(way.groups[g].parts) for g in cheapest}
    anywhere: dict[int, int] = {}
    for days in cheapest.values():
        for day, cost in days.items():
            anywhere[day] = min(cost, anywhere.get(day, cost))
    if any(len(cheapest[g]) < count for g, count in wanted.items()) or len(anywhere) < sum(wanted.values()):
        return None
    apart = sum(sum(sorted(cheapest[g].values())[:count]) for g, count in wanted.items())
    return max(apart, sum(sorted(anywhere.values())[: sum(wanted.values())]))


def _spread_floor(problem: Problem, term: SpreadTerm) -> int:
    """Some place has nothing out on some day, so the largest share that any cluster takes at once counts in full."""
    windows_most = sum(max((problem.ways[way].windows for way in ways), default=0) for ways in problem.ways_of)
    if windows_most >= len(term.places) * term.days:
        return 0
    largest = 0
    for ways in problem.ways_of:
        groups = [range(len(problem.ways[way].groups)) for way in ways]
        peaks = [max(term.weights.get((way, g), ("", 0))[1] for g in gs) for way, gs in zip(ways, groups, strict=True)]
        largest = max(largest, min(peaks, default=0))
    return largest
