"""Old lines of the journal, and the notices that went with them, into a file of their own: what is left stays provable
by a signed checkpoint at the cut, and nothing goes that something open needs.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fermata.domain.archives import Cut, Head, Need, find_anchor, judge_cut
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.reasons import AuditCode, reason
from fermata.domain.run_states import LIVE_RUNS
from fermata.formats.archives import write_archive
from fermata.formats.checkpoints import signature_of
from fermata.services.archive_reading import Told
from fermata.services.audit import judge_line
from fermata.services.errors import Refusal, refuse_all
from fermata.store import cuts, inventory, journal, plans, rights, runs, settled, work_orders
from fermata.store.chain import START
from fermata.store.database import Connection, Database

BATCH_MAX = 5_000  # lines of one transaction: whoever else writes waits no longer than for other work
KEPT_EVENTS = ("site.served",)  # the last line of each says what holds until the next: it is said again after a cut
EVENT, SUBJECT = "journal.archived", "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was archived: lines `first` to `last`, and notices. `sha256` is of the file's bytes."""

    file: Path
    first: int
    last: int
    notices: int
    sha256: str


def archive(  # noqa: PLR0913 - what, where to, by whose key, when and by whom
    db: Database, file: Path, before: datetime, key: Path, told: Told, *, now: datetime, actor: str
) -> Made:
    """Everything older than `before`: written, verified, signed, and then taken out of the store. Killed in between, it
    takes out the rest when it is asked again.

    Raises Refusal where something open needs some of it, a line does not fit, or there is nothing. Raises BadInput for
    a key that cannot be used.
    """
    if file.exists():
        raise Refusal(reason(AuditCode.ARCHIVE_EXISTS, file=file))
    with db.read() as conn:
        _refuse_role(conn)
        done = cuts.load_cuts(conn)
    if done:
        _drop(db, done[-1].head.point.seq, told)
    with db.read() as conn:
        refuse_all(judge_cut(list_needs(conn, now), before))
        head = _find_head(conn, before, key, now)
        notices = list(settled.read_settled(conn, before))
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        said = ({**_plain(notice), "deliveries": [_plain(sent) for sent in theirs]} for notice, theirs in notices)
        sha256 = write_archive(fresh, head, _read_fitting(db, head, told), said)
        made = Made(file=file, first=head.first, last=head.point.seq, notices=len(notices), sha256=sha256)
        fresh.rename(file)
    finally:
        fresh.unlink(missing_ok=True)
    with db.begin() as conn:
        cuts.add_cut(conn, Cut(head=head, file=file.name, sha256=sha256))
        _say_again(conn, head.point.seq, now)
        journal.append(conn, _line(made, before, now, actor))
        settled.drop_notices(conn, [int(notice["seq"]) for notice, _ in notices])
    _drop(db, head.point.seq, told)
    return made


def list_needs(conn: Connection, now: datetime) -> Iterator[Need]:
    """What is not over, with the time since when its lines have to stay."""
    for campaign in inventory.list_campaigns(conn):
        run = runs.latest_run(conn, campaign.id)
        lines = [line for line in plans.list_plans(conn, campaign.id) if line.published_at is not None]
        if not lines or (run is not None and run.state not in LIVE_RUNS):
            continue
        if run is None and all(window.end <= now for window in plans.load_plan(conn, lines[-1].id).windows):
            continue
        yield Need(what=f"Campaign {campaign.id}", since=min(line.saved_at for line in lines))
    for order in work_orders.load_open(conn).values():
        yield Need(what=f"Work order {order.id}", since=order.opened.at)


def _refuse_role(conn: Connection) -> None:
    role = rights.read_role(conn)
    if role and not rights.list_changeable(conn, ("journal",)):
        raise Refusal(reason(AuditCode.ARCHIVE_FORBIDDEN, role=role))


def _find_head(conn: Connection, before: datetime, key: Path, now: datetime) -> Head:
    first, last = journal.read_first(conn), cuts.find_last_before(conn, before)
    if first is None or last < first.seq:
        raise Refusal(reason(AuditCode.ARCHIVE_EMPTY, before=f"{before:%Y-%m-%dT%H:%MZ}"))
    anchor = find_anchor(cuts.load_cuts(conn), first.seq)
    previous = START.hex() if anchor is None else anchor.head.point.head
    (end,) = cuts.read_page(conn, last - 1, last)
    point = Checkpoint(seq=last, head=(end.hash or START).hex(), at=now)
    return Head(first=first.seq, previous=previous, point=point, signature=signature_of(point, key))


def _read_fitting(db: Database, head: Head, told: Told) -> Iterator[dict[str, Any]]:
    """The lines to archive, each judged as verifying does: what does not fit is not taken away."""
    seq, previous = head.first - 1, bytes.fromhex(head.previous)
    while seq < head.point.seq:
        with db.read() as conn:
            page = tuple(cuts.read_page(conn, seq, head.point.seq))
        for line in page:
            broken = judge_line(line, seq, previous)
            if broken is not None or line.hash is None:
                why = "" if broken is None else broken.sentence
                raise Refusal(reason(AuditCode.ARCHIVE_BROKEN, why=why))
            seq, previous = line.entry.seq, line.hash
            yield cuts.to_plain(line)
        told(seq, head.point.seq)


def _say_again(conn: Connection, last: int, now: datetime) -> None:
    for event in KEPT_EVENTS:
        line = None
        for line in journal.read_events(conn, (event,)):  # noqa: B007 - the last one
            pass
        if line is not None and line.seq <= last:
            why = f"said at line {line.seq:,}, which is archived, and still so"
            journal.append(conn, replace(line, at=now, why=why, seq=0))


def _line(made: Made, before: datetime, now: datetime, actor: str) -> journal.Entry:
    data = {
        "file": made.file.name,
        "first": made.first,
        "last": made.last,
        "notices": made.notices,
        "sha256": made.sha256,
    }
    why = f"older than {before:%Y-%m-%d %H:%MZ}"
    return journal.Entry(at=now, actor=actor, event=EVENT, subject=SUBJECT, why=why, data=data)


def _drop(db: Database, last: int, told: Told) -> None:
    """Takes out what a cut let go, a batch at a time."""
    gone = True
    while gone:
        with db.begin() as conn:
            gone = cuts.drop_lines(conn, last, BATCH_MAX) > 0
    told(last, last)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Names of columns are a kind of text that no JSON takes."""
    return {f"{name}": value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
