"""A process that is paused right before a call, after it stored its intent and looked at its leases: whatever became of
the unit meanwhile, the call does nothing. One that stood still for long does not call at all.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Saboteur
from tests.simulation.meddling import entries
from tests.simulation.test_late_freezes import add_freeze, left, unshared
from tests.simulation.test_ownership import Wall, Worker, hire

from fermata.domain.ids import NodeId, RunId
from fermata.domain.node_states import UnitState
from fermata.domain.reasons import Code
from fermata.domain.run_states import LIVE_RUNS, RunState
from fermata.execution.conduct import load, next_instant
from fermata.execution.embedded import conduct
from fermata.execution.ownership import INTENT_LASTS, Outdated, Ownership
from fermata.ports import Ask

TINY = small.fleet(nodes=4, out_of_service=0)
LATE = "c0-n003"


class Paused(Saboteur):
    """Right before the first call of one kind that is about LATE: `meanwhile` happens."""

    def __init__(self, point: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(lambda _number, _point: False)
        self._point = point
        self._meanwhile: Callable[[], None] | None = meanwhile

    def __call__(self, point: str) -> None:
        mine = point == self._point and any(item.unit == LATE for item in self.items)
        if mine and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()


def two_workers(folder: Path) -> tuple[stagehand.Rig, Worker, Worker, Wall]:
    rig = stagehand.set_up(stagehand.fresh_sqlite(folder), folder, fleet=TINY, catalogue=unshared())
    wall = Wall()
    first, second = hire(rig, "first", wall), hire(rig, "second", wall)
    first.take()
    return rig, first, second, wall


def go_on(rig: stagehand.Rig, worker: Worker, until: Callable[[], bool]) -> None:
    while not until() and load(worker.stage).state in LIVE_RUNS:
        with contextlib.suppress(Outdated):
            worker.work()
        rig.clock.wait_until(next_instant(worker.stage, rig.clock.now()), lambda: False)


def state_of(rig: stagehand.Rig, unit: str) -> UnitState | None:
    return next((op.state for op in rig.ops() if op.unit == unit), None)


def test_late_lock_of_a_node_that_was_left_out_meanwhile_does_nothing(tmp_path: Path) -> None:
    rig, first, second, wall = two_workers(tmp_path)
    gave_up: list[str] = []

    def left_out_meanwhile() -> None:
        add_freeze(rig, f"node {LATE}", hours=9)
        wall.pass_lease()
        second.take()
        second.work()
        assert state_of(rig, LATE) is UnitState.LEFT_OUT

    first.stage.site = Paused("before workloads.lock", left_out_meanwhile).around(rig.site)
    while not gave_up:
        try:
            first.work()
        except Outdated as outdated:
            gave_up.append(outdated.why.code)
        else:
            rig.clock.wait_until(next_instant(first.stage, rig.clock.now()), lambda: False)
    assert gave_up == [Code.WORKER_OUTDATED]
    machine = rig.world.nodes[NodeId(LATE)]
    assert (machine.in_service, machine.locked) == (True, False)
    assert rig.world.happened["late call is refused"] >= 1
    go_on(rig, second, lambda: False)
    assert load(second.stage).state is RunState.FINISHED
    assert left(rig) == {LATE: Code.FROZEN_BEFORE_LOCK}
    stagehand.assert_nothing_lost(rig)


@pytest.mark.parametrize("point", ["before firmware.apply", "before power.reboot", "before workloads.give_back"])
def test_late_call_to_a_node_with_which_somebody_else_is_further_on_does_nothing(tmp_path: Path, point: str) -> None:
    """It would be a write, a reboot or a return of a node that serves again."""
    rig, first, second, wall = two_workers(tmp_path)
    done: list[int] = []

    def conduct_to_the_end() -> None:
        wall.pass_lease()
        second.take()
        go_on(rig, second, lambda: False)
        assert load(second.stage).state is RunState.FINISHED
        done.append(len(rig.world.steps))

    first.stage.site = Paused(point, conduct_to_the_end).around(rig.site)
    while not done:
        with contextlib.suppress(Outdated):
            first.work()
        if not done:
            rig.clock.wait_until(next_instant(first.stage, rig.clock.now()), lambda: False)
    assert done == [len(rig.world.steps)]
    stagehand.assert_nothing_lost(rig)


def test_what_was_decided_too_long_ago_is_not_called_but_decided_anew(tmp_path: Path) -> None:
    """The machine slept between intent and call: the date went on, the steady clock did not, nobody took over."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=TINY, catalogue=unshared())
    asleep = timedelta()
    wall = Wall()

    def date() -> datetime:
        return wall() + asleep

    def sleep(point: str) -> None:
        nonlocal asleep
        if point == "intended" and not asleep and state_of(rig, LATE) is UnitState.LOCKED:
            asleep = INTENT_LASTS + timedelta(seconds=1)
            add_freeze(rig, f"node {LATE}", hours=9)

    owned = Ownership(run=rig.run, owner="sleeper", wall=wall, date=date)
    run = conduct(rig.database, rig.site, rig.clock, rig.run, stop=lambda: False, crash=sleep, ownership=owned)
    assert run.state is RunState.FINISHED
    assert {line.subject for line in entries(rig, "step.not_called")} >= {f"node:{name}" for name in TINY.nodes}
    assert left(rig) == {LATE: Code.FROZEN_BEFORE_LOCK}
    assert not any(step.unit == LATE for step in rig.world.steps.values())
    stagehand.assert_nothing_lost(rig)


def test_age_is_told_by_whichever_clock_says_that_it_is_longer() -> None:
    wall, date = Wall(), Wall()
    owned = Ownership(run=RunId("run"), owner="one", wall=wall, date=date)
    moment = owned.moment()
    assert owned.age(moment) == timedelta()
    for clock, by in ((wall, 5), (date, 9), (date, -30)):
        clock.at += timedelta(seconds=by)
    assert owned.age(moment) == timedelta(seconds=21)  # the date was set back: nobody knows how long it was
    wall.at += timedelta(minutes=1)
    assert owned.age(moment) == timedelta(seconds=65)


def test_unit_whose_target_has_heard_of_a_newer_owner_than_the_store_knows_waits_for_a_person(tmp_path: Path) -> None:
    """The store was put back from a copy, and another conductor is at work with the newer one."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=TINY, catalogue=unshared())
    key = f"{rig.run}/win-c0/{LATE}/lock/1"
    rig.site.workloads.observe([Ask(key=key, unit=LATE, generation=7)])  # type: ignore[arg-type]
    rig.conduct(until=small.START + timedelta(minutes=90))
    (op,) = [op for op in rig.ops() if op.unit == LATE]
    assert op.reason is not None
    assert (op.state, op.reason.code) == (UnitState.LOCKED, Code.UNIT_OVERTAKEN)
    assert op.tail_since is not None
    assert not rig.world.nodes[NodeId(LATE)].locked


def test_generation_of_a_cohort_goes_on_when_it_is_taken_up_again(tmp_path: Path) -> None:
    """Targets remember the newest that they heard of: one that began anew would be refused for ever."""
    _rig, first, second, wall = two_workers(tmp_path)
    window = small.WindowId("win-c0")
    seen: list[int] = []
    for worker in (first, second, first):
        with worker.stage.database.begin() as conn:
            assert worker.stage.ownership.take(conn, window)
            seen.append(worker.stage.ownership.generation(window))
            worker.stage.ownership.end_cohort(conn, window)
        worker.stage.ownership.forget(window)
        wall.pass_lease()
        second.stage.ownership.held.clear()
    assert seen == sorted(set(seen))
