"""Bounded text to JSON, numbers and lines, for parsers of what nodes print."""

import json
import math
from typing import Any, NoReturn

from fermata.domain.health import Unreadable

OUTPUT_MAX = 4 << 20  # characters: `nvidia-smi -q -x` of 16 GPUs prints a fifth of a million
NUMBER_MAX = 40  # characters of a number


def bounded(text: str) -> str:
    """The text. Raises Unreadable when it is longer than any tool prints, or empty."""
    if len(text) > OUTPUT_MAX:
        raise Unreadable(f"it is longer than {OUTPUT_MAX} characters")
    if not text.strip():
        raise Unreadable("it is empty")
    return text


def read_json(text: str) -> Any:
    """Strict JSON: no NaN, no depth beyond what Python takes. Raises Unreadable."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {error}") from error


def to_number(words: str) -> float | None:
    """A finite number with nothing around it, or None."""
    if len(words) > NUMBER_MAX or not words.isascii() or "_" in words:
        return None
    try:
        found = float(words)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def as_number(value: object) -> float | None:
    """A finite number of JSON, or None; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def as_list(value: object) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def as_mapping(value: object) -> dict[str, Any]:
    """An object of JSON, or an empty one."""
    return value if isinstance(value, dict) else {}


def _refuse(word: str) -> NoReturn:
    raise Unreadable(f"{word} is no number")
