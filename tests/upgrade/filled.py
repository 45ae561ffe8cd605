"""Stores as an earlier release left them: rows that `fill.py` wrote down, put back into a database of that schema."""

import json
import shutil
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Integer, LargeBinary, MetaData, Table, func, insert, select
from tests.simulation import small

from fermata.store.database import Database, migrate

FOLDER = Path(__file__).parent


def put_back(url: str, revision: str, folder: Path) -> None:
    """Fills the empty database at `url`, and puts the memory of its site into `folder`."""
    migrate(url, revision)
    database, tables = Database(url), MetaData()
    with database.engine.begin() as conn:
        tables.reflect(conn)
        for name, row in rows(revision):
            conn.execute(insert(tables.tables[name]).values(_typed(tables.tables[name], row)))
        for table in tables.sorted_tables:
            _count_on(conn, table)
    database.close()
    shutil.copy(FOLDER / f"{revision}.world.jsonl", small.world_path(folder))


def rows(revision: str) -> list[tuple[str, dict[str, Any]]]:
    """Table and values of each row; the revision itself is the database's own."""
    lines = (FOLDER / f"{revision}.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [(name, row) for name, row in found if name != "alembic_version"]


def plain(value: Any) -> Any:
    """A stored value as the file has it."""
    match value:
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
        case bytes() if value[:1] == b"\x78":  # what zlib's begin with
            return json.loads(zlib.decompress(value))
        case bytes():
            return value.hex()
        case _:
            return value


def _typed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(table.c[name], value) for name, value in row.items()}


def _value(column: Column[Any], value: Any) -> Any:
    if value is not None and isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    if value is not None and isinstance(column.type, LargeBinary):
        return zlib.compress(json.dumps(value).encode())
    return value


def _count_on(conn: Connection, table: Table) -> None:
    """PostgreSQL numbers the next row after those that came with their numbers, as it would have."""
    keys = [column for column in table.primary_key if isinstance(column.type, Integer)]
    if conn.dialect.name != "postgresql" or len(keys) != 1:
        return
    (key,) = keys
    sequence = conn.execute(select(func.pg_get_serial_sequence(table.name, key.name))).scalar()
    if sequence is not None:
        conn.execute(select(func.setval(sequence, func.coalesce(func.max(key), 0) + 1, False)))
