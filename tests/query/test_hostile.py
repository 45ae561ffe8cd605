"""Queries that mean harm, asked of a real worker: each ends in a fault, and the next query has its answer."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.query import world

from fermata.query.answers import FaultKind, QueryFault, Question
from fermata.query.engine import Engine, EngineLimits
from fermata.query.facts import Facts
from fermata.query.tables import build_tables

LIMITS = EngineLimits(seconds=3, grace_seconds=2, threads=1, memory_mib=256)
PATIENT = EngineLimits(seconds=60, grace_seconds=30, threads=1, memory_mib=256)  # what is refused takes no such time
REFUSED = {FaultKind.UNPARSABLE, FaultKind.UNKNOWN_FUNCTION, FaultKind.UNKNOWN_NAME, FaultKind.UNSUPPORTED} | {
    FaultKind.FORBIDDEN, FaultKind.INVALID, FaultKind.OVER_LIMIT,
}  # fmt: skip
ENDED = {FaultKind.STOPPED, FaultKind.INVALID}
MANY = "range x from 1 to 3000000 step 1 | extend k = 1"
FEW = "range x from 1 to 3000 step 1 | extend k = 1"
LONG = (
    f"{FEW} | join kind=inner ({FEW}) on k | join kind=inner ({FEW}) on k | summarize sum(x)"  # minutes, little memory
)
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def engine(facts: Facts) -> Iterator[Engine]:
    opened = Engine(build_tables(facts), LIMITS)
    yield opened
    opened.retire()


@pytest.fixture(scope="module")
def patient(facts: Facts) -> Iterator[Engine]:
    opened = Engine(build_tables(facts), PATIENT)
    yield opened
    opened.retire()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no Linux")
def test_a_worker_reserves_hardly_more_than_it_uses(facts: Facts) -> None:
    """Its address space is bounded: what libraries reserve for threads is missing to queries on a busy machine."""
    opened = Engine(build_tables(facts))
    for _ in range(3):
        assert ask(
            opened, "maintenanceresources | mv-expand u = properties.value | summarize count() by tostring(u.id)"
        )
    status = Path(f"/proc/{opened.process_id}/status").read_text().splitlines()
    reserved = next(int(line.split()[1]) for line in status if line.startswith("VmPeak"))
    opened.retire()
    assert reserved < 1024 * 1024, f"{reserved:,} KiB"


def fails(engine: Engine, text: str) -> None:
    with pytest.raises(QueryFault):
        ask(engine, text)


def ask(engine: Engine, text: str) -> int:
    return engine.ask(Question(text=text, now=world.NOW, limit=10)).total


@pytest.mark.parametrize(
    "text",
    [
        "print read_text('/etc/passwd')",
        "print getenv('HOME')",
        "print current_setting('memory_limit')",
        "externaldata(a:string)['file:///etc/passwd']",
        "['/etc/passwd'] | count",
        "[\"read_csv('/etc/passwd')\"]",
        "['raw.node'] | count",
        "node | count",
        "pg_class | count",
        "duckdb_settings | count",
        "duckdb_tables | count",
        "sqlite_master | count",
        "['information_schema.tables'] | count",
        "resources | evaluate python(typeof(*), 'x')",
        "resources | invoke drop()",
        "search 'x'",
        "find 'x'",
        ".drop table resources",
        ".set stolen <| resources",
        ".ingest inline into table resources <| x",
        "resources; .drop table resources",
        "set memory_limit='1TB'; resources",
        "resources | where id matches regex '(([a-z]{1,50}){1,50}){1,50}'",
        "resources | where " + "(" * 200 + "true" + ")" * 200,
        "print x=" + "-(" * 31 + "1" + ")" * 31 + "[" * 31,
        "resources | where " + " and ".join("id != 'a'" for _ in range(1100)),
        "resources | where " + " or ".join("id != 'a'" for _ in range(202)),
        "print x = " + "+".join("1" for _ in range(400)),
        "\x00",
        "resources\x00 | count",
    ],
)
def test_what_reaches_beyond_the_tables_is_refused(patient: Engine, text: str) -> None:
    with pytest.raises(QueryFault) as raised:
        ask(patient, text)
    assert raised.value.fault.kind in REFUSED
    assert "SELECT" not in raised.value.fault.sentence
    assert ask(patient, "resources | where type == 'fermata/nodes'") == 5


@pytest.mark.parametrize(
    "text",
    [
        "print x=strrep('a', 3000000000)",
        "print a='aaaaaaaaaaaaaaaa'" + " | extend a=strcat(a,a,a,a,a,a,a,a)" * 9,
        f"{MANY} | join kind=inner ({MANY}) on k | summarize sum(x)",
        f"{MANY} | join kind=inner ({MANY}) on k | sort by x asc | project x",
        "range x from 1 to 400000000 step 1 | summarize make_list(x)",
        "range x from 1 to 90000000 step 1 | extend t=tostring(x) | where t matches regex '^(9+)*8$' | count",
    ],
)
def test_what_takes_too_much_is_ended(engine: Engine, text: str) -> None:
    with pytest.raises(QueryFault) as raised:
        ask(engine, text)
    assert raised.value.fault.kind in ENDED
    assert ask(engine, "resources | where type == 'fermata/nodes'") == 5


def test_a_worker_that_ran_out_of_memory_is_replaced(patient: Engine) -> None:
    ask(patient, "print 1")
    before = patient.process_id
    with pytest.raises(QueryFault, match="memory"):
        ask(patient, "range x from 1 to 400000000 step 1 | summarize make_list(x)")
    assert ask(patient, "resources | where type == 'fermata/nodes'") == 5
    assert patient.process_id != before, "what is left of its memory is not enough for everybody's next question"


def test_a_worker_that_a_query_only_kept_too_long_goes_on(facts: Facts) -> None:
    hurried = Engine(build_tables(facts), EngineLimits(seconds=0.5, grace_seconds=30, threads=1, memory_mib=256))
    ask(hurried, "print 1")
    before = hurried.process_id
    with pytest.raises(QueryFault, match="longer than"):
        ask(hurried, LONG)
    assert hurried.process_id == before
    hurried.retire()


@pytest.mark.parametrize("joined", [" and ", " or "])
def test_as_many_conditions_as_are_allowed_are_answered(patient: Engine, joined: str) -> None:
    assert ask(patient, "resources | where " + joined.join("id != 'a'" for _ in range(201))) > 0


def test_harmless_texts_that_look_dangerous_are_answered(engine: Engine) -> None:
    assert ask(engine, 'resources | where name == "a\'; DROP TABLE resources; --"') == 0
    assert ask(engine, "let pg_class = resources; pg_class | where type == 'fermata/nodes'") == 5
    assert ask(engine, "print x = '🎼'") == 1


def test_a_worker_that_does_not_come_back_is_ended_and_replaced(facts: Facts) -> None:
    stubborn = Engine(build_tables(facts), EngineLimits(seconds=60, grace_seconds=-58.5, threads=1, memory_mib=256))
    with pytest.raises(QueryFault) as raised:
        ask(stubborn, LONG)
    assert raised.value.fault.kind is FaultKind.STOPPED
    assert "it took more time" in raised.value.fault.sentence, "it was killed, not out of memory at once"
    assert ask(stubborn, "resources | where type == 'fermata/nodes'") == 5
    stubborn.retire()


def test_a_query_waits_for_others_and_not_for_ever(facts: Facts) -> None:
    patient = Engine(build_tables(facts), EngineLimits(seconds=3, wait_seconds=0.2, threads=1, memory_mib=256))
    ask(patient, "resources | count")
    holding = threading.Thread(target=fails, args=(patient, LONG))
    holding.start()
    while not patient.is_busy:
        time.sleep(0.01)
    with pytest.raises(QueryFault) as raised:
        ask(patient, "resources | count")
    assert raised.value.fault.kind is FaultKind.BUSY
    holding.join()
    assert ask(patient, "resources | count") == 1
    patient.retire()


def test_a_worker_keeps_no_secret_of_the_server(facts: Facts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FERMATA_STORE", "postgresql://user:secret@host/db")
    monkeypatch.chdir(tmp_path)
    opened = Engine(build_tables(facts), LIMITS)
    assert ask(opened, "print 1") == 1
    process = opened.process_id
    assert process is not None
    assert b"secret" not in Path(f"/proc/{process}/environ").read_bytes()
    opened.retire()
    assert opened.process_id is None
