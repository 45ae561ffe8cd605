"""Operator verbs of subscriptions: who hears what, through which channel, and whether that channel agreed."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from fermata.domain.deliveries import DeliveryState
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, TeamId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.subscriptions import (
    TARGET_KEYS,
    WITH_HANDSHAKE,
    ChannelKind,
    EventShape,
    Subscription,
    SubscriptionOrder,
    SubscriptionState,
    first_state,
)
from fermata.domain.updates import Catalogue
from fermata.ports import Channel
from fermata.services.errors import Refusal, nearest, refuse_all
from fermata.store import inventory, journal, outbox
from fermata.store import subscriptions as subscription_store
from fermata.store.database import Connection, Database
from fermata.store.sealing import CannotSeal
from fermata.store.telling import notify_left_alone, put_to

NewId = Callable[[str], str]
Channels = Mapping[ChannelKind, Channel]
KEY_LENGTH_MIN = 16  # of a pull's key: nothing else keeps it from being guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription as it is shown: of its target, nothing that is a secret. `waiting` counts deliveries to come."""

    id: SubscriptionId
    channel: ChannelKind
    target: Mapping[str, Any]
    customers: tuple[CustomerId, ...]
    supercomputers: tuple[SupercomputerId, ...]
    teams: tuple[TeamId, ...]
    kinds: tuple[NoticeKind, ...]
    shape: EventShape
    attempts_max: int
    lives_minutes: int
    state: SubscriptionState
    state_why: str
    rate: int | None
    manual_until: datetime | None
    created_at: datetime
    created_by: str
    waiting: int = field(default=0)


def add_subscriptions(
    db: Database, orders: Sequence[SubscriptionOrder], *, now: datetime, actor: str, new_id: NewId, channels: Channels
) -> tuple[SubscriptionView, ...]:
    """Adds all or none. One that stands already, and says the same, is left as it is.

    A new subscription hears of what is asked for now. Raises Refusal with every name that is unknown, target that
    cannot be used, and id that is taken.
    """
    with db.begin() as conn:
        return add_in(conn, orders, now=now, actor=actor, new_id=new_id, channels=channels)


def add_in(
    conn: Connection,
    orders: Sequence[SubscriptionOrder],
    *,
    now: datetime,
    actor: str,
    new_id: NewId,
    channels: Channels,
) -> tuple[SubscriptionView, ...]:
    """As `add_subscriptions`, inside the caller's transaction."""
    known = subscription_store.load_subscriptions(conn)
    made = [_make(order, now=now, actor=actor, new_id=new_id) for order in orders]
    refuse_all(_faults(conn, made, known, channels))
    added = [each for each in made if each.id not in known]
    for each in added:
        _save(conn, each)
        _catch_up(conn, each, now)
    journal.append_many(conn, [_entry("subscription.added", each, now=now, actor=actor) for each in added])
    stands = subscription_store.load_subscriptions(conn)
    return tuple(_view(conn, stands[order.id]) for order in orders)


def _save(conn: Connection, added: Subscription) -> None:
    try:
        subscription_store.save_subscription(conn, added)
    except CannotSeal as why:
        raise Refusal(reason(Code.TARGET_REFUSED, subscription=added.id, why=str(why))) from why


def remove_subscription(
    db: Database, name: SubscriptionId, *, now: datetime, actor: str, why: str = ""
) -> SubscriptionView:
    """It hears nothing any more; what was on its way is dropped. A customer that is left with none counts as told of
    what is asked from now on. Raises Refusal when there is none.
    """
    with db.begin() as conn:
        return remove_in(conn, name, now=now, actor=actor, why=why)


def remove_in(conn: Connection, name: SubscriptionId, *, now: datetime, actor: str, why: str = "") -> SubscriptionView:
    """As `remove_subscription`, inside the caller's transaction."""
    known = subscription_store.load_subscriptions(conn)
    gone = _find(known, name)
    outbox.end_deliveries(conn, name, DeliveryState.DROPPED, "its subscription was removed")
    subscription_store.remove_subscription(conn, name)
    notify_left_alone(conn, [each for each in known.values() if each.id != name], now)
    journal.append(conn, _entry("subscription.removed", gone, now=now, actor=actor, why=why))
    return _view(conn, gone)


def list_subscriptions(db: Database) -> tuple[SubscriptionView, ...]:
    """All of them, by id."""
    with db.read() as conn:
        return tuple(_view(conn, each) for each in subscription_store.load_subscriptions(conn).values())


def show_subscription(db: Database, name: SubscriptionId) -> SubscriptionView:
    """One of them. Raises Refusal."""
    with db.read() as conn:
        return show_in(conn, name)


