"""An order that has every node behind a shared device out brings along that device's update, too, in its own window:
once, with everybody's consent, after the people and before what builds on it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_bringing import planned
from tests.simulation.test_repairs import (
    NEVER,
    ORDER,
    ask,
    conduct_until,
    is_with_people,
    ops_of,
    order,
    set_up,
)

from fermata.domain.fleet import DeviceScope, Fleet
from fermata.domain.ids import CustomerId, DeviceId, FreezeId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Conditions, ConsentEntry, Freeze, Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import RunState
from fermata.services.report import make_report
from fermata.services.work_orders import complete_order
from fermata.store import consent, inventory, journal

pytestmark = pytest.mark.timeout(240)  # hours of a conductor, in small steps
TOR, LEAF = DeviceId("c0-r2-tor"), DeviceId("c0-u1-ib_leaf")
RACK = tuple(NodeId(f"c0-n{number:03d}") for number in range(8, 12))
UNIT = tuple(NodeId(f"c0-n{number:03d}") for number in range(8, 16))
ALL = {"bmc_fw", "gpu_fw", "host_os", "nic_fw"}


def fleet(*due: DeviceId) -> Fleet:
    """Every shared device but these runs the newest."""
    found = small.fleet(nodes=16)
    devices = {n: replace(d, version="1.0" if n in due else "2.0") for n, d in found.devices.items()}
    return replace(found, devices=devices)


def far(folder: Path, found: Fleet, target: str = LEAF) -> stagehand.Rig:
    """The order may go, and the only window of the plan is three days away."""
    made = set_up(stagehand.fresh_sqlite(folder), folder, NEVER, fleet=found, plan=planned(found))
    ask(made, order(RequestKind.HARDWARE, target))
    return made


def written(rig: stagehand.Rig, node: NodeId = RACK[0]) -> set[str]:
    return set(rig.world.nodes[node].targets)


def version(rig: stagehand.Rig, device: DeviceId) -> str:
    (found,) = rig.world.devices[device].versions.values()
    return found


def complete(rig: stagehand.Rig) -> None:
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")


def mend(rig: stagehand.Rig, nodes: tuple[NodeId, ...] = UNIT) -> None:
    """The people are through, and all of it comes back."""
    complete(rig)
    conduct_until(rig, lambda: all(ops_of(rig, node)[0].state is UnitState.RETURNED for node in nodes))


def told(rig: stagehand.Rig) -> list[str]:
    with rig.database.read() as conn:
        lines = journal.read(conn, subject=f"order:{ORDER}")
    return [line.why for line in lines if line.event == "order.left_to_plan"]


def say(rig: stagehand.Rig, verdict: Verdict, node: NodeId, **more: object) -> None:
    scope = Scope(level=ScopeLevel.NODE, name=node)
    entry: ConsentEntry = small.approval(small.catalogue(), verdict, seq=2, scope=scope)
    with rig.database.begin() as conn:
        consent.append_entries(conn, [replace(entry, **more)])  # type: ignore[arg-type]


def test_the_leaf_is_written_once_after_the_people_and_all_that_builds_on_it_in_the_same_outage(
    tmp_path: Path,
) -> None:
    rig = far(tmp_path, fleet(LEAF))
    conduct_until(rig, is_with_people(rig))
    assert version(rig, LEAF) == "1.0", "its people come first"
    assert ops_of(rig, LEAF)[0].state is UnitState.IN_REPAIR, "the leaf itself is with them, too"
    mend(rig)
    assert (version(rig, LEAF), told(rig)) == ("2.0", [])
    assert {node: written(rig, node) for node in UNIT} == dict.fromkeys(UNIT, ALL)
    assert [op.state for op in ops_of(rig, LEAF)] == [UnitState.PROVEN]
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    with rig.database.read() as conn:
        assert inventory.load_fleet(conn).devices[LEAF].version == "2.0"
    assert [op.window for op in ops_of(rig, UNIT[0])] == ["rep-wo_1-c0"], "and the plan has nothing left to do there"
    lines = {line.update: line for line in make_report(rig.database).versions}
    assert (lines[UpdateId("leaf")].proven, lines[UpdateId("nic")].proven) == (1, 16), (
        "with what the plan did elsewhere"
    )


def test_a_conductor_that_died_while_the_leaf_was_written_goes_on(tmp_path: Path) -> None:
    rig = far(tmp_path, fleet(LEAF))
    conduct_until(rig, is_with_people(rig))
    complete(rig)
    conduct_until(rig, lambda: ops_of(rig, LEAF)[0].state is UnitState.APPLYING, timedelta(minutes=1))
    rig.restart()
    conduct_until(rig, lambda: all(ops_of(rig, node)[0].state is UnitState.RETURNED for node in UNIT))
    assert (version(rig, LEAF), written(rig)) == ("2.0", ALL)


def test_a_device_behind_which_others_serve_stays_and_the_order_says_so(tmp_path: Path) -> None:
    rig = far(tmp_path, fleet(TOR, LEAF), TOR)
    conduct_until(rig, is_with_people(rig))
    (why,) = told(rig)
    assert why == (
        f"leaf of {LEAF} does not come along in this window: 4 node(s) behind it are not out in it, c0-n012 among them."
    )
    mend(rig, RACK)
    assert (version(rig, TOR), version(rig, LEAF)) == ("2.0", "1.0")
    assert written(rig) == {"bmc_fw", "gpu_fw"}, "nic needs the leaf's new version, and os comes after nic"
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert version(rig, LEAF) == "2.0", "by the plan"


def test_without_the_word_of_one_node_behind_it_the_device_stays(tmp_path: Path) -> None:
    rig = far(tmp_path, fleet(LEAF))
    say(rig, Verdict.WITHDRAWN, UNIT[5], updates=frozenset({UpdateId("leaf")}), is_part=True)
    conduct_until(rig, is_with_people(rig))
    assert [f"{LEAF} also carries 1 node(s) without approval, {UNIT[5]} among them" in why for why in told(rig)] == [
        True
    ]
    mend(rig)
    assert version(rig, LEAF) == "1.0"


def withdraw(rig: stagehand.Rig) -> None:
    say(rig, Verdict.WITHDRAWN, UNIT[3], updates=frozenset({UpdateId("leaf")}), is_part=True)


def allow_later(rig: stagehand.Rig) -> None:
    bounds = Conditions(not_before=small.START + timedelta(days=2))
    say(rig, Verdict.APPROVED, UNIT[3], updates=frozenset({UpdateId("leaf")}), is_part=True, conditions=bounds)


def freeze(rig: stagehand.Rig) -> None:
    now = rig.clock.now()
    added = Freeze(
        id=FreezeId("freeze_1"),
        customer=CustomerId("lumen"),
        scope=Scope(level=ScopeLevel.NODE, name=UNIT[3]),
        start=now,
        end=now + timedelta(days=1),
        reason="launch",
    )
    with rig.database.begin() as conn:
        consent.add_freeze(conn, added)


def add_node(rig: stagehand.Rig) -> None:
    """Somebody racks a node that the plan does not know."""
    with rig.database.begin() as conn:
        found = inventory.load_fleet(conn)
        new = replace(found.nodes[UNIT[0]], name=NodeId("c0-n099"))
        inventory.save_fleet(conn, replace(found, nodes={**found.nodes, new.name: new}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (withdraw, "also carries 1 node(s) without approval"),
        (allow_later, "open at 2026-01-07"),
        (freeze, "freeze_1 forbids work"),
        (add_node, "c0-n099 among them"),
    ],
)
def test_what_no_longer_holds_when_its_turn_comes_keeps_the_device_as_it_is_and_nobody_out(
    tmp_path: Path, change: Callable[[stagehand.Rig], None], why: str
) -> None:
    rig = far(tmp_path, fleet(LEAF))
    conduct_until(rig, is_with_people(rig))
    change(rig)
    mend(rig)
    (op,) = ops_of(rig, LEAF)
    assert (op.state, version(rig, LEAF)) == (UnitState.LEFT_OUT, "1.0")
    assert op.reason is not None
    assert why in op.reason.sentence
    assert "nic_fw" not in written(rig), "what builds on it waits with it"


def test_a_leaf_that_its_people_replaced_by_a_newer_one_is_not_written_and_what_builds_on_it_comes_along(
    tmp_path: Path,
) -> None:
    rig = far(tmp_path, fleet(LEAF))
    conduct_until(rig, is_with_people(rig))
    rig.world.devices[LEAF].versions["ib_fw"] = "3.0"
    mend(rig)
    assert (version(rig, LEAF), dict(rig.world.devices[LEAF].targets)) == ("3.0", {})
    assert written(rig) == ALL


def leaf_of_the_rack() -> Fleet:
    """Behind the leaf is what is behind the rack's switch, and both are due."""
    found = fleet(TOR, LEAF)
    leaf = replace(found.devices[LEAF], scope=DeviceScope.RACK, scope_id="c0-r2")
    return replace(found, devices={**found.devices, LEAF: leaf})


