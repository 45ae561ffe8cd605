"""The database's types in Kusto's words, and its values as JSON has them. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import orjson

KINDS = {
    "BOOLEAN": "bool", "TINYINT": "int", "SMALLINT": "int", "INTEGER": "int", "UTINYINT": "int", "USMALLINT": "int",
    "UINTEGER": "long", "BIGINT": "long", "UBIGINT": "long", "HUGEINT": "long", "FLOAT": "real", "DOUBLE": "real",
    "VARCHAR": "string", "UUID": "guid", "DATE": "datetime", "TIMESTAMP": "datetime", "INTERVAL": "timespan",
    "TIMESTAMP WITH TIME ZONE": "datetime", "TIMESTAMP_NS": "datetime", "TIME": "timespan", "JSON": "dynamic",
}  # fmt: skip
LONG_MAX = 2**63


def kind_of(type_name: str) -> str:
    """Kusto's word for a type of DuckDB."""
    if type_name.startswith("DECIMAL"):
        return "decimal"
    if type_name.endswith("[]") or type_name.startswith(("STRUCT", "MAP", '"NULL"', "NULL")):
        return "dynamic"
    return KINDS.get(type_name, "string")


def to_json(value: Any, kind: str) -> Any:
    """A dynamic value comes as JSON text, or, when the query itself made it, as lists and mappings."""
    if isinstance(value, str):
        return orjson.loads(value) if kind == "dynamic" else value
    for asked, write in _WRITERS.items():
        if isinstance(value, asked):
            return write(value)
    return str(value)


def timespan_text(length: timedelta) -> str:
    """[-][d.]hh:mm:ss[.fffffff], as Kusto writes it."""
    sign = "-" if length < timedelta() else ""
    length = abs(length)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{length.days}." if length.days else ""
    fraction = f".{length.microseconds:06d}0" if length.microseconds else ""
    return f"{sign}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}{f'.{at.microsecond:06d}' if at.microsecond else ''}Z"


def _number(number: int) -> int | str:
    return number if -LONG_MAX <= number < LONG_MAX else str(number)


def _nested(value: Any) -> Any:
    """Inside a list that the query made, JSON text and plain text look alike: what reads as JSON is JSON."""
    if isinstance(value, str) and value[:1] in {'"', "{", "["}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return to_json(value, "")


_WRITERS: Mapping[type, Callable[[Any], Any]] = {  # the first that fits: bool is an int too, datetime a date
    type(None): lambda value: value,
    bool: lambda value: value,
    int: _number,
    float: lambda number: number if number - number == 0 else None,  # JSON knows no NaN and nothing infinite
    datetime: _instant,
    date: lambda day: f"{day:%Y-%m-%d}T00:00:00Z",
    timedelta: timespan_text,
    list: lambda values: [_nested(value) for value in values],
    dict: lambda values: {str(key): _nested(value) for key, value in values.items()},
    bytes: lambda value: value.hex(),
}
