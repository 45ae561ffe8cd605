"""What a window of an order's own may bring along on shared devices: only what is certain."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.brought_along import Grounds
from fermata.domain.devices_along import Along, Shared, find_all_along
from fermata.domain.fleet import Fleet
from fermata.domain.hearing import Desk
from fermata.domain.ids import CustomerId, DeviceId, FreezeId, NodeId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import find_pending
from fermata.domain.policy import Conditions, ConsentEntry, Freeze, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Catalogue, Requirement
from fermata.domain.windows import Interval

HOUR = timedelta(hours=1)
SPAN = Interval(small.NOW, small.NOW + 2 * HOUR)
TOR, MANAGER, LEAF = (DeviceId(name) for name in ("c0-r0-tor", "c0-r0-rack_manager", "c0-u0-ib_leaf"))
UNIT = frozenset(NodeId(f"c0-n{number:03d}") for number in range(8))
RACK = frozenset(sorted(UNIT)[:4])
NODE = NodeId("c0-n001")
ALL = {"bmc", "gpu", "nic", "os"}


def catalogue(**changes: object) -> Catalogue:
    """`changes`: of the leaf's update."""
    found = small.catalogue()
    leaf = replace(found.updates[UpdateId("leaf")], **changes)  # type: ignore[arg-type]
    return replace(found, updates={**found.updates, leaf.id: leaf})


def along(
    members: frozenset[NodeId] = UNIT,
    *,
    found: Fleet | None = None,
    updates: Catalogue | None = None,
    policy: Policy | None = None,
    more: tuple[ConsentEntry, ...] = (),
    **fields: object,
) -> Along:
    fleet, known = found or small.fleet(), updates or catalogue()
    live = replace(fleet, nodes={name: node for name, node in fleet.nodes.items() if name in members})
    ledger = (small.approval(known), *more)
    desk = Desk(live, policy or small.policy(), find_pending(live, known), Decisions(live, ledger))
    given: dict[str, object] = {
        "desk": desk,
        "fleet": fleet,
        "before": fleet.nodes,
        "members": members,
        "device_versions": {name: device.version for name, device in fleet.devices.items()},
        "span": SPAN,
    }
    all_behind = {n: frozenset(node.name for node in fleet.nodes_behind(d)) for n, d in fleet.devices.items()}
    shared = Shared(
        behind={**all_behind, **fields.pop("behind", {})},  # type: ignore[dict-item]
        busy=fields.pop("busy", frozenset()),  # type: ignore[arg-type]
        silent=fields.pop("silent", frozenset()),  # type: ignore[arg-type]
    )
    return find_all_along(Grounds(**(given | fields)), shared, live.nodes.values())  # type: ignore[arg-type]


def word(verdict: Verdict, node: NodeId = NODE, update: str = "leaf", **more: object) -> ConsentEntry:
    scope = Scope(level=ScopeLevel.NODE, name=node)
    entry = small.approval(small.catalogue(), verdict, seq=2, scope=scope)
    return replace(entry, updates=frozenset({UpdateId(update)}), is_part=True, **more)  # type: ignore[arg-type]


def why(found: Along, device: DeviceId = LEAF) -> str:
    """Why the device stays; it does."""
    assert device not in found.devices
    return found.left[device].sentence


def test_devices_come_along_behind_which_everybody_is_out_and_what_builds_on_them_with_them() -> None:
    found = along()
    assert {name: update.id for name, update in found.devices.items()} == {
        TOR: "tor",
        LEAF: "leaf",
        DeviceId("c0-r1-tor"): "tor",
    }
    assert (found.left, found.nodes) == ({}, dict.fromkeys(UNIT, frozenset(ALL)))


def test_what_nobody_feels_needs_no_outage_and_is_neither_brought_nor_told_of() -> None:
    found = along()
    assert MANAGER not in {*found.devices, *found.left}


def test_a_device_with_somebody_else_behind_it_stays_and_so_does_what_builds_on_it() -> None:
    found = along(RACK)
    assert set(found.devices) == {TOR}
    assert "4 node(s) behind it are not out in it, c0-n004 among them" in why(found)
    assert found.nodes == dict.fromkeys(RACK, frozenset({"bmc", "gpu"}))
    assert DeviceId("c0-r1-tor") not in found.left, "nobody of this window is behind it"


