"""Jobs on the nodes of windows that are near: what was seen of them last, and how others are kept off."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, RowMapping, String, Table, delete, select

from fermata.domain.ahead import JobsAhead, Keeping
from fermata.domain.ids import RunId, WindowId
from fermata.domain.jobs import DrainCost, Job
from fermata.domain.reasons import Reason, code_of
from fermata.store.bulk import insert_rows
from fermata.store.parts import Told, part_of
from fermata.store.schema import Json, UtcTime, metadata

MINUTE = timedelta(minutes=1)

window_jobs = Table(
    "window_jobs",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("window", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("body", Json, nullable=False),
)


def save(conn: Connection, run: RunId, found: Iterable[JobsAhead], gone: Collection[WindowId]) -> None:
    """Puts these in place of what was known of their windows; nothing is known of those that are `gone`."""
    rows = [_to_row(one) for one in found]
    old = sorted({*gone, *(row["window"] for row in rows)})
    if old:
        conn.execute(delete(window_jobs).where(window_jobs.c.run == run, window_jobs.c.window.in_(old)))
    insert_rows(conn, window_jobs, rows)


def load(conn: Connection, run: RunId) -> Mapping[WindowId, JobsAhead]:
    """All that is known, by window."""
    part = part_of(conn)
    if part is None:
        rows = conn.execute(select(window_jobs).where(window_jobs.c.run == run)).mappings()
        return {one.window: one for one in map(_from_row, rows)}
    seen = frozenset(conn.execute(select(window_jobs.c.window).where(window_jobs.c.run == run)).scalars())
    found, tell = part.read(lambda whole: load(whole, run)), part.teller()
    return {name: replace(one, why=_told(one.why, tell)) for name, one in found.items() if name in seen}


def _told(why: Reason | None, tell: Told) -> Reason | None:
    return replace(why, sentence=tell(why.sentence)) if why is not None else None


def _to_row(one: JobsAhead) -> dict[str, Any]:
    return {
        "run": one.run,
        "window": one.window,
        "at": one.at,
        "body": {
            "nodes": one.nodes,
            "keeping": one.keeping.value,
            "kept": one.kept,
            "floats_minutes": one.floats / MINUTE if one.floats is not None else None,
            "why": {"code": one.why.code.value, "sentence": one.why.sentence} if one.why else None,
            "cost": _cost_row(one.cost) if one.cost else None,
            "cost_at": _say(one.cost_at),
        },
    }


def _cost_row(cost: DrainCost) -> dict[str, Any]:
    return {
        "begins_at": _say(cost.begins_at),
        "jobs": cost.job_count,
        "nodes": cost.node_count,
        "outside": cost.outside,
        "lasting": cost.lasting,
        "endless": cost.endless,
        "over_at": _say(cost.over_at),
        "users": [[user, jobs] for user, jobs in cost.users.items()],
        "longest": [
            {
                "id": job.id,
                "user": job.user,
                "state": job.state,
                "nodes": sorted(job.nodes),
                "ends_at": _say(job.ends_at),
                "requeues": job.requeues,
            }
            for job in cost.longest
        ],
    }


def _from_row(row: RowMapping) -> JobsAhead:
    body = row["body"]
    floats, why = body["floats_minutes"], body["why"]
    return JobsAhead(
        run=RunId(row["run"]),
        window=WindowId(row["window"]),
        at=row["at"],
        nodes=body["nodes"],
        keeping=Keeping(body["keeping"]),
        kept=body["kept"],
        floats=floats * MINUTE if floats is not None else None,
        why=Reason(code=code_of(why["code"]), sentence=why["sentence"]) if why else None,
        cost=_cost(body["cost"]) if body["cost"] else None,
        cost_at=_read(body["cost_at"]),
    )


def _cost(row: Mapping[str, Any]) -> DrainCost:
    return DrainCost(
        begins_at=datetime.fromisoformat(row["begins_at"]),
        job_count=row["jobs"],
        node_count=row["nodes"],
        outside=row["outside"],
        lasting=row["lasting"],
        endless=row["endless"],
        over_at=_read(row["over_at"]),
        users=dict(row["users"]),
        longest=tuple(
            Job(
                id=job["id"],
                user=job["user"],
                state=job["state"],
                nodes=frozenset(job["nodes"]),
                ends_at=_read(job["ends_at"]),
                requeues=job["requeues"],
            )
            for job in row["longest"]
        ),
    )


def _say(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
