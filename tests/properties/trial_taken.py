"""Trial of rules that tell what may be taken: every node of a small fleet alone in a window, under many ledgers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

from tests.properties.hearing import hear, local, make_judge, make_plan, make_window
from tests.unit.planning import bench as b

from fermata.domain.campaign import Where
from fermata.domain.fleet import Device, Node
from fermata.domain.ids import ApprovalId, CustomerId, DeviceId, NodeId, SupercomputerId, UpdateId
from fermata.domain.observed import Observed, Withdrawal
from fermata.domain.pending import find_pending, has_work
from fermata.domain.plans import DeviceApplyStep, Unplanned, Window
from fermata.domain.policy import (
    NO_CONDITIONS,
    Blocked,
    Conditions,
    ConsentEntry,
    Customer,
    Flighting,
    Notice,
    Policy,
    Scope,
    ScopeLevel,
    Verdict,
)
from fermata.domain.reasons import Code, reason
from fermata.domain.requests import request_id
from fermata.domain.updates import Impact
from fermata.planning.encoders import Encoder
from fermata.planning.encoding import Takes
from fermata.planning.inputs import PlanningInput

START = local(date(2026, 1, 5), 12)
CLUSTERS = (b.make_cluster("alpha"), b.make_cluster("beta", division="applied"))
NIC = b.make_update("nic", "nic_fw", 5, Impact.REBOOTFUL)
AGENT = b.make_update("agent", "agent", 5, Impact.IMPACTLESS)
TOR = b.make_update("tor", "tor_fw", 5, Impact.IMPACTFUL, target="tor")
MGR = b.make_update("mgr", "mgr_fw", 5, Impact.IMPACTLESS, target="mgr")
VERSIONS = ((b.OLD, b.OLD), (b.NEW, b.NEW), ("", b.NEW), (b.OLD, ""), (b.NEW, b.OLD), (b.NEW, b.NEW))
ALL = frozenset({NIC.id, AGENT.id, TOR.id, MGR.id})


def find_disagreements(encoder: Encoder) -> Iterator[str]:
    """Nodes and devices, by setting, that the rule's check and what it tells judge differently."""
    for setting, inputs in enumerate(settings()):
        told = hear(encoder, inputs)
        assert isinstance(told, Takes)
        windows = [*node_windows(inputs), *device_windows(inputs)]
        faulted = make_judge(encoder.code, inputs)(windows)
        pending = find_pending(inputs.fleet, inputs.catalogue)
        for window in windows:
            members = [inputs.fleet.nodes[name] for name in window.nodes]
            devices = [name for step in window.steps if isinstance(step, DeviceApplyStep) for name in step.devices]
            taken = frozenset(window.nodes)
            may_go = all(may_take(inputs, told, node, taken) for node in members) and not told.barred.keys() & set(
                devices
            )
            asks_work = encoder.code == "NODES_IN_SCOPE"  # that a node has work is domain's to say, not the rule's
            may_go = may_go and (not asks_work or all(has_work(inputs.fleet, pending, node) for node in members))
            if may_go == (window.id in faulted):
                yield f"{setting}-{window.id}"


def settings() -> Iterator[PlanningInput]:
    """Scopes of the campaign, what the customer blocks, and what is on record."""
    scopes = (Where(), Where(conditions={"division": frozenset({"applied"})}))
    for scope, blocked, ledger in product(scopes, (Blocked.ALL, Blocked.IMPACTFUL, Blocked.NONE), ledgers()):
        customer = Customer(
            id=CustomerId("lumen"),
            deployments=blocked,
            repairs=blocked,
            except_criticality=frozenset(),
            flighting=Flighting(allowed_roles=frozenset(), max_nodes=0),
            approvers=("lumen-capacity",),
        )
        policy = Policy(customers={customer.id: customer}, notice=Notice(), freezes=())
        fleet = b.make_fleet(CLUSTERS, list(make_nodes()), list(make_devices()))
        inputs = b.make_inputs(fleet, b.make_catalogue(NIC, AGENT, TOR, MGR), b.make_campaign(scope=scope))
        yield replace(inputs, policy=policy, ledger=ledger)
        if ledger:
            yield from re_plans(replace(inputs, policy=policy, ledger=ledger))


def re_plans(inputs: PlanningInput) -> Iterator[PlanningInput]:
    """A rack that was withdrawn, a node that a work order keeps, and a cluster that lost its time before and after the
    entries of the ledger.
    """
    ordered = reason(Code.ORDER_FIRST, unit="alpha-r0-n00", order="wo_1", kind="repair", state="approved")
    yield replace(inputs, held={NodeId("alpha-r0-n00"): ordered})
    withdrawal = Withdrawal(scope=Scope(level=ScopeLevel.RACK, name="alpha-r0"), why="a launch")
    yield replace(inputs, observed=Observed(withdrawn=(withdrawal,)))
    why = reason(Code.CONSENT_AGAIN, window="alpha-1", start="then", hours=24, why="it was frozen.")
    names = tuple(node.name for node in inputs.fleet.nodes_by_cluster[CLUSTERS[0].name])
    left = Unplanned(cluster=CLUSTERS[0].name, nodes=names, reason=why)
    for by in (timedelta(0), timedelta(minutes=-1)):
        parent = replace(make_plan(inputs, ()), unplanned=(left,), created_at=b.NOW + by)
        yield replace(inputs, parent=parent)


