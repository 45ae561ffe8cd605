"""Opens a store and gives out its short transactions. The only place that knows which database it is."""

import copy
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, String, column, create_engine, event, make_url, select, table
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from fermata.domain.identity import EVERYTHING, Sight
from fermata.domain.reasons import Code, Reason, reason
from fermata.store.asking import ask_value
from fermata.store.once import mark_done, storing_key
from fermata.store.schema import JSON_CODEC
from fermata.store.sealing import OPTION as SEAL_KEY
from fermata.store.sealing import SealKey, key_beside
from fermata.store.tenancy.walls import stand_around

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

__all__ = ["Connection", "Database", "NotStored", "OtherRelease", "StoreUnavailable", "migrate"]

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30  # how long a writer waits its turn: longer than any transaction, shorter than a caller's patience
POOLED = 5  # connections to a server that are kept; to a file all are: opening one costs more than what is then read
OVERFLOW = 40  # connections beside those: who waits to write has one, and readers need theirs
WRITER_LOCK = 0x4645524D  # PostgreSQL's advisory lock "FERM": one writer at a time there as well


class StoreUnavailable(Exception):
    """The database cannot be reached, is locked, or cannot write (disk full). Nothing was changed."""

    code = "STORE_UNAVAILABLE"


class OtherRelease(StoreUnavailable):
    """The store's schema is that of another release, which upgraded it or went back meanwhile. Trying again is no use.

    Nothing was changed.
    """

    def __init__(self, why: Reason) -> None:
        super().__init__(why.sentence)
        self.code = why.code.value


class CameBack(StoreUnavailable):
    """The store was restored under us: the brake was put on, and nothing else was changed. Trying again finds it on."""

    def __init__(self, why: Reason) -> None:
        super().__init__(why.sentence)
        self.code = why.code.value


class SeesOnly(Exception):
    """Something wrote through a view of a part of the store, which nothing does: a bug."""


