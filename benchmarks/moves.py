"""Counts the rows of units that a conductor saves, keeps the very statements that saved them, and makes the database do
those again with nothing else around: what `transitions.py` measures conductors by.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from sqlalchemy import Boolean, Connection, event

from fermata.store.bulk import COPY_FROM_ROWS
from fermata.store.database import Database
from fermata.store.journal import journal
from fermata.store.unit_ops import unit_op

MOVE, LINE = "UPDATE unit_op SET state", "INSERT INTO journal "
MOVES_AT_ONCE = "UPDATE unit_op AS held SET state"  # PostgreSQL gets the rows of a transaction as one value
LINE_COLUMNS = tuple(column.name for column in journal.c)
LATER = 10_000_000  # added to numbers of recorded lines: those that a store has of its own come before
INSERT_LINE = f"INSERT INTO journal ({', '.join(LINE_COLUMNS)}) VALUES ({', '.join('?' * len(LINE_COLUMNS))})"  # noqa: S608 - our own names
COPY_LINES = f"COPY journal ({', '.join(LINE_COLUMNS)}) FROM STDIN"
Row = Sequence[Any]


@dataclass(kw_only=True)
class Transaction:
    """The parameters of what one transaction stored of units and journal."""

    moves: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)


class Moves:
    """Listens to a database: how many rows of units its committed transactions moved, and in how many transactions.

    `keeps`: their parameters too, in `kept`; on SQLite only, where they are plain values and lines never come by COPY.
    """

    def __init__(self, database: Database, *, keeps: bool = False) -> None:
        self.moves = self.lines = self.transactions = 0
        self.kept: list[Transaction] = []
        self.statement = ""
        self._keeps = keeps
        self._open: dict[int, Transaction] = {}
        self._lock = threading.Lock()
        event.listen(database.engine, "before_cursor_execute", self._see)
        event.listen(database.engine, "commit", self._commit)
        event.listen(database.engine, "rollback", self._forget)

    def _see(self, conn: Connection, _cursor: Any, statement: str, given: Any, _context: Any, is_many: bool) -> None:
        plain = statement.replace('"', "")
        if plain.startswith(MOVES_AT_ONCE):
            self._open.setdefault(id(conn), Transaction()).moves += orjson.loads(given[0])
        elif plain.startswith((MOVE, LINE)):
            found = self._open.setdefault(id(conn), Transaction())
            into = found.moves if plain.startswith(MOVE) else found.lines
            into += given if is_many else [given]
            self.statement = statement if into is found.moves else self.statement

    def _commit(self, conn: Connection) -> None:
        found = self._open.pop(id(conn), None)
        if found is not None and found.moves:
            with self._lock:
                self.moves += len(found.moves)
                self.lines += len(found.lines)
                self.transactions += 1
                if self._keeps:
                    self.kept.append(found)

    def _forget(self, conn: Connection) -> None:
        self._open.pop(id(conn), None)


def write_recording(database: Database, moves: Moves, file: Path) -> None:
    """What was kept, with the rows of units as they were in the end."""
    with database.engine.connect() as conn:
        rows = [list(row) for row in conn.exec_driver_sql(f"SELECT {_quoted(_columns())} FROM unit_op")]  # noqa: S608 - our own names
    transactions = [{"moves": kept.moves, "lines": [_to_text(line) for line in kept.lines]} for kept in moves.kept]
    told = {"statement": moves.statement, "rows": rows, "transactions": transactions}
    file.write_bytes(orjson.dumps(told))


def _to_text(line: Row) -> Row:
    """A line of the journal as JSON has it: its hash, the last of its columns, in digits."""
    return [*line[:-1], bytes(line[-1]).hex()]


def _to_line(told: Row) -> Row:
    """The same as a driver takes it."""
    return (told[0] + LATER, *told[1:-1], bytes.fromhex(told[-1]))


def stand_ready(database: Database, file: Path) -> None:
    """Puts the recorded units into a store that knows their run: as wide as in the end, at their first version."""
    told = orjson.loads(file.read_bytes())
    columns, is_truth = _columns(), _truths(_columns())
    first: dict[int, int] = {}
    for kept in told["transactions"]:
        for *_, id_, version in kept["moves"]:
            first.setdefault(id_, version)
    rows = [_fit(row, is_truth) for row in told["rows"]]
    at, key = columns.index("version"), columns.index("id")
    given = [(*row[:at], first[row[key]], *row[at + 1 :]) for row in rows]
    marks = ", ".join("?" * len(columns))
    with Raw(database) as raw:
        raw.many(f"INSERT INTO unit_op ({_quoted(columns)}) VALUES ({marks})", given)  # noqa: S608 - our own names
        raw.commit()


def load_share(file: Path, worker: int, workers: int) -> tuple[str, list[Transaction]]:
    """What one of several workers does again: everything, or the windows that are its own, each by itself.

    Of no workers (0): transactions as one process saved them, with units of several windows in each.
    """
    told = orjson.loads(file.read_bytes())
    columns = _columns()
    window_of = {row[columns.index("id")]: row[columns.index("window")] for row in told["rows"]}
    own = sorted(set(window_of.values()))[worker::workers] if workers else []
    changed, _, _ = told["statement"].partition(" WHERE ")
    is_truth = _truths(re.findall(r'"?(\w+)"? ?= ?\?', changed))
    found: list[Transaction] = []
    for kept in told["transactions"]:
        moves: list[Row] = [_fit(row, is_truth) for row in kept["moves"]]
        lines: list[Row] = [_to_line(line) for line in kept["lines"]]
        found += _cut(moves, lines, window_of, own) if workers else [Transaction(moves=moves, lines=lines)]
    return told["statement"], found


def _cut(
    moves: Sequence[Row], lines: Sequence[Row], window_of: Mapping[int, str], own: Sequence[str]
) -> Iterator[Transaction]:
    """A transaction for each window of `own` of which there are units; lines are dealt out, whomever they are about."""
    windows = sorted({window_of[row[-2]] for row in moves})
    for turn, window in enumerate(windows):
        if window in own:
            of_window = [row for row in moves if window_of[row[-2]] == window]
            yield Transaction(moves=of_window, lines=list(lines[turn :: len(windows)]))


def replay(database: Database, statement: str, transactions: Sequence[Transaction]) -> tuple[float, float]:
    """Does all of it, one transaction after the other: began and ended, on the clock that processes share."""
    with Raw(database) as raw:
        began = time.monotonic()
        for kept in transactions:
            raw.begin()
            raw.many(statement, kept.moves)
            raw.add_lines(kept.lines)
            raw.commit()
        return began, time.monotonic()


class Raw:
    """A connection as the store has it, settings included, without SQLAlchemy and the turns of writers."""

    def __init__(self, database: Database) -> None:
        self._is_sqlite = database.engine.dialect.name == "sqlite"
        self._connection = database.engine.raw_connection()
        self._cursor = self._connection.cursor()

    def __enter__(self) -> Self:
        if not self._is_sqlite:
            self._cursor.execute("SET TIME ZONE 'UTC'")
            self.commit()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def begin(self) -> None:
        """PostgreSQL's driver does so by itself."""
        if self._is_sqlite:
            self._cursor.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """On SQLite nothing that was not begun."""
        self._connection.commit()

    def many(self, statement: str, rows: Sequence[Row]) -> None:
        """The statement, written for SQLite, once a row. Every one has to find its row."""
        if not rows:
            return
        self._cursor.executemany(statement if self._is_sqlite else statement.replace("?", "%s"), rows)
        assert self._cursor.rowcount == len(rows), f"{self._cursor.rowcount} of {len(rows)} rows"

    def add_lines(self, lines: Sequence[Row]) -> None:
        """The way the store does."""
        if self._is_sqlite or len(lines) < COPY_FROM_ROWS:
            self.many(INSERT_LINE, lines)
            return
        driver: Any = self._cursor
        with driver.copy(COPY_LINES) as copy:
            for line in lines:
                copy.write_row(line)


def _columns() -> list[str]:
    return [column.name for column in unit_op.c]


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _truths(names: Sequence[str]) -> frozenset[int]:
    """At which places of a row PostgreSQL wants true or false."""
    return frozenset(at for at, name in enumerate(names) if name in unit_op.c and _is_truth(name))


def _is_truth(name: str) -> bool:
    return isinstance(unit_op.c[name].type, Boolean)


def _fit(row: Row, truths: frozenset[int]) -> tuple[Any, ...]:
    return tuple([bool(v) if at in truths and v is not None else v for at, v in enumerate(row)])
