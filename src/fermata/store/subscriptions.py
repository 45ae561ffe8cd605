"""Subscriptions to notices, and the system topics that Azure's clients hang theirs on."""

from typing import Any

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from fermata.domain.ids import SubscriptionId
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.store.asking import ask
from fermata.store.codec import from_plain, to_plain
from fermata.store.cut_bodies import sees_subscription
from fermata.store.parts import part_of
from fermata.store.schema import Json, UtcTime, metadata
from fermata.store.sealing import SEALED, seal_in, unseal_in

subscription = Table(
    "subscription",
    metadata,
    Column("id", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("state", String, nullable=False),
    Column("next_greeting_at", UtcTime, nullable=True),
    Column("not_before", UtcTime, nullable=True),
    Column("body", Json, nullable=False),
)
system_topic = Table(
    "system_topic",
    metadata,
    Column("path", String, primary_key=True),
    Column("body", Json, nullable=False),
)
_BODIES = select(subscription.c.body).order_by(subscription.c.id)


def save_subscription(conn: Connection, saved: Subscription) -> None:
    """Adds or replaces the one of its id. Raises CannotSeal when its address is a secret that nothing can keep."""
    body = seal_in(conn, to_plain(saved), saved.id, is_chat=saved.channel is ChannelKind.CHAT)
    conn.execute(delete(subscription).where(subscription.c.id == saved.id))
    conn.execute(
        insert(subscription).values(
            id=saved.id,
            channel=saved.channel.value,
            state=saved.state.value,
            next_greeting_at=saved.next_greeting_at,
            not_before=saved.not_before,
            body=body,
        )
    )


def load_subscriptions(conn: Connection) -> dict[SubscriptionId, Subscription]:
    """All of them by id, in its order."""
    part = part_of(conn)
    if part is not None:
        every = part.read(load_subscriptions)
        return {name: each for name, each in every.items() if sees_subscription(each, part)}
    found = [from_plain(Subscription, unseal_in(conn, row.body, row.body["id"])) for row in ask(conn, _BODIES)]
    return {each.id: each for each in sorted(found, key=lambda each: each.id)}


def is_open(found: Subscription) -> bool:
    """False while its address is sealed with a key that is not here: nothing can be sent to it."""
    return not str(found.target.get("url", "")).startswith(SEALED)


def seal_all(conn: Connection) -> int:
    """What an older release left open is sealed; how many rows that were. Raises CannotSeal."""
    before = {row.body["id"]: row.body for row in ask(conn, _BODIES)}
    changed = 0
    for found in load_subscriptions(conn).values():
        body = seal_in(conn, before[found.id], found.id, is_chat=found.channel is ChannelKind.CHAT)
        if body != before[found.id]:
            save_subscription(conn, found)
            changed += 1
    for row in conn.execute(select(system_topic)).all():
        if seal_in(conn, row.body, row.path) != row.body:
            save_topic(conn, row.path, row.body)
            changed += 1
    return changed


def remove_subscription(conn: Connection, name: SubscriptionId) -> None:
    """It hears nothing any more."""
    conn.execute(delete(subscription).where(subscription.c.id == name))


def save_topic(conn: Connection, path: str, body: dict[str, Any]) -> None:
    """Adds or replaces the topic at that path, in lower case."""
    sealed = seal_in(conn, body, path)
    remove_topic(conn, path)
    conn.execute(insert(system_topic).values(path=path, body=sealed))


def load_topics(conn: Connection) -> dict[str, dict[str, Any]]:
    """All of them by path."""
    found = conn.execute(select(system_topic).order_by(system_topic.c.path))
    return {row.path: unseal_in(conn, row.body, row.path) for row in found}


def remove_topic(conn: Connection, path: str) -> bool:
    """False when there was none."""
    return bool(conn.execute(delete(system_topic).where(system_topic.c.path == path)).rowcount)
