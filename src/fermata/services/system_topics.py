"""Event Grid's system topics and their event subscriptions, as Azure's clients order them. Each is one transaction.

A topic is a place to hang subscriptions on: what they hear are events of its type, of the customer that its Azure
subscription stands for. An event subscription is a subscription like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid5

from fermata.domain import arm
from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.domain.subscriptions import ChannelKind, EventShape, SubscriptionOrder, SubscriptionState
from fermata.services.speaking import find_speaker
from fermata.services.subscriptions import Channels, NewId, SubscriptionView, add_in, remove_in
from fermata.services.subscriptions import show_in as show_subscription_in
from fermata.store import inventory, subscriptions
from fermata.store.database import Connection, Database

TOPIC_TYPES = {
    "microsoft.resourcenotifications.maintenanceresources": EventShape.SCHEDULED_EVENTS,
    "microsoft.resourcenotifications.healthresources": EventShape.HEALTH_RESOURCES,
    "microsoft.resourcenotifications.containerserviceeventresources": EventShape.CLUSTER_EVENTS,
}
ACTOR = "arm client"


class TopicRefused(Exception):
    """`code` is a word of that world."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPath:
    """Where a topic is. Compared without case, as there."""

    subscription: str
    group: str
    topic: str

    @property
    def id(self) -> str:
        """As clients know it."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/Microsoft.EventGrid/systemTopics/{self.topic}"

    @property
    def key(self) -> str:
        """As it is kept."""
        return self.id.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSubscription:
    """What was ordered, and how it stands."""

    path: TopicPath
    name: str
    properties: Mapping[str, Any]
    view: SubscriptionView


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An event subscription as it is ordered. `properties` are kept as they were given."""

    name: str
    channel: ChannelKind
    target: Mapping[str, Any]
    attempts_max: int
    lives: timedelta
    properties: Mapping[str, Any]


def put_topic(db: Database, path: TopicPath, body: Mapping[str, Any]) -> bool:
    """Keeps the topic; True when it is new. Raises TopicRefused."""
    with db.begin() as conn:
        _customer(conn, path)
        before = subscriptions.load_topics(conn).get(path.key)
        is_new = before is None
        if before is not None and shape_of(before["body"]) is not shape_of(body):
            raise TopicRefused("InvalidRequest", f"{path.topic} is of another type: delete it first.")
        subscriptions.save_topic(conn, path.key, {"path": _plain(path), "body": dict(body)})
        return is_new


def find_topic(db: Database, path: TopicPath) -> Mapping[str, Any]:
    """What was ordered. Raises TopicRefused."""
    with db.read() as conn:
        return _topic(conn, path)


def shape_of(topic: Mapping[str, Any]) -> EventShape:
    """What those who subscribe to a topic hear."""
    return TOPIC_TYPES[topic["topicType"].lower()]


def list_topics(db: Database, subscription: str, group: str | None) -> list[tuple[TopicPath, Mapping[str, Any]]]:
    """Those of an Azure subscription, or of one of its groups."""
    with db.read() as conn:
        kept = [row for row in subscriptions.load_topics(conn).values() if "body" in row]
    found = [(TopicPath(**row["path"]), row["body"]) for row in kept]
    return [
        (path, body)
        for path, body in found
        if path.subscription.lower() == subscription.lower() and group in (None, path.group)
    ]


def delete_topic(db: Database, path: TopicPath, *, now: datetime) -> bool:
    """With all its event subscriptions. False when there was none."""
    with db.begin() as conn:
        for name in _names(conn, path):
            _delete(conn, path, name, now)
        return subscriptions.remove_topic(conn, path.key)


def put_event_subscription(
    db: Database,
    path: TopicPath,
    wanted: Wanted,
    *,
    now: datetime,
    new_id: NewId,
    channels: Channels,
) -> EventSubscription:
    """Adds it, or puts it in the place of what stood there. Raises TopicRefused, and Refusal for its target."""
    with db.begin() as conn:
        shape = shape_of(_topic(conn, path))
        name = wanted.name
        key = _key(path, name)
        before = subscriptions.load_topics(conn).get(key)
        if before is not None and before["properties"] == wanted.properties:
            return _found(conn, path, name, before)
        if before is not None:
            _delete(conn, path, name, now)
        order = SubscriptionOrder(
            id=_id(path, name),
            channel=wanted.channel,
            target={**wanted.target, "name": name},
            customers=frozenset({_customer(conn, path)}),
            shape=shape,
            attempts_max=wanted.attempts_max,
            lives=wanted.lives,
        )
        add_in(conn, [order], now=now, actor=find_speaker() or ACTOR, new_id=new_id, channels=channels)
        kept = {"of": path.key, "name": name, "properties": dict(wanted.properties)}
        subscriptions.save_topic(conn, key, kept)
        return _found(conn, path, name, kept)


