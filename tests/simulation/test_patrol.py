"""Nodes that somebody scales in while a window has them: raised within one poll, emptied again, proven anew."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Saboteur
from tests.simulation.meddling import Loud, MeddlingClock, entries, impact_after, in_state
from tests.simulation.test_kill import conduct_through

from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState
from fermata.execution.patrol import PATROL_EVERY
from fermata.ports import NoticeKind, Notifier
from fermata.sim.fates import NO_FAULTS, Faults

SLOW = replace(NO_FAULTS, slow_drain=0.3, slow_factor=6.0)
FAULTS: dict[UnitState, Faults] = {
    UnitState.DRAINING: NO_FAULTS,
    UnitState.DRAINED: SLOW,
    UnitState.APPLYING: NO_FAULTS,
    UnitState.REBOOTING: NO_FAULTS,
    UnitState.RESETTING: replace(NO_FAULTS, fails=0.4),
    UnitState.VERIFYING: NO_FAULTS,
    UnitState.PROVEN: replace(NO_FAULTS, busy=1.0),
    UnitState.FAILED: replace(NO_FAULTS, fallout=0.4),
}
CASES = [(state, keeps) for state in FAULTS for keeps in (False, True)]


def meddle(rig: stagehand.Rig, state: UnitState, *, keeps_lock: bool, out_after: bool = False) -> MeddlingClock:
    def act(op: UnitOp, now: datetime) -> None:
        rig.world.scale_in(op.unit, now, keeps_lock=keeps_lock)
        if out_after:
            rig.world.scale_out(op.unit, now)

    clock = MeddlingClock(rig, in_state(state), act)
    rig.clock = clock
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    rig.site = replace(rig.site, notifier=cast(Notifier, Loud(inner=rig.site.notifier)))
    return clock


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("state", "keeps_lock"), CASES, ids=[f"{s}-{'locked' if k else 'unlocked'}" for s, k in CASES])
def test_node_scaled_in_is_raised_within_one_poll_drained_again_and_proven_anew(
    tmp_path: Path, state: UnitState, keeps_lock: bool
) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, faults=FAULTS[state], seed=3)
    clock = meddle(rig, state, keeps_lock=keeps_lock)
    assert rig.conduct().state is RunState.FINISHED  # the simulated fleet breaks off whatever no one may ask
    assert clock.done is not None, f"no node was ever {state}"
    assert clock.at is not None
    unit = clock.done.unit
    raised = [line for line in entries(rig, "node.astray") if line.subject == f"node:{unit}"]
    drain_cancelled = state is UnitState.DRAINING and keeps_lock  # nothing to see before the target says so
    patience = timedelta(minutes=30) if drain_cancelled else PATROL_EVERY
    assert [line.at - clock.at <= patience for line in raised] == [True]
    assert raised[0].data["code"] in (Code.NODE_ASTRAY, Code.NODE_UNLOCKED)
    first = [op for op, _ in impact_after(rig, unit, clock.at)][:2]
    assert first == ["lock", "drain"]
    stagehand.assert_nothing_lost(rig)
    op = next(op for op in rig.ops() if op.unit == unit)
    assert op.state is UnitState.RETURNED
    assert op.tail_since is not None
    told = [notice for notice in cast(Loud, rig.site.notifier).told if notice.kind is NoticeKind.ASTRAY]
    assert {notice.subject for notice in told} == {unit}


def test_node_that_disappears_again_is_not_forgotten(tmp_path: Path) -> None:
    """It was out of our hands for a moment: whatever it looks like now, it is emptied, checked and read anew."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, seed=3)
    clock = meddle(rig, UnitState.REBOOTING, keeps_lock=False, out_after=True)
    assert rig.conduct().state is RunState.FINISHED
    assert clock.done is not None
    assert clock.at is not None
    (raised,) = entries(rig, "node.astray")
    assert raised.subject == f"node:{clock.done.unit}"
    assert raised.data["code"] == Code.NODE_UNLOCKED
    assert [op for op, _ in impact_after(rig, clock.done.unit, clock.at)][:2] == ["lock", "drain"]
    stagehand.assert_nothing_lost(rig)


