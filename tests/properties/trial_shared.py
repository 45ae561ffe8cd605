"""Trial of rules that tell a capacity: plans of a few windows, thrown with seeded dice, under limits of every form and
with services that keep a minimum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from tests.constraints import world as w
from tests.properties.hearing import MINUTE, day_of, hear, local, make_judge, make_window
from tests.properties.trial_taken import make_entry
from tests.unit.planning import bench as b

from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.fleet import Node, Role
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, ServiceId, TeamId, UpdateId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Step, Window
from fermata.domain.policy import (
    NO_CONDITIONS,
    Blocked,
    Conditions,
    ConsentEntry,
    Notice,
    Policy,
    Scope,
    ScopeLevel,
)
from fermata.domain.updates import Impact
from fermata.domain.workloads import Minimum, Service, WorkloadMap
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Capacity, Resource, Taken, TeamUse, Use
from fermata.planning.inputs import PlanningInput

PLANS = 250
FIRST = date(2026, 1, 5)
DAYS = 3
CLUSTERS = tuple(b.make_cluster(name, geo=geo) for name, geo in (("a", "US"), ("b", "EU"), ("c", "US")))
SIZES = ((3, 2), (3,), (1, 1, 2))
BIG = 3  # so that a and c are big and b, with exactly as many, is not
US = Where(conditions={"geo": frozenset({"US"})})
TESTS = Where(conditions={"geo": frozenset({"US", "EU"}), "role": frozenset({"test"})})
OUT, WINDOWS, WHOLE = LimitKind.NODES_OUT, LimitKind.CLUSTER_WINDOWS, LimitKind.WHOLE_BIG_CLUSTERS
LIMITS = (
    (Limit(what=OUT, at_once=6), Limit(what=OUT, at_once=2, where=TESTS)),
    (Limit(what=OUT, at_once=4, where=US, first_day=FIRST + timedelta(days=1)),),
    (Limit(what=OUT, at_once_fraction=0.55),),  # 6 of 12
    (Limit(what=OUT, at_once_fraction=0.34, where=TESTS),),  # 1 of 5
    (Limit(what=WINDOWS, at_once=1, where=US), Limit(what=WINDOWS, at_once=2)),
    (Limit(what=WINDOWS, at_once=1, last_day=FIRST + timedelta(days=1)),),
    (Limit(what=WHOLE, per_day=1),),
    (Limit(what=WHOLE, per_day=0, where=US, first_day=FIRST, last_day=FIRST),),
)
NIC = b.make_update("nic", "nic_fw", 60, Impact.IMPACTFUL, owner_team=TeamId("hands"))
TOR = b.make_update("tor", "tor_fw", 60, Impact.IMPACTFUL, owner_team=TeamId("hands"), target="tor")
AGENT = b.make_update("agent", "agent", 5, Impact.IMPACTLESS)
CATALOGUE = b.make_catalogue(NIC, TOR, AGENT, b.make_update("os", "os", 60, Impact.IMPACTFUL), teams={"hands": 4})
POLICY = Policy(customers={CustomerId("lumen"): w.customer(Blocked.IMPACTFUL)}, notice=Notice(), freezes=())


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Plans, by number, that the rule's check and what it tells judge differently."""
    for setting, (limits, workloads, ledger) in enumerate(SETTINGS):
        campaign = b.make_campaign(limits=limits, big_cluster_nodes=BIG, first_day=FIRST)
        inputs = b.make_inputs(FLEET, CATALOGUE, campaign, workloads=workloads)
        inputs = replace(inputs, policy=POLICY, ledger=ledger)
        told = hear(encoder, inputs)
        judge = make_judge(encoder.code, inputs)
        assert isinstance(told, Capacity)
        dice = np.random.default_rng(setting)
        for number in range(PLANS):
            windows = list(throw_windows(dice))
            if is_borne(inputs, told, windows) == bool(judge(windows)):
                yield f"{setting}-{number}"


def make_nodes() -> Iterator[Node]:
    for cluster, sizes in zip(CLUSTERS, SIZES, strict=True):
        for number, node in enumerate(b.make_nodes(cluster, sizes)):
            yield replace(node, role=Role.TEST if number % 2 else Role.PROD)


FLEET = b.make_fleet(CLUSTERS, list(make_nodes()), [b.make_device("a", "tor", f"a-r{rack}") for rack in range(2)])


def map_services(*lent_to: str) -> WorkloadMap:
    """In the US three nodes each of api and chat, which keep two, and of idle, whose nodes carry for `lent_to`."""
    names = [ServiceId(name) for name in ("api", "chat", "idle")]
    carried = dict(zip(("a", "c"), ("api api idle chat chat", "api idle idle chat"), strict=True))
    return WorkloadMap(
        services={
            name: Service(
                id=name,
                service_class=name,
                rank=0,
                minimum={} if name == "idle" else {"US": Minimum(nodes=2)},
                moves_to=(ServiceId("idle"),) if name in lent_to else (),
            )
            for name in names
        },
        assignments={
            node.name: ServiceId(service)
            for cluster, services in carried.items()
            for node, service in zip(FLEET.nodes_by_cluster[ClusterId(cluster)], services.split(), strict=True)
        },
    )


