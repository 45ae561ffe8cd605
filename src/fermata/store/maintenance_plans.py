"""Maintenance plans that clients put at the resource manager's door: what was agreed to there, as it was put."""

from typing import Any

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from fermata.store.schema import Json, metadata

maintenance_plan = Table(
    "maintenance_plan",
    metadata,
    Column("path", String, primary_key=True),  # its id, in lower case
    Column("body", Json, nullable=False),
)


def save_plan(conn: Connection, path: str, body: dict[str, Any]) -> None:
    """Adds the plan, or puts it in the place of the one at that path."""
    conn.execute(delete(maintenance_plan).where(maintenance_plan.c.path == path))
    conn.execute(insert(maintenance_plan).values(path=path, body=body))


def load_plans(conn: Connection, below: str) -> dict[str, dict[str, Any]]:
    """Those whose path begins so, by path."""
    query = select(maintenance_plan).where(maintenance_plan.c.path.startswith(below, autoescape=True))
    return {row.path: row.body for row in conn.execute(query.order_by(maintenance_plan.c.path))}
