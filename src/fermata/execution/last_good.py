"""The last known good: what nodes and shared devices ran well before a window touched them is kept as it opens, what
devices are proven with as they are. What nodes are proven with is kept when they return.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.store import recovery
from fermata.store.database import Connection


def note_as_found(
    conn: Connection,
    fleet: Fleet,
    taken: Mapping[NodeId, NodeSeen],
    devices: Mapping[DeviceId, DeviceSeen],
    now: datetime,
) -> None:
    """What runs in service is good: on nodes that are taken, and on devices with such a node behind them. Nobody knows
    that the versions of others ran well.
    """
    serving = {name: seen.versions for name, seen in taken.items() if seen.state is NodeState.IN_SERVICE}
    recovery.note_found(conn, serving, now)
    seen = [replace(fleet.devices[name], version=found.version) for name, found in devices.items()]
    in_use = [device for device in seen if any(node.name in serving for node in fleet.nodes_behind(device))]
    recovery.note_devices_found(conn, in_use, now)


def note_devices_proven(conn: Connection, fleet: Fleet, proven: Mapping[DeviceId, str], now: datetime) -> None:
    """By the version that each has just reported."""
    known = {n: (fleet.devices[n].component, version) for n, version in proven.items() if n in fleet.devices}
    recovery.note_devices_proven(conn, known, now)
