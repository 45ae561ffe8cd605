"""The append-only journal: who changed what, when and why. The database itself forbids changing or deleting a line, and
each carries a hash that the next one takes up (`store/chain.py`).

What customers have to know of it becomes a notice in the same transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    or_,
    select,
)

from fermata.domain.notices import Change
from fermata.store.asking import ask
from fermata.store.bulk import NAMES_PER_STATEMENT, insert_rows
from fermata.store.chain import START, link
from fermata.store.cut_journal import OWN_FACTS, cut_facts
from fermata.store.parts import Told, part_of
from fermata.store.schema import Json, Sequence64, UtcTime, metadata
from fermata.store.telling import EVENTS, tell

LINES_MAX = 10_000  # of one read: bounds the memory of a reader; page on with `after_seq`

journal = Table(
    "journal",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("event", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("data", Json, nullable=False),
    Column("why", Text, nullable=False),
    Column("hash", LargeBinary, nullable=True),
    Index("ix_journal_subject", "subject", "seq"),
    sqlite_autoincrement=True,
)
_INSERT = insert(journal)
_LINE = (
    journal.c.seq,
    journal.c.at,
    journal.c.actor,
    journal.c.event,
    journal.c.subject,
    journal.c.data,
    journal.c.why,
)
_LAST = select(journal.c.seq, journal.c.hash).order_by(journal.c.seq.desc()).limit(1)
_LINKED = select(*_LINE, journal.c.hash).where(journal.c.seq > bindparam("after")).order_by(journal.c.seq)
_PAGE = _LINKED.limit(LINES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change. `event` is a fixed dotted name (`consent.approved`), `subject` the kind and name of what changed
    (`node:h100-01-n0001`), `data` JSON-ready facts, `why` the reason a person gave. `seq` is 0 until it is stored.
    """

    at: datetime
    actor: str
    event: str
    subject: str
    why: str
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Linked:
    """A line with the hash that it carries; None: nobody gave it one."""

    entry: Entry
    hash: bytes | None


def append(conn: Connection, entry: Entry) -> int:
    """Adds one line and returns its seq. Writers are serialised, so lines become visible in the order of seq."""
    (row,) = _linked(conn, [entry])
    conn.execute(_INSERT, row)
    tell(conn, [_change(entry)])
    return int(row["seq"])


def append_many(conn: Connection, entries: Iterable[Entry]) -> None:
    """Adds lines in the order given."""
    lines = list(entries)
    insert_rows(conn, journal, _linked(conn, lines))
    tell(conn, [_change(entry) for entry in lines if entry.event in EVENTS])


def read(conn: Connection, after_seq: int = 0, limit: int = 1000, subject: str | None = None) -> tuple[Entry, ...]:
    """Lines after `after_seq`, oldest first, at most `limit` (and LINES_MAX) of them."""
    query = select(*_LINE).where(journal.c.seq > after_seq).order_by(journal.c.seq).limit(min(limit, LINES_MAX))
    if subject is not None:
        query = query.where(journal.c.subject == subject)
    return _seen(conn, query)


def read_events(conn: Connection, events: Collection[str], after_seq: int = 0) -> Iterator[Entry]:
    """Every line of one of these events after `after_seq`, oldest first, a batch at a time."""
    query = _of_events(tuple(sorted(events)))
    while lines := [_from_row(row) for row in ask(conn, query, after=after_seq)]:
        yield from lines
        if len(lines) < LINES_MAX:
            return
        after_seq = lines[-1].seq


@lru_cache(maxsize=16)  # those who ask have each their own few events
def _of_events(events: tuple[str, ...]) -> Select[Any]:
    asked = (journal.c.event.in_(events), journal.c.seq > bindparam("after"))
    return select(*_LINE).where(*asked).order_by(journal.c.seq).limit(LINES_MAX)


def read_latest(
    conn: Connection, subject: str | None, limit: int, *, before_seq: int | None = None
) -> tuple[Entry, ...]:
    """The last lines about a subject, or of all, the newest first; `before_seq`: those before that line."""
    query = select(*_LINE).order_by(journal.c.seq.desc()).limit(min(limit, LINES_MAX))
    if subject is not None:
        query = query.where(journal.c.subject == subject)
    if before_seq is not None:
        query = query.where(journal.c.seq < before_seq)
    return _seen(conn, query)


