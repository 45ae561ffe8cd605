"""Working on Temporal: the options, the driver, and a server of one's own where none is named."""

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from fermata.domain.operations import Run
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.embedded import keeping, wake_live
from fermata.execution.parts import Parts
from fermata.services import records
from fermata.services.errors import Refusal
from fermata.wiring.clocks import CampaignClock, PacedClock
from fermata.wiring.conducting import (
    Driver,
    NoDriver,
    TemporalPlace,
    Unreachable,
    name_lead,
    open_simulated_parts,
    open_temporal,
    require_temporal,
)
from fermata.wiring.stores import Database, OtherRelease, listening

LOOPBACK = "127.0.0.1"
SERVER_SECONDS_MAX = 30  # until it answers
LOOK_SECONDS = 0.1
PR_SET_PDEATHSIG = 1


class EngineChoice(Enum):
    """Who drives the workers."""

    EMBEDDED = "embedded"
    TEMPORAL = "temporal"


EngineOption = Annotated[
    EngineChoice, typer.Option("--engine", help="What drives the work; temporal needs a Temporal server.")
]
TemporalOption = Annotated[
    str | None, typer.Option("--temporal", metavar="HOST:PORT", help="The Temporal server.", show_default=False)
]


def require_driver() -> None:
    """Raises typer.BadParameter when Temporal's client is not installed."""
    try:
        require_temporal()
    except NoDriver as missing:
        raise typer.BadParameter(str(missing)) from missing


def open_driver(parts: Parts, place: TemporalPlace, clock: PacedClock, rate: float | None) -> Driver:
    """Raises typer.BadParameter when the driver is not installed."""
    require_driver()
    return open_temporal(parts, place, clock, ticks_per_second=rate)


def work_for(
    driver: Driver, parts: Parts, stop: threading.Event, heard: threading.Event, ready: Callable[[], None]
) -> None:
    """Until `stop` is set. Raises Refusal when the engine cannot be reached at the start, OtherRelease."""
    over, upgraded = threading.Event(), list[OtherRelease]()

    def watch() -> None:
        try:
            wake_live(parts.database, driver.wake, stop=over.is_set, heard=heard)
        except OtherRelease as other:
            upgraded.append(other)
            stop.set()

    watcher = threading.Thread(target=watch, name="fermata-watch", daemon=True)

    def begin() -> None:
        watcher.start()
        ready()

    try:
        with keeping(parts):
            driver.work(stop, begin)
    except Unreachable as error:
        raise Refusal(reason(Code.ENGINE_UNREACHABLE, why=error)) from error
    finally:
        over.set()
    watcher.join()
    if upgraded:
        raise upgraded[0]


def conduct_on_temporal(
    database: Database,
    run: Run,
    clock: CampaignClock,
    address: str,
    *,
    seed: int,
    log: Path,
    stop: Callable[[], bool],
) -> None:
    """Conducts in this process, driven by Temporal, until the run is over or `stop` turns true."""
    began = max(clock.now(), run.clock_at)
    flowing = clock.flow_from(began)
    flowing.note({name_lead(run.id): began})  # however long it takes until somebody works
    parts = open_simulated_parts(database, flowing, seed=seed, log=log)
    driver = open_driver(parts, TemporalPlace(address=address), flowing, None)
    over, failed = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            with listening(database) as heard:
                work_for(driver, parts, over, heard, lambda: None)
        except BaseException as error:  # noqa: BLE001 - the top of a thread: the one that waits raises it again
            failed.append(error)

    thread = threading.Thread(target=work, name="fermata-temporal", daemon=True)
    thread.start()
    while thread.is_alive() and not stop() and _is_live(database, run):
        time.sleep(LOOK_SECONDS)
    over.set()
    thread.join()
    clock.jump_to(flowing.now())
    if failed:
        raise failed[0]


def _is_live(database: Database, run: Run) -> bool:
    found = records.find_run(database, run.campaign)
    return found is not None and found.state in LIVE_RUNS


@contextlib.contextmanager
def own_server(remembers: Path) -> Iterator[str]:
    """A Temporal server on free ports of loopback, gone with the block; what it remembers stays in that file.

    Raises Refusal when there is none to start, or when it does not come up.
    """
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    if binary is None:
        raise Refusal(reason(Code.ENGINE_NOT_FOUND))
    port, board = _free_port(), _free_port()
    command = [binary, "server", "start-dev", "--ip", LOOPBACK, "--port", str(port), "--ui-port", str(board)]
    command += ["--db-filename", str(remembers), "--log-level", "never"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of ours runs yet
    )
    try:
        _await(process, port)
        yield f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait()


def _end_with_parent() -> None:
    """In the child: the kernel ends it when this process is gone, however that was killed. Linux only."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + SERVER_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
            return
        time.sleep(LOOK_SECONDS)
    raise Refusal(reason(Code.ENGINE_UNREACHABLE, why="it did not come up"))
