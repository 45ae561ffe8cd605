"""Requests signed with AWS Signature Version 4, as AWS documents it in "Create a signed AWS API request" (IAM User
Guide): whether a request is what the holder of a secret signed. Pure: values and `now` in, a fault or none out.

Served is what EC2's clients send: a signature in Authorization, the date in X-Amz-Date, and the body that was signed.
Presigned addresses, session tokens, unsigned bodies and keys of several regions (SigV4A) are not.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE, TERMINATOR = "ec2", "aws4_request"
APART = timedelta(minutes=15)  # by which the date of a request and the time here may differ
AUTHORIZATION_MAX = 4_000
_SIGNED_HEADERS_MAX = 100
_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_DAY = re.compile(r"[0-9]{8}")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_AT = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_HOST, _DATE, _TYPE = "host", "x-amz-date", "content-type"
_BODY_HASH, _SESSION_TOKEN = "x-amz-content-sha256", "x-amz-security-token"
_SPACES = re.compile(rb" +")


class FaultCode(StrEnum):
    """EC2's own names."""

    AUTH_FAILURE = "AuthFailure"
    INCOMPLETE = "IncompleteSignature"
    WRONG = "SignatureDoesNotMatch"
    EXPIRED = "RequestExpired"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request is not taken for its signer's."""

    code: FaultCode
    sentence: str


class NotSigned(Exception):
    """An Authorization header that is no signature; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What the header says, none of it proven. `day` and `region` are of the credential's scope."""

    key_id: str
    day: str
    region: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it came: `path` and `query` as in the request line, names of headers in small letters."""

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


def is_signature(authorization: str) -> bool:
    """Whether the header means to be one of these."""
    return authorization.partition(" ")[0] == ALGORITHM


def parse_authorization(text: str) -> Authorization:
    """The header's parts. Raises NotSigned."""
    scheme, _, rest = text.partition(" ")
    if scheme != ALGORITHM or len(text) > AUTHORIZATION_MAX:
        raise NotSigned(f"Authorization is to begin with {ALGORITHM} and have at most {AUTHORIZATION_MAX:,} characters")
    parts = [part.strip(" ").partition("=") for part in rest.split(",")]
    found = {name: value for name, _, value in parts}
    if len(parts) != 3 or found.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise NotSigned("Authorization is to name Credential, SignedHeaders and Signature, once each")
    scope = found["Credential"].split("/")
    if len(scope) != 5 or scope[3:] != [SERVICE, TERMINATOR]:
        raise NotSigned(f"Credential is to be KEY/DATE/REGION/{SERVICE}/{TERMINATOR}")
    key_id, day, region = scope[:3]
    if not (_KEY_ID.fullmatch(key_id) and _DAY.fullmatch(day) and _REGION.fullmatch(region)):
        raise NotSigned("Credential names no access key, day and region")
    names = tuple(found["SignedHeaders"].split(";"))
    if len(names) > _SIGNED_HEADERS_MAX or not all(_HEADER_NAME.fullmatch(name) for name in names):
        raise NotSigned("SignedHeaders names no headers, or too many, or not in small letters")
    if list(names) != sorted(set(names)):
        raise NotSigned("SignedHeaders is not in order, or names one twice")
    if not _SIGNATURE.fullmatch(found["Signature"]):
        raise NotSigned("Signature is not 64 digits of base 16")
    return Authorization(key_id=key_id, day=day, region=region, signed_headers=names, signature=found["Signature"])


