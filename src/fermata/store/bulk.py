"""Writes many rows in one go. The only place where the two databases are fed differently, for speed alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, update

COPY_FROM_ROWS = 200  # below it one INSERT per row is as quick as COPY on PostgreSQL
RAW_FROM_ROWS = 200  # from here on SQLite spends less time on rows than the layers above it
NAMES_PER_STATEMENT = 500  # SQLite once allowed 999 variables in a statement


def insert_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns."""
    if not rows:
        return
    if conn.dialect.name == "postgresql" and len(rows) >= COPY_FROM_ROWS:
        _copy(conn, table, rows)
    elif conn.dialect.name == "sqlite" and len(rows) >= RAW_FROM_ROWS:
        _insert_raw(conn, table, rows)
    else:
        conn.execute(insert(table), [dict(row) for row in rows])


def update_rows(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Updates rows by the primary key `name`; all rows have the same columns."""
    if not rows:
        return
    statement = update(table).where(table.c.name == bindparam("key"))  # SET comes from the rows' other columns
    conn.execute(statement, [{"key": row["name"], **{c: v for c, v in row.items() if c != "name"}} for row in rows])


def delete_names(conn: Connection, table: Table, names: Sequence[str]) -> None:
    """Deletes rows by the primary key `name`."""
    for start in range(0, len(names), NAMES_PER_STATEMENT):
        conn.execute(delete(table).where(table.c.name.in_(names[start : start + NAMES_PER_STATEMENT])))


def _insert_raw(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    prepare = _processors(conn, table, columns)
    quoted = ", ".join(f'"{name}"' for name in columns)
    values = [tuple([fit(row[name]) if fit else row[name] for fit, name in prepare]) for row in rows]
    marks = ", ".join("?" * len(columns))
    conn.exec_driver_sql(f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})', values)  # noqa: S608 - our own names


def _processors(conn: Connection, table: Table, columns: Sequence[str]) -> list[tuple[Any, str]]:
    """What makes of a value what the driver takes, by column; None: it does already."""
    kinds = [table.c[name].type.dialect_impl(conn.dialect) for name in columns]
    return list(zip((kind.bind_processor(conn.dialect) for kind in kinds), columns, strict=True))


def _copy(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    prepare = _processors(conn, table, columns)
    quoted = ", ".join(f'"{name}"' for name in columns)
    cursor = conn.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([fit(row[name]) if fit else row[name] for fit, name in prepare])
    cursor.close()
