"""The walls around a connection that shows a part of the store.

On SQLite a view of the same name stands before each table of the connection, and nothing but those views may read a
table: what names a table reads what is seen of it, whoever wrote the statement. On PostgreSQL each statement is given
the same views as common table expressions, and the connection speaks as a role for which the tables' own policies
(migrations 0045 and 0046) let pass the rows that are seen, and no body of several customers.
"""
# ruff: noqa: S608 - texts of our own alone: who looks stands in a table or in a setting

import re
import sqlite3
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

from fermata.domain import arm
from fermata.domain.identity import Sight
from fermata.store.tenancy.owners import EMPTY_LIST, EMPTY_OBJECT, OWN_ORDER, OWN_ORDER_HERE, OWNERS, SIGHT, Owner

ROLE = "fermata_tenant"
SETTING = "fermata.sight"
_WORD = re.compile(r"\w+")
_WITH = re.compile(r"\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)
_JSON = {
    "sqlite": {EMPTY_LIST: "'[]'", EMPTY_OBJECT: "'{}'"},
    "postgresql": {EMPTY_LIST: "'[]'::jsonb", EMPTY_OBJECT: "'{}'::jsonb"},
}
_SHARED = re.compile(r"\{shared ([^}]*)\}")
_ORDERS = {"sqlite": f"({OWN_ORDER_HERE})", "postgresql": "fermata_is_own_order(journal.seq)"}
_SHARES = {
    "sqlite": 'EXISTS (SELECT 1 FROM main."cluster" AS c WHERE c.supercomputer = \\1'
    ' AND c.name NOT IN (SELECT seen.name FROM "cluster" AS seen))',
    "postgresql": r"fermata_is_shared(\1)",
}
_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_RECURSIVE}
)
_SCHEMA = frozenset({"sqlite_master", "sqlite_temp_master", "sqlite_schema", "sqlite_temp_schema"})


class NoOwner(Exception):
    """A table of which nobody said whose its rows are: nothing of it is shown."""


def stand_around(engine: Engine, sight: Sight) -> None:
    """From now on connections of the engine show what is in sight, and write nothing."""
    shown = list(_rows_of(sight))
    if engine.dialect.name == "sqlite":

        def open_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
            _shadow(connection, shown)

        event.listen(engine, "connect", open_sqlite)
        return

    def open_postgresql(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        _speak_as_tenant(connection, shown)

    event.listen(engine, "connect", open_postgresql)
    event.listen(engine, "before_cursor_execute", _prefix, retval=True)


def _rows_of(sight: Sight) -> Iterable[tuple[str, str]]:
    for level, names in (
        ("customer", sight.customers),
        ("supercomputer", sight.supercomputers),
        ("cluster", sight.clusters),
        ("guid", {arm.subscription_id(customer) for customer in sight.customers}),
    ):
        for name in sorted(names):
            yield level, name


def _shadow(connection: DBAPIConnection, shown: list[tuple[str, str]]) -> None:
    cursor = connection.cursor()
    cursor.execute(f"CREATE TEMP TABLE {SIGHT} (level TEXT NOT NULL, name TEXT NOT NULL)")
    cursor.executemany(f"INSERT INTO temp.{SIGHT} VALUES (?, ?)", shown)
    cursor.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
    there = {name for (name,) in cursor.fetchall()}
    for name in (name for name in OWNERS if name in there):
        cursor.execute(f"SELECT name FROM pragma_table_info('{name}', 'main')")
        columns = [column for (column,) in cursor.fetchall()]
        cursor.execute(f'CREATE TEMP VIEW "{name}" AS {_select(name, columns, "main.", "sqlite")}')
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()
    driver: Any = connection
    driver.set_authorizer(_judge)


def _judge(action: int, first: str | None, second: str | None, schema: str | None, through: str | None) -> int:
    """What SQLite asks of each thing that a statement does."""
    if action == sqlite3.SQLITE_READ:
        is_shown = schema != "main" or through in OWNERS or first in _SCHEMA or not second  # "" counts rows of a view
    elif action == sqlite3.SQLITE_PRAGMA:
        is_shown = second is None or first in {"table_info", "table_xinfo", "foreign_keys"}
    else:
        is_shown = action in _READS
    return sqlite3.SQLITE_OK if is_shown else sqlite3.SQLITE_DENY


def _speak_as_tenant(connection: DBAPIConnection, shown: list[tuple[str, str]]) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SELECT set_config('{SETTING}', %s, false)", (orjson.dumps(shown).decode(),))
    cursor.execute(f"SET ROLE {ROLE}")
    cursor.close()
    connection.commit()


def _prefix(
    _conn: Connection, _cursor: DBAPICursor, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    return with_owners(statement), parameters


@cache
def _columns(table: str) -> tuple[str, ...]:
    from fermata.store.schema import metadata  # noqa: PLC0415

    return tuple(metadata.tables[table].columns.keys())


def with_owners(statement: str) -> str:
    """The statement, over what is seen of the tables that it names, for PostgreSQL."""
    named = _closure(_WORD.findall(statement))
    if not named:
        return statement
    start = _WITH.match(statement)
    if start is not None and start[1]:
        raise NoOwner("a recursive statement names tables of several customers")
    views = ", ".join(
        f'"{name}" AS NOT MATERIALIZED ({_select(name, _columns(name), "", "postgresql")})' for name in named
    )
    return f"WITH {views}, {statement[start.end() :]}" if start is not None else f"WITH {views} {statement}"


def _closure(words: Iterable[str]) -> list[str]:
    """The tables among them, and those that their conditions name, in the order of OWNERS."""
    known: set[str] = set()
    waiting = {word for word in words if word in OWNERS and word != "alembic_version"}
    while waiting:
        name = waiting.pop()
        known.add(name)
        waiting |= _needs(name) - known
    return [name for name in OWNERS if name in known]


@cache
def _needs(table: str) -> frozenset[str]:
    owner = OWNERS[table]
    text = " ".join((owner.rows, *owner.instead.values()))
    named = set(re.findall(r'FROM "?(\w+)', text)) & set(OWNERS)
    return frozenset(named - {table})


def _select(table: str, columns: Iterable[str], schema: str, dialect: str) -> str:
    owner = OWNERS[table]
    shown = ", ".join(_column(table, owner, column, _JSON[dialect]) for column in columns)
    return in_words_of(dialect, f'SELECT {shown} FROM {schema}"{table}" WHERE {owner.rows}')


def in_words_of(dialect: str, condition: str) -> str:
    """What stands for the database's own words, replaced by them."""
    return _SHARED.sub(_SHARES[dialect], condition).replace(OWN_ORDER, _ORDERS[dialect])


def _column(table: str, owner: Owner, name: str, empty: Mapping[str, str]) -> str:
    given = owner.instead.get(name)
    return f'"{table}"."{name}"' if given is None else f'{empty.get(given, given)} AS "{name}"'