def find_event_subscription(db: Database, path: TopicPath, name: str) -> EventSubscription:
    """One of them. Raises TopicRefused."""
    with db.read() as conn:
        _topic(conn, path)
        kept = subscriptions.load_topics(conn).get(_key(path, name))
        if kept is None:
            raise TopicRefused("ResourceNotFound", f"There is no event subscription {name} of {path.topic}.")
        return _found(conn, path, name, kept)


def list_event_subscriptions(db: Database, path: TopicPath) -> list[EventSubscription]:
    """All of a topic, by name. Raises TopicRefused."""
    with db.read() as conn:
        _topic(conn, path)
        kept = subscriptions.load_topics(conn)
        return [_found(conn, path, name, kept[_key(path, name)]) for name in _names(conn, path)]


def delete_event_subscription(db: Database, path: TopicPath, name: str, *, now: datetime) -> bool:
    """False when there was none."""
    with db.begin() as conn:
        there = _key(path, name) in subscriptions.load_topics(conn)
        if there:
            _delete(conn, path, name, now)
        return there


def standing_word(state: SubscriptionState) -> str:
    """How a subscription stands, in that world's words."""
    return {
        SubscriptionState.UNCONFIRMED: "Creating",
        SubscriptionState.AWAITING_MANUAL: "AwaitingManualAction",
        SubscriptionState.OPEN: "Succeeded",
        SubscriptionState.FAILED: "Failed",
        SubscriptionState.GONE: "Failed",
    }[state]


def _customer(conn: Connection, path: TopicPath) -> CustomerId:
    """Whose Azure subscription it is; its groups are supercomputers."""
    known = {arm.subscription_id(name): name for name in inventory.list_customers(conn)}
    customer = known.get(path.subscription.lower())
    if customer is None:
        raise TopicRefused("SubscriptionNotFound", f"The subscription {path.subscription} could not be found.")
    groups = {str(name).lower() for name in inventory.list_supercomputers(conn, customer)}
    if path.group.lower() not in groups:
        raise TopicRefused("ResourceGroupNotFound", f"Resource group {path.group} could not be found.")
    return customer


def _topic(conn: Connection, path: TopicPath) -> Mapping[str, Any]:
    kept = subscriptions.load_topics(conn).get(path.key)
    if kept is None:
        raise TopicRefused("ResourceNotFound", f"There is no system topic {path.topic} in {path.group}.")
    found: Mapping[str, Any] = kept["body"]
    return found


def _names(conn: Connection, path: TopicPath) -> list[str]:
    kept = subscriptions.load_topics(conn).values()
    return sorted(row["name"] for row in kept if row.get("of") == path.key)


def _found(conn: Connection, path: TopicPath, name: str, kept: Mapping[str, Any]) -> EventSubscription:
    view = show_subscription_in(conn, _id(path, name))
    return EventSubscription(path=path, name=kept["name"], properties=kept["properties"], view=view)


def _delete(conn: Connection, path: TopicPath, name: str, now: datetime) -> None:
    subscriptions.remove_topic(conn, _key(path, name))
    if _id(path, name) in subscriptions.load_subscriptions(conn):  # an operator may have removed it
        remove_in(conn, _id(path, name), now=now, actor=find_speaker() or ACTOR)


def _key(path: TopicPath, name: str) -> str:
    return f"{path.key}/eventsubscriptions/{name.lower()}"


def _id(path: TopicPath, name: str) -> SubscriptionId:
    return SubscriptionId(f"{name.lower()}.{uuid5(arm.NAMESPACE, _key(path, name)).hex[:12]}")


def _plain(path: TopicPath) -> dict[str, str]:
    return {"subscription": path.subscription, "group": path.group, "topic": path.topic}
