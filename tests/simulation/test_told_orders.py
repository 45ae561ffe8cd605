"""What doors tell of a work order while a run really conducts it: under way for as long as its node is out for it."""

from datetime import timedelta
from pathlib import Path

from tests.simulation import small
from tests.simulation.test_repairs import MINUTE, NODE, ORDER, ask, is_with_people, later, ops_of, order, set_up, stored

from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.scheduled_events import EventStatus, Leads, past_events, tell
from fermata.services.maintenance import MaintenanceDesk


def test_an_order_with_a_window_of_its_own_is_told_from_the_lock_until_the_node_is_back(
    store_url: str, tmp_path: Path
) -> None:
    rig = set_up(store_url, tmp_path, plan=later(small.fleet(nodes=16), timedelta(days=3)))
    ask(rig, order())
    desk, end = MaintenanceDesk(rig.database, Leads(), fresh_seconds=0), rig.clock.now() + timedelta(days=2)
    machine, seen = rig.world.nodes[NodeId(NODE)], set[tuple[bool, bool]]()
    while not (ops_of(rig) and ops_of(rig)[0].state is UnitState.RETURNED):
        assert rig.clock.now() < end, "never reached"
        rig.conduct(until=rig.clock.now() + 5 * MINUTE)
        told = tell(desk.look().outlook(NodeId(NODE)), rig.clock.now(), Leads()).events
        started = [event for event in told if event.order == ORDER]
        assert all(event.status is EventStatus.STARTED for event in started)
        assert bool(started) >= machine.locked, "who is locked is told why"
        seen.add((bool(started), stored(rig).ended is not None))
    assert (True, False) in seen
    assert (True, True) in seen, "the order is over, and its node not back yet"
    (over,) = past_events(desk.look().outlook(NodeId(NODE)))
    assert (over.order, over.status) == (ORDER, EventStatus.COMPLETED)


def test_an_order_that_joins_a_window_is_told_beside_it_while_people_have_the_node(
    store_url: str, tmp_path: Path
) -> None:
    rig = set_up(store_url, tmp_path)
    ask(rig, order())
    desk = MaintenanceDesk(rig.database, Leads(), fresh_seconds=0)
    end = rig.clock.now() + timedelta(days=2)
    while not is_with_people(rig)():
        assert rig.clock.now() < end, "never reached"
        rig.conduct(until=rig.clock.now() + 5 * MINUTE)
    told = tell(desk.look().outlook(NodeId(NODE)), rig.clock.now(), Leads()).events
    assert {(event.order, event.status) for event in told} == {
        (None, EventStatus.STARTED),
        (ORDER, EventStatus.STARTED),
    }
