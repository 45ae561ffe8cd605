"""Tables of text cells with their places, and the checks that tables share. `tablefiles` reads them."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fermata.domain.names import Names
from fermata.formats.faults import FaultLog, Place, one_of, quote
from fermata.formats.values import (
    INSTANT_RULE,
    NAME_RULE,
    TEXT_RULE,
    VERSION_RULE,
    is_name,
    is_text,
    is_version,
    parse_instant,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table. With a `prefix`, any further column `<prefix>NAME` is one too."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    prefix: str = ""

    def has(self, name: str) -> bool:
        """True for a column of this table."""
        return name in self.required or name in self.optional or self.has_prefixed(name)

    def has_prefixed(self, name: str) -> bool:
        """True for a further column that the prefix allows."""
        return bool(self.prefix) and name.startswith(self.prefix) and is_name(name[len(self.prefix) :])


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of equal length. `lines` holds the line (in Parquet: the row, from 1) where each row starts.

    `complete` is False when rows were left out because they do not fit the columns.
    """

    log: FaultLog
    columns: dict[str, list[str]]
    numbers: dict[str, int]
    lines: Sequence[int]
    texts: Sequence[str] = ()
    complete: bool = True

    def place(self, row: int, column: str) -> Place:
        """Where a cell stands; `row` counts from 0."""
        number = self.numbers[column]
        if self.texts:
            number = key_column(self.texts[row], column)
        return Place(line=self.lines[row], column=number, field=column)


def key_column(text: str, key: str) -> int:
    """Where `key` stands in one line of JSON, from 1; 1 when the line lacks it."""
    found = re.search(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text)
    return found.start() + 1 if found else 1


def _fault_cells(table: Table, column: str, is_good: Callable[[str], bool]) -> Iterable[tuple[str, Place]]:
    """Every cell of the column that is not good and has no fault yet. Each distinct value is judged once."""
    cells = table.columns.get(column, [])
    bad = {value for value in set(cells) if not is_good(value)}
    if bad:
        for row, value in enumerate(cells):
            if value in bad and not table.log.has_fault_at(place := table.place(row, column)):
                yield value, place


def check_names(table: Table, columns: Iterable[str]) -> None:
    """Fault every cell that is not a name."""
    for column in columns:
        for value, place in _fault_cells(table, column, is_name):
            table.log.add(f"{quote(value)} is not a name: {NAME_RULE}." if value else f"{column} is missing.", place)


def check_versions(table: Table, columns: Iterable[str]) -> None:
    """Fault every cell that is not a version; an empty one is unknown and fine."""
    for column in columns:
        for value, place in _fault_cells(table, column, is_version):
            table.log.add(f"{quote(value)} is not a version: {VERSION_RULE}.", place)


def check_times(table: Table, column: str) -> None:
    """Fault every cell that is not a time with its offset; an empty one says nothing and is fine."""
    for value, place in _fault_cells(table, column, lambda value: not value or parse_instant(value) is not None):
        table.log.add(f"{quote(value)} is not {INSTANT_RULE}.", place)


def check_texts(table: Table, column: str) -> None:
    """Fault every cell that is not one line of text."""
    for value, place in _fault_cells(table, column, is_text):
        table.log.add(f"{quote(value)} is not {TEXT_RULE}.", place)


def check_choice(table: Table, column: str, choices: Sequence[str]) -> None:
    """Fault every cell that is none of the choices."""
    known = Names(choices)
    for value, place in _fault_cells(table, column, known.__contains__):
        table.log.add(f"{quote(value)} is not {one_of(choices)}.", place, wrong=value, known=known)


def check_known(table: Table, column: str, known: Names, what: str) -> None:
    """Fault every cell that names nothing known; cells that are no names at all are faulted elsewhere."""
    for value, place in _fault_cells(table, column, lambda value: value in known or not is_name(value)):
        table.log.add(f"{what} {quote(value)} does not exist.", place, wrong=value, known=known)


def check_unique(table: Table, column: str) -> None:
    """Fault every cell that repeats an earlier one, naming the line of the first."""
    cells = table.columns.get(column, [])
    if len(set(cells)) == len(cells):
        return
    first: dict[str, int] = {}
    for row, value in enumerate(cells):
        if first.setdefault(value, row) != row and value:
            line = table.lines[first[value]]
            table.log.add(f"{column} {quote(value)} stands already on line {line}.", table.place(row, column))
