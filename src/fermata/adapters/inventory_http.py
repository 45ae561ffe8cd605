"""What Kubernetes and NetBox have in common: JSON over HTTP, page by page, and what goes wrong with that."""

import ssl
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from fermata.adapters.client_logs import quiet_clients
from fermata.adapters.secrets import read_line
from fermata.domain.hiding import hide
from fermata.domain.secrets import Secret
from fermata.ports import Refused, TryLater

CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 60.0
PAGES_MAX = 10_000  # of 500 units each: a list that does not end is a server that repeats itself
SAID_MAX = 200  # characters of what a server says about an error
AGAIN = timedelta(minutes=1)
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a server is and how it knows us. `scheme` is the word before the token. Files are read for each list, and a
    token that is not taken is read anew; proxies of the environment are not asked.
    """

    url: str
    scheme: str
    token: Secret | None = None
    ca_file: str | None = None


@dataclass
class Asking(AbstractContextManager["Asking"]):
    """One list being read, over one connection."""

    access: Access
    _client: httpx.Client = field(init=False)
    _token: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        quiet_clients()
        headers = {"Accept": "application/json"}
        if self.access.token is not None:
            self._token = read_line(self.access.token)
            headers["Authorization"] = f"{self.access.scheme} {self._token}"
        timeout = httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
        self._client = httpx.Client(headers=headers, timeout=timeout, trust_env=False, verify=self._trust())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The JSON at `path` below the server's URL. Raises TryLater, Refused, or Gone for the status 410."""
        answer = self._ask("GET", path, params)
        if answer.status_code == httpx.codes.GONE:
            raise Gone
        self._check(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise Refused(f"{self.access.url}{path} answers what is no JSON: {error}") from error

    def delete(self, path: str) -> None:
        """What is gone already is fine. Raises TryLater or Refused."""
        answer = self._ask("DELETE", path, {})
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._check(answer)

    def patch(self, path: str, merged: Any) -> None:
        """A JSON merge patch. What is gone already is fine. Raises TryLater or Refused."""
        answer = self._ask("PATCH", path, {}, merged)
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._check(answer)

    def _ask(self, method: str, path: str, params: Mapping[str, str], merged: Any = None) -> httpx.Response:
        answer = self._send(method, path, params, merged)
        token = self.access.token
        if token is None or answer.status_code != httpx.codes.UNAUTHORIZED:
            return answer
        token.forget()
        renewed = read_line(token)
        if renewed == self._token:
            return answer
        self._token, self._client.headers["Authorization"] = renewed, f"{self.access.scheme} {renewed}"
        return self._send(method, path, params, merged)

    def _send(self, method: str, path: str, params: Mapping[str, str], merged: Any) -> httpx.Response:
        url = f"{self.access.url}{path}"
        try:
            if merged is None:
                return self._client.request(method, url, params=dict(params))
            kind = {"Content-Type": "application/merge-patch+json"}
            return self._client.request(method, url, params=dict(params), json=merged, headers=kind)
        except httpx.HTTPError as error:
            why = hide(str(error), self._token) or type(error).__name__
        raise TryLater(AGAIN, f"{url} does not answer: {why}")  # beside the error, whose words may have the token

    def _check(self, answer: httpx.Response) -> None:
        url = answer.url.copy_with(query=None)
        if answer.status_code in BUSY:
            raise TryLater(_patience(answer), f"{url} answers {self._say(answer)}")
        if not answer.is_success:
            raise Refused(
                f"{url} answers {self._say(answer)}: see its address and its token in the settings of sources"
            )

    def _say(self, answer: httpx.Response) -> str:
        """What it says of itself, but for a token that it says back to us."""
        said = " ".join(hide(answer.text, self._token).split())[:SAID_MAX]
        return f"{answer.status_code} ({said})" if said else str(answer.status_code)

    def _trust(self) -> ssl.SSLContext | bool:
        if self.access.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.access.ca_file)
        except OSError as error:  # an unreadable certificate is one, too
            raise Refused(f"{self.access.ca_file} holds no certificates: {error}") from error


class Gone(Exception):
    """The list ran out while it was read: it has to be begun anew."""


def listed(value: Any, key: str, url: str) -> list[Any]:
    """The list under `key`. Raises Refused when the answer is none of a list."""
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise Refused(f"{url} answers no list of {key}: is it the server that the settings mean?")
    return found


def _patience(answer: httpx.Response) -> timedelta:
    said = answer.headers.get("retry-after", "")
    return timedelta(seconds=min(int(said), 3600)) if said.isascii() and said.isdigit() else AGAIN
