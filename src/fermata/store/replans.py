"""What became of planning again, and how likely a campaign's deadline is missed: rows that only grow in number."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, RowMapping, String, Table, Text, insert, select

from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.ids import RunId
from fermata.domain.replans import Replan
from fermata.store.codec import from_json, to_json
from fermata.store.schema import Sequence64, UtcTime, metadata

replan = Table(
    "replan",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False, index=True),
    Column("key", String, nullable=False),
    Column("body", Text, nullable=False),
)

deadline_risk = Table(
    "deadline_risk",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
)


def add_replan(conn: Connection, made: Replan) -> Replan:
    """Keeps what became of one time. Returns it with its number."""
    values = {"run": made.run, "key": made.key, "body": to_json(made).decode()}
    result = conn.execute(insert(replan).values(values))
    assert result.inserted_primary_key is not None
    return replace(made, seq=int(result.inserted_primary_key[0]))


def latest_replan(conn: Connection, run: RunId, *, key: str | None = None) -> Replan | None:
    """The last one of a run, of that key if one is named, or None."""
    query: Any = select(replan).where(replan.c.run == run)
    if key is not None:
        query = query.where(replan.c.key == key)
    row = conn.execute(query.order_by(replan.c.seq.desc()).limit(1)).mappings().first()
    return None if row is None else _to_replan(row)


def add_risk(conn: Connection, made: DeadlineRisk) -> DeadlineRisk:
    """Keeps what was foreseen. Returns it with its number."""
    values = {"run": made.run, "at": made.at, "body": to_json(made).decode()}
    result = conn.execute(insert(deadline_risk).values(values))
    assert result.inserted_primary_key is not None
    return replace(made, seq=int(result.inserted_primary_key[0]))


def latest_risk(conn: Connection, run: RunId) -> DeadlineRisk | None:
    """What was foreseen last of a run, or None."""
    query = select(deadline_risk).where(deadline_risk.c.run == run).order_by(deadline_risk.c.seq.desc()).limit(1)
    row = conn.execute(query).mappings().first()
    return None if row is None else replace(from_json(DeadlineRisk, row["body"]), seq=row["seq"])


def _to_replan(row: RowMapping) -> Replan:
    return replace(from_json(Replan, row["body"]), seq=row["seq"])