def test_all_devices_behind_which_the_nodes_are_out_come_along_whatever_the_order_is_about(tmp_path: Path) -> None:
    rig = far(tmp_path, leaf_of_the_rack(), TOR)
    conduct_until(rig, is_with_people(rig))
    states = {device: ops_of(rig, device)[0].state for device in (TOR, LEAF)}
    assert states == {TOR: UnitState.IN_REPAIR, LEAF: UnitState.PENDING}
    assert version(rig, LEAF) == "1.0", "nodes with their people are empty, and still it waits for them"
    mend(rig, RACK)
    assert {version(rig, TOR), version(rig, LEAF)} == {"2.0"}
    assert {node: written(rig, node) for node in RACK} == dict.fromkeys(RACK, ALL)


def test_what_runs_a_newer_version_when_its_turn_comes_is_not_written_and_what_builds_on_it_comes_along(
    tmp_path: Path,
) -> None:
    rig = far(tmp_path, leaf_of_the_rack(), TOR)
    conduct_until(rig, is_with_people(rig))
    rig.world.devices[LEAF].versions["ib_fw"] = "3.0"
    mend(rig, RACK)
    (op,) = ops_of(rig, LEAF)
    assert (op.state, version(rig, LEAF)) == (UnitState.LEFT_OUT, "3.0")
    assert op.reason is not None
    assert "it runs 3.0, and leaf is not due on it any more" in op.reason.sentence
    assert written(rig) == ALL


def test_nodes_that_come_back_one_by_one_wait_for_each_other_with_the_device(tmp_path: Path) -> None:
    """A second order keeps one node with its people: nothing is written on the leaf until that is through, too."""
    rig = far(tmp_path, fleet(LEAF))
    second = replace(order(target=UNIT[7]), id=order().id.__class__("wo_2"))
    ask(rig, second)
    conduct_until(rig, is_with_people(rig))
    complete(rig)
    conduct_until(rig, lambda: ops_of(rig, UNIT[0])[0].state is UnitState.DRAINED, timedelta(minutes=1))
    conduct_until(rig, lambda: ops_of(rig, UNIT[7])[0].state is UnitState.IN_REPAIR)
    rig.conduct(until=rig.clock.now() + timedelta(hours=8))
    assert version(rig, LEAF) == "1.0"
    assert ops_of(rig, UNIT[0])[0].state is not UnitState.RETURNED, "it hangs on the leaf, which needs it empty"
    complete_order(rig.database, second.id, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: all(ops_of(rig, node)[0].state is UnitState.RETURNED for node in UNIT))
    assert (version(rig, LEAF), written(rig)) == ("2.0", ALL)
