"""The fault proxy does to a call what its script says, once or always, and keeps what passed."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from fermata.conformance import RETRY_AFTER, Fault, FaultKind, FaultProxy, Mishap, open_proxy

BODY = b"0123456789" * 100


class Counter:
    """A server that counts: each GET of /count says how many writes there were."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.port = 0


@contextmanager
def counting() -> Iterator[Counter]:
    counter = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/chunked":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n")
                return
            self._say(BODY if self.path == "/long" else json.dumps(len(counter.writes)).encode())

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()

        def do_POST(self) -> None:
            counter.writes.append(self.rfile.read(int(self.headers.get("content-length") or 0)))
            self._say(b"done")

        def do_DELETE(self) -> None:
            self.send_response(204)
            self.end_headers()

        def _say(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method it replaces
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    counter.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield counter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def counter() -> Iterator[Counter]:
    with counting() as found:
        yield found


@pytest.fixture
def proxy(counter: Counter) -> Iterator[FaultProxy]:
    counter.writes.clear()
    with open_proxy("127.0.0.1", counter.port) as found:
        yield found


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, trust_env=False, timeout=60) as found:
        yield found


def test_without_a_script_everything_passes_as_it_is(proxy: FaultProxy, client: httpx.Client, counter: Counter) -> None:
    assert client.post("/", content=b"x").text == "done"
    assert client.post("/", content=iter([b"in ", b"chunks"])).text == "done"
    assert client.get("/count").json() == 2
    assert client.get("/chunked").text == "hello world"
    assert client.head("/long").headers["content-length"] == str(len(BODY))
    assert client.delete("/").status_code == 204
    assert counter.writes == [b"x", b"in chunks"]
    assert [(one.method, one.status, one.arrived) for one in proxy.passed][:2] == [("POST", 200, True)] * 2


def test_a_reset_before_loses_the_call_and_one_after_its_answer(
    proxy: FaultProxy, client: httpx.Client, counter: Counter
) -> None:
    proxy.play(Fault(kind=FaultKind.RESET_BEFORE), Fault(kind=FaultKind.RESET_AFTER))
    for writes in (0, 1):
        with pytest.raises(httpx.TransportError):
            client.post("/", content=b"x")
        assert len(counter.writes) == writes
    assert client.post("/", content=b"y").text == "done", "the script is used up"
    assert [(one.fault, one.status, one.arrived) for one in proxy.passed] == [
        (FaultKind.RESET_BEFORE, 0, False),
        (FaultKind.RESET_AFTER, 200, True),
        (FaultKind.PASS, 200, True),
    ]


def test_a_busy_server_says_when_and_gets_nothing(proxy: FaultProxy, client: httpx.Client, counter: Counter) -> None:
    proxy.strike(Mishap.BUSY)
    answer = client.post("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(RETRY_AFTER.seconds))
    assert counter.writes == []
    assert client.get("/count").status_code == 200, "what changes nothing passes"
    proxy.strike(Mishap.BUSY, reads=True)
    assert client.get("/count").status_code == 429
    proxy.strike(None)
    assert client.post("/").status_code == 200


def test_of_a_cut_answer_half_comes_back(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.play(Fault(kind=FaultKind.CUT))
    got = b""
    with client.stream("GET", "/long") as answer:
        parts = answer.iter_raw()
        try:
            while True:
                got += next(parts)
        except httpx.RemoteProtocolError:
            pass
    assert got == BODY[: len(got)]
    assert 0 < len(got) < len(BODY)


def test_a_stale_answer_is_the_oldest_of_its_path(proxy: FaultProxy, client: httpx.Client) -> None:
    assert client.get("/count").json() == 0
    client.post("/")
    assert client.get("/count").json() == 1
    proxy.strike(Mishap.STALE)
    assert client.get("/count").json() == 0
    assert client.get("/other").json() == 1, "there is no older one of this path"
    assert not proxy.passed[3].arrived


def test_a_call_hangs_until_the_script_is_changed(proxy: FaultProxy, client: httpx.Client, counter: Counter) -> None:
    proxy.play(Fault(kind=FaultKind.HANG))
    found: list[object] = []

    def call() -> None:
        try:
            found.append(client.post("/"))
        except httpx.TransportError as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert proxy.await_hanging()
    assert found == []
    proxy.play()
    thread.join(60)
    assert isinstance(found[0], httpx.TransportError)
    assert counter.writes == []


def test_a_fault_befalls_what_it_matches_and_as_often_as_it_says(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.play(
        Fault(kind=FaultKind.STATUS, status=503, method="POST", path="/a", times=2, retry_after=timedelta(seconds=3)),
        Fault(kind=FaultKind.LATENCY, seconds=0.001, times=None),
    )
    found = [client.post(path).status_code for path in ("/b", "/a", "/a", "/a")]
    assert found == [200, 503, 503, 200]
    assert [one.fault for one in proxy.passed] == [
        FaultKind.LATENCY,
        FaultKind.STATUS,
        FaultKind.STATUS,
        FaultKind.LATENCY,
    ]


def test_a_server_that_is_not_there_gives_no_answer() -> None:
    with open_proxy("127.0.0.1", 1) as proxy, pytest.raises(httpx.TransportError):
        httpx.get(proxy.url, trust_env=False)


def test_connections_that_speak_something_else_meet_the_same_faults() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[bytes] = []

        def echo() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    data = connection.recv(100)
                    heard.append(data)
                    connection.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        with open_proxy("127.0.0.1", server.getsockname()[1], is_http=False) as proxy:
            proxy.play(Fault(kind=FaultKind.RESET_BEFORE), Fault(kind=FaultKind.RESET_AFTER), Fault(kind=FaultKind.CUT))
            found = [say(proxy, word) for word in (b"never", b"lost", b"halfhalf", b"whole")]
        server.shutdown(socket.SHUT_RDWR)
    assert found == [b"", b"", b"half", b"whole"]
    assert heard == [b"lost", b"halfhalf", b"whole"]


def say(proxy: FaultProxy, word: bytes) -> bytes:
    got = b""
    try:
        with socket.create_connection((proxy.host, proxy.port), timeout=60) as connection:
            connection.sendall(word)
            while data := connection.recv(100):
                got += data
    except ConnectionError:
        pass
    return got
