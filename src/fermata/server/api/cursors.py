"""Pages of a list by cursor: the next page begins behind where the last one ended, whatever was added meanwhile."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Query, Request, Response

from fermata.server.errors import CursorUnknown

T = TypeVar("T")
Place = tuple[str | int, ...]  # by what a list is sorted

CURSOR_MAX = 2_000
LIMIT_MOST = 10_000

CursorParam = Annotated[
    str | None, Query(max_length=CURSOR_MAX, description="Where the page before ended: `next` of its answer, or Link")
]
LimitParam = Annotated[int, Query(ge=1, le=LIMIT_MOST)]


def write_cursor(place: Place) -> str:
    """Opaque to clients: base64url of the place, which they only hand back."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def read_cursor(text: str, like: tuple[type, ...]) -> Place:
    """The place behind which to go on; `like` are the types of its parts. Raises CursorUnknown."""
    try:
        place: Any = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise CursorUnknown from error
    if not isinstance(place, list) or tuple(type(part) for part in place) != like:
        raise CursorUnknown
    return tuple(place)


def page(
    items: Sequence[T],
    key: Callable[[T], Place],
    *,
    like: tuple[type, ...],
    cursor: str | None,
    limit: int,
    exchange: tuple[Request, Response],
) -> list[T]:
    """At most `limit` of `items`, which are sorted by `key`, from behind `cursor` on. The answer gets a Link to the
    next page (RFC 8288), if there is one.
    """
    after = read_cursor(cursor, like) if cursor is not None else None
    rest = [item for item in items if after is None or key(item) > after]
    taken = rest[:limit]
    if len(rest) > len(taken):
        link_next(*exchange, write_cursor(key(taken[-1])))
    return taken


def link_next(request: Request, response: Response, cursor: str) -> None:
    """Tells where the next page is, relative to this server whatever its name."""
    url = request.url.include_query_params(cursor=cursor)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
