"""A small campaign of one cluster a day that plans again by itself, and what became of it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path

from tests.simulation import small, stagehand

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import ClusterId
from fermata.domain.plans import Plan, Window
from fermata.domain.policy import Freeze, Scope, ScopeLevel
from fermata.domain.run_states import ReplanMode
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.services import replans as services
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import consent, plans, runs

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CLUSTERS = 3


def set_up(
    tmp_path: Path, mode: ReplanMode, *, faults: Faults = NO_FAULTS, seed: int = 1, deadline: date = date(2026, 1, 12)
) -> stagehand.Rig:
    """One cluster a day, on three days, from the planner itself."""
    found, updates = small.fleet(clusters=CLUSTERS, out_of_service=0), small.catalogue()
    one_a_day = Limit(what=LimitKind.WHOLE_BIG_CLUSTERS, per_day=1)
    of = replace(small.campaign(one_a_day), big_cluster_nodes=4, deadline=deadline)
    inputs = PlanningInput(
        fleet=found,
        catalogue=updates,
        policy=small.policy(),
        campaign=of,
        ledger=(small.approval(updates),),
        now=small.NOW - timedelta(minutes=30),
    )
    made = small.plan(found, updates, of)
    planned = plan_campaign(inputs, new_plan_id=made.id, hashes=made.inputs)
    assert isinstance(planned, Planned)
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(
        url, tmp_path, fleet=found, catalogue=updates, campaign=of, plan=planned.plan, faults=faults, seed=seed
    )
    with rig.database.begin() as conn:
        plans.save_snapshot(conn, made.inputs.campaign, of)
        plans.save_snapshot(conn, made.inputs.updates, updates)
    services.set_mode(rig.database, of.id, mode, now=small.NOW, actor="test")
    numbers = count(1)
    rig.replanner = services.StoreReplanner(rig.database, lambda kind: f"{kind}_again_{next(numbers)}")
    return rig


def freeze(rig: stagehand.Rig, cluster: str, start: datetime, end: datetime) -> None:
    scope = Scope(level=ScopeLevel.CLUSTER, name=cluster)
    with rig.database.begin() as conn:
        freeze = Freeze(
            id=small.FreezeId("frz"), customer=small.CUSTOMER, scope=scope, start=start, end=end, reason="training"
        )
        consent.add_freeze(conn, freeze)


def in_force(rig: stagehand.Rig) -> Plan:
    with rig.database.read() as conn:
        found = plans.published_plan(conn, small.CAMPAIGN)
    assert found is not None
    return found


def windows_of(plan: Plan, cluster: str) -> list[Window]:
    return [window for window in plan.windows if window.cluster == ClusterId(cluster)]


def rows(rig: stagehand.Rig) -> dict[str, small.WindowRun]:
    with rig.database.read() as conn:
        return {row.window: row for row in runs.load_windows(conn, rig.run)}
