"""Work of people in the conductor: joins the window that has the node, or gets one; parts first, proof after."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import NodeId, OrderId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.plans import NodeApplyStep, Plan
from fermata.domain.policy import Said
from fermata.domain.repairs import FOLDS, Fold
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.run_states import RunState, WindowState
from fermata.domain.updates import Impact
from fermata.domain.work_orders import Target, TargetLevel, Word, WorkOrder
from fermata.services.capacity import show_capacity
from fermata.services.tail import show_tail
from fermata.services.work_orders import complete_order
from fermata.sim.fates import NO_FAULTS
from fermata.store import inventory, journal, runs, work_orders

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NODE = "c0-n009"
ORDER = OrderId("wo_1")
OWN = ["order.window_opened", *2 * ["order.left_to_plan"], "order.started", "order.completed"]  # switch, leaf stay
QUICK = replace(NO_FAULTS, mean_days_to_repair=0.1)
NEVER = replace(NO_FAULTS, mean_days_to_repair=4000)


def order(kind: RequestKind = RequestKind.REPAIR, target: str = NODE, **more: object) -> WorkOrder:
    level = TargetLevel.NODE if target.count("-") == 1 else TargetLevel.DEVICE
    made = small.work_order(NODE, Said(actor="operator-1", at=small.NOW))
    return replace(made, kind=kind, target=Target(level=level, name=target), **more)  # type: ignore[arg-type]


def ask(rig: stagehand.Rig, *orders: WorkOrder, word: Word = Word.APPROVED) -> None:
    with rig.database.begin() as conn:
        work_orders.save_orders(conn, orders)
        work_orders.append_words(conn, [replace(small.order_word(each, word), id=f"word_{each.id}") for each in orders])


def set_up(url: str, folder: Path, faults: stagehand.Faults = QUICK, **more: object) -> stagehand.Rig:
    fields: dict[str, object] = {"fleet": small.fleet(nodes=16), "faults": faults}
    return stagehand.set_up(url, folder, **(fields | more))  # type: ignore[arg-type]


def later(found: Fleet, after: timedelta) -> Plan:
    return small.plan(found, small.catalogue(), small.campaign(), [small.START + after])


def events(rig: stagehand.Rig, *subjects: str) -> list[str]:
    with rig.database.read() as conn:
        return [line.event for subject in subjects for line in journal.read(conn, subject=subject)]


def stored(rig: stagehand.Rig, name: OrderId = ORDER) -> WorkOrder:
    with rig.database.read() as conn:
        return work_orders.load_orders(conn)[name]


def ops_of(rig: stagehand.Rig, unit: str = NODE) -> list[UnitOp]:
    return [op for op in rig.ops() if op.unit == unit]


def conduct_until(rig: stagehand.Rig, reached: Callable[[], bool], step: timedelta = 5 * MINUTE) -> None:
    """A little at a time, at most three days of it."""
    end = rig.clock.now() + timedelta(days=3)
    while not reached():
        assert rig.clock.now() < end, "never reached"
        rig.conduct(until=rig.clock.now() + step)


def is_with_people(rig: stagehand.Rig, name: OrderId = ORDER) -> Callable[[], bool]:
    """Its order has begun, and every node of it is in repair."""

    def check() -> bool:
        held = stored(rig, name).held
        return bool(held) and all(ops_of(rig, unit)[0].state is UnitState.IN_REPAIR for unit in held)

    return check


@pytest.mark.databases("sqlite", "postgresql")
def test_repair_that_may_go_is_done_in_the_window_before_any_firmware(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))
    machine = rig.world.nodes[NodeId(NODE)]
    assert (machine.locked, machine.drained, dict(machine.targets)) == (True, True, {})
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    (op,) = ops_of(rig)
    assert (op.window, op.state) == ("win-c0", UnitState.RETURNED)
    assert events(rig, f"order:{ORDER}") == ["order.joined", "order.started", "order.completed"]
    assert machine.repaired_at is not None
    done = stored(rig)
    assert done.started is not None
    assert (done.started.actor, done.held) == ("conductor", (NODE,))
    assert done.ended is not None
    assert (done.ended.how, done.ended.why) == (RequestState.COMPLETED, "the site reports it done")


def test_window_does_not_wait_for_people_and_closes_with_an_owned_residue(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())
    rig.conduct(until=small.START + 12 * HOUR)
    with rig.database.read() as conn:
        (row,) = runs.load_windows(conn, rig.run)
    assert row.state is WindowState.CLOSED
    (entry,) = show_tail(rig.database).tail
    assert (entry.unit, entry.state, entry.owner) == (NODE, UnitState.IN_REPAIR, "repair-crew")
    assert "requests complete wo_1" in entry.reason.sentence


@pytest.mark.parametrize("word", [Word.WITHDRAWN, Word.DECLINED])
def test_what_no_customer_approved_is_not_begun(store_url: str, tmp_path: Path, word: Word) -> None:
    rig = set_up(store_url, tmp_path)
    ask(rig, order(), word=word)
    assert rig.conduct().state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED
    assert (stored(rig).started, events(rig, f"order:{ORDER}")) == (None, [])


def with_newer_bmc() -> tuple[Fleet, Plan]:
    """A fleet in which the node runs the newest BMC firmware already, and its plan."""
    found = small.fleet(nodes=16)
    node = found.nodes[NodeId(NODE)]
    nodes = {**found.nodes, node.name: replace(node, versions={**node.versions, "bmc_fw": "2.0"})}
    fleet = replace(found, nodes=nodes)
    made = small.plan(fleet, small.catalogue(), small.campaign())
    (window,) = made.windows
    steps = tuple(
        replace(step, nodes=step.nodes - 1) if isinstance(step, NodeApplyStep) and step.update == "bmc" else step
        for step in window.steps
    )
    return fleet, replace(made, windows=(replace(window, steps=steps),))


def test_part_with_older_firmware_gets_more_updates_and_is_proven_with_them(store_url: str, tmp_path: Path) -> None:
    fleet, made = with_newer_bmc()
    rig = set_up(store_url, tmp_path, NEVER, fleet=fleet, plan=made)
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))
    machine = rig.world.nodes[NodeId(NODE)]
    machine.versions["bmc_fw"] = "1.0"
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    rig.restart()
    rig.world.nodes[NodeId(NODE)].versions["bmc_fw"] = "1.0"
    assert rig.conduct().state is RunState.FINISHED
    after = rig.world.nodes[NodeId(NODE)]
    assert dict(after.targets)["bmc_fw"] == "2.0"
    assert set(after.versions.values()) == {"2.0"}
    assert ops_of(rig)[0].state is UnitState.RETURNED


def test_part_with_the_newest_firmware_needs_no_update(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))
    machine = rig.world.nodes[NodeId(NODE)]
    machine.versions.update(dict.fromkeys(machine.versions, "2.0"))
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    assert rig.conduct().state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED
    assert dict(machine.targets) == {}


ARRIVALS = [timedelta(0), *(timedelta(minutes=m) for m in (3, 20, 45, 70, 95, 120, 135, 150, 180))]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("after", ARRIVALS)
def test_repair_that_is_approved_at_any_moment_is_done_and_the_node_returns(tmp_path: Path, after: timedelta) -> None:
    found = small.fleet(clusters=2, nodes=16)
    made = small.plan(found, small.catalogue(), small.campaign(), [small.START, small.START + timedelta(days=3)])
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=found, plan=made)
    rig.conduct(until=small.START + after)
    states = [op.state for op in ops_of(rig)]
    fold = FOLDS[RequestKind.REPAIR, states[0]] if states else Fold.OWN
    ask(rig, order())
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    told = events(rig, f"order:{ORDER}")
    assert told[-1] == "order.completed"
    assert (told[0] == "order.joined") == (fold is Fold.JOIN or not states), (states, fold)
    machine = rig.world.nodes[NodeId(NODE)]
    assert (machine.in_service, machine.locked, set(machine.versions.values())) == (True, False, {"2.0"})
    assert show_capacity(rig.database).total.owed == 0


def test_two_orders_for_one_node_never_have_it_both(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, plan=later(small.fleet(nodes=16), timedelta(days=3)))
    second = OrderId("wo_2")
    ask(rig, order(), order(RequestKind.HARDWARE, id=second))
    conduct_until(rig, lambda: stored(rig, second).ended is not None)
    assert [op.window for op in ops_of(rig)] == ["rep-wo_1-c0"], "the second joins before the node goes back"
    one, two = stored(rig), stored(rig, second)
    assert one.ended is not None
    assert two.started is not None
    assert one.ended.said.at < two.started.at


def test_every_kind_and_state_has_its_outcome() -> None:
    assert {kind for kind, _ in FOLDS} == set(RequestKind) - {RequestKind.DEPLOYMENT}
    joins = {state for (kind, state), fold in FOLDS.items() if fold is Fold.JOIN and kind is RequestKind.REPAIR}
    assert joins == {
        UnitState.PENDING, UnitState.LOCKED, UnitState.DRAINING, UnitState.DRAINED, UnitState.APPLYING,
        UnitState.REBOOTING, UnitState.RESETTING, UnitState.RECOVERING, UnitState.FAILED,
    }  # fmt: skip
    leaves = {(kind, state) for (kind, state), fold in FOLDS.items() if fold is Fold.LEAVE}
    assert leaves == {(kind, UnitState.FAILED) for kind in (RequestKind.DECOMMISSION, RequestKind.MOVE)}


def test_order_that_people_began_is_locked_at_the_site_and_left_out_of_windows(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    said = Said(actor="operator-1", at=small.NOW)
    ask(rig, order(started=said, held=(NodeId(NODE),)))
    rig.conduct(until=small.START + HOUR)
    assert rig.world.nodes[NodeId(NODE)].locked
    with rig.database.read() as conn:
        row = next(row for row in runs.load_windows(conn, rig.run) if row.window == "win-c0")
    assert {left.reason.code: left.nodes for left in row.left_out}["HELD_BY_ORDER"] == (NODE,)
    assert rig.conduct().state is RunState.FINISHED
    assert not rig.world.nodes[NodeId(NODE)].locked
    assert stored(rig).ended is not None


def test_work_on_a_shared_device_is_done_once_for_all_nodes_behind_it(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    behind = [f"c0-n{i:03d}" for i in range(8, 12)]
    ask(rig, order(RequestKind.HARDWARE, "c0-r2-tor"))
    conduct_until(rig, is_with_people(rig))
    assert stored(rig).held == tuple(behind)
    assert events(rig, f"order:{ORDER}") == ["order.joined", "order.started"]
    assert rig.world.devices[small.DeviceId("c0-r2-tor")].versions == {"tor_os": "1.0"}
    rig.world.devices[small.DeviceId("c0-r2-tor")].versions["tor_os"] = "2.0"
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert {op.state for op in rig.ops() if op.unit in behind} == {UnitState.RETURNED}


def leave_inventory(rig: stagehand.Rig, name: str = NODE) -> None:
    with rig.database.begin() as conn:
        fleet = inventory.load_fleet(conn)
        inventory.save_fleet(conn, replace(fleet, nodes={n: v for n, v in fleet.nodes.items() if n != name}))


def test_decommissioned_node_leaves_with_its_order_and_is_never_returned(store_url: str, tmp_path: Path) -> None:
    found = small.fleet(nodes=16)
    rig = set_up(store_url, tmp_path, plan=later(found, timedelta(days=3)))
    ask(rig, order(RequestKind.DECOMMISSION), order(id=OrderId("wo_2")))
    conduct_until(rig, lambda: stored(rig).started is not None)
    assert stored(rig, OrderId("wo_2")).ended is not None
    leave_inventory(rig)
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    assert rig.conduct().state is RunState.FINISHED
    (op,) = ops_of(rig)
    machine = rig.world.nodes[NodeId(NODE)]
    assert (op.state, machine.locked, machine.in_service) == (UnitState.GONE, True, False)
    total = show_capacity(rig.database).total
    assert (total.gone, total.owed) == (1, 0)


def test_failed_node_that_is_to_go_leaves_from_the_tail(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(NEVER, fallout=0.2))
    rig.conduct(until=small.START + 6 * HOUR)
    name = next(op.unit for op in rig.ops() if op.state is UnitState.FAILED)
    ask(rig, order(RequestKind.DECOMMISSION, name))
    conduct_until(rig, lambda: stored(rig).started is not None)
    leave_inventory(rig, name)
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig, name)[0].state is UnitState.GONE)
    assert name not in {entry.unit for entry in show_tail(rig.database).tail}


def test_node_that_fails_is_handed_to_repair_with_all_that_is_known(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(NO_FAULTS, fallout=0.2, mean_days_to_repair=0.5))
    rig.conduct(until=small.START + 6 * HOUR)
    tail = {entry.unit: entry for entry in show_tail(rig.database).tail}
    assert len(tail) > 1
    for unit, entry in tail.items():
        assert entry.order is not None
        assert re.fullmatch("wo_[0-9a-f]{12}", entry.order), "people read it in a table, and type it"
        found = stored(rig, entry.order)
        assert (found.target.name, found.kind, found.impact) == (unit, RequestKind.REPAIR, Impact.IMPACTLESS)
        assert found.tail == f"{rig.run}/win-c0/{unit}"
        assert any(line.startswith("version nic_fw") for line in found.known)
        assert any("unit.failed" in line for line in found.known)
        assert any("unit.tried_again" in line for line in found.known)
    assert rig.conduct().state is RunState.FINISHED
    ended = [stored(rig, entry.order) for entry in tail.values() if entry.order is not None]
    assert {each.ended.why for each in ended if each.ended is not None} == {f"{unit} works again" for unit in tail}
    assert all(each.ended is not None for each in ended)


def test_approved_hand_off_makes_a_failed_node_the_peoples(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(NEVER, fallout=0.2))
    rig.conduct(until=small.START + 6 * HOUR)
    entry = show_tail(rig.database).tail[0]
    assert entry.order is not None
    with rig.database.begin() as conn:
        work_orders.append_words(conn, [small.order_word(stored(rig, entry.order), Word.APPROVED)])
    conduct_until(rig, is_with_people(rig, entry.order))
    machine = rig.world.nodes[NodeId(entry.unit)]
    machine.gone_since = machine.repair_at = machine.current = None
    machine.versions.update(machine.staged)
    machine.staged.clear()
    complete_order(rig.database, entry.order, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: ops_of(rig, entry.unit)[0].finished_at is not None)
    assert set(machine.versions.values()) == {"2.0"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("after", [timedelta(minutes=m) for m in (1, 30, 90, 600)])
def test_restarted_conductor_goes_on_with_people_in_the_machine(tmp_path: Path, after: timedelta) -> None:
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    ask(rig, order(), order(RequestKind.HARDWARE, "c0-r0-tor", id=OrderId("wo_2")))
    rig.conduct(until=small.START + after)
    rig.restart()
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    for name in (ORDER, OrderId("wo_2")):
        told = events(rig, f"order:{name}")
        assert told == ["order.joined", "order.started", "order.completed"]
    nodes = [op for op in rig.ops() if op.kind is UnitKind.NODE]
    with rig.database.read() as conn:
        serving = inventory.load_fleet(conn).nodes
    assert {serving[NodeId(op.unit)].state for op in nodes if op.in_service_before} == {NodeState.IN_SERVICE}


def test_people_are_told_of_a_node_that_nobody_looks_at_though_the_conductor_died_just_before(tmp_path: Path) -> None:
    plan = later(small.fleet(nodes=16), timedelta(days=5))
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, plan=plan)
    ask(rig, order())

    def die(point: str) -> None:
        if point == "intended" and any(op.state is UnitState.IN_REPAIR for op in rig.ops()):
            raise Killed(point)

    with pytest.raises(Killed):
        rig.conduct(crash=die)
    assert not rig.world.notices
    rig.restart()
    rig.conduct(until=rig.clock.now() + HOUR)
    assert list(rig.world.notices.values()) == [NODE]
