"""Workers as processes of their own, and the time that all of them live in: it stands still while anything is due, and
jumps to what is due next. Started by `transitions.py`; as a script it is one of the workers.

    python benchmarks/crew.py JOB    (JSON; it says "ready", begins at "go", tells what it did when its input ends)
"""

import contextlib
import mmap
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select

import moves
from fermata.cli.driving import work_for
from fermata.domain.ids import RunId
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.conduct import LOOK_EVERY
from fermata.execution.embedded import keeping, work_along
from fermata.execution.parts import Parts
from fermata.formats.scenario import read_scenario
from fermata.ports import Clock, Site
from fermata.sim.fates import NO_FAULTS
from fermata.sim.site import open_site as open_sim
from fermata.sim.world import open_world
from fermata.store import runs
from fermata.store.database import Database
from fermata.store.runs import window_run
from fermata.store.unit_ops import unit_op
from fermata.wiring.conducting import Driver, TemporalPlace, open_temporal
from fermata.wiring.stores import listening
from harness import collect_as_command, cpu_seconds

SEED = 1
NAP_SECONDS = 0.001  # until a worker, or who moves the time, looks again: less than any step takes
LOOK_SHARE = 2  # who moves the time naps so many times as long as its look took: a large store is looked through longer
STUCK_SECONDS = 240.0  # nobody does what is due, not even where other work leaves a tenth of a core: a fault
IDLE_SECONDS = 0.5  # with nothing left to do but to end the run
END = datetime.max.replace(tzinfo=UTC)
FAR_SECONDS = 600.0  # of a wait in held time: until somebody wakes


class HeldClock:
    """Virtual time in a file of eight bytes, which only the parent moves."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("r+b")
        self._bytes = mmap.mmap(self._file.fileno(), 8)

    @classmethod
    def make(cls, file: Path, at: datetime) -> "HeldClock":
        """A new one that stands at `at`."""
        file.write_bytes(struct.pack("<d", at.timestamp()))
        return cls(file)

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.fromtimestamp(struct.unpack("<d", self._bytes[:])[0], UTC)

    def move_to(self, at: datetime) -> None:
        """It is `at` for everybody."""
        self._bytes[:] = struct.pack("<d", at.timestamp())

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns when the parent has moved the time as far, or when `stop` turns true."""
        while self.now() < instant and not stop():
            time.sleep(NAP_SECONDS)
        return self.now()

    def working(self) -> contextlib.AbstractContextManager[None]:
        """Around work: time stands anyway."""
        return contextlib.nullcontext()

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """The parent reads from the store what is due."""

    def seconds_until(self, instant: datetime) -> float:
        """None, or a wait of which nobody knows how long it takes."""
        return 0.0 if instant <= self.now() else FAR_SECONDS


def open_site(scenario: Path, log: Path, clock: Clock) -> Site:
    """The simulated fleet, in which nothing goes wrong."""
    read = read_scenario(scenario)
    return open_sim(open_world(read.fleet, read.catalogue, faults=NO_FAULTS, seed=SEED, path=log), clock)


@contextlib.contextmanager
def crew(jobs: Sequence[Mapping[str, Any]]) -> Iterator[list["subprocess.Popen[str]"]]:
    """A worker for each job, all of them ready."""
    pipe = subprocess.PIPE
    script = [sys.executable, str(Path(__file__))]
    found = [
        subprocess.Popen([*script, orjson.dumps(job).decode()], stdin=pipe, stdout=pipe, text=True) for job in jobs
    ]
    try:
        for worker in found:
            _expect(worker, "ready")
        yield found
    finally:
        for worker in found:
            worker.kill()
            worker.wait()


