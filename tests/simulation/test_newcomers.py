"""Inventory that changed after the plan: nodes that came behind a shared device keep it from being drained for, and
nodes that stand elsewhere stay where they are.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_approvals import names, say
from tests.simulation.test_conduct import states, windows

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import DeviceId, NodeId, RackId
from fermata.domain.node_states import UnitState
from fermata.domain.plan_codes import PlanCode
from fermata.domain.policy import Conditions, Verdict
from fermata.domain.reasons import AnyCode
from fermata.domain.run_states import RunState
from fermata.sim.fates import NO_FAULTS
from fermata.store import inventory

pytestmark = pytest.mark.databases("sqlite")

NEW = NodeId("c0-n099")
TOR, OTHER_TOR, LEAF = DeviceId("c0-r2-tor"), DeviceId("c0-r3-tor"), DeviceId("c0-u1-ib_leaf")  # of c0-n008 and on
FIRST, SECOND = range(8), range(8, 16)  # what hangs on the one leaf, and on the other


def change(rig: stagehand.Rig, *nodes: Node, gone: Iterable[NodeId] = ()) -> None:
    """Another inventory than the one that was planned for."""
    with rig.database.begin() as conn:
        found = inventory.load_fleet(conn)
        kept = {name: node for name, node in found.nodes.items() if name not in set(gone)}
        inventory.save_fleet(conn, replace(found, nodes={**kept, **{node.name: node for node in nodes}}))


def stored(rig: stagehand.Rig) -> Fleet:
    with rig.database.read() as conn:
        return inventory.load_fleet(conn)


def newcomer(rig: stagehand.Rig) -> Node:
    """A node of rack c0-r2, in service."""
    return replace(stored(rig).nodes[NodeId("c0-n009")], name=NEW)


def version(rig: stagehand.Rig, device: DeviceId) -> str:
    (found,) = rig.world.devices[device].versions.values()
    return found


def left_out(rig: stagehand.Rig) -> dict[NodeId, AnyCode]:
    return {name: left.reason.code for left in windows(rig)["win-c0"].left_out for name in left.nodes}


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.WITHDRAWN])
def test_a_node_that_came_behind_a_draining_device_after_the_plan_keeps_it_and_all_behind_it_as_they_are(
    tmp_path: Path, verdict: Verdict
) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=16))
    change(rig, newcomer(rig))
    say(rig, f"node {NEW}", Conditions(), verdict)
    rig.conduct()
    assert {version(rig, device) for device in (TOR, OTHER_TOR, LEAF)} == {"1.0"}
    assert set(states(rig)) == names(FIRST)
    assert left_out(rig).keys() == names(SECOND)
    if verdict is Verdict.APPROVED:
        why = {left.reason.code: left.reason.sentence for left in windows(rig)["win-c0"].left_out}
        assert f"1 node(s) that this window was not planned with, {NEW} among them" in why[PlanCode.DEVICE_GOT_NODES]
    stagehand.assert_nothing_lost(replace_plan(rig, FIRST))


def rack_it_when_open(rig: stagehand.Rig) -> Callable[[str], None]:
    """The node comes once the window is open, before anything is written."""
    came: list[NodeId] = []

    def rack_it(point: str) -> None:
        if point == "observed" and not came:
            came.append(NEW)
            change(rig, newcomer(rig))

    return rack_it


def test_a_node_that_came_after_the_window_opened_keeps_the_device_as_it_is_and_nobody_out(tmp_path: Path) -> None:
    found = small.fleet(nodes=16)
    done = {name: replace(d, version="2.0") if d.kind == "ib_leaf" else d for name, d in found.devices.items()}
    found = replace(found, devices=done)
    made = small.plan(found, small.catalogue(), small.campaign())
    due = tuple(replace(w, updates=tuple(name for name in w.updates if name != "leaf")) for w in made.windows)
    made = replace(made, windows=due)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=found, plan=made)
    assert rig.conduct(crash=rack_it_when_open(rig)).state is RunState.FINISHED
    assert version(rig, TOR) == "1.0"
    assert version(rig, OTHER_TOR) == "2.0", "nobody came behind that"
    (op,) = [op for op in rig.ops() if op.unit == TOR]
    assert op.state is UnitState.LEFT_OUT
    assert op.reason is not None
    assert op.reason.code is PlanCode.DEVICE_GOT_NODES
    assert set(states(rig)) == names(range(16))
    stagehand.assert_nothing_lost(rig)


def test_what_builds_on_such_a_device_waits_for_a_person_to_say_what_becomes_of_it(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=16))
    rig.conduct(crash=rack_it_when_open(rig), until=small.START + stagehand.hours(10))
    assert {version(rig, device) for device in (TOR, LEAF)} == {"1.0"}
    waiting = {op.unit: op for op in rig.ops() if op.tail_since is not None}
    assert waiting.keys() == names(SECOND)
    assert {str(op.gate) for op in waiting.values()} == {"requirement"}


def test_a_node_that_stands_elsewhere_stays_and_keeps_the_devices_of_both_places_as_they_are(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=24))
    moved = NodeId("c0-n000")
    change(rig, replace(stored(rig).nodes[moved], rack=RackId("c0-r2"), scalable_unit="c0-u1"))
    rig.conduct()
    here = [DeviceId(name) for name in ("c0-r0-tor", "c0-u0-ib_leaf")]
    assert {version(rig, device) for device in (*here, TOR, LEAF)} == {"1.0"}
    assert left_out(rig)[moved] is PlanCode.NOT_WHERE_PLANNED
    assert set(states(rig)) == names(range(16, 24))


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_node_that_left_the_cluster_stays_with_the_reason(tmp_path: Path, elsewhere: bool) -> None:
    fleet = small.fleet(clusters=2, nodes=16)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=fleet)
    node = stored(rig).nodes[NodeId("c0-n000")]
    far = replace(node, cluster=small.cluster_name(1), rack=RackId("c1-r9"), scalable_unit="c1-u9")
    change(rig, *([far] if elsewhere else []), gone=[node.name])
    rig.conduct()
    assert left_out(rig)[node.name] is PlanCode.NOT_WHERE_PLANNED
    assert set(states(rig)) == names(SECOND) | names(range(16), cluster=1)


def replace_plan(rig: stagehand.Rig, numbers: Iterable[int]) -> stagehand.Rig:
    """Of the plan only these nodes were taken."""
    wanted = names(numbers)
    cut = [replace(w, nodes=tuple(n for n in w.nodes if n in wanted)) for w in rig.plan.windows]
    return replace(rig, plan=replace(rig.plan, windows=tuple(cut)))


def test_a_device_that_fails_is_not_reset_once_a_node_came_behind_it(tmp_path: Path) -> None:
    rig = stagehand.set_up(
        stagehand.fresh_sqlite(tmp_path),
        tmp_path,
        fleet=small.fleet(nodes=16),
        faults=replace(NO_FAULTS, device_fails=1),
    )

    def rack_it_while_written(point: str) -> None:
        written = {op.unit for op in rig.ops() if op.state is UnitState.APPLYING} if point == "observed" else set()
        if TOR in written and NEW not in stored(rig).nodes:
            change(rig, newcomer(rig))

    rig.conduct(crash=rack_it_while_written, until=small.START + stagehand.hours(8))
    assert NEW in stored(rig).nodes
    reset = {DeviceId(step.unit) for step in rig.world.steps.values() if step.op == "reset"}
    assert OTHER_TOR in reset, "nobody came behind that"
    assert TOR not in reset
    (op,) = [op for op in rig.ops() if op.unit == TOR]
    assert op.state is UnitState.FAILED
    assert op.reason is not None
    assert op.reason.code is PlanCode.DEVICE_GOT_NODES
