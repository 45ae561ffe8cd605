"""Removes notices that were delivered long ago, a batch at a time. Delivering does so between its rounds."""

from datetime import datetime, timedelta

from fermata.store import journal, settled
from fermata.store.database import Connection, Database

ACTOR = "notices"
PACE = timedelta(days=1)  # between two lines of the journal
BATCH_MAX = 500  # notices of one transaction: whoever else writes waits no longer than for other work
SUBJECT = "outbox:notices"


def prune(database: Database, *, now: datetime, kept: timedelta) -> int:
    """Removes one batch of notices that were delivered longer ago than they are `kept`; how many it was, 0 when there
    are none.

    Once a day it is settled what goes, and journalled, with how many it is, in the transaction of the first batch.
    Killed, it goes on with that.
    """
    with database.read() as conn:
        database.look(conn)
        if not settled.has_settled(conn, _before(conn, now, kept)):
            return 0
    with database.begin() as conn:
        before = _before(conn, now, kept)
        if _is_settled_today(journal.read_last(conn, SUBJECT), now):
            return settled.drop_settled(conn, before, BATCH_MAX)
        data = {"notices": settled.count_settled(conn, before), "before": before.isoformat()}
        why = f"delivered longer ago than the {kept / timedelta(days=1):g} days that notices are kept"
        line = journal.Entry(at=now, actor=ACTOR, event="notices.pruned", subject=SUBJECT, why=why, data=data)
        journal.append(conn, line)
        return settled.drop_settled(conn, before, BATCH_MAX)


def _before(conn: Connection, now: datetime, kept: timedelta) -> datetime:
    """What was settled within the last day, else what is old by now; never younger than notices are kept."""
    last = journal.read_last(conn, SUBJECT)
    if last is not None and _is_settled_today(last, now):
        return min(datetime.fromisoformat(last.data["before"]), now - kept)
    return now - kept


def _is_settled_today(last: journal.Entry | None, now: datetime) -> bool:
    return last is not None and now < last.at + PACE