def cap(seq: int, scope: Scope, most: int, *updates: str) -> ConsentEntry:
    """An approval of some of the work, of at most so many nodes a day."""
    return make_entry(
        seq, scope, frozenset(UpdateId(name) for name in updates), conditions=Conditions(nodes_per_day=most)
    )


LEDGERS = (
    (cap(1, Scope(level=ScopeLevel.CLUSTER, name="a"), 2, "nic", "os"),),
    (
        cap(1, Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-c"), 3, "nic"),
        cap(2, Scope(level=ScopeLevel.RACK, name="c-r2"), 1, "nic"),
        replace(cap(3, Scope(level=ScopeLevel.NODE, name="a-r0-n00"), 9, "nic"), conditions=NO_CONDITIONS),
    ),
    (cap(1, Scope(level=ScopeLevel.CLUSTER, name="a"), 1, "agent"),),  # which the policy lets through: no bound
)
SETTINGS: tuple[tuple[tuple[Limit, ...], WorkloadMap | None, tuple[ConsentEntry, ...] | None], ...] = (
    *((limits, None, None) for limits in LIMITS),
    ((), map_services("api"), None),
    ((), map_services("api", "chat"), None),
    *(((), None, ledger) for ledger in LEDGERS),
)


def throw_windows(dice: np.random.Generator) -> Iterator[Window]:
    """Some clusters, whole or in two parts, each window at some half hour of some day."""
    for cluster in CLUSTERS:
        nodes = FLEET.nodes_by_cluster[cluster.name]
        cut = int(dice.integers(len(nodes)))
        parts = [nodes[:cut], nodes[cut:]] if cut else [nodes]
        for number, members in enumerate(parts, start=1):
            if dice.random() < 0.8:
                yield throw_window(dice, f"{cluster.name}-{number}", members, (number, len(parts)))


def throw_window(dice: np.random.Generator, name: str, nodes: Sequence[Node], part: tuple[int, int]) -> Window:
    """One to three hours, with work of half an hour or more on its nodes or on a switch."""
    start = local(FIRST + timedelta(days=int(dice.integers(DAYS))), 11 + int(dice.integers(6)) / 2)
    at = start + 30 * MINUTE * int(dice.integers(2))
    end = at + 30 * MINUTE * int(dice.integers(1, 4))
    minutes = 60 * int(dice.integers(1, 4))
    step: Step = NodeApplyStep(update=NIC.id, batch=1, batches=1, nodes=len(nodes), start=at, end=end)
    if name.startswith("a") and dice.random() < 0.5:
        step = DeviceApplyStep(update=TOR.id, devices=(DeviceId("a-r0-tor"),), batch=1, batches=1, start=at, end=end)
    return make_window(name, nodes, start, minutes, part=part, steps=[step])


def is_borne(inputs: PlanningInput, told: Capacity, windows: Sequence[Window]) -> bool:
    """True when no resource runs out at the start of any use: the level is highest at one of these. What grows is
    looked at day by day, each with what the days before lend it.
    """
    uses = [(window, use) for window in windows for use in told.count(describe(inputs, window))]
    loans = [(window, loan) for window in windows for loan in told.lends(describe(inputs, window))]
    for index, resource in enumerate(told.resources):
        used = [(w, u) for w, u in uses if u.resource == index]
        if not resource.grows and count_use(inputs, resource, used) > resource.capacity:
            return False
        for day in {day_of(inputs, window.start) for window, _ in used} if resource.grows else ():
            lent = sum(x.units for w, x in loans if x.resource == index and day_of(inputs, w.start) < day)
            today = [(w, u) for w, u in used if day_of(inputs, w.start) == day]
            if count_use(inputs, resource, today) > resource.capacity + lent:
                return False
    return True


def count_use(inputs: PlanningInput, resource: Resource, uses: Sequence[tuple[Window, Use]]) -> int:
    """The most of a resource that is used on any day, or at any instant."""
    counted = [(w, u) for w, u in uses if resource.holds_on(day_of(inputs, w.start))]
    if resource.per_day:
        days = [day_of(inputs, window.start) for window, _ in counted]
        return max((sum(u.units for w, u in counted if day_of(inputs, w.start) == day) for day in days), default=0)
    spans = [(w.start + u.start * MINUTE, w.start + u.end * MINUTE, u.units) for w, u in counted]
    return max((sum(units for a, z, units in spans if a <= at < z) for at, _, _ in spans), default=0)


def describe(inputs: PlanningInput, window: Window) -> Taken:
    """The window as the planner describes one before it has a start."""
    uses: list[TeamUse] = []
    for step in window.steps:
        assert isinstance(step, NodeApplyStep | DeviceApplyStep)
        start, end = ((at - window.start) // MINUTE for at in (step.start, step.end))
        units = step.nodes if isinstance(step, NodeApplyStep) else len(step.devices)
        team = inputs.catalogue.updates[step.update].owner_team
        uses.append(TeamUse(team=team, start=start, end=end, units=units))
    return Taken(
        cluster=inputs.fleet.clusters[window.cluster],
        nodes=[inputs.fleet.nodes[name] for name in window.nodes],
        mode=window.mode,
        minutes=(window.end - window.start) // MINUTE,
        team_uses=uses,
    )
