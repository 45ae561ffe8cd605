"""Real servers on loopback that notices are sent to: a web server that answers as a test wants, and its requests."""

import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson


@dataclass
class Got:
    """One request as it came. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Receiver:
    """Answers the next of `answers`, or 200; with `consents`, handshakes of both kinds as a good receiver does."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    consents: bool = True
    got: list[Got] = field(default_factory=list)

    @property
    def posts(self) -> list[Got]:
        """What was delivered: no handshakes."""
        return [each for each in self.got if not is_handshake(each)]

    def answer(self, request: Got) -> Answer:
        self.got.append(request)
        if self.consents and request.method == "OPTIONS":
            origin = request.headers["webhook-request-origin"]
            rate = request.headers.get("webhook-request-rate")
            return Answer(
                headers={"WebHook-Allowed-Origin": origin, **({"WebHook-Allowed-Rate": rate} if rate else {})}
            )
        if self.consents and is_handshake(request):
            code = orjson.loads(request.body)[0]["data"]["validationCode"]
            return Answer(body=orjson.dumps({"validationResponse": code}))
        return self.answers.pop(0) if self.answers else Answer()


def is_handshake(request: Got) -> bool:
    return request.method == "OPTIONS" or request.headers.get("aeg-event-type") == "SubscriptionValidation"


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """A receiver on a free port, over TLS with a certificate (and its key in the same file)."""
    receiver = Receiver()
    with serving(receiver, certificate):
        yield receiver


@contextmanager
def serving(receiver: Receiver, certificate: Path | None = None) -> Iterator[None]:
    """The same, of that receiver."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.answer(Got(method=self.command, path=self.path, headers=headers, body=body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_OPTIONS = do_GET = do_PATCH = _handle  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method it replaces
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(folder: Path, name: str) -> Path:
    """A certificate for that DNS name that nobody signed, with its key."""
    path = folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", path, "-out", folder / "c.pem"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (folder / "c.pem").read_bytes())
    return path
