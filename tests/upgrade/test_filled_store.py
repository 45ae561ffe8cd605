"""A store that the last release left in the middle of a window: upgraded row for row, and conducted to its end."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.exc import DBAPIError
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores
from tests.simulation.test_kill import ROUGH, journal_of
from tests.upgrade import filled
from tests.upgrade.fill import KILLED_AT, SEED

from fermata.domain.capacity_ledger import EntryKind
from fermata.domain.ids import WindowId
from fermata.domain.intents import ScopeKind
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Asked
from fermata.domain.readmission import NO_EVIDENCE
from fermata.domain.run_states import Desired, RunState
from fermata.domain.tail import CONDUCTOR
from fermata.services import runs as verbs
from fermata.store import capacity, intents, journal, leases, runs, tail
from fermata.store.database import Database, migrate
from fermata.store.opening import open_database

__all__ = ["closed_stores"]

LAST = "0017"  # the schema of the last release
RENAMED = {("run", "clock_at"): "stands_at"}
TAIL = {(WindowId("win-c0"), "c0-n000"), (WindowId("win-c0"), "c0-n001")}
HELD_OUT = {"c0-n000", "c1-n000"}  # they were out of service before their windows


@pytest.fixture
def old_url(empty_store_url: str, tmp_path: Path) -> str:
    """Filled by the last release, not upgraded yet."""
    filled.put_back(empty_store_url, LAST, tmp_path)
    return empty_store_url


def upgraded(url: str, folder: Path) -> stagehand.Rig:
    """As whoever opens it first finds it."""
    open_database(url).close()
    return stagehand.reopen(url, folder, faults=ROUGH, seed=SEED)


def stored_rows(database: Database, tables: MetaData) -> dict[tuple[object, ...], dict[str, Any]]:
    """Every row, as the fixture writes values, by its table and primary key."""
    found = {}
    with database.read() as conn:
        tables.reflect(conn)
        for name in dict.fromkeys(table for table, _ in filled.rows(LAST)):
            for row in conn.execute(select(tables.tables[name])).mappings():
                plain = {column: filled.plain(value) for column, value in row.items()}
                found[key_of(tables, name, plain)] = plain
    return found


def key_of(tables: MetaData, name: str, row: dict[str, Any]) -> tuple[object, ...]:
    return (name, *(row[column.name] for column in tables.tables[name].primary_key))


def effects(folder: Path) -> list[tuple[str, str, str]]:
    """What was ever done at the simulated site: operation, step key, unit."""
    lines = [json.loads(line) for line in small.world_path(folder).read_text(encoding="utf-8").splitlines()]
    done = [line for line in lines if line["op"] not in ("turned_away", "generation")]
    return [(line["op"], key, unit) for line in done for key, unit, _ in line["items"]]


def test_fixture_is_a_window_that_was_killed_in_the_middle(old_url: str, tmp_path: Path) -> None:
    """What the tests below rely on is there: else they would prove little."""
    rig = upgraded(old_url, tmp_path)
    assert rig.clock.now() >= KILLED_AT
    states = Counter((op.window, op.kind, op.state) for op in rig.ops())
    assert states["win-c0", UnitKind.NODE, UnitState.FAILED] == 2
    assert states["win-c0", UnitKind.NODE, UnitState.RETURNED] == 2
    assert states["win-c0", UnitKind.DEVICE, UnitState.PROVEN] == 3
    assert states["win-c1", UnitKind.DEVICE, UnitState.PROVEN] == 3
    asked = [op for op in rig.ops() if op.asked is Asked.INTENDED]
    assert [(op.unit, op.window) for op in asked] == [("c1-n001", "win-c1")]
    done = {key for _, key, _ in effects(tmp_path)}
    assert f"win-c1/c1-n001/{asked[0].step}/{asked[0].attempt}" in done  # the site knows, the rows do not


def test_every_row_of_the_last_release_stands_as_it_stood(old_url: str, tmp_path: Path) -> None:
    tables = MetaData()
    after = stored_rows(upgraded(old_url, tmp_path).database, tables)
    before = {key_of(tables, name, row): (name, row) for name, row in filled.rows(LAST)}
    assert after.keys() == before.keys()
    for key, (name, row) in before.items():
        expected = {RENAMED.get((name, column), column): value for column, value in row.items()}
        assert {column: after[key][column] for column in expected} == expected


def test_tail_is_taken_over_and_nothing_is_made_up(old_url: str, tmp_path: Path) -> None:
    rig = upgraded(old_url, tmp_path)
    listed = {(op.window, op.unit): op.tail_since for op in rig.ops() if op.tail_since is not None}
    with rig.database.read() as conn:
        items = tail.open_items(conn, rig.run)
        assert {key: item.owner for key, item in items.items()} == dict.fromkeys(TAIL, CONDUCTOR)
        assert {key: item.listed_at for key, item in items.items()} == listed
        assert leases.load_leases(conn, rig.run) == {}
        assert intents.load_intents(conn).words == ()
    assert {(op.evidence, op.undo, op.versions_before) for op in rig.ops()} == {(NO_EVIDENCE, 0, None)}


def test_campaign_goes_on_to_its_end_with_nothing_lost_and_nothing_done_twice(old_url: str, tmp_path: Path) -> None:
    before = effects(tmp_path)
    last_seq = max(row["seq"] for table, row in filled.rows(LAST) if table == "journal")
    rig = upgraded(old_url, tmp_path)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert max(journal_of(rig).values()) == 1
    assert_each_node_back_once(rig)
    done = effects(tmp_path)
    assert done[: len(before)] == before
    assert max(Counter(key for _, key, _ in done).values()) == 1
    with rig.database.read() as conn:
        assert tail.open_items(conn, rig.run) == {}
        told = journal.read(conn, after_seq=last_seq, limit=10_000)
    assert told[0].at >= rig.plan.windows[0].start
    assert not [line for line in told if line.event == "window.opened"]  # both were open before


def assert_each_node_back_once(rig: stagehand.Rig) -> None:
    """By the rows, by the ledger and by what the site was asked, over both releases."""
    nodes = {name for window in rig.plan.windows for name in window.nodes}
    ops = {op.unit: op.state for op in rig.ops() if op.kind is UnitKind.NODE}
    assert ops == {name: UnitState.KEPT_OUT if name in HELD_OUT else UnitState.RETURNED for name in nodes}
    last = Counter(unit for op, _, unit in effects(rig.folder) if op in ("give_back", "release"))
    assert last == dict.fromkeys(nodes, 1)
    with rig.database.read() as conn:
        entries = capacity.load_entries(conn, rig.run)
    returned = Counter(entry.node for entry in entries if entry.kind is EntryKind.RETURNED)
    assert returned == dict.fromkeys(nodes - HELD_OUT, 1)


def test_run_that_was_paused_before_the_upgrade_is_paused_after_it(old_url: str, tmp_path: Path) -> None:
    raw = Database(old_url)
    with raw.begin() as conn:
        conn.exec_driver_sql("UPDATE run SET desired = 'pause'")
    raw.close()
    rig = upgraded(old_url, tmp_path)
    with rig.database.read() as conn:
        (word,) = intents.load_intents(conn).words
    assert (word.kind, word.scope, word.desired) == (ScopeKind.RUN, rig.run, Desired.PAUSE)
    before = effects(tmp_path)
    rig.conduct(until=rig.clock.now() + stagehand.hours(3))
    begun = [op for op, _, _ in effects(tmp_path)[len(before) :] if op != "repair"]
    assert begun == []
    verbs.resume(rig.database, None, now=rig.clock.now(), actor="operator")
    assert rig.conduct().state is RunState.FINISHED
    assert_each_node_back_once(rig)


@pytest.mark.parametrize(
    "statement",
    ["SELECT clock_at FROM run", "UPDATE run SET clock_at = '2026-01-05 23:00:00+00:00' WHERE id = 'run_1'"],
    ids=["before each look", "with each intent"],
)
def test_conductor_of_the_last_release_can_neither_look_nor_ask(old_url: str, tmp_path: Path, statement: str) -> None:
    """It knows no leases, and nothing makes it look at the schema: a column of what it reads and writes is gone."""

    def say() -> None:
        raw = Database(old_url)
        try:
            with raw.engine.begin() as conn:
                conn.exec_driver_sql(statement)
        finally:
            raw.close()

    say()
    migrate(old_url)
    with pytest.raises(DBAPIError, match="clock_at"):
        say()
    rig = stagehand.reopen(old_url, tmp_path, faults=ROUGH, seed=SEED)
    with rig.database.read() as conn:
        found = runs.load_run(conn, rig.run)
    assert found is not None
    assert isinstance(found.clock_at, datetime)
