"""Answers of queries as text: one cell, or all of them as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from fermata.domain.harmless import quote_cell, show_lines


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
    """RFC 4180 with a heading, lines ended by LF. Texts that a spreadsheet would take for a formula, or a terminal for
    an order, are made harmless; numbers are as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([quote_cell(name) for name in names])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    text = show_lines(cell_text(value))
    return text if isinstance(value, int | float) else quote_cell(text)
