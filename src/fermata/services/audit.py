"""Whether the journal is what was written: every line against the hash it carries, and the chain against checkpoints
that were signed and are kept elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fermata.domain.archives import Cut, find_anchor
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import AuditCode, Code, Reason, reason
from fermata.formats.checkpoints import is_signed
from fermata.services.archive_reading import Points, ReadArchive, Told, read_all
from fermata.services.errors import Refusal
from fermata.store import cuts, journal
from fermata.store.chain import START
from fermata.store.database import Database

APPEND_ONLY = ("journal", "consent_entry", "order_word")  # the database forbids all others to change a line, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found. `lines` fit, up to line `seq`, which carries `head` (hex). `broken`: what is wrong with the line
    after it, None when there is nothing. `unmet`: what speaks against checkpoints, cuts and archives up to there.
    `begins`: the line after which the store's begin, 0 for all; `archived`: lines of archives that fit; `behind`: how
    many checkpoints are of lines that nobody gave.
    """

    lines: int
    seq: int
    head: str
    broken: Reason | None
    unmet: tuple[Reason, ...]
    begins: int = 0
    archived: int = 0
    behind: int = 0

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
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON journal_cut FROM {name};
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {name};
DO $$ BEGIN  -- who sees a part of the fleet is read for as that role
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'fermata_tenant') THEN GRANT fermata_tenant TO {name}; END IF;
END $$;
"""  # noqa: S608 - printed, not run; the name is quoted


def take_checkpoint(db: Database, *, now: datetime) -> Checkpoint:
    """What the last line carries, to be signed. Raises Refusal where there is no line."""
    with db.read() as conn:
        seq, carried = journal.read_head(conn)
    if not seq:
        raise Refusal(reason(Code.JOURNAL_EMPTY))
    return Checkpoint(seq=seq, head=(carried or START).hex(), at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is held against a journal: checkpoints, archives of its older lines, and the public key that signed all."""

    checkpoints: Sequence[Checkpoint] = ()
    archives: Sequence[Path] = ()
    key: Path | None = None


def verify(db: Database, evidence: Evidence, told: Told) -> Verified:
    """Reads every line, oldest first, up to the one that is the last now, and stops at the first that does not fit: no
    line after it proves anything. Where older lines were archived it begins after the cut, and reads the archives that
    are given. `told` hears how far it is: seq, and that of the last line.
    """
    with db.read() as conn:
        (last, _), first, made = journal.read_head(conn), journal.read_first(conn), cuts.load_cuts(conn)
    points = Points.of(evidence.checkpoints)
    archived = read_all(evidence.archives, evidence.key, points, told)
    anchor = find_anchor(made, first.seq if first is not None else 1)
    begins, head = (0, START) if anchor is None else (anchor.head.point.seq, bytes.fromhex(anchor.head.point.head))
    points.meet(begins, head)
    behind = [seq for seq in points.by_seq if seq <= begins]
    behind_points = sum(len(points.by_seq.pop(seq)) for seq in behind)
    seams = _Seams(made, archived.read)
    lines, seq, previous = 0, begins, head
    broken: Reason | None = None
    for line in _lines(db, begins, last, told):
        broken = judge_line(line, seq, previous)
        if broken is not None or line.hash is None:
            break
        lines, seq, previous = lines + 1, line.entry.seq, line.hash
        points.meet(seq, previous)
        seams.meet(seq, previous)
    if broken is None:
        left = (point for at_seq in sorted(points.by_seq) for point in points.by_seq[at_seq])
        points.unmet += (reason(Code.CHECKPOINT_BEYOND, seq=point.seq, at=_minute(point.at)) for point in left)
    unmet = (*archived.wrong, *_judge_anchor(anchor, evidence), *seams.judge(begins), *points.unmet)
    return Verified(
        lines=lines,
        seq=seq,
        head=previous.hex(),
        broken=broken,
        unmet=tuple(unmet),
        begins=begins,
        archived=sum(each.lines for each in archived.read),
        behind=behind_points,
    )


def _judge_anchor(anchor: Cut | None, evidence: Evidence) -> Iterator[Reason]:
    """Whether who holds the key made the cut that the journal begins after."""
    if anchor is None or evidence.key is None:
        return
    point = anchor.head.point
    if not is_signed(point, anchor.head.signature, evidence.key):
        yield reason(AuditCode.CUT_UNSIGNED, seq=point.seq, key=evidence.key)


class _Seams:
    """Where archives and the store meet: what each cut says its last line carries, and in which file it is."""

    def __init__(self, made: Sequence[Cut], read: Sequence[ReadArchive]) -> None:
        self._made = {cut.head.point.seq: cut for cut in made}
        self._read = read
        self._told = {*self._made, *(archive.head.point.seq for archive in read)}
        self._carried: dict[int, bytes] = {}

    def meet(self, seq: int, carried: bytes) -> None:
        """Notes what a line of the store carries, if somebody says something of it."""
        if seq in self._told:
            self._carried[seq] = carried

    def judge(self, begins: int) -> Iterator[Reason]:
        """What does not fit; `begins`: the line after which the store does."""
        for seq, cut in self._made.items():
            if seq in self._carried and self._carried[seq].hex() != cut.head.point.head:
                yield _say_cut(cut)
        for archive in self._read:
            cut_there = self._made.get(archive.head.point.seq)
            if cut_there is not None and (archive.head, archive.sha256) != (cut_there.head, cut_there.sha256):
                yield _say_cut(cut_there)
            elif cut_there is None and not self._is_carried(archive):
                point = archive.head.point
                yield reason(AuditCode.CUT_UNMET, seq=point.seq, at=_minute(point.at), file=archive.file)
        ends = max((archive.head.point.seq for archive in self._read), default=begins)
        if ends < begins:
            yield reason(AuditCode.ARCHIVE_MISSING, first=ends + 1, last=begins)

    def _is_carried(self, archive: ReadArchive) -> bool:
        """True of one whose last line stands in the store as well: of a backup that is older than the archive."""
        carried = self._carried.get(archive.head.point.seq)
        return carried is not None and carried.hex() == archive.head.point.head


def _say_cut(cut: Cut) -> Reason:
    point = cut.head.point
    return reason(AuditCode.CUT_UNMET, seq=point.seq, at=_minute(point.at), file=cut.file)


def verify_end(db: Database) -> Reason | None:
    """What is wrong with the last lines of the journal, None when nothing is: each against the one before it."""
    with db.read() as conn:
        last, _ = journal.read_head(conn)
        page = journal.read_linked(conn, max(0, last - journal.LINES_MAX))
    before = None
    for line in page:
        if before is not None and before.hash is not None:
            broken = judge_line(line, before.entry.seq, before.hash)
            if broken is not None:
                return broken
        before = line
    return None


def _lines(db: Database, seq: int, last: int, told: Told) -> Iterator[journal.Linked]:
    """All lines after one up to `last`, a page in each transaction: they never change, so no reading is held open."""
    while seq < last:
        with db.read() as conn:
            page = journal.read_linked(conn, seq)
        if not page:
            return
        yield from (line for line in page if line.entry.seq <= last)
        seq = page[-1].entry.seq
        told(min(seq, last), last)


def judge_line(line: journal.Linked, seq: int, previous: bytes) -> Reason | None:
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
