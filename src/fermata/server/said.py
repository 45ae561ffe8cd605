"""What a request says, read once for the check and handed on as it was read: the handler sees what was judged, no other
reading of the same bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from fermata.authority.needs_words import Sends, Speaks
from fermata.server.reading import read_json

FIELDS_MAX = 1000
URLENCODED = "application/x-www-form-urlencoded"


class Unreadable(Exception):
    """What was sent is not what the route takes; says why."""


class NotTheCaller(Exception):
    """Somebody else is named as who speaks."""

    def __init__(self, named: str) -> None:
        super().__init__(named)
        self.named = named


@dataclass(frozen=True, slots=True)
class Body:
    """A body in its parts: what JSON holds, or the fields of a form."""

    sends: Sends
    held: Any

    def to_bytes(self) -> bytes:
        """As the handler reads it."""
        if self.sends is Sends.FORM:
            return urlencode(self.held).encode()
        try:
            return orjson.dumps(self.held)
        except TypeError:  # whole numbers beyond 64 bits, such as 1e300
            return json.dumps(self.held).encode()


def parse(sends: Sends, raw: bytes, media_type: str) -> Body:
    """A body of that kind, JSON as strict as RFC 8259: no NaN, no half of a surrogate. Raises Unreadable."""
    if sends is Sends.FORM:
        if media_type.partition(";")[0].strip().lower() != URLENCODED:
            raise Unreadable(f"this form is sent as {URLENCODED}")
        try:
            pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise Unreadable(f"the form cannot be read: {error}") from error
        _refuse_twice(pairs)
        return Body(sends, dict(pairs))
    try:
        return Body(sends, read_json(raw))
    except ValueError as error:
        raise Unreadable(f"the body is no JSON: {error}") from error


def parse_query(query: bytes) -> Mapping[str, str]:
    """The query by name; of a name that stands there often, the last. Raises Unreadable."""
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise Unreadable(f"the query cannot be read: {error}") from error


def name_in_query(query: bytes, caller: str) -> bytes:
    """The query with `actor` as the caller. Raises NotTheCaller when somebody else stands there, and Unreadable."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    _refuse_other({value for key, value in pairs if key == "actor"}, caller)
    rest = [(key, value) for key, value in pairs if key != "actor"]
    return urlencode([*rest, ("actor", caller)]).encode()


def name_in_body(body: Body, speaks: Speaks, caller: str) -> Body:
    """The body with the caller as who speaks, wherever it says so. Raises NotTheCaller."""
    if speaks in (Speaks.NOBODY, Speaks.QUERY) or not isinstance(body.held, dict):
        return body
    held = body.held
    _refuse_other(_actors(held, speaks), caller)
    if speaks is Speaks.WORDS:
        words = held.get("words")
        said = (
            [{**w, "actor": caller} if isinstance(w, dict) else w for w in words] if isinstance(words, list) else words
        )
        return Body(body.sends, {**held, "words": said})
    return Body(body.sends, {**held, "actor": caller})


def _actors(held: Mapping[str, Any], speaks: Speaks) -> set[Any]:
    holders: list[Any] = [held]
    member = {Speaks.ORDERS: "orders", Speaks.WORDS: "words"}.get(speaks)
    several = held.get(member) if member is not None else None
    if isinstance(several, list):
        holders += several
    found = [holder.get("actor") for holder in holders if isinstance(holder, dict)]
    return {each if isinstance(each, str) else str(each) for each in found if each is not None}


def _refuse_other(named: set[Any], caller: str) -> None:
    others = sorted(named - {caller, ""})
    if others:
        raise NotTheCaller(others[0])


def _refuse_twice(pairs: list[tuple[str, str]]) -> None:
    twice = sorted(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    if twice:
        raise Unreadable(f"{twice[0]} stands in the form twice")
