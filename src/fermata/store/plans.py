"""Plans as made, what was published when, and the inputs they were made from, kept by content."""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    insert,
    select,
)

from fermata.domain.fleet import Fleet
from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.observed import Observed
from fermata.domain.plans import ConsentBasis, Plan
from fermata.domain.workloads import WorkloadMap
from fermata.store.asking import ask_value
from fermata.store.codec import from_json, to_json
from fermata.store.cut_bodies import CUTS, cut_plan
from fermata.store.database import NotStored
from fermata.store.parts import Part, part_of
from fermata.store.schema import Sequence64, UtcTime, metadata

T = TypeVar("T")

_OBSERVED = "observed of the parent of "  # no SHA-256 looks like it
DOCUMENTS_KNOWN = 8  # plans and inputs, decoded: they never change, and whoever works on a run reads its own again...
KNOWN_MOST_BYTES = 2_000_000  # ...but those of much larger fleets would fill the memory of whoever read them once
ZLIB_LEVEL = 1  # 20,000 nodes in 0.1 s; the best level saves a third of 0.3 MB for ten times that

plan = Table(
    "plan",
    metadata,
    Column("id", String, primary_key=True),
    Column("parent", String, nullable=True),
    Column("campaign", String, nullable=False, index=True),
    Column("consent", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("unplanned", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
publication = Table(  # of a campaign, the one with the highest seq is in force
    "publication",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("campaign", String, nullable=False),
    Column("plan", ForeignKey("plan.id"), nullable=False, unique=True),
    Column("parent", String, nullable=False),  # "" for a campaign's first plan
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("campaign", "parent"),  # no two plans ever take the place of the same one
    sqlite_autoincrement=True,
)
snapshot = Table(
    "snapshot",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
BODY = select(plan.c.body).where(plan.c.id == bindparam("of_plan"))
_SNAPSHOT = select(snapshot.c.body).where(snapshot.c.sha256 == bindparam("of_sha"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """A plan without its windows. `published_at` None: it never was. `nodes` and `unplanned` count nodes."""

    id: PlanId
    parent: PlanId | None
    campaign: CampaignId
    consent: ConsentBasis
    created_at: datetime
    saved_at: datetime
    windows: int
    nodes: int
    unplanned: int
    published_at: datetime | None


def save_plan(conn: Connection, made: Plan, now: datetime) -> None:
    """Keeps a plan for good. A second plan of the same id is an IntegrityError: plans do not change."""
    conn.execute(
        insert(plan).values(
            id=made.id,
            parent=made.parent,
            campaign=made.campaign,
            consent=made.consent.value,
            created_at=made.created_at,
            saved_at=now,
            windows=len(made.windows),
            nodes=sum(len(window.nodes) for window in made.windows),
            unplanned=sum(len(left.nodes) for left in made.unplanned),
            body=to_json(made).decode(),
        )
    )


def load_plan(conn: Connection, plan_id: PlanId) -> Plan:
    """The plan of that id. Raises NotStored."""
    part = part_of(conn)
    if part is not None:
        return cut_plan(part.read(lambda whole: load_plan(whole, plan_id)), part)
    body = ask_value(conn, BODY, of_plan=plan_id)
    if body is None:
        raise NotStored("plan", plan_id)
    found: Plan = _known(Plan, body) if len(body) <= KNOWN_MOST_BYTES else _decode(Plan, body)
    return found


def list_plans(conn: Connection, campaign_id: CampaignId | None = None) -> tuple[PlanLine, ...]:
    """Plans, of one campaign or of all, in the order in which they were stored."""
    columns = [column for column in plan.c if column.name != "body"]
    joined = plan.outerjoin(publication, publication.c.plan == plan.c.id)
    query = select(*columns, publication.c.at.label("published_at")).select_from(joined)
    if campaign_id is not None:
        query = query.where(plan.c.campaign == campaign_id)
    rows = conn.execute(query.order_by(plan.c.saved_at, plan.c.id)).mappings()
    part = part_of(conn)
    return tuple(_to_line(row) if part is None else _count_own(_to_line(row), part) for row in rows)


def _count_own(line: PlanLine, part: Part) -> PlanLine:
    """The line of a plan for who sees a part of it."""
    own = cut_plan(part.read(lambda whole: load_plan(whole, line.id)), part)
    return replace(
        line,
        windows=len(own.windows),
        nodes=sum(len(window.nodes) for window in own.windows),
        unplanned=sum(len(left.nodes) for left in own.unplanned),
    )


def publish_plan(conn: Connection, plan_id: PlanId, now: datetime) -> None:
    """Puts a stored plan in force in the place of its parent. Raises IntegrityError when another one took it."""
    row = conn.execute(select(plan.c.campaign, plan.c.parent).where(plan.c.id == plan_id)).one()
    conn.execute(insert(publication).values(campaign=row.campaign, plan=plan_id, parent=row.parent or "", at=now))


def published_plan_id(conn: Connection, campaign_id: CampaignId) -> PlanId | None:
    """The id of the campaign's plan in force, or None."""
    of_campaign = select(publication.c.plan).where(publication.c.campaign == campaign_id)
    found: str | None = conn.execute(of_campaign.order_by(publication.c.seq.desc()).limit(1)).scalar()
    return None if found is None else PlanId(found)


def published_plan(conn: Connection, campaign_id: CampaignId) -> Plan | None:
    """The campaign's plan in force, or None."""
    plan_id = published_plan_id(conn, campaign_id)
    return None if plan_id is None else load_plan(conn, plan_id)


def save_snapshot(conn: Connection, sha: str, value: object) -> None:
    """Keeps an input under its hash; one that is kept already is not written again."""
    if conn.execute(select(snapshot.c.sha256).where(snapshot.c.sha256 == sha)).scalar() is None:
        conn.execute(insert(snapshot).values(sha256=sha, body=zlib.compress(to_json(value), ZLIB_LEVEL)))


def load_fleet_snapshot(conn: Connection, sha: str) -> Fleet:
    """The fleet whose `fleet_sha256` is `sha`, as it was when a plan was made for it. Raises NotStored."""
    return load_snapshot(conn, sha, Fleet)


def load_workloads_snapshot(conn: Connection, sha: str | None) -> WorkloadMap | None:
    """The workload map that a plan was made from, kept under `sha`; None for one made without, or for who sees a part
    of the fleet: services are the whole's.
    """
    return None if sha is None or part_of(conn) is not None else load_snapshot(conn, sha, WorkloadMap)


def load_snapshot(conn: Connection, sha: str, as_type: type[T]) -> T:
    """The input kept under `sha`. Raises NotStored, for who sees a part of the fleet of a kind that is not cut, too."""
    part = part_of(conn)
    if part is not None:
        if as_type not in CUTS:
            raise NotStored("snapshot", sha)
        own: T = CUTS[as_type](part.read(lambda whole: load_snapshot(whole, sha, as_type)), part)
        return own
    body = ask_value(conn, _SNAPSHOT, of_sha=sha)
    if body is None:
        raise NotStored("snapshot", sha)
    wanted: Any = as_type
    found: T = _known(wanted, body) if len(body) <= KNOWN_MOST_BYTES else _decode(as_type, body)
    return found


def _decode(as_type: type[T], body: str | bytes) -> T:
    return from_json(as_type, zlib.decompress(body) if isinstance(body, bytes) else body)


@lru_cache(maxsize=DOCUMENTS_KNOWN)
def _known(as_type: Any, body: str | bytes) -> Any:
    return _decode(as_type, body)


def save_observed(conn: Connection, plan_id: PlanId, observed: Observed) -> None:
    """Keeps what was observed of its parent when a plan was made: it is judged by that, not by what came later."""
    save_snapshot(conn, f"{_OBSERVED}{plan_id}", observed)


def load_observed(conn: Connection, plan_id: PlanId) -> Observed | None:
    """What a plan was made from beside its parent; None when nothing was observed of that."""
    try:
        return load_snapshot(conn, f"{_OBSERVED}{plan_id}", Observed)
    except NotStored:
        return None


def _to_line(row: RowMapping) -> PlanLine:
    return PlanLine(**{**row, "consent": ConsentBasis(row["consent"])})
