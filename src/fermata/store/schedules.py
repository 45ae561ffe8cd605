"""The published schedule of all campaigns, from the plans as they were published and from what became of windows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from sys import intern
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from fermata.domain.ids import CampaignId, ClusterId, CustomerId, NodeId, PlanId, WindowId
from fermata.domain.plans import Window
from fermata.domain.run_states import WindowState
from fermata.domain.schedule import WITHDRAWN, Edition, Ended, Scheduled, fold_schedule
from fermata.store import inventory, plans, runs

_EDITIONS: WeakKeyDictionary[Engine, dict[PlanId, Edition]] = WeakKeyDictionary()  # plans never change


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Of a cluster, what a calendar needs."""

    customer: CustomerId
    timezone: str


def list_sites(conn: Connection) -> dict[ClusterId, Site]:
    """Every cluster."""
    table = inventory.cluster
    rows = conn.execute(select(table.c.name, table.c.customer, table.c.timezone).order_by(table.c.name))
    return {ClusterId(row.name): Site(customer=CustomerId(row.customer), timezone=row.timezone) for row in rows}


def load_schedule(conn: Connection) -> tuple[Scheduled, ...]:
    """Every window that was ever published, by its start."""
    table = plans.publication
    editions: dict[CampaignId, list[Edition]] = {}
    for row in conn.execute(select(table.c.campaign, table.c.plan, table.c.at).order_by(table.c.seq)).all():
        known = _EDITIONS.setdefault(conn.engine, {})
        plan = PlanId(row.plan)
        if plan not in known:
            windows = tuple(_cut(window) for window in plans.load_plan(conn, plan).windows)
            known[plan] = Edition(plan=plan, at=row.at, windows=windows)
        editions.setdefault(CampaignId(row.campaign), []).append(known[plan])
    found = [each for name, of in editions.items() for each in fold_schedule(name, of, _ended(conn, name))]
    return tuple(sorted(found, key=lambda each: (each.start, each.cluster, each.window)))


def _cut(window: Window) -> Window:
    """Without what no calendar shows; names of nodes are shared by all plans that have them."""
    return replace(window, steps=(), nodes=tuple(NodeId(intern(name)) for name in window.nodes))


def _ended(conn: Connection, campaign: CampaignId) -> Mapping[WindowId, Ended]:
    """Windows that do not take place, as the last run that has them says."""
    table = runs.window_run
    query = select(table.c.window, table.c.state, table.c.closed_at, table.c.planned_start).join(runs.run)
    query = query.where(runs.run.c.campaign == campaign).order_by(runs.run.c.started_at)
    last = {WindowId(row.window): row for row in conn.execute(query)}
    return {
        name: Ended(state=WindowState(row.state), at=row.closed_at or row.planned_start)
        for name, row in last.items()
        if WindowState(row.state) in WITHDRAWN
    }
