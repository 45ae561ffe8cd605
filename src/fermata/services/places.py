"""Parts of the fleet by the names that Azure's resource manager gives them, whatever their case."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fermata.domain import arm
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import CustomerId, NodeId, SupercomputerId
from fermata.domain.policy import Scope, ScopeLevel

COMPUTE, INFRASTRUCTURE = "microsoft.compute", "microsoft.supercomputerinfrastructure"
UNIT = "unit"  # a scalable unit has nodes and events, but no consent of its own
TYPES: Mapping[tuple[str, ...], str] = {
    (COMPUTE, "virtualmachines"): ScopeLevel.NODE,
    (COMPUTE, "virtualmachinescalesets"): ScopeLevel.CLUSTER,
    (COMPUTE, "virtualmachinescalesets", "virtualmachines"): ScopeLevel.NODE,
    (COMPUTE, "availabilitysets"): UNIT,
    (INFRASTRUCTURE, "supercomputers"): ScopeLevel.SUPERCOMPUTER,
    (INFRASTRUCTURE, "supercomputers", "clusters"): ScopeLevel.CLUSTER,
    (INFRASTRUCTURE, "supercomputers", "racks"): ScopeLevel.RACK,
    (INFRASTRUCTURE, "supercomputers", "nodes"): ScopeLevel.NODE,
    (INFRASTRUCTURE, "supercomputers", "clusters", "racks"): ScopeLevel.RACK,
    (INFRASTRUCTURE, "supercomputers", "clusters", "nodes"): ScopeLevel.NODE,
    (INFRASTRUCTURE, "supercomputers", "racks", "nodes"): ScopeLevel.NODE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A customer's part of one supercomputer: a resource group there."""

    customer: CustomerId
    supercomputer: SupercomputerId
    clusters: tuple[Cluster, ...]

    @property
    def id(self) -> str:
        """Its id."""
        return arm.group_id(self.customer, self.supercomputer)

    @property
    def location(self) -> str:
        """Where its first cluster stands."""
        return self.clusters[0].region


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One part of a group. `scope` None: nothing is approved at its level."""

    id: str
    name: str
    level: str
    group: Group
    scope: Scope | None
    nodes: tuple[Node, ...]

    @property
    def names(self) -> tuple[NodeId, ...]:
        """Of its nodes."""
        return tuple(node.name for node in self.nodes)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Every group and part of a fleet."""

    fleet: Fleet

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], Group]:
        """By subscription and name, both in lower case."""
        found: dict[tuple[CustomerId, SupercomputerId], list[Cluster]] = {}
        for name in sorted(self.fleet.clusters):
            cluster = self.fleet.clusters[name]
            found.setdefault((cluster.customer, cluster.supercomputer), []).append(cluster)
        return {
            (arm.subscription_id(customer), name.lower()): Group(
                customer=customer, supercomputer=name, clusters=tuple(clusters)
            )
            for (customer, name), clusters in sorted(found.items())
        }

    def of_subscription(self, subscription: str) -> tuple[Group, ...]:
        """The groups of a customer, by name; none for a subscription of nobody."""
        return tuple(group for (guid, _), group in self.groups.items() if guid == subscription.lower())

    def find(self, group: Group, provider: str, pairs: Sequence[tuple[str, str]]) -> Place | None:
        """The part of that group that types and names lead to, None when there is none."""
        level = TYPES.get((provider.lower(), *(kind.lower() for kind, _ in pairs)))
        if level is None:
            return None
        nodes: Iterable[Node] = (node for c in group.clusters for node in self.fleet.nodes_by_cluster[c.name])
        for kind, name in pairs:
            of_type = TYPES[self._prefix(provider, pairs, kind)]
            nodes = [node for node in nodes if self._name(of_type, node).lower() == name.lower()]
        found = tuple(nodes)
        if not found:
            return None
        name = self._name(level, found[0])
        scope = None if level == UNIT else Scope(level=ScopeLevel(level), name=name)
        return Place(id=_id(group, provider, pairs), name=name, level=level, group=group, scope=scope, nodes=found)

    def _prefix(self, provider: str, pairs: Sequence[tuple[str, str]], last: str) -> tuple[str, ...]:
        kinds = [kind.lower() for kind, _ in pairs]
        return (provider.lower(), *kinds[: kinds.index(last.lower()) + 1])

    def _name(self, level: str, node: Node) -> str:
        match level:
            case ScopeLevel.SUPERCOMPUTER:
                return self.fleet.clusters[node.cluster].supercomputer
            case ScopeLevel.CLUSTER:
                return node.cluster
            case ScopeLevel.RACK:
                return node.rack
            case ScopeLevel.NODE:
                return node.name
            case _:
                return node.scalable_unit


def _id(group: Group, provider: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{group.id}/providers/{provider}/" + "/".join(f"{kind}/{name}" for kind, name in pairs)
