"""An order of people takes a node only at a safe point: not between a write and its reboot, nor while a device that it
hangs on is being changed. And what people give back is looked at before it is written again.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.crashing import Killed
from tests.simulation.meddling import MeddlingClock
from tests.simulation.test_repairs import (
    MINUTE,
    NEVER,
    NODE,
    ORDER,
    ask,
    conduct_until,
    is_with_people,
    ops_of,
    order,
    set_up,
    stored,
)

from fermata.domain import decide_waiting
from fermata.domain.ids import DeviceId, NodeId, OrderId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import RunState
from fermata.services.work_orders import complete_order
from fermata.store import journal

pytestmark = pytest.mark.databases("sqlite")

TOR = DeviceId("c0-r2-tor")
SECOND = OrderId("wo_2")


def told(rig: stagehand.Rig) -> list[str]:
    with rig.database.read() as conn:
        return [line.why for line in journal.read(conn, subject=f"order:{ORDER}") if line.event == "order.waits"]


def written(rig: stagehand.Rig, unit: str = NODE) -> list[str]:
    """What was begun on a unit, in order."""
    found = sorted((step for step in rig.world.steps.values() if step.unit == unit), key=lambda step: step.at)
    return [step.update or step.op for step in found if step.op in ("apply", "reboot", "reset")]


def is_waiting_for_its_reboot(op: UnitOp) -> bool:
    return op.unit == NODE and bool(op.applied & ~op.active)


def test_node_that_is_written_goes_to_its_people_after_its_reboot(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    conduct_until(rig, lambda: any(is_waiting_for_its_reboot(op) for op in rig.ops()), MINUTE)
    ask(rig, order())
    conduct_until(rig, is_with_people(rig), MINUTE)
    machine = rig.world.nodes[NodeId(NODE)]
    assert not machine.staged, "a power cycle of its people starts no firmware"
    assert machine.reboots == 1
    assert "after its next reboot" in told(rig)[0]
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    assert rig.conduct(until=small.START + timedelta(days=1)).state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert ops_of(rig)[0].state is UnitState.RETURNED
    assert sorted(written(rig)) == ["bmc", "gpu", "nic", "os", "reboot", "reboot"], "each once"


def test_order_on_a_switch_that_is_being_written_waits_for_that(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    conduct_until(rig, lambda: any(op.state is UnitState.APPLYING for op in ops_of(rig, TOR)), MINUTE)
    ask(rig, order(RequestKind.HARDWARE, TOR), replace(order(), id=SECOND))
    begun: list[UnitState] = []

    def is_begun(name: OrderId) -> bool:
        if stored(rig, name).started is None:
            return False
        begun.append(ops_of(rig, TOR)[0].state)
        return True

    conduct_until(rig, lambda: is_begun(SECOND), MINUTE)
    assert "when the work on c0-r2-tor, which it hangs on, is over" in told(rig)[0]
    complete_order(rig.database, SECOND, now=rig.clock.now(), actor="operator-1")
    conduct_until(rig, lambda: is_begun(ORDER), MINUTE)
    assert begun == [UnitState.PROVEN, UnitState.PROVEN]


@pytest.mark.parametrize("ends", ["while it is conducted", "while nobody conducts", "as its conductor dies"])
def test_order_that_is_over_sends_its_node_on_at_the_first_look(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """No look at the tail may help: it is an hour away at best."""
    monkeypatch.setattr(decide_waiting, "TAIL_LOOK", timedelta(days=9))
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))

    def complete(*_: object) -> None:
        complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")

    if ends == "while it is conducted":
        rig.clock = MeddlingClock(rig, lambda op: op.unit == NODE, complete)
        _, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, rig.clock, rig.faults, rig.seed)
    else:
        complete()
    if ends == "as its conductor dies":

        def die(point: str) -> None:
            if point in ("orders", "observed"):
                raise Killed(point)

        for _ in range(2):
            with pytest.raises(Killed):
                rig.conduct(crash=die)
    if ends != "while it is conducted":
        rig.restart()
    ended = rig.clock.now()
    assert rig.conduct(until=ended + timedelta(minutes=20)) is not None
    assert ops_of(rig)[0].state is not UnitState.IN_REPAIR
    assert rig.conduct(until=small.START + timedelta(days=1)).state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED
