"""Opens a store and gives out its short transactions. The only place that knows which database it is."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from fermata.store.once import mark_done, storing_key

__all__ = ["Connection", "Database", "NotStored", "StoreUnavailable", "migrate", "open_database"]

BUSY_SECONDS = 30  # how long a writer waits its turn: longer than any transaction, shorter than a caller's patience
WRITER_LOCK = 0x4645524D  # PostgreSQL's advisory lock "FERM": one writer at a time there as well


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked, or cannot write (disk full). Nothing was changed."""


class NotStored(LookupError):
    """The store holds no such thing: `kind` is the noun (plan, policy, ...), `name` is "" where there is only one."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"the store holds no {kind} {name}".rstrip())
        self.kind = kind
        self.name = name


JSON_CODEC: Mapping[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}
READ_ONLY: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {"fermata_readonly": True},
    "postgresql": {"fermata_readonly": True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


class Database:
    """One store. `begin()` writes, `read()` reads; both are short and never held across a port call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self._guard: Callable[[Connection], None] | None = None

    def guarded(self, guard: Callable[[Connection], None]) -> "Database":
        """The same store, where `guard` looks first in every write transaction: what it raises ends it."""
        found = copy.copy(self)
        found._guard = guard  # noqa: SLF001 - of another object of this very class
        return found

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block and rolled back on any error.

        It waits for its turn first: one writer at a time, on either database, so that what is read inside cannot go
        stale before it commits. Raises StoreUnavailable when the database says no, DoneBefore as in `once`.
        """
        try:
            with self.engine.begin() as connection, storing_key(connection):
                if self._guard is not None:
                    self._guard(connection)
                yield connection
            mark_done()
        except DBAPIError as error:
            raise StoreUnavailable(_sentence(error)) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only snapshot. Raises StoreUnavailable when the database says no."""
        try:
            with self.engine.connect() as connection:
                readonly = connection.execution_options(**READ_ONLY[connection.dialect.name])
                with readonly.begin():
                    yield readonly
        except DBAPIError as error:
            raise StoreUnavailable(_sentence(error)) from error

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Opens the store at a SQLAlchemy URL and brings its schema up to date. Raises StoreUnavailable."""
    migrate(url)
    return Database(url)


def migrate(url: str, revision: str = "head") -> None:
    """Applies all migrations up to `revision` in one transaction. Raises StoreUnavailable.

    A store that is up to date is only read, so opening one never waits for a writer.
    """
    from alembic import command  # noqa: PLC0415 - a quarter of a second, which whoever asks a server should not wait
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    wanted = scripts.get_revision(revision)
    database = Database(url)
    try:
        with database.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found != wanted.revision:
            with database.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
    finally:
        database.close()


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        wait = f"-c lock_timeout={BUSY_SECONDS * 1000}"
        engine = create_engine(parsed, pool_pre_ping=True, connect_args={"options": wait}, **JSON_CODEC)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    wait_seconds = float(str(parsed.query.get("timeout", BUSY_SECONDS)))
    engine = create_engine(parsed, connect_args={"timeout": wait_seconds, "check_same_thread": False}, **JSON_CODEC)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if _is_readonly(connection) else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if not _is_readonly(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _is_readonly(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("fermata_readonly", False))


def _sentence(error: DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    return f"the store did not take the change, nothing was saved: {text}"
