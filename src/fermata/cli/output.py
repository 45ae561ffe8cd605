"""How every command speaks: tables for people, JSON for machines, errors that say what to do."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import orjson
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from fermata.domain.harmless import escape_json, show_line, show_lines

DONE = 0
REFUSED = 1
BAD_INPUT = 2
INFEASIBLE = 3
INTERRUPTED = 130

PROSE = frozenset(  # headings of columns that may fold
    {"why", "reason", "sentence", "scope", "updates", "limit", "on", "counts", "load stands in", ""}
)
_BETWEEN = 2  # blanks between two columns of a table
_PIPED_COLUMNS = 160  # a pipe has no width of its own: wide enough for every table of ours
_LEAST_COLUMNS = 110  # a table may need as many; a narrower terminal wraps its lines, which beats cropping a date


def _columns(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else _PIPED_COLUMNS


class Plainly(Console):
    """Whatever is printed is text: brackets and colons in a name mean nothing, and a character that could move the
    cursor, change the terminal or turn a line around is shown by its number. Styles come from `styled` alone.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """What goes out, piece by piece."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(show_lines(segment.text), segment.style)


_ROOM = _columns(sys.stdout)
out = Plainly(highlight=False, markup=False, emoji=False, width=max(_ROOM, _LEAST_COLUMNS))
err = Plainly(stderr=True, highlight=False, markup=False, emoji=False, width=_columns(sys.stderr))


def styled(*parts: str | tuple[str, str]) -> Text:
    """One text of parts, each plain or with its style."""
    return Text.assemble(*parts)


def print_json(value: Any) -> None:
    """The machine's answer: JSON, keys in the order given, and nothing else on standard output."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    sys.stdout.buffer.write(escape_json(text.decode()).encode())
    sys.stdout.buffer.flush()


def print_line(text: str) -> None:
    """One line of many on standard output, at once: somebody follows them."""
    sys.stdout.write(f"{show_lines(text)}\n")
    sys.stdout.flush()


def terminal_width() -> int:
    """Columns of the terminal as they are now; of a pipe, enough for every table of ours."""
    return _columns(sys.stdout)


def with_z(value: Any) -> Any:
    """Plain values with their times in ISO 8601 with Z, as in every file of ours."""
    if isinstance(value, dict):
        return {key: with_z(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_z(item) for item in value]
    return value[:-6] + "Z" if isinstance(value, str) and value.endswith("+00:00") else value


def say(text: str, *, style: str = "", console: Console = out) -> None:
    """A sentence, folded between words on a terminal: further lines stand a little further in. A pipe gets one line."""
    lines = [text]
    if console.is_terminal:
        margin = " " * (len(text) - len(text.lstrip(" ")) + 2)
        folding = textwrap.TextWrapper(
            min(_ROOM, console.width), subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
        )
        lines = folding.wrap(text) or [""]
    for line in lines:
        console.print(line, style=style, markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table in no more columns than the terminal has, if its numbers and dates fit into them, without blanks at the
    ends of lines.
    """

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(max(_ROOM, self._least), options.max_width)
        for line in console.render_lines(self.table, options.update(width=width), pad=False):
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
            yield from line
            yield Segment.line()

    @property
    def _least(self) -> int:
        """How many columns it needs: whole cells, and the longest word of those that may fold."""
        columns = [[str(cell) for cell in (column.header, *column.cells)] for column in self.table.columns]
        needed = (
            max(cell_len(part) for cell in cells for part in ([cell] if column.no_wrap else cell.split() or [""]))
            for column, cells in zip(self.table.columns, columns, strict=True)
        )
        return sum(needed) + _BETWEEN * (len(columns) - 1)


def table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()
) -> Fitted:
    """A plain table; columns whose index is in `right` are aligned right (numbers).

    A narrow terminal folds the first column and those of prose; numbers and dates stay whole.
    """
    head = Text(title, style="bold")
    built = Table(title=head, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for index, heading in enumerate(headings):
        foldable = index == 0 or heading in PROSE
        built.add_column(
            Text(heading), justify="right" if index in right else "left", overflow="fold", no_wrap=not foldable
        )
    for row in rows:
        built.add_row(*(Text(show_line(str(cell))) for cell in row))
    return Fitted(built)


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
    err.print(styled((code, "bold red"), f"  {sentence}"), soft_wrap=True)
