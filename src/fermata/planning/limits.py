"""The campaign's limits as the planner reads them: how many each allows, how many nodes it counts, its words.

Asked by the rules that encode a limit and by `loosen`; the checker has its own reading.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.planning.encoding import Capacity, Facts, Resource, Taken, Use


def find_limits(facts: Facts, what: LimitKind, is_meant: Callable[[Limit], bool]) -> tuple[int, ...]:
    """The places, in the campaign's list, of the limits of that kind that are meant."""
    limits = facts.inputs.campaign.limits
    return tuple(n for n, limit in enumerate(limits) if limit.what is what and is_meant(limit))


def make_capacity(
    facts: Facts, numbers: Sequence[int], count: Callable[[Limit, Taken], int], *, keeps_reserve: bool = False
) -> Capacity:
    """One resource for each of these limits; `count` says what a window uses of a limit while it is open."""
    limits = [facts.inputs.campaign.limits[number] for number in numbers]

    def uses(taken: Taken) -> tuple[Use, ...]:
        counted = [(index, count(limit, taken)) for index, limit in enumerate(limits)]
        return tuple(taken.use(index, units) for index, units in counted if units)

    resources = tuple(
        Resource(
            source=limit,
            name=f"limits[{number}] {describe_limit(limit)}",
            capacity=limit_capacity(limit, facts.clusters, facts.inputs.fleet),
            per_day=limit.per_day is not None,
            first_day=limit.first_day,
            last_day=limit.last_day,
            keeps_reserve=keeps_reserve,
        )
        for number, limit in zip(numbers, limits, strict=True)
    )
    return Capacity(resources=resources, count=uses)


def describe_limit(limit: Limit) -> str:
    """The limit in the words of the campaign file."""
    where = "".join(f" {key}={'|'.join(sorted(limit.where.conditions[key]))}" for key in sorted(limit.where.conditions))
    since = f" from {limit.first_day}" if limit.first_day else ""
    until = f" until {limit.last_day}" if limit.last_day else ""
    return f"{limit.what}{where}{since}{until}"


def limit_capacity(limit: Limit, clusters: Sequence[Cluster], fleet: Fleet) -> int:
    """How many the limit allows. A share is taken as written, of all nodes of `clusters`, and rounded down."""
    if limit.at_once_fraction is None:
        return (limit.at_once if limit.at_once is not None else limit.per_day) or 0
    matching = sum(count_nodes(limit, fleet.nodes_by_cluster[cluster.name], cluster) for cluster in clusters)
    return floor(Fraction(str(limit.at_once_fraction)) * matching)


def count_nodes(limit: Limit, nodes: Sequence[Node], cluster: Cluster) -> int:
    """How many of `nodes`, all of `cluster`, the limit counts."""
    return len(limit.where.select(nodes, cluster))
