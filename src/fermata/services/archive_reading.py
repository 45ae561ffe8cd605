"""Reads archives of the journal: whether each is what was written, and how they follow each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from fermata.domain.archives import Head
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import AuditCode, Code, Reason, reason
from fermata.formats import archives, checkpoints
from fermata.store import cuts, journal

Told = Callable[[int, int], None]
TELL_EVERY = 10_000  # lines


@dataclass(kw_only=True)
class Points:
    """Checkpoints by their line, and what speaks against those that were met."""

    by_seq: dict[int, list[Checkpoint]] = field(default_factory=dict)
    unmet: list[Reason] = field(default_factory=list)

    @classmethod
    def of(cls, points: Sequence[Checkpoint]) -> "Points":
        """None is met yet."""
        made = cls()
        for point in points:
            made.by_seq.setdefault(point.seq, []).append(point)
        return made

    def meet(self, seq: int, carried: bytes) -> None:
        """Compares what was signed of a line with what it carries."""
        for point in self.by_seq.pop(seq, ()):
            if point.head != carried.hex():
                self.unmet.append(reason(Code.CHECKPOINT_UNMET, seq=seq, at=f"{point.at:%Y-%m-%d %H:%MZ}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArchive:
    """An archive whose lines fit."""

    file: Path
    head: Head
    sha256: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """The archives that hold, oldest first, and what is wrong with others or between them."""

    read: tuple[ReadArchive, ...]
    wrong: tuple[Reason, ...]


def read_all(files: Sequence[Path], key: Path | None, points: Points, told: Told) -> Archived:
    """Reads every line of every archive. `key`: the public one that has to have signed them; None: nobody asks."""
    found: list[ReadArchive] = []
    wrong: list[Reason] = []
    for file in files:
        try:
            head = archives.read_head(file)
            if key is not None and not checkpoints.is_signed(head.point, head.signature, key):
                wrong.append(reason(AuditCode.ARCHIVE_UNSIGNED, file=file, key=key))
                continue
            lines, broken = _walk(file, head, points, told)
        except archives.BadArchive as bad:
            wrong.append(reason(AuditCode.ARCHIVE_UNREADABLE, file=file, why=bad))
            continue
        if broken is not None:
            wrong.append(broken)
        else:
            found.append(ReadArchive(file=file, head=head, sha256=archives.digest_of(file), lines=lines))
    found.sort(key=lambda archive: archive.head.first)
    return Archived(read=tuple(found), wrong=(*wrong, *_find_gaps(found)))


def _walk(file: Path, head: Head, points: Points, told: Told) -> tuple[int, Reason | None]:
    """How many lines fit, and the first that does not."""
    seq, previous = head.first - 1, bytes.fromhex(head.previous)
    for row in archives.read_lines(file):
        try:
            line = cuts.from_plain(row)
            carried = journal.hash_of(line.entry, previous)
        except (KeyError, TypeError, ValueError) as error:
            raise archives.BadArchive(f"after line {seq} stands what is none ({error})") from error
        if line.entry.seq != seq + 1 or line.hash is None or line.hash != carried:
            return seq - head.first + 1, reason(AuditCode.ARCHIVE_CHANGED, seq=seq + 1, file=file)
        seq, previous = line.entry.seq, line.hash
        points.meet(seq, previous)
        if seq % TELL_EVERY == 0:
            told(seq, head.point.seq)
    if (seq, previous.hex()) != (head.point.seq, head.point.head):
        return seq - head.first + 1, reason(AuditCode.ARCHIVE_CHANGED, seq=seq + 1, file=file)
    return seq - head.first + 1, None


def _find_gaps(found: Sequence[ReadArchive]) -> list[Reason]:
    gaps = []
    for before, after in pairwise(found):
        ended, begins = before.head.point, after.head
        if begins.first > ended.seq + 1:
            gaps.append(reason(AuditCode.ARCHIVE_MISSING, first=ended.seq + 1, last=begins.first - 1))
        elif begins.first == ended.seq + 1 and begins.previous != ended.head:
            gaps.append(reason(AuditCode.ARCHIVE_CHANGED, seq=begins.first, file=after.file))
    return gaps
