"""Pull delivery: a subscriber fetches its notices, and says of each what became of it. One transaction a call."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fermata.domain.deliveries import DeliveryState, NotNow, decide_next
from fermata.domain.ids import SubscriptionId
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.formats.event_envelopes import cloud_event
from fermata.formats.notice_events import events_of
from fermata.services.subscriptions import key_sha256
from fermata.store import outbox, subscriptions
from fermata.store.database import Connection, Database
from fermata.store.outbox import Delivery
from fermata.store.telling import mark_known

LOCK = timedelta(minutes=1)  # how long a receipt lasts, unless it is renewed: as Event Grid's default
EVENTS_MAX = 100
OPEN_MAX = 1000  # deliveries looked at of one subscription

NewId = Callable[[str], str]


class UnknownPull(Exception):
    """There is no such topic and subscription, or the key is not its own. Which of them is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One notice as an event, and the receipt to answer with. `count` is of times it was fetched, this one included."""

    lock: str
    count: int
    event: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who fetches: a topic, a subscription, and its key."""

    topic: str
    name: SubscriptionId
    key: str


def receive(db: Database, caller: Caller, events_max: int, *, now: datetime, new_id: NewId) -> tuple[Fetched, ...]:
    """What waits, in the order of its lines, locked for LOCK. A line whose first notice somebody else holds waits.

    Raises UnknownPull.
    """
    with db.begin() as conn:
        subscription = _sign_in(conn, caller)
        found: list[Fetched] = []
        held: set[str] = set()
        for each in outbox.open_deliveries(conn, subscription.id, OPEN_MAX):
            if each.next_at is not None and each.next_at > now:
                held.add(each.notice.thread)
            if each.notice.thread in held or len(found) == min(events_max, EVENTS_MAX):
                continue
            fetched = _fetch(conn, subscription, each, now, new_id)
            if fetched is not None:
                found.append(fetched)
        return tuple(found)


def _fetch(
    conn: Connection, subscription: Subscription, found: Delivery, now: datetime, new_id: NewId
) -> Fetched | None:
    """None when patience with it is over: it was fetched too often, or for too long, and never acknowledged."""
    first_at = found.first_at or now
    if found.attempt > 0:
        why = NotNow(why="it was fetched and not acknowledged")
        after = decide_next(why, attempt=found.attempt, first_at=first_at, now=now, patience=subscription.patience)
        if after.state is DeliveryState.DEAD:
            outbox.move_delivery(conn, found, DeliveryState.DEAD, next_at=None, lock=None, why=after.why)
            return None
    lock = new_id("lock")
    attempt = found.attempt + 1
    outbox.move_delivery(
        conn, found, DeliveryState.SENDING, attempt=attempt, first_at=first_at, next_at=now + LOCK, lock=lock
    )
    (event,) = events_of(found.notice, subscription.shape)
    return Fetched(lock=lock, count=attempt, event=cloud_event(event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Which receipts were good, and which were not (any more)."""

    succeeded: tuple[str, ...]
    failed: tuple[str, ...]


def acknowledge(db: Database, caller: Caller, locks: Sequence[str], *, now: datetime) -> Settled:
    """Delivered: the customer knows. Raises UnknownPull."""

    def move(conn: Connection, subscription: Subscription, found: Delivery) -> None:
        outbox.move_delivery(conn, found, DeliveryState.DELIVERED, delivered_at=now, next_at=None, lock=None, why="")
        notice = found.notice
        if subscription.stands_for(notice.customer, notice.supercomputer):
            mark_known(conn, notice, now)

    return _settle(db, caller, locks, now, move)


def reject(db: Database, caller: Caller, locks: Sequence[str], *, now: datetime) -> Settled:
    """Dead: the subscriber cannot make anything of it. Raises UnknownPull."""

    def move(conn: Connection, _subscription: Subscription, found: Delivery) -> None:
        outbox.move_delivery(conn, found, DeliveryState.DEAD, next_at=None, lock=None, why="the subscriber rejected it")

    return _settle(db, caller, locks, now, move)


def release(db: Database, caller: Caller, locks: Sequence[str], *, after: timedelta, now: datetime) -> Settled:
    """To be fetched again after a while. Raises UnknownPull."""

    def move(conn: Connection, _subscription: Subscription, found: Delivery) -> None:
        outbox.move_delivery(
            conn, found, DeliveryState.PENDING, next_at=now + after, lock=None, why="the subscriber released it"
        )

    return _settle(db, caller, locks, now, move)


def renew(db: Database, caller: Caller, locks: Sequence[str], *, now: datetime) -> Settled:
    """Held for another LOCK. Raises UnknownPull."""

    def move(conn: Connection, _subscription: Subscription, found: Delivery) -> None:
        outbox.move_delivery(conn, found, DeliveryState.SENDING, next_at=now + LOCK)

    return _settle(db, caller, locks, now, move)


def _settle(
    db: Database,
    caller: Caller,
    locks: Sequence[str],
    now: datetime,
    move: Callable[[Connection, Subscription, Delivery], None],
) -> Settled:
    with db.begin() as conn:
        subscription = _sign_in(conn, caller)
        held = {
            each.lock: each
            for each in outbox.open_deliveries(conn, subscription.id, OPEN_MAX)
            if each.lock is not None and each.next_at is not None and each.next_at > now
        }
        good = tuple(dict.fromkeys(lock for lock in locks if lock in held))
        for lock in good:
            move(conn, subscription, held[lock])
        return Settled(succeeded=good, failed=tuple(dict.fromkeys(lock for lock in locks if lock not in held)))


def _sign_in(conn: Connection, caller: Caller) -> Subscription:
    given = key_sha256(caller.key)
    for found in subscriptions.load_subscriptions(conn).values():
        if (
            found.channel is ChannelKind.PULL
            and found.id.lower() == caller.name.lower()
            and str(found.target["topic"]).lower() == caller.topic.lower()
            and hmac.compare_digest(str(found.target["key_sha256"]), given)
        ):
            return found
    raise UnknownPull
