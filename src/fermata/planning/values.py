"""What chosen spots are worth by each preference, in the whole units that the solver model counts too."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import assert_never

from fermata.domain.campaign import (
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    OrderClasses,
    Preference,
    SpreadEvenly,
    Where,
)
from fermata.domain.fleet import Cluster
from fermata.planning.problem import Problem, Spot

SHARE_SCALE = 10_000  # shares are whole basis points


def value_of(problem: Problem, spots: Sequence[Spot], preference: Preference) -> int:
    """The term's value for a complete choice of spots; shares in basis points."""
    match preference:
        case FinishByDeadline():
            return sum(late_node_days(problem, spot) for spot in spots)
        case FewestWindows():
            return len(spots)
        case OrderClasses(classes=classes):
            return _count_wrong_pairs(problem, spots, classes)
        case SpreadEvenly():
            return _measure_spread(problem, spots, preference)
        case AvoidWeekday(weekday=weekday):
            return sum(1 for spot in spots if problem.days[spot.day].date.weekday() == weekday)
        case _:
            assert_never(preference)


def late_node_days(problem: Problem, spot: Spot) -> int:
    """Late node-days of one window on `spot`."""
    return problem.days[spot.day].late * problem.group_of(spot).nodes


def class_of(problem: Problem, way: int) -> str:
    """The class that preferences name a way's cluster by, such as "small research"."""
    return f"{'big' if way in problem.big else 'small'} {problem.ways[way].cluster.division}"


def _count_wrong_pairs(problem: Problem, spots: Sequence[Spot], classes: Sequence[str]) -> int:
    at = [
        (classes.index(name), (spot.day, spot.start))
        for spot in spots
        if (name := class_of(problem, spot.way)) in classes
    ]
    return sum(1 for (a, start), (b, other) in product(at, at) if a < b and other < start)


def _measure_spread(problem: Problem, spots: Sequence[Spot], preference: SpreadEvenly) -> int:
    weights = spread_weights(problem, preference)
    shares: dict[tuple[str, int], int] = {}
    for spot in spots:
        place, weight = weights.get((spot.way, spot.group), ("", 0))
        if weight:
            shares[place, spot.day] = shares.get((place, spot.day), 0) + weight
    covers_all = len(shares) == len(count_where(problem, preference.where, preference.over)) * calendar_days(problem)
    return max(shares.values(), default=0) - (min(shares.values(), default=0) if covers_all else 0)


def spread_weights(problem: Problem, preference: SpreadEvenly) -> Mapping[tuple[int, int], tuple[str, int]]:
    """Per way and group: the place and the share of its nodes, in basis points, that a part takes out there."""
    totals = count_where(problem, preference.where, preference.over)
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for w, way in enumerate(problem.ways):
        place = place_of(way.cluster, preference.over)
        for g, group in enumerate(way.groups):
            counts = (sum(1 for n in part.nodes if preference.where.matches(n, way.cluster)) for part in group.parts)
            most = max(counts)
            if most:
                found[w, g] = (place, round(SHARE_SCALE * most / totals[place]))
    return found


def calendar_days(problem: Problem) -> int:
    """All calendar days of the campaign, those without a daily window included."""
    campaign = problem.inputs.campaign
    return (campaign.extension_until - campaign.first_day).days + 1


def count_where(problem: Problem, where: Where, over: str) -> dict[str, int]:
    """Nodes in scope that `where` matches, by their cluster's `over` (for example its geo)."""
    totals: dict[str, int] = {}
    for cluster in problem.scope.clusters:
        nodes = problem.inputs.fleet.nodes_by_cluster[cluster.name]
        count = sum(1 for node in nodes if where.matches(node, cluster))
        if count:
            totals[place_of(cluster, over)] = totals.get(place_of(cluster, over), 0) + count
    return totals


def place_of(cluster: Cluster, over: str) -> str:
    """The group, such as a geo, that `over` puts a cluster in."""
    return str(cluster.name if over == "cluster" else getattr(cluster, over))
