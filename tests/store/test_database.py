"""Transactions: whole or not at all, one writer at a time, readers see one moment; and what happens when it fails."""

import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.constraints import world as w
from tests.store.test_append_only import ENTRY

from fermata.domain.reasons import Code
from fermata.store import inventory, journal
from fermata.store.database import Database, OtherRelease, StoreUnavailable, migrate
from fermata.store.opening import open_database

THREADS = 40  # that a server has for handlers


def test_an_error_inside_a_transaction_undoes_all_of_it(db: Database) -> None:
    def fail_half_way() -> None:
        with db.begin() as conn:
            inventory.save_fleet(conn, w.fleet())
            journal.append(conn, ENTRY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with db.read() as conn:
        assert inventory.load_fleet(conn).clusters == {}
        assert journal.read(conn) == ()


def test_a_reader_sees_one_moment_while_others_write(db: Database) -> None:
    with db.read() as reader:
        assert journal.read(reader) == ()
        with db.begin() as writer:
            journal.append(writer, ENTRY)
        assert journal.read(reader) == ()
    with db.read() as reader:
        assert len(journal.read(reader)) == 1


def test_however_many_wait_to_write_others_read(db: Database) -> None:
    begun = threading.Semaphore(0)

    def write() -> None:
        begun.release()
        with db.begin() as conn:
            journal.append(conn, ENTRY)

    writers = [threading.Thread(target=write) for _ in range(THREADS - 1)]
    with db.begin() as conn:
        for writer in writers:
            writer.start()
            begun.acquire()
        deadline = time.monotonic() + 10
        while db.engine.pool.checkedout() < THREADS and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.01)
        assert db.engine.pool.checkedout() == THREADS  # type: ignore[attr-defined]
        with db.read() as reader:
            assert journal.read(reader) == ()
        journal.append(conn, ENTRY)
    for writer in writers:
        writer.join()
    with db.read() as reader:
        assert len(journal.read(reader)) == THREADS


def test_a_file_that_was_read_by_many_at_once_is_not_opened_again_for_the_next_many(tmp_path: Path) -> None:
    opened = list[object]()
    with closing(open_database(f"sqlite:///{tmp_path / 'store.db'}")) as db:
        event.listen(db.engine, "connect", lambda connection, _entry: opened.append(connection))
        for _ in range(2):
            with ExitStack() as readers:
                for _ in range(THREADS):
                    readers.enter_context(db.read())
    assert len(opened) <= THREADS


def test_a_second_writer_waits_and_then_sees_what_the_first_wrote(db: Database) -> None:
    seen: list[int] = []
    started = threading.Event()

    def write() -> None:
        started.set()
        with db.begin() as conn:
            seen.append(len(journal.read(conn)))
            journal.append(conn, ENTRY)

    with db.begin() as conn:
        second = threading.Thread(target=write)
        second.start()
        started.wait()
        journal.append(conn, ENTRY)
    second.join()
    assert seen == [1]
    with db.read() as conn:
        assert [line.seq for line in journal.read(conn)] == [1, 2]


def test_a_locked_store_is_a_clear_error_and_no_partial_state(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    holder = open_database(url)
    impatient = Database(f"{url}?timeout=0.05")
    with holder.begin() as conn:
        journal.append(conn, ENTRY)
        with pytest.raises(StoreUnavailable, match="nothing was saved: database is locked"), impatient.begin():
            pass
        with impatient.read() as reader:
            assert journal.read(reader) == ()
    with impatient.read() as reader:
        assert len(journal.read(reader)) == 1
    holder.close()
    impatient.close()


def test_a_full_disk_is_a_clear_error_and_no_partial_state(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    with database.begin() as conn:
        journal.append(conn, ENTRY)
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")

    def write_much() -> None:
        with database.begin() as conn:
            inventory.save_fleet(conn, w.fleet())
            journal.append_many(conn, [ENTRY] * 500)

    with pytest.raises(StoreUnavailable, match="nothing was saved: database or disk is full"):
        write_much()
    with database.begin() as conn:
        assert inventory.load_fleet(conn).clusters == {}
        assert len(journal.read(conn)) == 1
        journal.append(conn, ENTRY)  # there is room for a small change still
    database.close()


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/store.db", "postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2"]
)
def test_a_store_that_cannot_be_reached_is_a_clear_error(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="nothing was saved"):
        open_database(url)


def test_a_file_that_is_no_store_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100, encoding="utf-8")
    with pytest.raises(StoreUnavailable, match="not a database"):
        migrate(f"sqlite:///{tmp_path / 'notes.txt'}")


def upgrade(db: Database) -> None:
    """As a newer release does it."""
    with db.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


def test_a_store_that_was_upgraded_since_it_was_opened_is_read_but_not_written(store_url: str) -> None:
    opened = open_database(store_url)
    with opened.begin() as conn:
        journal.append(conn, ENTRY)
    upgrade(opened)
    with pytest.raises(OtherRelease, match="has schema 9999") as refused, opened.begin() as conn:
        journal.append(conn, ENTRY)
    assert refused.value.code == Code.STORE_OF_OTHER_RELEASE
    with opened.read() as conn:
        assert len(journal.read(conn)) == 1
        with pytest.raises(OtherRelease):
            opened.look(conn)
    opened.close()


def test_whoever_looks_first_in_every_write_still_does_after_the_schema_was_looked_at(store_url: str) -> None:
    opened = open_database(store_url)
    seen: list[int] = []
    guarded = opened.guarded(lambda conn: seen.append(len(journal.read(conn))))
    with guarded.begin() as conn:
        journal.append(conn, ENTRY)
    upgrade(opened)
    with pytest.raises(OtherRelease), guarded.begin():
        pass
    assert seen == [0]
    opened.close()


def test_a_table_that_a_newer_release_changed_is_told_as_an_upgrade(store_url: str) -> None:
    opened = open_database(store_url)
    with opened.engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE journal RENAME COLUMN why TO reason")
    with pytest.raises(StoreUnavailable, match="why") as broken, opened.read() as conn:
        journal.read(conn)
    assert not isinstance(broken.value, OtherRelease)  # nobody upgraded it: something else is wrong
    upgrade(opened)
    with pytest.raises(OtherRelease, match="has schema 9999"), opened.read() as conn:
        journal.read(conn)
    opened.close()


def test_a_store_of_a_newer_release_is_refused_when_it_is_opened(store_url: str) -> None:
    raw = Database(store_url)
    upgrade(raw)
    with pytest.raises(OtherRelease, match="Start the release that the store was upgraded to"):
        open_database(store_url)
    with raw.read() as conn:
        assert conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
    raw.close()
