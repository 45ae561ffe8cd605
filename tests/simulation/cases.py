"""A small campaign of its own for each seed: of every rule, limit and word of consent a little."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from fermata.domain.campaign import (
    Campaign,
    DailyWindow,
    Fallout,
    FewestWindows,
    FinishByDeadline,
    Limit,
    LimitKind,
    Rolling,
    Where,
)
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
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.phases import GateTerms, OnFailure, Phases
from fermata.domain.policy import (
    Blocked,
    Conditions,
    Customer,
    Flighting,
    Freeze,
    Notice,
    Policy,
    PolicyRule,
    Scope,
    ScopeLevel,
    Stance,
    Verdict,
)
from fermata.domain.recurrence import Recurrence, RecurringWindow, Unit
from fermata.domain.updates import (
    NODE_TARGET,
    AppliesTo,
    Catalogue,
    Criticality,
    Duration,
    Impact,
    Isolation,
    IsolationBy,
    Requirement,
    Stage,
    StepDefaults,
    Update,
)
from fermata.domain.windows import local_to_utc

PER_RACK = 4
FLYING = range(40, 1_000_000, 3)  # seeds in which flights are approved: after those by which planted bugs are known
UNDOING = range(41, 1_000_000, 3)  # seeds in which updates of shared devices are rolled back
DAY = timedelta(days=1)
LUMEN, ORRERY = CustomerId("lumen"), CustomerId("orrery")  # the first blocks everything, the second has windows
CALENDARS = (  # the first day of a campaign and its zone: clocks go forward or back within the week, or stay
    (date(2026, 3, 6), "America/Los_Angeles"),
    (date(2026, 10, 30), "America/Los_Angeles"),
    (date(2026, 3, 27), "Europe/Paris"),
    (date(2026, 10, 23), "Europe/Paris"),
    (date(2026, 1, 5), "Asia/Kolkata"),
)
HOURS = ((time(11), time(19), time(20)), (time(22), time(6), time(7)), (time(0, 30), time(9), time(10)))
DEVICES = (("tor", "tor_os", DeviceScope.RACK), ("rack_manager", "rm_fw", DeviceScope.RACK),
           ("ib_leaf", "ib_fw", DeviceScope.SCALABLE_UNIT))  # fmt: skip
NODE_COMPONENTS = ("nic_fw", "host_os", "gpu_fw", "bmc_fw", "trial_fw", "rehearsal_fw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What an approver says before the campaign is planned."""

    scope: Scope
    verdict: Verdict
    terms: Terms


@dataclass(frozen=True, kw_only=True)
class SmallCase:
    """Everything that one seed starts from. `repairs`: nodes for which somebody opens a work order. `bad`: updates that
    some units do not take, as shares. `rolls_back`: operators and gates take updates of shared devices back.
    """

    seed: int
    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    campaign: Campaign
    words: tuple[Word, ...]
    repairs: tuple[NodeId, ...]
    now: datetime
    bad: Mapping[UpdateId, float] = field(default_factory=dict)
    rolls_back: bool = False


def make_case(seed: int, *, easy: bool = False) -> SmallCase:
    """Equal seeds give equal cases. `easy`: the same without what may leave a cluster no time at all."""
    dice = random.Random(f"case {seed}")
    first, zone = dice.choice(CALENDARS)
    now = local_to_utc(first, time(0), zone) - timedelta(hours=6)
    fleet = _make_fleet(dice, zone)
    largest = max(len(nodes) for nodes in fleet.nodes_by_cluster.values())
    case = SmallCase(
        seed=seed,
        fleet=fleet,
        catalogue=_make_catalogue(dice, now),
        policy=_make_policy(dice, fleet, first, zone, easy=easy),
        campaign=_make_campaign(dice, first, zone, largest),
        words=tuple(_say(dice, fleet, easy=easy)),
        repairs=tuple(dice.sample(sorted(fleet.nodes), dice.choice((0, 0, 1)))),
        now=now,
    )
    if seed in UNDOING:
        return _with_roll_backs(case, random.Random(f"roll-backs {seed}"))
    return _with_flights(case, random.Random(f"flights {seed}")) if seed in FLYING else case


