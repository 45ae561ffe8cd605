"""Rolling shared devices back on the simulated fleet: nodes behind them are emptied together, and proven anew."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_gates import lines
from tests.simulation.test_recovery import BACK

from fermata.domain.gates import GateSaid, GateWord
from fermata.domain.ids import DeviceId, FreezeId, NodeId, UpdateId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.policy import Freeze, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.recovery import Recovery, RecoveryOption
from fermata.domain.updates import Rollback
from fermata.services import freezes, gates, recovery, runs
from fermata.services.errors import Refusal
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.machines import Step
from fermata.store import consent, inventory
from fermata.store import recovery as store

pytestmark = pytest.mark.databases("sqlite")

TOR, LEAF, MANAGER, NIC = UpdateId("tor"), UpdateId("leaf"), UpdateId("manager"), UpdateId("nic")
SWITCH, OTHER = DeviceId("c0-r0-tor"), DeviceId("c0-r1-tor")
THE_LEAF = DeviceId("c0-u0-ib_leaf")
BEHIND = tuple(f"c0-n{i:03d}" for i in range(4))
DONE = small.START + timedelta(hours=5)
HOUR = timedelta(hours=1)


def returned(url: str, folder: Path, *, out_of_service: int = 1, faults: Faults = NO_FAULTS) -> stagehand.Rig:
    """A run of two windows, of which one is over: everything was brought and every node went back."""
    rig = begun(url, folder, out_of_service=out_of_service, faults=faults)
    rig.conduct(until=DONE)
    assert {op.state for op in rig.ops()} <= BACK | {UnitState.PROVEN}
    return rig


def begun(  # noqa: PLR0913 - what a test may want different
    url: str,
    folder: Path,
    *,
    out_of_service: int = 1,
    faults: Faults = NO_FAULTS,
    seed: int = 1,
    catalogue: small.Catalogue | None = None,
    campaign: small.Campaign | None = None,
) -> stagehand.Rig:
    """A run that is not over for a week, whatever its first window does."""
    fleet, updates = small.fleet(clusters=2, out_of_service=out_of_service), catalogue or small.catalogue()
    of = campaign or small.campaign()
    plan = small.plan(fleet, updates, of, [small.START, small.START + timedelta(days=4)])
    return stagehand.set_up(
        url, folder, fleet=fleet, catalogue=updates, campaign=of, plan=plan, faults=faults, seed=seed
    )


def order(rig: stagehand.Rig, update: UpdateId, device: DeviceId) -> tuple[RecoveryOption, ...]:
    asked = recovery.Asked(updates=frozenset({update}), devices=frozenset({device}))
    said = recovery.Word(actor="operator-1", why="it drops packets", at=rig.clock.now())
    return recovery.recover(rig.database, rig.run, asked, said)


def on(rig: stagehand.Rig, hours: float = 3) -> None:
    rig.conduct(until=rig.clock.now() + hours * HOUR)


def row(rig: stagehand.Rig, unit: str) -> UnitOp:
    return next(op for op in rig.ops() if op.unit == unit)


def version(rig: stagehand.Rig, device: DeviceId) -> str:
    machine = rig.world.devices[device]
    machine.settle(rig.clock.now())
    (found,) = machine.versions.values()
    return found


def steps(rig: stagehand.Rig, units: Iterable[str], since: datetime) -> list[Step]:
    wanted = set(units)
    found = [step for step in rig.world.steps.values() if step.unit in wanted and step.at >= since]
    return sorted(found, key=lambda step: step.at)


def assert_checked_after(rig: stagehand.Rig, device: DeviceId, nodes: Iterable[str]) -> None:
    """Every node passed its last health check after the last change of the device, and is back."""
    changed_at = rig.world.devices[device].changed_at
    assert changed_at is not None
    for name in nodes:
        machine = rig.world.nodes[NodeId(name)]
        machine.settle(rig.clock.now())
        assert machine.healthy_at is not None
        assert machine.healthy_at > changed_at, name
        assert not machine.locked
        assert row(rig, name).state in BACK, name


@pytest.mark.databases("sqlite", "postgresql")
def test_switch_is_rolled_back_while_all_nodes_behind_it_are_empty(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    since = rig.clock.now()
    (option,) = order(rig, TOR, SWITCH)
    assert (option.option, option.to_version, option.kind) == (Recovery.ROLL_BACK, "1.0", UnitKind.DEVICE)
    on(rig)
    assert (version(rig, SWITCH), version(rig, OTHER)) == ("1.0", "2.0")
    assert row(rig, SWITCH).state is UnitState.PROVEN
    assert_checked_after(rig, SWITCH, BEHIND)
    assert [step.op for step in steps(rig, ["c0-n001"], since)] == ["lock", "drain", "check", "give_back"]
    (written,) = steps(rig, [SWITCH], since)
    drained = [step for step in steps(rig, BEHIND, since) if step.op == "drain"]
    assert len(drained) == len(BEHIND)
    assert all(step.ends_at is not None and step.ends_at <= written.at for step in drained)
    assert steps(rig, [f"c0-n{i:03d}" for i in range(4, 8)], since) == []
    assert row(rig, "c0-n000").state is UnitState.KEPT_OUT


def test_old_version_is_read_back_recorded_and_the_last_known_good_again(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    with rig.database.read() as conn:
        good = store.load_devices_last_good(conn, [SWITCH])[SWITCH]
    assert (good.versions, good.before) == ({"tor_os": "2.0"}, {"tor_os": "1.0"})
    order(rig, TOR, SWITCH)
    on(rig)
    with rig.database.read() as conn:
        assert inventory.load_device_versions(conn)[SWITCH] == "1.0"
        good = store.load_devices_last_good(conn, [SWITCH])[SWITCH]
    assert (good.versions, good.before) == ({"tor_os": "1.0"}, {"tor_os": "2.0"})
    (told,) = lines(rig, "device.recovering")
    assert (told.subject, told.why) == (f"device:{SWITCH}", "it drops packets")
    assert told.data["updates"] == {"tor": "1.0"}
    assert {line.subject for line in lines(rig, "node.recovering")} == {f"node:{name}" for name in BEHIND}
    (ordered,) = lines(rig, "recovery.ordered")
    assert (ordered.data["nodes"], ordered.data["devices"]) == (0, 1)
    with pytest.raises(Refusal, match=Code.NOTHING_TO_RECOVER):
        order(rig, TOR, SWITCH)


def test_what_builds_on_a_leaf_goes_back_on_its_nodes_first(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path, out_of_service=0)
    since = rig.clock.now()
    found = order(rig, LEAF, THE_LEAF)
    assert {(o.kind, o.update) for o in found} == {
        (UnitKind.DEVICE, LEAF),
        (UnitKind.NODE, NIC),
        (UnitKind.NODE, UpdateId("os")),
    }
    assert {o.option for o in found} == {Recovery.ROLL_BACK}
    on(rig, 5)
    assert version(rig, THE_LEAF) == "1.0"
    nodes = [f"c0-n{i:03d}" for i in range(8)]
    assert_checked_after(rig, THE_LEAF, nodes)
    for name in nodes:
        ran = rig.world.nodes[NodeId(name)].versions
        assert ran == {"nic_fw": "1.0", "host_os": "1.0", "gpu_fw": "2.0", "bmc_fw": "2.0"}
    (leaf,) = steps(rig, [THE_LEAF], since)
    written = [step for step in steps(rig, nodes, since) if step.update == NIC]
    assert len(written) == len(nodes)
    assert all(step.ends_at is not None and step.ends_at <= leaf.at for step in written)


def test_what_is_ordered_twice_is_rolled_back_once(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path, out_of_service=0)
    since = rig.clock.now()
    for _ in range(2):
        order(rig, LEAF, THE_LEAF)
    on(rig, 5)
    assert version(rig, THE_LEAF) == "1.0"
    nodes = [f"c0-n{i:03d}" for i in range(8)]
    assert {rig.world.nodes[NodeId(name)].versions["nic_fw"] for name in nodes} == {"1.0"}
    assert len([step for step in steps(rig, nodes, since) if step.update == NIC]) == len(nodes)


def test_leaf_stays_under_a_node_that_cannot_be_rolled_back(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)  # its first node was not in service: nothing is known to have run well on it
    asked = recovery.Asked(updates=frozenset({LEAF}))
    found = {(o.unit, o.update): o for o in recovery.plan_recovery(rig.database, rig.run, asked)}
    assert found[THE_LEAF, LEAF].option is Recovery.FORWARD_ONLY
    assert found[THE_LEAF, LEAF].reason.code is Code.RECOVERY_HELD_UNDER
    assert found["c0-n000", NIC].reason.code is Code.RECOVERY_NO_LAST_GOOD
    assert found["c0-n001", NIC].option is Recovery.ROLL_BACK
    with pytest.raises(Refusal, match=Code.RECOVERY_HELD_UNDER):
        order(rig, LEAF, THE_LEAF)


def test_update_of_a_node_stays_under_another_one_on_it_that_goes_forward_only(store_url: str, tmp_path: Path) -> None:
    catalogue = small.catalogue()
    stuck = replace(catalogue.updates[UpdateId("os")], rollback=Rollback.FORWARD_ONLY)
    catalogue = replace(catalogue, updates={**catalogue.updates, stuck.id: stuck})
    rig = begun(store_url, tmp_path, catalogue=catalogue)
    rig.conduct(until=DONE)
    asked = recovery.Asked(updates=frozenset({NIC}), nodes=frozenset({NodeId("c0-n003")}))
    found = {o.update: o.reason.code for o in recovery.plan_recovery(rig.database, rig.run, asked)}
    assert found == {NIC: Code.RECOVERY_HELD_UNDER, stuck.id: Code.RECOVERY_FORWARD_ONLY}


def test_impactless_update_goes_back_while_the_nodes_serve(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    since, manager = rig.clock.now(), DeviceId("c0-r0-rack_manager")
    order(rig, MANAGER, manager)
    on(rig, 1)
    assert version(rig, manager) == "1.0"
    assert row(rig, manager).state is UnitState.PROVEN
    assert steps(rig, BEHIND, since) == []


def test_no_node_is_taken_while_a_freeze_covers_one_of_them(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    since = rig.clock.now()
    scope = Scope(level=ScopeLevel.NODE, name="c0-n002")
    frozen = Freeze(
        id=FreezeId("fr_1"), customer=small.CUSTOMER, scope=scope, start=since, end=since + 9 * HOUR, reason="a launch"
    )
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(small.policy(), freezes=(frozen,)))
    order(rig, TOR, SWITCH)
    on(rig, 1)
    assert steps(rig, [*BEHIND, SWITCH], since) == []
    waits = row(rig, SWITCH)
    assert waits.state is UnitState.PROVEN
    assert waits.reason is not None
    assert waits.reason.code is Code.RECOVERY_WAITS
    assert "a launch" in waits.reason.sentence
    assert len(lines(rig, "device.recovery_waits")) == 1
    freezes.end_freeze(rig.database, FreezeId("fr_1"), now=rig.clock.now())
    on(rig)
    assert version(rig, SWITCH) == "1.0"
    assert_checked_after(rig, SWITCH, BEHIND)


def test_word_that_let_the_update_through_has_to_stand_still(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    since = rig.clock.now()
    scope = Scope(level=ScopeLevel.NODE, name="c0-n001")
    word = replace(small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=scope), at=since)
    with rig.database.begin() as conn:
        consent.append_entry(conn, word)
    order(rig, TOR, SWITCH)
    on(rig, 1)
    assert steps(rig, [*BEHIND, SWITCH], since) == []
    told = row(rig, SWITCH).reason
    assert told is not None
    assert "lumen-capacity" in told.sentence
    again = replace(small.approval(small.catalogue(), seq=3, scope=scope), at=rig.clock.now())
    with rig.database.begin() as conn:
        consent.append_entry(conn, again)
    on(rig)
    assert version(rig, SWITCH) == "1.0"


def test_limit_on_nodes_out_is_kept_by_what_goes_back_together(store_url: str, tmp_path: Path) -> None:
    limit = small.Limit(what=small.LimitKind.NODES_OUT, at_once=8)
    rig = begun(store_url, tmp_path, campaign=small.campaign(limit))
    rig.conduct(until=DONE)
    held = replace(limit, at_once=3)
    with rig.database.begin() as conn:
        inventory.save_campaign(conn, small.campaign(held))
    since = rig.clock.now()
    order(rig, TOR, SWITCH)
    on(rig, 1)
    assert steps(rig, [*BEHIND, SWITCH], since) == []
    told = row(rig, SWITCH).reason
    assert told is not None
    assert "needs 4 nodes out" in told.sentence


def test_gate_that_rolls_a_leaf_back_in_an_open_window_leaves_out_what_builds_on_it(
    store_url: str, tmp_path: Path
) -> None:
    rig = begun(store_url, tmp_path, out_of_service=0)
    while row_or_none(rig, THE_LEAF) is None or row(rig, THE_LEAF).state is not UnitState.PROVEN:
        rig.conduct(until=rig.clock.now() + timedelta(minutes=5))
    word = GateSaid(word=GateWord.ROLL_BACK, actor="operator-1", why="it drops packets", at=rig.clock.now())
    gates.say(rig.database, rig.run, LEAF, word)
    on(rig, 6)
    assert version(rig, THE_LEAF) == "1.0"
    nodes = [f"c0-n{i:03d}" for i in range(8)]
    assert_checked_after(rig, THE_LEAF, nodes)
    for name in nodes:
        ran = rig.world.nodes[NodeId(name)].versions
        assert ran == {"nic_fw": "1.0", "host_os": "1.0", "gpu_fw": "2.0", "bmc_fw": "2.0"}


def row_or_none(rig: stagehand.Rig, unit: str) -> UnitOp | None:
    return next((op for op in rig.ops() if op.unit == unit), None)


def test_gate_that_rolls_back_what_no_device_has_begun_lets_the_window_go_on(store_url: str, tmp_path: Path) -> None:
    rig = begun(store_url, tmp_path)
    rig.conduct(until=small.START + timedelta(minutes=2))
    word = GateSaid(word=GateWord.ROLL_BACK, actor="operator-1", why="known to be bad", at=rig.clock.now())
    gates.say(rig.database, rig.run, TOR, word)
    on(rig, 6)
    told = row(rig, SWITCH)
    assert told.state is UnitState.LEFT_OUT
    assert told.reason is not None
    assert told.reason.code is Code.RECOVERY_LEFT_OUT
    assert version(rig, SWITCH) == "1.0"
    assert {op.state for op in rig.ops() if op.kind is UnitKind.NODE} <= BACK


def test_nodes_that_are_being_checked_are_checked_again_after_their_switch(store_url: str, tmp_path: Path) -> None:
    rig = begun(store_url, tmp_path)
    while not any(op.state is UnitState.VERIFYING for op in rig.ops() if op.unit in BEHIND):
        rig.conduct(until=rig.clock.now() + timedelta(minutes=3))
    order(rig, TOR, SWITCH)
    on(rig)
    assert version(rig, SWITCH) == "1.0"
    assert_checked_after(rig, SWITCH, BEHIND)


def test_roll_back_of_a_switch_goes_on_after_a_restart_and_waits_while_paused(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    order(rig, TOR, SWITCH)
    on(rig, 0.1)
    assert {op.state for op in rig.ops() if op.unit in BEHIND} & {UnitState.LOCKED, UnitState.DRAINING}
    runs.pause(rig.database, small.CAMPAIGN, now=rig.clock.now(), actor="operator-1")
    rig.restart()
    on(rig, 2)
    assert version(rig, SWITCH) == "2.0"
    runs.resume(rig.database, small.CAMPAIGN, now=rig.clock.now(), actor="operator-1")
    rig.restart()
    on(rig)
    assert version(rig, SWITCH) == "1.0"
    assert_checked_after(rig, SWITCH, BEHIND)


@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_roll_back_of_switches_survives_faults(store_url: str, tmp_path: Path, seed: int) -> None:
    faults = replace(Faults(), fallout=0.0, fails=0.15, false_done=0.15, lost=0.05, mean_days_to_repair=0.05)
    rig = begun(store_url, tmp_path, faults=faults, seed=seed)
    rig.conduct(until=small.START + timedelta(hours=9))
    for device in (SWITCH, OTHER):
        order(rig, TOR, device)
    on(rig, 20)
    assert (version(rig, SWITCH), version(rig, OTHER)) == ("1.0", "1.0")
    assert {row(rig, device).state for device in (SWITCH, OTHER)} == {UnitState.PROVEN}
    for device, nodes in ((SWITCH, BEHIND), (OTHER, [f"c0-n{i:03d}" for i in range(4, 8)])):
        assert_checked_after(rig, device, nodes)


def test_option_of_a_device_with_a_node_that_the_window_left_says_no(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    with rig.database.begin() as conn:
        fleet = inventory.load_fleet(conn)
        known = fleet.nodes[NodeId("c0-n003")]
        new = replace(known, name=NodeId("c0-n900"))
        inventory.save_fleet(conn, replace(fleet, nodes={**fleet.nodes, new.name: new}))
    with pytest.raises(Refusal, match=Code.RECOVERY_NOT_EMPTIED):
        order(rig, TOR, SWITCH)


def test_order_for_a_device_that_no_window_had_is_refused(store_url: str, tmp_path: Path) -> None:
    rig = returned(store_url, tmp_path)
    with pytest.raises(Refusal, match=Code.DEVICE_NOT_TAKEN):
        order(rig, TOR, DeviceId("c0-r0-torr"))


def test_roll_backs_of_switches_keep_to_isolation_and_to_the_limit_of_their_team(tmp_path: Path) -> None:
    catalogue = small.catalogue()
    alone = replace(catalogue.updates[TOR], isolation=small.Isolation(by=small.IsolationBy.PERCENT, at_once=50))
    catalogue = replace(catalogue, updates={**catalogue.updates, TOR: alone})
    limited = replace(small.catalogue(), team_limits={**catalogue.team_limits, small.TeamId("switches"): 1})
    for name, known in (("isolated", catalogue), ("limited", limited)):
        folder = tmp_path / name
        folder.mkdir()
        rig = returned(stagehand.fresh_sqlite(folder), folder)
        with rig.database.begin() as conn:
            inventory.save_catalogue(conn, known)
        since = rig.clock.now()
        for device in (SWITCH, OTHER):
            order(rig, TOR, device)
        on(rig, 4)
        first, second = steps(rig, [SWITCH, OTHER], since)
        assert first.ends_at is not None
        assert second.at >= first.ends_at, name
        assert (version(rig, SWITCH), version(rig, OTHER)) == ("1.0", "1.0")