def _seen(conn: Connection, query: Select[Any]) -> tuple[Entry, ...]:
    """The lines that it selects; for who sees a part of the fleet, of each what is told there."""
    found = tuple(_from_row(row) for row in conn.execute(query))
    part = part_of(conn)
    if part is None or not found:
        return found
    tell, named = part.teller(), [line.seq for line in found if line.event in OWN_FACTS]
    whole = part.read(lambda everything: _facts(everything, named))
    return tuple(_cut(line, whole[line.seq], tell) if line.seq in whole else line for line in found)


def _cut(line: Entry, said: tuple[Mapping[str, Any], str], tell: Told) -> Entry:
    data, why = cut_facts(line.event, line.actor, said, tell)
    return replace(line, data=data, why=why)


def _facts(conn: Connection, named: Sequence[int]) -> dict[int, tuple[Mapping[str, Any], str]]:
    """What these lines say, and why."""
    found: dict[int, tuple[Mapping[str, Any], str]] = {}
    of = journal.c
    for start in range(0, len(named), NAMES_PER_STATEMENT):
        chunk = select(of.seq, of.data, of.why).where(of.seq.in_(named[start : start + NAMES_PER_STATEMENT]))
        found |= {row.seq: (row.data, row.why) for row in conn.execute(chunk)}
    return found


def read_last(conn: Connection, subject: str) -> Entry | None:
    """The last line about a subject, or None."""
    return next(iter(read_latest(conn, subject, 1)), None)


def read_linked(conn: Connection, after_seq: int) -> tuple[Linked, ...]:
    """Lines after `after_seq` with their hashes, oldest first, at most LINES_MAX of them."""
    return tuple(Linked(_from_row(row[:-1]), row[-1]) for row in ask(conn, _PAGE, after=after_seq))


def read_head(conn: Connection) -> tuple[int, bytes | None]:
    """The seq and the hash of the last line; 0 and START when there is none."""
    found = ask(conn, _LAST)
    return tuple(found[0]) if found else (0, START)


def read_first(conn: Connection) -> Entry | None:
    """The oldest line there is, or None."""
    return next(iter(read(conn, limit=1)), None)


def hash_of(entry: Entry, previous: bytes) -> bytes:
    """What this line has to carry after a line that carries `previous`."""
    return link(previous, entry.seq, entry.at, (entry.actor, entry.event, entry.subject, entry.why), entry.data)


def latest_seq(conn: Connection, kinds: Sequence[str], *, after_seq: int) -> int:
    """The seq of the last line after `after_seq` of an event of these kinds, or that: `consent` of `consent.given`."""
    of_kind = or_(*(journal.c.event.startswith(f"{kind}.", autoescape=True) for kind in kinds))
    found: int | None = conn.execute(select(func.max(journal.c.seq)).where(journal.c.seq > after_seq, of_kind)).scalar()
    return after_seq if found is None else found


def _change(entry: Entry) -> Change:
    return Change(
        at=entry.at, actor=entry.actor, event=entry.event, subject=entry.subject, why=entry.why, data=entry.data
    )


def _linked(conn: Connection, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Rows of new lines, numbered on and chained to the last one. What an edited last line carries is taken as it is:
    to find that out is for who verifies.
    """
    last, previous = read_head(conn)
    rows = []
    for seq, entry in enumerate(entries, last + 1):
        texts = (entry.actor, entry.event, entry.subject, entry.why)
        previous = link(previous or START, seq, entry.at, texts, entry.data)
        rows.append(_to_row(entry, seq, previous))
    return rows


def _to_row(entry: Entry, seq: int, carried: bytes) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": entry.at,
        "actor": entry.actor,
        "event": entry.event,
        "subject": entry.subject,
        "data": dict(entry.data),
        "why": entry.why,
        "hash": carried,
    }


def _from_row(row: Any) -> Entry:
    seq, at, actor, event, subject, data, why = row
    return Entry(seq=seq, at=at, actor=actor, event=event, subject=subject, data=data, why=why)
