"""Statements that are asked at every instant of a run: a module writes one with SQLAlchemy, once, and here it is
compiled once in a process and then handed to SQLite's driver as it is. Around a statement that finds a row or two, the
layers between take ten times as long as the database does.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Executable, Select, UpdateBase
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NULLTYPE

from fermata.store.fitting import Fitting, fit, from_driver, to_driver
from fermata.store.schema import JSON_CODEC

_SQLITE: Dialect = sqlite.dialect(**JSON_CODEC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """A statement as the driver takes it: `names` of its parameters in their order, `fixed`: the values of those that
    are the same every time.
    """

    text: str
    names: tuple[str, ...]
    fixed: dict[str, Any]
    taken: Fitting
    given: Fitting
    row: Callable[[Iterable[Any]], Any]


def ask(conn: Connection, statement: Select[Any] | UpdateBase, **given: Any) -> list[Any]:
    """All rows, each a named tuple, of a statement that a module keeps, or of a change that returns some; `given`: the
    values of its parameters. None of these may be a list.
    """
    if conn.dialect.name != "sqlite":
        return list(conn.execute(statement, given).all())
    plain = _plain(statement)
    fitting, row = plain.given, plain.row
    return [row(fit(fitting, found)) for found in _hand_over(conn, plain, given)[0]]


def ask_value(conn: Connection, statement: Select[Any], **given: Any) -> Any:
    """The first column of the first row; None when there is no row."""
    found = ask(conn, statement, **given)
    return found[0][0] if found else None


def change(conn: Connection, statement: UpdateBase, **given: Any) -> int:
    """Carries out such a statement that changes rows. Returns how many."""
    if conn.dialect.name != "sqlite":
        done: CursorResult[Any] = conn.execute(statement, given)
        return done.rowcount
    return _hand_over(conn, _plain(statement), given)[1]


def _hand_over(conn: Connection, plain: _Plain, given: dict[str, Any]) -> tuple[list[Any], int]:
    """The rows that the driver gives, and how many were changed."""
    values = {**plain.fixed, **given} if plain.fixed else given
    driver: Any = conn.connection.driver_connection
    try:
        found: sqlite3.Cursor = driver.execute(plain.text, fit(plain.taken, [values[name] for name in plain.names]))
        return found.fetchall(), found.rowcount
    except sqlite3.Error as error:
        raise DBAPIError.instance(plain.text, None, error, sqlite3.Error, dialect=conn.dialect) from error


@cache  # as many as the modules here keep
def _plain(statement: Executable) -> _Plain:
    compiled = statement.compile(dialect=_SQLITE)  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)
    made = compiled.construct_expanded_state({name: None for name, bind in compiled.binds.items() if bind.required})
    names = tuple(made.positiontup or ())
    kinds = {name: bind.type for name, bind in compiled.binds.items()}
    columns: list[Any] = []
    if isinstance(statement, Select | UpdateBase):
        columns = list(statement.exported_columns)
    row = namedtuple("row", [column.key or "_" for column in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024 - named after columns
    return _Plain(
        text=made.statement,
        names=names,
        fixed={name: value for name, value in made.parameters.items() if value is not None},
        taken=to_driver(_SQLITE, [kinds.get(name, NULLTYPE) for name in names]),  # of a fixed list: text
        given=from_driver(_SQLITE, [column.type for column in columns]),
        row=row._make,
    )
