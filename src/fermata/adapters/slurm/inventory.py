"""What Slurm knows of nodes: whether they answer, whether jobs may be on them, and whether we hold them."""

from collections.abc import Mapping, Sequence

from fermata.adapters.slurm.desk import Desk, check_size
from fermata.adapters.slurm.nodes import SlurmNode
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen


class SlurmInventory:
    """Inventory of nodes; Slurm knows no shared devices."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port. In service is a node on which jobs are or may begin, whatever flags it has."""
        check_size(nodes)
        at = self._desk.now()
        seen = self._desk.look(nodes)
        components = self._desk.controller.settings.components
        return {
            name: NodeSeen(
                node=name,
                reachable=hold.node.is_reachable,
                state=NodeState.IN_SERVICE if hold.node.serves else NodeState.OUT_OF_SERVICE,
                versions={component: _read(hold.node, source) for component, source in components.items()},
                repaired_at=None,
                observed_at=at,
                locked=hold.is_ours,
            )
            for name in nodes
            if (hold := seen.get(name)) is not None
        }

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        check_size(devices)
        return {}


def _read(node: SlurmNode, source: str) -> str:
    return node.os if source == "os" else node.version
