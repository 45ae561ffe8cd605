"""A proxy on loopback between an adapter and its server, that does to the calls what a script says and keeps what
passed. HTTP/1.1 without TLS, a request at a time; or plain TCP, a connection at a time.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from fermata.conformance.bench import Mishap
from fermata.conformance.messages import Message, as_bytes, read_message, status_of

LOOPBACK = "127.0.0.1"
HEAD_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 64 * 1024
READS = ("GET", "HEAD", "OPTIONS")
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset, not an end


class FaultKind(StrEnum):
    """What is done to a call."""

    PASS = "pass"
    LATENCY = "latency"  # it arrives `seconds` later
    RESET_BEFORE = "reset_before"  # it never arrives
    RESET_AFTER = "reset_after"  # it arrives and is done; the answer does not come back
    STATUS = "status"  # it does not arrive; the answer is `status`, with Retry-After if `retry_after` says so
    CUT = "cut"  # it arrives; of the answer's body half comes back, then the connection ends
    STALE = "stale"  # the oldest answer that this path gave to a GET, in place of a new one
    ECHO = "echo"  # it does not arrive; the answer is `status`, with all of the request in its words, headers and body
    HANG = "hang"  # it does not arrive, and nothing comes back until the script is changed or the caller leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a script. It befalls the next `times` calls that it matches, None: all. `method` and `path` (how it
    begins) empty: every one. `acts_only`: no GET, HEAD or OPTIONS.
    """

    kind: FaultKind
    times: int | None = 1
    method: str = ""
    path: str = ""
    acts_only: bool = False
    seconds: float = 0.0
    status: int = 500
    retry_after: timedelta | None = None
    matches: Callable[[str, str], bool] | None = None

    def befalls(self, method: str, path: str) -> bool:
        """True for a call that it matches."""
        if self.acts_only and method in READS:
            return False
        if self.matches is not None and not self.matches(method, path):
            return False
        return (not self.method or self.method == method) and path.startswith(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One call as it was. `status` 0: no answer came back. `arrived`: the server got it."""

    method: str
    path: str
    fault: FaultKind
    status: int
    arrived: bool


class _Gone(Exception):
    """The other side left in the middle."""


class FaultProxy:
    """Use `open_proxy`. Safe for several threads."""

    def __init__(self, host: str, port: int, *, is_http: bool, acts: Callable[[str, str], bool] | None) -> None:
        self.host = LOOPBACK
        self.port = 0
        self._upstream = (host, port)
        self._is_http = is_http
        self._acts = acts
        self._script: list[tuple[Fault, int | None]] = []
        self._passed: list[Passed] = []
        self._answers: dict[str, list[Message]] = defaultdict(list)
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._changed: asyncio.Event | None = None
        self._hanging = threading.Event()

    @property
    def url(self) -> str:
        """Where the adapter finds its server."""
        return f"http://{self.host}:{self.port}"

    @property
    def passed(self) -> Sequence[Passed]:
        """All calls, in the order in which they ended."""
        with self._lock:
            return tuple(self._passed)

    def count_struck(self) -> int:
        """How many calls met a fault."""
        return sum(one.fault is not FaultKind.PASS for one in self.passed)

    def play(self, *faults: Fault) -> None:
        """The script from now on: each call meets the first line that matches it and is not used up."""
        with self._lock:
            self._script = [(fault, fault.times) for fault in faults]
        self._hanging.clear()
        self._loop.call_soon_threadsafe(self._release)

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        """The script that makes a mishap of a bench befall every call that acts, with `reads` the others as well."""
        self.play(*([_as_fault(mishap, reads=reads, acts=self._acts)] if mishap is not None else []))

    def await_hanging(self, seconds_max: float = 60.0) -> bool:
        """Returns when a call hangs: True, or False when none did in that time."""
        return self._hanging.wait(seconds_max)

    def serve(self, ready: threading.Event) -> None:
        """Runs until `stop`."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    def stop(self) -> None:
        """Ends `serve`, and every connection with it."""
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self, ready: threading.Event) -> None:
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._open, self.host, 0, limit=HEAD_BYTES_MAX)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _release(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = asyncio.Event()

    def _open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._is_http:
                while await self._exchange(reader, writer):
                    pass
            else:
                await self._tunnel(reader, writer)
        except (_Gone, OSError, asyncio.IncompleteReadError):
            _reset(writer)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is over."""
        request = await read_message(reader, is_request=True)
        if request is None:
            return False
        method, path, _ = request.start.split(" ", 2)
        fault = self._next_fault(method, path)
        answer, arrived = await self._meet(fault, request, method, path, reader)
        self._note(Passed(method=method, path=path, fault=fault.kind, status=status_of(answer), arrived=arrived))
        if answer is None or fault.kind is FaultKind.RESET_AFTER:
            raise _Gone
        data = as_bytes(answer, method)
        if fault.kind is FaultKind.CUT:
            writer.write(data[: len(data) - max(1, (len(answer.body) + 1) // 2)])
            await writer.drain()
            return False
        writer.write(data)
        await writer.drain()
        return True

    async def _meet(
        self, fault: Fault, request: Message, method: str, path: str, reader: asyncio.StreamReader
    ) -> tuple[Message | None, bool]:
        """The answer, and whether the server got the request."""
        match fault.kind:
            case FaultKind.RESET_BEFORE:
                return None, False
            case FaultKind.STATUS:
                return _made_up(fault), False
            case FaultKind.ECHO:
                return _said_back(fault, request), False
            case FaultKind.HANG:
                await self._hang(reader)
                return None, False
            case FaultKind.LATENCY:
                await asyncio.sleep(fault.seconds)
            case FaultKind.STALE if method == "GET" and self._answers[path]:
                return self._answers[path][0], False
            case _:
                pass
        answer = await self._forward(request, method)
        if answer is not None and method == "GET":
            self._answers[path].append(answer)
        return answer, True

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        assert self._changed is not None
        changed = self._loop.create_task(self._changed.wait())
        left = self._loop.create_task(reader.read(1))
        self._hanging.set()
        _, pending = await asyncio.wait({changed, left}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def _forward(self, request: Message, method: str) -> Message | None:
        """None when the server gives no answer."""
        try:
            reader, writer = await asyncio.open_connection(*self._upstream, limit=HEAD_BYTES_MAX)
        except OSError:
            return None
        try:
            writer.write(as_bytes(request, "", close=True))
            await writer.drain()
            return await read_message(reader, is_request=False, is_head=method == "HEAD")
        finally:
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._next_fault("", "")
        arrived = fault.kind not in (FaultKind.RESET_BEFORE, FaultKind.HANG, FaultKind.STATUS)
        self._note(Passed(method="", path="", fault=fault.kind, status=0, arrived=arrived))
        if fault.kind is FaultKind.HANG:
            await self._hang(reader)
        if not arrived:
            raise _Gone
        await asyncio.sleep(fault.seconds)
        back, out = await asyncio.open_connection(*self._upstream)
        sending = self._loop.create_task(_pump(reader, out))
        try:
            if fault.kind in (FaultKind.RESET_AFTER, FaultKind.CUT):
                first = await back.read(CHUNK_BYTES)
                if fault.kind is FaultKind.CUT:
                    writer.write(first[: len(first) // 2])
                    await writer.drain()
                    return
                raise _Gone
            await _pump(back, writer)
        finally:
            sending.cancel()
            out.close()

    def _next_fault(self, method: str, path: str) -> Fault:
        with self._lock:
            for place, (fault, left) in enumerate(self._script):
                if left != 0 and fault.befalls(method, path):
                    self._script[place] = (fault, left - 1 if left is not None else None)
                    return fault
        return Fault(kind=FaultKind.PASS)

    def _note(self, passed: Passed) -> None:
        with self._lock:
            self._passed.append(passed)


@contextlib.contextmanager
def open_proxy(
    host: str, port: int, *, is_http: bool = True, acts: Callable[[str, str], bool] | None = None
) -> Iterator[FaultProxy]:
    """A proxy in front of `host:port` on a free port of loopback, gone with the block.

    `acts`: the calls (method, path) that mishaps befall which hit only what changes something; without it all but GET,
    HEAD and OPTIONS. Signing in, for example, changes nothing.
    """
    proxy = FaultProxy(host, port, is_http=is_http, acts=acts)
    ready = threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(ready,), name="fault-proxy", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


RETRY_AFTER = timedelta(seconds=7)  # what the proxy says for a server that is busy


def _as_fault(mishap: Mishap, *, reads: bool, acts: Callable[[str, str], bool] | None) -> Fault:
    kinds = {
        Mishap.LOST_BEFORE: FaultKind.RESET_BEFORE,
        Mishap.LOST_AFTER: FaultKind.RESET_AFTER,
        Mishap.BUSY: FaultKind.STATUS,
        Mishap.ERROR: FaultKind.STATUS,
        Mishap.CUT: FaultKind.CUT,
        Mishap.STALE: FaultKind.STALE,
        Mishap.HANG: FaultKind.HANG,
        Mishap.ECHO: FaultKind.ECHO,
    }
    is_busy, hits_all = mishap is Mishap.BUSY, reads or mishap is Mishap.STALE
    return Fault(
        kind=kinds[mishap],
        times=None,
        acts_only=not hits_all and acts is None,
        matches=None if hits_all else acts,
        status=429 if is_busy else 400 if mishap is Mishap.ECHO else 500,
        retry_after=RETRY_AFTER if is_busy else None,
    )


def _made_up(fault: Fault) -> Message:
    headers: list[tuple[str, str]] = [("Content-Type", "text/plain")]
    if fault.retry_after is not None:
        headers.append(("Retry-After", str(round(fault.retry_after.total_seconds()))))
    return Message(start=f"HTTP/1.1 {fault.status} Made up", headers=tuple(headers), body=b"by the fault proxy")


def _said_back(fault: Fault, request: Message) -> Message:
    """As servers write errors: Kubernetes, Azure, Redfish, NVUE and slurmrestd each find their own words in it."""
    told = " ".join((*(value for _, value in request.headers), request.body.decode("utf-8", "replace")))
    error = {"code": "Echo", "message": told, "@Message.ExtendedInfo": [{"Message": told}]}
    body = {"kind": "Status", "message": told, "detail": told, "error": error, "errors": [{"description": told}]}
    plain = told.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
    headers = (("Content-Type", "application/json"), ("X-Echo", plain), ("Location", f"/{plain}"))
    return Message(start=f"HTTP/1.1 {fault.status} {plain[:1000]}", headers=headers, body=json.dumps(body).encode())


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """The other side hears a reset, not an end."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
