"""What 200 people see who have the board open at once: how long answers of the API take, and the board's page with the
style sheets it waits for, at the median and at the worst of a hundred. The server is a process of its own on loopback,
two days into its run; each viewer holds the board's stream and asks for something every two seconds, from a connection
that stays.

Baseline: the same viewers at the same web server, which answers everything with the same bytes.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count, cycle
from pathlib import Path

from starlette.types import Receive, Scope, Send

import harness
import processes
from fermata.server.app import create_app
from fermata.server.live import Timing
from fermata.server.serving import bind_socket, serve_until_signal
from fermata.services import records
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample
from stores import copied_store

NODES, NODES_LARGE = 20_000, 1_000_000
PLANNED = 25_000  # nodes: a larger fleet takes its planner minutes, and has no plan on its board
VIEWERS = 200
ADDRESSES = 8  # one may have 128 connections
THINK_SECONDS = 2.0
WARM_SECONDS, SECONDS = 3.0, 15.0
API_SECONDS = {NODES: 0.1, NODES_LARGE: 0.25}  # at the worst of a hundred, as was promised
BOARD = "/"
API = ("/api/v1/board", "/api/v1/journal?limit=20", "/api/v1/imports", "/api/v1/freezes", "/api/v1/tail")
ASKED = (*API, BOARD)
STREAM = "/board/stream"
SERVE, PLAIN = "serve-board", "plain"
INTO_RUN = timedelta(days=2)
SHEET = re.compile(rb'<link rel="stylesheet" href="([^"]+)"')


@dataclass
class Seen:
    """Seconds of each answer by what was asked, and answers that were none."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: int = 0

    def figures(self) -> dict[str, float]:
        """In milliseconds."""
        api = sorted(took for path in API for took in self.seconds[path])
        told = {"answered": float(sum(map(len, self.seconds.values()))), "refused": float(self.refused)}
        told |= {"API_p50_ms": at(api, 0.5), "API_p99_ms": at(api, 0.99)}
        page = sorted(self.seconds[BOARD])
        return told | {"page_p50_ms": at(page, 0.5), "page_p99_ms": at(page, 0.99)}


