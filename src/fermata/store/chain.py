"""The chain of the journal: each line carries the SHA-256 of itself and of the line before, so that none can be edited,
removed, put in or moved without the ones after it no longer fitting. docs/decisions/0105 has what it proves.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

START = bytes(32)  # what the first line follows
_EPOCH, _TICK = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_WHOLE_FLOAT = re.compile(rb"\d(?:\.0[,\]}]|e)")  # PostgreSQL gives some of them back as whole numbers


def link(previous: bytes, seq: int, at: datetime, texts: tuple[str, str, str, str], data: Mapping[str, Any]) -> bytes:
    """The hash of a line that follows one with the hash `previous`; `texts`: actor, event, subject, why.

    The same for what was read back from either database as for what was written. Raises ValueError for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError("a stored time must be aware")
    head = orjson.dumps((seq, (at - _EPOCH) // _TICK, *texts))
    return hashlib.sha256(b"%b%b\n%b" % (previous, head, _facts(data))).digest()


def _facts(data: Mapping[str, Any]) -> bytes:
    told = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    if _WHOLE_FLOAT.search(told):
        told = orjson.dumps(_settled(orjson.loads(told)), option=orjson.OPT_SORT_KEYS)
    return told


def _settled(value: Any) -> Any:
    """Numbers that are whole as whole numbers."""
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**64:
        return int(Decimal(repr(value)))  # as PostgreSQL reads what is written of it
    if isinstance(value, dict):
        return {key: _settled(part) for key, part in value.items()}
    return [_settled(part) for part in value] if isinstance(value, list) else value
