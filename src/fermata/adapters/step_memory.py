"""What was asked of controllers under which step key, and which task became of it: a row before each act, the outcome
after it. For targets that keep no keys of ours.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, TextClause, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from fermata.domain.health import shorten
from fermata.domain.ids import StepKey
from fermata.ports import OutcomeUnknown, Refused

SCHEMA = "fermata_memory"  # in PostgreSQL: beside whatever else the database holds
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS steps (
    key TEXT PRIMARY KEY, unit TEXT NOT NULL, op TEXT NOT NULL, component TEXT NOT NULL, version TEXT NOT NULL,
    image TEXT NOT NULL, asked_at TEXT NOT NULL, before TEXT, is_done INTEGER NOT NULL DEFAULT 0,
    task TEXT, ended_at TEXT, failed TEXT
)
""",
    "CREATE TABLE IF NOT EXISTS heard (scope TEXT PRIMARY KEY, generation INTEGER NOT NULL)",
)
_SCHEMA = f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"
_FIELDS = ("key", "unit", "op", "component", "version", "image", "asked_at", "before", "task")
_INTO = f"INTO steps ({', '.join(_FIELDS)})"
_VALUES = ", ".join(f"CAST(:{field} AS TEXT)" for field in _FIELDS)
_ANEW = ", ".join(f"{field} = excluded.{field}" for field in _FIELDS[1:])
_BEGIN = (
    f"INSERT {_INTO} VALUES ({_VALUES}) ON CONFLICT (key) DO UPDATE"  # noqa: S608 - constants
    f" SET {_ANEW}, is_done = 0, ended_at = NULL, failed = NULL"
)
_CLAIM = (
    f"INSERT {_INTO} SELECT {_VALUES}"  # noqa: S608 - constants
    " WHERE NOT EXISTS (SELECT 1 FROM heard WHERE scope = :scope AND generation > :generation) ON CONFLICT DO NOTHING"
)
_HEAR = (
    "INSERT INTO heard VALUES (:scope, :generation) ON CONFLICT (scope) DO UPDATE SET generation ="
    " CASE WHEN heard.generation > excluded.generation THEN heard.generation ELSE excluded.generation END"
)
WAIT_SECONDS = 30  # for another process that writes, and for the database to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One key. `op`: apply or reset. `before`: when the machine was last reset as it was asked, as its controller says.

    `is_done`: the controller said yes; False: it was asked, or was about to be, and nobody knows more.
    `failed` None of a step that ended: it succeeded.
    """

    key: StepKey
    unit: str
    op: str
    component: str
    version: str
    image: str
    asked_at: datetime
    before: str | None = None
    is_done: bool = False
    task: str | None = None
    ended_at: datetime | None = None
    failed: str | None = None


class Memory:
    """A file for the processes of one machine, the URL of a PostgreSQL for those of several machines, or, with None,
    nothing but this process. Any call raises OutcomeUnknown when it cannot be read or written: nothing is done that
    cannot be remembered. Raises Refused for what is no database.
    """

    def __init__(self, where: Path | str | None) -> None:
        self._lock = threading.Lock()
        self._engine = _open(where)
        self._conn: Connection | None = None
        try:
            with self._engine.connect() as conn:
                for statement in _TABLES if self._engine.dialect.name == "sqlite" else (_SCHEMA, *_TABLES):
                    conn.execute(text(statement))
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise Refused(f"the memory of steps cannot be used: {_say(error)}") from error

    def find(self, key: StepKey) -> Step | None:
        """None: nothing was asked under it."""
        rows, _ = self._do("SELECT * FROM steps WHERE key = :key", key=key)
        return _to_step(rows[0]) if rows else None

    def begin(self, step: Step) -> None:
        """It is about to be asked. A row of the same key is replaced."""
        self._do(_BEGIN, **_words(step))

    def claim(self, step: Step, generation: int = 0) -> bool:
        """It is about to be asked by whoever is told True; False: somebody else said so before, or a newer generation
        was heard of its unit.
        """
        _, written = self._do(_CLAIM, **_words(step), scope=scope_of(step.key), generation=generation)
        return written == 1

    def hear(self, key: StepKey, generation: int) -> int:
        """The newest generation of its unit, in its run and window, that was heard, this one included."""
        scope = scope_of(key)
        rows, _ = self._do("SELECT generation FROM heard WHERE scope = :scope", scope=scope)
        known = int(rows[0].generation) if rows else 0
        if generation > known:
            self._do(_HEAR, scope=scope, generation=generation)
        return max(known, generation)

    def list_open(self, unit: str) -> Sequence[Step]:
        """Steps of a unit that are not over."""
        rows, _ = self._do("SELECT * FROM steps WHERE unit = :unit AND ended_at IS NULL", unit=unit)
        return [_to_step(row) for row in rows]

    def done(self, key: StepKey, task: str | None) -> None:
        """The controller said yes; `task`: its address, if there is one."""
        self._do("UPDATE steps SET is_done = 1, task = :task WHERE key = :key", key=key, task=task)

    def end(self, key: StepKey, at: datetime, failed: str | None = None) -> None:
        """It is over."""
        statement = "UPDATE steps SET is_done = 1, ended_at = :at, failed = :failed WHERE key = :key"
        self._do(statement, key=key, at=at.isoformat(), failed=failed)

    def forget(self, key: StepKey) -> None:
        """Nothing was done under it."""
        self._do("DELETE FROM steps WHERE key = :key", key=key)

    def close(self) -> None:
        """Harmless twice."""
        with self._lock:
            self._let_go()
            self._engine.dispose()

    def _let_go(self) -> None:
        """Another connection is made when one is needed: most calls find the one that there is."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.invalidate()
            conn.close()

    def _do(self, statement: str, **words: object) -> tuple[Sequence[Row[Any]], int]:
        """A transaction of its own: the rows that it found, and how many it wrote."""
        with self._lock:
            try:
                if self._conn is None:
                    self._conn = self._engine.connect()
                done = self._conn.execute(_text(statement), words)
                return (done.all(), 0) if done.returns_rows else ((), done.rowcount)
            except SQLAlchemyError as error:
                self._let_go()
                raise OutcomeUnknown(f"the memory of steps does not answer: {_say(error)}") from error


