"""Times the doors over a fleet of 20,000 nodes: ten thousand GETs of scheduled events on one worker, of 2,000 nodes in
turn; what a first look and a look after an approval take; a thousand events acknowledged at once.

Baseline of the GETs: the same server, which answers every request with the same bytes.
"""

import asyncio
import base64
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, islice
from pathlib import Path

from starlette.types import Receive, Scope, Send

import harness
import processes
from fermata.domain.fleet import NodeState
from fermata.domain.ids import NodeId
from fermata.domain.policy import Scope as ConsentScope
from fermata.domain.policy import ScopeLevel
from fermata.domain.scheduled_events import Leads, question_event
from fermata.server.app import create_app
from fermata.server.callers import NodeAccess, NodeKeys
from fermata.server.serving import bind_socket, serve_until_signal
from fermata.services import consent
from fermata.services.event_approvals import Hearing, acknowledge_events
from fermata.services.maintenance import MaintenanceDesk
from fermata.store.database import Database
from fermata.store.opening import open_database
from fermata.store.query_rows import read_nodes
from harness import Benchmark, Case, Place, Sample, Watch
from stores import copied_store

NODES = 20_000
GETS = 10_000
ASKING = 2000  # nodes: once a second each is what was promised
GETS_OF_A_NODE = 20  # no more: a node that asks too often is slowed down
GET_SECONDS = 5.0  # 2,000 a second, as was promised
CONNECTIONS = 50
ACKNOWLEDGED = 1000
PLAIN, DOORS = "serve-plain", "serve-doors"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
SECRET = b"thirty-two bytes of no secret at all"
LEADS = Leads(question=timedelta(days=365))


class StillClock:
    """It is always NOW."""

    def now(self) -> datetime:
        return NOW

    def wait_until(self, instant: datetime, stop: object) -> datetime:
        return instant


def main() -> None:
    """Imports the fleet once, then measures."""
    options = harness.read_options(__doc__ or "")
    size = options.nodes or NODES
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        _, store = processes.imported(Path(name), size)
        harness.run(
            Benchmark(
                name="doors",
                title=f"doors over {size:,} nodes; {GETS:,} GETs on {CONNECTIONS} connections",
                cases=[
                    Case(name="the same bytes", run=get_bytes),
                    Case(
                        name="scheduled events", run=get_events, baseline="the same bytes", target_seconds=GET_SECONDS
                    ),
                    Case(name="first look", run=look),
                    Case(name="look after an approval", run=look_again),
                    Case(name=f"acknowledge {ACKNOWLEDGED:,}", run=acknowledge),
                ],
                each_run=lambda: copied_store(store),
            ),
            options,
        )


def get_bytes(place: Place) -> Sample:
    """The server alone."""
    return _get(place, "/", is_plain=True)


def get_events(place: Place) -> Sample:
    """Nodes ask for their events, one after the other, five times each; the first look at the store is not counted."""
    return _get(place, "/metadata/scheduledevents?api-version=2020-07-01", is_plain=False)


def look(place: Place) -> Sample:
    """All that doors answer from, read for the first time."""
    with _desk(place) as (_, desk), Watch() as watch:
        picture = desk.look()
    return watch.sample(nodes=len(picture.fleet.nodes))


def look_again(place: Place) -> Sample:
    """The same, after one node was approved."""
    with _desk(place) as (db, desk):
        node = next(iter(desk.look().fleet.nodes))
        scope = ConsentScope(level=ScopeLevel.NODE, name=node)
        consent.approve(db, scope, now=NOW, actor=None, new_id=lambda prefix: f"{prefix}_bench")
        with Watch() as watch:
            picture = desk.look(again=True)
    return watch.sample(number=picture.number)


def acknowledge(place: Place) -> Sample:
    """Events of as many nodes, in one call, each an approval of its own."""
    with _desk(place) as (db, desk):
        picture = desk.look()
        outlooks = (picture.outlook(node) for node in picture.fleet.nodes)
        questions = ((o.node, o.question) for o in outlooks if o.question is not None and o.question.is_open)
        ids = [question_event(node, question).id for node, question in islice(questions, ACKNOWLEDGED)]
        with Watch() as watch:
            found = acknowledge_events(_hearing(db, desk), ids, lambda picture: picture.fleet.nodes.keys())
    return watch.sample(approved=sum(told.is_known and told.refused is None for told in found.values()))


def _get(place: Place, path: str, *, is_plain: bool) -> Sample:
    kind = PLAIN if is_plain else DOORS
    with subprocess.Popen([sys.executable, __file__, kind, place["store"]], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            requests = _requests(path, place["store"])
            asyncio.run(_ask(port, requests[:1]))  # the first look
            cpu_before = _cpu_seconds(server.pid)
            with Watch() as watch:
                answered = asyncio.run(_ask(port, requests))
            used = _cpu_seconds(server.pid) - cpu_before
        finally:
            server.terminate()
    figures = {"answered": answered, "a_second": answered / watch.seconds, "server_CPU_seconds": used}
    return Sample(seconds=watch.seconds, cpu_seconds=watch.cpu_seconds, figures=figures)


def _requests(path: str, store: str) -> list[bytes]:
    with _opened(store) as db, db.read() as conn:
        names = [row.name for row in read_nodes(conn) if row.state == NodeState.IN_SERVICE.value]
    keys, names = NodeKeys(SECRET), names[:ASKING]
    coded = {n: base64.b64encode(f"{n}:{keys.key_of(NodeId(n))}".encode()).decode() for n in names}
    head = f"GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nProxy-Authorization: Basic "
    return [
        f"{head}{coded[name]}\r\n\r\n".encode() for name in islice(cycle(names), min(GETS, GETS_OF_A_NODE * len(names)))
    ]


async def _ask(port: int, requests: Sequence[bytes]) -> int:
    """How many were answered with 200, each connection asking as soon as it was answered."""
    shares = [requests[number::CONNECTIONS] for number in range(min(CONNECTIONS, len(requests)))]
    return sum(await asyncio.gather(*(_ask_some(port, share) for share in shares)))


async def _ask_some(port: int, requests: Sequence[bytes]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        answered += head.startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    return answered


def serve(kind: str, store: str) -> None:
    """The server that is measured, in a process of its own; prints its port."""
    harness.collect_as_command()
    listener, numbers = bind_socket("127.0.0.1", 0), count()
    print(listener.getsockname()[1], flush=True)
    if kind == PLAIN:
        serve_until_signal(_same_bytes, listener, threading.Event())
        return
    app = create_app(
        open_database(store),
        StillClock(),
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        nodes=NodeAccess(secret=SECRET, leads=LEADS),
    )
    serve_until_signal(app, listener, threading.Event())


async def _same_bytes(scope: Scope, _receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    body = b"." * 400
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _hearing(db: Database, desk: MaintenanceDesk) -> Hearing:
    numbers = count()
    return Hearing(db=db, desk=desk, now=NOW, new_id=lambda p: f"{p}_{os.urandom(4).hex()}_{next(numbers)}", why="")


@contextmanager
def _desk(place: Place) -> Iterator[tuple[Database, MaintenanceDesk]]:
    with _opened(place["store"]) as db:
        yield db, MaintenanceDesk(db, LEADS)


@contextmanager
def _opened(store: str) -> Iterator[Database]:
    db = open_database(store)
    try:
        yield db
    finally:
        db.close()


def _cpu_seconds(process: int | None) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if sys.argv[1:2] in ([PLAIN], [DOORS]):
        serve(*sys.argv[1:])
    else:
        main()
