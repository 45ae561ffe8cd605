"""What plans are compared by: terms over chosen spots, strongest first. Search, repair and the solver model read them.

A term is made least with the stronger ones held. The campaign's preferences are terms; a re-plan puts its own first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from fermata.domain.campaign import (
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    OrderClasses,
    Preference,
    SpreadEvenly,
    Where,
    WorkloadOrder,
)
from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId
from fermata.planning.problem import Problem, Spot

SHARE_SCALE = 10_000  # shares are whole basis points


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTerm:
    """A sum over the chosen spots. `cost` is a whole number from 0 up, the same whenever it is asked."""

    name: str
    cost: Callable[[Spot], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerm:
    """Pairs of windows of different classes that start in the wrong order. `ranks`: the class of each way by its place
    in the preferred order, -1 for a class that the order does not name.
    """

    name: str
    ranks: tuple[int, ...]
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadTerm:
    """Over all places and calendar days, the largest minus the smallest share of its nodes a place has out that day.

    `weights`: per way and group, the place and the share in basis points that a part takes out there; absent when none.
    `calendar`: for each day of the problem its number among the campaign's calendar days, of which there are `days`.
    """

    name: str
    weights: Mapping[tuple[int, int], tuple[str, int]]
    places: tuple[str, ...]
    calendar: tuple[int, ...]
    days: int


Term = CostTerm | OrderTerm | SpreadTerm


def list_terms(problem: Problem, leading: Sequence[CostTerm] = ()) -> tuple[Term, ...]:
    """`leading`, then the campaign's preferences, strongest first."""
    return (*leading, *(term_of(problem, preference) for preference in problem.inputs.campaign.preferences))


def term_of(problem: Problem, preference: Preference) -> Term:
    """The preference over the problem's spots."""
    match preference:
        case FinishByDeadline():
            return CostTerm(name=preference.term, cost=lambda spot: late_node_days(problem, spot))
        case FewestWindows():
            return CostTerm(name=preference.term, cost=lambda _: 1)
        case AvoidWeekday(weekday=weekday):
            avoided = {number for number, day in enumerate(problem.days) if day.date.weekday() == weekday}
            return CostTerm(name=preference.term, cost=lambda spot: int(spot.day in avoided))
        case OrderClasses(classes=classes):
            names = [class_of(problem, way) for way in range(len(problem.ways))]
            ranks = tuple(classes.index(name) if name in classes else -1 for name in names)
            return OrderTerm(name=preference.term, ranks=ranks, classes=len(classes))
        case SpreadEvenly():
            return _spread_term(problem, preference)
        case WorkloadOrder():
            return _workload_term(problem, preference)
        case _:
            assert_never(preference)


def _workload_term(problem: Problem, preference: WorkloadOrder) -> OrderTerm:
    workloads, members = problem.inputs.workloads, problem.inputs.fleet.nodes_by_cluster
    assert workloads is not None, "settled inputs ask for the workload order only with a map"
    order = {rank: place for place, rank in enumerate(workloads.ranks)}
    places: dict[ClusterId, int] = {}
    for name in {way.cluster.name: None for way in problem.ways}:
        rank = workloads.rank_of(members[name])
        places[name] = -1 if rank is None else order[rank]
    return OrderTerm(
        name=preference.term, ranks=tuple(places[way.cluster.name] for way in problem.ways), classes=len(order)
    )


def late_node_days(problem: Problem, spot: Spot) -> int:
    """Late node-days of one window on `spot`."""
    return problem.days[spot.day].late * problem.group_of(spot).nodes


def class_of(problem: Problem, way: int) -> str:
    """The class that preferences name a way's cluster by, such as "small research"."""
    return f"{'big' if way in problem.big else 'small'} {problem.ways[way].cluster.division}"


def _spread_term(problem: Problem, preference: SpreadEvenly) -> SpreadTerm:
    totals = count_where(problem, preference.where, preference.over)
    weights: dict[tuple[int, int], tuple[str, int]] = {}
    for w, way in enumerate(problem.ways):
        place = place_of(way.cluster, preference.over)
        for g, group in enumerate(way.groups):
            counts = (len(preference.where.select(part.nodes, way.cluster)) for part in group.parts)
            most = max(counts)
            if most:
                weights[w, g] = (place, round(SHARE_SCALE * most / totals[place]))
    campaign = problem.inputs.campaign
    return SpreadTerm(
        name=preference.term,
        weights=weights,
        places=tuple(sorted(totals)),
        calendar=tuple((day.date - campaign.first_day).days for day in problem.days),
        days=(campaign.extension_until - campaign.first_day).days + 1,
    )


def count_where(problem: Problem, where: Where, over: str) -> dict[str, int]:
    """Nodes in scope that `where` matches, by their cluster's `over` (for example its geo)."""
    totals: dict[str, int] = {}
    for cluster in problem.scope.clusters:
        count = len(where.select(problem.inputs.fleet.nodes_by_cluster[cluster.name], cluster))
        if count:
            totals[place_of(cluster, over)] = totals.get(place_of(cluster, over), 0) + count
    return totals


def place_of(cluster: Cluster, over: str) -> str:
    """The group, such as a geo, that `over` puts a cluster in."""
    return str(cluster.name if over == "cluster" else getattr(cluster, over))
