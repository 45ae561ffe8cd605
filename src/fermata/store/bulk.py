"""Writes many rows in one go. The only place where the two databases are fed differently, for speed alone: of a row
that goes to SQLite, the layers above it take several times as long as it does itself.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Table, bindparam, delete, insert, update

from fermata.store.fitting import Fitting, fit, to_driver
from fermata.store.schema import UtcTime

Row = Mapping[str, Any]
COPY_FROM_ROWS = 200  # below it one INSERT per row is as quick as COPY on PostgreSQL
NAMES_PER_STATEMENT = 500  # SQLite once allowed 999 variables in a statement


def insert_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns."""
    if not rows:
        return
    if conn.dialect.name == "postgresql" and len(rows) >= COPY_FROM_ROWS:
        _copy(conn, table, rows)
    elif conn.dialect.name == "sqlite":
        _insert_raw(conn, table, rows)
    else:
        conn.execute(insert(table), [dict(row) for row in rows])


def update_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Updates rows by the primary key `name`; all rows have the same columns."""
    if not rows:
        return
    columns = tuple(name for name in rows[0] if name != "name")
    if conn.dialect.name == "postgresql":
        _update_at_once(conn, table, ("name",), columns, [({"name": row["name"]}, row) for row in rows])
        return
    statement = (
        update(table).where(table.c.name == bindparam("key")).values({name: bindparam(name) for name in columns})
    )
    conn.execute(statement, [{"key": row["name"], **{name: row[name] for name in columns}} for row in rows])


def save_versions(conn: Connection, table: Table, rows: Sequence[tuple[int, int, Mapping[str, Any]]]) -> int:
    """Saves rows that still have the version at which they were read: id, that version, and the columns that change,
    the same of each and the new `version` among them. Returns how many there were.
    """
    if not rows:
        return 0
    columns = tuple(rows[0][2])
    if conn.dialect.name == "sqlite":
        statement, fitting = _saving_raw(conn.dialect, table, columns)
        values = [fit(fitting, (*row.values(), id_, read_at)) for id_, read_at, row in rows]
        return int(conn.exec_driver_sql(statement, values).rowcount)
    keyed = [({"id": id_, "version": read_at}, row) for id_, read_at, row in rows]
    return _update_at_once(conn, table, ("id", "version"), columns, keyed)


def _update_at_once(
    conn: Connection, table: Table, keys: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[tuple[Row, Row]]
) -> int:
    """On PostgreSQL: all rows as one value, whose members it takes apart. A statement for each row costs ten times as
    much in the layers between. `rows`: what each had in `keys`, and what it is to have. Returns how many it met.
    """
    times = [name for name in columns if isinstance(table.c[name].type, UtcTime)]
    for _, row in rows:
        if any(row[name] is not None and row[name].tzinfo is None for name in times):
            raise ValueError("a stored time must be aware")
    names = (*(f"k{i}" for i in range(len(keys))), *(f"c{i}" for i in range(len(columns))))
    values = ((*had.values(), *(row[name] for name in columns)) for had, row in rows)
    sent = orjson.dumps([dict(zip(names, found, strict=True)) for found in values]).decode()
    statement = _updating(conn.dialect, table, keys, columns)
    return int(conn.exec_driver_sql(statement, (sent,)).rowcount)


@lru_cache(maxsize=256)  # a store brings its own dialect
def _updating(dialect: Dialect, table: Table, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
    kinds = {name: table.c[name].type.compile(dialect=dialect) for name in (*keys, *columns)}
    given = [f"k{i} {kinds[name]}" for i, name in enumerate(keys)]
    given += [f"c{i} {kinds[name]}" for i, name in enumerate(columns)]
    sets = ", ".join(f'"{name}" = given.c{i}' for i, name in enumerate(columns))
    same = " AND ".join(f'held."{name}" = given.k{i}' for i, name in enumerate(keys))
    return (
        f'UPDATE "{table.name}" AS held SET {sets} '  # noqa: S608 - our own names
        f"FROM json_to_recordset(CAST(%s AS json)) AS given({', '.join(given)}) WHERE {same}"
    )


@lru_cache(maxsize=256)  # a store brings its own dialect
def _saving_raw(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> tuple[str, Fitting]:
    sets = ", ".join(f'"{name}" = ?' for name in columns)
    statement = f'UPDATE "{table.name}" SET {sets} WHERE id = ? AND version = ?'  # noqa: S608 - our own names
    return statement, _fitting(dialect, table, (*columns, "id", "version"))


def delete_names(conn: Connection, table: Table, names: Sequence[str]) -> None:
    """Deletes rows by the primary key `name`."""
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        conn.execute(delete(table).where(table.c.name.in_(names[start : start + NAMES_PER_STATEMENT])))


def _insert_raw(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = tuple(rows[0])
    statement, fitting = _inserting_raw(conn.dialect, table, columns)
    conn.exec_driver_sql(statement, [fit(fitting, [row[name] for name in columns]) for row in rows])


@lru_cache(maxsize=256)  # a store brings its own dialect
def _inserting_raw(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> tuple[str, Fitting]:
    quoted, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    statement = f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})'  # noqa: S608 - our own names
    return statement, _fitting(dialect, table, columns)


@lru_cache(maxsize=256)  # a store brings its own dialect
def _fitting(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> Fitting:
    """What makes of a value what the driver takes, for every column where that is another one."""
    return to_driver(dialect, [table.c[name].type for name in columns])


def _copy(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = tuple(rows[0])
    fitting = _fitting(conn.dialect, table, columns)
    quoted = ", ".join(f'"{name}"' for name in columns)
    cursor = conn.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(fit(fitting, [row[name] for name in columns]))
    cursor.close()
