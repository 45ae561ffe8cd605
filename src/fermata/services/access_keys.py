"""Access keys of tokens, with which clients of AWS sign: derived from the store's key and the token's id, never stored.

The id of an access key is the token's. Its secret is base64 of an HMAC-SHA256, so it can be told when the token is made
and derived again when something comes that was signed with it. Whatever ends the token ends its access key.
"""

import base64
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.sessions import ApiToken, is_token_good
from fermata.store import identity, sealing
from fermata.store.database import Connection, Database

_PURPOSE = b"fermata aws secret access key"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A pair, as clients of AWS are configured with it."""

    id: str
    secret: str = field(repr=False)


class NoAccessKeys(Exception):
    """No secret can be derived here; says why, never with what is in the store's key."""


def access_key_of(db: Database, token: str) -> AccessKey:
    """The pair of the token of that id. Raises NoAccessKeys."""
    with db.read() as conn:
        return AccessKey(id=token, secret=_secrets(conn, token, make=True)[0])


def find_signer(db: Database, key_id: str, *, now: datetime) -> tuple[ApiToken, tuple[str, ...]] | None:
    """The token of that access key, and every secret that it may have signed with: one for each key of the store. None
    for nobody's, one that has expired and one that was revoked. Raises NoAccessKeys.
    """
    with db.read() as conn:
        found = identity.find_token_of_id(conn, key_id)
        if found is None or not is_token_good(found, now):
            return None
        return found, _secrets(conn, found.id, make=False)


def _secrets(conn: Connection, token: str, *, make: bool) -> tuple[str, ...]:
    try:
        derived = sealing.derive(conn, _PURPOSE, token, make=make)
    except sealing.CannotSeal as why:
        raise NoAccessKeys(str(why)) from why
    return tuple(base64.b64encode(each).decode() for each in derived)
