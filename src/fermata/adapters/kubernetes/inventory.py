"""What Kubernetes knows of nodes: whether their kubelet reports, whether pods may begin there, whether we hold them."""

from collections.abc import Mapping, Sequence

from lightkube.resources.core_v1 import Node

from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.holds import Hold, read_hold
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.ports import CALL_SIZE_MAX, Clock


class KubernetesInventory:
    """Inventory of nodes; Kubernetes knows no shared devices."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port."""
        if len(nodes) > CALL_SIZE_MAX:
            raise ValueError(f"{len(nodes)} nodes in a call, at most {CALL_SIZE_MAX} are allowed")
        at = self._clock.now()
        settings = self._cluster.settings
        found: dict[NodeId, NodeSeen] = {}
        for name, node in self._cluster.nodes(nodes).items():
            hold = read_hold(settings.prefix, node)
            found[NodeId(name)] = NodeSeen(
                node=NodeId(name),
                reachable=hold.conditions.get("Ready") in ("True", "False"),  # Unknown: its kubelet fell silent
                state=NodeState.IN_SERVICE if self._serves(hold) else NodeState.OUT_OF_SERVICE,
                versions={part: version for part, at in settings.components.items() if (version := read(node, at))},
                repaired_at=None,
                observed_at=at,
                locked=hold.is_ours,
            )
        return found

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        if len(devices) > CALL_SIZE_MAX:
            raise ValueError(f"{len(devices)} devices in a call, at most {CALL_SIZE_MAX} are allowed")
        return {}

    def _serves(self, hold: Hold) -> bool:
        unfit = [kind for kind in self._cluster.settings.unfit_conditions if hold.conditions.get(kind) == "True"]
        return hold.conditions.get("Ready") == "True" and not hold.is_cordoned and not hold.is_tainted and not unfit


def read(node: Node, source: str) -> str:
    """What a node says under `source`, as the settings name it; "" when it says nothing."""
    kind, _, key = source.partition(":")
    if kind in ("label", "annotation") and node.metadata is not None:
        kept = node.metadata.labels if kind == "label" else node.metadata.annotations
        return str((kept or {}).get(key, ""))
    info = node.status.nodeInfo if node.status is not None else None
    return str(getattr(info, source, "") or "") if info is not None else ""
