"""Opens a store and gives out its short transactions. The only place that knows which database it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = (
    30  # one writer at a time on SQLite: longer than any transaction we make, shorter than a caller's patience
)


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked, or cannot write (disk full). Nothing was changed."""


class NotStored(LookupError):
    """The store holds no such thing: `kind` is the noun (plan, policy, ...), `name` which one, "" where there is one."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"the store holds no {kind} {name}".rstrip())
        self.kind = kind
        self.name = name


class Database:
    """One store. `begin()` writes, `read()` reads; both are short and never held across a port call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block and rolled back on any error.

        On SQLite it takes the write lock at once, so that what is read inside cannot go stale before it commits.
        Raises StoreUnavailable when the database says no.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable(_sentence(error)) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only snapshot. Raises StoreUnavailable when the database says no."""
        try:
            with self.engine.connect() as connection:
                readonly = connection.execution_options(fermata_readonly=True)
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
    """Applies all migrations up to `revision`. Raises StoreUnavailable when the database cannot be reached."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        raise StoreUnavailable(_sentence(error)) from error


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
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
    readonly = connection.get_execution_options().get("fermata_readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def _sentence(error: DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    return f"the store did not take the change, nothing was saved: {text}"
