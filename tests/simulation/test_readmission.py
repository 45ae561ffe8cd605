"""What the conductor does when the proof of return says no: looks again, does it again, or waits for a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.meddling import MeddlingClock, entries, in_state

from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.domain.operations import UnitOp
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.routing import half_look
from fermata.domain.run_states import RunState
from fermata.ports import Inventory
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import consent

BUSY = replace(NO_FAULTS, busy=1.0)  # every call is turned away once: a return waits two minutes under its intent
HOUR = timedelta(hours=1)


def rig_with(folder: Path, act: Callable[[stagehand.Rig, UnitOp, datetime], None]) -> stagehand.Rig:
    """`act` is done once, while a proven node waits for its return."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(folder), folder, faults=BUSY, seed=3)
    rig.clock = MeddlingClock(rig, in_state(UnitState.PROVEN), lambda op, now: act(rig, op, now))
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, rig.clock, rig.faults, rig.seed)
    return rig


def meddled(rig: stagehand.Rig) -> str:
    assert isinstance(rig.clock, MeddlingClock)
    assert rig.clock.done is not None
    return rig.clock.done.unit


def op_of(rig: stagehand.Rig, unit: str) -> UnitOp:
    return next(op for op in rig.ops() if op.unit == unit)


def withdraw(rig: stagehand.Rig, op: UnitOp, _now: datetime) -> None:
    word = small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=Scope(level=ScopeLevel.NODE, name=op.unit))
    with rig.database.begin() as conn:
        consent.append_entry(conn, word)


def test_version_that_changed_while_the_return_waits_is_written_again(tmp_path: Path) -> None:
    def forget(rig: stagehand.Rig, op: UnitOp, _now: datetime) -> None:
        rig.world.nodes[NodeId(op.unit)].versions["bmc_fw"] = "1.0"

    rig = rig_with(tmp_path, forget)
    assert rig.conduct().state is RunState.FINISHED
    unit = meddled(rig)
    writes = [s for s in rig.world.steps.values() if s.unit == unit and s.op == "apply" and s.update == UpdateId("bmc")]
    checks = [s for s in rig.world.steps.values() if s.unit == unit and s.op == "check"]
    assert (len(writes), len(checks)) == (2, 2)
    failed = [line for line in entries(rig, "step.failed") if line.subject == f"node:{unit}"]
    assert ["reports bmc_fw 1.0" in line.why for line in failed] == [True]
    stagehand.assert_nothing_lost(rig)


def test_return_that_was_intended_before_a_long_outage_is_judged_anew(tmp_path: Path) -> None:
    """The process died with the intent on record; hours later the node runs something else."""
    rig = rig_with(tmp_path, lambda _rig, _op, _now: None)
    while rig.clock.done is None:  # type: ignore[attr-defined]
        rig.conduct(until=rig.clock.now() + timedelta(minutes=1))
    unit = meddled(rig)
    before = op_of(rig, unit)
    assert before.state is UnitState.PROVEN
    assert before.evidence.reading is not None
    rig.restart()
    rig.clock.wait_until(rig.clock.now() + 30 * HOUR, lambda: False)
    assert rig.conduct().state is RunState.FINISHED
    after = op_of(rig, unit)
    assert after.evidence.reading is not None
    assert after.evidence.reading.at >= before.evidence.reading.at + 30 * HOUR
    assert len([s for s in rig.world.steps.values() if s.unit == unit and s.op == "check"]) == 2  # grew old as well
    stagehand.assert_nothing_lost(rig)


def test_node_whose_consent_is_gone_waits_for_a_person_and_goes_when_it_is_given_again(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, withdraw)
    rig.conduct(until=small.START + 10 * HOUR)
    unit = meddled(rig)
    waiting = op_of(rig, unit)
    assert waiting.state is UnitState.PROVEN
    assert waiting.tail_since is not None
    assert waiting.reason is not None
    assert waiting.reason.code is Code.RETURN_CONSENT
    assert not rig.world.nodes[NodeId(unit)].in_service
    with rig.database.begin() as conn:
        consent.append_entry(conn, small.approval(small.catalogue(), seq=3))
    assert rig.conduct().state is RunState.FINISHED
    assert op_of(rig, unit).state is UnitState.RETURNED
    stagehand.assert_nothing_lost(rig)