def main() -> None:
    """Imports the fleet once, and begins its run where it is not too large, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=3)
    parser.add_argument("--viewers", type=harness.positive, default=VIEWERS, help=f"at once (default {VIEWERS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each run (default {SECONDS:g})")
    parser.add_argument("--planned", type=harness.positive, default=PLANNED, help=f"nodes with a plan ({PLANNED:,})")
    asked = parser.parse_args()
    options = harness.to_options(asked)
    size = options.nodes or NODES
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        store = _prepare(Path(name), size, has_plan=size <= asked.planned)
        given = {"viewers": asked.viewers, "seconds": asked.seconds}
        harness.run(
            Benchmark(
                name="viewing",
                title=f"{asked.viewers:,} viewers of a board of {size:,} nodes",
                cases=[
                    Case(name="the same bytes", run=partial(view, is_plain=True, **given)),
                    Case(
                        name="viewers",
                        run=partial(view, is_plain=False, **given),
                        baseline="the same bytes",
                        target_seconds=API_SECONDS.get(size),
                    ),
                ],
                each_run=lambda: copied_store(store),
                notes=[
                    "Seconds are those of the API's answer that is slower than 99 of 100; CPU is the server's.",
                    "page: the board's page and then the style sheets it names, which a browser waits for to paint.",
                ],
            ),
            options,
        )


def _prepare(folder: Path, size: int, *, has_plan: bool) -> Path:
    """The file of a store with a fleet, and with a run of its plan."""
    if not has_plan:
        return processes.imported(folder, size)[1]
    scenario, plan, store = write_scenario(folder / "scenario", size), folder / "plan.json", folder / "fleet.db"
    harness.in_own_process(processes.make_plan_file, str(scenario), str(plan))
    harness.in_own_process(processes.begin_store, str(scenario), str(plan), f"sqlite:///{store}")
    return store


def view(place: Place, *, is_plain: bool, viewers: int, seconds: float) -> Sample:
    """All viewers for so many seconds, once each was answered everything before."""
    with _serving(PLAIN if is_plain else place["store"]) as (process, url):
        processes.wait_for(process, f"{url}/api/v1/board")
        port = int(url.rpartition(":")[2])
        seen = asyncio.run(_view_all(port, viewers, seconds, process.pid))
        peak, below = processes.peak_mib_with_children(process.pid)
    used = seen.seconds.pop("CPU")[0]
    api = sorted(took for path in API for took in seen.seconds[path])
    return Sample(seconds=at(api, 0.99) / 1000, cpu_seconds=used, figures=seen.figures(), peak_mib=peak + below)


async def _view_all(port: int, viewers: int, seconds: float, process: int) -> Seen:
    begin = time.monotonic() + WARM_SECONDS
    seen, warm = Seen(), Seen()
    streams = [asyncio.create_task(_hold_stream(port, number)) for number in range(viewers)]
    await asyncio.gather(*(_ask_on(port, number, begin, warm) for number in range(viewers)))
    used = processes.cpu_seconds_of(process)
    until = time.monotonic() + seconds
    await asyncio.gather(*(_ask_on(port, number, until, seen) for number in range(viewers)))
    seen.seconds["CPU"] = [processes.cpu_seconds_of(process) - used]
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    return seen


async def _hold_stream(port: int, number: int) -> None:
    """As board.js does: whatever comes is taken, and nothing said."""
    reader, writer = await _open(port, number)
    try:
        writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        while await reader.read(1 << 16):
            pass
    finally:
        writer.close()


async def _ask_on(port: int, number: int, until: float, seen: Seen) -> None:
    """One thing after the other with time to read between; viewers are out of step."""
    await asyncio.sleep(THINK_SECONDS * (number % VIEWERS) / VIEWERS)
    reader, writer = await _open(port, number)
    try:
        for path in cycle(ASKED[number % len(ASKED) :] + ASKED[: number % len(ASKED)]):
            if time.monotonic() >= until:
                return
            began = time.perf_counter()
            status, body = await _get(reader, writer, port, path)
            for sheet in SHEET.findall(body) if path == BOARD else ():
                await _get(reader, writer, port, sheet.decode())
            if status == 200:
                seen.seconds[path].append(time.perf_counter() - began)
            else:
                seen.refused += 1
            await asyncio.sleep(THINK_SECONDS)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _open(port: int, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = f"127.0.2.{1 + number % ADDRESSES}"
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), limit=1 << 24)


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, path: str) -> tuple[int, bytes]:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
    else:
        body = await _read_chunks(reader)
    return int(head.split(b" ", 2)[1]), body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    found = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(found)


def at(ordered: list[float], share: float) -> float:
    """Milliseconds below which that share of the sorted seconds lies."""
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0


@contextmanager
def _serving(what: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, __file__, SERVE, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def serve(what: str) -> None:
    """The server that is looked at, in a process of its own; prints its port. `what`: a store, or PLAIN."""
    harness.collect_as_command()
    listener, numbers = bind_socket("127.0.0.1", 0), count()
    print(listener.getsockname()[1], flush=True)
    if what == PLAIN:
        serve_until_signal(_same_bytes, listener, threading.Event())
        return
    database = open_database(what)
    clock = StillClock(_time_of(database))
    app = create_app(database, clock, new_id=lambda kind: f"{kind}_{next(numbers):08}", timing=Timing(warms=True))
    serve_until_signal(app, listener, threading.Event())


class StillClock:
    """It is always the same time: a board of January is no wider for being looked at in November."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Aware UTC."""
        return self._at

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        """Returns at once."""
        return instant


def _time_of(database: Database) -> datetime:
    (campaign,) = records.list_campaigns(database)
    assert campaign.planned_as_of is not None
    return campaign.planned_as_of + INTO_RUN


async def _same_bytes(scope: Scope, _receive: Receive, send: Send) -> None:
    """4 KiB for everything; a stream says so much once a second."""
    if scope["type"] != "http":
        return
    body, is_stream = b"." * 4096, scope["path"] == STREAM
    length = [] if is_stream else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), *length]})
    for _ in count() if is_stream else ():
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.sleep(1)
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVE]:
        serve(sys.argv[2])
    else:
        main()