def _with_roll_backs(case: SmallCase, dice: random.Random) -> SmallCase:
    """The same where gates roll back what fails, in half of the seeds with an update that many devices do not take."""
    names = sorted(u.id for u in case.catalogue.updates.values() if u.target != NODE_TARGET)
    bad = {dice.choice(names): 0.5} if names and dice.random() < 0.5 else {}
    phases = Phases(full=GateTerms(on_failure=OnFailure.ROLL_BACK))
    return replace(case, campaign=replace(case.campaign, phases=phases), bad=bad, rolls_back=True)


def _with_flights(case: SmallCase, dice: random.Random) -> SmallCase:
    """The same where customers try flights, on test nodes: a few are approved, some of them in vain."""
    flighting = Flighting(allowed_roles=frozenset({Role.TEST}), max_nodes=dice.randint(1, 3))
    customers = {name: replace(one, flighting=flighting) for name, one in case.policy.customers.items()}
    fit = sorted(name for name, node in case.fleet.nodes.items() if node.role is Role.TEST)
    words = [
        Word(
            scope=Scope(level=ScopeLevel.NODE, name=name),
            verdict=Verdict.APPROVED,
            terms=Terms(only=frozenset({UpdateId(dice.choice(("trial", "trial", "rehearsal")))})),
        )
        for name in dice.sample(fit, min(len(fit), dice.randint(2, 4)))
    ]
    policy = replace(case.policy, customers=customers)
    return replace(case, policy=policy, words=(*case.words, *words))


