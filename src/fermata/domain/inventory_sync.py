"""What a source's report makes of the fleet: merged with what is stored and with what other sources said, or not taken
in with a reason. Whether that may happen without a person is judged by `inventory_holds`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, places_of
from fermata.domain.fleet_diff import FleetDiff, diff_fleets
from fermata.domain.ids import ClusterId, DeviceId, NodeId, SourceId
from fermata.domain.inventory_reports import NotTaken, Report
from fermata.domain.reasons import Code, Reason, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a source that keeps records last said of things that others observe: it counts when it changes its word."""

    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    state: NodeState | None = None


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The fleet on record, whose each unit is (a unit of no source is absent), and what sources last said of some."""

    fleet: Fleet
    clusters: Mapping[ClusterId, SourceId] = field(default_factory=dict)
    nodes: Mapping[NodeId, SourceId] = field(default_factory=dict)
    devices: Mapping[DeviceId, SourceId] = field(default_factory=dict)
    node_said: Mapping[NodeId, Said] = field(default_factory=dict)
    device_said: Mapping[DeviceId, Said] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InWork:
    """Units that a run holds now: what the conductor records of them is truer than what a source says."""

    nodes: frozenset[NodeId] = frozenset()
    devices: frozenset[DeviceId] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The fleet as the report makes it, the units that are the source's then, and what it said if it keeps records."""

    fleet: Fleet
    diff: FleetDiff
    clusters: frozenset[ClusterId]
    nodes: frozenset[NodeId]
    devices: frozenset[DeviceId]
    node_said: Mapping[NodeId, Said]
    device_said: Mapping[DeviceId, Said]
    not_taken: tuple[NotTaken, ...]


def propose(stored: Stored, report: Report, *, live: bool, in_work: InWork) -> Proposal:
    """Merges a report into the fleet. Pure; proposing what is stored already gives an empty diff.

    A unit that is named but not taken in stays as it is stored, if it is. A device stays only while a node stands
    behind it. What a live source does not know keeps its value; a source that keeps records is heard on versions and
    state only when it says something else than before.
    """
    merge = _Merge(stored=stored, report=report, live=live, in_work=in_work)
    clusters = merge.clusters()
    nodes = merge.nodes(clusters)
    devices = merge.devices(clusters, nodes)
    owned = _mine(stored.clusters, report.source)
    inhabited = {n.cluster for n in nodes.values()} | {d.cluster for d in devices.values()}
    left = owned - report.named("cluster") - inhabited if report.complete else frozenset[ClusterId]()
    fleet = Fleet(
        clusters={name: clusters[name] for name in sorted(clusters.keys() - left)},
        nodes={name: nodes[name] for name in sorted(nodes)},
        devices={name: devices[name] for name in sorted(devices)},
    )
    named = report.clusters.keys() - {n.unit for n in merge.not_taken if n.kind == "cluster"}
    return Proposal(
        fleet=fleet,
        diff=diff_fleets(stored.fleet, fleet),
        clusters=frozenset(name for name in owned | named if name in fleet.clusters),
        nodes=frozenset(name for name in _mine(stored.nodes, report.source) | merge.taken_nodes if name in nodes),
        devices=frozenset(n for n in _mine(stored.devices, report.source) | merge.taken_devices if n in devices),
        node_said=merge.node_said,
        device_said=merge.device_said,
        not_taken=tuple(sorted(merge.not_taken, key=lambda n: (n.kind, n.unit))),
    )


K = TypeVar("K", ClusterId, NodeId, DeviceId)


def _mine(owners: Mapping[K, SourceId], source: SourceId) -> frozenset[K]:
    return frozenset(name for name, owner in owners.items() if owner == source)


