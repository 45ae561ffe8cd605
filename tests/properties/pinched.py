"""For every rule that the planner hears when it places windows: campaigns in which that rule alone is in the way."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tests.constraints import world as w
from tests.properties.hearing import local, make_plan
from tests.properties.trial_taken import ALL, MGR, NIC, make_entry
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Device, DeviceScope
from fermata.domain.ids import ClusterId, CustomerId, FreezeId, NodeId, ServiceId, TeamId
from fermata.domain.observed import Observed, Withdrawal
from fermata.domain.phases import ControlPhase, Phases
from fermata.domain.plans import Unplanned
from fermata.domain.policy import (
    NO_CONDITIONS,
    Conditions,
    ConsentEntry,
    Freeze,
    PolicyRule,
    Scope,
    ScopeLevel,
    Stance,
)
from fermata.domain.reasons import Code, reason
from fermata.domain.recurrence import RecurringWindow
from fermata.domain.updates import Impact, Update
from fermata.domain.workloads import Minimum, Service, WorkloadMap
from fermata.planning.inputs import PlanningInput

MONDAY = date(2026, 1, 5)
SATURDAY = date(2026, 1, 10)
AFTER_CLOCKS = date(2026, 3, 9)
HALF_DAY = b.make_update("nic", "nic_fw", 180, Impact.REBOOTFUL)  # a window of it takes more than half of the room
QUICK = b.make_update("nic", "nic_fw", 40, Impact.REBOOTFUL)
LEAF = b.make_update("leaf", "leaf_fw", 5, Impact.IMPACTFUL, target="leaf")
OUT = c.LimitKind.NODES_OUT
ORDERED = reason(Code.ORDER_FIRST, unit="a-r0-n00", order="wo_1", kind="repair", state="approved")


def pinch(
    *racks: tuple[int, ...],
    days: tuple[date, date] = (MONDAY, MONDAY),
    may_roll: bool = False,
    updates: tuple[Update, ...] = (HALF_DAY,),
    **campaign: Any,
) -> PlanningInput:
    """Clusters a, b, ... of these racks, all to be serviced on these days, from 11:00 to 19:00."""
    clusters = [b.make_cluster(name, rolling=may_roll) for name in "abc"[: len(racks)]]
    nodes = [node for cluster, sizes in zip(clusters, racks, strict=True) for node in b.make_nodes(cluster, sizes)]
    first, last = days
    made = b.make_campaign(first_day=first, deadline=last, extension_until=last, **{"big_cluster_nodes": 3, **campaign})
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(*updates), made)


def with_device(inputs: PlanningInput, device: Device) -> PlanningInput:
    return replace(inputs, fleet=replace(inputs.fleet, devices={device.name: device}))


def with_freeze(inputs: PlanningInput, frozen: Freeze) -> PlanningInput:
    return replace(inputs, policy=replace(inputs.policy, freezes=(frozen,)))


def with_team(inputs: PlanningInput, team: str, at_once: int) -> PlanningInput:
    return replace(inputs, catalogue=replace(inputs.catalogue, team_limits={TeamId(team): at_once}))


def freeze(level: ScopeLevel, name: str, start: datetime, end: datetime) -> Freeze:
    return Freeze(
        id=FreezeId("freeze-1"),
        customer=CustomerId("lumen"),
        scope=Scope(level=level, name=name),
        start=start,
        end=end,
        reason="training run",
    )


def shares(low: float, high: float) -> c.Rolling:
    return c.Rolling(min_fraction_per_day=low, max_fraction_per_day=high)


def hours(start: time, end: time) -> c.DailyWindow:
    return c.DailyWindow(start=start, back_in_service_by=end, hard_stop=end)


def with_unknown(inputs: PlanningInput) -> PlanningInput:
    """One node does not report its version."""
    first, *others = inputs.fleet.nodes.values()
    nodes = [replace(first, versions={"nic_fw": ""}), *others]
    return replace(inputs, fleet=b.make_fleet(list(inputs.fleet.clusters.values()), nodes))


def follow_nothing(inputs: PlanningInput) -> PlanningInput:
    """A re-plan of a plan without windows, a day before any can be told."""
    return replace(inputs, parent=make_plan(replace(inputs, now=b.NOW), ()))


def wait_for_word(inputs: PlanningInput) -> PlanningInput:
    """A re-plan of a plan that took back the time of every node."""
    why = reason(Code.CONSENT_AGAIN, window="a-1", start="then", hours=24, why="it was frozen.")
    left = Unplanned(cluster=ClusterId("a"), nodes=tuple(sorted(inputs.fleet.nodes)), reason=why)
    parent = replace(make_plan(inputs, ()), unplanned=(left,))
    return replace(inputs, parent=parent, now=local(SUNDAY, 9))


SUNDAY = MONDAY - timedelta(days=1)
WITHDREW = Withdrawal(scope=Scope(level=ScopeLevel.CLUSTER, name="a"), why="a launch")
BEFORE = (make_entry(1, Scope(level=ScopeLevel.CLUSTER, name="a"), ALL),)


def with_services(inputs: PlanningInput, *carried: str) -> PlanningInput:
    """Each cluster carries one service; all but idle keep all of their nodes and may move to it."""
    names = dict(zip("abc", (ServiceId(name) for name in carried), strict=False))
    services = {
        name: Service(
            id=name,
            service_class=name,
            rank=0,
            minimum={} if name == "idle" else {"US": Minimum(share=1.0)},
            moves_to=() if name == "idle" else (ServiceId("idle"),),
        )
        for name in names.values()
    }
    assigned = {node.name: names[node.cluster] for node in inputs.fleet.nodes.values()}
    return replace(inputs, workloads=WorkloadMap(services=services, assignments=assigned))


TUESDAY = MONDAY + timedelta(days=1)
TWO_DAYS = (MONDAY, TUESDAY)
FEW_FIRST = Phases(control=ControlPhase(max_fraction=0.06))  # one of nineteen or twenty nodes
NEXT_YEAR = local(date(2027, 1, 1), 0)
ALL_MONDAY = freeze(ScopeLevel.CLUSTER, "a", local(MONDAY, 0), local(TUESDAY, 0))
FOR_NODES = (make_entry(1, Scope(level=ScopeLevel.CLUSTER, name="a"), ALL - {MGR.id}),)
MANAGER = b.make_device("a", "mgr", "a-r0")
SWITCH = b.make_device("a", "leaf", "a-su0", scope=DeviceScope.SCALABLE_UNIT)


def by_itself(inputs: PlanningInput, first: datetime, last: datetime) -> PlanningInput:
    """Nobody approved anything, and the policy lets it go by itself between two times."""
    wall = first.astimezone(UTC).replace(tzinfo=None)
    window = RecurringWindow(id="once", start=wall, duration=last - first, zone="Etc/UTC")
    rule = PolicyRule(id="once", stance=Stance.ALLOW_IN_WINDOWS)
    customer = replace(w.customer(), rules=(rule,), windows=(window,))
    return replace(inputs, policy=replace(inputs.policy, customers={customer.id: customer}), ledger=())


def approved(conditions: Conditions, seq: int = 1, node: str = "") -> tuple[ConsentEntry, ...]:
    """The work is approved so, on that node or on all of cluster a."""
    scope = Scope(level=ScopeLevel.NODE, name=node) if node else Scope(level=ScopeLevel.CLUSTER, name="a")
    return (make_entry(seq, scope, frozenset({HALF_DAY.id}), conditions=conditions),)


PINCHED: Mapping[str, tuple[PlanningInput, ...]] = {
    "ALLOWED_WINDOWS": (
        by_itself(pinch((2,)), local(SUNDAY, 11), local(SUNDAY, 19)),
        by_itself(pinch((2,)), local(MONDAY, 11), local(MONDAY, 14)),
    ),
    "APPROVED_PER_DAY": (
        replace(pinch((3,)), ledger=approved(Conditions(nodes_per_day=2))),
        replace(pinch((3, 2), days=TWO_DAYS, may_roll=True), ledger=approved(Conditions(nodes_per_day=3))),
    ),
    "BIG_CLUSTERS_PER_DAY": (pinch((4,), (4,), limits=(c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=1),)),),
    "CAMPAIGN_DAYS": (with_freeze(pinch((2,)), ALL_MONDAY),),
    "CLUSTER_WINDOWS": (pinch((2,), (2,), (2,), limits=(c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1),)),),
    "COMPANIONS": (
        replace(
            pinch((2, 2), days=TWO_DAYS, may_roll=True, limits=(c.Limit(what=OUT, at_once=2),)),
            ledger=(
                *approved(NO_CONDITIONS),
                *approved(Conditions(with_scope=Scope(level=ScopeLevel.NODE, name="a-r1-n00")), 2, "a-r0-n00"),
            ),
        ),
    ),
    "CONSENT": (
        replace(pinch((2,), updates=(NIC,)), ledger=()),
        replace(with_device(pinch((2,), updates=(NIC, MGR)), MANAGER), ledger=FOR_NODES),
    ),
    "CONSENT_AGAIN": (wait_for_word(replace(pinch((2,), updates=(NIC,)), ledger=BEFORE)),),
    "CONTROL_FIRST": (
        pinch((1,), (9,), (9,), days=TWO_DAYS, phases=FEW_FIRST),
        pinch((2,), (9,), (9,), days=TWO_DAYS, phases=FEW_FIRST),
        pinch((1,), (9,), (9,), updates=(QUICK,), phases=FEW_FIRST),
    ),
    "DAILY_WINDOW": (
        pinch((2,), daily_window=hours(time(11), time(14))),
        pinch((2,), days=(AFTER_CLOCKS, AFTER_CLOCKS), daily_window=hours(time(11), time(14, 45))),
    ),
    "FREEZE": (
        with_freeze(pinch((2, 2)), freeze(ScopeLevel.RACK, "a-r1", b.NOW, NEXT_YEAR)),
        with_freeze(pinch((2,)), freeze(ScopeLevel.CLUSTER, "a", b.NOW, local(MONDAY, 16.5))),
    ),
    "NODES_IN_SCOPE": (pinch((2,), (2,), scope=c.Where(conditions={"cluster": frozenset({"a"})})),),
    "NODES_OUT": (pinch((3,), (3,), (3,), limits=(c.Limit(what=OUT, at_once=5),)),),
    "NODES_OUT_SHARE": (pinch((2,), (1,), limits=(c.Limit(what=OUT, at_once_fraction=0.5),)),),
    "NOT_BEFORE_NOW": (replace(pinch((2,)), now=local(MONDAY, 16)),),
    "PUBLISHED_KEPT": (follow_nothing(replace(pinch((2,)), now=local(SUNDAY, 16))),),
    "ROLLING_ALLOWED": (pinch((2, 2), days=TWO_DAYS, limits=(c.Limit(what=OUT, at_once=2),)),),
    "ROLLING_PART_SIZE": (
        pinch((3, 2), days=TWO_DAYS, may_roll=True, rolling=shares(0.2, 0.5), limits=(c.Limit(what=OUT, at_once=4),)),
        with_freeze(
            pinch(
                (1, 3), days=TWO_DAYS, may_roll=True, rolling=shares(0.5, 0.75), limits=(c.Limit(what=OUT, at_once=3),)
            ),
            freeze(ScopeLevel.RACK, "a-r1", b.NOW, local(TUESDAY, 0)),
        ),
    ),
    "SERVICE_CAPACITY": (
        with_services(pinch((1,)), "api"),
        with_services(pinch((2,), (1,), days=TWO_DAYS), "api", "idle"),
        with_services(pinch((2,), (2,), (2,), days=TWO_DAYS), "api", "chat", "idle"),
    ),
    "SHARED_DEVICE_WHOLE": (
        with_device(
            pinch(
                (2, 2),
                days=TWO_DAYS,
                may_roll=True,
                updates=(HALF_DAY, LEAF),
                limits=(c.Limit(what=OUT, at_once=2),),
            ),
            SWITCH,
        ),
    ),
    "TEAM_LIMIT": (with_team(pinch((3,), (3,), (3,)), "team-nic", 5),),
    "UNKNOWN_VERSION": (with_unknown(pinch((2,))),),
    "WORK_ORDERS": (replace(pinch((2,), (2,)), held={NodeId("a-r0-n00"): ORDERED}),),
    "WITHDRAWN_NODES": (replace(pinch((2,), (2,)), observed=Observed(withdrawn=(WITHDREW,))),),
    "WEEKENDS": (pinch((2,), days=(SATURDAY, SATURDAY), weekends_staffed=False),),
}
