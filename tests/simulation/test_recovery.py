"""Rolling back on the simulated fleet: nodes come back with their last known good, the others without the update."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_gates import BAD_OS, OS, WAITING, lines, states, three_windows, tried

from fermata.domain.gates import GateSaid, GateVerdict, GateWord
from fermata.domain.ids import FreezeId, NodeId, UpdateId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.phases import GateTerms, OnFailure, Phases
from fermata.domain.policy import Freeze, Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.recovery import Recovery
from fermata.domain.updates import Rollback
from fermata.services import freezes, gates, recovery
from fermata.services.errors import Refusal
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import inventory
from fermata.store import recovery as store

pytestmark = pytest.mark.databases("sqlite")

BACK = {UnitState.RETURNED, UnitState.KEPT_OUT}


def roll_back(rig: stagehand.Rig, update: UpdateId = OS) -> None:
    word = GateSaid(word=GateWord.ROLL_BACK, actor="operator-1", why="it breaks parts", at=rig.clock.now())
    gates.say(rig.database, rig.run, update, word)


def nodes(rig: stagehand.Rig, cluster: str) -> dict[str, UnitState]:
    return {op.unit: op.state for op in rig.ops() if op.kind is UnitKind.NODE and op.cluster == cluster}


def versions(rig: stagehand.Rig, cluster: str, component: str) -> set[str]:
    """Of the nodes that were in service before: nothing is known to have run well on the first, which was not."""
    members = [m for name, m in rig.world.nodes.items() if name.startswith(f"{cluster}-") and name[-4:] != "n000"]
    return {m.versions[component] for m in members}


@pytest.mark.databases("sqlite", "postgresql")
def test_rolled_back_nodes_return_with_their_last_known_good(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path)
    rig.conduct(until=small.START + WAITING)
    assert states(rig)[OS].judged.verdict is GateVerdict.HOLD
    roll_back(rig)
    rig.conduct(until=rig.clock.now() + timedelta(hours=8))
    for cluster in ("c0", "c1"):
        assert set(nodes(rig, cluster).values()) <= BACK, cluster
        assert versions(rig, cluster, "host_os") == {"1.0"}
        assert versions(rig, cluster, "nic_fw") == {"2.0"}
    assert {name[:3] for name in tried(rig, "os")} == {"c0-"}
    assert not any(m.locked for name, m in rig.world.nodes.items() if not name.startswith("c2"))


def test_nodes_that_never_began_it_go_on_without_it(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path)
    rig.conduct(until=small.START + WAITING)
    roll_back(rig)
    rig.conduct(until=rig.clock.now() + timedelta(hours=3))
    assert set(nodes(rig, "c1").values()) <= BACK
    begun = [step for step in rig.world.steps.values() if step.update == OS and step.unit.startswith("c1-")]
    assert begun == []


def test_node_that_was_returned_is_taken_out_rolled_back_and_returned(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    rig.conduct(until=small.START + timedelta(hours=5))
    assert set(nodes(rig, "c0").values()) <= BACK
    asked = recovery.Asked(updates=frozenset({OS}), nodes=frozenset({NodeId("c0-n003")}))
    said = recovery.Word(actor="operator-1", why="this one misbehaves", at=rig.clock.now())
    (line,) = recovery.recover(rig.database, rig.run, asked, said)
    assert (line.option, line.to_version) == (Recovery.ROLL_BACK, "1.0")
    rig.conduct(until=rig.clock.now() + timedelta(hours=3))
    machine = rig.world.nodes[NodeId("c0-n003")]
    assert (machine.versions["host_os"], machine.in_service, machine.locked) == ("1.0", True, False)
    assert nodes(rig, "c0")["c0-n003"] is UnitState.RETURNED
    assert rig.world.nodes[NodeId("c0-n004")].versions["host_os"] == "2.0"
    (told,) = lines(rig, "node.recovering")
    assert (told.subject, told.why) == ("node:c0-n003", "this one misbehaves")
    with rig.database.read() as conn:
        good = store.load_last_good(conn, [NodeId("c0-n003"), NodeId("c0-n004")])
    assert good[NodeId("c0-n003")].versions["host_os"] == "1.0"
    assert good[NodeId("c0-n004")].versions["host_os"] == "2.0"
    assert good[NodeId("c0-n004")].before["host_os"] == "1.0"


def test_gate_with_roll_back_on_failure_does_all_by_itself(store_url: str, tmp_path: Path) -> None:
    phases = Phases(full=GateTerms(on_failure=OnFailure.ROLL_BACK))
    fleet, updates, campaign = small.fleet(nodes=16), small.catalogue(), replace(small.campaign(), phases=phases)
    rig = stagehand.set_up(store_url, tmp_path, fleet=fleet, campaign=campaign, faults=BAD_OS)
    rig.conduct(until=small.START + timedelta(hours=12))
    assert states(rig)[OS].judged.verdict is GateVerdict.ROLL_BACK
    assert set(nodes(rig, "c0").values()) <= BACK
    assert versions(rig, "c0", "host_os") == {"1.0"}
    assert updates.updates[OS].to_version == "2.0"


@pytest.mark.parametrize("seed", [3, 4])
def test_roll_back_survives_faults_of_its_own(store_url: str, tmp_path: Path, seed: int) -> None:
    faults = replace(Faults(), fallout=0.0, fails=0.1, false_done=0.1, lost=0.05, mean_days_to_repair=0.05)
    fleet = small.fleet(nodes=16)
    rig = stagehand.set_up(store_url, tmp_path, fleet=fleet, faults=faults, seed=seed)
    rig.conduct(until=small.START + timedelta(hours=2))
    roll_back(rig)
    rig.conduct(until=small.START + timedelta(hours=16))
    assert set(nodes(rig, "c0").values()) <= BACK
    assert versions(rig, "c0", "host_os") == {"1.0"}


def test_options_say_why_a_node_cannot_be_rolled_back(store_url: str, tmp_path: Path) -> None:
    catalogue = small.catalogue()
    forward = replace(catalogue.updates[UpdateId("gpu")], rollback=Rollback.FORWARD_ONLY)
    catalogue = replace(catalogue, updates={**catalogue.updates, forward.id: forward})
    rig = stagehand.set_up(store_url, tmp_path, catalogue=catalogue)
    rig.conduct()
    lines_of = recovery.plan_recovery(rig.database, rig.run, recovery.Asked(nodes=frozenset({NodeId("c0-n003")})))
    assert {line.update: line.option for line in lines_of} == {
        "bmc": Recovery.ROLL_BACK,
        "gpu": Recovery.FORWARD_ONLY,
        "nic": Recovery.ROLL_BACK,
        "os": Recovery.ROLL_BACK,
    }
    first = recovery.plan_recovery(rig.database, rig.run, recovery.Asked(nodes=frozenset({NodeId("c0-n000")})))
    assert {line.reason.code for line in first if line.update == "os"} == {Code.RECOVERY_NO_LAST_GOOD}


def test_what_builds_on_an_update_is_rolled_back_with_it(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct()
    asked = recovery.Asked(updates=frozenset({UpdateId("nic")}), nodes=frozenset({NodeId("c0-n003")}))
    assert {line.update for line in recovery.plan_recovery(rig.database, rig.run, asked)} == {"nic", "os"}


def test_order_without_a_reason_or_on_nodes_without_the_update_is_refused(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    asked = recovery.Asked(nodes=frozenset({NodeId("c0-n003")}))
    with pytest.raises(Refusal, match=Code.NODE_NOT_TAKEN):
        recovery.plan_recovery(rig.database, rig.run, asked)
    rig.conduct(until=small.START + timedelta(minutes=1))
    with pytest.raises(Refusal, match=Code.NOTHING_TO_RECOVER):
        recovery.plan_recovery(rig.database, rig.run, asked)
    with pytest.raises(Refusal, match=Code.RECOVERY_REASON_MISSING):
        recovery.recover(rig.database, rig.run, asked, recovery.Word(actor="operator-1", why=" ", at=rig.clock.now()))


def test_node_that_waits_to_be_taken_out_again_says_why_and_says_it_once(store_url: str, tmp_path: Path) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    rig.conduct(until=small.START + timedelta(hours=5))
    now = rig.clock.now()
    frozen = Freeze(
        id=FreezeId("fr_1"),
        customer=small.CUSTOMER,
        scope=Scope(level=ScopeLevel.NODE, name="c0-n003"),
        start=now,
        end=now + timedelta(hours=9),
        reason="a launch",
    )
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(small.policy(), freezes=(frozen,)))
    asked = recovery.Asked(updates=frozenset({OS}), nodes=frozenset({NodeId("c0-n003")}))
    recovery.recover(rig.database, rig.run, asked, recovery.Word(actor="operator-1", why="it misbehaves", at=now))
    rig.conduct(until=now + timedelta(hours=1))
    waits = next(op for op in rig.ops() if op.unit == "c0-n003")
    assert waits.state is UnitState.RETURNED
    assert waits.reason is not None
    assert waits.reason.code is Code.RECOVERY_WAITS
    assert "a launch" in waits.reason.sentence
    assert [line.subject for line in lines(rig, "node.recovery_waits")] == ["node:c0-n003"]
    freezes.end_freeze(rig.database, FreezeId("fr_1"), now=rig.clock.now())
    rig.conduct(until=rig.clock.now() + timedelta(hours=3))
    after = next(op for op in rig.ops() if op.unit == "c0-n003")
    assert (after.state, after.reason) == (UnitState.RETURNED, None)
    assert rig.world.nodes[NodeId("c0-n003")].versions["host_os"] == "1.0"
