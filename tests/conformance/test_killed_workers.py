"""Three real workers on PostgreSQL, one of them killed with signal 9 again and again, and what is under them restarted
in the middle: the campaign ends right, on either driver.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from tests.conformance import engines
from tests.conftest import free_port
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores
from tests.simulation.test_kill import journal_of

from fermata.domain.campaign import Fallout
from fermata.domain.run_states import LIVE_RUNS, ReplanMode, RunState
from fermata.store import leases, runs
from fermata.store.database import Database, StoreUnavailable

__all__ = ["closed_stores"]

WORKERS = 3
SPEED = 150.0  # a window of three hours takes 72 seconds, in which even a slow machine starts four workers anew
KILL_EVERY_SECONDS = 2.0
ENDS_WITHIN_SECONDS = 220
WORLD = "world.jsonl"
SOURCE = Path(__file__).parents[2] / "src"
FALLOUT = Fallout(fraction=0.2, mean_days_to_repair=0.05)


@dataclass(kw_only=True)
class Crew:
    """The worker processes of one store. `source`: where the release is that they run."""

    url: str
    folder: Path
    extra: tuple[str, ...] = ()
    source: Path = SOURCE
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: int = 0
    hired: int = 0

    def hire(self) -> None:
        command = [
            sys.executable,
            "-m",
            "fermata",
            "worker",
            "--store",
            self.url,
            "--simulate",
            str(self.folder / WORLD),
        ]
        command += ["--speed", str(SPEED), "--seed", "3", "--json", *self.extra]
        environment = {**os.environ, "PYTHONPATH": str(self.source)}
        with (self.folder / f"worker-{self.source.name}-{self.hired}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        self.hired += 1

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"worker-{self.source.name}-*.log")))

    def is_complete(self) -> bool:
        """Nobody is still starting: else only beginners would ever be there."""
        return self.logs().count('"ready"') == self.hired

    def kill_one(self, dice: random.Random) -> None:
        """A random one, which is replaced at once."""
        victim = self.processes.pop(dice.randrange(len(self.processes)))
        assert victim.poll() is None, self.logs()
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self.kills += 1
        self.hire()

    def dismiss(self) -> None:
        """As an operator does it; everybody lets go and ends."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            ended = process.wait(timeout=30)  # by the signal itself, if it was only just hired
            assert ended in (0, -signal.SIGTERM), self.logs()


@contextlib.contextmanager
def crew(url: str, folder: Path, *extra: str, workers: int = WORKERS, source: Path = SOURCE) -> Iterator[Crew]:
    found = Crew(url=url, folder=folder, extra=extra, source=source)
    try:
        for _ in range(workers):
            found.hire()
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait()


def set_up(url: str, folder: Path) -> stagehand.Rig:
    campaign = replace(small.campaign(), fallout=FALLOUT)
    found, updates = small.fleet(clusters=3), small.catalogue()
    starts = [small.START, small.START, small.START + timedelta(hours=1)]
    made = small.plan(found, updates, campaign, starts)
    faults = stagehand.Faults(fallout=FALLOUT.fraction, mean_days_to_repair=FALLOUT.mean_days_to_repair)
    rig = stagehand.set_up(url, folder, fleet=found, campaign=campaign, plan=made, faults=faults, seed=3)
    with rig.database.begin() as conn:  # the rig's store has not all that planning again needs
        runs.set_replan_mode(conn, rig.run, ReplanMode.OFF)
    return rig


def is_over(database: Database, run: str) -> bool:
    with contextlib.suppress(StoreUnavailable), database.read() as conn:
        found = runs.load_run(conn, run)
        return found is not None and found.state not in LIVE_RUNS
    return False


def taken(database: Database, run: str) -> int:
    """How many windows have opened."""
    with contextlib.suppress(StoreUnavailable), database.read() as conn:
        return sum(row.opened_at is not None for row in runs.load_windows(conn, run))
    return 0


def cut_connections(url: str) -> None:
    """As when the database restarts: every connection to it is gone."""
    parsed = make_url(url)
    admin = parsed.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [parsed.database]
        )


def go_on_killing(rig: stagehand.Rig, found: Crew) -> Iterator[int]:
    """Kills until the run is over; yields the number of kills after each."""
    dice = random.Random(7)
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    while not is_over(rig.database, rig.run):
        assert time.monotonic() < deadline, found.logs()
        if taken(rig.database, rig.run) and found.is_complete():
            found.kill_one(dice)
            yield found.kills
        time.sleep(KILL_EVERY_SECONDS)


def assert_ended_right(rig: stagehand.Rig) -> None:
    with rig.database.read() as conn:
        run = runs.load_run(conn, rig.run)
        assert leases.load_leases(conn, rig.run) == {}
    assert run is not None
    assert run.state is RunState.FINISHED
    assert {op.cluster for op in rig.ops()} == {"c0", "c1", "c2"}
    stagehand.assert_nothing_lost(rig.reopened())
    assert max(journal_of(rig).values()) == 1


@pytest.mark.timeout(320)
@pytest.mark.xdist_group("temporal")
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_embedded_workers_killed_again_and_again_end_the_campaign(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path)
    with crew(store_url, tmp_path) as found:
        for kills in go_on_killing(rig, found):
            if kills == 3:
                cut_connections(store_url)
        assert found.kills >= 4
        found.dismiss()
    assert_ended_right(rig)


@pytest.mark.timeout(320)
@pytest.mark.xdist_group("temporal")
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_temporal_workers_killed_with_server_and_database_restarted_end_the_campaign(
    store_url: str, tmp_path: Path
) -> None:
    rig = set_up(store_url, tmp_path)
    port = free_port()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.ExitStack())
        address = server.enter_context(engines.temporal_server(tmp_path, port))
        found = stack.enter_context(crew(store_url, tmp_path, "--engine", "temporal", "--temporal", address))
        for kills in go_on_killing(rig, found):
            if kills == 2:
                cut_connections(store_url)
            if kills == 3:
                server.close()
                server.enter_context(engines.temporal_server(tmp_path, port))
        assert found.kills >= 4
        found.dismiss()
    assert_ended_right(rig)
