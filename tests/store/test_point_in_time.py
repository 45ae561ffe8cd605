"""PostgreSQL back at a moment between two backups, by its own archive of the write-ahead log: the drill of
docs/operating.md, on a server of this test alone that is lost with all its data.

Skipped, loudly, where there are no binaries of PostgreSQL to start.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from tests.conftest import START_SECONDS_MAX, copy_readable, find_binaries, free_port, loopback_url
from tests.services.test_audit import ENTRY

from fermata.domain.intents import ScopeKind
from fermata.services import audit
from fermata.store import intents, journal
from fermata.store.database import CameBack
from fermata.store.opening import open_database

ARCHIVING = """
wal_level = replica
archive_mode = on
archive_command = 'test ! -f "{wal}/%f" && cp "%p" "{wal}/%f"'
"""
RECOVERY = """
restore_command = 'cp "{wal}/%f" "%p"'
recovery_target_time = '{at}'
recovery_target_action = 'promote'
"""


class Cluster:
    """A throw-away PostgreSQL in a folder, run by `nobody` where we are root, as PostgreSQL wants it."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self.home = home
        self.user = "nobody" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(home, self.user)
            binaries = copy_readable(binaries, home)
        self.binaries = binaries
        self.port = free_port()
        self.url = loopback_url("postgres", self.port)

    def run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), *words]
        done = subprocess.run(command, cwd=self.home, user=self.user, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def write(self, file: Path, content: str, mode: str = "a") -> None:
        with file.open(mode, encoding="utf-8") as out:
            out.write(content)
        if self.user:
            shutil.chown(file, self.user)

    @contextlib.contextmanager
    def serving(self, data: Path, ends_with: signal.Signals = signal.SIGINT) -> Iterator[None]:
        """The server on this folder, until the block ends; SIGQUIT is how it is lost."""
        log = self.home / f"{data.name}.log"
        command = [str(self.binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=self.home, user=self.user, stdout=out, stderr=out)
        try:
            self.wait_until_writable(log)
            yield
        finally:
            process.send_signal(ends_with)
            process.wait(timeout=START_SECONDS_MAX)

    def wait_until_writable(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.Error):
                if self.ask("SELECT NOT pg_is_in_recovery()"):
                    return
            time.sleep(0.1)
        pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)

    def ask(self, sql: str) -> object:
        plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
            found = connection.execute(sql.encode()).fetchone()
            return found[0] if found else None


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    binaries = find_binaries()
    if binaries is None or not (binaries / "pg_basebackup").is_file():
        pytest.skip("NOT TESTED: a restore to a point in time; there is no pg_basebackup to do it with")
    home = Path(tempfile.mkdtemp(prefix="fermata-pitr-"))
    try:
        yield Cluster(binaries, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def write_lines(url: str, *subjects: str) -> None:
    database = open_database(url)
    for subject in subjects:
        with database.begin() as conn:
            journal.append(conn, replace(ENTRY, subject=subject))
    database.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_store_comes_back_as_it_was_at_a_moment_between_two_backups(cluster: Cluster) -> None:
    url = cluster.url.render_as_string(hide_password=False)
    data, base, wal = cluster.home / "data", cluster.home / "base", cluster.home / "wal"
    cluster.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
    wal.mkdir()
    if cluster.user:
        shutil.chown(wal, cluster.user)
    cluster.write(data / "postgresql.conf", ARCHIVING.format(wal=wal))
    with cluster.serving(data, ends_with=signal.SIGQUIT):
        write_lines(url, "node:before")
        place = ("-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres")
        cluster.run("pg_basebackup", *place, "-D", str(base), "-X", "none", "-c", "fast")
        write_lines(url, "node:wanted")
        at = cluster.ask("SELECT clock_timestamp()")
        assert isinstance(at, datetime)
        time.sleep(0.05)
        write_lines(url, "node:mistake")
        cluster.ask("SELECT pg_switch_wal()::text")
        wait_until_archived(cluster)
    shutil.rmtree(data)
    cluster.write(base / "postgresql.auto.conf", RECOVERY.format(wal=wal, at=at.astimezone(UTC).isoformat()))
    cluster.write(base / "recovery.signal", "")
    with cluster.serving(base):
        database = open_database(url)
        with database.read() as conn:
            assert [line.subject for line in journal.read(conn)] == ["node:before", "node:wanted"]
        assert audit.verify(database, audit.Evidence(), lambda *_: None).holds
        with pytest.raises(CameBack, match="brake is on"), database.begin() as conn:
            pytest.fail("something is done before a person has looked")
        with database.begin() as conn:
            assert [word.kind for word in intents.load_intents(conn).words] == [ScopeKind.BRAKE]
            assert journal.append(conn, ENTRY) == 4
        assert audit.verify(database, audit.Evidence(), lambda *_: None).holds
        database.close()
        again = open_database(url)
        with again.begin() as conn:
            assert journal.append(conn, ENTRY) == 5, "it is said once"
        again.close()


def wait_until_archived(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while cluster.ask("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"):
        assert time.monotonic() < deadline, "nothing archives the log"
        time.sleep(0.1)
