"""Rolling a shared device back where nobody conducts all of it: one leads, and others take turns with the window."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_gates import lines
from tests.simulation.test_ownership import Wall, Worker, hire
from tests.simulation.test_recovery_of_devices import (
    BEHIND,
    DONE,
    SWITCH,
    TOR,
    assert_checked_after,
    begun,
    order,
    row,
    steps,
    version,
)

from fermata.domain.gates import GateSaid, GateWord
from fermata.domain.node_states import UnitState
from fermata.execution.conduct import next_instant
from fermata.services import gates
from fermata.store import leases
from fermata.store.leases import LEAD


def conduct(rig: stagehand.Rig, lead: Worker, hands: list[Worker], wall: Wall, until: datetime) -> None:
    """At every instant another of the hands has the open cohorts: the one before was paused past its leases."""
    turns = 0
    while (now := rig.clock.now()) < until:
        turns += 1
        wall.pass_lease()
        lead.take(LEAD)
        lead.work()
        with rig.database.read() as conn:
            there = leases.cohorts(conn, rig.run)
        hand = hands[turns % len(hands)]
        if there:
            hand.take(*there)
            hand.work()
        workers = [lead, hand] if there else [lead]
        again = min(next_instant(worker.stage, now) for worker in workers)
        rig.clock.wait_until(min(again, until), lambda: False)


@pytest.mark.timeout(180)
def test_switch_is_rolled_back_with_its_nodes_by_workers_who_take_turns(store_url: str, tmp_path: Path) -> None:
    rig, wall = begun(store_url, tmp_path), Wall()
    lead, *hands = (hire(rig, name, wall, adopts=False) for name in ("lead", "one", "two"))
    conduct(rig, lead, hands, wall, DONE)
    since = rig.clock.now()
    assert (version(rig, SWITCH), row(rig, "c0-n001").state) == ("2.0", UnitState.RETURNED)
    order(rig, TOR, SWITCH)
    conduct(rig, lead, hands, wall, since + timedelta(hours=4))
    assert version(rig, SWITCH) == "1.0"
    assert row(rig, SWITCH).state is UnitState.PROVEN
    assert_checked_after(rig, SWITCH, BEHIND)
    assert [step.op for step in steps(rig, ["c0-n001"], since)] == ["lock", "drain", "check", "give_back"]
    assert len(steps(rig, [SWITCH], since)) == 1
    assert len(lines(rig, "device.recovering")) == 1


@pytest.mark.timeout(180)
def test_word_at_the_gate_of_a_switch_reaches_an_open_window_that_somebody_else_conducts(
    store_url: str, tmp_path: Path
) -> None:
    rig, wall = begun(store_url, tmp_path), Wall()
    lead, *hands = (hire(rig, name, wall, adopts=False) for name in ("lead", "one", "two"))
    conduct(rig, lead, hands, wall, small.START + timedelta(minutes=50))
    assert row(rig, SWITCH).state is UnitState.PROVEN
    assert row(rig, "c0-n001").state not in (UnitState.PENDING, UnitState.RETURNED)
    word = GateSaid(word=GateWord.ROLL_BACK, actor="operator-1", why="it drops packets", at=rig.clock.now())
    gates.say(rig.database, rig.run, TOR, word)
    conduct(rig, lead, hands, wall, small.START + timedelta(hours=6))
    assert version(rig, SWITCH) == "1.0"
    assert_checked_after(rig, SWITCH, BEHIND)
