"""The whole store as one file and back: on either database, all of it, and never worked with before a person looked."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.constraints import world as w
from tests.services.test_audit import ENTRY

from fermata.domain.ids import RunId
from fermata.services import audit, backups
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.store import copies, intents, inventory, journal
from fermata.store.database import Database, migrate
from fermata.store.leases import lease, load_leases
from fermata.store.opening import open_database
from fermata.store.runs import run as run_table
from fermata.store.schema import metadata


def told(*_: int) -> None:
    """Nobody looks on."""


RUN = {
    "id": "run_1",
    "campaign": "january",
    "plan": "plan_1",
    "state": "running",
    "desired": "run",
    "started_at": w.NOW,
    "ended_at": None,
    "stands_at": w.NOW,
    "baseline_nodes": 22,
    "baseline_in_service": 22,
    "limits_allowed": {},
    "version": 1,
}
LEASE = {"run": "run_1", "window": "", "owner": "worker-1", "generation": 7, "until": w.NOW, "rouse": 0}


@pytest.fixture
def filled(store_url: str) -> Iterator[Database]:
    """A store with a fleet, two customers' words, a run under a lease, and odd facts."""
    database = open_database(store_url)
    import_set(
        database,
        ImportSet(fleet=w.fleet(), catalogue=w.catalogue(), policy=w.scenario().policy),
        now=w.NOW,
        actor="ann",
    )
    with database.begin() as conn:
        journal.append(conn, replace(ENTRY, data={"large": 4.673568983524646e16, "text": "ü\u2028"}))
        conn.execute(insert(run_table), RUN)
        conn.execute(insert(lease), LEASE)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for a store: a file that is not there, or a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.db'}"
        return
    with request.getfixturevalue("postgres").database(template="template0") as url:
        yield url


def everything(database: Database) -> dict[str, list[Any]]:
    with database.read() as conn:
        return {
            table.name: sorted(
                json.dumps(list(row), sort_keys=True, default=str) for row in conn.execute(select(table))
            )
            for table in metadata.sorted_tables
            if table.name not in CHANGED
        }


CHANGED = {
    "journal",  # these three by the restore, on purpose
    "intent",
    "lease",
    "store_server",  # never copied: the life of the server that the store is in now
}


def test_a_backup_comes_back_whole_on_either_database(filled: Database, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    made = backups.back_up(filled, file)
    assert backups.rehearse(file, told) == made
    assert backups.restore(file, empty_url, told, now=w.NOW, actor="ann") == made
    with closing(open_database(empty_url)) as restored:
        assert everything(restored) == everything(filled)
        with restored.read() as conn, filled.read() as before:
            assert inventory.load_fleet(conn) == inventory.load_fleet(before)
            lines = journal.read(conn)
            carried = [line.hash for line in journal.read_linked(conn, 0)]
            assert carried[:-1] == [line.hash for line in journal.read_linked(before, 0)]
            assert (lines[-1].event, lines[-1].actor) == ("store.restored", "ann")
        with restored.begin() as conn:
            assert journal.append(conn, ENTRY) == len(lines) + 1
        assert audit.verify(restored, audit.Evidence(), told).holds


def test_a_restored_store_waits_for_a_person_and_for_new_leases(
    filled: Database, empty_url: str, tmp_path: Path
) -> None:
    backups.back_up(filled, tmp_path / "backup.db")
    backups.restore(tmp_path / "backup.db", empty_url, told, now=w.NOW, actor="ann")
    with closing(open_database(empty_url)) as restored, restored.read() as conn:
        (word,) = intents.load_intents(conn).words
        assert (word.kind, word.desired, word.actor) == ("brake", "pause", "ann")
        assert "2026-01-02" in word.why
        held = load_leases(conn, RunId("run_1"))
    assert [(each.owner, each.generation > 7 + 1000) for each in held.values()] == [("", True)]


def test_nothing_is_written_over(filled: Database, store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    backups.back_up(filled, file)
    before = file.read_bytes()
    with pytest.raises(Refusal, match="BACKUP_EXISTS"):
        backups.back_up(filled, file)
    with pytest.raises(Refusal, match="STORE_NOT_EMPTY"):
        backups.restore(file, store_url, told, now=w.NOW, actor="ann")
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.db"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "holds no journal"), (b"no store at all, and long enough" * 100, "not a database"), (None, "no such file")],
)
def test_a_file_that_is_no_backup_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "restored.db"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refusal, match=says):
        backups.restore(file, f"sqlite:///{target}", told, now=w.NOW, actor="ann")
    with pytest.raises(Refusal, match=says):
        backups.rehearse(file, told)
    assert not target.exists()


def spoil(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as stored, stored:
        for statement in statements:
            stored.execute(statement)


@pytest.mark.databases("sqlite")
def test_a_backup_whose_journal_does_not_fit_is_not_restored(filled: Database, tmp_path: Path) -> None:
    file, target = tmp_path / "backup.db", tmp_path / "restored.db"
    backups.back_up(filled, file)
    spoil(file, "DROP TRIGGER journal_no_update", "UPDATE journal SET actor = 'nobody' WHERE seq = 1")
    for attempt in (
        lambda: backups.rehearse(file, told),
        lambda: backups.restore(file, f"sqlite:///{target}", told, now=w.NOW, actor="ann"),
    ):
        with pytest.raises(Refusal, match="JOURNAL_LINE_CHANGED"):
            attempt()
    assert not target.exists()


@pytest.mark.databases("sqlite")
def test_a_backup_shows_what_is_committed_while_somebody_writes(filled: Database, tmp_path: Path) -> None:
    with filled.begin() as conn:
        journal.append(conn, ENTRY)
        made = backups.back_up(Database(filled.url), tmp_path / "backup.db")
    with filled.read() as conn:
        assert made.seq == journal.read_head(conn)[0] - 1


def test_a_backup_of_an_older_release_is_upgraded_when_it_is_restored(tmp_path: Path) -> None:
    old = f"sqlite:///{tmp_path / 'old.db'}"
    migrate(old, "0029")
    backups.back_up(Database(old), tmp_path / "backup.db")
    with Database(old).read() as conn:
        assert copies.is_empty(Database(old))
        assert conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0029"
    backups.restore(tmp_path / "backup.db", f"sqlite:///{tmp_path / 'new.db'}", told, now=w.NOW, actor="ann")
    with closing(open_database(f"sqlite:///{tmp_path / 'new.db'}")) as restored:
        assert audit.verify(restored, audit.Evidence(), told).holds
