"""One HTTP request to a management controller or a switch, and what may become of it. Credentials that come back in an
answer are hidden before anybody reads it.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from fermata.adapters.secrets import read
from fermata.domain.hiding import find_credentials, hide, hide_bytes
from fermata.domain.secrets import Secret
from fermata.ports import Refused, TryLater

ANSWER_BYTES_MAX = 8 << 20
RETRY_SECONDS_MAX = 3600
DIGITS_MAX = 100  # of a number in a header: more is none, and Python reads no number of thousands of them
BUSY = frozenset({408, 425, 429, 503})
FAILED_WITHIN = frozenset({500, 502, 504})  # of what acts, nobody knows how far it came


class Unreachable(Exception):
    """No connection: nothing was sent."""


class Lost(Exception):
    """Something was sent, and no answer came."""


class Busy(Exception):
    """The controller did nothing; it may be asked again after `after`."""

    def __init__(self, after: timedelta, why: str) -> None:
        super().__init__(why)
        self.after = after


class Rejected(Exception):
    """The controller will not do this."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer as it came. `headers` have lower-case names."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def open_client(*, calls_at_once: int, verify_tls: bool, ca_file: Path | None) -> aiohttp.ClientSession:
    """A pool of connections. Lives in the event loop that runs. Raises Refused for a file without certificates."""
    trust = _trust(ca_file) if verify_tls else False
    connector = aiohttp.TCPConnector(limit=calls_at_once, limit_per_host=0, ssl=trust, ttl_dns_cache=300)
    return aiohttp.ClientSession(
        connector=connector, trust_env=False, auto_decompress=True, response_class=HidingResponse
    )


async def renew(secret: Secret, tried: str) -> str | None:
    """After `tried` was not taken: what the secret is by now, None when it is the same. A second try with a password
    that was refused brings an account nearer to being locked. Raises as `ask_secret`.
    """
    secret.forget()
    found = await ask_secret(secret)
    return found if found != tried else None


def open_hiding_session(more: Callable[[], Iterable[str]]) -> aiohttp.ClientSession:
    """For a client that brings its own requests. `more`: secrets that it sends beside those in headers."""

    class Hiding(HidingResponse):
        @property
        def credentials(self) -> tuple[str, ...]:
            return (*super().credentials, *more())

    return aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), response_class=Hiding)


class HidingResponse(aiohttp.ClientResponse):
    """An answer in which credentials of its request are hidden: in its body, its headers, and beside its status."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """See aiohttp: reads the head."""
        await super().start(connection)
        self.reason = hide(self.reason or "", *self.credentials)
        return self

    async def read(self) -> bytes:
        """See aiohttp: the whole body, which `text` and `json` take from here."""
        if self._body is None:
            self._body = hide_bytes(await super().read(), self.credentials, self.status)
        return self._body

    @property
    def headers(self) -> Any:
        """See aiohttp."""
        said = super().headers
        shown = said.copy()
        shown.clear()
        shown.extend([(name, hide(value, *self.credentials)) for name, value in said.items()])
        return type(said)(shown)

    @property
    def credentials(self) -> tuple[str, ...]:
        """What of the request lets somebody in."""
        return find_credentials(self.request_info.headers)


async def ask_secret(secret: Secret) -> str:
    """What it is now. Raises Busy when whoever has it is away, Rejected when it is not there or not ours."""
    try:
        return await asyncio.to_thread(read, secret) if secret.ref.kind.is_kept else read(secret)
    except TryLater as away:
        raise Busy(away.after, str(away)) from away
    except Refused as refused:
        raise Rejected(0, refused.why) from refused


async def send(  # noqa: PLR0913 - all that a request is
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: Any = None,
    headers: Mapping[str, str],
    hidden: Iterable[str] = (),
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - it bounds the connection, too
) -> Said:
    """Redirects are not followed. `hidden`: secrets in what is sent, beside those in its headers. Raises Unreachable,
    Lost, or Rejected for a certificate that we do not trust.
    """
    split = urlsplit(url)
    try:
        async with client.request(
            method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            told = (*find_credentials(headers), *hidden)
            text = hide_bytes(await _body(answer), told, answer.status)
            found = {name.lower(): hide(value, *hidden) for name, value in answer.headers.items()}
            return Said(status=answer.status, body=text, headers=found)
    except aiohttp.ClientConnectorCertificateError as error:
        raise Rejected(0, f"{split.netloc} shows a certificate that we do not trust") from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        raise Unreachable(f"{split.netloc} does not answer: {type(error).__name__}") from error
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise Lost(f"{split.netloc} gave no answer to {method} {split.path}: {type(error).__name__}") from error


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Up to the limit, however many pieces it comes in."""
    found = bytearray()
    while len(found) < ANSWER_BYTES_MAX and (part := await answer.content.read(ANSWER_BYTES_MAX - len(found))):
        found += part
    return bytes(found)


def read_retry_after(headers: Mapping[str, str], otherwise: timedelta) -> timedelta:
    """What an answer asks for, in whole seconds; dates are not understood."""
    said = headers.get("retry-after", "")
    if not (said.isascii() and said.isdigit() and len(said) <= DIGITS_MAX):
        return otherwise
    return timedelta(seconds=min(max(1, int(said)), RETRY_SECONDS_MAX))


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise Refused(f"{ca_file} holds no certificates: {error}") from error
