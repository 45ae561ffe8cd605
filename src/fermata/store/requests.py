"""Cumulative requests as last computed: what they hold, without the names of the units behind them."""

from sqlalchemy import Column, Connection, String, Table, Text, delete, select

from fermata.domain.ids import RequestId
from fermata.domain.requests import Request
from fermata.store.bulk import insert_rows
from fermata.store.codec import from_json, to_json
from fermata.store.schema import Sequence64, UtcTime, metadata

request = Table(
    "request",
    metadata,
    Column("id", String, primary_key=True),
    Column("supercomputer", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("incarnation", Sequence64, nullable=False),
    Column("due_at", UtcTime, nullable=True),
    Column("body", Text, nullable=False),
)


def save_requests(conn: Connection, requests: tuple[Request, ...]) -> None:
    """Replaces the requests of those ids."""
    for changed in requests:
        conn.execute(delete(request).where(request.c.id == changed.id))
    rows = [
        {
            "id": changed.id,
            "supercomputer": changed.supercomputer,
            "kind": changed.kind.value,
            "incarnation": changed.incarnation,
            "due_at": changed.due_at,
            "body": to_json(changed).decode(),
        }
        for changed in requests
    ]
    insert_rows(conn, request, rows)


def load_requests(conn: Connection) -> dict[RequestId, Request]:
    """Every request ever opened, those with nothing pending any more included, by id."""
    bodies = conn.execute(select(request.c.body).order_by(request.c.id)).scalars()
    found = [from_json(Request, body) for body in bodies]
    return {each.id: each for each in sorted(found, key=lambda each: each.id)}
