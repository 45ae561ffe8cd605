"""Answers of queries as text: one cell, or all of them as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import orjson


def cell_text(value: Any) -> str:
    """As a person reads it: nothing for null, JSON on one line for lists and objects."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | dict():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def answer_to_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """RFC 4180 with a heading, lines ended by LF."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell_text(value) for value in row] for row in rows)
    return text.getvalue()
