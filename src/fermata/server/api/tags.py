"""ETags that say which incarnation of a request was looked at, and If-Match, which holds a change to it."""

import hashlib
import re
from typing import Annotated

from fastapi import Header

from fermata.server.conditional import is_known
from fermata.server.errors import TagStale

TAG_MAX = 1_000
_OURS = re.compile(r'"([1-9][0-9]{0,17})-[0-9a-f]{16}"')

IfMatch = Annotated[
    str | None,
    Header(max_length=TAG_MAX, description="The ETag of what was looked at: if it has changed, nothing is done"),
]


def request_tag(incarnation: int, body: bytes) -> str:
    """Of a request: its incarnation, and what was sent of it."""
    return f'"{incarnation}-{hashlib.sha256(body).hexdigest()[:16]}"'


def seen_incarnation(if_match: str | None) -> int | None:
    """The incarnation that the tag of a request names; None when any will do. Raises TagStale for no tag of a request.

    How far consent reaches may have changed since; what is asked for has not.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _OURS.fullmatch(if_match.strip().removeprefix("W/"))
    if found is None:
        raise TagStale
    return int(found[1])


def refuse_other(if_match: str | None, tag: str) -> None:
    """Raises TagStale when something else was looked at than what has this tag now."""
    if if_match is not None and not is_known(tag, if_match):
        raise TagStale