def show_in(conn: Connection, name: SubscriptionId) -> SubscriptionView:
    """As `show_subscription`, inside the caller's transaction."""
    return _view(conn, _find(subscription_store.load_subscriptions(conn), name))


def validate_subscription(
    db: Database, name: SubscriptionId, *, now: datetime, actor: str, new_id: NewId
) -> SubscriptionView:
    """Begins the handshake anew, with a new code; until it ends well nothing is sent. Raises Refusal."""
    with db.begin() as conn:
        found = _find(subscription_store.load_subscriptions(conn), name)
        if found.channel not in WITH_HANDSHAKE:
            raise Refusal(reason(Code.NO_HANDSHAKE, subscription=name, channel=found.channel))
        anew = replace(
            found,
            state=SubscriptionState.UNCONFIRMED,
            state_why="",
            code=new_id("code"),
            greetings=0,
            next_greeting_at=now,
            manual_until=None,
        )
        subscription_store.save_subscription(conn, anew)
        journal.append(conn, _entry("subscription.validating", anew, now=now, actor=actor))
        return _view(conn, anew)


def agree_by_hand(
    db: Database, name: SubscriptionId, *, code: str, rate: int | None = None, now: datetime
) -> SubscriptionView:
    """Whoever received the code opened its address. Raises Refusal for a wrong code, and when it is too late."""
    with db.begin() as conn:
        found = subscription_store.load_subscriptions(conn).get(name)
        waits = found is not None and found.state in (SubscriptionState.AWAITING_MANUAL, SubscriptionState.UNCONFIRMED)
        if found is None or not waits or not hmac.compare_digest(found.code.encode(), code.encode()):
            raise Refusal(reason(Code.VALIDATION_REFUSED, subscription=name))
        if found.manual_until is not None and found.manual_until < now:
            raise Refusal(reason(Code.VALIDATION_REFUSED, subscription=name))
        agreed = replace(
            found,
            state=SubscriptionState.OPEN,
            state_why="",
            rate=rate,
            next_greeting_at=None,
            manual_until=None,
        )
        subscription_store.save_subscription(conn, agreed)
        journal.append(conn, _entry("subscription.open", agreed, now=now, actor="its owner"))
        return _view(conn, agreed)


def test_subscription(db: Database, name: SubscriptionId, *, now: datetime, actor: str) -> Notice:
    """Sends a notice that tells of nothing. Raises Refusal before the subscription is open."""
    with db.begin() as conn:
        found = _find(subscription_store.load_subscriptions(conn), name)
        if found.state is not SubscriptionState.OPEN:
            why = f" ({found.state_why})" if found.state_why else ""
            raise Refusal(reason(Code.SUBSCRIPTION_NOT_OPEN, subscription=name, state=_words(found.state), why=why))
        notice = Notice(
            at=now,
            kind=NoticeKind.TEST,
            customer=min(found.customers, default=CustomerId("")),
            supercomputer=min(found.supercomputers, default=SupercomputerId("")),
            subject=f"subscription:{name}",
            actor=actor,
            why="",
            facts={"subscription": name},
        )
        return put_to(conn, notice, [name], [found])


def key_sha256(key: str) -> str:
    """What is kept of a key."""
    return sha256(key.encode()).hexdigest()


def _make(order: SubscriptionOrder, *, now: datetime, actor: str, new_id: NewId) -> Subscription:
    target = {name: value for name, value in order.target.items() if name != "key"}
    if order.channel is ChannelKind.PULL:
        key = str(order.target.get("key", ""))
        target |= {
            "topic": str(order.target.get("topic", "")),
            "key_sha256": key_sha256(key) if len(key) >= KEY_LENGTH_MIN else "",
        }
    state = first_state(order.channel)
    return Subscription(
        id=order.id,
        channel=order.channel,
        target=target,
        customers=order.customers,
        supercomputers=order.supercomputers,
        teams=order.teams,
        kinds=order.kinds,
        shape=order.shape,
        attempts_max=order.attempts_max,
        lives=order.lives,
        state=state,
        code=new_id("code"),
        next_greeting_at=now if state is SubscriptionState.UNCONFIRMED else None,
        created_at=now,
        created_by=actor,
    )


def _faults(
    conn: Connection,
    made: Sequence[Subscription],
    known: Mapping[SubscriptionId, Subscription],
    channels: Channels,
) -> Iterable[Reason]:
    customers = inventory.list_customers(conn)
    supercomputers = inventory.list_supercomputers(conn)
    teams = _teams(conn) if any(each.teams for each in made) else frozenset()
    for each in made:
        for level, names, there in (
            ("customer", each.customers, customers),
            ("supercomputer", each.supercomputers, supercomputers),
            ("team", each.teams, teams),
        ):
            for name in sorted(set(names) - set(there)):
                yield reason(Code.SCOPE_UNKNOWN, level=level, name=name, nearest=nearest(name, map(str, there)))
        fault = _target_fault(each, channels)
        if fault is not None:
            yield reason(Code.TARGET_REFUSED, subscription=each.id, why=fault)
        if each.id in known and not _is_same(known[each.id], each):
            yield reason(Code.SUBSCRIPTION_EXISTS, subscription=each.id)


