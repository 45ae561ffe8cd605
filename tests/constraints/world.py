"""A small scenario and a hand-made valid plan for it, independent of the planner, for tests that spoil it.

alpha (6 nodes, 2 racks) and gamma (6 nodes, big like alpha) are taken whole, beta (10 nodes, 5 racks) is rolled in
three parts, omega is out of scope. Top-of-rack switches of alpha and beta drain; managers do not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from fermata.domain import campaign as c
from fermata.domain import plans as p
from fermata.domain import policy as pol
from fermata.domain import updates as u
from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, NodeState, Role
from fermata.domain.ids import (
    CampaignId,
    ClusterId,
    CustomerId,
    DeviceId,
    NodeId,
    PlanId,
    RackId,
    SupercomputerId,
    TeamId,
    UpdateId,
    WindowId,
)
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.reasons import Code, Reason
from fermata.planning.checker import build_case, check_plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.scores import score

NOW = datetime(2026, 1, 2, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STAGES = ("tor-os", "mgr", "nic", "reboot", "os", "gpu", "reboot", "agent")
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (datetime(2026, 1, day, 19, tzinfo=UTC) for day in (5, 6, 7, 8))


def cluster(name: str, *, sku: str = "H100", division: str = "applied", rolling: bool = False) -> Cluster:
    return Cluster(
        name=ClusterId(name),
        supercomputer=SupercomputerId(f"sc-{name}"),
        customer=CustomerId("lumen"),
        region="westus",
        geo="EU" if name == "gamma" else "US",
        timezone="America/Los_Angeles",
        datacenter="dc1",
        sku=sku,
        division=division,
        rolling_allowed=rolling,
        single_placement_group=False,
    )


def node(cluster_name: str, index: int, per_rack: int, **versions: str) -> Node:
    rack = f"{cluster_name}-r{index // per_rack}"
    return Node(
        name=NodeId(f"{cluster_name}-n{index:02}"),
        cluster=ClusterId(cluster_name),
        rack=RackId(rack),
        fault_domain=str(index % 2),
        scalable_unit=f"{cluster_name}-su0",
        role=Role.PROD,
        workload="api" if index % 2 else "training",
        state=NodeState.IN_SERVICE,
        versions={"nic_fw": "1.0", "host_os": "1.0", "gpu_fw": "1.0", "agent": "1.0", **versions},
    )


def device(kind: str, cluster_name: str, scope: DeviceScope, scope_id: str, version: str) -> Device:
    return Device(
        name=DeviceId(f"{scope_id}-{kind}"),
        kind=kind,
        cluster=ClusterId(cluster_name),
        scope=scope,
        scope_id=scope_id,
        component="tor_os" if kind == "tor" else "mgr_fw",
        version=version,
    )


def fleet() -> Fleet:
    clusters = [
        cluster("alpha"),
        cluster("beta", rolling=True),
        cluster("gamma", division="research"),
        cluster("omega", sku="A100"),
    ]
    nodes = [node("alpha", i, 3) for i in range(6)]
    nodes += [node("beta", i, 2) for i in range(10)]
    nodes += [node("gamma", i, 3, nic_fw="2.0" if i == 5 else "1.0") for i in range(6)]
    nodes += [node("omega", 0, 3)]
    devices = [device("tor", "alpha", DeviceScope.RACK, f"alpha-r{i}", "4.9") for i in range(2)]
    devices += [device("tor", "beta", DeviceScope.RACK, f"beta-r{i}", "4.9") for i in range(5)]
    devices += [device("tor", "omega", DeviceScope.RACK, "omega-r0", "4.11")]
    devices += [device("tor", "gamma", DeviceScope.RACK, f"gamma-r{i}", "4.11") for i in range(2)]
    devices += [device("mgr", "alpha", DeviceScope.RACK, f"alpha-r{i}", "1.0") for i in range(2)]
    devices += [device("mgr", "beta", DeviceScope.CLUSTER, "beta", "1.0")]
    return Fleet(
        clusters={x.name: x for x in clusters}, nodes={x.name: x for x in nodes}, devices={x.name: x for x in devices}
    )


def with_versions(changed: Fleet, name: str, **versions: str) -> Fleet:
    """The fleet in which one node reports other versions."""
    old = changed.nodes[NodeId(name)]
    nodes = {**changed.nodes, old.name: replace(old, versions={**old.versions, **versions})}
    return Fleet(clusters=changed.clusters, nodes=nodes, devices=changed.devices)


def update(name: str, target: str, component: str, minutes: float, impact: u.Impact, **more: Any) -> u.Update:
    return u.Update(
        id=UpdateId(name),
        title=name,
        owner_team=TeamId(f"team-{name}"),
        target=target,
        component=component,
        to_version="4.11" if component == "tor_os" else "2.0",
        applies_to=u.AppliesTo(),
        impact=impact,
        impact_seconds=None,
        criticality=u.Criticality.REGULAR,
        stage=u.Stage.PRODUCTION_READY,
        released_at=NOW,
        not_before=None,
        duration_minutes=u.Duration(p50=minutes, p90=2 * minutes),
        **more,
    )


def catalogue() -> u.Catalogue:
    reboot = u.Impact.REBOOTFUL
    needs_tor = (u.Requirement(component="tor_os", min_version="4.11"),)
    by_domain = u.Isolation(by=u.IsolationBy.FAULT_DOMAIN, at_once=1)
    by_half = u.Isolation(by=u.IsolationBy.PERCENT, at_once=50)
    updates = [
        update("nic", "node", "nic_fw", 5, reboot, requires=needs_tor),
        update("os", "node", "host_os", 4, reboot, after=(UpdateId("nic"),), isolation=by_domain),
        update("gpu", "node", "gpu_fw", 3, reboot, isolation=by_half, conflicts_with=(UpdateId("tor-os"),)),
        update("agent", "node", "agent", 1, u.Impact.IMPACTLESS),
        update("tor-os", "tor", "tor_os", 2, u.Impact.IMPACTFUL),
        update("mgr", "mgr", "mgr_fw", 2, u.Impact.IMPACTLESS),
    ]
    return u.Catalogue(
        defaults=u.StepDefaults(
            drain_minutes=u.Duration(p50=2, p90=4),
            reboot_minutes=u.Duration(p50=3, p90=4),
            verify_minutes=u.Duration(p50=2, p90=4),
        ),
        team_limits={TeamId(f"team-{x.id}"): 20 for x in updates},
        updates={x.id: x for x in updates},
    )


def campaign(**changes: Any) -> c.Campaign:
    built = c.Campaign(
        id=CampaignId("small"),
        title="Small",
        planned_as_of=NOW,
        scope=c.Where(conditions={"sku": frozenset({"H100"})}),
        updates=None,
        timezone="America/Los_Angeles",
        first_day=date(2026, 1, 3),
        deadline=date(2026, 1, 7),
        extension_until=date(2026, 1, 12),
        daily_window=c.DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        weekends_staffed=True,
        avoid_weekdays=(4,),
        big_cluster_nodes=5,
        rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.4),
        limits=(),
        preferences=(
            c.FinishByDeadline(),
            c.FewestWindows(),
            c.OrderClasses(classes=("big research", "big applied")),
            c.SpreadEvenly(where=c.Where(), over="geo"),
            c.AvoidWeekday(weekday=4),
        ),
        fallout=c.Fallout(fraction=0.01, mean_days_to_repair=2),
        return_threshold=0.95,
    )
    return replace(built, **changes)


def customer(blocked: pol.Blocked = pol.Blocked.ALL) -> pol.Customer:
    flighting = pol.Flighting(allowed_roles=frozenset(), max_nodes=0)
    return pol.Customer(
        id=CustomerId("lumen"),
        deployments=blocked,
        repairs=blocked,
        except_criticality=frozenset(),
        flighting=flighting,
        approvers=("lumen-capacity",),
    )


def scenario(**changes: Any) -> PlanningInput:
    policy = pol.Policy(customers={CustomerId("lumen"): customer()}, notice=pol.Notice(), freezes=())
    built = PlanningInput(
        fleet=fleet(), catalogue=catalogue(), policy=policy, campaign=campaign(), ledger=None, now=NOW
    )
    return replace(built, **changes)


def names(inputs: PlanningInput, cluster_name: str) -> list[NodeId]:
    return [x.name for x in inputs.fleet.nodes_by_cluster[ClusterId(cluster_name)]]


def window(
    inputs: PlanningInput,
    window_id: str,
    nodes: Iterable[str],
    start: datetime,
    *,
    part: tuple[int, int] | None = None,
    stages: Sequence[str] = STAGES,
) -> p.Window:
    """One step after the other in the order of `stages`; a manager of the whole cluster goes with part 1."""
    members = tuple(sorted(inputs.fleet.nodes[NodeId(name)].name for name in nodes))
    pending = find_pending(inputs.fleet, inputs.catalogue)
    steps: list[p.Step] = [p.DrainStep(start=start, end=start + 2 * MINUTE)]
    applied: list[UpdateId] = []
    for stage in stages:
        steps += _stage(inputs, pending, members, stage, steps, first_part=part is None or part[0] == 1)
    for step in steps:
        if isinstance(step, p.NodeApplyStep | p.DeviceApplyStep) and step.update not in applied:
            applied.append(step.update)
    end = steps[-1].end + 2 * MINUTE
    steps.append(p.VerifyStep(start=steps[-1].end, end=end))
    return p.Window(
        id=WindowId(window_id),
        cluster=inputs.fleet.nodes[members[0]].cluster,
        mode=p.Mode.WHOLE if part is None else p.Mode.ROLLING,
        part=part[0] if part else 1,
        parts=part[1] if part else 1,
        start=start,
        end=end + MINUTE,
        nodes=members,
        updates=tuple(applied),
        steps=tuple(steps),
        reboots_per_node=sum(isinstance(step, p.RebootStep) for step in steps),
        end_confidence=0.9,
    )


def _stage(
    inputs: PlanningInput,
    pending: FleetPending,
    members: Sequence[NodeId],
    stage: str,
    done: list[p.Step],
    *,
    first_part: bool,
) -> list[p.Step]:
    at = done[-1].end
    nodes = [inputs.fleet.nodes[name] for name in members]
    if stage == "reboot":
        last = max((i for i, s in enumerate(done) if isinstance(s, p.RebootStep)), default=-1)
        waiting = [s.update for s in done[last + 1 :] if isinstance(s, p.NodeApplyStep)]
        waiting = [x for x in dict.fromkeys(waiting) if inputs.catalogue.updates[x].needs_reboot]
        count = sum(any(d.update.id in waiting for d in pending.of_node(n).due) for n in nodes)
        return [p.RebootStep(nodes=count, activates=tuple(waiting), start=at, end=at + 3 * MINUTE)]
    item = inputs.catalogue.updates[UpdateId(stage)]
    length = MINUTE * item.duration_minutes.p50
    if item.target != "node":
        behind = {d.name: d for n in nodes for d in inputs.fleet.devices_of(n)}.values()
        due = [d for d in behind if any(x.update is item for x in pending.of_device(d).due)]
        due = [d for d in due if first_part or d.scope is not DeviceScope.CLUSTER]
        if not due:
            return []
        taken = tuple(sorted(d.name for d in due))
        return [p.DeviceApplyStep(update=item.id, devices=taken, batch=1, batches=1, start=at, end=at + length)]
    sizes = _sizes(item, [n for n in nodes if any(x.update is item for x in pending.of_node(n).due)], len(nodes))
    return [
        p.NodeApplyStep(
            update=item.id,
            batch=i + 1,
            batches=len(sizes),
            nodes=size,
            start=at + i * length,
            end=at + (i + 1) * length,
        )
        for i, size in enumerate(sizes)
    ]


def _sizes(item: u.Update, nodes: Sequence[Node], total: int) -> list[int]:
    match item.isolation.by:
        case u.IsolationBy.NONE:
            return [len(nodes)]
        case u.IsolationBy.FAULT_DOMAIN:
            domains = sorted({n.fault_domain for n in nodes})
            return [sum(n.fault_domain == domain for n in nodes) for domain in domains]
        case u.IsolationBy.PERCENT:
            most = max(1, total * item.isolation.at_once // 100)
            return [min(most, len(nodes) - i) for i in range(0, len(nodes), most)]


def windows(inputs: PlanningInput) -> list[p.Window]:
    beta = names(inputs, "beta")
    return [
        window(inputs, "w-alpha", names(inputs, "alpha"), MONDAY),
        window(inputs, "w-beta-1", beta[:4], TUESDAY, part=(1, 3)),
        window(inputs, "w-beta-2", beta[4:8], WEDNESDAY, part=(2, 3)),
        window(inputs, "w-beta-3", beta[8:], THURSDAY, part=(3, 3)),
        window(inputs, "w-gamma", names(inputs, "gamma"), TUESDAY + timedelta(hours=1)),
    ]


def plan(inputs: PlanningInput, made: Iterable[p.Window], unplanned: tuple[p.Unplanned, ...] = ()) -> p.Plan:
    """A plan of these windows whose objective states what the windows give."""
    built = p.Plan(
        id=PlanId("plan_1"),
        parent=None,
        campaign=inputs.campaign.id,
        created_at=NOW,
        inputs=p.InputHashes(fleet="f", updates="u", policy="p", campaign="c"),
        consent=p.ConsentBasis.ASSUMED if inputs.ledger is None else p.ConsentBasis.RECORDED,
        windows=tuple(made),
        unplanned=unplanned,
        objective=(),
        solver=p.SolverNote(status="optimal", seconds=0.1, seed=1),
    )
    return scored(inputs, built)


def scored(inputs: PlanningInput, built: p.Plan) -> p.Plan:
    case = build_case(inputs)
    terms = [
        p.ObjectiveTerm(term=x.term, value=score(case, built, x), bound=0) for x in case.inputs.campaign.preferences
    ]
    return replace(built, objective=tuple(terms))


def swap(made: Sequence[p.Window], *changed: p.Window) -> list[p.Window]:
    """`made` with the windows of the same ids replaced."""
    by_id = {x.id: x for x in changed}
    return [by_id.get(x.id, x) for x in made]


def move(moved: p.Window, by: timedelta) -> p.Window:
    """The window and all its steps, later by `by`."""
    steps = tuple(replace(step, start=step.start + by, end=step.end + by) for step in moved.steps)
    return replace(moved, start=moved.start + by, end=moved.end + by, steps=steps)


def faults(inputs: PlanningInput, built: p.Plan) -> set[str]:
    return {violation.rule for violation in check_plan(inputs, built)}


def edit(changed: p.Window, pick: Callable[[p.Step], bool], **fields: Any) -> p.Window:
    """The window with `fields` replaced in every step that `pick` takes."""
    steps = tuple(replace(step, **fields) if pick(step) else step for step in changed.steps)
    assert steps != changed.steps
    return replace(changed, steps=steps)


def shift(changed: p.Window, pick: Callable[[p.Step], bool], by: timedelta) -> p.Window:
    """The window with every step that `pick` takes later by `by`."""
    steps = (replace(s, start=s.start + by, end=s.end + by) if pick(s) else s for s in changed.steps)
    return replace(changed, steps=tuple(steps))


def drop(changed: p.Window, pick: Callable[[p.Step], bool]) -> p.Window:
    """The window without the steps that `pick` takes, and without their updates."""
    steps = tuple(step for step in changed.steps if not pick(step))
    left = {s.update for s in steps if isinstance(s, p.NodeApplyStep | p.DeviceApplyStep)}
    return replace(changed, steps=steps, updates=tuple(name for name in changed.updates if name in left))


def applies(update: str, batch: int | None = None) -> Callable[[p.Step], bool]:
    """Takes the steps of `update`, of all batches or of one."""

    def pick(step: p.Step) -> bool:
        of_update = isinstance(step, p.NodeApplyStep | p.DeviceApplyStep) and step.update == update
        return of_update and batch in (None, getattr(step, "batch", None))

    return pick


def unplanned(inputs: PlanningInput, nodes: Iterable[str], code: Code, of: str | None = None) -> p.Unplanned:
    """These nodes, of one cluster (or of the one claimed), left out for `code`."""
    members = tuple(NodeId(name) for name in nodes)
    owner = ClusterId(of) if of else inputs.fleet.nodes[members[0]].cluster
    return p.Unplanned(cluster=owner, nodes=members, reason=Reason(code=code, sentence="As it is."))