def open_shared(file: Path | None, url_env: str | None) -> Memory:
    """The memory that settings name: a file, or the PostgreSQL whose URL stands in an environment variable. Raises
    Refused.
    """
    if url_env is None:
        return Memory(file)
    url = os.environ.get(url_env, "")
    if not url:
        raise Refused(f"the environment variable {url_env} holds no URL of a PostgreSQL for the memory of steps")
    return Memory(url)


@cache
def _text(statement: str) -> TextClause:
    """Read once: there are ten of them."""
    return text(statement)


def _open(where: Path | str | None) -> Engine:
    """Every statement is a transaction. Raises Refused for what is no URL of a PostgreSQL."""
    if isinstance(where, str):
        try:
            url = make_url(where).set(drivername="postgresql+psycopg")
        except ArgumentError as error:
            raise Refused("what is named as memory of steps is no URL of a PostgreSQL") from error
        options = {"options": f"-c search_path={SCHEMA} -c statement_timeout={WAIT_SECONDS}s", "connect_timeout": 10}
        return create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1, connect_args=options)
    shared = {"connect_args": {"timeout": WAIT_SECONDS, "check_same_thread": False}, "isolation_level": "AUTOCOMMIT"}
    if where is None:
        return create_engine("sqlite://", poolclass=StaticPool, **shared)
    engine = create_engine(f"sqlite:///{where}", pool_size=1, **shared)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    return engine


def _say(error: SQLAlchemyError) -> str:
    """Without the statement, and without where: a URL may hold a password."""
    cause = error.__cause__ or error
    return shorten(str(getattr(error, "orig", None) or cause))


def scope_of(key: StepKey) -> str:
    """Run, window and unit, which generations are about."""
    return "/".join(key.split("/")[:3])


def _words(step: Step) -> dict[str, str | None]:
    return {field: getattr(step, field) for field in _FIELDS} | {"asked_at": step.asked_at.isoformat()}


def _to_step(row: Row[Any]) -> Step:
    return Step(
        key=StepKey(row.key),
        unit=row.unit,
        op=row.op,
        component=row.component,
        version=row.version,
        image=row.image,
        asked_at=datetime.fromisoformat(row.asked_at),
        before=row.before,
        is_done=bool(row.is_done),
        task=row.task,
        ended_at=None if row.ended_at is None else datetime.fromisoformat(row.ended_at),
        failed=row.failed,
    )
