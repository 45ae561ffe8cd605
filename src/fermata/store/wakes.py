"""Hints between processes that there is work: NOTIFY on PostgreSQL, nothing on SQLite, where there is one process. A
hint is sent by the transaction that makes the work, and may be lost: whoever works looks by itself too.
"""

import contextlib
import threading
from collections.abc import Iterator

import psycopg
from sqlalchemy import Connection, make_url

from fermata.store.database import Database

CHANNEL = "fermata_work"
LISTEN_SECONDS = 0.5  # between two looks whether to stop; hints come at once
AGAIN_SECONDS = 1.0  # after the database went away


def hint(conn: Connection) -> None:
    """Whoever listens looks for work once this transaction is there."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"NOTIFY {CHANNEL}")


@contextlib.contextmanager
def listening(database: Database) -> Iterator[threading.Event]:
    """An event that every hint sets, within the block."""
    heard, over = threading.Event(), threading.Event()
    url = make_url(database.url)
    if url.get_backend_name() == "sqlite":
        yield heard
        return
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    thread = threading.Thread(target=_listen, args=(address, heard, over), name="fermata-hints", daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()


def _listen(address: str, heard: threading.Event, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            heard.set()  # whatever was said while nobody listened
            while not over.is_set():
                for _ in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                    heard.set()
        over.wait(AGAIN_SECONDS if not over.is_set() else 0)
