"""The other end of the wire: what the API answers, back into the values that its handlers returned."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class AnswerUnreadable(ValueError):
    """Not what a server of this version answers."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_answer(kind: type[T], body: bytes) -> T:
    """The value whose JSON `body` is; members that this version does not know are passed over."""
    asked: Any = kind
    try:
        value: T = _adapter(asked).validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AnswerUnreadable(f"{where}: {first['msg']}" if where else first["msg"]) from error
    return value
