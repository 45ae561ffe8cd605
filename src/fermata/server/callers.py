"""How the doors for clients inside a node know which node calls: by a key that only that node holds.

The key follows from one secret of the server and the node's name, so there is no list of keys to keep. It comes as the
user and password of the proxy that the client is told to use, `http_proxy=http://NODE:KEY@HOST:PORT`, or from a
node-local forwarder that adds the same header. Without a secret nobody is known. See docs/doors.md.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from fermata.domain.ids import NodeId
from fermata.domain.scheduled_events import Leads

SECRET_BYTES_MIN = 32
OTHERS_MAY = 0o077
ISSUER = "urn:fermata:node-identity"
_HEADER = {"typ": "JWT", "alg": "HS256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAccess:
    """How clients inside nodes are known (`secret` None: not at all), and how early they learn what awaits them."""

    secret: bytes | None = None
    leads: Leads = field(default_factory=Leads)


NO_NODES = NodeAccess()


class BadSecret(ValueError):
    """The file with the secret cannot be used; says why."""


class BadToken(ValueError):
    """A token of ours that is forged, cut or out of date."""


def read_secret(path: Path) -> bytes:
    """The secret in a file that nobody else may read. Raises BadSecret."""
    try:
        mode, secret = path.stat().st_mode, path.read_bytes().strip()
    except OSError as error:
        raise BadSecret(f"{path} cannot be read: {error.strerror}") from error
    if mode & OTHERS_MAY:
        raise BadSecret(f"{path} may be read by others: run chmod 600 on it")
    return check_secret(secret, path)


def check_secret(secret: bytes, place: object) -> bytes:
    """The same secret. Raises BadSecret for one that is too short."""
    if len(secret) < SECRET_BYTES_MIN:
        raise BadSecret(f"{place} holds {len(secret)} bytes, of at least {SECRET_BYTES_MIN} random ones")
    return secret


class NodeKeys:
    """Keys and tokens of nodes. `secret` None: there are none."""

    def __init__(self, secret: bytes | None) -> None:
        self._keys = None if secret is None else _derive(secret, b"fermata node key")
        self._tokens = None if secret is None else _derive(secret, b"fermata node token")
        self._known: dict[str, NodeId] = {}

    def key_of(self, node: NodeId) -> str:
        """The node's key. Raises BadSecret when there is no secret."""
        if self._keys is None:
            raise BadSecret("there is no secret: FERMATA_NODE_SECRET names the file that holds it")
        return hmac.new(self._keys, node.encode(), sha256).hexdigest()

    def find(self, credentials: str) -> NodeId | None:
        """The node that a Proxy-Authorization or Authorization header speaks for, None for anybody else."""
        known = self._known.get(credentials)
        if known is not None:
            return known
        scheme, _, coded = credentials.partition(" ")
        if self._keys is None or scheme.lower() != "basic":
            return None
        try:
            name, _, key = base64.b64decode(coded, validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text
            return None
        node = NodeId(name)
        if not hmac.compare_digest(self.key_of(node).encode(), key.encode()):
            return None
        self._known[credentials] = node  # at most one or two for each node: only right ones are kept
        return node

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with those claims. Raises BadSecret when there is no secret."""
        if self._tokens is None:
            raise BadSecret("there is no secret: FERMATA_NODE_SECRET names the file that holds it")
        text = f"{_coded(orjson.dumps(_HEADER))}.{_coded(orjson.dumps(dict(claims)))}"
        return f"{text}.{_coded(hmac.digest(self._tokens, text.encode(), 'sha256'))}"

    def claims(self, node: NodeId, *, audience: str, now: datetime, seconds: int) -> Mapping[str, Any]:
        """What a token for so many seconds says: who the node is, and to whom."""
        issued = int(now.timestamp())
        return {"iss": ISSUER, "aud": audience, "sub": node, "iat": issued, "nbf": issued, "exp": issued + seconds}

    def read(self, token: str, now: datetime) -> Mapping[str, Any] | None:
        """The claims of a token of ours; None for somebody else's. Raises BadToken."""
        parts = token.split(".")
        claims = _claims(parts[1]) if len(parts) == 3 else None
        if self._tokens is None or claims is None or claims.get("iss") != ISSUER:
            return None
        mine = hmac.digest(self._tokens, f"{parts[0]}.{parts[1]}".encode(), "sha256")
        if not hmac.compare_digest(_coded(mine).encode(), parts[2].encode()):
            raise BadToken("the token's signature is wrong")
        if not int(claims["nbf"]) <= now.timestamp() < int(claims["exp"]):
            raise BadToken("the token is out of date")
        return claims


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose, "sha256")


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _claims(part: str) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
