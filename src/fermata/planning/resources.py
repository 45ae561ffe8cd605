"""What windows compete for: each of the campaign's limits and each team, with how much of it a window uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil, floor

from fermata.domain.campaign import NODE_KEYS, Campaign, Limit, LimitKind
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import TeamId
from fermata.domain.plans import Mode
from fermata.domain.updates import Catalogue
from fermata.planning.scope import Scope
from fermata.planning.sequence import TeamUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A limit or a team. `per_day` counts over a calendar day, otherwise over each instant.

    `reserve` of the capacity is kept free, if that costs nothing, for nodes that do not come back at once.
    """

    source: Limit | TeamId
    name: str
    capacity: int
    reserve: int = 0
    per_day: bool = False

    def holds_on(self, day: date) -> bool:
        """True when the limit counts on that day."""
        if not isinstance(self.source, Limit):
            return True
        after_first = self.source.first_day is None or day >= self.source.first_day
        return after_first and (self.source.last_day is None or day <= self.source.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Units of a resource (its index) that a window uses over `[start, end)`, in minutes from its start."""

    resource: int
    start: int
    end: int
    units: int


def find_resources(scope: Scope, fleet: Fleet, catalogue: Catalogue, campaign: Campaign) -> tuple[Resource, ...]:
    """The campaign's limits in the order of its file, then the teams by name."""
    limits = [
        Resource(
            source=limit,
            name=f"limits[{number}] {describe_limit(limit)}",
            capacity=limit_capacity(limit, scope.clusters, fleet),
            reserve=_expected_outstanding(limit, scope, campaign),
            per_day=limit.per_day is not None,
        )
        for number, limit in enumerate(campaign.limits)
    ]
    teams = [
        Resource(source=team, name=f"team {team}, {most} at once", capacity=most)
        for team, most in sorted(catalogue.team_limits.items())
    ]
    return (*limits, *teams)


def describe_limit(limit: Limit) -> str:
    """The limit in the words of the campaign file."""
    where = "".join(f" {key}={'|'.join(sorted(limit.where.conditions[key]))}" for key in sorted(limit.where.conditions))
    since = f" from {limit.first_day}" if limit.first_day else ""
    until = f" until {limit.last_day}" if limit.last_day else ""
    return f"{limit.what}{where}{since}{until}"


def limit_capacity(limit: Limit, clusters: Sequence[Cluster], fleet: Fleet) -> int:
    """How many the limit allows. A share is taken as written and rounded down."""
    if limit.at_once_fraction is None:
        return (limit.at_once if limit.at_once is not None else limit.per_day) or 0
    matching = sum(count_nodes(limit, fleet.nodes_by_cluster[cluster.name], cluster) for cluster in clusters)
    return floor(Fraction(str(limit.at_once_fraction)) * matching)


def count_nodes(limit: Limit, nodes: Sequence[Node], cluster: Cluster) -> int:
    """How many of `nodes`, all of `cluster`, the limit counts."""
    if not limit.where.matches_cluster(cluster):
        return 0
    if not any(key in NODE_KEYS for key in limit.where.conditions):
        return len(nodes)
    return sum(1 for node in nodes if limit.where.matches(node, cluster))


def _expected_outstanding(limit: Limit, scope: Scope, campaign: Campaign) -> int:
    """Nodes that, on average, are still being repaired when those of the campaign are spread over its days."""
    if limit.what is not LimitKind.NODES_OUT:
        return 0
    days = max(1, (campaign.deadline - campaign.first_day).days + 1)
    served = sum(count_nodes(limit, work.nodes, work.cluster) for work in scope.works)
    outstanding = served / days * campaign.fallout.fraction * campaign.fallout.mean_days_to_repair
    return ceil(outstanding)


def count_limits(
    resources: Sequence[Resource], nodes: Sequence[Node], cluster: Cluster, *, mode: Mode, is_big: bool
) -> dict[int, int]:
    """What a window of `nodes` uses of each limit (by the resource's index), whatever its length; zeros left out."""
    is_whole_big = is_big and mode is Mode.WHOLE
    counts = {
        index: _limit_units(resource.source, nodes, cluster, is_whole_big=is_whole_big)
        for index, resource in enumerate(resources)
        if isinstance(resource.source, Limit)
    }
    return {index: units for index, units in counts.items() if units}


def find_team_uses(resources: Sequence[Resource], team_uses: Sequence[TeamUse]) -> tuple[Use, ...]:
    """The uses of teams that have a limit."""
    places = {resource.source: index for index, resource in enumerate(resources)}
    return tuple(
        Use(resource=places[use.team], start=use.start, end=use.end, units=use.units)
        for use in team_uses
        if use.team in places
    )


def _limit_units(limit: Limit, nodes: Sequence[Node], cluster: Cluster, *, is_whole_big: bool) -> int:
    match limit.what:
        case LimitKind.NODES_OUT:
            return count_nodes(limit, nodes, cluster)
        case LimitKind.WHOLE_BIG_CLUSTERS:
            return int(is_whole_big and limit.where.matches_cluster(cluster))
        case LimitKind.CLUSTER_WINDOWS:
            return int(limit.where.matches_cluster(cluster))