def _teams(conn: Connection) -> frozenset[TeamId]:
    """Those that own updates; none before the first import."""
    catalogue = inventory.find_document(conn, "catalogue", "", Catalogue)
    return frozenset(update.owner_team for update in catalogue.updates.values()) if catalogue else frozenset()


def _target_fault(subscription: Subscription, channels: Channels) -> str | None:
    unknown = sorted(subscription.target.keys() - TARGET_KEYS[subscription.channel])
    if unknown:
        known = ", ".join(sorted(TARGET_KEYS[subscription.channel] - {"key_sha256"}))
        return f"{', '.join(unknown)} means nothing to a {subscription.channel} subscription, which knows {known}"
    if subscription.shape is not EventShape.NOTICES and subscription.channel not in WITH_HANDSHAKE:
        return f"a {subscription.channel} subscription carries notices alone, not {_words(subscription.shape)}"
    types = subscription.target.get("event_types", [])
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        return "event_types must be a list of types"
    if subscription.channel is ChannelKind.PULL:
        return _pull_fault(subscription)
    channel = channels.get(subscription.channel)
    return "its channel is not set up here" if channel is None else channel.find_fault(subscription)


def _pull_fault(subscription: Subscription) -> str | None:
    if not subscription.target["topic"]:
        return "it names no topic to fetch from (topic)"
    return None if subscription.target["key_sha256"] else f"it has no key (key) of {KEY_LENGTH_MIN} characters or more"


def _is_same(known: Subscription, asked: Subscription) -> bool:
    stands = replace(
        asked,
        state=known.state,
        state_why=known.state_why,
        code=known.code,
        greetings=known.greetings,
        next_greeting_at=known.next_greeting_at,
        manual_until=known.manual_until,
        rate=known.rate,
        not_before=known.not_before,
        created_at=known.created_at,
        created_by=known.created_by,
    )
    return stands == known


def _catch_up(conn: Connection, added: Subscription, now: datetime) -> None:
    """What is asked of its customers now, and what is not over, is told again, to it alone."""
    asked = [notice for notice in outbox.latest_asking(conn) if added.hears(notice)]
    under_way = [notice for notice in outbox.open_incidents(conn) if added.hears(notice)]
    for notice in (*asked, *{notice.subject: notice for notice in reversed(under_way)}.values()):
        outbox.add_deliveries(conn, notice, [added.id], now)


def _find(known: Mapping[SubscriptionId, Subscription], name: SubscriptionId) -> Subscription:
    if name not in known:
        raise Refusal(reason(Code.SUBSCRIPTION_UNKNOWN, subscription=name, nearest=nearest(name, known)))
    return known[name]


def _view(conn: Connection, found: Subscription) -> SubscriptionView:
    return SubscriptionView(
        id=found.id,
        channel=found.channel,
        target=_shown(found),
        customers=tuple(sorted(found.customers)),
        supercomputers=tuple(sorted(found.supercomputers)),
        teams=tuple(sorted(found.teams)),
        kinds=tuple(sorted(found.kinds)),
        shape=found.shape,
        attempts_max=found.attempts_max,
        lives_minutes=round(found.lives / timedelta(minutes=1)),
        state=found.state,
        state_why=found.state_why,
        rate=found.rate,
        manual_until=found.manual_until,
        created_at=found.created_at,
        created_by=found.created_by,
        waiting=outbox.count_open(conn, found.id),
    )


def _shown(found: Subscription) -> Mapping[str, Any]:
    """A chat's URL is its secret, and so is what stands behind the question mark of any other."""
    shown = {name: value for name, value in found.target.items() if name != "key_sha256"}
    if "url" in shown:
        whole = str(shown["url"])
        is_chat = found.channel is ChannelKind.CHAT
        shown["url"] = f"{whole.partition('://')[0]}://..." if is_chat else whole.partition("?")[0]
    return shown


def _words(value: str) -> str:
    return value.replace("_", " ")


def _entry(event: str, of: Subscription, *, now: datetime, actor: str, why: str = "") -> journal.Entry:
    data = {
        "channel": of.channel.value,
        "customers": sorted(of.customers),
        "supercomputers": sorted(of.supercomputers),
        "teams": sorted(of.teams),
        "kinds": sorted(kind.value for kind in of.kinds),
    }
    return journal.Entry(at=now, actor=actor, event=event, subject=f"subscription:{of.id}", why=why, data=data)