def _make_fleet(dice: random.Random, zone: str) -> Fleet:
    clusters: dict[ClusterId, Cluster] = {}
    nodes: dict[NodeId, Node] = {}
    devices: dict[DeviceId, Device] = {}
    for number in range(dice.randint(2, 4)):
        name = ClusterId(f"c{number}")
        clusters[name] = Cluster(
            name=name,
            supercomputer=SupercomputerId(f"sc{number // 2}"),
            customer=LUMEN if number < 2 else ORRERY,
            region="westus",
            geo="US" if number % 2 else "EU",
            timezone=zone,
            datacenter="dc",
            sku=dice.choice(("H100", "B200")),
            division=dice.choice(("applied", "research")),
            rolling_allowed=number > 0 and dice.random() < 0.5,
            single_placement_group=False,
        )
        for index in range(PER_RACK * dice.randint(2, 4)):
            node = _make_node(dice, name, index)
            nodes[node.name] = node
    for node in nodes.values():
        for kind, component, scope in DEVICES:
            place = node.rack if scope is DeviceScope.RACK else node.scalable_unit
            device = DeviceId(f"{place}-{kind}")
            devices[device] = Device(
                name=device,
                kind=kind,
                cluster=node.cluster,
                scope=scope,
                scope_id=place,
                component=component,
                version="1.0",
            )
    done = dice.sample(sorted(devices), len(devices) // 3)
    devices |= {name: replace(devices[name], version="2.0") for name in done}
    return Fleet(clusters=clusters, nodes=nodes, devices=devices)


def _make_node(dice: random.Random, cluster: ClusterId, index: int) -> Node:
    versions = {name: "1.0" if dice.random() < 0.9 else "2.0" for name in NODE_COMPONENTS}
    return Node(
        name=NodeId(f"{cluster}-n{index:02d}"),
        cluster=cluster,
        rack=RackId(f"{cluster}-r{index // PER_RACK}"),
        fault_domain=str(index % 4),
        scalable_unit=f"{cluster}-u{index // (2 * PER_RACK)}",
        role=Role.TEST if index % 5 == 0 else Role.PROD,
        workload="training",
        state=NodeState.OUT_OF_SERVICE if dice.random() < 0.05 else NodeState.IN_SERVICE,
        versions=versions,
    )


def _update(name: str, component: str, impact: Impact, now: datetime, **more: object) -> Update:
    fields: dict[str, object] = {
        "id": UpdateId(name),
        "title": name,
        "owner_team": TeamId("hosts" if more.get("target", "node") == "node" else "switches"),
        "target": "node",
        "component": component,
        "to_version": "2.0",
        "applies_to": AppliesTo(),
        "impact": impact,
        "impact_seconds": None,
        "criticality": Criticality.REGULAR,
        "stage": Stage.PRODUCTION_READY,
        "released_at": now - timedelta(days=84),  # customers may decline in the first days of the campaign
        "not_before": None,
        "duration_minutes": Duration(p50=10, p90=18),
    }
    return Update(**(fields | more))  # type: ignore[arg-type]


def _make_catalogue(dice: random.Random, now: datetime) -> Catalogue:
    by_domain = Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=dice.choice((1, 2)))
    by_share = Isolation(by=IsolationBy.PERCENT, at_once=dice.choice((25, 50)))
    conflicts = dice.choice(((), (UpdateId("nic"),)))
    updates = (
        _update("tor", "tor_os", Impact.IMPACTFUL, now, target="tor"),
        _update("manager", "rm_fw", Impact.IMPACTLESS, now, target="rack_manager"),
        _update("leaf", "ib_fw", Impact.IMPACTFUL, now, target="ib_leaf", conflicts_with=conflicts),
        _update("nic", "nic_fw", Impact.REBOOTFUL, now, requires=(Requirement(component="ib_fw", min_version="2.0"),)),
        _update("os", "host_os", Impact.REBOOTFUL, now, after=(UpdateId("nic"),), isolation=by_domain),
        _update("gpu", "gpu_fw", Impact.REBOOTFUL, now, isolation=by_share),
        _update("bmc", "bmc_fw", Impact.IMPACTLESS, now),
        _update("trial", "trial_fw", Impact.IMPACTFUL, now, stage=Stage.FLIGHT_READY),
        _update("rehearsal", "rehearsal_fw", Impact.IMPACTFUL, now, stage=Stage.FLIGHT_READY),
    )
    kept = dice.sample(updates[:7], dice.randint(3, 5))
    chosen = {update.id: update for update in (*kept, *updates[7:])}
    shorter = {
        name: replace(update, after=tuple(u for u in update.after if u in chosen),
                      conflicts_with=tuple(u for u in update.conflicts_with if u in chosen))
        for name, update in chosen.items()
    }  # fmt: skip
    return Catalogue(
        defaults=StepDefaults(
            drain_minutes=Duration(p50=5, p90=9),
            reboot_minutes=Duration(p50=6, p90=10),
            verify_minutes=Duration(p50=5, p90=8),
        ),
        team_limits={TeamId("hosts"): dice.choice((6, 12, 100, 100)), TeamId("switches"): dice.choice((1, 100))},
        updates=shorter,
    )


def _make_policy(dice: random.Random, fleet: Fleet, first: date, zone: str, *, easy: bool) -> Policy:
    lumen = Customer(
        id=LUMEN,
        deployments=Blocked.ALL,
        repairs=Blocked.ALL,
        except_criticality=frozenset(),
        flighting=Flighting(allowed_roles=frozenset(), max_nodes=0),
        approvers=("lumen-capacity",),
    )
    hours = RecurringWindow(
        id="any-night-or-day",
        start=datetime.combine(first - 2 * DAY, time(dice.choice((0, 10, 21)))),
        duration=timedelta(hours=dice.choice((10, 24))),
        zone=zone,
        recurrence=Recurrence(unit=Unit.DAY, every=1),
    )
    rule = PolicyRule(id="in-windows", stance=Stance.ALLOW_IN_WINDOWS, windows=(hours.id,))
    orrery = replace(
        lumen,
        id=ORRERY,
        deployments=dice.choice((Blocked.ALL, Blocked.IMPACTFUL)),
        approvers=("orrery-capacity",),
        rules=() if easy else dice.choice(((), (rule,))),
        windows=(hours,),
    )
    customers = {LUMEN: lumen, ORRERY: orrery}
    freezes = tuple(_freeze(dice, fleet, first, zone) for _ in range(dice.choice((0, 1))))
    return Policy(customers=customers, notice=Notice(), freezes=freezes)


