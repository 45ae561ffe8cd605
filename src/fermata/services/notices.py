"""Operator verbs of notices: what was told, to whom it came, and sending it again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fermata.domain.deliveries import DeliveryState
from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.domain.notices import Notice
from fermata.domain.reasons import Code, reason
from fermata.formats.notice_words import say_notice
from fermata.services.errors import Refusal
from fermata.store import journal, outbox, subscriptions
from fermata.store.announcing import last_word
from fermata.store.database import Connection, Database
from fermata.store.outbox import Delivery

PREFIX = "ntc_"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """How far a notice is on its way to one subscription."""

    subscription: SubscriptionId
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """A notice, what it says in one line and in full, and where it went."""

    notice: Notice
    id: str
    title: str
    text: str
    deliveries: tuple[DeliveryLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePage:
    """Some notices, the newest first. `before`: what to ask for the older ones by; None when there are none."""

    notices: tuple[NoticeView, ...]
    before: int | None


def list_notices(
    db: Database,
    *,
    customers: Collection[CustomerId] = (),
    states: Collection[DeliveryState] = (),
    before: int | None = None,
    limit: int = 50,
) -> NoticePage:
    """Notices of these customers with a delivery in one of these states; none named: all."""
    with db.read() as conn:
        found: list[NoticeView] = []
        while len(found) < limit:
            batch = outbox.list_notices(conn, customers=customers, before=before, limit=limit)
            views = _views(conn, batch)
            for view in views:
                before = view.notice.seq
                if not states or any(line.state in states for line in view.deliveries):
                    found.append(view)
                if len(found) == limit:
                    break
            if len(batch) < limit:
                before = None if len(found) < limit or before == batch[-1].seq else before
                break
        return NoticePage(notices=tuple(found), before=before)


def show_notice(db: Database, name: str) -> NoticeView:
    """One of them. Raises Refusal."""
    with db.read() as conn:
        return _views(conn, [_find(conn, name)])[0]


def replay_notice(
    db: Database, name: str, *, now: datetime, actor: str, to: SubscriptionId | None = None, why: str = ""
) -> NoticeView:
    """Sends a notice again whose delivery is dead or done, as if for the first time, to one subscription or to all it
    had. Raises Refusal when there is nothing of the kind, and for a word of an announcement that is not its last: it
    would page people for what is over.
    """
    with db.begin() as conn:
        notice = _find(conn, name)
        last = last_word(conn, notice)
        if last != notice.id:
            raise Refusal(reason(Code.WORD_OUTDATED, notice=name, last=last))
        there = subscriptions.load_subscriptions(conn)
        again = [
            each
            for each in outbox.list_deliveries(
                conn, notices=[notice.seq], states=(DeliveryState.DEAD, DeliveryState.DELIVERED)
            )
            if each.subscription in there and to in (None, each.subscription)
        ]
        if not again:
            raise Refusal(reason(Code.NOTHING_TO_REPLAY, notice=name, to=f" to {to}" if to else ""))
        for each in again:
            _send_again(conn, each, now)
        data: dict[str, Any] = {"subscriptions": [each.subscription for each in again]}
        subject = f"notice:{notice.id}"
        journal.append(
            conn, journal.Entry(at=now, actor=actor, event="notice.replayed", subject=subject, why=why, data=data)
        )
        return _views(conn, [notice])[0]


def dismiss_notice(
    db: Database, name: str, *, now: datetime, actor: str, to: SubscriptionId | None = None, why: str = ""
) -> NoticeView:
    """Gives up what of a notice is dead, to one subscription or to all: nobody needs it any more, and it is kept no
    longer than others. Whom it did not reach counts as told no more than before. Raises Refusal when nothing is dead.
    """
    with db.begin() as conn:
        notice = _find(conn, name)
        found = outbox.list_deliveries(conn, notices=[notice.seq], states=(DeliveryState.DEAD,))
        dead = [each for each in found if to in (None, each.subscription)]
        if not dead:
            raise Refusal(reason(Code.NOTHING_TO_DISMISS, notice=name, to=f" to {to}" if to else ""))
        for each in dead:
            moved = outbox.move_delivery(conn, each, DeliveryState.DROPPED, next_at=None, lock=None)
            assert moved, "it was read in this transaction"
        data: dict[str, Any] = {"subscriptions": [each.subscription for each in dead]}
        subject = f"notice:{notice.id}"
        entry = journal.Entry(at=now, actor=actor, event="notice.dismissed", subject=subject, why=why, data=data)
        journal.append(conn, entry)
        return _views(conn, [notice])[0]


def _send_again(conn: Connection, found: Delivery, now: datetime) -> None:
    moved = outbox.move_delivery(
        conn, found, DeliveryState.PENDING, attempt=0, first_at=None, next_at=now, lock=None, why=""
    )
    assert moved, "it was read in this transaction"


def _find(conn: Connection, name: str) -> Notice:
    number = name.removeprefix(PREFIX)
    is_number = number.isascii() and number.isdecimal() and len(number) <= len("9223372036854775807") - 1
    found = outbox.find_notice(conn, int(number)) if is_number else None
    if found is None:
        raise Refusal(reason(Code.NOTICE_UNKNOWN, notice=name, nearest=""))
    return found


def _views(conn: Connection, notices: Collection[Notice]) -> list[NoticeView]:
    lines: dict[int, list[DeliveryLine]] = {notice.seq: [] for notice in notices}
    for each in outbox.list_deliveries(conn, notices=list(lines)):
        lines[each.notice.seq].append(_line(each))
    return [_view(notice, tuple(lines[notice.seq])) for notice in notices]


def _view(notice: Notice, lines: tuple[DeliveryLine, ...]) -> NoticeView:
    words = say_notice(notice)
    return NoticeView(notice=notice, id=notice.id, title=words.title, text=words.text, deliveries=lines)


def _line(found: Delivery) -> DeliveryLine:
    return DeliveryLine(
        subscription=found.subscription,
        state=found.state,
        attempts=found.attempt,
        next_at=found.next_at,
        delivered_at=found.delivered_at,
        why=found.why,
    )
