"""HTTP to addresses that strangers gave us: no redirects, no machine of ours, bounded in time and size."""

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

import httpx

from fermata.domain.deliveries import Gone, NotNow, Outcome, Rejected, Taken

TIMEOUT = timedelta(seconds=30)  # as Event Grid's: who needs longer answers 202 and works on
REPLY_BYTES_MAX = 64 * 1024  # of what is read of an answer: consent is a line
RETRY_AFTER_MAX = timedelta(hours=24)
DELIVERED = frozenset({200, 201, 202, 203, 204})
FOR_GOOD = frozenset({400, 401, 403, 413, 415})  # the same body will be refused again
LOCAL = "it is on this machine or its link, and FERMATA_LOCAL_TARGETS does not allow that"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """`allow_local`: plain http, and machines that only this one reaches, are called too."""

    allow_local: bool = False
    timeout: timedelta = TIMEOUT

    def find_fault(self, url: str) -> str | None:
        """Why `url` is never called, or None as far as can be told without looking its name up."""
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError as error:
            return f"{_shown(url)} is no address ({error})"
        if parts.scheme not in ("https", "http") or not host or parts.username or parts.fragment:
            return f"{_shown(url)} is no plain https address"
        if parts.scheme == "http" and not self.allow_local:
            return f"{_shown(url)} is not https"
        if not self.allow_local and (host == "localhost" or host.endswith(".localhost") or _is_local(host)):
            return f"{_shown(url)} is not called: {LOCAL}"
        return None

    def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, most: int = REPLY_BYTES_MAX
    ) -> Reply:
        """One request to the address that was looked up and judged, whatever its name says a moment later. Of an answer
        at most `most` bytes are read.

        Raises NotAllowed, NotReached.
        """
        fault = self.find_fault(url)
        if fault is not None:
            raise NotAllowed(fault)
        parts = httpx.URL(url)
        address = self.look_up(parts.host, parts.port or (443 if parts.scheme == "https" else 80))
        asked = parts.copy_with(host=address)
        sent = {**headers, "Host": parts.netloc.decode("ascii")}
        seconds = self.timeout / timedelta(seconds=1)
        try:
            with (
                httpx.Client(timeout=seconds, follow_redirects=False, trust_env=False, verify=_trust()) as client,
                client.stream(
                    method, asked, headers=sent, content=body, extensions={"sni_hostname": parts.host}
                ) as answer,
            ):
                return Reply(status=answer.status_code, headers=_lower(answer.headers), body=_read(answer, most))
        except httpx.HTTPError as error:
            raise NotReached(f"{_shown(url)} gave no answer ({type(error).__name__})") from error

    def look_up(self, host: str, port: int) -> str:
        """An address of `host` that may be called. Raises NotAllowed when any of them may not, NotReached."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotReached(f"{host} is not known") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not self.allow_local and any(_is_local(address) for address in addresses):
            raise NotAllowed(f"{host} is not called: {LOCAL}")
        return addresses[0]


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


def _is_local(host: str) -> bool:
    """Loopback, link-local, multicast, unspecified; an IPv4 address in IPv6's clothes is what it is underneath."""
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified


@cache
def _trust() -> ssl.SSLContext:
    """What this machine trusts, its operator's own authorities included."""
    return ssl.create_default_context()


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(answer: httpx.Response, most: int) -> bytes:
    body = b""
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) >= most:
            break
    return body[:most]


def _shown(url: str) -> str:
    """Without what may be secret in it."""
    return url.partition("?")[0]