def test_node_found_out_of_service_is_watched_as_well(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, seed=3)
    clock = MeddlingClock(
        rig, in_state(UnitState.APPLYING, before=False), lambda op, now: rig.world.scale_in(op.unit, now)
    )
    rig.clock = clock
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    assert rig.conduct().state is RunState.FINISHED
    assert [line.subject for line in entries(rig, "node.astray")] == ["node:c0-n000"]
    assert not rig.world.nodes[NodeId("c0-n000")].in_service
    stagehand.assert_nothing_lost(rig)


def test_no_device_is_written_while_a_node_behind_it_is_in_service_again(tmp_path: Path) -> None:
    """The nodes wait, drained, for a switch behind a slow one of them: one of the others comes back."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, faults=SLOW, seed=3)
    clock = meddle(rig, UnitState.DRAINED, keeps_lock=True)
    assert rig.conduct().state is RunState.FINISHED
    assert clock.done is not None
    assert clock.at is not None
    unit = NodeId(clock.done.unit)
    drained_again = next(at for op, at in impact_after(rig, unit, clock.at) if op == "drain")
    node = rig.world.fleet.nodes[unit]
    mine = {device.name for device in rig.world.fleet.devices_of(node) if device.kind != "rack_manager"}
    writes = [s for s in rig.world.steps.values() if s.unit in mine and s.op == "apply" and s.at > clock.at]
    assert writes
    assert all(step.at > drained_again for step in writes)


@pytest.mark.timeout(300)
def test_killed_at_every_point_after_it_nodes_are_raised_once_and_nothing_is_done_twice(tmp_path: Path) -> None:
    """Two nodes are scaled in, one of them still under our lock; from then on every point kills once."""
    found = small.fleet(nodes=4)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=found, faults=SLOW, seed=3)
    spared: set[tuple[object, str]] = set()

    def kills(_number: int, point: str) -> bool:
        now = rig.clock.now()
        if now < small.START + timedelta(minutes=40):
            return False
        if not spared:
            rig.world.scale_in("c0-n001", now, keeps_lock=True)
            rig.world.scale_in("c0-n002", now)
        place = (now, point)
        if place in spared:
            return False
        spared.add(place)
        return True

    assert conduct_through(rig, Saboteur(kills)) > 50
    raised = Counter(line.subject for line in entries(rig, "node.astray"))
    assert raised == {"node:c0-n001": 1, "node:c0-n002": 1}
    stagehand.assert_nothing_lost(rig)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("state", [UnitState.APPLYING, UnitState.REBOOTING, UnitState.VERIFYING])
def test_step_that_was_intended_before_the_node_came_back_is_not_asked_for(tmp_path: Path, state: UnitState) -> None:
    """Every call is turned away once: between the intent and the second try somebody scales the node in."""
    busy = replace(NO_FAULTS, busy=1.0)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, faults=busy, seed=3)

    def wanted(op: UnitOp) -> bool:
        return op.state is state and op.asked is Asked.INTENDED and op.unit == "c0-n003"

    clock = MeddlingClock(rig, wanted, lambda op, now: rig.world.scale_in(op.unit, now))
    rig.clock = clock
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    assert rig.conduct().state is RunState.FINISHED
    assert clock.at is not None
    assert [op for op, _ in impact_after(rig, "c0-n003", clock.at)][:2] == ["lock", "drain"]
    stagehand.assert_nothing_lost(rig)


def test_nobody_is_raised_when_nobody_meddles(tmp_path: Path) -> None:
    harsh = Faults(fails=0.1, hangs=0.02, false_done=0.05, lost=0.1, busy=0.1, fallout=0.2, mean_days_to_repair=0.3)
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, faults=harsh, seed=11)
    rig.conduct()
    assert entries(rig, "node.returned")
    assert entries(rig, "node.astray") == []
