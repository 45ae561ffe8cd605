"""A switch on loopback that answers NVUE requests as NVIDIA's manuals show them: images, a job, a restart after it."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WRITES, RESTARTS = timedelta(minutes=4), timedelta(minutes=3)


@dataclass
class Switch:
    """One switch, as a function of time. `keeps_old`: it restarts into the old image, whatever the job says."""

    now: Callable[[], datetime]
    password: str
    images: list[str] = field(default_factory=lambda: ["nvos-1.0", ""])
    current: int = 0
    next: int = 0
    keeps_old: bool = False
    installs: list[str] = field(default_factory=list)
    url: str = ""
    _written_at: datetime | None = None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """Status and body; None: it restarts, and hangs up."""
        if self._written_at is not None and self.now() >= self._written_at:
            if self.now() < self._written_at + RESTARTS:
                return None
            self.current, self._written_at = (self.current if self.keeps_old else self.next), None
        match method, path.removeprefix("/nvue_v1"):
            case "GET", "/system/image":
                named = {f"partition{n}": {"build-id": image} for n, image in enumerate(self.images, 1) if image}
                return 200, {"current": str(self.current + 1), "next": str(self.next + 1), **named}
            case "GET", "/system/version":
                return 200, {"image": self.images[self.current], "kernel": "5.10.0"}
            case "POST", found if found.startswith("/system/image/files/"):
                assert body["@install"]["state"] == "start"
                self.installs.append(body["@install"]["parameters"]["image-file"])
                self.next = 1 - self.current
                self.images[self.next] = self.installs[-1].removesuffix(".bin")
                self._written_at = self.now() + WRITES
                return 200, "7"
            case "GET", "/action/7" if self._written_at is not None:
                return 200, {"state": "running", "status": "Installing image", "percentage": 50}
        return 404, {"title": "Not Found"}


@contextmanager
def serving_switch(now: Callable[[], datetime], password: str) -> Iterator[Switch]:
    """One that runs 1.0."""
    switch = Switch(now=now, password=password)
    entry = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("authorization") == entry:
                found = switch.answer(self.command, self.path, json.loads(body) if body else None)
            else:
                found = 401, {"title": "Unauthorized"}
            if found is None:
                return self.connection.close()
            text = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return None

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        switch.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield switch
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
