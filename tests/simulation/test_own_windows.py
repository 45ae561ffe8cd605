"""A work order that is near no window gets one of its own, where nobody holds it and limits leave room."""

from datetime import timedelta
from pathlib import Path

from tests.simulation import small
from tests.simulation.test_repairs import (
    HOUR,
    MINUTE,
    NODE,
    ORDER,
    OWN,
    ask,
    conduct_until,
    events,
    is_with_people,
    later,
    ops_of,
    order,
    set_up,
    stored,
)

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.run_states import Desired, RunState
from fermata.services import intents
from fermata.services.capacity import show_capacity
from fermata.services.intents import Wanted


def test_repair_far_from_any_window_gets_one_of_its_own_with_lock_drain_and_proof(
    store_url: str, tmp_path: Path
) -> None:
    found = small.fleet(nodes=16)
    rig = set_up(store_url, tmp_path, plan=later(found, timedelta(days=3)))
    ask(rig, order())
    conduct_until(rig, is_with_people(rig))
    machine = rig.world.nodes[NodeId(NODE)]
    assert (machine.locked, machine.drained, machine.in_service) == (True, True, False)
    conduct_until(rig, lambda: ops_of(rig)[0].state is UnitState.RETURNED)
    assert (machine.in_service, machine.locked, set(machine.targets)) == (True, False, {"bmc_fw", "gpu_fw"})
    assert ops_of(rig)[0].window == "rep-wo_1-c0"
    assert events(rig, f"order:{ORDER}") == OWN
    assert rig.conduct().state is RunState.FINISHED
    assert [op.state for op in ops_of(rig)] == [UnitState.RETURNED, UnitState.RETURNED]
    assert set(machine.versions.values()) == {"2.0"}
    lines = {line.name: line for line in show_capacity(rig.database).lines}
    assert (lines["lumen"].taken, lines["lumen"].owed) == (17, 0)


def test_repair_gets_no_window_of_its_own_while_somebody_holds_the_fleet(store_url: str, tmp_path: Path) -> None:
    found = small.fleet(nodes=16)
    rig = set_up(store_url, tmp_path, plan=later(found, timedelta(days=3)))

    def say(desired: Desired) -> None:
        intents.say(rig.database, Wanted(fleet=True), desired, now=rig.clock.now(), actor="ann", why="a look first")

    say(Desired.PAUSE)
    ask(rig, order())
    rig.conduct(until=small.START + 6 * HOUR)
    assert [op.window for op in ops_of(rig) if op.window.startswith("rep-")] == []
    assert stored(rig).started is None
    say(Desired.RUN)
    conduct_until(rig, is_with_people(rig))


def test_window_that_is_near_is_waited_for(store_url: str, tmp_path: Path) -> None:
    found = small.fleet(nodes=16)
    rig = set_up(store_url, tmp_path, plan=later(found, timedelta(days=1)))
    ask(rig, order())
    assert rig.conduct().state is RunState.FINISHED
    assert [op.window for op in ops_of(rig)] == ["win-c0"]
    assert events(rig, f"order:{ORDER}")[0] == "order.joined"


def test_own_window_keeps_to_the_limits_and_says_why_it_waits(store_url: str, tmp_path: Path) -> None:
    found = small.fleet(clusters=2, nodes=16)
    campaign = small.campaign(Limit(what=LimitKind.NODES_OUT, at_once=16))
    starts = [small.START, small.START + timedelta(days=3)]
    made = small.plan(found, small.catalogue(), campaign, starts)
    rig = set_up(store_url, tmp_path, fleet=found, plan=made, campaign=campaign)
    rig.conduct(until=small.START + 30 * MINUTE)
    ask(rig, order(target="c1-n009"))
    assert rig.conduct().state is RunState.FINISHED
    assert events(rig, f"order:{ORDER}") == ["order.waits", *OWN]
