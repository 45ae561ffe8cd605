"""How every command speaks: tables for people, JSON for machines, errors that say what to do."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

DONE = 0
REFUSED = 1
BAD_INPUT = 2
INFEASIBLE = 3
INTERRUPTED = 130

PROSE = ("why", "reason", "sentence", "scope", "updates", "limit", "on")  # headings of columns that may fold
_PIPED_COLUMNS = 160  # a pipe has no width of its own: wide enough for every table of ours
_LEAST_COLUMNS = 110  # our tables need this; a narrower terminal wraps their lines, which beats cropping a date


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    columns = max(shutil.get_terminal_size().columns, _LEAST_COLUMNS) if stream.isatty() else _PIPED_COLUMNS
    return Console(stderr=stderr, highlight=False, width=columns)


out = _console(stderr=False)
err = _console(stderr=True)


def print_json(value: Any) -> None:
    """The machine's answer: JSON, keys in the order given, and nothing else on standard output."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> Table:
    """A plain table; columns whose index is in `right` are aligned right (numbers).

    A narrow terminal folds the first column and those of prose; numbers and dates stay whole.
    """
    built = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for index, heading in enumerate(headings):
        foldable = index == 0 or heading in PROSE
        built.add_column(heading, justify="right" if index in right else "left", overflow="fold", no_wrap=not foldable)
    for row in rows:
        built.add_row(*(str(cell) for cell in row))
    return built


def utc(instant: datetime) -> str:
    """How a time is shown to people: 2026-01-03 19:00Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def local(instant: datetime, timezone: str) -> str:
    """How a time is shown beside the name of its zone: Sat 2026-01-03 11:00."""
    return f"{instant.astimezone(ZoneInfo(timezone)):%a %Y-%m-%d %H:%M}"


def iso(instant: datetime) -> str:
    """How a time is shown to machines: 2026-01-03T19:00:00Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count(number: int, noun: str, plural: str | None = None) -> str:
    """1 node, 18,474 nodes."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def fail(code: str, sentence: str, *, exit_code: int, as_json: bool, detail: dict[str, Any] | None = None) -> None:
    """Says why nothing was done; the caller exits with `exit_code`."""
    if as_json:
        print_json({"error": {"code": code, "sentence": sentence, "exit_code": exit_code, **(detail or {})}})
        return
    err.print(f"[bold red]{code}[/]  {escape(sentence)}", soft_wrap=True)
