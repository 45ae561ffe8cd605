"""Who is behind a device by the plan's fleet and by today's, and who is not where the plan has it."""

from dataclasses import replace

import pytest
from tests.simulation import small

from fermata.domain.as_planned import all_behind, as_today, find_moved, why_not_drained
from fermata.domain.fleet import Device, DeviceScope, Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, RackId
from fermata.domain.plan_codes import PlanCode

PLANNED = small.fleet(clusters=2, nodes=16)
TOR = DeviceId("c0-r2-tor")
RACK = tuple(NodeId(f"c0-n{number:03d}") for number in range(8, 12))
NEXT_RACK = tuple(NodeId(f"c0-n{number:03d}") for number in range(12, 16))
NODE = PLANNED.nodes[RACK[0]]
NEW = replace(NODE, name=NodeId("c0-n099"))
MOVED = replace(NODE, rack=RackId("c0-r3"))
AWAY = replace(NODE, cluster=ClusterId("c1"), rack=RackId("c1-r0"), scalable_unit="c1-u0")


def with_node(node: Node) -> Fleet:
    return replace(PLANNED, nodes={**PLANNED.nodes, node.name: node})


def with_device(device: Device | None) -> Fleet:
    others = {name: each for name, each in PLANNED.devices.items() if name != TOR}
    return replace(PLANNED, devices=others if device is None else {**others, TOR: device})


WITHOUT_NODE = replace(PLANNED, nodes={name: node for name, node in PLANNED.nodes.items() if name != NODE.name})
RESCOPED = with_device(replace(PLANNED.devices[TOR], scope_id="c0-r3"))
TABLE = [
    (PLANNED, None, RACK),
    (with_node(NEW), PlanCode.DEVICE_GOT_NODES, (*RACK, NEW.name)),
    (with_node(replace(NODE, fault_domain="9")), None, RACK),
    (with_node(MOVED), None, RACK),  # who went elsewhere is in the window, and stays there by that
    (WITHOUT_NODE, None, RACK),
    (with_device(None), PlanCode.NOT_WHERE_PLANNED, RACK),
    (RESCOPED, PlanCode.NOT_WHERE_PLANNED, (*RACK, *NEXT_RACK)),
]


@pytest.mark.parametrize(("today", "code", "behind"), TABLE)
def test_all_behind_a_device_are_known_and_what_the_plan_did_not_know_is_told(
    today: Fleet, code: PlanCode | None, behind: tuple[NodeId, ...]
) -> None:
    why = why_not_drained(TOR, PLANNED, today)
    assert (None if why is None else why.code) == code
    assert all_behind(TOR, PLANNED, today) == behind


def test_a_node_that_came_from_another_rack_holds_the_device_there() -> None:
    why = why_not_drained(DeviceId("c0-r3-tor"), PLANNED, with_node(MOVED))
    assert why is not None
    assert f"1 node(s) that this window was not planned with, {NODE.name} among them" in why.sentence


def test_a_node_that_came_holds_a_device_of_its_whole_cluster() -> None:
    whole = replace(PLANNED.devices[TOR], scope=DeviceScope.CLUSTER, scope_id="c0")
    why = why_not_drained(TOR, with_device(whole), replace(with_node(NEW), devices=with_device(whole).devices))
    assert why is not None
    assert why.code is PlanCode.DEVICE_GOT_NODES


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (WITHOUT_NODE, "it is not in c0 any more"),
        (with_node(AWAY), "it stands in rack c1-r0 and scalable unit c1-u0 of c1"),
        (with_node(MOVED), "it stands in rack c0-r3 and scalable unit c0-u1 of c0"),
    ],
)
def test_a_node_that_hangs_on_other_devices_is_told_with_its_place(today: Fleet, says: str) -> None:
    found = find_moved(PLANNED.nodes.values(), today)
    assert list(found) == [NODE.name]
    assert says in found[NODE.name].sentence


def test_a_node_of_another_fault_domain_or_version_stays_in_its_window() -> None:
    changed = replace(NODE, fault_domain="9", versions={})
    assert find_moved([NODE], with_node(changed)) == {}


def test_a_node_is_whose_its_cluster_is_today() -> None:
    handed = replace(PLANNED.clusters[ClusterId("c0")], customer=CustomerId("orrery"))
    today = replace(WITHOUT_NODE, clusters={**PLANNED.clusters, handed.name: handed})
    found = as_today(RACK[:2], PLANNED, today)
    assert found.nodes == {name: PLANNED.nodes[name] for name in RACK[:2]}, "who is gone is there as planned"
    assert found.clusters[ClusterId("c0")].customer == "orrery"
