"""Archives of the journal: where it was cut, and what still needs lines before a cut."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.audit_codes import AuditCode
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import Reason, reason

SCHEMA = "fermata.archive/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an archive says of itself: lines `first` to that of `point`, the first after one that carried `previous`
    (hex). `signature` (base64) is over the checkpoint of the last line.
    """

    first: int
    previous: str
    point: Checkpoint
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Lines up to that of `head` went into `file`, whose bytes have the SHA-256 `sha256` (hex)."""

    head: Head
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that is not over: it needs every line from `since` on."""

    what: str
    since: datetime


def judge_cut(needs: Iterable[Need], before: datetime) -> tuple[Reason, ...]:
    """Why lines before a time have to stay: one reason for each thing that needs some of them."""
    return tuple(
        reason(AuditCode.ARCHIVE_NEEDED, what=need.what, since=f"{need.since:%Y-%m-%dT%H:%MZ}")
        for need in needs
        if need.since < before
    )


def find_anchor(cuts: Iterable[Cut], first_seq: int) -> Cut | None:
    """The cut that a journal begins after whose oldest line is `first_seq`; None: it begins with its first line, or
    lines before it are gone that nobody archived. Lines that a cut let go and that are still there are before it.
    """
    if first_seq <= 1:
        return None
    return min((cut for cut in cuts if cut.head.point.seq >= first_seq - 1), key=_seq, default=None)


def _seq(cut: Cut) -> int:
    return cut.head.point.seq
