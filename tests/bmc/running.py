"""An emulator of controllers on loopback, served from a thread of the test's process, with a clock of its own."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import uvicorn

from fermata.bmc.clock import VirtualTime
from fermata.bmc.fleet import Fleet
from fermata.bmc.web import Emulator

START_SECONDS_MAX = 60.0


@dataclass
class Running:
    """`url`: of the server. `emulator` may be looked into; requests go through the socket."""

    url: str
    emulator: Emulator
    clock: VirtualTime

    def at(self, name: str) -> str:
        """Below which one controller has its /redfish/v1/."""
        return f"{self.url}/bmcs/{name}"

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


@contextmanager
def running(fleet: Fleet, cert: Path | None = None) -> Iterator[Running]:
    """`cert`: certificate and key in one file, for https."""
    clock = VirtualTime()
    emulator = Emulator(fleet, clock)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        emulator,
        http="h11",
        log_level="critical",
        access_log=False,
        server_header=False,
        ssl_certfile=str(cert) if cert else None,
    )
    if cert is not None:
        config.ssl_keyfile = str(cert)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS_MAX
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the emulator did not start"
    try:
        yield Running(f"{'https' if cert else 'http'}://127.0.0.1:{port}", emulator, clock)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS_MAX)
        listener.close()


def client(found: Running, name: str, user: str = "admin", password: str = "password") -> httpx.Client:
    """Signed in with Basic, below the controller."""
    return httpx.Client(base_url=found.at(name), auth=(user, password), trust_env=False)


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody signed, with its key, in one file."""
    path, alone = folder / "bmc.pem", folder / "bmc-certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", alone],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + alone.read_bytes())
    return path


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))
