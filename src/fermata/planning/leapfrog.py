"""What services may lose at once, and whose done nodes carry their load meanwhile: the facts behind rows and moves.

The rule `service_capacity` compiles rows from them for the search, `service_days` tells who carried what.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fermata.domain.fleet import Fleet, Node, NodeState
from fermata.domain.ids import ClusterId, NodeId, ServiceId
from fermata.domain.pending import FleetPending
from fermata.domain.replanning import served_nodes
from fermata.domain.workloads import WorkloadMap, find_serving
from fermata.planning.inputs import PlanningInput

Kind = tuple[ServiceId, str]  # a service and a SKU: nodes that lend alike


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoServices:
    """The services of one geo. `totals` are their nodes in service and `minima` how many of them must remain.

    `kinds`: which nodes may carry a service's load. `done`: how many of each kind have nothing pending from the start,
    by cluster; in a re-plan not those that windows took which ran, for these lend once those windows are over.
    """

    geo: str
    totals: Mapping[ServiceId, int]
    minima: Mapping[ServiceId, int]
    kinds: Mapping[ServiceId, frozenset[Kind]]
    done: Mapping[Kind, Mapping[ClusterId, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Services of one geo that draw on the same nodes. Together they may have `capacity` more nodes out than nodes of
    the `kinds` are back from windows of earlier days.

    That each such set keeps to its bound means that every one of its services can be given what it lacks.
    """

    geo: str
    services: frozenset[ServiceId]
    kinds: frozenset[Kind]
    capacity: int

    @property
    def name(self) -> str:
        """As an operator reads it, such as "api and chat in EU"."""
        return f"{' and '.join(sorted(self.services))} in {self.geo}"


def find_geo_services(inputs: PlanningInput, pending: FleetPending) -> tuple[GeoServices, ...]:
    """All services by geo; none without a workload map."""
    workloads, fleet = inputs.workloads, inputs.fleet
    if workloads is None:
        return ()
    serving = find_serving(workloads, fleet)
    is_open = _find_open(fleet, pending)
    served = frozenset[NodeId]().union(*served_nodes(inputs.standing).values())
    found: list[GeoServices] = []
    for geo in sorted({place for _, place in serving}):
        here = {service: nodes for (service, place), nodes in serving.items() if place == geo}
        skus = {service: {fleet.clusters[node.cluster].sku for node in nodes} for service, nodes in here.items()}
        lenders = {service: workloads.services[service].moves_to for service in here}
        found.append(
            GeoServices(
                geo=geo,
                totals={service: len(nodes) for service, nodes in here.items()},
                minima={service: workloads.find_minimum(service, geo, len(nodes)) for service, nodes in here.items()},
                kinds={s: frozenset((lender, sku) for lender in lenders[s] for sku in skus[s]) for s in here},
                done=_count_done(inputs, here, is_open | served),
            )
        )
    return tuple(found)


def _find_open(fleet: Fleet, pending: FleetPending) -> frozenset[NodeId]:
    """Nodes that are not done: with work of their own, behind a device that drains them, or of unknown version."""
    own = (name for name, unit in pending.nodes.items() if unit.due or unit.unknown)
    draining = (name for name, unit in pending.devices.items() if any(item.update.needs_drain for item in unit.due))
    return frozenset(own).union(node.name for name in draining for node in fleet.nodes_behind(fleet.devices[name]))


def _count_done(
    inputs: PlanningInput, here: Mapping[ServiceId, Sequence[Node]], apart: frozenset[NodeId]
) -> dict[Kind, dict[ClusterId, int]]:
    clusters, scope = inputs.fleet.clusters, inputs.campaign.scope
    found: dict[Kind, dict[ClusterId, int]] = {}
    for service, nodes in here.items():
        for node in nodes:
            if node.name not in apart and scope.matches_cluster(clusters[node.cluster]):
                counts = found.setdefault((service, clusters[node.cluster].sku), {})
                counts[node.cluster] = counts.get(node.cluster, 0) + 1
    return found


def find_shares(geo: GeoServices) -> tuple[Share, ...]:
    """Every service with a minimum alone, and every set of them that common kinds tie together: the bounds of other
    sets follow by adding up.
    """
    bound = sorted(service for service, least in geo.minima.items() if least)
    return tuple(
        Share(
            geo=geo.geo,
            services=frozenset(services),
            kinds=kinds,
            capacity=sum(geo.totals[service] - geo.minima[service] for service in services)
            + sum(sum(geo.done.get(kind, {}).values()) for kind in kinds),
        )
        for size in range(1, len(bound) + 1)
        for services in combinations(bound, size)
        if _is_tied(geo, services)
        for kinds in [frozenset[Kind]().union(*(geo.kinds[service] for service in services))]
    )


def _is_tied(geo: GeoServices, services: tuple[ServiceId, ...]) -> bool:
    reached = set(geo.kinds[services[0]])
    waiting = list(services[1:])
    while waiting:
        tied = next((service for service in waiting if not reached.isdisjoint(geo.kinds[service])), None)
        if tied is None:
            return False
        reached |= geo.kinds[tied]
        waiting.remove(tied)
    return True


def count_services(workloads: WorkloadMap, nodes: Iterable[Node]) -> dict[ServiceId, int]:
    """How many of `nodes` are in service for each service."""
    found: dict[ServiceId, int] = {}
    for node in nodes:
        service = workloads.service_of(node) if node.state is NodeState.IN_SERVICE else None
        if service is not None:
            found[service] = found.get(service, 0) + 1
    return found
