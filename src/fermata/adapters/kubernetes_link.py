"""What adapters of Kubernetes share: the client, and what its errors mean. The token goes in, and is hidden where it
comes back, in one place below the client.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from lightkube import Client, SingleConfig
from lightkube.config import client_adapter
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ConfigError

from fermata.adapters.client_logs import quiet_clients
from fermata.adapters.secrets import check, read_line
from fermata.domain.health import shorten
from fermata.domain.hiding import ERRORS_FROM, find_credentials, hide, hide_bytes
from fermata.domain.observations import Answer, Denied, Later, Unsure
from fermata.domain.secrets import Secret
from fermata.ports import Refused, TryLater

LATER = timedelta(minutes=1)
LATER_MAX = timedelta(hours=1)
SOON = timedelta(seconds=2)
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
NOT_FOUND, CONFLICT, TOO_MANY = 404, 409, 429
NO_ANSWER = (httpx2.HTTPError, RuntimeError, ValueError, TypeError, LookupError)  # half of one, or a closed client
Rejected = httpx2.HTTPStatusError  # ApiError is one; what a proxy in between says is none of those


def connect(url: str, token: Secret | None, ca_file: Path | None, answer_seconds: float) -> Client:
    """Typed objects. Calls nobody. Raises Refused for files that cannot be read."""
    config, transport = _configure(url, token, ca_file)
    try:
        timeout = httpx2.Timeout(answer_seconds)
        return Client(config, timeout=timeout, lazy=False, trust_env=False, transport=transport)
    except (OSError, ConfigError, ssl.SSLError, ValueError) as error:
        raise Refused(f"{url} cannot be asked with these files: {error}") from error


def connect_plainly(url: str, token: Secret | None, ca_file: Path | None, answer_seconds: float) -> httpx2.Client:
    """JSON at paths, for what lightkube has no types for; trust and token are as with `connect`, and so is Refused."""
    config, transport = _configure(url, token, ca_file)
    timeout = httpx2.Timeout(answer_seconds)
    params = client_adapter.ConnectionParams(timeout=timeout, trust_env=False, transport=transport)
    try:
        return client_adapter.Client(config, params)
    except (OSError, ConfigError, ssl.SSLError, ValueError) as error:
        raise Refused(f"{url} cannot be asked with these files: {error}") from error


class TokenTransport(httpx2.BaseTransport):
    """Sends each request with the token as it is then, once more when the server does not take it and it was renewed;
    what comes back of it is hidden. Raises TryLater or Refused where the token cannot be read.
    """

    def __init__(self, token: Secret | None, inner: httpx2.BaseTransport) -> None:
        self._token, self._inner = token, inner
        quiet_clients()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        if self._token is None:
            return self._send(request)
        tried = read_line(self._token)
        request.headers["Authorization"] = f"Bearer {tried}"
        answer = self._send(request)
        if answer.status_code != httpx2.codes.UNAUTHORIZED:
            return answer
        self._token.forget()
        renewed = read_line(self._token)
        if renewed == tried:
            return answer
        request.headers["Authorization"] = f"Bearer {renewed}"
        return self._send(request)

    def close(self) -> None:
        """See httpx2."""
        self._inner.close()

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        told = find_credentials(request.headers)
        try:
            answer = self._inner.handle_request(request)
            return _hidden(answer, told) if answer.status_code >= ERRORS_FROM else answer
        except httpx2.ProtocolError as error:
            why = hide(str(error), *told)
        raise httpx2.RemoteProtocolError(why, request=request)


def _hidden(answer: httpx2.Response, told: tuple[str, ...]) -> httpx2.Response:
    """An error, whose words may have our credentials in them."""
    body = hide_bytes(answer.read(), told, answer.status_code)
    answer.close()
    kept = [
        (name, value)
        for name, value in answer.headers.multi_items()
        if name not in ("content-encoding", "content-length", "transfer-encoding")
    ]
    said = {key: value for key, value in answer.extensions.items() if key == "http_version"}
    reason = hide(answer.reason_phrase, *told).encode("ascii", "replace")
    return httpx2.Response(
        answer.status_code,
        headers=[(name, hide(value, *told)) for name, value in kept],
        content=body,
        extensions={**said, "reason_phrase": reason},
    )


def read_field(plain: httpx2.Client, url: str, path: str, key: str) -> Any:
    """Of the object at a path. Raises TryLater and Refused, also for one that has no such field: who answers is no API
    server.
    """
    with told(url):
        found = plain.get(path).raise_for_status().json()
    if not isinstance(found, dict) or not found.get(key):
        raise Refused(f"{url} is no API server of Kubernetes: {path} says no {key}")
    return found[key]


@contextmanager
def told(url: str) -> Iterator[None]:
    """Around calls that change nothing: their errors become TryLater and Refused."""
    try:
        yield
    except Rejected as error:
        if error.response.status_code in BUSY:
            raise TryLater(patience(error), f"{url} is busy: {said_by(error)}") from error
        raise Refused(f"{url} refuses ({error.response.status_code}): {said_by(error)}") from error
    except (httpx2.HTTPError, json.JSONDecodeError) as error:
        raise TryLater(LATER, f"{url} does not answer: {shorten(str(error)) or type(error).__name__}") from error
    except (RuntimeError, ValueError, TypeError, LookupError) as error:  # closed, or no object of Kubernetes
        raise Refused(f"{url} cannot be asked: {shorten(str(error))}") from error


def patience(error: Rejected) -> timedelta:
    """For how long the server wants to be left alone."""
    said = error.response.headers.get("retry-after", "")
    if said.isascii() and said.isdigit() and 0 < len(said) < 6:
        return min(timedelta(seconds=int(said)), LATER_MAX)
    return LATER


def answer_of(error: Rejected, what: str) -> Answer:
    """What came of a write that was answered with an error. A conflict did nothing: the look before it was old."""
    status = error.response.status_code
    if status == CONFLICT:
        return Later(after=SOON)
    if status in (TOO_MANY, httpx2.codes.SERVICE_UNAVAILABLE):
        return Later(after=patience(error))
    if status in BUSY:
        return Unsure()
    return Denied(why=f"the API server refuses {what}: {said_by(error)}")


def said_by(error: Rejected) -> str:
    """What the server itself said, else what the client makes of it."""
    status = read_status(error.response)
    return shorten((status[1] if status is not None else "") or str(error))


def read_status(answer: httpx2.Response) -> tuple[frozenset[str], str] | None:
    """Of a refusal in Kubernetes' own words, a Status: the reasons of its causes, and what it says. None: it is none,
    but a proxy's word, or a path that the server does not have.
    """
    try:
        found = answer.json()
        if found["kind"] != "Status":
            return None
        causes = (found.get("details") or {}).get("causes") or ()
        said = "; ".join(str(cause["message"]) for cause in causes if cause.get("message"))
        return frozenset(str(cause.get("reason", "")) for cause in causes), said or str(found.get("message", ""))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _configure(url: str, token: Secret | None, ca_file: Path | None) -> tuple[SingleConfig, TokenTransport]:
    check(token)
    if ca_file is not None and not ca_file.is_file():
        raise Refused(f"{ca_file} cannot be read: see ca_file")
    certificates = str(ca_file) if ca_file else None
    # without TLS there is nothing to trust, and the system's certificates take long to read
    cluster = Cluster(server=url, certificate_auth=certificates, insecure=url.startswith("http://"))
    config = SingleConfig(context_name="fermata", context=Context(cluster="fermata"), cluster=cluster, user=User())
    try:
        trust = client_adapter.verify_cluster(cluster, User(), config.abs_file, trust_env=False)
        return config, TokenTransport(token, httpx2.HTTPTransport(verify=trust, trust_env=False))
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Refused(f"{url} cannot be asked with these files: {error}") from error
