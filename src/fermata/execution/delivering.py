"""Delivers notices: claims what is due, sends it outside of any transaction, records what came of it, tries again.

Killed anywhere, what was claimed is tried again when its lease is over: at least once, under the same ids.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.deliveries import DeliveryState, Gone, NotNow, Outcome, decide_next
from fermata.domain.ids import StepKey, SubscriptionId
from fermata.domain.subscriptions import (
    ChannelKind,
    Greeting,
    NoConsent,
    Subscription,
    SubscriptionState,
    decide_standing,
)
from fermata.execution.hands import HANDS_MAX, Free, all_hands, choose
from fermata.execution.pruning import ACTOR, prune
from fermata.formats.parcels import pack
from fermata.ports import Channel, Clock
from fermata.store import journal, outbox, subscriptions
from fermata.store.database import Connection, Database, OtherRelease, StoreUnavailable
from fermata.store.outbox import Delivery
from fermata.store.sealing import CannotSeal
from fermata.store.telling import mark_known

LEASE = timedelta(minutes=5)  # longer than any try may take; after it, whoever made the try counts as dead
DUE_MAX = 100  # deliveries of one round: a transaction stays short
AT_ONCE_MAX = 8  # subscriptions that are written to side by side: one that is slow does not hold up the others
TRY_SECONDS = 30.0  # of what one hand sends nothing more is begun: with the slowest (240 s) it stays within LEASE
LOOK_SECONDS = 0.5
BROKEN_SECONDS = 5.0  # until the store is tried again
KEPT = timedelta(days=90)  # a quarter: as long as customers ask what they were told
PRUNE_EVERY = timedelta(hours=1)  # what grows old by the day can wait so long
CONSENT_PATH = "/notices/consent"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PostOffice:
    """What delivering needs. `public_url`: where others reach this server, None when they cannot. `kept`: how long a
    notice stays once it was delivered.
    """

    database: Database
    channels: Mapping[ChannelKind, Channel]
    clock: Clock
    public_url: str | None = None
    mail_sender: str = "fermata@localhost"
    kept: timedelta = KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round did: handshakes made, and tries by what came of them."""

    greeted: int
    delivered: int
    postponed: int
    dead: int

    @property
    def did_something(self) -> bool:
        """False when nothing was due."""
        return bool(self.greeted or self.delivered or self.postponed or self.dead)


def keep_delivering(office: PostOffice, stop: threading.Event) -> None:
    """Delivers whatever is due, and removes what was delivered long ago, until `stop` is set. Raises OtherRelease when
    the store was upgraded meanwhile.
    """
    prune_at = office.clock.now()
    with ThreadPoolExecutor(max_workers=HANDS_MAX, thread_name_prefix="fermata-notices") as pool:
        hands = _Hands(office=office, pool=pool)
        _seal(office)
        while not stop.is_set():
            try:
                busy = hands.look()
                now = office.clock.now()
                if now >= prune_at and not prune(office.database, now=now, kept=office.kept):
                    prune_at = now + PRUNE_EVERY
            except OtherRelease:
                raise
            except StoreUnavailable:
                LOG.exception("notices.store_unavailable")
                stop.wait(BROKEN_SECONDS)
                continue
            if not busy:
                stop.wait(LOOK_SECONDS)


def _seal(office: PostOffice) -> None:
    """Addresses that an older release left open in the store."""
    try:
        with office.database.begin() as conn:
            subscriptions.seal_all(conn)
    except CannotSeal:
        LOG.exception("notices.not_sealed")
    except StoreUnavailable:
        LOG.exception("notices.store_unavailable")


@dataclass(kw_only=True)
class _Hands:
    """Those at work side by side, one a subscription: a channel that hangs delays its own notices alone."""

    office: PostOffice
    pool: ThreadPoolExecutor
    at_work: dict[SubscriptionId, tuple[Subscription, Future[object]]] = field(default_factory=dict)

    def look(self) -> bool:
        """Puts hands to what is due; False when nothing was. Raises what befell one of them."""
        for name, done in [(name, work) for name, (_, work) in self.at_work.items() if work.done()]:
            del self.at_work[name]
            done.result()
        begun = 0
        for each in _claim_greetings(self.office, self._free()):
            self.at_work[each.id] = each, self.pool.submit(_greet, self.office, each)
            begun += 1
        for name, group in _by_subscription(_claim(self.office, self._free())).items():
            self.at_work[name] = group[0].subscription, self.pool.submit(_deliver, self.office, group)
            begun += 1
        return begun > 0

    def _free(self) -> Free:
        free = Free()
        for subscription, _ in self.at_work.values():
            free.take(subscription)
        return free


def deliver_round(office: PostOffice) -> Round:
    """Makes the handshakes that are due, then one try of every delivery that is."""
    greetings = _claim_greetings(office, all_hands())
    for each in greetings:
        _greet(office, each)
    states = _deliver_all(office, _by_subscription(_claim(office, all_hands())))
    return Round(
        greeted=len(greetings),
        delivered=states.count(DeliveryState.DELIVERED),
        postponed=states.count(DeliveryState.PENDING),
        dead=states.count(DeliveryState.DEAD),
    )


