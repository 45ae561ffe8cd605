"""What the planner takes is the largest set of nodes that may go together, found by trying every set there is."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.trial_taken import ALL, make_entry
from tests.unit.planning import bench as b

from fermata.domain.fleet import Device, DeviceScope, Node
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Impact, Requirement
from fermata.planning.inputs import PlanningInput
from fermata.planning.scope import find_scope

pytestmark = pytest.mark.timeout(300)  # every plan there is: a busy machine needs minutes

NIC = b.make_update("nic", "nic_fw", 5, Impact.REBOOTFUL)
TOR = b.make_update("tor", "tor_fw", 5, Impact.IMPACTFUL, target="tor")
LEAF = b.make_update("leaf", "leaf_fw", 5, Impact.IMPACTFUL, target="leaf")
EVERYTHING = ALL | {LEAF.id}
CLUSTER = b.make_cluster("alpha")
SCOPES = (
    Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    Scope(level=ScopeLevel.RACK, name="alpha-r1"),
    Scope(level=ScopeLevel.NODE, name="alpha-r0-n00"),
    Scope(level=ScopeLevel.NODE, name="alpha-r2-n00"),
)


@st.composite
def tiny_scopes(draw: st.DrawFn) -> PlanningInput:
    """Three racks of up to two nodes, switches and a leaf with or without work, a ledger of a few words."""
    nodes = [
        replace(node, versions={"nic_fw": draw(st.sampled_from([b.OLD, b.NEW, b.OLD, b.OLD, b.OLD, ""]))})
        for node in b.make_nodes(CLUSTER, draw(st.tuples(*(st.integers(1, 2) for _ in range(3)))))
    ]
    devices: list[Device] = [
        b.make_device("alpha", "tor", f"alpha-r{rack}", version=draw(st.sampled_from([b.OLD, b.NEW])))
        for rack in range(draw(st.integers(0, 3)))
    ]
    if draw(st.booleans()):
        leaf_nodes = {"alpha-r0", "alpha-r1"}
        nodes = [replace(n, scalable_unit="leafy" if n.rack in leaf_nodes else n.scalable_unit) for n in nodes]
        devices.append(b.make_device("alpha", "leaf", "leafy", scope=DeviceScope.SCALABLE_UNIT))
    needs = draw(st.sampled_from([(), (Requirement(component="tor_fw", min_version=b.NEW),)]))
    catalogue = b.make_catalogue(replace(NIC, requires=needs), TOR, LEAF)
    inputs = b.make_inputs(b.make_fleet([CLUSTER], nodes, devices), catalogue, b.make_campaign())
    return replace(inputs, ledger=tuple(draw_words(draw)))


def draw_words(draw: st.DrawFn) -> Iterator[ConsentEntry]:
    if draw(st.sampled_from([True, True, False])):
        yield make_entry(1, SCOPES[0], EVERYTHING)
    for seq in range(2, draw(st.integers(1, 4)) + 1):
        updates = draw(st.sampled_from([EVERYTHING, EVERYTHING, EVERYTHING - {TOR.id}]))
        verdict = draw(st.sampled_from([Verdict.APPROVED, Verdict.APPROVED, Verdict.WITHDRAWN]))
        yield make_entry(seq, draw(st.sampled_from(SCOPES)), updates, verdict)


def brute_force(inputs: PlanningInput) -> frozenset[NodeId]:
    """The union of all sets that may go: two of them may always go together too."""
    nodes = list(inputs.fleet.nodes.values())
    sets = (frozenset(taken) for size in range(len(nodes) + 1) for taken in combinations(nodes_with_work(inputs), size))
    return frozenset().union(*(taken for taken in sets if may_go(inputs, taken)))


def nodes_with_work(inputs: PlanningInput) -> list[NodeId]:
    return [n.name for n in inputs.fleet.nodes.values() if n.versions["nic_fw"] == b.OLD or drained_by(inputs, n)]


def drained_by(inputs: PlanningInput, node: Node) -> list[Device]:
    return [
        device
        for device in inputs.fleet.devices.values()
        if device.version == b.OLD and device.scope_id in (node.rack, node.scalable_unit)
    ]


def may_go(inputs: PlanningInput, taken: frozenset[NodeId]) -> bool:
    """Each node known and with consent for all it goes through; all behind a device that drains, or none."""
    nodes = inputs.fleet.nodes
    for name in taken:
        node = nodes[name]
        due = {UpdateId(d.kind) for d in drained_by(inputs, node)} | (
            {NIC.id} if node.versions["nic_fw"] == b.OLD else set()
        )
        if node.versions["nic_fw"] == "" or not all(is_approved(inputs, node, update) for update in due):
            return False
        if not all(n.name in taken for d in drained_by(inputs, node) for n in behind(inputs, d)):
            return False
        if (
            node.versions["nic_fw"] == b.OLD
            and inputs.catalogue.updates[NIC.id].requires
            and not has_switch(inputs, node)
        ):
            return False
    return True


def behind(inputs: PlanningInput, device: Device) -> list[Node]:
    return [n for n in inputs.fleet.nodes.values() if device.scope_id in (n.rack, n.scalable_unit)]


def has_switch(inputs: PlanningInput, node: Node) -> bool:
    """Its update goes before the node's own when it has one; a rack without a switch never gets the version."""
    return any(d.kind == "tor" and d.scope_id == node.rack for d in inputs.fleet.devices.values())


def is_approved(inputs: PlanningInput, node: Node, update: UpdateId) -> bool:
    """What the last word whose scope holds the node says."""
    assert inputs.ledger is not None
    words = [w for w in inputs.ledger if w.scope.name in (node.name, node.rack, node.cluster)]
    return bool(words) and words[-1].verdict is Verdict.APPROVED and update in words[-1].updates


@settings(max_examples=200, deadline=None, derandomize=True)
@given(tiny_scopes())
def test_scope_takes_all_that_may_go_and_nothing_else(inputs: PlanningInput) -> None:
    scope = find_scope(inputs)
    taken = {node.name for work in scope.works for node in work.nodes}
    left = {name for group in scope.unplanned for name in group.nodes}
    assert taken == brute_force(inputs)
    unknown = {node.name for node in inputs.fleet.nodes.values() if node.versions["nic_fw"] == ""}
    assert taken | left == set(nodes_with_work(inputs)) | unknown
