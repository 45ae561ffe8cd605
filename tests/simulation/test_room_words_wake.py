"""Words in a room while the conductor waits: heard at once, by one process and several workers, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_ownership import Wall, hire

from fermata.domain.ids import UpdateId, WindowId
from fermata.domain.operations import WindowRun
from fermata.domain.phases import ControlPhase, GateTerms, GoPhase, Phases
from fermata.domain.reasons import Code
from fermata.domain.room import Message
from fermata.domain.run_states import LIVE_RUNS, RunState, WindowState
from fermata.execution.conduct import next_instant
from fermata.services.room_telling import StoreRooms
from fermata.services.rooms import BridgeOrder, GoOrder, RoomOrder, Speaker, speak
from fermata.sim.clock import VirtualClock
from fermata.store import journal, rooms, runs
from fermata.store.leases import LEAD

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WINDOW = WindowId("win-c0")


class Ringing(VirtualClock):
    """At `at`, in the midst of a wait, somebody says something; the wait ends then if the conductor wants it to."""

    def __init__(self, at: datetime, say: Callable[[datetime], object]) -> None:
        super().__init__(small.NOW, None)
        self._at, self._say = at, say
        self.woken: bool | None = None

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        if self.woken is None and instant > self._at:
            super().wait_until(self._at, stop)
            self._say(self._at)
            self.woken = stop()
            if self.woken:
                return self.now()
        return super().wait_until(instant, stop)


def say(found: stagehand.Rig, what: RoomOrder, window: WindowId = WINDOW) -> Callable[[datetime], object]:
    return lambda at: speak(found.database, Speaker(window=window, actor="ann", at=at), what)


def row(found: stagehand.Rig, window: WindowId = WINDOW) -> WindowRun:
    with found.database.read() as conn:
        known = runs.load_window(conn, found.run, window)
    assert known is not None
    return known


def rig(url: str, folder: Path, phases: Phases, **more: object) -> stagehand.Rig:
    of = replace(small.campaign(), phases=phases)
    found = stagehand.set_up(url, folder, campaign=of, **more)  # type: ignore[arg-type]
    found.rooms = StoreRooms(found.database)
    return found


def ring(found: stagehand.Rig, at: datetime, say_it: Callable[[datetime], object]) -> Ringing:
    """From now on its clock rings once."""
    clock = Ringing(at, say_it)
    found.clock = clock
    found.world, found.site = stagehand.open_sim(
        found.plan, found.folder, found.database, clock, found.faults, found.seed
    )
    return clock


def test_a_go_ends_the_wait_and_the_window_opens_at_that_instant(store_url: str, tmp_path: Path) -> None:
    found = rig(store_url, tmp_path, Phases(go_windows=frozenset({GoPhase.FULL})))
    at = small.START + timedelta(minutes=7, seconds=11)
    clock = ring(found, at, say(found, GoOrder(is_go=True, why="all here")))
    found.conduct(until=small.START + 30 * MINUTE)
    assert clock.woken is True
    assert (row(found).state, row(found).opened_at) == (WindowState.OPEN, at)


def test_a_word_on_an_update_begins_it_at_that_instant(tmp_path: Path) -> None:
    phases = Phases(go_updates=frozenset({UpdateId("bmc")}))
    found = rig(stagehand.fresh_sqlite(tmp_path), tmp_path, phases)
    at = small.START + timedelta(minutes=95, seconds=13)
    ring(found, at, say(found, GoOrder(topic="bmc", is_go=True, why="it is fine")))
    found.conduct(until=small.START + timedelta(hours=4))
    with found.database.read() as conn:
        begun = [line.at for line in journal.read_events(conn, ("step.intended",)) if "bmc" in str(line.data)]
        ended = [line.at for line in journal.read_events(conn, ("step.ended",)) if "apply:bmc" in str(line.data)]
    assert min(begun or ended) >= at
    waits = [op.reason.code for op in found.ops() if op.reason is not None]
    assert Code.GO_AWAITED not in waits


def test_the_bridge_is_told_at_that_instant(tmp_path: Path) -> None:
    found = rig(stagehand.fresh_sqlite(tmp_path), tmp_path, Phases())
    at = small.START + timedelta(minutes=11, seconds=17)
    ring(found, at, say(found, BridgeOrder(url="https://meet.example/1")))
    found.conduct(until=small.START + 29 * MINUTE)
    with found.database.read() as conn:
        told = [line for line in rooms.load_lines(conn, found.run, WINDOW) if isinstance(line.what, Message)]
    assert [line.at for line in told] == [small.START, at]


def test_a_control_window_waits_for_its_go_and_the_others_for_none(store_url: str, tmp_path: Path) -> None:
    control = ControlPhase(max_fraction=0.34, gate=GateTerms(at_least=8, bake=timedelta(hours=2)))
    phases = Phases(control=control, go_windows=frozenset({GoPhase.CONTROL}))
    fleet = small.fleet(clusters=3, nodes=16)
    starts = [small.START, small.START + DAY, small.START + DAY]
    of = replace(small.campaign(), phases=phases)
    plan = small.plan(fleet, small.catalogue(), of, starts)
    found = rig(store_url, tmp_path, phases, fleet=fleet, plan=plan)
    at = small.START + timedelta(minutes=20, seconds=5)
    ring(found, at, say(found, GoOrder(is_go=True, why="all here")))
    found.conduct(until=small.START + 10 * MINUTE)
    why = row(found).reason
    assert why is not None
    assert why.code is Code.GO_AWAITED
    found.conduct(until=small.START + DAY + timedelta(hours=8))
    assert row(found).opened_at == at
    others = [row(found, WindowId(name)) for name in ("win-c1", "win-c2")]
    assert [other.opened_at for other in others] == starts[1:], "their phase asks for none"


@pytest.mark.timeout(180)
def test_words_reach_workers_who_take_turns_and_every_message_is_told_once(store_url: str, tmp_path: Path) -> None:
    phases = Phases(go_windows=frozenset({GoPhase.FULL}), go_updates=frozenset({UpdateId("nic")}))
    found, wall = rig(store_url, tmp_path, phases), Wall()
    found.site = replace(found.site, rooms=found.rooms)
    lead, *hands = (hire(found, name, wall, adopts=False) for name in ("lead", "one", "two"))
    words = {
        small.START + 20 * MINUTE: GoOrder(is_go=True, why="all here"),
        small.START + 200 * MINUTE: GoOrder(topic="nic", is_go=True, why="the switches are fine"),
    }
    turns = 0
    while True:
        now = found.clock.now()
        for at in [at for at in words if at <= now]:
            say(found, words.pop(at))(now)
        turns += 1
        wall.pass_lease()
        lead.take(LEAD)
        if lead.work().state not in LIVE_RUNS:
            break
        hand = hands[turns % len(hands)]
        hand.take(WINDOW)
        hand.work()
        again = min(next_instant(worker.stage, now) for worker in (lead, hand))
        found.clock.wait_until(min([again, *words]), lambda: False)
    assert row(found).opened_at == small.START + 20 * MINUTE
    with found.database.read() as conn:
        run = runs.load_run(conn, found.run)
        told = [line.what for line in rooms.load_lines(conn, found.run, WINDOW) if isinstance(line.what, Message)]
        nic = [line.at for line in journal.read_events(conn, ("step.ended",)) if line.data.get("step") == "apply:nic"]
    assert run is not None
    assert run.state is RunState.FINISHED
    assert min(nic) > small.START + 200 * MINUTE
    assert [message.number for message in told] == list(range(1, len(told) + 1))
    assert sum(message.figures.state is WindowState.OPEN for message in told) >= 2