def prune_all(office: PostOffice) -> int:
    """Removes, batch by batch, all that was delivered longer ago than it is kept; how many notices that were."""
    removed = 0
    while found := prune(office.database, now=office.clock.now(), kept=office.kept):
        removed += found
    return removed


def _claim_greetings(office: PostOffice, free: Free) -> Sequence[Subscription]:
    """The handshakes that are due and that hands are free for; nobody else makes them meanwhile."""
    now = office.clock.now()
    with office.database.read() as conn:
        office.database.look(conn)
        if not any(free.may_take(each) for each in _due_greetings(conn, now)):
            return ()
    with office.database.begin() as conn:
        due = choose(free, _due_greetings(conn, now))
        for each in due:
            subscriptions.save_subscription(conn, replace(each, next_greeting_at=now + LEASE))
    return due


def _due_greetings(conn: Connection, now: datetime) -> list[Subscription]:
    """Those that wait longest first."""
    known = [each for each in subscriptions.load_subscriptions(conn).values() if subscriptions.is_open(each)]
    due = [(each.next_greeting_at, each) for each in known if each.next_greeting_at is not None]
    return [each for at, each in sorted(due, key=lambda found: found[0]) if at <= now]


def _greet(office: PostOffice, subscription: Subscription) -> None:
    if subscription.state is SubscriptionState.AWAITING_MANUAL:
        greeting: Greeting = NoConsent(why="nobody opened the validation address in time")
        tried = subscription.greetings
    else:
        greeting = _ask(office, subscription)
        tried = subscription.greetings + 1
    now = office.clock.now()
    standing = decide_standing(greeting, tried=tried, now=now, has_address=office.public_url is not None)
    with office.database.begin() as conn:
        current = subscriptions.load_subscriptions(conn).get(subscription.id)
        if current is None or (current.state, current.code) != (subscription.state, subscription.code):
            return  # removed, validated by hand or anew meanwhile
        after = replace(
            current,
            state=standing.state,
            state_why=standing.why,
            rate=standing.rate,
            greetings=tried,
            next_greeting_at=standing.next_greeting_at,
            manual_until=standing.manual_until,
        )
        subscriptions.save_subscription(conn, after)
        if after.state is not current.state:
            journal.append(conn, _entry(now, f"subscription.{after.state}", f"subscription:{after.id}", standing.why))


