"""Copies of whole stores, as SQLite files that either database gives and takes."""

import importlib
import os
import pkgutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, inspect, select, text

from fermata import store
from fermata.store.bulk import insert_rows
from fermata.store.database import Database
from fermata.store.fleet_changes import fleet_change
from fermata.store.opening import open_database
from fermata.store.schema import metadata
from fermata.store.servers import store_server

ROWS = 2_000  # at once: a copy needs no more memory than they do


class Unreadable(Exception):
    """The file is no store, or is damaged; says how."""


def is_empty(database: Database) -> bool:
    """True where nothing was ever stored: no file, no table, or no line in the journal."""
    if database.engine.dialect.name == "sqlite" and not Path(str(database.engine.url.database)).exists():
        return True
    with database.read() as conn:
        if "journal" not in inspect(conn).get_table_names():
            return True
        return conn.execute(text("SELECT count(*) FROM journal")).scalar() == 0


def copy_out(source: Database, file: Path) -> None:
    """All of a store as it is at one moment, in a new SQLite file, while others go on writing.

    Raises StoreUnavailable, and OtherRelease for tables on PostgreSQL that are not of this release.
    """
    if source.engine.dialect.name == "sqlite":
        copy_file(Path(str(source.engine.url.database)), file)
        return
    target = open_database(f"sqlite:///{file}")
    try:
        with source.read() as reading, target.begin() as writing:
            target.look(reading)
            copy_rows(reading, writing)
    finally:
        target.close()


def copy_file(source: Path, target: Path) -> None:
    """A SQLite store with all that is committed, whoever is writing to it. Raises Unreadable."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)
            damage = writer.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = {name for (name,) in writer.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise Unreadable(str(error)) from error
    if damage != "ok":
        raise Unreadable(str(damage))
    if "journal" not in tables:
        raise Unreadable("it holds no journal")


def make_single(file: Path) -> None:
    """A SQLite store that nobody has open: one file, with nothing beside it, on the disk."""
    with closing(sqlite3.connect(file)) as stored:
        stored.execute("PRAGMA journal_mode=DELETE")
    with file.open("rb") as written:
        os.fsync(written.fileno())


def copy_rows(source: Connection, target: Connection) -> None:
    """Every row of every table into an empty store of the same schema, either of them on either database."""
    for table in (*(table for table in list_tables() if table is not fleet_change), fleet_change):
        if table is fleet_change:
            target.execute(delete(table))  # what triggers noted of the rows before
        found = source.execution_options(yield_per=ROWS).execute(select(table)).mappings()
        for rows in found.partitions(ROWS):
            insert_rows(target, table, [dict(row) for row in rows])
    if target.dialect.name == "postgresql":
        for table in list_tables():
            _count_on(target, table)


def count_rows(conn: Connection) -> Mapping[str, int]:
    """How many rows each table has; an older release lacks some of them."""
    there = set(inspect(conn).get_table_names())
    tables = [table for table in list_tables() if table.name in there]
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def _count_on(conn: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows from a sequence, which rows that bring their number leave alone."""
    column = next((column for column in table.primary_key if column.autoincrement is True), None)
    if column is not None:
        name, key = table.name, column.name
        conn.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence('{name}', '{key}'),"  # noqa: S608 - our own names
                f" coalesce((SELECT max({key}) FROM {name}), 0) + 1, false)"
            )
        )


def list_tables() -> Sequence[Table]:
    """All of them, those first that others point to. Modules that nobody needed yet register theirs now."""
    for module in pkgutil.iter_modules(store.__path__, "fermata.store."):
        importlib.import_module(module.name)
    return [table for table in metadata.sorted_tables if table is not store_server]  # it is of the server, not stored
