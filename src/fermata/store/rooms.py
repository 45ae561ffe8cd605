"""What was said in the rooms of windows, a row for each line. Rows are never changed: the database forbids it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
)

from fermata.domain.ids import RunId, WindowId
from fermata.domain.room import Answer, Bridge, Go, Handover, Message, Note, RoomLine, Said
from fermata.store.asking import ask
from fermata.store.codec import from_plain, to_plain
from fermata.store.cut_rooms import cut_line
from fermata.store.parts import part_of
from fermata.store.schema import Json, Sequence64, UtcTime, metadata

KINDS: dict[str, type[Said]] = {
    "message": Message,
    "answer": Answer,
    "go": Go,
    "note": Note,
    "handover": Handover,
    "bridge": Bridge,
}
_NAMES = {kind: name for name, kind in KINDS.items()}

room_line = Table(
    "room_line",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("window", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("number", Integer, nullable=True),  # of a message in its room: none is told twice
    Column("body", Json, nullable=False),
    UniqueConstraint("run", "window", "number"),
    Index("ix_room_line_run_window", "run", "window", "seq"),
    sqlite_autoincrement=True,
)

_RUN = bindparam("of_run", type_=String)
_LINES = (
    select(room_line)
    .where(room_line.c.run == _RUN, room_line.c.window == bindparam("of_window", type_=String))
    .order_by(room_line.c.seq)
)
_GO = select(room_line).where(room_line.c.run == _RUN, room_line.c.kind == "go").order_by(room_line.c.seq)
_LAST = (
    select(room_line.c.window, func.max(room_line.c.number).label("number"))
    .where(room_line.c.run == _RUN, room_line.c.kind == "message")
    .group_by(room_line.c.window)
    .subquery()
)
_LAST_MESSAGES = select(room_line).join(
    _LAST,
    (room_line.c.window == _LAST.c.window) & (room_line.c.number == _LAST.c.number) & (room_line.c.run == _RUN),
)


def append_line(conn: Connection, line: RoomLine) -> RoomLine:
    """Adds one line. Returns it with its seq."""
    what = line.what
    row = {
        "run": line.run,
        "window": line.window,
        "at": line.at,
        "actor": line.actor,
        "kind": _NAMES[type(what)],
        "number": what.number if isinstance(what, Message) else None,
        "body": to_plain(what),
    }
    result = conn.execute(insert(room_line).values(row))
    assert result.inserted_primary_key is not None
    return replace(line, seq=int(result.inserted_primary_key[0]))


def load_lines(conn: Connection, run: RunId, window: WindowId) -> Sequence[RoomLine]:
    """All lines of one room, oldest first."""
    return _read(conn, _LINES, of_run=run, of_window=window)


def last_messages(conn: Connection, run: RunId) -> dict[WindowId, Message]:
    """The last message of every room of a run."""
    found = _read(conn, _LAST_MESSAGES, of_run=run)
    return {line.window: line.what for line in found if isinstance(line.what, Message)}


def go_words(conn: Connection, run: RunId) -> dict[tuple[WindowId, str], RoomLine]:
    """The newest go or no-go of each window and topic of a run."""
    found = _read(conn, _GO, of_run=run)
    return {(line.window, line.what.topic): line for line in found if isinstance(line.what, Go)}


def _read(conn: Connection, query: Select[Any], **given: str) -> list[RoomLine]:
    """The lines that it selects; for who sees a part of the fleet, of rooms in sight, as they are told there."""
    part = part_of(conn)
    if part is None:
        return [_line(row) for row in ask(conn, query, **given)]
    seen = {row.seq for row in ask(conn, query, **given)}
    tell = part.teller()
    return [cut_line(line, tell) for line in part.read(lambda whole: _read(whole, query, **given)) if line.seq in seen]


def _line(row: Any) -> RoomLine:
    return RoomLine(
        run=RunId(row.run),
        window=WindowId(row.window),
        at=row.at,
        actor=row.actor,
        what=from_plain(KINDS[row.kind], row.body),
        seq=row.seq,
    )
