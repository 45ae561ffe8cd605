"""Rolling a switch back while somebody scales nodes in behind it, and while the conductor is killed again and again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import stagehand
from tests.simulation.crashing import Killed, Saboteur
from tests.simulation.meddling import MeddlingClock, entries
from tests.simulation.test_recovery_of_devices import (
    BEHIND,
    SWITCH,
    TOR,
    assert_checked_after,
    on,
    order,
    returned,
    row,
    steps,
    version,
)

from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp

VICTIM = BEHIND[2]


def is_waiting(op: UnitOp) -> bool:
    return op.unit == VICTIM and op.state is UnitState.DRAINED and op.taken_again_at is not None


def is_written(op: UnitOp) -> bool:
    return op.unit == SWITCH and op.state is UnitState.RECOVERING


@pytest.mark.parametrize("keeps_lock", [False, True])
@pytest.mark.parametrize("wanted", [is_waiting, is_written])
def test_node_scaled_in_behind_a_switch_is_emptied_again_and_checked_after_it(
    tmp_path: Path, wanted: Callable[[UnitOp], bool], keeps_lock: bool
) -> None:
    rig = returned(stagehand.fresh_sqlite(tmp_path), tmp_path)
    since = rig.clock.now()
    order(rig, TOR, SWITCH)

    def act(_op: UnitOp, now: datetime) -> None:
        rig.world.scale_in(VICTIM, now, keeps_lock=keeps_lock)

    clock = MeddlingClock(rig, wanted, act)
    rig.clock = clock
    rig.world, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    on(rig, 4)  # the simulated fleet breaks off when the switch is written over a node that serves
    assert clock.done is not None
    assert version(rig, SWITCH) == "1.0"
    assert_checked_after(rig, SWITCH, BEHIND)
    assert [line.subject for line in entries(rig, "node.astray")] == [f"node:{VICTIM}"]
    assert [step.op for step in steps(rig, [VICTIM], since)].count("drain") == 2


def test_killed_at_every_point_of_it_once_the_switch_is_written_once(tmp_path: Path) -> None:
    rig = returned(stagehand.fresh_sqlite(tmp_path), tmp_path)
    since = rig.clock.now()
    order(rig, TOR, SWITCH)
    spared: set[tuple[object, str]] = set()

    def kills(_number: int, point: str) -> bool:
        place = (rig.clock.now(), point)
        is_new = place not in spared
        spared.add(place)
        return is_new

    saboteur, until, killed = Saboteur(kills), since + timedelta(hours=2), 0
    while rig.clock.now() < until:
        rig.site = saboteur.around(rig.site)
        try:
            rig.conduct(until=until, crash=saboteur)
        except Killed:
            killed += 1
            rig.restart()
    assert killed > 50
    assert "rolling back" in saboteur.names
    rig.restart()
    assert version(rig, SWITCH) == "1.0"
    assert row(rig, SWITCH).state is UnitState.PROVEN
    assert_checked_after(rig, SWITCH, BEHIND)
    done = [(step.unit, step.op) for step in steps(rig, [*BEHIND, SWITCH], since)]
    assert len(done) == len(set(done))
