"""A vault on loopback: the key/value store (version 2) and the logins of HashiCorp's API documentation, and no more."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hvs.canary-token-7Q9xZ2"
SECRET_ID = "canary-secret-id-7Q9xZ2"
WORKLOAD = "canary.workload.jwt7Q9xZ2"


@dataclass
class VaultServer:
    """`values`: by mount and path. `tokens` are good; `status` not 0: that is its only answer, `said` its body."""

    url: str = ""
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    lasts: int = 3600
    status: int = 0
    namespaces: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    logins: int = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        self.namespaces.append(headers.get("x-vault-namespace", ""))
        if self.status:
            return self.status, {"errors": [" ".join([*headers.values(), body.decode()])]}
        if method == "POST":
            return self._log_in(path, json.loads(body))
        if headers.get("x-vault-token") not in self.tokens:
            return 403, {"errors": ["permission denied", headers.get("x-vault-token", "")]}
        mount, _, rest = path.removeprefix("/v1/").partition("/data/")
        found = self.values.get(f"{mount}/{rest}")
        if found is None:
            return 404, {"errors": []}
        return 200, {"data": {"data": found, "metadata": {"version": 1, "destroyed": False}}}

    def _log_in(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        good = {
            "/v1/auth/approle/login": {"role_id": "fermata", "secret_id": SECRET_ID},
            "/v1/auth/k8s-1/login": {"role": "fermata", "jwt": WORKLOAD},
        }
        if good.get(path) != body:
            return 400, {"errors": ["invalid role or secret ID", *body.values()]}
        self.logins += 1
        token = f"{TOKEN}-{self.logins}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": self.lasts, "renewable": True}}


@contextmanager
def vault() -> Iterator[VaultServer]:
    """One on a free port, gone with the block."""
    found = VaultServer()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = found.answer(self.command, self.path, headers, body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