class _Merge:
    def __init__(self, *, stored: Stored, report: Report, live: bool, in_work: InWork) -> None:
        self._stored = stored
        self._report = report
        self._live = live
        self._in_work = in_work
        self.not_taken = list(report.not_taken)
        self.taken_nodes: set[NodeId] = set()
        self.taken_devices: set[DeviceId] = set()
        self.node_said: dict[NodeId, Said] = {}
        self.device_said: dict[DeviceId, Said] = {}

    def clusters(self) -> dict[ClusterId, Cluster]:
        """Those stored and those reported, which another source may keep from being changed."""
        found = dict(self._stored.fleet.clusters)
        for name, cluster in self._report.clusters.items():
            owner = self._stored.clusters.get(name, self._report.source)
            if owner == self._report.source:
                found[name] = cluster
            elif found.get(name) != cluster:
                self._leave("cluster", name, self._conflict(name, owner))
        return found

    def nodes(self, clusters: Mapping[ClusterId, Cluster]) -> dict[NodeId, Node]:
        """Every node of the fleet to be."""
        found = dict(self._stored.fleet.nodes)
        mine = _mine(self._stored.nodes, self._report.source)
        for name in mine - self._report.named("node") if self._report.complete else mine & self._report.gone_nodes:
            del found[name]
        served = self._served_places()
        for name, node in self._report.nodes.items():
            why = self._why_not_node(node, clusters, served)
            if why is not None:
                self._leave("node", name, why)
                continue
            self.taken_nodes.add(name)
            found[name] = self._merged_node(node)
        return found

    def devices(self, clusters: Mapping[ClusterId, Cluster], nodes: Mapping[NodeId, Node]) -> dict[DeviceId, Device]:
        """Every device of the fleet to be."""
        found = dict(self._stored.fleet.devices)
        mine = _mine(self._stored.devices, self._report.source)
        for name in mine - self._report.named("device") if self._report.complete else mine & self._report.gone_devices:
            del found[name]
        standing = _standing(nodes.values())
        for name, device in self._report.devices.items():
            why = self._why_not_device(device, clusters, standing)
            if why is not None:
                self._leave("device", name, why)
                continue
            self.taken_devices.add(name)
            found[name] = self._merged_device(device)
        return {name: d for name, d in found.items() if d.cluster in standing[d.scope, d.scope_id]}

    def _leave(self, kind: str, unit: str, why: Reason) -> None:
        self.not_taken.append(NotTaken(kind=kind, unit=unit, reason=why))

    def _conflict(self, unit: str, owner: SourceId) -> Reason:
        return reason(Code.SOURCE_CONFLICT, unit=unit, owner=owner, source=self._report.source)

    def _served_places(self) -> Mapping[tuple[DeviceScope, str], Mapping[ClusterId, DeviceId]]:
        """Where devices stand or are said to stand, and of which cluster: nobody else's node may stand there."""
        found: dict[tuple[DeviceScope, str], dict[ClusterId, DeviceId]] = defaultdict(dict)
        for device in (*self._stored.fleet.devices.values(), *self._report.devices.values()):
            found[device.scope, device.scope_id].setdefault(device.cluster, device.name)
        return found

    def _why_not_node(
        self,
        node: Node,
        clusters: Mapping[ClusterId, Cluster],
        served: Mapping[tuple[DeviceScope, str], Mapping[ClusterId, DeviceId]],
    ) -> Reason | None:
        owner = self._stored.nodes.get(node.name, self._report.source)
        if owner != self._report.source:
            return self._conflict(node.name, owner)
        if node.cluster not in clusters:
            return reason(Code.CLUSTER_UNSTATED, unit=node.name, cluster=node.cluster)
        old = self._stored.fleet.nodes.get(node.name)
        if old is not None and places_of(old) == places_of(node):
            return None
        for _, scope, name in places_of(node):
            for cluster, device in served.get((scope, name), {}).items():
                if cluster != node.cluster:
                    fields = {"unit": node.name, "cluster": node.cluster, "scope": scope, "place": name}
                    return reason(Code.PLACE_OF_OTHERS, **fields, device=device, other=cluster)
        return None

    def _why_not_device(
        self,
        device: Device,
        clusters: Mapping[ClusterId, Cluster],
        standing: Mapping[tuple[DeviceScope, str], frozenset[ClusterId]],
    ) -> Reason | None:
        owner = self._stored.devices.get(device.name, self._report.source)
        if owner != self._report.source:
            return self._conflict(device.name, owner)
        if device.cluster not in clusters:
            return reason(Code.CLUSTER_UNSTATED, unit=device.name, cluster=device.cluster)
        behind = standing[device.scope, device.scope_id]
        if behind != {device.cluster}:
            fields = {"unit": device.name, "scope": device.scope, "place": device.scope_id, "cluster": device.cluster}
            others = ", ".join(sorted(behind - {device.cluster})) or "nobody"
            return reason(Code.DEVICE_BEHIND, **fields, others=others)
        return None

    def _merged_node(self, new: Node) -> Node:
        old = self._stored.fleet.nodes.get(new.name)
        said = self._stored.node_said.get(new.name)
        if not self._live:
            self.node_said[new.name] = Said(versions=dict(new.versions), state=new.state)
        if old is None:
            return new
        gpus = old.gpus if new.gpus is None else new.gpus
        if new.name in self._in_work.nodes:
            return replace(new, versions=old.versions, state=old.state, gpus=gpus)
        versions = {**old.versions, **self._heard(new.versions, old.versions, said)}
        is_old_news = not self._live and said is not None and said.state is new.state
        return replace(new, versions=versions, state=old.state if is_old_news else new.state, gpus=gpus)

    def _merged_device(self, new: Device) -> Device:
        old = self._stored.fleet.devices.get(new.name)
        said = self._stored.device_said.get(new.name)
        if not self._live:
            self.device_said[new.name] = Said(versions={new.component: new.version})
        if old is None or old.component != new.component:
            return new
        if new.name in self._in_work.devices:
            return replace(new, version=old.version)
        heard = self._heard({new.component: new.version}, {old.component: old.version}, said)
        return replace(new, version=heard.get(new.component, old.version))

    def _heard(self, versions: Mapping[str, str], known: Mapping[str, str], said: Said | None) -> Mapping[str, str]:
        if self._live or said is None:
            return {c: version for c, version in versions.items() if version or c not in known}
        return {c: version for c, version in versions.items() if said.versions.get(c) != version}


class _Standing(dict[tuple[DeviceScope, str], frozenset[ClusterId]]):
    """Clusters that have nodes at a place; none where nobody stands."""

    def __missing__(self, key: tuple[DeviceScope, str]) -> frozenset[ClusterId]:
        return frozenset()


def _standing(nodes: Iterable[Node]) -> _Standing:
    found: dict[tuple[DeviceScope, str], set[ClusterId]] = defaultdict(set)
    for node in nodes:
        for cluster, scope, name in places_of(node):
            found[scope, name].add(cluster)
    return _Standing({place: frozenset(clusters) for place, clusters in found.items()})
