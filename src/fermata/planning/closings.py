"""When nodes may not be out, for the checker: freezes, found by cluster, and what no allowance opens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fermata.domain.allowances import Allowance, closed_for_any, merge
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.pending import FleetPending, work_on
from fermata.domain.policy import Freeze, Scope, ScopeLevel
from fermata.domain.windows import Interval
from fermata.planning.inputs import PlanningInput


@dataclass(frozen=True, kw_only=True)
class Closings:
    """`days`: from the start of the campaign's first day to the end of its last; None when it has none.
    `allowed_times`: nodes that consent lets be out at some times only; none when consent is assumed.
    """

    inputs: PlanningInput
    pending: FleetPending
    days: Interval | None
    allowed_times: Mapping[NodeId, frozenset[Allowance]]

    @property
    def _fleet(self) -> Fleet:
        return self.inputs.fleet_to_come

    def freezes_among(self, clusters: Iterable[ClusterId]) -> Sequence[Freeze]:
        """Freezes whose scope may hold nodes of these clusters, in the order of the policy."""
        places = {place for name in clusters for place in self._freezes_by_cluster.get(name, ())}
        return [self.inputs.policy.freezes[place] for place in sorted(places)]

    def holds(self, freeze: Freeze, node: Node) -> bool:
        """True when the freeze keeps `node` in service: it is in scope, and not all that it is out for is exempt."""
        policy = self.inputs.policy
        if not freeze.scope.covers(node, self._fleet.clusters[node.cluster]):
            return False
        return not policy.exemptions or not policy.lets_out(freeze, work_on(self._fleet, self.pending, node))

    def freezes_on(self, node: Node) -> tuple[Freeze, ...]:
        """Freezes that hold `node`."""
        return tuple(freeze for freeze in self.freezes_among([node.cluster]) if self.holds(freeze, node))

    def shut_on(self, node: Node) -> tuple[Interval, ...]:
        """All times of the campaign's days at which `node` may not be out, in order."""
        frozen = [Interval(freeze.start, freeze.end) for freeze in self.freezes_on(node)]
        allowances = self.allowed_times.get(node.name)
        if not allowances or self.days is None:
            return tuple(sorted(frozen))
        return merge([*frozen, *closed_for_any(allowances, self.days.start, self.days.end)])

    @cached_property
    def _freezes_by_cluster(self) -> Mapping[ClusterId, Sequence[int]]:
        found: dict[ClusterId, list[int]] = {}
        for place, freeze in enumerate(self.inputs.policy.freezes):
            for name in self._clusters_touched(freeze.scope):
                found.setdefault(name, []).append(place)
        return found

    def _clusters_touched(self, scope: Scope) -> Iterable[ClusterId]:
        match scope.level:
            case ScopeLevel.SUPERCOMPUTER:
                return self._clusters_by_supercomputer.get(scope.name, ())
            case ScopeLevel.CLUSTER:
                return (ClusterId(scope.name),)
            case ScopeLevel.GROUP:
                return ()  # no freeze is for a group
            case ScopeLevel.RACK:
                return {node.cluster for node in self._fleet.nodes.values() if node.rack == scope.name}
            case ScopeLevel.NODE:
                node = self._fleet.nodes.get(NodeId(scope.name))
                return (node.cluster,) if node is not None else ()

    @cached_property
    def _clusters_by_supercomputer(self) -> Mapping[str, Sequence[ClusterId]]:
        found: dict[str, list[ClusterId]] = {}
        for cluster in self._fleet.clusters.values():
            found.setdefault(cluster.supercomputer, []).append(cluster.name)
        return found
