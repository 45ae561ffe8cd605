"""Riders of the train beside work of people and roll-backs, since one request at a time holds a node; and what becomes
of them when their approval or their time is over.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed, Saboteur
from tests.simulation.test_repairs import ask, events, is_with_people, later, order
from tests.simulation.test_trains import HOUR, ride, riders, written

from fermata.domain.ids import NodeId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.run_states import Desired
from fermata.domain.train import NEAR, Train
from fermata.execution.stage import set_stage
from fermata.execution.taking_again import Room
from fermata.services import intents
from fermata.services.intents import Wanted
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import consent, trains, unit_ops

MINUTE = timedelta(minutes=1)
HANGS = replace(NO_FAULTS, hangs=1.0, mean_days_to_repair=9.0)


class OneAtATime:
    """Looks at every point the conductor passes that nobody rides whom a window has."""

    def __init__(self, rig: stagehand.Rig) -> None:
        self.rig, self.met = rig, 0

    def __call__(self, _point: str) -> None:
        with self.rig.database.read() as conn:
            riding = {op.unit for op in trains.unfinished_riders(conn)}
            taken = unit_ops.nodes_in_work(conn)
        assert riding & taken == set()
        self.met += bool(riding and taken)  # both are there at once, on different nodes


def set_up(tmp_path: Path, faults: Faults = NO_FAULTS) -> stagehand.Rig:
    found = small.fleet(nodes=16)
    url = stagehand.fresh_sqlite(tmp_path)
    return stagehand.set_up(url, tmp_path, fleet=found, plan=later(found, timedelta(days=3)), faults=faults)


def riding(rig: stagehand.Rig, state: UnitState) -> UnitOp:
    """The last of those in that state."""
    return [op for op in riders(rig) if op.state is state][-1]


def after(rig: stagehand.Rig, unit: str) -> UnitOp:
    return next(op for op in riders(rig) if op.unit == unit)


def ride_on(rig: stagehand.Rig, by: timedelta, crash: object = None) -> None:
    ride(rig, until=rig.clock.now() + by - small.NOW, crash=crash)


@pytest.mark.parametrize("state", [UnitState.PENDING, UnitState.APPLYING])
def test_window_of_a_work_order_takes_its_riders_and_waits_for_who_writes(tmp_path: Path, state: UnitState) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=5 * MINUTE)
    unit = riding(rig, state).unit
    watched = OneAtATime(rig)
    ask(rig, order(target=unit))
    ride_on(rig, 6 * HOUR, watched)
    assert is_with_people(rig)() or "order.completed" in events(rig, "order:wo_1")
    assert watched.met
    left = after(rig, unit)
    if state is UnitState.PENDING:
        assert left.reason is not None
        assert (left.state, left.reason.code) == (UnitState.LEFT_OUT, Code.WINDOW_TAKES)
    else:
        assert left.state is UnitState.PROVEN


@pytest.mark.parametrize("until", [5 * MINUTE, 3 * HOUR], ids=["writes", "hangs"])
def test_window_of_a_work_order_waits_for_a_write_that_does_not_end(tmp_path: Path, until: timedelta) -> None:
    rig = set_up(tmp_path, HANGS)
    ride(rig, until=until)
    unit = riding(rig, UnitState.APPLYING if until < HOUR else UnitState.FAILED).unit
    ask(rig, order(target=unit))
    ride_on(rig, 2 * HOUR, OneAtATime(rig))
    assert events(rig, "order:wo_1") == ["order.waits"]
    assert not rig.world.nodes[NodeId(unit)].locked


@pytest.mark.parametrize(
    ("state", "code"),
    [(UnitState.PENDING, None), (UnitState.APPLYING, Code.RIDES_ALONG), (UnitState.FAILED, Code.RIDES_ALONG)],
)
def test_node_is_not_taken_out_again_while_a_rider_writes_on_it(
    tmp_path: Path, state: UnitState, code: Code | None
) -> None:
    rig = set_up(tmp_path)
    now, node = rig.clock.now(), NodeId("c0-n003")
    train = Train(
        id=WindowId("train-c0"),
        run=rig.run,
        cluster=small.fleet().nodes[node].cluster,
        updates=(UpdateId("bmc"),),
        cluster_nodes=16,
        riders=1,
        opened_at=now,
        due_by=now + NEAR,
    )
    row = UnitOp(
        id=0,
        run=rig.run,
        window=train.id,
        unit=node,
        kind=UnitKind.RIDER,
        cluster=train.cluster,
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=state,
        next_at=now,
    )
    stage = set_stage(rig.database, rig.site, rig.clock, rig.run)
    with rig.database.begin() as conn:
        trains.add_train(conn, train, [row], {node: 1})
        room = Room(stage, conn, now)
        why = room.why_not([node])
        assert (why.code if why else None) == code
        if why is None:
            room.take(WindowId("win-c0"), [node])
    if code is None:
        assert after(rig, node).state is UnitState.LEFT_OUT


def withdraw(rig: stagehand.Rig, rack: str) -> None:
    scope = Scope(level=ScopeLevel.RACK, name=rack)
    with rig.database.begin() as conn:
        consent.append_entry(conn, small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=scope))


def codes(rig: stagehand.Rig, rack: str) -> set[object]:
    return {op.reason.code if op.reason else op.state for op in riders(rig) if rack_of(op.unit) == rack}


def rack_of(unit: str) -> str:
    return small.fleet(nodes=16).nodes[NodeId(unit)].rack


def test_rider_whose_approval_is_withdrawn_before_its_write_leaves_and_who_writes_ends(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=5 * MINUTE)
    rack = rack_of(riding(rig, UnitState.APPLYING).unit)
    begun = set(written(rig, "bmc_fw", "c0"))
    withdraw(rig, rack)
    ride_on(rig, 20 * HOUR)
    assert codes(rig, rack) == {Code.APPROVAL_WITHDRAWN, UnitState.PROVEN}
    assert {unit for unit in written(rig, "bmc_fw", "c0") if rack_of(unit) == rack} == begun
    assert {op.state for op in riders(rig) if rack_of(op.unit) != rack} == {UnitState.PROVEN}


def test_write_that_was_intended_and_not_asked_for_ends_when_its_approval_is_withdrawn(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    rig.site = Saboteur(lambda _, point: point == "before firmware.apply").around(rig.site)
    with pytest.raises(Killed):
        ride(rig)
    rig.restart()
    unit = riding(rig, UnitState.APPLYING).unit
    withdraw(rig, rack_of(unit))
    ride_on(rig, HOUR)
    left = after(rig, unit)
    assert left.reason is not None
    assert (left.state, left.reason.code) == (UnitState.LEFT_OUT, Code.APPROVAL_WITHDRAWN)
    assert unit not in written(rig, "bmc_fw", "c0")


def test_rider_that_has_not_begun_when_its_time_is_over_is_left_out(tmp_path: Path) -> None:
    rig = set_up(tmp_path)
    ride(rig, until=5 * MINUTE)
    begun = set(written(rig, "bmc_fw", "c0"))
    intents.say(rig.database, Wanted(fleet=True), Desired.PAUSE, now=rig.clock.now(), actor="ann", why="smoke")
    ride(rig, until=NEAR)
    intents.say(rig.database, Wanted(fleet=True), Desired.RUN, now=rig.clock.now(), actor="ann", why="it is over")
    ride_on(rig, 2 * HOUR)
    first = [op for op in riders(rig) if op.window == riders(rig)[0].window]
    assert {op.reason.code for op in first if op.reason} == {Code.RIDE_ENDS}
    assert {op.unit for op in first if op.state is UnitState.PROVEN} == begun
    assert {op.unit for op in first if op.reason is not None} == {op.unit for op in first} - begun
