"""Domain values to JSON text and back, for what the store keeps whole: documents, plans, requests, snapshots."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_json(value: object) -> bytes:
    """UTF-8 JSON of a frozen domain dataclass; sets become lists, times ISO 8601."""
    kind: Any = type(value)
    return bytes(_adapter(kind).dump_json(value))


def to_plain(value: object) -> Any:
    """The same as JSON-ready data, for a column that the database reads too."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def from_plain(kind: type[T], data: Any) -> T:
    """The domain value that `to_plain` made."""
    asked: Any = kind
    value: T = _adapter(asked).validate_python(data)
    return value


def from_json(kind: type[T], text: bytes | str) -> T:
    """The domain value that `to_json` wrote. Raises pydantic.ValidationError when the text is not one."""
    asked: Any = kind
    value: T = _adapter(asked).validate_json(text)
    return value