class NotStored(LookupError):
    """The store holds no such thing: `kind` is the noun (plan, policy, ...), `name` is "" where there is only one."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"the store holds no {kind} {name}".rstrip())
        self.kind = kind
        self.name = name


_SCHEMA = select(column("version_num", String)).select_from(table("alembic_version"))
LIFE_SEEN = "fermata_life_seen"  # of a connection: a server that begins another life ends all of them
_WHOLE, _SIGHT = "fermata_whole", "fermata_sight"  # of a view: the store that it shows a part of, and which
_KEPT, _FRESH = "fermata_kept", "fermata_fresh"  # what is remembered, and what will be once it is committed
READ_ONLY: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {"fermata_readonly": True},
    "postgresql": {"fermata_readonly": True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


_FOR_A_PART: ContextVar[bool] = ContextVar("for who sees a part", default=False)


def serves_a_part() -> bool:
    """True while a change is made for who sees a part of the store: what it says names nothing that it was not asked
    about.
    """
    return _FOR_A_PART.get()


def recall(conn: Connection, name: str) -> Any:
    """What was remembered of this store under that name, by any of its transactions that is in sight; None if nothing
    was. It may be of an earlier state of the store: whoever remembers something says with it what state it is of.
    """
    options = conn.get_execution_options()
    return options.get(_FRESH, {}).get(name) or options[_KEPT].get(name)


def remember(conn: Connection, name: str, value: object) -> None:
    """Keeps a value that is never changed, as long as the process lives: at once when nothing can be written, else once
    all of it is committed.
    """
    options = conn.get_execution_options()
    kept: dict[str, object] | None = options[_KEPT] if _is_readonly(conn) else options.get(_FRESH)
    if kept is not None:
        kept[name] = value


def sight_of(conn: Connection) -> tuple["Database", Sight] | None:
    """The whole store and what this connection shows of it; None for one that shows everything."""
    options = conn.get_execution_options()
    return (options[_WHOLE], options[_SIGHT]) if _WHOLE in options else None


class Database:
    """One store. `begin()` writes, `read()` reads; both are short and never held across a port call.

    `revision`: the schema that it was opened with, outside of which nothing is written; None: nobody looks.
    `seal_key`: file with the key that secrets are sealed with, or the secret that is it; else the one beside a file.
    `look_at_life`: looks first in each transaction of PostgreSQL that writes, until the connection has `LIFE_SEEN`;
    what it finds is committed, and told instead of writing anything else.
    """

    def __init__(
        self,
        url: str,
        revision: str | None = None,
        *,
        seal_key: SealKey | None = None,
        look_at_life: Callable[[Connection], Reason | None] | None = None,
    ) -> None:
        self.url = url
        self.revision = revision
        self.engine = _engine(url)
        self.engine.update_execution_options(**{SEAL_KEY: seal_key or key_beside(url)})
        self._readers = self.engine.execution_options(**READ_ONLY[self.engine.dialect.name])
        self._guard: Callable[[Connection], None] | None = None
        self._life = look_at_life
        self._is_view = False
        self._whole: Database | None = None  # where a view begins what is written, if it may

    def guarded(self, guard: Callable[[Connection], None]) -> "Database":
        """The same store, where `guard` looks first in every write transaction: what it raises ends it."""
        found = copy.copy(self)
        found._guard = guard  # noqa: SLF001 - of another object of this very class
        return found

    def seen_by(self, sight: Sight) -> "Database":
        """The same store as who has that sight sees it: every read, whoever wrote the statement, finds what is in sight
        and nothing else; see `tenancy`. Nothing is written through it. Close it: its connections are its own.
        """
        if sight == EVERYTHING:
            return self
        found = copy.copy(self)
        found.engine = _engine(self.url)
        stand_around(found.engine, sight)
        options = {**READ_ONLY[found.engine.dialect.name], _WHOLE: self, _SIGHT: sight}
        found._readers = found.engine.execution_options(**options)  # noqa: SLF001 - of another object of this very class
        found._is_view = True  # noqa: SLF001
        return found

    def written_whole(self, whole: "Database") -> "Database":
        """This view, for a change that was allowed: what is read is in sight, what is written begins in `whole`, since
        what is decided there needs all rows.
        """
        found = copy.copy(self)
        found._whole = whole  # noqa: SLF001 - of another object of this very class
        return found

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction, committed at the end of the block and rolled back on any error.

        It waits for its turn first: one writer at a time, on either database, so that what is read inside cannot go
        stale before it commits. Raises StoreUnavailable when the database says no, OtherRelease when it was upgraded
        since it was opened, CameBack when it was restored, DoneBefore as in `once`. Raises SeesOnly in a view.
        """
        if self._is_view:
            if self._whole is None:
                raise SeesOnly
            token = _FOR_A_PART.set(True)
            try:
                with self._whole.begin() as connection:
                    yield connection
            finally:
                _FOR_A_PART.reset(token)
            return
        fresh: dict[str, object] = {}
        try:
            with self.engine.begin() as connection:
                self.look(connection)
                came_back = self._look_at_life(connection)
                if came_back is None:
                    with storing_key(connection):
                        if self._guard is not None:
                            self._guard(connection)
                        connection.execution_options(**{_FRESH: fresh})
                        yield connection
            if came_back is not None:
                raise CameBack(came_back)
            mark_done()
            self.engine.get_execution_options()[_KEPT].update(fresh)
        except DBAPIError as error:
            raise self._refusal(error) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only snapshot, of another release's schema too as far as it can be read.

        Raises StoreUnavailable when the database says no.
        """
        try:
            with self._readers.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise self._refusal(error) from error

    def look(self, conn: Connection) -> None:
        """Raises OtherRelease when the store has another schema than the one that it was opened with."""
        if self.revision is None:
            return
        found = ask_value(conn, _SCHEMA)
        if found != self.revision:
            raise OtherRelease(_say_other(found, self.revision))

    def _look_at_life(self, conn: Connection) -> Reason | None:
        if self._life is None or self.engine.dialect.name != "postgresql" or conn.info.get(LIFE_SEEN):
            return None
        return self._life(conn)

    def _refusal(self, error: DBAPIError) -> StoreUnavailable:
        """What to say of an error: if a table has changed under us, that it has."""
        if not error.connection_invalidated:
            try:
                with self.engine.connect() as connection:
                    self.look(connection)
            except OtherRelease as other:
                return other
            except DBAPIError:
                pass  # what failed first says more
        return StoreUnavailable(_sentence(error))

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def migrate(url: str, revision: str = "head") -> str:
    """Applies all migrations up to `revision` in one transaction: the schema that is there then.

    Raises StoreUnavailable, and OtherRelease where a newer release upgraded the store.

    A store that is up to date is only read, so opening one never waits for a writer.
    """
    from alembic import command  # noqa: PLC0415 - a quarter of a second, which whoever asks a server should not wait
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = _scripts()
    wanted = scripts.get_revision(revision)
    database = Database(url)
    try:
        with database.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise OtherRelease(_say_other(found, wanted.revision))
        if found != wanted.revision:
            with database.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
    finally:
        database.close()
    return wanted.revision


def read_revision(database: Database) -> tuple[str, str]:
    """The schema that a store has, "" when it has none, and the one of this release. Nothing is upgraded.

    Raises StoreUnavailable.
    """
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found or "", str(_scripts().get_current_head())


@cache
def _scripts() -> "ScriptDirectory":
    """The migrations of this release, which stay what they are while a process lives: reading them is most of what
    opening a store that is up to date costs.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return ScriptDirectory(str(MIGRATIONS))


def _say_other(found: str | None, known: str) -> Reason:
    return reason(Code.STORE_OF_OTHER_RELEASE, found=found or "none", known=known)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    options: Mapping[str, Any] = {**JSON_CODEC, "execution_options": {_KEPT: {}}}
    if parsed.get_backend_name() != "sqlite":
        how = {"options": f"-c lock_timeout={BUSY_SECONDS * 1000}"}
        sizes = {"pool_size": POOLED, "max_overflow": OVERFLOW}
        engine = create_engine(parsed, pool_pre_ping=True, connect_args=how, **sizes, **options)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    wait_seconds = float(str(parsed.query.get("timeout", BUSY_SECONDS)))
    file = {"timeout": wait_seconds, "check_same_thread": False}
    engine = create_engine(parsed, pool_size=POOLED + OVERFLOW, max_overflow=0, connect_args=file, **options)
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
    driver: Any = connection.connection.driver_connection  # the layers between take longer than it does to begin
    statement = "BEGIN" if _is_readonly(connection) else "BEGIN IMMEDIATE"
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=connection.dialect) from error


def _begin_postgresql(connection: Connection) -> None:
    if not _is_readonly(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _is_readonly(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("fermata_readonly", False))


def _sentence(error: DBAPIError) -> str:
    text = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    return f"the store did not take the change, nothing was saved: {text}"
