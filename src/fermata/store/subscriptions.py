"""Subscriptions to notices, and the system topics that Azure's clients hang theirs on."""

from typing import Any

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from fermata.domain.ids import SubscriptionId
from fermata.domain.subscriptions import Subscription
from fermata.store.asking import ask
from fermata.store.codec import from_plain, to_plain
from fermata.store.schema import Json, UtcTime, metadata

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
    """Adds or replaces the one of its id."""
    conn.execute(delete(subscription).where(subscription.c.id == saved.id))
    conn.execute(
        insert(subscription).values(
            id=saved.id,
            channel=saved.channel.value,
            state=saved.state.value,
            next_greeting_at=saved.next_greeting_at,
            not_before=saved.not_before,
            body=to_plain(saved),
        )
    )


def load_subscriptions(conn: Connection) -> dict[SubscriptionId, Subscription]:
    """All of them by id, in its order."""
    found = [from_plain(Subscription, row.body) for row in ask(conn, _BODIES)]
    return {each.id: each for each in sorted(found, key=lambda each: each.id)}


def remove_subscription(conn: Connection, name: SubscriptionId) -> None:
    """It hears nothing any more."""
    conn.execute(delete(subscription).where(subscription.c.id == name))


def save_topic(conn: Connection, path: str, body: dict[str, Any]) -> None:
    """Adds or replaces the topic at that path, in lower case."""
    remove_topic(conn, path)
    conn.execute(insert(system_topic).values(path=path, body=body))


def load_topics(conn: Connection) -> dict[str, dict[str, Any]]:
    """All of them by path."""
    return {row.path: row.body for row in conn.execute(select(system_topic).order_by(system_topic.c.path))}


def remove_topic(conn: Connection, path: str) -> bool:
    """False when there was none."""
    return bool(conn.execute(delete(system_topic).where(system_topic.c.path == path)).rowcount)
