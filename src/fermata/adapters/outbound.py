"""HTTP to addresses that strangers gave us: no redirects, nothing but the public internet and networks that an operator
listed, bounded in time and size.
"""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

import httpx

from fermata.adapters.watchdog import Watchdog
from fermata.domain.deliveries import Gone, NotNow, Outcome, Rejected, Taken
from fermata.domain.reach import Network, Reach, find_address_fault, find_host_fault, show_url

TIMEOUT = timedelta(seconds=30)  # as Event Grid's: who needs longer answers 202 and works on
REPLY_BYTES_MAX = 64 * 1024  # of what is read of an answer: consent is a line
RETRY_AFTER_MAX = timedelta(hours=24)
DELIVERED = frozenset({200, 201, 202, 203, 204})
FOR_GOOD = frozenset({400, 401, 403, 413, 415})  # the same body will be refused again


class NotReached(Exception):
    """No answer. `why` says what happened; nothing is known of whether it was heard."""


class NotAllowed(Exception):
    """Nobody was called: the address is one that we do not call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def look_up_all(host: str, port: int) -> Sequence[str]:
    """Every address of a name, in the order in which they are to be tried. Raises OSError, UnicodeError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """`allow_local`: plain http, and this machine, are called too. `networks`: those that are beside the public
    internet. `look_up_all`: who knows the addresses of names.
    """

    allow_local: bool = False
    networks: tuple[Network, ...] = ()
    timeout: timedelta = TIMEOUT
    look_up_all: Callable[[str, int], Sequence[str]] = field(default=look_up_all)

    @property
    def reach(self) -> Reach:
        """What may be called."""
        return Reach(networks=self.networks, local=self.allow_local)

    def find_fault(self, url: str) -> str | None:
        """Why `url` is never called, or None as far as can be told without looking its name up."""
        try:
            parts, asked = urlsplit(url), httpx.URL(url)
            host, _port, user, called = parts.hostname, parts.port, parts.username, asked.raw_host.decode("ascii")
        except (ValueError, httpx.InvalidURL):
            return f"{show_url(url)} is no address"
        is_odd = not url.isprintable() or any(letter.isspace() or letter == "\\" for letter in url)
        if parts.scheme not in ("https", "http") or not host or user is not None or parts.fragment or is_odd:
            return f"{show_url(url)} is no plain https address"
        if parts.scheme == "http" and not self.allow_local:
            return f"{show_url(url)} is not https"
        fault = find_host_fault(called.strip("[]"), self.reach)
        return None if fault is None else f"{show_url(url)} is not called: {fault}"

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, most: int = REPLY_BYTES_MAX
    ) -> Reply:
        """One request to the address that was looked up and judged, whatever its name says a moment later. Of an answer
        at most `most` bytes are read, and `timeout` is for all of it: from the connection to the last byte.

        Raises NotAllowed, NotReached.
        """
        fault = self.find_fault(url)
        if fault is not None:
            raise NotAllowed(fault)
        parts = httpx.URL(url)
        name = parts.raw_host.decode("ascii")
        address = self.look_up(name, parts.port or (443 if parts.scheme == "https" else 80))
        asked = parts.copy_with(host=address)
        sent = {**headers, "Host": parts.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        seconds = self.timeout / timedelta(seconds=1)
        try:
            with (
                Watchdog(self.timeout) as dog,
                httpx.Client(timeout=seconds, follow_redirects=False, trust_env=False, verify=_trust()) as client,
                client.stream(
                    method, asked, headers=sent, content=body, extensions={"sni_hostname": name, "trace": dog.trace}
                ) as answer,
            ):
                read = _read(answer, most)
                if not dog.left:
                    raise httpx.ReadTimeout("the answer takes too long")
                return Reply(status=answer.status_code, headers=_lower(answer.headers), body=read)
        except httpx.HTTPError as error:
            raise NotReached(f"{show_url(url)} gave no answer ({type(error).__name__})") from error

    def look_up(self, host: str, port: int) -> str:
        """An address of `host` that may be called. Raises NotAllowed when any of them may not, NotReached."""
        try:
            found = self.look_up_all(host, port)
        except (OSError, UnicodeError) as error:
            raise NotReached(f"{host} is not known") from error
        for address in found:
            fault = find_address_fault(address, self.reach)
            if fault is not None:
                raise NotAllowed(f"{host} is not called: {fault}")
        if not found:
            raise NotReached(f"{host} is not known")
        return found[0]


def judge_reply(reply: Reply, now: datetime) -> Outcome:
    """What an answer to a delivery comes to."""
    if reply.status in DELIVERED:
        return Taken()
    why = f"it answered {reply.status}"
    if reply.status == 410:
        return Gone(why=why)
    if reply.status in FOR_GOOD:
        return Rejected(why=why)
    if 300 <= reply.status < 400:
        why = f"it answered {reply.status}: redirects are not followed"
    return NotNow(why=why, after=_retry_after(reply.headers.get("retry-after"), now))


def deliver(outbound: Outbound, url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Outcome:
    """Posts once."""
    try:
        return judge_reply(outbound.call("POST", url, headers, body), now)
    except NotAllowed as refused:
        return Rejected(why=str(refused))
    except NotReached as silent:
        return NotNow(why=str(silent))


def _retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Seconds or a date, as RFC 9110 has it; what is neither is not heard."""
    if text is None:
        return None
    try:
        if text.strip().isdecimal():
            after = timedelta(seconds=int(text))
        else:
            at = parsedate_to_datetime(text)
            after = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return RETRY_AFTER_MAX if text.strip().isdecimal() else None
    return max(timedelta(0), min(after, RETRY_AFTER_MAX))


@cache
def _trust() -> ssl.SSLContext:
    """What this machine trusts, its operator's own authorities included."""
    return ssl.create_default_context()


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(answer: httpx.Response, most: int) -> bytes:
    """As it came: nothing is unpacked that we did not ask to be packed."""
    body = b""
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) >= most:
            break
    return body[:most]