def find_fault(sent: Sent, claimed: Authorization, secrets: Sequence[str], now: datetime) -> Fault | None:
    """None for a request that the holder of one of these secrets signed within 15 minutes of `now`."""
    fault = _find_fault_of_headers(sent, claimed)
    if fault is not None:
        return fault
    stamp = _values(sent, _DATE)[0]
    fault = _find_fault_of_date(stamp, claimed.day, now)
    if fault is not None:
        return fault
    body_hash = sha256(sent.body).hexdigest()
    if any(value != body_hash.encode() for value in _values(sent, _BODY_HASH)):
        return Fault(
            FaultCode.WRONG, "X-Amz-Content-SHA256 is not the hash of the body: unsigned bodies are not served."
        )
    text = _string_to_sign(sent, claimed, stamp.decode("latin-1"), body_hash)
    is_right = False
    for secret in secrets:  # all of them, whichever it is
        is_right |= hmac.compare_digest(_sign(secret, claimed, text), claimed.signature)
    if not is_right:
        return Fault(FaultCode.WRONG, "The signature is not that of this request by this access key's secret.")
    return None


def _find_fault_of_headers(sent: Sent, claimed: Authorization) -> Fault | None:
    """What would say something is signed: Host, the date, the type of the body, and every header of AWS's own."""
    names = [name.decode("latin-1") for name, _ in sent.headers]
    if names.count(_HOST) != 1 or names.count(_DATE) != 1 or names.count("authorization") != 1:
        return Fault(FaultCode.INCOMPLETE, "Host, X-Amz-Date and Authorization are to be sent once each.")
    if _SESSION_TOKEN in names:
        return Fault(FaultCode.AUTH_FAILURE, "Session tokens are not served: leave X-Amz-Security-Token out.")
    needed = {_HOST, _DATE, *(name for name in names if name == _TYPE or name.startswith("x-amz-"))}
    for what, missing in (
        ("sent", needed - {*claimed.signed_headers}),
        ("signed", {*claimed.signed_headers} - {*names}),
    ):
        if missing:
            other = "signed" if what == "sent" else "sent"
            return Fault(
                FaultCode.INCOMPLETE, f"These headers are {what} and not {other}: {', '.join(sorted(missing))}."
            )
    return None


def _find_fault_of_date(stamp: bytes, day: str, now: datetime) -> Fault | None:
    try:
        at = datetime.strptime(stamp.decode("latin-1"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        at = None
    if at is None or not _AT.fullmatch(stamp):
        return Fault(FaultCode.INCOMPLETE, "X-Amz-Date is to be as in 20260131T235900Z.")
    if stamp[:8] != day.encode():
        return Fault(FaultCode.INCOMPLETE, "The day in Credential is not that of X-Amz-Date.")
    if abs(now - at) > APART:
        sentence = f"X-Amz-Date is more than 15 minutes from the time here, {now.astimezone(UTC):%Y%m%dT%H%M%SZ}."
        return Fault(FaultCode.EXPIRED, sentence)
    return None


def _values(sent: Sent, name: str) -> list[bytes]:
    return [value for each, value in sent.headers if each == name.encode()]


def _string_to_sign(sent: Sent, claimed: Authorization, stamp: str, body_hash: str) -> bytes:
    lines = [
        sent.method.encode(),
        quote(sent.path or b"/", safe="/-_.~").encode(),  # as it came, and once more: all services but S3 do that
        _canonical_query(sent.query),
        *(name.encode() + b":" + b",".join(map(_trim, _values(sent, name))) for name in claimed.signed_headers),
        b"",
        ";".join(claimed.signed_headers).encode(),
        body_hash.encode(),
    ]
    scope = f"{claimed.day}/{claimed.region}/{SERVICE}/{TERMINATOR}"
    return "\n".join((ALGORITHM, stamp, scope, sha256(b"\n".join(lines)).hexdigest())).encode()


def _canonical_query(query: bytes) -> bytes:
    pairs = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    coded = sorted((_code(name), _code(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in coded).encode()


def _code(text: bytes) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _trim(value: bytes) -> bytes:
    return _SPACES.sub(b" ", value.strip(b" \t"))


def _sign(secret: str, claimed: Authorization, text: bytes) -> str:
    key = f"AWS4{secret}".encode()
    for part in (claimed.day, claimed.region, SERVICE, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text, "sha256").hex()
