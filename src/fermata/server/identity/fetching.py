"""What a provider of identities says of itself, read from where the operator says it stands."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from fermata.server.identity.keyring import ProviderSilent

ANSWER_SECONDS_MAX = 10.0  # from the connection to the last byte: a worker thread waits for it
ANSWER_BYTES_MAX = 1 << 20
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_MADE = "connection.connect_tcp.complete"  # httpcore's word for it, with the connection as `return_value`


@cache
def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whose certificates are believed: the system's authorities, or those of a file. Read once."""
    return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)


def fetch_json(
    url: str, ca_file: Path | None, headers: Mapping[str, str], *, seconds: float = ANSWER_SECONDS_MAX
) -> Mapping[str, Any]:
    """A JSON object from an address that is safe to ask, within that time; redirects are not followed. Raises
    ProviderSilent.
    """
    require_safe(url)
    until = time.monotonic() + seconds
    try:
        with _ending(seconds) as watch, httpx2.Client(timeout=seconds, verify=trust(ca_file)) as client:
            with client.stream("GET", url, headers=dict(headers), extensions={"trace": watch}) as answer:
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise ProviderSilent(f"{url}: its answer is too long")
                if answer.status_code != 200:
                    raise ProviderSilent(f"{url}: status {answer.status_code}")
            if time.monotonic() >= until:
                raise ProviderSilent(f"{url}: its answer takes too long")
            found = httpx2.Response(200, content=bytes(body)).json()
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise ProviderSilent(f"{url}: {str(error) or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise ProviderSilent(f"{url}: its answer is no JSON object")
    return found


def require_safe(url: str) -> None:
    """That it is encrypted, or on this machine. Raises ProviderSilent."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        raise ProviderSilent(f"{url} is not encrypted")


@contextmanager
def _ending(seconds: float) -> Iterator[Any]:
    """Gives what is told of connections (httpcore's `trace`), and ends them when the time is over: timeouts of the
    client count anew with each piece that comes in. As `adapters/watchdog`, which nothing here may import.
    """
    made: list[socket.socket] = []
    over = threading.Event()

    def note(event: str, info: Mapping[str, Any]) -> None:
        if event == _MADE:
            made.append(info["return_value"].get_extra_info("socket").dup())
            if over.is_set():
                end()

    def end() -> None:
        over.set()
        for each in made:
            _shut(each)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield note
    finally:
        timer.cancel()
        timer.join()
        for each in made:
            each.close()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other end was quicker
