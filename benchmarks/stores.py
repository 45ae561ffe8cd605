"""Throw-away databases for benchmarks: SQLite files in the run's folder, and PostgreSQL where one lets us in."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from harness import Place

VARIABLE = "FERMATA_TEST_POSTGRES"
KEPT_VARIABLE = "FERMATA_BENCHMARK_KEPT"  # a folder of bench.py's, for what several tables begin with
NO_POSTGRES = (
    f"PostgreSQL was not measured: none on loopback lets us in. Set {VARIABLE} to a URL that may create databases."
)


def find_postgres() -> URL | None:
    """The server that FERMATA_TEST_POSTGRES names, else one on loopback; None where there is none.

    Raises psycopg.OperationalError when the named one does not answer.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked and asked != "private":
        url = make_url(asked)
        postgres_version(url)
        return url
    for user in ("postgres", os.environ.get("USER", "root")):
        url = URL.create("postgresql+psycopg", user, host="127.0.0.1", port=5432, database="postgres")
        with suppress(psycopg.OperationalError):
            postgres_version(url)
            return url
    return None


def postgres_version(server: URL) -> str:
    """As the server calls itself, without what its packager added."""
    with psycopg.connect(plain(server), connect_timeout=5) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    assert row is not None
    return str(row[0]).split()[0]


@contextmanager
def fresh_stores(server: URL | None, names: Sequence[str], shared: Place) -> Iterator[Place]:
    """`shared`, a folder of the run's own, and for each name the URL of an empty database: NAME_sqlite and, with a
    server, NAME_postgresql. All gone at the end.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fermata-bench-")))
        place = {**shared, "folder": str(folder)}
        for name in names:
            place[f"{name}_sqlite"] = f"sqlite:///{folder / name}.sqlite"
            if server is not None:
                place[f"{name}_postgresql"] = stack.enter_context(_fresh_database(server))
        yield place


@contextmanager
def copied_store(store: Path) -> Iterator[Place]:
    """A copy of an SQLite store for one run: what it writes is its own."""
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        target = Path(name, "fleet.db")
        shutil.copyfile(store, target)
        yield {"store": f"sqlite:///{target}"}


@contextmanager
def _fresh_database(server: URL) -> Iterator[str]:
    name = f"fermata_bench_{secrets.token_hex(6)}"
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(server: URL, statement: str) -> None:
    with psycopg.connect(plain(server), autocommit=True) as connection:
        connection.execute(statement.encode())


def plain(url: URL) -> str:
    """The URL as the driver itself takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
