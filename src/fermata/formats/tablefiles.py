"""Reads tables from CSV, JSON Lines and Parquet: whatever the form, each cell is the text that CSV would hold."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fermata.domain.names import Names
from fermata.formats.faults import FaultLog, Place, one_of, quote
from fermata.formats.jsontext import Pairs, load_json
from fermata.formats.tables import Columns, Table, key_column
from fermata.formats.text import read_text
from fermata.formats.values import is_name

SUFFIXES = (".csv", ".jsonl", ".parquet")
PLAIN_BLOCK = 2**20  # characters that are split into cells at once, so that a large file is not held twice


def find_table(folder: Path, stem: str) -> Path | None:
    """The one file of a table in `folder`: None when there is none. Raises ValueError naming them when several."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").exists()]
    if len(found) > 1:
        raise ValueError(f"{one_of(path.name for path in found)}: keep one of them.")
    return found[0] if found else None


def read_table(path: Path, columns: Columns, log: FaultLog) -> Table | None:
    """The cells of a table, each a string; None when its columns cannot be told, with the faults in `log`."""
    match path.suffix:
        case ".jsonl":
            return _read_jsonl(path, columns, log)
        case ".parquet":
            return _read_parquet(path, columns, log)
        case _:
            return _read_csv(path, columns, log)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """The rows of a file that are as wide as its header, column by column; `lines`: where they start, the header first.

    `complete`: there are no others.
    """

    header: Sequence[str]
    cells: Sequence[list[str]]
    lines: Sequence[int]
    complete: bool = True


def _read_csv(path: Path, columns: Columns, log: FaultLog) -> Table | None:
    text = read_text(path, log)
    grid = None if text is None else _split_plain(text) or _read_grid(text, columns, log)
    if grid is None:
        return None
    header = grid.header
    places = [Place(line=grid.lines[0], column=i, field=name or None) for i, name in enumerate(header, start=1)]
    check_header(header, places, columns, log)
    by_name = dict(zip(header[::-1], grid.cells[::-1], strict=True))  # of a repeated one the first
    return Table(
        log=log,
        columns={name: by_name[name] for name in dict.fromkeys(header) if columns.has(name)},
        numbers={name: number for number, name in reversed(list(enumerate(header, start=1)))},
        lines=grid.lines[1:],
        complete=grid.complete,
    )


def _split_plain(text: str) -> _Grid | None:
    """A table in which commas and line breaks do nothing but part cells, read several times as fast as by `csv`; None
    for any other, such as one with quotes, blank lines or rows of several widths.
    """
    text = text.replace("\r\n", "\n") if "\r" in text else text
    first = text.find("\n")
    header = text[: max(0, first)].split(",")
    width, longest = len(header), csv.field_size_limit()
    if width == 1 or '"' in text or "\r" in text or first > longest:
        return None
    cells: list[list[str]] = [[] for _ in header]
    at, end = first + 1, len(text) - text.endswith("\n")
    while at < end:
        after = text.find("\n", at + PLAIN_BLOCK, end)
        until = after if after >= 0 else end
        rows = text[at:until].split("\n")
        if any(row.count(",") != width - 1 or len(row) > longest for row in rows):
            return None
        joined = ",".join(rows).split(",")
        for number, column in enumerate(cells):
            column.extend(map(sys.intern, joined[number::width]))
        at = until + 1
    return _Grid(header=header, cells=cells, lines=range(1, len(cells[0]) + 2))


def _read_grid(text: str, columns: Columns, log: FaultLog) -> _Grid | None:
    rows, lines = _csv_rows(text, log)
    if not rows or (len(log) and not columns.has(rows[0][0])):
        return None  # there is no header, or it is not valid CSV itself: nothing below it can be judged
    complete = not len(log)
    if any(len(row) != len(rows[0]) for row in rows):
        complete = False
        rows, lines = _fitting_rows(rows, lines, log)
    cells = [list(map(sys.intern, column[1:])) for column in zip(*rows, strict=True)]
    return _Grid(header=rows[0], cells=cells, lines=lines, complete=complete)


def _fitting_rows(
    rows: Sequence[list[str]], lines: Sequence[int], log: FaultLog
) -> tuple[list[list[str]], Sequence[int]]:
    """The rows as wide as the header, the first one; the others are faulted."""
    width = len(rows[0])
    kept: list[list[str]] = []
    kept_lines: list[int] = []
    for row, line in zip(rows, lines, strict=True):
        if len(row) == width:
            kept.append(row)
            kept_lines.append(line)
        else:
            place = Place(line=line, column=min(len(row), width) + 1)
            log.add(f"{len(row)} fields where the header has {width}.", place)
    return kept, kept_lines