def _freeze(dice: random.Random, fleet: Fleet, first: date, zone: str) -> Freeze:
    node = fleet.nodes[dice.choice(sorted(fleet.nodes))]
    start = local_to_utc(first + dice.randint(0, 2) * DAY, time(dice.randint(0, 23)), zone)
    return Freeze(
        id=FreezeId("freeze-planned"),
        customer=fleet.clusters[node.cluster].customer,
        scope=dice.choice((Scope(level=ScopeLevel.NODE, name=node.name), Scope(level=ScopeLevel.RACK, name=node.rack))),
        start=start,
        end=start + timedelta(hours=dice.randint(6, 40)),
        reason="a launch",
    )


def _make_campaign(dice: random.Random, first: date, zone: str, largest: int) -> Campaign:
    start, back_by, hard_stop = dice.choice(HOURS)
    limits = [Limit(what=LimitKind.NODES_OUT, at_once=largest + dice.randint(0, 12))]
    if dice.random() < 0.5:
        limits.append(Limit(what=LimitKind.CLUSTER_WINDOWS, at_once=dice.randint(1, 2)))
    if dice.random() < 0.3:
        limits.append(Limit(what=LimitKind.WHOLE_BIG_CLUSTERS, per_day=1))
    if dice.random() < 0.3:
        where = Where(conditions={"geo": frozenset({"US"})})
        limits.append(Limit(what=LimitKind.NODES_OUT, at_once=largest + 2, where=where))
    return Campaign(
        id=CampaignId("small"),
        title="Small",
        planned_as_of=None,
        scope=Where(),
        updates=None,
        timezone=zone,
        first_day=first,
        deadline=first + 3 * DAY,
        extension_until=first + 9 * DAY,
        daily_window=DailyWindow(start=start, back_in_service_by=back_by, hard_stop=hard_stop),
        weekends_staffed=True,
        avoid_weekdays=(),
        big_cluster_nodes=12,
        rolling=Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.6),
        limits=tuple(limits),
        preferences=(FinishByDeadline(), FewestWindows()),
        fallout=Fallout(fraction=0.03, mean_days_to_repair=0.4),
        return_threshold=dice.choice((0.8, 0.9, 0.95)),
    )


def _say(dice: random.Random, fleet: Fleet, *, easy: bool) -> Iterator[Word]:
    """Most is approved, a rack or a node of it withdrawn or declined again; some only so many a day."""
    for name in sorted({cluster.supercomputer for cluster in fleet.clusters.values()}):
        wide = Scope(level=ScopeLevel.SUPERCOMPUTER, name=name)
        yield Word(scope=wide, verdict=Verdict.APPROVED, terms=NO_TERMS)
    for name in sorted(fleet.clusters):
        racks = sorted({node.rack for node in fleet.nodes_by_cluster[name]})
        luck = dice.random()
        if luck < 0.15:
            yield Word(
                scope=Scope(level=ScopeLevel.RACK, name=dice.choice(racks)), verdict=Verdict.WITHDRAWN, terms=NO_TERMS
            )
        elif luck < 0.3:
            node = dice.choice(fleet.nodes_by_cluster[name]).name
            yield Word(scope=Scope(level=ScopeLevel.NODE, name=node), verdict=Verdict.WITHDRAWN, terms=NO_TERMS)
        elif luck < 0.45 and fleet.clusters[name].rolling_allowed and not easy:
            most = Conditions(nodes_per_day=len(fleet.nodes_by_cluster[name]) // 2)
            yield Word(
                scope=Scope(level=ScopeLevel.CLUSTER, name=name), verdict=Verdict.APPROVED, terms=Terms(conditions=most)
            )
