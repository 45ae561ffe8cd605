"""What went out as a credential does not come in as text: whoever was told a secret may say it back in an error, in a
header, or in the words beside a status. Every client hides it there, before anything else reads the answer.
"""

import base64
import binascii
import html
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "..."
IN_ANSWERS_MIN = 8  # characters: a shorter one stands in good answers by chance; errors are words, and hide them all
CREDENTIAL_HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "x-auth-token", "x-slurm-user-token", "x-vault-token")
)
ERRORS_FROM = 400  # statuses


def hide(text: str, *secrets: str) -> str:
    """Without the secrets, if whoever was told them says them back; as JSON, URLs, HTML and base64 write them, too."""
    for told in _forms(tuple(filter(None, secrets))):
        text = text.replace(told, HIDDEN)
    return text


def hide_bytes(body: bytes, secrets: Iterable[str], status: int) -> bytes:
    """The same of the body of an answer with that status."""
    least = 1 if status >= ERRORS_FROM else IN_ANSWERS_MIN
    for told in _forms(tuple(secret for secret in secrets if len(secret) >= least)):
        body = body.replace(told.encode("utf-8", "surrogateescape"), HIDDEN.encode())
    return body


def find_credentials(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What of the headers of a request lets somebody in: each as it stands, without its scheme, and the password."""
    found: list[str] = []
    for name, value in headers.items():
        if name.lower() not in CREDENTIAL_HEADERS:
            continue
        if name.lower() == "cookie":
            found += [part.partition("=")[2].strip() for part in value.split(";")]
            continue
        scheme, blank, rest = value.partition(" ")
        found.append(rest.strip() if blank else value)
        if scheme.lower() == "basic":
            found.append(_password(rest))
    return tuple(dict.fromkeys(filter(None, found)))


def _password(coded: str) -> str:
    try:
        return base64.b64decode(coded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


@lru_cache(maxsize=64)
def _forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The longest first: one may be a part of another."""
    found: dict[str, None] = {}
    for secret in secrets:
        coded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
        plain = json.dumps(secret)[1:-1]
        written = (secret, plain, plain.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
        in_urls = (quote(secret, safe=""), quote(secret), quote_plus(secret)) if _is_text(secret) else ()
        found |= dict.fromkeys((*written, *in_urls, html.escape(secret), coded, coded.rstrip("=")))
    return tuple(sorted(found, key=len, reverse=True))


def _is_text(secret: str) -> bool:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return False
    return True
