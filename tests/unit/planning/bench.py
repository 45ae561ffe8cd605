"""A small fleet and catalogue to plan with: clusters of racks, each with a switch that drains it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from fermata.domain import campaign as c
from fermata.domain import policy as pol
from fermata.domain import updates as u
from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role
from fermata.domain.ids import (
    CampaignId,
    ClusterId,
    CustomerId,
    DeviceId,
    FreezeId,
    NodeId,
    RackId,
    SupercomputerId,
    TeamId,
    UpdateId,
)
from fermata.domain.plans import InputHashes, Plan
from fermata.planning.inputs import Infeasible, Planned, PlanningInput
from fermata.planning.planner import plan_campaign

HASHES = InputHashes(fleet="f", updates="u", policy="p", campaign="c")
NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)
OLD = "1.0"
NEW = "2.0"


def make_cluster(name: str, *, rolling: bool = False, division: str = "research", geo: str = "US") -> Cluster:
    return Cluster(
        name=ClusterId(name),
        supercomputer=SupercomputerId(f"sc-{name}"),
        customer=CustomerId("lumen"),
        region="westus",
        geo=geo,
        timezone="America/Los_Angeles",
        datacenter="dc1",
        sku="H100",
        division=division,
        rolling_allowed=rolling,
        single_placement_group=False,
    )


def make_nodes(
    cluster: Cluster, racks: Sequence[int], *, components: Sequence[str] = ("nic_fw",), domains: int = 5
) -> list[Node]:
    """Racks of so many nodes each; rack i stands in fault domain i modulo `domains`."""
    return [
        Node(
            name=NodeId(f"{cluster.name}-r{rack}-n{index:02}"),
            cluster=cluster.name,
            rack=RackId(f"{cluster.name}-r{rack}"),
            fault_domain=str(rack % domains),
            scalable_unit=f"{cluster.name}-su0",
            role=Role.PROD,
            workload="training",
            state=NodeState.IN_SERVICE,
            versions=dict.fromkeys(components, OLD),
        )
        for rack, size in enumerate(racks)
        for index in range(size)
    ]


def make_device(
    cluster: str, kind: str, scope_id: str, *, version: str = OLD, scope: DeviceScope = DeviceScope.RACK
) -> Device:
    return Device(
        name=DeviceId(f"{scope_id}-{kind}"),
        kind=kind,
        cluster=ClusterId(cluster),
        scope=scope,
        scope_id=scope_id,
        component=f"{kind}_fw",
        version=version,
    )


def make_fleet(clusters: Sequence[Cluster], nodes: Sequence[Node], devices: Sequence[Device] = ()) -> Fleet:
    return Fleet(
        clusters={x.name: x for x in clusters}, nodes={x.name: x for x in nodes}, devices={x.name: x for x in devices}
    )


def make_update(name: str, component: str, minutes: float, impact: u.Impact, **more: Any) -> u.Update:
    """An update of `component` on nodes, or with `target` on devices, by a team of its own unless told."""
    base = u.Update(
        id=UpdateId(name),
        title=name,
        owner_team=TeamId(f"team-{name}"),
        target="node",
        component=component,
        to_version=NEW,
        applies_to=u.AppliesTo(),
        impact=impact,
        impact_seconds=None,
        criticality=u.Criticality.REGULAR,
        stage=u.Stage.PRODUCTION_READY,
        released_at=NOW,
        not_before=None,
        duration_minutes=u.Duration(p50=minutes, p90=minutes * 1.1),
    )
    return replace(base, **more)


def make_catalogue(*updates: u.Update, teams: Mapping[str, int] | None = None) -> u.Catalogue:
    minutes = u.Duration(p50=5, p90=6)
    return u.Catalogue(
        defaults=u.StepDefaults(drain_minutes=minutes, reboot_minutes=minutes, verify_minutes=minutes),
        team_limits={TeamId(team): most for team, most in (teams or {}).items()},
        updates={update.id: update for update in updates},
    )


LONG_NIC = make_update("nic", "nic_fw", 250, u.Impact.REBOOTFUL)  # any two windows of a day overlap


def make_campaign(**changes: Any) -> c.Campaign:
    base = c.Campaign(
        id=CampaignId("small"),
        title="Small",
        planned_as_of=NOW,
        scope=c.Where(),
        updates=None,
        timezone="America/Los_Angeles",
        first_day=date(2026, 1, 5),
        deadline=date(2026, 1, 6),
        extension_until=date(2026, 1, 8),
        daily_window=c.DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        weekends_staffed=True,
        avoid_weekdays=(),
        big_cluster_nodes=6,
        rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.7),
        limits=(),
        preferences=(c.FinishByDeadline(), c.FewestWindows()),
        fallout=c.Fallout(fraction=0.0, mean_days_to_repair=2),
        return_threshold=0.95,
    )
    return replace(base, **changes)


def make_freeze(cluster: str, start: datetime, end: datetime) -> pol.Freeze:
    return pol.Freeze(
        id=FreezeId(f"freeze-{cluster}"),
        customer=CustomerId("lumen"),
        scope=pol.Scope(level=pol.ScopeLevel.CLUSTER, name=cluster),
        start=start,
        end=end,
        reason="training run",
    )


def make_inputs(
    fleet: Fleet, catalogue: u.Catalogue, campaign: c.Campaign, *freezes: pol.Freeze, **more: Any
) -> PlanningInput:
    policy = pol.Policy(customers={}, notice=pol.Notice(), freezes=freezes)
    base = PlanningInput(
        fleet=fleet, catalogue=catalogue, policy=policy, campaign=campaign, ledger=None, now=NOW, seed=1
    )
    return replace(base, **more)


def plan(inputs: PlanningInput) -> Planned | Infeasible:
    return plan_campaign(inputs, new_plan_id="plan_1", hashes=HASHES)


def planned(inputs: PlanningInput) -> Plan:
    outcome = plan(inputs)
    assert isinstance(outcome, Planned), outcome
    return outcome.plan