def ledgers() -> Iterator[tuple[ConsentEntry, ...] | None]:
    """None at all, nothing, a whole cluster, one with a node withdrawn, a rack without its switch, one update only."""
    cluster, rack = Scope(level=ScopeLevel.CLUSTER, name="alpha"), Scope(level=ScopeLevel.RACK, name="beta-r0")
    one = Scope(level=ScopeLevel.NODE, name="alpha-r0-n00")
    yield None
    yield ()
    yield (make_entry(1, cluster, ALL),)
    yield (make_entry(1, cluster, ALL), make_entry(2, one, ALL, Verdict.WITHDRAWN))
    yield (make_entry(1, rack, ALL - {TOR.id}), make_entry(2, cluster, ALL))
    yield (make_entry(1, rack, ALL), make_entry(2, cluster, frozenset({NIC.id})))
    beside = Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="alpha-r2"))
    yield (make_entry(1, cluster, ALL), make_entry(2, one, ALL, conditions=beside))
    yield (make_entry(1, cluster, ALL), make_entry(2, rack, ALL, conditions=Conditions(with_updates=ALL - {AGENT.id})))
    yield (make_entry(1, cluster, ALL), make_entry(2, one, frozenset({NIC.id}), Verdict.WITHDRAWN, is_part=True))
    yield (
        make_entry(1, cluster, ALL),
        make_entry(2, one, ALL, Verdict.DECLINED, until=b.NOW + timedelta(days=9)),
        make_entry(3, rack, ALL, Verdict.OFFERED),
    )


def make_entry(
    seq: int,
    scope: Scope,
    updates: frozenset[UpdateId],
    verdict: Verdict = Verdict.APPROVED,
    conditions: Conditions = NO_CONDITIONS,
    **more: Any,
) -> ConsentEntry:
    return ConsentEntry(
        seq=seq,
        id=ApprovalId(f"approval-{seq}"),
        request=request_id(SupercomputerId(f"sc-{scope.name.partition('-')[0]}")),
        incarnation=1,
        updates=updates,
        scope=scope,
        verdict=verdict,
        actor="lumen-capacity",
        at=b.NOW,
        reason="as asked",
        conditions=conditions,
        **more,
    )


def make_nodes() -> Iterator[Node]:
    for cluster in CLUSTERS:
        for node, (nic, agent) in zip(b.make_nodes(cluster, [2, 2, 2]), VERSIONS, strict=True):
            yield replace(node, versions={"nic_fw": nic, "agent": agent})


def make_devices() -> Iterator[Device]:
    for cluster in CLUSTERS:
        yield b.make_device(cluster.name, "tor", f"{cluster.name}-r0")
        yield b.make_device(cluster.name, "mgr", f"{cluster.name}-r1")
        yield b.make_device(cluster.name, "mgr", f"{cluster.name}-r2", version=b.NEW)


def node_windows(inputs: PlanningInput) -> Iterator[Window]:
    for node in inputs.fleet.nodes.values():
        yield make_window(node.name, [node], START, 60)
    for number, cut in product(range(2), (3, 4, 6)):
        members = inputs.fleet.nodes_by_cluster[CLUSTERS[number].name]
        yield make_window(f"{CLUSTERS[number].name}-{cut}", [members[0], *members[cut:]], START, 60)
        yield make_window(f"{CLUSTERS[number].name}-all-{cut}", members, START, 60)


def device_windows(inputs: PlanningInput) -> Iterator[Window]:
    """Work on a manager, in a window of a node of another rack: only consent for the device is then asked."""
    for cluster in CLUSTERS:
        step = DeviceApplyStep(
            update=MGR.id,
            devices=(DeviceId(f"{cluster.name}-r1-mgr"),),
            batch=1,
            batches=1,
            start=START,
            end=START,
        )
        node = inputs.fleet.nodes[NodeId(f"{cluster.name}-r2-n01")]
        yield make_window(f"{cluster.name}-mgr", [node], START, 60, steps=[step])


def may_take(inputs: PlanningInput, told: Takes, node: Node, taken: frozenset[NodeId]) -> bool:
    """True when what the rule tells lets the node go in a window of these."""
    companions = told.companions.get(node.name, frozenset())
    return told.covers(inputs.fleet.clusters[node.cluster]) and node.name not in told.blocked and companions <= taken
