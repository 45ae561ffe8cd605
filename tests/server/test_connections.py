"""Connections of clients that are slow, greedy or mean, over real sockets: each is told why, and closed."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from fermata.domain.access import TrustedProxy
from fermata.server.limits.bounds import ConnectionBounds
from fermata.server.serving import BackgroundServer, bind_socket

QUICK = ConnectionBounds(
    each=6,
    all=9,
    head_seconds=0.5,
    idle_seconds=2,
    body_seconds=0.5,
    body_bytes_a_second=1000,
    stall_seconds=1,
    pause_seconds=0.3,
)
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\n"
LARGE = 2**25  # more than both ends of a connection buffer
PATIENCE = 15.0


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads a body to its end; /large is, /stream sends a line now and then without end."""
    if scope["type"] != "http":
        return
    message = await receive()
    while message.get("more_body", False):
        message = await receive()
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b".", "more_body": True})
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body", "body": b"x" * (LARGE if scope["path"] == "/large" else 1)})


@contextmanager
def serving(bounds: ConnectionBounds) -> Iterator[int]:
    """The port of a server with those bounds."""
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(answer, listener, bounds)
    server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server that loses its patience soon."""
    with serving(QUICK) as port:
        yield port


@contextmanager
def connected(port: int, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(address, 0))) as opened:
        yield opened


def until_closed(opened: socket.socket) -> tuple[int, dict[str, Any]]:
    """The last answer's status and its problem document; 0 when it was just closed."""
    data = bytearray()
    try:
        while piece := opened.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    head, _, body = bytes(data).rpartition(b"\r\n\r\n")
    if not head:
        return 0, {}
    last = head[head.rindex(b"HTTP/1.1 ") :]
    return int(last.split()[1]), json.loads(body) if b"problem+json" in last else {}


def ask(port: int, address: str = "127.0.0.1") -> int:
    """The status of a plain request."""
    with connected(port, address) as opened:
        opened.sendall(GET + b"Connection: close\r\n\r\n")
        return until_closed(opened)[0]


def test_a_head_that_comes_in_byte_by_byte_is_not_waited_for(port: int) -> None:
    with connected(port) as opened:
        opened.sendall(GET)
        status, told = until_closed(opened)
    assert (status, told["code"]) == (408, "REQUEST_TOO_SLOW")
    assert "faster" in told["detail"]


def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    with connected(port) as opened:
        assert until_closed(opened)[0] == 408


def test_a_body_that_drips_is_not_waited_for_however_long_it_lives(port: int) -> None:
    began = time.monotonic()
    with connected(port) as opened:
        opened.sendall(POST)
        try:
            while time.monotonic() - began < PATIENCE:
                opened.sendall(b" ")
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert time.monotonic() - began < 8


def test_a_body_that_stops_is_told_so(port: int) -> None:
    with connected(port) as opened:
        opened.sendall(POST + b"{")
        status, told = until_closed(opened)
    assert (status, told["code"]) == (408, "REQUEST_TOO_SLOW")


def test_a_large_body_that_comes_in_steadily_earns_its_time(port: int) -> None:
    began = time.monotonic()
    with connected(port) as opened:
        opened.sendall(POST)
        for _ in range(10):
            opened.sendall(b" " * 500)
            time.sleep(0.25)
        told = opened.recv(65536)
    assert time.monotonic() - began > 2
    assert b" 200 " in told.splitlines()[0]


def test_a_client_that_takes_nothing_of_what_it_asked_for_is_dropped(port: int) -> None:
    with connected(port) as opened:
        opened.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 4)
        time.sleep(4)
        data = 0
        try:
            while piece := opened.recv(65536):
                data += len(piece)
        except ConnectionResetError:
            pass
    assert data < LARGE


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "ADDRESS_TOO_LONG"),
        (GET + b"X-A: b\r\n" * 101 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
        (GET + b"X-A: " + b"b" * 100_000, 431, "HEADERS_TOO_LARGE"),
        (b"\x16\x03\x01\x02\x00", 400, "REQUEST_UNREADABLE"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "REQUEST_UNREADABLE"),
    ],
    ids=["address", "many headers", "a long header", "tls", "version"],
)
def test_a_request_that_is_too_large_or_none_at_all_is_told_so(
    port: int, request_: bytes, status: int, code: str
) -> None:
    with connected(port) as opened:
        opened.sendall(request_)
        found, told = until_closed(opened)
    assert (found, told["code"]) == (status, code)
    assert told["status"] == status


def test_requests_sent_far_ahead_of_their_answers_end_the_connection(port: int) -> None:
    with connected(port) as opened:
        opened.sendall((GET + b"\r\n") * 40)
        began = time.monotonic()
        until_closed(opened)
    assert time.monotonic() - began < PATIENCE
    assert ask(port) == 200


def test_one_address_holds_so_many_connections_and_another_still_gets_in(port: int) -> None:
    held = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(QUICK.each)]
    try:
        began = time.monotonic()
        with connected(port) as opened:
            status, told = until_closed(opened)
        assert (status, told["code"]) == (429, "TOO_MANY_CONNECTIONS")
        assert time.monotonic() - began >= QUICK.pause_seconds, "who comes again at once is told so less often"
        assert ask(port, "127.0.0.7") == 200
    finally:
        for each in held:
            each.close()


def test_a_proxy_in_front_holds_connections_for_many_and_its_neighbour_does_not() -> None:
    with serving(replace(QUICK, each=2, trusted=TrustedProxy.of("127.0.0.64/28"))) as port:
        held = [socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.0.65", 0)) for _ in range(4)]
        try:
            assert [ask(port, "127.0.0.65"), ask(port, "127.0.0.66")] == [200, 200]
            held += [socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.0.80", 0)) for _ in range(2)]
            assert ask(port, "127.0.0.80") == 429
        finally:
            for each in held:
                each.close()


def test_all_together_hold_so_many_connections_and_places_come_free_again(port: int) -> None:
    held = [
        socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(f"127.0.0.{20 + number % 3}", 0))
        for number in range(QUICK.all)
    ]
    with connected(port) as opened:
        status, told = until_closed(opened)
    assert (status, told["code"]) == (503, "SERVER_FULL")
    for each in held:
        until_closed(each)
        each.close()
    assert ask(port) == 200


def test_a_stream_outlives_every_deadline_of_requests(port: int) -> None:
    with connected(port) as opened:
        opened.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n\r\n")
        until, data = time.monotonic() + 3, b""
        opened.settimeout(0.5)
        while time.monotonic() < until:
            try:
                piece = opened.recv(65536)
            except TimeoutError:
                continue
            assert piece, "it was closed"
            data += piece
    assert data.startswith(b"HTTP/1.1 200 ")


def test_six_hundred_who_come_while_the_server_is_busy_wait_instead_of_being_dropped() -> None:
    with bind_socket("127.0.0.1", 0) as listener, ExitStack() as held:
        for _ in range(600):
            held.enter_context(socket.create_connection(listener.getsockname(), timeout=0.9))
