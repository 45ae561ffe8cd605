"""Whether the journal is what was written: every line against the hash it carries, and the chain against checkpoints
that were signed and are kept elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import Code, Reason, reason
from fermata.services.errors import Refusal
from fermata.store import journal
from fermata.store.chain import START
from fermata.store.database import Database

APPEND_ONLY = ("journal", "consent_entry", "order_word")  # the database forbids all others to change a line, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found. `lines` fit, up to line `seq`, which carries `head` (hex). `broken`: what is wrong with the line
    after it, None when there is nothing. `unmet`: what speaks against the checkpoints up to there.
    """

    lines: int
    seq: int
    head: str
    broken: Reason | None
    unmet: tuple[Reason, ...]

    @property
    def holds(self) -> bool:
        """True when nothing speaks against the journal."""
        return self.broken is None and not self.unmet


def grants_of(role: str) -> str:
    """SQL for PostgreSQL that lets a role work with the store, and take nothing back of what is append-only."""
    name = '"' + role.replace('"', '""') + '"'
    return f"""-- Run as the owner of the tables, again after each upgrade of the store.
GRANT USAGE ON SCHEMA public TO {name};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name};
REVOKE UPDATE, DELETE, TRUNCATE ON {", ".join(APPEND_ONLY)} FROM {name};
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name};
"""  # noqa: S608 - printed, not run; the name is quoted


def take_checkpoint(db: Database, *, now: datetime) -> Checkpoint:
    """What the last line carries, to be signed. Raises Refusal where there is no line."""
    with db.read() as conn:
        seq, carried = journal.read_head(conn)
    if not seq:
        raise Refusal(reason(Code.JOURNAL_EMPTY))
    return Checkpoint(seq=seq, head=(carried or START).hex(), at=now)


def verify(db: Database, checkpoints: Sequence[Checkpoint], told: Callable[[int, int], None]) -> Verified:
    """Reads every line, oldest first, up to the one that is the last now, and stops at the first that does not fit: no
    line after it proves anything. `told` hears how far it is: seq, and that of the last line.
    """
    with db.read() as conn:
        last, _ = journal.read_head(conn)
    points: dict[int, list[Checkpoint]] = {}
    for point in checkpoints:
        points.setdefault(point.seq, []).append(point)
    lines, seq, previous = 0, 0, START
    broken: Reason | None = None
    unmet: list[Reason] = []
    for line in _lines(db, last, told):
        broken = _judge(line, seq, previous)
        if broken is not None or line.hash is None:
            break
        lines, seq, previous = lines + 1, line.entry.seq, line.hash
        wrong = (point for point in points.pop(seq, ()) if point.head != previous.hex())
        unmet += (reason(Code.CHECKPOINT_UNMET, seq=seq, at=_minute(point.at)) for point in wrong)
    if broken is None:
        left = (point for at_seq in sorted(points) for point in points[at_seq])
        unmet += (reason(Code.CHECKPOINT_BEYOND, seq=point.seq, at=_minute(point.at)) for point in left)
    return Verified(lines=lines, seq=seq, head=previous.hex(), broken=broken, unmet=tuple(unmet))


def _lines(db: Database, last: int, told: Callable[[int, int], None]) -> Iterator[journal.Linked]:
    """All lines up to `last`, a page in each transaction: they never change, so no reading is held open for long."""
    seq = 0
    while seq < last:
        with db.read() as conn:
            page = journal.read_linked(conn, seq)
        if not page:
            return
        yield from (line for line in page if line.entry.seq <= last)
        seq = page[-1].entry.seq
        told(min(seq, last), last)


def _judge(line: journal.Linked, seq: int, previous: bytes) -> Reason | None:
    """Why a line does not follow line `seq`, which carries `previous`; None when it does."""
    if line.hash == journal.hash_of(line.entry, previous):
        return None
    entry = line.entry
    told = {"seq": entry.seq, "event": entry.event, "subject": entry.subject, "at": _minute(entry.at)}
    if entry.seq > seq + 1:
        return reason(Code.JOURNAL_LINES_GONE, first=seq + 1, last=entry.seq - 1, **told)
    return reason(Code.JOURNAL_LINE_CHANGED, **told)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"
