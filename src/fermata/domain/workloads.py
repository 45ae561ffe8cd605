"""What runs on the fleet: services, the capacity each must keep, and whose done nodes may take its load meanwhile.

A workload map comes from `workloads.yaml` or the API. Planner, checker and readers ask it which node carries what.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil
from types import MappingProxyType

from fermata.domain.campaign import Preference, WorkloadOrder
from fermata.domain.fleet import Fleet, Node, NodeState
from fermata.domain.ids import NodeId, ServiceId

RANKS = MappingProxyType({"idle": 0, "research": 10, "chat": 20, "api": 30})  # who goes first; gaps leave room between
LENDER_CLASSES = ("idle", "research")  # whose nodes take load where a service does not say which
SHARING_MOST = 8  # services that share lenders in one geo: rules ask about every set of them, 255 sets for 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """What a service must keep in one geo. Exactly one is set: `nodes`, or `share` of its nodes in service there."""

    nodes: int | None = None
    share: float | None = None

    def of(self, total: int) -> int:
        """In nodes, rounded up, of `total` in service, and never more: a plan cannot mend what lacks already."""
        wanted = self.nodes if self.share is None else ceil(Fraction(str(self.share)) * total)
        assert wanted is not None, "readers let no minimum through that says neither nodes nor share"
        return min(wanted, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. Lower `rank` goes first. `minimum` is by geo, none where a geo is absent.

    `moves_to`: services whose done nodes may carry this one's load while its own are out; none: it does not move.
    """

    id: ServiceId
    service_class: str
    rank: int
    minimum: Mapping[str, Minimum] = field(default_factory=dict, hash=False)
    moves_to: tuple[ServiceId, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkloadMap:
    """All services by id, and what nodes carry. A node that is not named carries the service that its column
    `workload` names, if there is one; names of nodes that the fleet does not have say nothing.
    """

    services: Mapping[ServiceId, Service]
    assignments: Mapping[NodeId, ServiceId] = field(default_factory=dict, hash=False)

    def service_of(self, node: Node) -> ServiceId | None:
        """What `node` carries; None when it carries no service of this map."""
        named = self.assignments.get(node.name)
        if named is not None:
            return named
        by_column = ServiceId(node.workload)
        return by_column if by_column in self.services else None

    def find_minimum(self, service: ServiceId, geo: str, total: int) -> int:
        """How many nodes of the service must remain in `geo`, where `total` are in service."""
        minimum = self.services[service].minimum.get(geo)
        return minimum.of(total) if minimum is not None else 0

    def rank_of(self, nodes: Iterable[Node]) -> int | None:
        """The highest rank of what they carry, by which a cluster takes its turn; None when they carry nothing."""
        found = {service for node in nodes if (service := self.service_of(node)) is not None}
        return max((self.services[service].rank for service in found), default=None)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Every rank that occurs, lowest first."""
        return tuple(sorted({service.rank for service in self.services.values()}))


def find_serving(workloads: WorkloadMap, fleet: Fleet) -> dict[tuple[ServiceId, str], tuple[Node, ...]]:
    """The nodes in service of each service and geo, by name. A node out of service carries nothing to be lost."""
    found: dict[tuple[ServiceId, str], list[Node]] = {}
    for cluster, nodes in fleet.nodes_by_cluster.items():
        geo = fleet.clusters[cluster].geo
        for node in nodes:
            service = workloads.service_of(node)
            if service is not None and node.state is NodeState.IN_SERVICE:
                found.setdefault((service, geo), []).append(node)
    return {place: tuple(nodes) for place, nodes in sorted(found.items())}


def list_preferences(preferences: tuple[Preference, ...], workloads: WorkloadMap | None) -> tuple[Preference, ...]:
    """What counts for a plan: with a workload map the workload order too, as the weakest where none was asked for."""
    asked = any(isinstance(preference, WorkloadOrder) for preference in preferences)
    if workloads is None:
        return tuple(p for p in preferences if not isinstance(p, WorkloadOrder))
    return preferences if asked else (*preferences, WorkloadOrder())