def say_go(workers: Sequence["subprocess.Popen[str]"]) -> None:
    """They begin."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()


def gather(workers: Sequence["subprocess.Popen[str]"]) -> list[dict[str, float]]:
    """Lets them end, and returns what each says it did."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    return [orjson.loads(_expect(worker, "{")) for worker in workers]


def _expect(worker: "subprocess.Popen[str]", beginning: str) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    assert line.startswith(beginning), f"a worker said {line!r}"
    return line


def play(database: Database, clock: HeldClock, run: RunId, workers: Sequence["subprocess.Popen[str]"]) -> None:
    """Moves the time from one instant to the next, each time when nothing is due any more, until the run is over."""
    since = began = time.monotonic()
    while (due := _next_due(database, run)) is not None:
        looked_seconds = time.monotonic() - began
        if due == END and time.monotonic() - since > IDLE_SECONDS:
            clock.move_to(clock.now() + LOOK_EVERY)  # the lead may have missed that the last cohort is over
            since = time.monotonic()
        elif clock.now() < due < END:
            clock.move_to(due)
            since = time.monotonic()
        assert all(worker.poll() is None for worker in workers), f"a worker ended at {clock.now()}"
        assert time.monotonic() - since < STUCK_SECONDS, f"nobody does what is due at {clock.now()}"
        time.sleep(max(NAP_SECONDS, LOOK_SHARE * looked_seconds))  # the look is not what is measured
        began = time.monotonic()


def _next_due(database: Database, run: RunId) -> datetime | None:
    """The first instant at which a unit or a window is to be looked at, END when all are done; None: it is over."""
    with database.read() as conn:
        found = runs.load_run(conn, run)
        if found is None or found.state not in LIVE_RUNS:
            return None
        units = select(func.min(unit_op.c.next_at)).where(unit_op.c.run == run, unit_op.c.finished_at.is_(None))
        windows = select(func.min(window_run.c.recheck_at)).where(window_run.c.run == run)
        instants = [conn.execute(query).scalar() for query in (units, windows)]
    return min((at for at in instants if at is not None), default=END)


def main() -> None:
    """One worker."""
    job = orjson.loads(sys.argv[1])
    collect_as_command()
    database = Database(job["store"])
    role = {"raw": _replay, "embedded": _conduct, "temporal": _conduct}[job["role"]]
    told = role(job, database)
    print(orjson.dumps(told).decode(), flush=True)
    database.close()


def _replay(job: Mapping[str, Any], database: Database) -> dict[str, float]:
    """Its share of the recorded transactions."""
    statement, share = moves.load_share(Path(job["recording"]), job["worker"], job["workers"])
    print("ready", flush=True)
    sys.stdin.readline()
    used = cpu_seconds()
    began, ended = moves.replay(database, statement, share)
    done = sum(len(kept.moves) for kept in share)
    spent = cpu_seconds() - used
    return {"began": began, "ended": ended, "moves": done, "transactions": len(share), "cpu_seconds": spent}


def _conduct(job: Mapping[str, Any], database: Database) -> dict[str, float]:
    """What no other worker does, until the input ends; as `fermata worker` does it."""
    clock = HeldClock(Path(job["clock"]))
    counted = moves.Moves(database)
    site = open_site(Path(job["scenario"]), Path(job["log"]), clock)
    parts = Parts(database=database, open_site=lambda _: site, clock=clock)
    stop = threading.Event()
    used = cpu_seconds()
    threading.Thread(target=_stop_at_end, args=(stop,), daemon=True).start()
    with listening(database) as heard:
        if job["role"] == "embedded":
            print("ready", flush=True)
            with keeping(parts):
                work_along(parts, stop=stop.is_set, heard=heard)
        else:
            _work_on_temporal(job, parts, stop, heard)
    spent = cpu_seconds() - used
    return {"moves": counted.moves, "transactions": counted.transactions, "cpu_seconds": spent}


def _work_on_temporal(job: Mapping[str, Any], parts: Parts, stop: threading.Event, heard: threading.Event) -> None:
    """The first worker also wakes the run's workflows whenever the time moves."""
    place = TemporalPlace(address=job["temporal"], task_queue=job["queue"])
    clock = HeldClock(Path(job["clock"]))
    driver = open_temporal(parts, place, clock)
    if job["worker"] == 0:
        threading.Thread(target=_wake, args=(clock, driver, RunId(job["run"])), daemon=True).start()
    work_for(driver, parts, stop, heard, lambda: print("ready", flush=True))


def _wake(clock: HeldClock, driver: Driver, run: RunId) -> None:
    known = clock.now()
    while True:
        if (now := clock.now()) != known:
            driver.wake(run)
            known = now
        time.sleep(NAP_SECONDS)


def _stop_at_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
