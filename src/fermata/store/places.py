"""Some nodes, a cluster, or what is behind some devices, by the inventory as it is now: of a large fleet only that is
read.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, select

from fermata.domain.fleet import Device, DeviceScope, Fleet, Node, place_of
from fermata.domain.ids import ClusterId, NodeId
from fermata.store import inventory
from fermata.store.bulk import NAMES_PER_STATEMENT
from fermata.store.unit_rows import json_text, to_devices, to_nodes

_node, _device = inventory.node, inventory.device
_NODES = {
    dialect: select(
        *(json_text(c, dialect) if c.name == "versions" else c for c in (_node.c[n] for n in Node.__slots__))
    )
    for dialect in ("sqlite", "postgresql")
}
_DEVICES = select(*(_device.c[name] for name in Device.__slots__))
_COLUMN = {DeviceScope.RACK: _node.c.rack, DeviceScope.SCALABLE_UNIT: _node.c.scalable_unit}  # of a cluster: any node


def load_cluster(conn: Connection, name: ClusterId) -> Fleet:
    """One cluster with its nodes and devices; an empty fleet when there is none of that name."""
    query = _NODES[conn.dialect.name].where(_node.c.cluster == name)
    devices = to_devices(conn.execute(_DEVICES.where(_device.c.cluster == name)))
    known = inventory.load_clusters(conn)
    return Fleet(
        clusters={name: known[name]} if name in known else {},
        nodes=_by_name(to_nodes(conn.execute(query))),
        devices={found.name: found for found in sorted(devices, key=attrgetter("name"))},
    )


def load_behind(conn: Connection, planned: Iterable[Device]) -> Fleet:
    """These devices as the inventory has them, with all nodes that stand where they did or do, and every cluster."""
    before = tuple(planned)
    devices = inventory.named_devices(conn, [device.name for device in before])
    at: dict[tuple[ClusterId, DeviceScope], set[str]] = defaultdict(set)
    for cluster, scope, name in sorted({place_of(device) for device in (*before, *devices.values())}):
        at[cluster, scope].add(name)
    found: list[Node] = []
    for (cluster, scope), names in at.items():
        for query in _standing(_NODES[conn.dialect.name], cluster, scope, sorted(names)):
            found += to_nodes(conn.execute(query))
    return Fleet(clusters=inventory.load_clusters(conn), nodes=_by_name(found), devices=devices)


def load_named(conn: Connection, names: Iterable[NodeId]) -> Fleet:
    """These nodes, and every cluster."""
    return Fleet(clusters=inventory.load_clusters(conn), nodes=inventory.named_nodes(conn, names), devices={})


def _standing(query: Select[Any], cluster: ClusterId, scope: DeviceScope, names: Sequence[str]) -> list[Select[Any]]:
    inside = query.where(_node.c.cluster == cluster)
    if scope is DeviceScope.CLUSTER:
        return [inside] if cluster in names else []
    parts = (names[start : start + NAMES_PER_STATEMENT] for start in range(0, len(names), NAMES_PER_STATEMENT))
    return [inside.where(_COLUMN[scope].in_(part)) for part in parts]


def _by_name(nodes: Iterable[Node]) -> dict[NodeId, Node]:
    return {node.name: node for node in sorted(nodes, key=attrgetter("name"))}