def _csv_rows(text: str, log: FaultLog) -> tuple[list[list[str]], Sequence[int]]:
    """Every row that is not blank and the line where it starts. The quick way holds for plain files."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error:
        rows = []
    if len(rows) == reader.line_num and all(rows):
        return rows, range(1, len(rows) + 1)
    return _csv_rows_one_by_one(text, log)


def _csv_rows_one_by_one(text: str, log: FaultLog) -> tuple[list[list[str]], list[int]]:
    """As `_csv_rows`; a row that is not valid CSV is faulted, and reading goes on after it."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return rows, lines
        except csv.Error as error:
            log.add(f"Not valid CSV: {error}.", Place(line=line, column=1))
            continue
        if row:
            rows.append(row)
            lines.append(line)


def check_header(header: Sequence[str], places: Sequence[Place], columns: Columns, log: FaultLog) -> None:
    """Fault unknown, repeated and missing columns; a mistyped one counts once, with the name it stands for."""
    missing = [name for name in columns.required if name not in header]
    known = Names((*columns.required, *columns.optional))
    seen: set[str] = set()
    for name, place in zip(header, places, strict=True):
        if name in seen:
            log.add(f"Column {quote(name)} stands here twice.", place)
        elif not columns.has(name):
            near = _near_column(name, columns, Names(missing), known)
            if near in missing:
                missing.remove(near)
            log.add(
                f"Column {quote(name)} is unknown.{_prefix_hint(columns)}",
                place,
                wrong=name,
                known=Names([near]) if near else None,
            )
        seen.add(name)
    for name in missing:
        log.add(f"Column {quote(name)} is missing.", Place(line=places[0].line if places else None, field=name))


def _near_column(name: str, columns: Columns, missing: Names, known: Names) -> str | None:
    head, dot, tail = name.partition(".")
    if dot and columns.prefix and is_name(tail) and Names([columns.prefix[:-1]]).nearest(head):
        return columns.prefix + tail
    return missing.nearest(name) or known.nearest(name)


def _prefix_hint(columns: Columns) -> str:
    return f" A version stands in a column {columns.prefix}NAME." if columns.prefix else ""


def _read_jsonl(path: Path, columns: Columns, log: FaultLog) -> Table | None:
    text = read_text(path, log)
    if text is None:
        return None
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    texts: list[str] = []
    blank = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            blank += 1
            continue
        row = _jsonl_row(line, number, log)
        if row is not None:
            rows.append(row)
            lines.append(number)
            texts.append(line)
    first: dict[str, Place] = {}
    for row, number, line in zip(rows, lines, texts, strict=True):
        for name in row.keys() - first.keys():
            first[name] = Place(line=number, column=key_column(line, name), field=name)
    header = sorted(first, key=lambda name: (first[name].line or 0, first[name].column or 0))
    complete = len(rows) + blank == text.count("\n") + 1
    if rows:
        check_header(header, [first[name] for name in header], columns, log)
    return Table(
        log=log,
        columns={name: [sys.intern(row.get(name, "")) for row in rows] for name in header if columns.has(name)},
        numbers={name: number for number, name in enumerate(header, start=1)},
        lines=lines,
        texts=texts,
        complete=complete,
    )


def _jsonl_row(text: str, number: int, log: FaultLog) -> dict[str, str] | None:
    start = Place(line=number, column=1)
    try:
        pairs = load_json(text)
    except json.JSONDecodeError as error:
        log.add(f"Not valid JSON: {error.msg}.", Place(line=number, column=error.colno))
        return None
    except (ValueError, RecursionError):
        log.add("Not valid JSON: a number out of range, or nested too deeply.", start)
        return None
    if not isinstance(pairs, Pairs):
        log.add("Each line holds one object in braces.", start)
        return None
    row: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, str) and name not in row:  # nearly always; places are worked out for the rest only
            row[name] = value
            continue
        place = Place(line=number, column=key_column(text, name), field=name)
        if name in row:
            log.add(f"Key {quote(name)} stands here twice.", place)
        row[name] = _cell(value, place, log)
    return row


def _cell(value: object, place: Place, log: FaultLog) -> str:
    """The text that CSV would hold. A number with a point may have lost digits (3.10 is 3.1), so it is refused."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            log.add(f'{value} is a number, which loses trailing zeros: write it in quotes, such as "{value}".', place)
        case _:
            log.add("A list or an object where one text belongs.", place)
    return ""


def _read_parquet(path: Path, columns: Columns, log: FaultLog) -> Table | None:
    from fermata.formats import parquet  # noqa: PLC0415 - pyarrow takes a third of a second to load; most read CSV

    raw = parquet.read_columns(path, log)
    if raw is None:
        return None
    header = [name for name, _ in raw]
    numbers = {name: number for number, name in enumerate(header, start=1)}
    check_header(header, [Place(column=numbers[name], field=name) for name in header], columns, log)
    cells: dict[str, list[str]] = {}
    for name, values in raw:
        if columns.has(name):
            texts = (
                value
                if isinstance(value, str)
                else _cell(value, Place(line=row, column=numbers[name], field=name), log)
                for row, value in enumerate(values, start=1)
            )
            cells[name] = [sys.intern(text) for text in texts]
    rows = len(raw[0][1]) if raw else 0
    return Table(log=log, columns=cells, numbers=numbers, lines=range(1, rows + 1))
