"""Notices that were delivered long ago and that nobody needs any more: which they are, and how they go."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from fermata.domain.deliveries import OPEN, DeliveryState
from fermata.domain.notices import ASKING, ENDING, OF_INCIDENTS, NoticeKind
from fermata.store.bulk import NAMES_PER_STATEMENT
from fermata.store.outbox import delivery, notice
from fermata.store.subscriptions import subscription as subscription_table

_SEQ_MAX = 2**63 - 1
_OF_REQUESTS = sorted(kind.value for kind in (*ASKING, NoticeKind.REQUEST_CLOSED))

_FOLLOWING = [*_OF_REQUESTS, *sorted(kind.value for kind in OF_INCIDENTS)]
_FOLLOWED = [kind for kind in (*_FOLLOWING, NoticeKind.REQUEST_OVERDUE.value) if kind not in ENDING]
_OPEN = sorted(state.value for state in OPEN)


def has_settled(conn: Connection, before: datetime) -> bool:
    """True when `drop_settled` would remove something."""
    return conn.execute(select(notice.c.seq).where(*_settled(before)).limit(1)).first() is not None


def count_settled(conn: Connection, before: datetime) -> int:
    """How many notices `drop_settled` would remove."""
    return int(conn.execute(select(func.count()).select_from(notice).where(*_settled(before))).scalar_one())


def drop_settled(conn: Connection, before: datetime, limit: int) -> int:
    """Removes the oldest notices, at most `limit`, that were written and delivered before `before`, with their
    deliveries. Returns how many.

    What is on its way stays, what is dead as long as it can be replayed, and the last that was said of each request
    and of each incident that is open: who subscribes later is told by it, and that it is overdue is not told again.
    Since when customers know is kept apart, and stays whatever goes.
    """
    found = list(conn.scalars(select(notice.c.seq).where(*_settled(before)).order_by(notice.c.seq).limit(limit)))
    drop_notices(conn, found)
    return len(found)


def read_settled(conn: Connection, before: datetime) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each notice that `drop_settled` would remove, oldest first, as it is stored, with its deliveries."""
    found = conn.execute(select(notice).where(*_settled(before)).order_by(notice.c.seq)).mappings().all()
    for first in range(0, len(found), NAMES_PER_STATEMENT):
        page = found[first : first + NAMES_PER_STATEMENT]
        theirs: dict[int, list[dict[str, Any]]] = {row["seq"]: [] for row in page}
        sent = select(delivery).where(delivery.c.notice.in_(sorted(theirs))).order_by(delivery.c.id)
        for row in conn.execute(sent).mappings():
            theirs[row["notice"]].append(dict(row))
        yield from ((dict(row), theirs[row["seq"]]) for row in page)


def drop_notices(conn: Connection, seqs: Sequence[int]) -> None:
    """Removes these, with their deliveries."""
    for first in range(0, len(seqs), NAMES_PER_STATEMENT):
        some = seqs[first : first + NAMES_PER_STATEMENT]
        conn.execute(delete(delivery).where(delivery.c.notice.in_(some)))
        conn.execute(delete(notice).where(notice.c.seq.in_(some)))


def _settled(before: datetime) -> tuple[ColumnElement[bool], ...]:
    first_young = select(notice.c.seq).where(notice.c.at >= before).order_by(notice.c.seq).limit(1).scalar_subquery()
    later = notice.alias("later")
    is_followed = select(later.c.seq).where(
        later.c.customer == notice.c.customer,
        later.c.subject == notice.c.subject,
        later.c.kind.in_(_FOLLOWING),
        later.c.seq > notice.c.seq,
    )
    can_be_replayed = and_(
        delivery.c.state == DeliveryState.DEAD.value, delivery.c.subscription.in_(select(subscription_table.c.id))
    )
    needed = or_(delivery.c.state.in_(_OPEN), can_be_replayed, delivery.c.delivered_at >= before)
    is_needed = select(delivery.c.id).where(delivery.c.notice == notice.c.seq, needed)
    return (
        notice.c.seq < func.coalesce(first_young, _SEQ_MAX),  # so that the young ones are not even looked at
        notice.c.at < before,
        or_(notice.c.kind.not_in(_FOLLOWED), is_followed.exists()),
        ~is_needed.exists(),
    )
