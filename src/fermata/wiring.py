"""The composition root: settings in, objects out. The only module that knows which world the ports stand for."""

import secrets
import time
from datetime import UTC, datetime

from fermata.store.database import Database, StoreUnavailable, open_database

__all__ = ["Database", "StoreUnavailable", "mint_id", "open_database", "utc_now"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def utc_now() -> datetime:
    """The wall clock. Commands that work on real time take their `now` from here, once."""
    return datetime.now(UTC)


def mint_id(prefix: str) -> str:
    """`<prefix>_<ULID>`: 48 bits of milliseconds, 80 random bits; sorts by the time it was minted."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    digits = (_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{''.join(digits)}"
