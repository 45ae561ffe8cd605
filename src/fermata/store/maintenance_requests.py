"""Maintenance requests that clients put at the resource manager's door: what was asked for there, under the name that
its client chose, and the work orders that it became. One that was deleted stays on record, its name is free again.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Row, String, Table, insert, select, update

from fermata.domain.ids import OrderId
from fermata.store.schema import Json, UtcTime, metadata

maintenance_request = Table(
    "maintenance_request",
    metadata,
    Column("id", String, primary_key=True),
    Column("path", String, nullable=False),  # its id over there, in lower case
    Column("actor", String, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime, nullable=True),
    Column("asked", Json, nullable=False),
    Column("orders", Json, nullable=False),
)
_LIVE = maintenance_request.c.deleted_at.is_(None)
Index(
    "uq_maintenance_request_path", maintenance_request.c.path, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRequest:
    """What a client asked for. `resources`: ids as they were written, each once; `category`: the impact it sees."""

    name: str
    description: str
    type: str
    state: str
    resources: tuple[str, ...]
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """A request on record. `orders`: for each of its resources the work orders that it became. Times are UTC."""

    id: str
    path: str
    actor: str
    made_at: datetime
    asked: PutRequest
    orders: tuple[tuple[OrderId, ...], ...]
    deleted_at: datetime | None = None


def add_request(conn: Connection, kept: KeptRequest) -> None:
    """Adds a request. There must be none at its path that was not deleted."""
    asked = kept.asked
    conn.execute(
        insert(maintenance_request).values(
            id=kept.id,
            path=kept.path,
            actor=kept.actor,
            made_at=kept.made_at,
            deleted_at=kept.deleted_at,
            asked={
                "name": asked.name,
                "description": asked.description,
                "type": asked.type,
                "state": asked.state,
                "resources": list(asked.resources),
                "category": asked.category,
            },
            orders=[list(names) for names in kept.orders],
        )
    )


def mark_deleted(conn: Connection, name: str, at: datetime) -> None:
    """The request of that id is gone; its path is free for another."""
    of = maintenance_request.c
    conn.execute(update(maintenance_request).where(of.id == name).values(deleted_at=at))


def load_requests(conn: Connection, below: str) -> tuple[KeptRequest, ...]:
    """Those that were not deleted and whose path begins so, by path."""
    of = maintenance_request.c
    query = select(maintenance_request).where(_LIVE, of.path.startswith(below, autoescape=True)).order_by(of.path)
    return tuple(_to_kept(row) for row in conn.execute(query))


def find_at(conn: Connection, path: str) -> KeptRequest | None:
    """The one at that path, None when there is none or it was deleted."""
    row = conn.execute(select(maintenance_request).where(_LIVE, maintenance_request.c.path == path)).one_or_none()
    return None if row is None else _to_kept(row)


def find_ever(conn: Connection, name: str) -> KeptRequest | None:
    """The one of that id, deleted or not."""
    row = conn.execute(select(maintenance_request).where(maintenance_request.c.id == name)).one_or_none()
    return None if row is None else _to_kept(row)


def _to_kept(row: Row[tuple[object, ...]]) -> KeptRequest:
    asked = row.asked
    return KeptRequest(
        id=row.id,
        path=row.path,
        actor=row.actor,
        made_at=row.made_at,
        deleted_at=row.deleted_at,
        asked=PutRequest(
            name=asked["name"],
            description=asked["description"],
            type=asked["type"],
            state=asked["state"],
            resources=tuple(asked["resources"]),
            category=asked["category"],
        ),
        orders=tuple(tuple(OrderId(name) for name in names) for names in row.orders),
    )