def test_a_node_that_only_the_inventory_knows_counts_as_behind() -> None:
    assert "c0-n099 among them" in why(along(behind={LEAF: UNIT | {NodeId("c0-n099")}}))
    nobody: dict[DeviceId, frozenset[NodeId]] = {LEAF: frozenset()}
    assert LEAF not in along(behind=nobody).devices


def test_a_node_of_the_window_that_left_the_inventory_keeps_the_device() -> None:
    gone = small.fleet()
    rest = replace(gone, nodes={name: node for name, node in gone.nodes.items() if name != NODE})
    assert "c0-n001 among them" in why(along(found=rest, behind={LEAF: UNIT}))


@pytest.mark.parametrize("verdict", [Verdict.WITHDRAWN, Verdict.DECLINED, Verdict.OFFERED])
def test_everybody_behind_a_device_has_to_have_said_yes(verdict: Verdict) -> None:
    until = small.NOW + HOUR if verdict is Verdict.DECLINED else None
    assert "1 node(s) without approval, c0-n001 among them" in why(along(more=(word(verdict, until=until),)))


def test_a_word_on_something_else_does_not_keep_the_device() -> None:
    assert LEAF in along(more=(word(Verdict.WITHDRAWN, update="gpu"),)).devices


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (Conditions(not_before=SPAN.start + HOUR), "open at"),
        (Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="c0-r9")), None),
        (Conditions(with_updates=frozenset({UpdateId("gpu")})), "only in one outage with gpu"),
    ],
)
def test_conditions_of_an_approval_hold_for_the_device(conditions: Conditions, told: str | None) -> None:
    found = along(more=(word(Verdict.APPROVED, conditions=conditions),))
    if told is None:
        assert LEAF in found.devices, "there is no such rack"
    else:
        assert told in why(found)


def test_an_approval_together_with_others_needs_them_out() -> None:
    far = small.fleet(nodes=16)
    scope = Scope(level=ScopeLevel.RACK, name="c0-r3")
    entry = word(Verdict.APPROVED, conditions=Conditions(with_scope=scope))
    assert "only together with nodes that are not out" in why(along(found=far, more=(entry,)))


def test_before_its_turn_times_are_not_asked_about() -> None:
    entry = word(Verdict.APPROVED, conditions=Conditions(not_before=SPAN.start + HOUR))
    assert LEAF in along(more=(entry,), span=None).devices


def test_a_freeze_on_one_node_behind_it_keeps_the_device() -> None:
    scope = Scope(level=ScopeLevel.NODE, name=NODE)
    start = SPAN.end - timedelta(minutes=1)
    held = Freeze(
        id=FreezeId("f1"), customer=CustomerId("lumen"), scope=scope, start=start, end=start + HOUR, reason="launch"
    )
    assert "f1 forbids work on node c0-n001" in why(along(policy=replace(small.policy(), freezes=(held,))))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"busy": frozenset({LEAF})}, "another window has work on it"),
        ({"silent": frozenset({LEAF})}, "does not answer"),
        ({"held": {NODE}}, "another order keeps c0-n001"),
        ({"closed": {UpdateId("leaf")}}, "its gate lets nobody begin"),
        ({"offered": {UpdateId("nic")}}, "opened without it"),
        ({"updates": catalogue(after=(UpdateId("gpu"),))}, "builds on what is not there yet"),
        ({"updates": catalogue(requires=(Requirement(component="gpu_fw", min_version="2.0"),))}, "builds on"),
        ({"updates": catalogue(requires=(Requirement(component="tor_os", min_version="2.0"),))}, "builds on"),
        ({"updates": catalogue(requires=(Requirement(component="cpld", min_version="2.0"),))}, "builds on"),
    ],
)
def test_what_is_not_certain_keeps_the_device_with_a_reason(fields: dict[str, object], told: str) -> None:
    assert told in why(along(**fields))  # type: ignore[arg-type]


def test_what_the_update_builds_on_may_be_there_already() -> None:
    needs = catalogue(requires=(Requirement(component="gpu_fw", min_version="1.0"),), after=(UpdateId("other"),))
    assert LEAF in along(updates=needs).devices


def test_what_comes_after_the_device_comes_along_with_it_and_stays_with_it() -> None:
    found = small.catalogue()
    gpu = replace(found.updates[UpdateId("gpu")], after=(UpdateId("leaf"),))
    later = replace(found, updates={**found.updates, gpu.id: gpu})
    assert "gpu" in along(updates=later).nodes[NODE]
    assert "gpu" not in along(RACK, updates=later).nodes[NODE]
