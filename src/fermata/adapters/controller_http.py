"""One HTTP request to a management controller or a switch, and what may become of it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from fermata.ports import Refused

ANSWER_BYTES_MAX = 8 << 20
RETRY_SECONDS_MAX = 3600
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
    return aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=True)


async def send(
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    data: Any = None,
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - it bounds the connection, too
) -> Said:
    """Redirects are not followed. Raises Unreachable, Lost, or Rejected for a certificate that we do not trust."""
    split = urlsplit(url)
    try:
        async with client.request(
            method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            text = await answer.content.read(ANSWER_BYTES_MAX)
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Said(status=answer.status, body=text, headers=found)
    except aiohttp.ClientConnectorCertificateError as error:
        raise Rejected(0, f"{split.netloc} shows a certificate that we do not trust") from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
        raise Unreachable(f"{split.netloc} does not answer: {type(error).__name__}") from error
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise Lost(f"{split.netloc} gave no answer to {method} {split.path}: {type(error).__name__}") from error


def read_retry_after(headers: Mapping[str, str], otherwise: timedelta) -> timedelta:
    """What an answer asks for, in whole seconds; dates are not understood."""
    said = headers.get("retry-after", "")
    if not (said.isascii() and said.isdigit()):
        return otherwise
    return timedelta(seconds=min(max(1, int(said)), RETRY_SECONDS_MAX))


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise Refused(f"{ca_file} holds no certificates: {error}") from error
