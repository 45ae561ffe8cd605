"""What is remembered of steps is one memory for all who conduct, on one machine or on several, and nothing is done that
cannot be remembered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.adapters.redfish.bench import NAMES, PASSWORD, PLAIN, Bench, about
from tests.bmc.running import running
from tests.conftest import PostgresServer

from fermata.adapters.step_memory import Memory, Step, open_shared
from fermata.bmc.fleet import Bmcs, Fleet
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Running, Succeeded
from fermata.ports import OutcomeUnknown, Refused

pytestmark = pytest.mark.xdist_group("bmc")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEY = StepKey("run_1/win/n1/apply:bios/1")
STEP = Step(key=KEY, unit="n1", op="apply", component="bios", version="2.0", image="http://images/bios", asked_at=NOW)


@contextmanager
def database(server: PostgresServer) -> Iterator[str]:
    with server.database(template="template0") as url:
        yield url


@pytest.fixture(params=["a file", "a PostgreSQL"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    if request.param == "a file":
        yield tmp_path / "memory.db"
    else:
        with database(request.getfixturevalue("postgres")) as url:
            yield url


@pytest.fixture
def both(place: Path | str) -> Iterator[tuple[Memory, Memory]]:
    """Of two workers."""
    one, other = Memory(place), Memory(place)
    yield one, other
    one.close()
    other.close()


def test_what_one_worker_notes_the_other_finds(both: tuple[Memory, Memory]) -> None:
    one, other = both
    assert other.find(KEY) is None
    one.begin(STEP)
    assert other.find(KEY) == STEP
    other.done(KEY, "/tasks/1")
    assert one.find(KEY) == replace(STEP, is_done=True, task="/tasks/1")
    assert [step.key for step in other.list_open("n1")] == [KEY]
    one.end(KEY, NOW, "it failed")
    assert other.find(KEY) == replace(STEP, is_done=True, task="/tasks/1", ended_at=NOW, failed="it failed")
    assert list(other.list_open("n1")) == []
    other.begin(STEP)
    assert one.find(KEY) == STEP
    one.forget(KEY)
    assert other.find(KEY) is None


def test_a_step_is_claimed_by_one_of_them(both: tuple[Memory, Memory]) -> None:
    one, other = both
    assert (one.claim(STEP), other.claim(STEP), one.claim(STEP)) == (True, False, False)


def test_who_is_overtaken_claims_nothing(both: tuple[Memory, Memory]) -> None:
    one, other = both
    assert (one.hear(KEY, 3), other.hear(KEY, 2), one.hear(KEY, 0)) == (3, 3, 3)
    assert not other.claim(STEP, 2)
    assert other.claim(STEP, 3)


def test_what_is_remembered_outlives_whoever_noted_it(place: Path | str) -> None:
    first = Memory(place)
    first.begin(STEP)
    first.close()
    first.close()
    again = Memory(place)
    assert again.find(KEY) == STEP
    again.close()


def test_workers_of_two_machines_write_once_and_both_see_how_it_ends(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two adapters that share nothing but the database and the controller."""
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    fleet = Fleet(password=PASSWORD, bmcs=(Bmcs(names=NAMES[:1], profile="plain"),), profiles={"plain": PLAIN})
    with database(postgres) as url, running(fleet) as found:
        monkeypatch.setenv("STEPS_URL", url)
        here = Bench(found, NAMES[0], {"memory_url_env": "STEPS_URL"})
        there = here.open()
        assert there.firmware is not None
        ask = here.ask("bmc_fw", "25.0")
        assert isinstance(here.firmware.apply([ask])[ask.key], Accepted)
        assert isinstance(there.firmware.observe([about(ask)])[ask.key], Running)
        assert isinstance(there.firmware.apply([ask])[ask.key], Accepted)
        assert len(here.controller.tasks) == 1
        here.later()
        assert isinstance(there.firmware.observe([about(ask)])[ask.key], Succeeded)
        assert isinstance(here.firmware.observe([about(ask)])[ask.key], Succeeded)
        here.close()


def test_nothing_is_written_while_it_cannot_be_remembered(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDFISH_PASSWORD", PASSWORD)
    fleet = Fleet(password=PASSWORD, bmcs=(Bmcs(names=NAMES[:1], profile="plain"),), profiles={"plain": PLAIN})
    with running(fleet) as found:
        with database(postgres) as url:
            monkeypatch.setenv("STEPS_URL", url)
            bench = Bench(found, NAMES[0], {"memory_url_env": "STEPS_URL"})
            ask = bench.ask("bmc_fw", "25.0")
        with pytest.raises(OutcomeUnknown, match="the memory of steps does not answer") as told:
            bench.firmware.apply([ask])
        assert "postgresql" not in str(told.value)
        assert len(bench.controller.tasks) == 0
        bench.close()


@pytest.mark.parametrize("value", ["", "no url", "postgresql://fermata:canary-3@127.0.0.1:1/steps"])
def test_a_memory_that_cannot_be_opened_is_refused_without_its_password(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPS_URL", value)
    with pytest.raises(Refused, match="memory of steps") as told:
        open_shared(None, "STEPS_URL")
    assert "canary-3" not in str(told.value)
