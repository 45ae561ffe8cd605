"""A burn-in service on loopback, as small as it can be: what the adapter's tests have in place of the real one."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHECK_SECONDS = 0.02


class Service:
    """`started`: how often a check was started on each node. Those that are `sick` when it starts fail it."""

    def __init__(self, token: str, nodes: set[str]) -> None:
        self.port = 0
        self.token = token
        self.nodes = nodes
        self.started: Counter[str] = Counter()
        self.sick: set[str] = set()
        self._checks: dict[str, tuple[float, str]] = {}  # when each ends, and as what
        self._lock = threading.Lock()

    def answer(self, method: str, target: str, body: dict[str, str]) -> tuple[int, object]:
        """Status and JSON."""
        url = urlsplit(target)
        with self._lock:
            if method == "PUT":
                return self._put(url.path.removeprefix("/checks/"), body["node"])
            if url.path == "/":
                return 200, {"product": "burn-in", "version": "2.1", "may_start": True}
            ids = parse_qs(url.query)["ids"][0].split(",")
            return 200, {name: self._tell(*self._checks[name]) for name in ids if name in self._checks}

    def _put(self, name: str, node: str) -> tuple[int, object]:
        if node not in self.nodes:
            return 404, {"error": "no such node"}
        if name not in self._checks:
            self._checks[name] = time.time() + CHECK_SECONDS, "link down" if node in self.sick else "healthy"
            self.started[node] += 1
        return 200, {}

    def _tell(self, ends: float, state: str) -> dict[str, object]:
        return {"state": "running"} if time.time() < ends else {"state": state, "ended": ends}


@contextmanager
def running(token: str, nodes: set[str]) -> Iterator[Service]:
    """A service on a free port, gone with the block."""
    service = Service(token, nodes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("authorization") != f"Bearer {service.token}":
                status, said = 401, {}
            else:
                status, said = service.answer(self.command, self.path, json.loads(body) if body else {})
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = _handle  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method it replaces
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
