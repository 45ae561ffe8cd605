"""Which units of the fleet changed since when: the database itself notes each, whoever writes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Connection, String, Table, UniqueConstraint, func, select

from fermata.domain.fleet import Device, Node
from fermata.domain.ids import DeviceId, NodeId
from fermata.store.inventory import named_devices, named_nodes
from fermata.store.schema import Sequence64, metadata

fleet_change = Table(  # written by triggers: a row for each unit that ever changed, with its last change
    "fleet_change",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    UniqueConstraint("kind", "name"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Units as they are now, None for one that is gone."""

    nodes: Mapping[NodeId, Node | None]
    devices: Mapping[DeviceId, Device | None]


def last_change(conn: Connection) -> int:
    """The newest one, 0 for none. What was read at the same number is still all there is."""
    return conn.execute(select(func.max(fleet_change.c.seq))).scalar() or 0


def read_changes(conn: Connection, after: int, most: int) -> Changes | None:
    """All since then; None when a cluster is among them, or when they are more than `most`."""
    query = select(fleet_change.c.kind, fleet_change.c.name).where(fleet_change.c.seq > after)
    found = conn.execute(query.limit(most + 1)).all()
    if len(found) > most or any(kind == "cluster" for kind, _ in found):
        return None
    nodes = [NodeId(name) for kind, name in found if kind == "node"]
    devices = [DeviceId(name) for kind, name in found if kind == "device"]
    known_nodes, known_devices = named_nodes(conn, nodes), named_devices(conn, devices)
    return Changes(
        nodes={name: known_nodes.get(name) for name in nodes},
        devices={name: known_devices.get(name) for name in devices},
    )
