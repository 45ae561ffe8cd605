"""Nodes because of which a device that they hang on may not be touched."""

from fermata.domain.ids import NodeId
from fermata.domain.node_states import EMPTY, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.queues import Standing
from fermata.domain.repairs import REPAIR
from fermata.domain.scripts import DRAIN, LOCK, DeviceScript, WindowScript


def blocking_nodes(device: DeviceScript, script: WindowScript, standing: Standing) -> tuple[NodeId, ...]:
    """Nodes behind a device because of which it may not be touched: not empty, or not yet as far as the plan wants."""
    return tuple(name for name in device.behind if not _lets_device_begin(device, script, standing(name)))


def is_blocked(device: DeviceScript, script: WindowScript, standing: Standing) -> bool:
    """True when there is such a node."""
    last_first = reversed(device.behind)  # nodes go in the plan's order: the last of them are who is waited for
    return any(not _lets_device_begin(device, script, standing(name)) for name in last_first)


def _lets_device_begin(device: DeviceScript, script: WindowScript, standing: UnitOp | None) -> bool:
    if not device.update.needs_drain:
        return True
    if standing is None or standing.state not in EMPTY or standing.astray_since is not None:
        return False
    if script.follows_people and (standing.state is UnitState.IN_REPAIR or not standing.retries.get(REPAIR)):
        return False  # its people come first, and may change what hangs on the device
    if standing.state in (UnitState.FAILED, UnitState.IN_REPAIR):
        return standing.step not in (LOCK, DRAIN)
    return script.is_through(NodeId(standing.unit), standing.position, device.step)
