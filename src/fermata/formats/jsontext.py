"""JSON text to values with their places: JSON pointers. Repeated keys, NaN and endless nesting are refused."""

import json
import math
from pathlib import Path
from typing import Any

from fermata.formats.faults import FaultLog, Place, quote
from fermata.formats.spots import Kind, Spot
from fermata.formats.text import read_text

DEPTH_MAX = 20  # a plan nests 5 deep


class Pairs(list[tuple[str, Any]]):
    """An object with its keys in order and repeated ones kept."""


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def load_json(text: str) -> object:
    """The value, with objects as `Pairs`. Raises ValueError, where possible JSONDecodeError, or RecursionError."""
    value: object = json.loads(text, object_pairs_hook=Pairs, parse_constant=_refuse_constant)
    return value


def read_json(path: Path, log: FaultLog) -> Spot | None:
    """The root; None when there is none, with the faults in `log`."""
    text = read_text(path, log)
    return None if text is None else parse_json(text, log)


def parse_json(text: str, log: FaultLog) -> Spot | None:
    """As `read_json`, of text at hand."""
    try:
        value = load_json(text)
    except json.JSONDecodeError as error:
        log.add(f"Not valid JSON: {error.msg}.", Place(line=error.lineno, column=error.colno))
    except RecursionError:
        log.add("Not valid JSON: nested too deeply.")
    except ValueError as error:
        log.add(f"Not valid JSON: {error}.")
    else:
        return _spot(value, "", 0, log)
    return None


def _spot(value: object, pointer: str, depth: int, log: FaultLog) -> Spot:
    place = Place(field=pointer or None)
    if depth > DEPTH_MAX:
        log.add(f"More than {DEPTH_MAX} levels deep.", place)
        return Spot(kind=Kind.NOTHING, place=place)
    if isinstance(value, Pairs):
        return _mapping(value, place, pointer, depth, log)
    if isinstance(value, list):
        items = (_spot(item, f"{pointer}/{i}", depth + 1, log) for i, item in enumerate(value))
        return Spot(kind=Kind.LIST, place=place, items=tuple(items))
    return _scalar(value, place, log)


def _scalar(value: object, place: Place, log: FaultLog) -> Spot:
    match value:
        case str():
            return Spot(kind=Kind.TEXT, place=place, raw=value)
        case bool():
            return Spot(kind=Kind.FLAG, place=place, raw=str(value).lower())
        case int():
            return Spot(kind=Kind.INTEGER, place=place, raw=str(value))
        case float() if math.isfinite(value):
            return Spot(kind=Kind.NUMBER, place=place, raw=repr(value))
        case None:
            return Spot(kind=Kind.NOTHING, place=place)
        case _:
            log.add("A number out of range.", place)
            return Spot(kind=Kind.NOTHING, place=place)


def _mapping(pairs: Pairs, place: Place, pointer: str, depth: int, log: FaultLog) -> Spot:
    keys: dict[str, Spot] = {}
    for key, value in pairs:
        at = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key in keys:
            log.add(f"Key {quote(key)} stands here twice.", Place(field=at))
        keys[key] = _spot(value, at, depth + 1, log)
    return Spot(kind=Kind.MAPPING, place=place, keys=keys)
