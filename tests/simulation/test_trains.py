"""The impactless train: allowed work on nodes that stay in service, at its pace, proven, or left to a near window."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed, Saboteur

from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Run, UnitOp
from fermata.domain.policy import Freeze, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.run_states import Desired, RunState
from fermata.execution.embedded import conduct
from fermata.execution.ownership import Ownership, SteadyWall
from fermata.services import intents
from fermata.services.intents import Wanted
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import consent, inventory, journal, trains

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LOSSY = replace(NO_FAULTS, fails=0.05, false_done=0.05, lost=0.1, busy=0.1)


class Watched:
    """Looks at the riders at every point the conductor passes."""

    def __init__(self, rig: stagehand.Rig) -> None:
        self.rig = rig
        self.at_once = 0

    def __call__(self, point: str) -> None:
        if not point.startswith("train"):
            return
        writing = [op for op in riders(self.rig) if op.state is UnitState.APPLYING]
        self.at_once = max(self.at_once, len(writing))
        assert len({op.fault_domain for op in writing}) <= 1
        machines = [self.rig.world.nodes[NodeId(op.unit)] for op in writing]
        assert all(machine.in_service and not machine.locked and not machine.drained for machine in machines)


def set_up(tmp_path: Path, *, faults: Faults = NO_FAULTS, later: timedelta = 2 * DAY, nodes: int = 8) -> stagehand.Rig:
    """The first cluster's window is an hour away, the second's so much later."""
    found, updates, campaign = small.fleet(clusters=2, nodes=nodes), small.catalogue(), small.campaign()
    made = small.plan(found, updates, campaign, [small.START, small.START + later])
    url = stagehand.fresh_sqlite(tmp_path)
    return stagehand.set_up(url, tmp_path, fleet=found, plan=made, faults=faults)


def ride(rig: stagehand.Rig, until: timedelta | None = None, crash: object = None) -> Run:
    end = None if until is None else small.NOW + until
    return conduct(
        rig.database,
        rig.site,
        rig.clock,
        rig.run,
        stop=lambda: end is not None and rig.clock.now() >= end,
        crash=crash,  # type: ignore[arg-type]
        has_trains=True,
        ownership=Ownership(run=rig.run, owner="rig", wall=SteadyWall()),
    )


def riders(rig: stagehand.Rig) -> tuple[UnitOp, ...]:
    with rig.database.read() as conn:
        return trains.riders_of_run(conn, rig.run)


def written(rig: stagehand.Rig, component: str, cluster: str) -> Counter[str]:
    steps = [step for step in rig.world.steps.values() if step.component == component and step.unit.startswith(cluster)]
    return Counter(step.unit for step in steps)


def test_far_from_a_window_work_rides_within_a_day_and_the_window_skips_it(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    watched = Watched(rig)
    ride(rig, until=DAY, crash=watched)
    found = riders(rig)
    assert {op.unit for op in found} == {f"c1-n{i:03d}" for i in range(1, 8)}, "out of service, or near a window: no"
    assert {op.state for op in found} == {UnitState.PROVEN}
    assert watched.at_once == 1, "a twentieth of eight nodes, but one at least"
    with rig.database.read() as conn:
        fleet = inventory.load_fleet(conn)
        events = Counter(entry.event for entry in journal.read(conn, limit=10_000))
    assert {fleet.nodes[NodeId(op.unit)].versions["bmc_fw"] for op in found} == {"2.0"}
    assert (events["train.opened"], events["train.arrived"]) == (1, 1)
    assert ride(rig).state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert set(written(rig, "bmc_fw", "c1").values()) == {1}, "the window wrote it only where nobody rode"
    assert all(set(machine.versions.values()) == {"2.0"} for machine in rig.world.nodes.values())


def test_riders_never_count_as_out(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=timedelta(minutes=30))
    assert any(op.state is UnitState.APPLYING for op in riders(rig))
    status = stagehand.services.status(rig.database)
    assert (status.nodes_out, status.in_service) == (0, status.baseline_in_service)


def test_near_a_window_nothing_rides(tmp_path: Path) -> None:
    rig = set_up(tmp_path, later=20 * HOUR)
    assert ride(rig).state is RunState.FINISHED
    assert riders(rig) == ()


def test_nothing_rides_without_an_approval(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    withdrawn = small.approval(
        small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=Scope(level=ScopeLevel.RACK, name="c1-r0")
    )
    with rig.database.begin() as conn:
        consent.append_entry(conn, withdrawn)
    ride(rig, until=DAY)
    assert {op.unit for op in riders(rig)} == {f"c1-n{i:03d}" for i in range(4, 8)}


def test_a_freeze_does_not_close_what_no_workload_feels(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    freeze = Freeze(
        id=small.FreezeId("frz"),
        customer=small.CUSTOMER,
        scope=Scope(level=ScopeLevel.CLUSTER, name="c1"),
        start=small.NOW,
        end=small.NOW + DAY,
        reason="training run",
    )
    with rig.database.begin() as conn:
        consent.add_freeze(conn, freeze)
    ride(rig, until=20 * HOUR)
    assert {op.state for op in riders(rig)} == {UnitState.PROVEN}


def test_a_train_whose_writes_fail_stops_and_windows_do_the_rest(tmp_path: Path) -> None:
    rig = set_up(tmp_path, faults=replace(NO_FAULTS, fails=1.0))
    ride(rig, until=DAY)
    found = riders(rig)
    assert {op.state for op in found} == {UnitState.LEFT_OUT}
    assert {op.reason.code for op in found if op.reason} == {Code.TRAIN_STOPPED, Code.RIDE_FAILED}
    tried = written(rig, "bmc_fw", "c1")
    assert sum(tried.values()) <= 6, "it stopped before it tried everybody"
    assert all(machine.in_service for name, machine in rig.world.nodes.items() if name in tried)


def test_a_rider_that_hangs_is_left_alone_until_it_is_repaired(tmp_path: Path) -> None:
    rig = set_up(tmp_path, faults=replace(NO_FAULTS, hangs=1.0, mean_days_to_repair=9.0))
    ride(rig, until=3 * HOUR)
    hung = [op for op in riders(rig) if op.state is UnitState.FAILED]
    assert hung
    assert {op.reason.code for op in hung if op.reason} == {Code.RIDE_HANGS}
    felt = ("lock", "drain", "reboot", "reset")
    assert not [s for s in rig.world.steps.values() if s.op in felt and s.unit.startswith("c1")]


@pytest.mark.parametrize("seed", range(3))
def test_lost_answers_and_false_claims_lose_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    rig = set_up(tmp_path, faults=LOSSY, nodes=16)
    rig.seed = seed
    rig.restart()
    ride(rig, until=DAY, crash=Watched(rig))
    for op in riders(rig):
        machine = rig.world.nodes[NodeId(op.unit)]
        machine.settle(rig.clock.now())
        assert op.finished_at is not None
        assert (machine.versions["bmc_fw"] == "2.0") or op.state is UnitState.LEFT_OUT
    assert UnitState.PROVEN in {op.state for op in riders(rig)}


@pytest.mark.parametrize("point", ["train intended", "train intent", "train performed", "train outcome"])
def test_killed_anywhere_it_goes_on_under_the_same_keys(tmp_path: Path, point: str) -> None:
    rig = set_up(tmp_path)
    for at in (1, 2, 3):
        saboteur = Saboteur(lambda _, name, left=[at]: name == point and _count_down(left))  # type: ignore[misc]
        with pytest.raises(Killed):
            ride(rig, crash=saboteur)
        rig.restart()
    ride(rig, until=DAY)
    assert {op.state for op in riders(rig)} == {UnitState.PROVEN}
    assert set(written(rig, "bmc_fw", "c1").values()) == {1}


def _count_down(left: list[int]) -> bool:
    left[0] -= 1
    return left[0] == 0


@pytest.mark.parametrize(
    ("wanted", "desired", "state"),
    [
        (Wanted(fleet=True), Desired.PAUSE, UnitState.PENDING),
        (Wanted(), Desired.STOP, UnitState.LEFT_OUT),
        (Wanted(nodes=(NodeId("c1-n007"),)), Desired.ABORT, UnitState.LEFT_OUT),
    ],
)
def test_operators_hold_and_end_riders(tmp_path: Path, wanted: Wanted, desired: Desired, state: UnitState) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=timedelta(minutes=5))
    intents.say(rig.database, wanted, desired, now=rig.clock.now(), actor="ann", why="smoke")
    ride(rig, until=6 * HOUR)
    assert next(op for op in riders(rig) if op.unit == "c1-n007").state is state
    assert "bmc_fw" not in {step.component for step in rig.world.steps.values() if step.unit == "c1-n007"}


def test_a_window_that_is_pulled_forward_takes_its_riders_and_waits_for_who_writes(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=timedelta(minutes=5))
    with rig.database.begin() as conn:
        stored = {row.window: row for row in stagehand.runs.load_windows(conn, rig.run)}
        row = stored["win-c1"]
        stagehand.runs.save_window(conn, replace(row, recheck_at=small.NOW + timedelta(minutes=6)))
    ride(rig, until=4 * HOUR)
    found = riders(rig)
    assert {op.reason.code for op in found if op.reason} == {Code.WINDOW_TAKES}
    assert {op.state for op in found} == {UnitState.PROVEN, UnitState.LEFT_OUT}
    assert set(written(rig, "bmc_fw", "c1").values()) == {1}


@pytest.mark.parametrize(
    ("desired", "state"),
    [
        (Desired.PAUSE, UnitState.APPLYING),
        (Desired.STOP, UnitState.LEFT_OUT),
        (Desired.ABORT, UnitState.LEFT_OUT),
    ],
)
def test_write_that_was_intended_and_not_asked_for_waits_for_or_ends_with_what_operators_say(
    tmp_path: Path, desired: Desired, state: UnitState
) -> None:
    rig = set_up(tmp_path)
    own = rig.site
    rig.site = Saboteur(lambda _, point: point == "before firmware.apply").around(own)
    with pytest.raises(Killed):
        ride(rig)
    rig.restart()
    (intended,) = (op for op in riders(rig) if op.state is UnitState.APPLYING)
    intents.say(rig.database, Wanted(), desired, now=rig.clock.now(), actor="ann", why="smoke")
    ride(rig, until=HOUR)
    after = next(op for op in riders(rig) if op.unit == intended.unit)
    assert (after.state, after.reason is not None) == (state, True)
    assert not written(rig, "bmc_fw", "c1")
