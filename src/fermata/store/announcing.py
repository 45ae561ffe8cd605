"""Announcements on record: a line in the journal each, out of which the notices come in the same transaction."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from fermata.domain.announcements import Announcement, says_something
from fermata.domain.ids import ClusterId
from fermata.domain.notices import OF_INCIDENTS, Change, Notice
from fermata.store import inventory, journal, outbox

NAMES_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What came of an announcement. `said` False: it said what was said already, and nobody is told again. `notices`:
    what was written; whom it reaches, their deliveries say.
    """

    said: bool
    notices: tuple[str, ...] = ()


def announce_in(conn: Connection, message: Announcement, *, now: datetime, actor: str, why: str = "") -> Announced:
    """Tells everybody who subscribed, once the caller's transaction is committed. Saying the same again is harmless."""
    if not says_something(message, read_word(conn, message.about)):
        return Announced(said=False)
    before = outbox.latest_notice(conn)
    announce_all_in(conn, [message], now=now, actor=actor, why=why)
    return Announced(said=True, notices=tuple(notice.id for notice in outbox.notices_after(conn, before)))


def read_word(conn: Connection, about: str) -> Change | None:
    """The last that was announced of it; None: nothing yet."""
    line = journal.read_last(conn, about)
    if line is None:
        return None
    return Change(at=line.at, actor=line.actor, event=line.event, subject=line.subject, why=line.why, data=line.data)


def announce_all_in(
    conn: Connection, messages: Iterable[Announcement], *, now: datetime, actor: str, why: str = ""
) -> None:
    """Tells all of it, whatever was said before."""
    lines = [
        journal.Entry(at=now, actor=actor, event=each.event, subject=each.about, why=why, data=each.to_data())
        for each in messages
    ]
    journal.append_many(conn, lines)


def find_deliveries(conn: Connection, subjects: Iterable[str]) -> dict[str, list[outbox.Delivery]]:
    """By subject: the deliveries of its notices, none where nobody hears; what has no notice is absent."""
    asked = sorted(set(subjects))
    found: dict[str, list[outbox.Delivery]] = {}
    for start in range(0, len(asked), NAMES_PER_STATEMENT):
        chunk = asked[start : start + NAMES_PER_STATEMENT]
        table = outbox.notice
        rows = conn.execute(select(table.c.seq, table.c.subject).where(table.c.subject.in_(chunk))).all()
        found |= {row.subject: [] for row in rows}
        for each in outbox.list_deliveries(conn, notices=[row.seq for row in rows], limit=outbox.DELIVERIES_MAX):
            found[each.notice.subject].append(each)
    return found


def clusters_of(conn: Connection, units: Iterable[str]) -> dict[str, ClusterId]:
    """Where these nodes and devices stand; what is in no fleet is absent."""
    asked = sorted(set(units))
    found: dict[str, ClusterId] = {}
    for start in range(0, len(asked), NAMES_PER_STATEMENT):
        chunk = asked[start : start + NAMES_PER_STATEMENT]
        for table in (inventory.device, inventory.node):
            query = select(table.c.name, table.c.cluster).where(table.c.name.in_(chunk))
            found |= {row.name: ClusterId(row.cluster) for row in conn.execute(query)}
    return found


def clusters_of_racks(conn: Connection, racks: Iterable[str]) -> dict[str, frozenset[ClusterId]]:
    """The clusters that have nodes in each of these racks; a rack that nobody knows is absent."""
    asked = sorted(set(racks))
    found: dict[str, frozenset[ClusterId]] = {}
    columns = (inventory.node.c.rack, inventory.node.c.cluster)
    for start in range(0, len(asked), NAMES_PER_STATEMENT):
        chunk = asked[start : start + NAMES_PER_STATEMENT]
        for row in conn.execute(select(*columns).where(inventory.node.c.rack.in_(chunk)).distinct()):
            found[row.rack] = found.get(row.rack, frozenset()) | {ClusterId(row.cluster)}
    return found


def racks_of(conn: Connection, clusters: Iterable[ClusterId]) -> frozenset[str]:
    """The racks that nodes of these clusters stand in."""
    of = inventory.node.c
    return frozenset(conn.execute(select(of.rack).where(of.cluster.in_(sorted(clusters))).distinct()).scalars())


def last_word(conn: Connection, of: Notice) -> str:
    """The id of the last notice of an announcement to the same receivers; of what is none, its own."""
    if of.kind not in OF_INCIDENTS:
        return of.id
    table = outbox.notice
    same = (table.c.subject == of.subject, table.c.customer == of.customer)
    seq: int = conn.execute(select(func.max(table.c.seq)).where(*same)).scalar_one()
    return replace(of, seq=seq).id
