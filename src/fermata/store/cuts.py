"""Where the journal was cut: lines up to a cut are in an archive, and what the last of them carried anchors the rest.
The database lets those lines be deleted, and no other.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, String, Table, Text, delete, func, insert, select

from fermata.domain.archives import Cut, Head
from fermata.domain.checkpoints import Checkpoint
from fermata.store.journal import Entry, Linked, journal, read_linked
from fermata.store.schema import UtcTime, metadata

journal_cut = Table(
    "journal_cut",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("signature", Text, nullable=False),
    Column("file", String, nullable=False),
    Column("sha256", String, nullable=False),
)


def add_cut(conn: Connection, made: Cut) -> None:
    """From now on, lines up to it may go."""
    head = made.head
    row = {
        "seq": head.point.seq,
        "first": head.first,
        "previous": bytes.fromhex(head.previous),
        "head": bytes.fromhex(head.point.head),
        "at": head.point.at,
        "signature": head.signature,
        "file": made.file,
        "sha256": made.sha256,
    }
    conn.execute(insert(journal_cut).values(row))


def load_cuts(conn: Connection) -> tuple[Cut, ...]:
    """Every cut, the oldest first."""
    return tuple(_to_cut(row) for row in conn.execute(select(journal_cut).order_by(journal_cut.c.seq)))


def find_last_before(conn: Connection, at: datetime) -> int:
    """The last line before the first that is not older than `at`, and never the last there is; 0: there is none."""
    young = conn.execute(select(func.min(journal.c.seq)).where(journal.c.at >= at)).scalar()
    last = conn.execute(select(func.max(journal.c.seq))).scalar() or 0
    return min(last - 1, last if young is None else int(young) - 1)


def read_page(conn: Connection, after: int, upto: int) -> Iterator[Linked]:
    """Lines after one up to another, oldest first, at most LINES_MAX of them."""
    return (line for line in read_linked(conn, after) if line.entry.seq <= upto)


def drop_lines(conn: Connection, upto: int, limit: int) -> int:
    """Deletes the oldest lines up to one, at most `limit`. Returns how many."""
    first = conn.execute(select(func.min(journal.c.seq))).scalar()
    if first is None or first > upto:
        return 0
    last = min(upto, int(first) + limit - 1)
    return conn.execute(delete(journal).where(journal.c.seq <= last)).rowcount


def to_plain(line: Linked) -> dict[str, Any]:
    """A line as an archive has it."""
    entry = line.entry
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "event": entry.event,
        "subject": entry.subject,
        "why": entry.why,
        "data": entry.data,
        "hash": line.hash.hex() if line.hash is not None else None,
    }


def from_plain(told: dict[str, Any]) -> Linked:
    """The line back. Raises KeyError, TypeError and ValueError for what is none."""
    texts = {name: str(told[name]) for name in ("actor", "event", "subject", "why")}
    entry = Entry(seq=int(told["seq"]), at=datetime.fromisoformat(told["at"]), data=dict(told["data"]), **texts)
    return Linked(entry, bytes.fromhex(told["hash"]))


def _to_cut(row: Any) -> Cut:
    point = Checkpoint(seq=row.seq, head=row.head.hex(), at=row.at)
    head = Head(first=row.first, previous=row.previous.hex(), point=point, signature=row.signature)
    return Cut(head=head, file=row.file, sha256=row.sha256)
