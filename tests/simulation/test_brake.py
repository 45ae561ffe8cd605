"""The brake: from one batch to the next nothing new begins, whatever the store does, and nothing is lost by it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.simulation import small, stagehand

from fermata.domain.operations import Asked
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState
from fermata.formats.brake import BrakeFile, brake_file
from fermata.services import intents
from fermata.services.errors import Refusal
from fermata.sim.fates import Faults
from fermata.store import journal
from fermata.store.database import Database, StoreUnavailable

MINUTE = timedelta(minutes=1)
BEGINNINGS = frozenset({"lock", "drain", "apply", "reboot", "reset"})
LOSSY = Faults(fails=0.05, hangs=0.02, lost=0.1, busy=0.1, fallout=0.05, mean_days_to_repair=0.2)


def begun(rig: stagehand.Rig) -> set[str]:
    return {key for key, step in rig.world.steps.items() if step.op in BEGINNINGS}


class PullAt:
    """Pulls the brake by its file alone when the conductor passes `point` for the `count`th time after `since`."""

    def __init__(self, file: BrakeFile, rig: stagehand.Rig, point: str, since: timedelta) -> None:
        self.file, self.rig, self.point = file, rig, point
        self.since = small.START + since
        self.begun_then: set[str] | None = None

    def __call__(self, point: str) -> None:
        if point == self.point and self.begun_then is None and self.rig.clock.now() >= self.since:
            self.begun_then = begun(self.rig)
            self.file.pull("ann", "smoke", self.rig.clock.now())


@pytest.mark.parametrize("point", ["observed", "intent", "intended", "performed", "recorded"])
@pytest.mark.parametrize("minutes", [0, 15, 40, 72])
def test_nothing_begins_once_the_file_is_there_wherever_the_conductor_stands(
    tmp_path: Path, point: str, minutes: int
) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path, faults=LOSSY, seed=minutes)
    pull = PullAt(brake_file(url), rig, point, minutes * MINUTE)
    rig.conduct(until=small.START + timedelta(hours=4), crash=pull)
    assert pull.begun_then is not None
    assert begun(rig) == pull.begun_then
    shown = intents.show_brake(rig.database, pull.file)
    assert shown.is_on
    assert shown.row is not None, "the conductor tells the store of a brake it finds in the file"
    intents.release_brake(rig.database, pull.file, now=rig.clock.now(), actor="bob", why="no fire")
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert begun(rig) > pull.begun_then


def test_the_brake_holds_while_the_stores_writes_are_blocked(tmp_path: Path) -> None:
    """Somebody holds the writer lock; the intent of a batch waits for it, and by then the brake is on."""
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path)
    rig.conduct(until=small.START + 5 * MINUTE)
    before = begun(rig)
    writer, locked, released = stagehand.open_store(url), threading.Event(), threading.Event()

    def block() -> None:
        with writer.begin():
            locked.set()
            released.wait(20)

    blocker = threading.Thread(target=block)
    blocker.start()
    assert locked.wait(20)
    conductor = threading.Thread(target=partial(rig.conduct, until=small.START + timedelta(hours=3)))
    conductor.start()
    file = brake_file(url)
    shown = intents.pull_brake(partial(unavailable, url), file, now=rig.clock.now(), actor="ann", why="smoke")
    assert shown.is_on
    assert shown.row_missing
    assert begun(rig) == before
    released.set()
    conductor.join(60)
    blocker.join(20)
    assert begun(rig) == before
    assert all(op.asked is not Asked.INTENDED for op in rig.ops())


def unavailable(_url: str) -> Database:
    raise StoreUnavailable("locked")


def test_a_row_without_a_file_brakes_other_machines_too(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct(until=small.START + 5 * MINUTE)
    elsewhere = BrakeFile(tmp_path / "another machine.brake")
    intents.pull_brake(lambda: _Open(rig.database), elsewhere, now=rig.clock.now(), actor="ann", why="smoke")
    before = begun(rig)
    rig.conduct(until=small.START + timedelta(hours=2))
    assert begun(rig) == before
    reasons = {op.reason.code for op in rig.ops() if op.reason}
    assert reasons == {Code.BRAKE_ON}
    intents.release_brake(rig.database, elsewhere, now=rig.clock.now(), actor="ann", why="over")
    assert rig.conduct().state is RunState.FINISHED


class _Open:
    """The open store of the test, not closed by who uses it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __enter__(self) -> Database:
        return self.database

    def __exit__(self, *_: object) -> None:
        return None


def test_release_needs_a_reason_and_a_brake_that_is_on(tmp_path: Path) -> None:
    url = stagehand.fresh_sqlite(tmp_path)
    rig = stagehand.set_up(url, tmp_path)
    file = brake_file(url)
    release: Callable[..., object] = partial(intents.release_brake, rig.database, file, now=small.NOW, actor="ann")
    with pytest.raises(Refusal) as refused:
        release(why="over")
    assert refused.value.reason.code is Code.BRAKE_NOT_ON
    file.pull("ann", "smoke", small.NOW)
    with pytest.raises(Refusal) as refused:
        release(why=" ")
    assert refused.value.reason.code is Code.WHY_MISSING
    assert file.is_on()
    release(why="over")
    assert not file.is_on()
    with rig.database.read() as conn:
        assert [e.event for e in journal.read(conn) if e.event.startswith("brake.")] == ["brake.released"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": 1}', "\x00\xff"])
def test_a_file_that_cannot_be_read_brakes(tmp_path: Path, content: str) -> None:
    file = BrakeFile(tmp_path / "x.brake")
    file.path.write_text(content, encoding="latin-1")
    word = file.read()
    assert file.is_on()
    assert word is not None
    assert "cannot be read" in word.why


def test_who_pulled_first_is_named(tmp_path: Path) -> None:
    file = BrakeFile(tmp_path / "deep" / "x.brake")
    file.pull("ann", "smoke", small.NOW)
    assert file.pull("bob", "fire", small.NOW).actor == "ann"
    assert [path.name for path in file.path.parent.iterdir()] == ["x.brake"]
