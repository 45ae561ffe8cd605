"""Scopes asked for their nodes: what every word of consent and every freeze is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import CustomerId, SupercomputerId
from fermata.domain.policy import Scope, ScopeLevel

LEVELS = tuple(ScopeLevel)  # widest first


@dataclass(frozen=True, kw_only=True)
class Scopes:
    """Every scope of a fleet that holds a node."""

    fleet: Fleet

    @cached_property
    def _nodes(self) -> Mapping[Scope, tuple[Node, ...]]:
        found: dict[Scope, list[Node]] = {}
        for cluster_name, nodes in self.fleet.nodes_by_cluster.items():
            cluster = self.fleet.clusters[cluster_name]
            for node in nodes:
                names = (cluster.supercomputer, node.cluster, node.rack, node.name)
                for level, name in zip(LEVELS, names, strict=True):
                    found.setdefault(Scope(level=level, name=name), []).append(node)
        return {scope: tuple(nodes) for scope, nodes in found.items()}

    def nodes(self, scope: Scope) -> tuple[Node, ...]:
        """Nodes in `scope`, by cluster and name; none when the fleet has no such scope."""
        return self._nodes.get(scope, ())

    def names(self, level: ScopeLevel) -> Iterable[str]:
        """Every name at that level."""
        return (scope.name for scope in self._nodes if scope.level is level)

    def supercomputers(self, scope: Scope) -> tuple[SupercomputerId, ...]:
        """Supercomputers that `scope` has nodes of, by name. Only a rack's name can stand in several."""
        return tuple(sorted({self.fleet.clusters[node.cluster].supercomputer for node in self.nodes(scope)}))

    def customers(self, scope: Scope) -> tuple[CustomerId, ...]:
        """Customers that hold a node in `scope`, by name."""
        return tuple(sorted({self.fleet.clusters[node.cluster].customer for node in self.nodes(scope)}))


def is_as_wide(scope: Scope, other: Scope) -> bool:
    """True when `scope` stands at the same level as `other` or above."""
    return LEVELS.index(scope.level) <= LEVELS.index(other.level)
