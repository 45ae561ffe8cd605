"""What the store holds, for looking up: imports, plans and the journal. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.operations import Run
from fermata.domain.plans import Plan
from fermata.services.errors import refusing_unknown
from fermata.store import inventory, journal, plans, runs
from fermata.store.database import Database, NotStored
from fermata.store.journal import Entry
from fermata.store.plans import PlanLine

__all__ = [
    "CampaignLine",
    "Entry",
    "ImportsLine",
    "PlanLine",
    "find_plan",
    "list_imports",
    "list_plans",
    "look_back",
    "read_journal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLine:
    """One campaign and the plan in force for it, if any."""

    id: CampaignId
    title: str
    plan: PlanId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportsLine:
    """What was imported so far. `missing` names the inputs that are still needed before a plan can be made."""

    fleet: Mapping[str, int]
    updates: int
    policy_customers: int
    freezes: int
    campaigns: tuple[CampaignLine, ...]
    missing: tuple[str, ...]


def list_imports(db: Database) -> ImportsLine:
    """Counts of everything imported."""
    with db.read() as conn:
        fleet = inventory.count_units(conn)
        campaigns = inventory.list_campaigns(conn)
        in_force = {campaign.id: plans.published_plan_id(conn, campaign.id) for campaign in campaigns}
        try:
            updates = len(inventory.load_catalogue(conn).updates)
        except NotStored:
            updates = 0
        try:
            policy = inventory.load_policy(conn)
        except NotStored:
            policy = None
    have = {
        "fleet": bool(fleet["nodes"]),
        "updates": bool(updates),
        "policy": bool(policy),
        "campaign": bool(campaigns),
    }
    return ImportsLine(
        fleet=fleet,
        updates=updates,
        policy_customers=len(policy.customers) if policy else 0,
        freezes=len(policy.freezes) if policy else 0,
        campaigns=tuple(CampaignLine(id=c.id, title=c.title, plan=in_force[c.id]) for c in campaigns),
        missing=tuple(noun for noun, there in have.items() if not there),
    )


def list_campaigns(db: Database) -> tuple[Campaign, ...]:
    """All campaigns, by first day, then id."""
    with db.read() as conn:
        return inventory.list_campaigns(conn)


def find_campaign(db: Database, name: CampaignId) -> Campaign:
    """One campaign. Raises Refusal for an unknown one."""
    with refusing_unknown(), db.read() as conn:
        return inventory.load_campaign(conn, name)


def list_plans(db: Database, campaign: CampaignId | None = None) -> tuple[PlanLine, ...]:
    """Plans in the order in which they were stored."""
    with db.read() as conn:
        return plans.list_plans(conn, campaign)


def find_plan(db: Database, plan_id: PlanId) -> Plan:
    """A whole plan. Raises Refusal for an unknown one."""
    with refusing_unknown(), db.read() as conn:
        return plans.load_plan(conn, plan_id)


def find_run(db: Database, campaign: CampaignId) -> Run | None:
    """The campaign's newest run, over or not; None before the first."""
    with db.read() as conn:
        return runs.latest_run(conn, campaign)


def look_back(db: Database, *, before: int | None, limit: int, subject: str | None) -> tuple[Entry, ...]:
    """The last lines, or those before that seq, the newest first."""
    with db.read() as conn:
        return journal.read_latest(conn, subject, limit, before_seq=before)


def read_journal(db: Database, *, after: int, limit: int, subject: str | None) -> tuple[Entry, ...]:
    """Lines after that seq, oldest first."""
    with db.read() as conn:
        return journal.read(conn, after, limit, subject)
