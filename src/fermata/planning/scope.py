"""What a campaign can take: per cluster the nodes and devices that windows serve, and for every other node with
work, or whose work nobody knows, the one reason why it stays out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from fermata.domain.fleet import Cluster, Device, Fleet, Node
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.pending import FleetPending, find_alone
from fermata.domain.plans import Unplanned
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.encoders import Encoder, ask, join_takes, list_encoders
from fermata.planning.encoding import Facts, Takes
from fermata.planning.inputs import PlanningInput
from fermata.planning.readiness import Judgements, Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWork:
    """The part of one cluster that windows take. Both tuples are ordered by name; `devices` all have due work.

    `nodes_with_work` counts those that stay out too: the share a rolled part may take is a share of them all.
    """

    cluster: Cluster
    nodes_with_work: int
    nodes: tuple[Node, ...]
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """All work of a campaign. `works` is ordered by cluster; a cluster with nothing to take is absent from it.

    `clusters` are those in scope, with work or without: shares are taken of all their nodes. `companions`: nodes that
    go only in a window that takes all of those.
    """

    pending: FleetPending
    clusters: tuple[Cluster, ...]
    works: tuple[ClusterWork, ...]
    unplanned: tuple[Unplanned, ...]
    companions: Mapping[NodeId, frozenset[NodeId]]


def find_scope(
    inputs: PlanningInput,
    *,
    kept_out: Mapping[NodeId, Reason] = MappingProxyType({}),
    encoders: Sequence[Encoder] | None = None,
) -> Scope:
    """Sorts all pending work of the clusters in scope into planned and unplanned.

    `kept_out`: nodes that may not go for a reason that no rule knows. `encoders`: None asks all rules.
    """
    fleet = inputs.fleet
    pending = inputs.pending_now
    told = ask(Takes, Facts(inputs=inputs, pending=pending), list_encoders() if encoders is None else encoders)
    takes = join_takes((*told, Takes(blocked=kept_out)))
    clusters = tuple(c for _, c in sorted(fleet.clusters.items()) if takes.covers(c))
    unknown = {name for name, unit in pending.nodes.items() if unit.unknown}  # may have work: nobody knows
    judgements = Judgements(pending, inputs.catalogue)
    works: list[ClusterWork] = []
    unplanned: list[Unplanned] = []
    for cluster in clusters:
        readiness = Readiness(fleet, pending, cluster, judgements)
        readiness.settle(takes)
        left_out = {
            name: why for name, why in readiness.blocked.items() if name in readiness.with_work or name in unknown
        }
        left_out = {**_find_alone(fleet, pending, cluster), **left_out}
        unplanned.extend(_group(cluster.name, left_out))
        nodes, devices = readiness.find_ready()
        if nodes:
            works.append(
                ClusterWork(cluster=cluster, nodes_with_work=len(readiness.with_work), nodes=nodes, devices=devices)
            )
    return Scope(
        pending=pending,
        clusters=clusters,
        works=tuple(works),
        unplanned=tuple(unplanned),
        companions=takes.companions,
    )


def _find_alone(fleet: Fleet, pending: FleetPending, cluster: Cluster) -> Mapping[NodeId, Reason]:
    """Nodes that nothing takes, behind devices with work: it would be forgotten if nobody told."""
    devices = find_alone(fleet, pending, cluster.name)
    if not devices:
        return {}
    updates = sorted({item.update.id for device in devices for item in pending.of_device(device).due})
    why = reason(Code.ONLY_ON_DEVICE, updates=", ".join(updates), devices=len(devices), example=devices[0].name)
    return {node.name: why for device in devices for node in fleet.nodes_behind(device)}


def _group(cluster: ClusterId, blocked: Mapping[NodeId, Reason]) -> list[Unplanned]:
    def key(name: NodeId) -> tuple[str, str]:
        return (blocked[name].code.value, blocked[name].sentence)

    groups: list[Unplanned] = []
    for _, members in groupby(sorted(blocked, key=lambda name: (key(name), name)), key=key):
        names = tuple(members)
        groups.append(Unplanned(cluster=cluster, nodes=names, reason=blocked[names[0]]))
    return groups
