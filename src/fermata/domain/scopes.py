"""Scopes asked for their nodes: what every word of consent and every freeze is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fermata.domain.fleet import Fleet, Node, Place, place_of
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, SupercomputerId
from fermata.domain.names import Names
from fermata.domain.policy import Scope, ScopeLevel

SUGGESTED_MAX = 20  # names that are not there and get the nearest one told, of each level
LEVELS = tuple(ScopeLevel)  # widest first
FREEZE_LEVELS = tuple(
    level for level in ScopeLevel if level is not ScopeLevel.GROUP
)  # a freeze is of places, not devices


@dataclass(slots=True)
class _Suggester:
    names: Names
    given: int = 0

    def suggest(self, wrong: str) -> str | None:
        self.given += 1
        return self.names.nearest(wrong) if self.given <= SUGGESTED_MAX else None


@dataclass(frozen=True, kw_only=True)
class Scopes:
    """Every scope of a fleet that holds a node."""

    fleet: Fleet

    @cached_property
    def _clusters(self) -> Mapping[str, tuple[ClusterId, ...]]:
        """By supercomputer, its clusters with nodes, by name."""
        found: dict[str, list[ClusterId]] = {}
        for name, nodes in self.fleet.nodes_by_cluster.items():
            if nodes:
                found.setdefault(self.fleet.clusters[name].supercomputer, []).append(name)
        return {supercomputer: tuple(names) for supercomputer, names in found.items()}

    @cached_property
    def _racks(self) -> Mapping[str, tuple[Node, ...]]:
        found: dict[str, list[Node]] = {}
        for nodes in self.fleet.nodes_by_cluster.values():
            for node in nodes:
                found.setdefault(node.rack, []).append(node)
        return {rack: tuple(nodes) for rack, nodes in found.items()}

    def nodes(self, scope: Scope) -> tuple[Node, ...]:
        """Nodes in `scope`, by cluster and name; none when the fleet has no such scope."""
        match scope.level:
            case ScopeLevel.SUPERCOMPUTER:
                return tuple(n for c in self._clusters.get(scope.name, ()) for n in self.fleet.nodes_by_cluster[c])
            case ScopeLevel.CLUSTER:
                return self.fleet.nodes_by_cluster.get(ClusterId(scope.name), ())
            case ScopeLevel.GROUP:
                device = self.fleet.devices.get(DeviceId(scope.name))
                return self.fleet.nodes_behind(device) if device is not None else ()
            case ScopeLevel.RACK:
                return self._racks.get(scope.name, ())
            case ScopeLevel.NODE:
                node = self.fleet.nodes.get(NodeId(scope.name))
                return (node,) if node is not None else ()

    @cached_property
    def _suggesters(self) -> dict[ScopeLevel, "_Suggester"]:
        return {}

    def nearest(self, scope: Scope) -> str | None:
        """The name at its level most like the scope's that is no such thing; None when none is near, or when so many
        were asked for that nobody reads on: each takes milliseconds, and one call may name thousands.
        """
        found = self._suggesters.get(scope.level)
        if found is None:
            found = self._suggesters[scope.level] = _Suggester(Names(self.names(scope.level)))
        return found.suggest(scope.name)

    def names(self, level: ScopeLevel) -> Iterable[str]:
        """Every name at that level."""
        match level:
            case ScopeLevel.SUPERCOMPUTER:
                return self._clusters
            case ScopeLevel.CLUSTER:
                return (name for name, nodes in self.fleet.nodes_by_cluster.items() if nodes)
            case ScopeLevel.GROUP:
                return (name for name, device in self.fleet.devices.items() if self.fleet.nodes_behind(device))
            case ScopeLevel.RACK:
                return self._racks
            case ScopeLevel.NODE:
                return self.fleet.nodes

    def place(self, scope: Scope) -> Place | None:
        """Where the device of a group stands; None for any other scope."""
        if scope.level is not ScopeLevel.GROUP:
            return None
        return place_of(self.fleet.devices[DeviceId(scope.name)])

    def supercomputers(self, scope: Scope) -> tuple[SupercomputerId, ...]:
        """Supercomputers that `scope` has nodes of, by name. Only a rack's name can stand in several."""
        return tuple(sorted({self.fleet.clusters[name].supercomputer for name in self.clusters(scope)}))

    def customers(self, scope: Scope) -> tuple[CustomerId, ...]:
        """Customers that hold a node in `scope`, by name."""
        return tuple(sorted({self.fleet.clusters[name].customer for name in self.clusters(scope)}))

    def clusters(self, scope: Scope) -> tuple[ClusterId, ...]:
        """Clusters that `scope` has nodes of, by name."""
        if scope.level is ScopeLevel.SUPERCOMPUTER:
            return self._clusters.get(scope.name, ())
        return tuple(sorted({node.cluster for node in self.nodes(scope)}))


def is_as_wide(scope: Scope, other: Scope) -> bool:
    """True when what is said of `scope` also holds for all nodes that join `other` later. Both hold the same node."""
    if scope.level is ScopeLevel.GROUP:  # its device may reach more than a rack, or less
        return other in (scope, Scope(level=ScopeLevel.NODE, name=other.name))
    if scope.level is ScopeLevel.RACK and other.level is ScopeLevel.GROUP:
        return False
    return LEVELS.index(scope.level) <= LEVELS.index(other.level)
