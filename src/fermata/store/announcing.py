"""Announcements on record: a line in the journal each, out of which the notices come in the same transaction."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fermata.domain.announcements import Announcement, says_something
from fermata.domain.notices import Change
from fermata.store import journal, outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What came of an announcement. `said` False: it said what was said already, and nobody is told again. `notices`:
    what was written for whom; none when nobody subscribed to it.
    """

    said: bool
    notices: tuple[str, ...] = ()


def announce_in(conn: Connection, message: Announcement, *, now: datetime, actor: str, why: str = "") -> Announced:
    """Tells everybody who subscribed, once the caller's transaction is committed. Saying the same again is harmless."""
    line = journal.read_last(conn, message.about)
    last = None
    if line is not None:
        last = Change(
            at=line.at, actor=line.actor, event=line.event, subject=line.subject, why=line.why, data=line.data
        )
    if not says_something(message, last):
        return Announced(said=False)
    before = outbox.latest_notice(conn)
    entry = journal.Entry(
        at=now, actor=actor, event=message.event, subject=message.about, why=why, data=message.to_data()
    )
    journal.append(conn, entry)
    return Announced(said=True, notices=tuple(notice.id for notice in outbox.notices_after(conn, before)))
