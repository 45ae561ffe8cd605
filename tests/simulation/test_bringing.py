"""A repair with a window of its own brings along what is approved and due there: a node is out once, not twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_repairs import (
    HOUR,
    NEVER,
    NODE,
    ORDER,
    ask,
    conduct_until,
    is_with_people,
    later,
    leave_inventory,
    ops_of,
    order,
    set_up,
    stored,
)

from fermata.domain.fleet import Fleet
from fermata.domain.ids import CustomerId, FreezeId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Plan
from fermata.domain.policy import Conditions, ConsentEntry, Freeze, Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import RunState
from fermata.services.readmission import judge_nodes
from fermata.services.report import make_report
from fermata.services.together import list_combinations
from fermata.services.work_orders import complete_order
from fermata.store import consent, runs
from fermata.store.runs import WindowRun

pytestmark = pytest.mark.timeout(240)  # hours of a conductor, in small steps
ALL = {"bmc_fw", "gpu_fw", "host_os", "nic_fw"}
NODE_SCOPE = Scope(level=ScopeLevel.NODE, name=NODE)


def fleet(devices: str = "2.0") -> Fleet:
    """Nodes with everything to come, behind devices that run the newest already."""
    found = small.fleet(nodes=16)
    return replace(found, devices={name: replace(d, version=devices) for name, d in found.devices.items()})


@pytest.fixture
def rig(tmp_path: Path) -> stagehand.Rig:
    """The order may go, and the only window is three days away."""
    return far(tmp_path, fleet())


def planned(found: Fleet) -> Plan:
    """One window, with the updates of devices as far as any is due."""
    made = later(found, timedelta(days=3))
    (window,) = made.windows
    brought = {step.update for step in window.steps if isinstance(step, DeviceApplyStep | NodeApplyStep)}
    updates = tuple(update for update in window.updates if update in brought)
    return replace(made, windows=(replace(window, updates=updates),))


def far(folder: Path, found: Fleet) -> stagehand.Rig:
    made = set_up(stagehand.fresh_sqlite(folder), folder, NEVER, fleet=found, plan=planned(found))
    ask(made, order())
    return made


def say(rig: stagehand.Rig, verdict: Verdict, **more: object) -> None:
    entry: ConsentEntry = small.approval(small.catalogue(), verdict, seq=2, scope=NODE_SCOPE)
    with rig.database.begin() as conn:
        consent.append_entries(conn, [replace(entry, **more)])  # type: ignore[arg-type]


def freeze(rig: stagehand.Rig) -> None:
    now = rig.clock.now()
    added = Freeze(
        id=FreezeId("freeze_1"),
        customer=CustomerId("lumen"),
        scope=NODE_SCOPE,
        start=now,
        end=now + timedelta(days=1),
        reason="launch",
    )
    with rig.database.begin() as conn:
        consent.add_freeze(conn, added)


def mend(rig: stagehand.Rig) -> None:
    """The people are through with the node, and it comes back."""
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.RETURNED)


def written(rig: stagehand.Rig) -> set[str]:
    return set(rig.world.nodes[NodeId(NODE)].targets)


def window(rig: stagehand.Rig, name: str) -> WindowRun:
    with rig.database.read() as conn:
        return next(row for row in runs.load_windows(conn, rig.run) if row.window == name)


def test_all_that_is_approved_is_done_in_the_one_outage_after_the_people_and_not_again(rig: stagehand.Rig) -> None:
    conduct_until(rig, is_with_people(rig))
    assert written(rig) == set(), "parts come before their firmware"
    mend(rig)
    machine = rig.world.nodes[NodeId(NODE)]
    assert (written(rig), set(machine.versions.values())) == (ALL, {"2.0"})
    assert ops_of(rig)[0].window == "rep-wo_1-c0"
    (others,) = list_combinations(rig.database)
    assert (set(others.updates), others.ran_nodes) == ({"bmc", "gpu", "nic", "os"}, 1), "known to run together now"
    assert {line.update: line.proven for line in make_report(rig.database).versions} == dict.fromkeys(others.updates, 1)
    assert rig.conduct().state is RunState.FINISHED
    assert [op.window for op in ops_of(rig)] == ["rep-wo_1-c0"], "the plan has it three days later, and leaves it alone"
    left = {each.reason.code: each.nodes for each in window(rig, "win-c0").left_out}
    assert left == {"NOTHING_DUE": (NODE,)}
    assert {op.state for op in rig.ops()} == {UnitState.RETURNED, UnitState.KEPT_OUT}


def test_a_conductor_that_died_goes_on_with_what_comes_along(rig: stagehand.Rig) -> None:
    conduct_until(rig, is_with_people(rig))
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.APPLYING)
    rig.restart()
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.RETURNED)
    assert written(rig) == ALL


def withdraw(rig: stagehand.Rig) -> None:
    say(rig, Verdict.WITHDRAWN)


def bind_to_others(rig: stagehand.Rig) -> None:
    """Only together with the whole rack, which is not out."""
    rack = Scope(level=ScopeLevel.RACK, name="c0-r2")
    say(rig, Verdict.APPROVED, conditions=Conditions(with_scope=rack))


def allow_later(rig: stagehand.Rig) -> None:
    say(rig, Verdict.APPROVED, conditions=Conditions(not_before=small.START + timedelta(days=2)))


@pytest.mark.parametrize("change", [withdraw, bind_to_others])
def test_what_no_customer_let_through_stays_with_the_plan(
    rig: stagehand.Rig, change: Callable[[stagehand.Rig], None]
) -> None:
    change(rig)
    conduct_until(rig, is_with_people(rig))
    mend(rig)
    assert written(rig) == set()


@pytest.mark.parametrize(
    ("change", "rest"), [(withdraw, set()), (allow_later, set()), (freeze, {"bmc_fw"})], ids=["no", "later", "freeze"]
)
def test_what_may_not_be_done_when_its_time_comes_stays_with_the_plan(
    rig: stagehand.Rig, change: Callable[[stagehand.Rig], None], rest: set[str]
) -> None:
    conduct_until(rig, is_with_people(rig))
    change(rig)
    mend(rig)
    assert written(rig) == rest, "no workload feels what a freeze lets pass"


def test_of_a_part_that_was_approved_that_part_comes_along(rig: stagehand.Rig) -> None:
    say(rig, Verdict.WITHDRAWN, updates=frozenset({UpdateId("os")}), is_part=True)
    conduct_until(rig, is_with_people(rig))
    mend(rig)
    assert written(rig) == ALL - {"host_os"}


def test_what_builds_on_a_switch_waits_for_the_window_that_has_the_switch(tmp_path: Path) -> None:
    rig = far(tmp_path, fleet(devices="1.0"))
    conduct_until(rig, is_with_people(rig))
    mend(rig)
    assert written(rig) == {"bmc_fw", "gpu_fw"}, "nic needs the leaf's new version, and os comes after nic"
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert [op.window for op in ops_of(rig)] == ["rep-wo_1-c0", "win-c0"]
    assert written(rig) == ALL


def test_a_node_that_fails_on_what_came_along_is_on_the_tail_list(tmp_path: Path) -> None:
    found = fleet()
    rig = set_up(
        stagehand.fresh_sqlite(tmp_path), tmp_path, replace(NEVER, fallout=1.0), fleet=found, plan=planned(found)
    )
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.FAILED)
    assert (ops_of(rig)[0].window, ops_of(rig)[0].tail_since is not None) == ("rep-wo_1-c0", True)


def test_nothing_is_written_on_what_leaves(tmp_path: Path) -> None:
    found = fleet()
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, NEVER, fleet=found, plan=planned(found))
    ask(rig, order(RequestKind.DECOMMISSION))
    conduct_until(rig, lambda: stored(rig).started is not None)
    leave_inventory(rig)
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.GONE)
    assert written(rig) == set()


def test_its_return_can_be_asked_about(rig: stagehand.Rig) -> None:
    conduct_until(rig, is_with_people(rig))
    (asked,) = judge_nodes(rig.database, [NODE], now=rig.clock.now() + HOUR)
    assert asked.window == "rep-wo_1-c0"
