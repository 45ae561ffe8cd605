"""What Azure knows of instances: whether they run, whether their agent reports, whether we hold them."""

from collections.abc import Mapping, Sequence

from fermata.adapters.azure_scale_sets.fleet import Fleet
from fermata.adapters.azure_scale_sets.holds import Hold, Power
from fermata.adapters.side_by_side import Loop
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.ports import CALL_SIZE_MAX, Clock


class AzureInventory:
    """Inventory of nodes; Azure shows no devices."""

    def __init__(self, loop: Loop, fleet: Fleet, clock: Clock) -> None:
        self._loop, self._fleet, self._clock = loop, fleet, clock

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        """See the port. An instance serves while it runs, locked or not. One that is deallocated is reached: there is
        nothing to reach, and the machine beneath it is others' to look at.
        """
        if len(nodes) > CALL_SIZE_MAX:
            raise ValueError(f"{len(nodes)} nodes in a call, at most {CALL_SIZE_MAX} are allowed")
        if not nodes:
            return {}
        at = self._clock.now()
        holds = self._loop.run(self._fleet.look(nodes))
        return {
            NodeId(name): NodeSeen(
                node=NodeId(name),
                reachable=_is_reached(hold),
                state=NodeState.IN_SERVICE if hold.power is Power.RUNNING else NodeState.OUT_OF_SERVICE,
                versions=self._versions(hold),
                repaired_at=None,
                observed_at=at,
                locked=hold.is_ours,
            )
            for name, hold in holds.items()
        }

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        """See the port."""
        if len(devices) > CALL_SIZE_MAX:
            raise ValueError(f"{len(devices)} devices in a call, at most {CALL_SIZE_MAX} are allowed")
        return {}

    def _versions(self, hold: Hold) -> Mapping[str, str]:
        parts = self._fleet.settings.components
        return {part: version for part, source in parts.items() if (version := _read(hold, source))}


def _is_reached(hold: Hold) -> bool:
    if hold.power is Power.RUNNING:
        return hold.agent_is_ready
    return hold.power is Power.DEALLOCATED


def _read(hold: Hold, source: str) -> str:
    kind, _, key = source.partition(":")
    return hold.tags.get(key, "") if kind == "tag" else hold.versions.get(source, "")
