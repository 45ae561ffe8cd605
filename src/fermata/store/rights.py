"""What the database lets our role do, and what time it says it is: asked by `fermata doctor`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

_ROLE = text("SELECT current_user")
_MAY = text(
    "SELECT has_table_privilege(current_user, :of_table, 'UPDATE') OR has_table_privilege(current_user, :of_table,"
    " 'DELETE') OR has_table_privilege(current_user, :of_table, 'TRUNCATE')"
)
_CLOCK = text("SELECT clock_timestamp()")


def read_role(conn: Connection) -> str:
    """Who we are to the database, "" on SQLite, where whoever may write to the file may do all."""
    return str(conn.execute(_ROLE).scalar_one()) if _is_server(conn) else ""


def list_changeable(conn: Connection, tables: Sequence[str]) -> tuple[str, ...]:
    """Those of the tables in which our role may change or delete rows; on SQLite none, since nothing there asks."""
    if not _is_server(conn):
        return ()
    return tuple(name for name in tables if conn.execute(_MAY, {"of_table": name}).scalar_one())


def read_clock(conn: Connection) -> datetime | None:
    """The database's clock, None where it is our machine's."""
    found: datetime | None = conn.execute(_CLOCK).scalar_one() if _is_server(conn) else None
    return found


def _is_server(conn: Connection) -> bool:
    return conn.dialect.name == "postgresql"