def _ask(office: PostOffice, subscription: Subscription) -> Greeting:
    address = None
    if office.public_url is not None:
        address = f"{office.public_url.rstrip('/')}{CONSENT_PATH}/{subscription.id}?code={subscription.code}"
    try:
        return office.channels[subscription.channel].greet(subscription, address)
    except Exception as error:  # one subscriber's fault must not stop the others
        LOG.exception("notices.greeting_failed", extra={"subscription": subscription.id})
        return NoConsent(why=f"the handshake failed here ({type(error).__name__})", again=True)


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A delivery whose try has begun, as it stands in the store now."""

    subscription: Subscription
    delivery: Delivery


def _claim(office: PostOffice, free: Free) -> list[_Claim]:
    """Begins a try of what is due and what hands are free for."""
    now = office.clock.now()
    with office.database.read() as conn:
        if not outbox.due_deliveries(conn, now, 1, _ready(office, conn, now, free).keys()):
            return []
    with office.database.begin() as conn:
        ready = _ready(office, conn, now, free)
        due = outbox.due_deliveries(conn, now, DUE_MAX, ready.keys())
        chosen = {each.id for each in choose(free, (ready[found.subscription] for found in due))}
        taken = [found for found in due if found.subscription in chosen]
        return [_begin(conn, ready[found.subscription], found, now) for found in _at_rate(taken, ready)]


def _ready(office: PostOffice, conn: Connection, now: datetime, free: Free) -> dict[SubscriptionId, Subscription]:
    """Subscriptions that may be written to now, and that hands are free for."""
    return {
        each.id: each
        for each in subscriptions.load_subscriptions(conn).values()
        if free.may_take(each)
        and each.state is SubscriptionState.OPEN
        and subscriptions.is_open(each)
        and each.channel in office.channels
        and (each.not_before is None or each.not_before <= now)
    }


def _at_rate(due: Iterable[Delivery], ready: Mapping[SubscriptionId, Subscription]) -> Iterable[Delivery]:
    """One at a time where the other side bounds the rate."""
    begun: set[SubscriptionId] = set()
    for each in due:
        if ready[each.subscription].rate is None or each.subscription not in begun:
            begun.add(each.subscription)
            yield each


def _begin(conn: Connection, subscription: Subscription, found: Delivery, now: datetime) -> _Claim:
    begun = replace(
        found,
        state=DeliveryState.SENDING,
        attempt=found.attempt + 1,
        first_at=found.first_at or now,
        next_at=now + LEASE,
    )
    moved = outbox.move_delivery(
        conn, found, begun.state, attempt=begun.attempt, first_at=begun.first_at, next_at=begun.next_at
    )
    assert moved, "it was read in this transaction"
    if subscription.rate is not None:
        pause = timedelta(minutes=1) / subscription.rate
        subscriptions.save_subscription(conn, replace(subscription, not_before=now + pause))
    return _Claim(subscription=subscription, delivery=begun)


def _by_subscription(claimed: Iterable[_Claim]) -> dict[SubscriptionId, list[_Claim]]:
    groups: dict[SubscriptionId, list[_Claim]] = {}
    for claim in claimed:
        groups.setdefault(claim.subscription.id, []).append(claim)
    return groups


def _deliver_all(office: PostOffice, groups: Mapping[SubscriptionId, Sequence[_Claim]]) -> list[DeliveryState]:
    """Side by side; where each stands after it. Each is on record as soon as it is over."""
    if not groups:
        return []
    with ThreadPoolExecutor(max_workers=min(AT_ONCE_MAX, len(groups)), thread_name_prefix="fermata-notices") as pool:
        found = list(pool.map(lambda group: _deliver(office, group), groups.values()))
    return [state for states in found for state in states]


def _deliver(office: PostOffice, group: Sequence[_Claim]) -> list[DeliveryState]:
    """To one subscription."""
    return _record(office, group, _send(office, group))


def _send(office: PostOffice, group: Sequence[_Claim]) -> dict[int, Outcome]:
    """One after the other; once they took too long, the rest waits for another try."""
    began, outcomes = time.monotonic(), dict[int, Outcome]()
    for claim in group:
        if time.monotonic() - began > TRY_SECONDS:
            outcomes[claim.delivery.id] = NotNow(why="those before it took all of the time")
        else:
            outcomes[claim.delivery.id] = _send_one(office, claim)
    return outcomes


def _send_one(office: PostOffice, claim: _Claim) -> Outcome:
    subscription, delivery = claim.subscription, claim.delivery
    try:
        parcel = pack(subscription, delivery.notice, attempt=delivery.attempt, sender=office.mail_sender)
        by_key: Mapping[StepKey, Outcome] = office.channels[subscription.channel].send(subscription, [parcel])
        return by_key[parcel.key]
    except Exception as error:  # one subscriber's fault must not stop the others
        LOG.exception("notices.sending_failed", extra={"subscription": subscription.id})
        return NotNow(why=f"sending failed here ({type(error).__name__})")


def _record(office: PostOffice, claimed: Sequence[_Claim], outcomes: Mapping[int, Outcome]) -> list[DeliveryState]:
    now = office.clock.now()
    with office.database.begin() as conn:
        return [_settle(conn, claim, outcomes[claim.delivery.id], now) for claim in claimed]


def _settle(conn: Connection, claim: _Claim, outcome: Outcome, now: datetime) -> DeliveryState:
    delivery, subscription = claim.delivery, claim.subscription
    assert delivery.first_at is not None
    after = decide_next(
        outcome, attempt=delivery.attempt, first_at=delivery.first_at, now=now, patience=subscription.patience
    )
    delivered_at = now if after.state is DeliveryState.DELIVERED else None
    moved = outbox.move_delivery(
        conn, delivery, after.state, next_at=after.at, why=after.why, delivered_at=delivered_at
    )
    if not moved:
        return after.state  # its subscription went meanwhile, or another took it over
    notice = delivery.notice
    if after.state is DeliveryState.DELIVERED and subscription.stands_for(notice.customer, notice.supercomputer):
        mark_known(conn, notice, now)
    if after.state is DeliveryState.DEAD:
        entry = _entry(now, "notice.dead", f"notice:{notice.id}", after.why)
        journal.append(conn, replace(entry, data={"subscription": subscription.id, "attempts": delivery.attempt}))
    if isinstance(outcome, Gone):
        _end_subscription(conn, subscription.id, outcome.why, now)
    return after.state


def _end_subscription(conn: Connection, name: SubscriptionId, why: str, now: datetime) -> None:
    """Whoever is gone is sent nothing more. That it stands for a customer stays: nobody else was told."""
    current = subscriptions.load_subscriptions(conn).get(name)
    if current is None or current.state is SubscriptionState.GONE:
        return
    subscriptions.save_subscription(conn, replace(current, state=SubscriptionState.GONE, state_why=why))
    outbox.end_deliveries(conn, name, DeliveryState.DEAD, why)
    journal.append(conn, _entry(now, "subscription.gone", f"subscription:{name}", why))


def _entry(now: datetime, event: str, subject: str, why: str) -> journal.Entry:
    return journal.Entry(at=now, actor=ACTOR, event=event, subject=subject, why=why)
