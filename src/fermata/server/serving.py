"""Runs the application on a socket: in this thread (`fermata serve`) or beside it (`fermata demo`)."""

import socket
import ssl
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from fermata.domain.access import NO_PROXY, TrustedProxy
from fermata.server.limits.bounds import CONNECTION_BOUNDS, ConnectionBounds
from fermata.server.limits.connections import bounded_protocol

Application = ASGIApp
ACCEPTED_A_TURN = 32
START_SECONDS_MAX = 20  # imports and the first event loop on a busy two-core machine take about one
GRACE_SECONDS = 1  # an open event stream never ends by itself; Ctrl-C has to be through in two seconds
SWITCH_SECONDS = 0.0005  # until a thread that computes lets others go on: at Python's 0.005 a dozen hold up the loop
# Connections that wait to be taken, as many as the kernel allows: where they are more, the kernel drops who comes, who
# tries again a second later.
_BACKLOG = 4096


class PortTaken(Exception):
    """Another process listens there."""


class ServerFailed(Exception):
    """The application did not start; its log says why."""


class TlsUnusable(Exception):
    """Certificate and key cannot be used; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a server shows its clients: files in PEM, read when it starts. `key` may be the certificate's own file.
    `client_authority`: who signs certificates of clients; they may show one, and a wrong one ends the connection.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def check(self) -> None:
        """Raises TlsUnusable, so that a wrong file is told of before anybody listens."""
        for path in dict.fromkeys((self.certificate, self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise TlsUnusable(f"{path}: {error.strerror}") from error
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")  # nobody is asked for one
        except ssl.SSLError as error:
            raise TlsUnusable(_say_unusable(error)) from error


def _say_unusable(error: ssl.SSLError) -> str:
    """The library's words for a key of another certificate are its own; those for a wrong file say nothing."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is of another certificate"
    return "a certificate and a key that is readable without a passphrase are not there"


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(f"{host}:{port}: {error.strerror}") from error
    return listener


def url_of(listener: socket.socket, tls: Tls | None = None) -> str:
    """What a person types into a browser."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def serve_until_signal(
    app: Application,
    listener: socket.socket,
    over: threading.Event,
    tls: Tls | None = None,
    *,
    proxy: TrustedProxy = NO_PROXY,
) -> None:
    """Serves until SIGINT or SIGTERM, or until `over` is set; returns within about GRACE_SECONDS of it. `proxy`: who
    stands in front, and holds connections for many callers.
    """
    server = _server(app, tls, bounds=replace(CONNECTION_BOUNDS, trusted=proxy))
    sys.setswitchinterval(SWITCH_SECONDS)

    def end() -> None:
        over.wait()
        server.should_exit = True

    threading.Thread(target=end, name="fermata-end", daemon=True).start()
    server.run(sockets=_several(listener))


def _several(listener: socket.socket) -> list[socket.socket]:
    """As many as connections are taken in a turn of the loop, which takes one of each: beside a flood everybody else
    would wait in the kernel.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_A_TURN - 1))]


class BackgroundServer:
    """The application served by a thread of its own, so that whatever the main thread does, the board answers."""

    def __init__(self, app: Application, listener: socket.socket, bounds: ConnectionBounds = CONNECTION_BOUNDS) -> None:
        self._listener = listener
        self._server = _server(app, bounds=bounds)
        self._thread = threading.Thread(target=self._run, name="fermata-server", daemon=True)

    def start(self) -> None:
        """Returns when requests are answered. Raises ServerFailed."""
        self._thread.start()
        waited = threading.Event()
        for _ in range(START_SECONDS_MAX * 100):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            waited.wait(0.01)
        raise ServerFailed("the board's server did not start")

    def stop(self) -> None:
        """Ends every connection and returns; calling it twice does nothing more."""
        self._server.should_exit = True
        self._thread.join(timeout=GRACE_SECONDS + 0.5)

    def _run(self) -> None:
        self._server.run(sockets=_several(self._listener))


def _server(
    app: Application, tls: Tls | None = None, *, bounds: ConnectionBounds = CONNECTION_BOUNDS
) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=bounded_protocol(bounds),
        ws="none",  # nothing here speaks it, and a connection that changed over would be nobody's any more
        proxy_headers=False,  # the doorkeeper knows whom to believe
        timeout_keep_alive=int(bounds.idle_seconds),
        log_config=None,
        log_level="error",  # a line for each thing that is no request would fill a disk for whoever likes
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=str(tls.client_authority) if tls and tls.client_authority else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if tls and tls.client_authority else ssl.CERT_NONE,
    )
    return uvicorn.Server(config)