def test_inventory_that_does_not_answer_keeps_everybody_out_until_it_does(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, seed=3)
    rig.conduct(until=small.START + timedelta(minutes=30))
    real = rig.site.inventory
    rig.site = replace(rig.site, inventory=_Silent(real))
    rig.conduct(until=small.START + 6 * HOUR)
    asked = {step.op for step in rig.world.steps.values() if step.at > small.START + timedelta(minutes=30)}
    assert not asked & {"apply", "reboot", "reset", "give_back"}
    reasons = {op.reason.code for op in rig.ops() if op.reason is not None}
    assert reasons & {Code.NODE_UNSEEN, Code.RETURN_NOT_READ}
    rig.site = replace(rig.site, inventory=real)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


@pytest.mark.parametrize(("half", "written"), [(True, True), (False, False)], ids=["dead controller", "nobody"])
def test_a_node_known_to_be_empty_holds_no_switch_up_though_its_controller_is_dead(
    tmp_path: Path, half: bool, written: bool
) -> None:
    """The workload manager says that nothing runs there, which is all that a switch needs to know of it."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=4))
    rig.conduct(until=small.START + timedelta(minutes=2, seconds=30))
    real, since = rig.site.inventory, rig.clock.now()
    rig.site = replace(rig.site, inventory=_Dead(real, half=half))
    rig.conduct(until=small.START + 6 * HOUR)
    dead = op_of(rig, DEAD)
    assert dead.state is UnitState.APPLYING
    assert dead.reason is not None
    assert dead.reason.code is Code.RETURN_NOT_READ
    own = {step.op for step in rig.world.steps.values() if step.unit == DEAD and step.at > since}
    assert not own & {"apply", "reboot", "reset", "give_back"}
    switches = [op.state is UnitState.PROVEN for op in rig.ops() if op.unit in ("c0-r0-tor", "c0-u0-ib_leaf")]
    assert switches == [written, written]
    rig.site = replace(rig.site, inventory=real)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)


DEAD = NodeId("c0-n002")


class _Dead:
    """Does not see one node, or only what its workload manager says of it."""

    def __init__(self, inner: Inventory, *, half: bool) -> None:
        self._inner, self._half = inner, half

    def observe_nodes(self, nodes: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        found = dict(self._inner.observe_nodes(nodes))
        dead = found.pop(DEAD, None)
        return found | {DEAD: half_look(dead)} if dead is not None and self._half else found

    def observe_devices(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        return self._inner.observe_devices(devices)


class _Silent:
    """Knows nobody."""

    def __init__(self, _inner: object) -> None:
        pass

    def observe_nodes(self, _nodes: object) -> dict[NodeId, object]:
        return {}

    def observe_devices(self, _devices: object) -> dict[NodeId, object]:
        return {}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(3))
def test_every_return_in_a_rough_campaign_has_its_proof_on_its_row(tmp_path: Path, seed: int) -> None:
    harsh = Faults(
        fails=0.05, hangs=0.02, false_done=0.05, unhealthy=0.05, lost=0.05, busy=0.1, fallout=0.1,
        mean_days_to_repair=0.3,
    )  # fmt: skip
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, faults=harsh, seed=seed)
    assert rig.conduct().state is RunState.FINISHED
    returned = [op for op in rig.ops() if op.state is UnitState.RETURNED]
    assert returned
    for op in returned:
        found = op.evidence
        assert found.reading is not None
        assert found.checked_at is not None
        assert found.healthy
        assert set(found.reading.versions.values()) == {"2.0"}
        assert found.reading.locked
        assert found.changed_at is not None
        assert found.changed_at <= found.checked_at <= found.reading.at
