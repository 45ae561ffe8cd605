"""Subscriptions: who hears which notices, through which channel, and whether that channel agreed to be written to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fermata.domain.deliveries import ATTEMPTS_MAX, LIVES, Patience
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, TeamId
from fermata.domain.notices import (
    ASKING,
    OF_INCIDENTS,
    OF_NODES,
    OF_SCHEDULES,
    OF_WINDOWS,
    Audience,
    Notice,
    NoticeKind,
)


class ChannelKind(StrEnum):
    """Kinds of channel. Each but `pull` is a file in `adapters/`."""

    EVENT_GRID = "event_grid"  # a webhook in Event Grid's schema
    CLOUD_EVENTS = "cloud_events"  # a webhook in CloudEvents
    PULL = "pull"  # the subscriber fetches and acknowledges
    MAIL = "mail"
    CHAT = "chat"
    INCIDENT_API = "incident_api"  # PagerDuty's events, and who speaks like it
    STATUS_PAGE = "status_page"  # Statuspage, and who speaks like it


class EventShape(StrEnum):
    """What events look like, where a channel carries events."""

    NOTICES = "notices"  # ours: one event a notice
    SCHEDULED_EVENTS = "scheduled_events"  # Azure's: one event a node and window
    HEALTH_RESOURCES = "health_resources"  # Azure's: two events where a node's impact begins, and where it ends
    CLUSTER_EVENTS = "cluster_events"  # Azure's of container services: one event a cluster and window


OF_SCHEDULED_EVENTS = OF_WINDOWS - {NoticeKind.WINDOW_WAITING, NoticeKind.WINDOW_LATE, NoticeKind.WINDOW_CLOSED} | {
    NoticeKind.PLAN_PUBLISHED,
    *OF_NODES,
}  # others have nothing that this shape could say
OF_HEALTH = frozenset({NoticeKind.WINDOW_OPENED, *OF_NODES})
OF_CLUSTERS = OF_WINDOWS - {NoticeKind.WINDOW_WAITING, NoticeKind.WINDOW_LATE} | {NoticeKind.PLAN_PUBLISHED}
HEARD = {
    EventShape.SCHEDULED_EVENTS: OF_SCHEDULED_EVENTS,
    EventShape.HEALTH_RESOURCES: OF_HEALTH,
    EventShape.CLUSTER_EVENTS: OF_CLUSTERS,
}  # notices: all


class SubscriptionState(StrEnum):
    """Whether anything may be sent."""

    UNCONFIRMED = "unconfirmed"  # the handshake is to be made, or made again
    AWAITING_MANUAL = "awaiting_manual"  # somebody has to open the validation address
    OPEN = "open"
    FAILED = "failed"  # no consent; nothing is sent until it is validated again
    GONE = "gone"  # the other side said 410


FILTER_KEYS = frozenset(
    {"event_types", "subject_begins", "subject_ends", "subject_case"}
)  # which of a webhook's events it wants
TARGET_KEYS: Mapping[ChannelKind, frozenset[str]] = {
    ChannelKind.EVENT_GRID: frozenset({"url", "max_events", "name", "secret", *FILTER_KEYS}),
    ChannelKind.CLOUD_EVENTS: frozenset({"url", "max_events", "name", "rate", "secret", *FILTER_KEYS}),
    ChannelKind.PULL: frozenset({"topic", "key", "key_sha256"}),
    ChannelKind.MAIL: frozenset({"to", "calendar", "provider"}),
    ChannelKind.CHAT: frozenset({"url"}),
    ChannelKind.INCIDENT_API: frozenset({"url", "secret"}),
    ChannelKind.STATUS_PAGE: frozenset({"url", "page", "secret", "components"}),
}  # what a target may say
CARRIED: Mapping[ChannelKind, frozenset[NoticeKind]] = {
    ChannelKind.INCIDENT_API: OF_INCIDENTS - OF_SCHEDULES | {NoticeKind.TEST},
    ChannelKind.STATUS_PAGE: OF_INCIDENTS | {NoticeKind.TEST},
}  # the others: all but schedules, of which a published plan tells
SHAKING = frozenset({SubscriptionState.UNCONFIRMED, SubscriptionState.AWAITING_MANUAL})
WITH_HANDSHAKE = frozenset({ChannelKind.EVENT_GRID, ChannelKind.CLOUD_EVENTS})
MANUAL_WITHIN = timedelta(minutes=10)  # to open the validation address, as Event Grid allows
GREETINGS = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who hears what. An empty set of customers, supercomputers, teams or kinds does not restrict. With `teams` it
    hears what those teams are told, and nothing else.

    What names no customer is the operator's own: it hears everything, and what it is told counts as told to nobody.
    `target` is what its channel needs (a URL, addresses, a key's hash). `code` proves consent by hand. `rate`: sends a
    minute that the other side allows, None for any. Times are UTC.
    """

    id: SubscriptionId
    channel: ChannelKind
    target: Mapping[str, Any]
    customers: frozenset[CustomerId] = frozenset()
    supercomputers: frozenset[SupercomputerId] = frozenset()
    teams: frozenset[TeamId] = frozenset()
    kinds: frozenset[NoticeKind] = frozenset()
    shape: EventShape = EventShape.NOTICES
    attempts_max: int = ATTEMPTS_MAX
    lives: timedelta = LIVES
    state: SubscriptionState = SubscriptionState.UNCONFIRMED
    state_why: str = ""
    code: str = field(default="", repr=False)
    greetings: int = 0
    next_greeting_at: datetime | None = None
    manual_until: datetime | None = None
    rate: int | None = None
    not_before: datetime | None = None
    created_at: datetime
    created_by: str

    @property
    def patience(self) -> Patience:
        """How long its deliveries are tried."""
        return Patience(attempts_max=self.attempts_max, lives=self.lives)

    def hears_kind(self, kind: NoticeKind) -> bool:
        """True when notices of this kind are."""
        return (
            (not self.kinds or kind in self.kinds)
            and (self.shape not in HEARD or kind in HEARD[self.shape])
            and (kind in CARRIED[self.channel] if self.channel in CARRIED else kind not in OF_SCHEDULES)
        )

    def is_meant(self, audience: object) -> bool:
        """True when words for this audience are for it. A status page is read by customers whosever it is."""
        is_page = self.channel is ChannelKind.STATUS_PAGE
        if audience == Audience.CUSTOMERS:
            return is_page or bool(self.customers)
        return audience != Audience.CREW or not is_page

    def hears(self, notice: Notice) -> bool:
        """True when the notice is meant for it."""
        return (
            (not self.customers or notice.customer in self.customers)
            and (not self.supercomputers or notice.supercomputer in self.supercomputers)
            and (not self.teams or not self.teams.isdisjoint(notice.facts.get("teams", ())))
            and self.hears_kind(notice.kind)
            and self.is_meant(notice.facts.get("audience"))
        )

    def stands_for(self, customer: CustomerId, supercomputer: SupercomputerId) -> bool:
        """True when a request delivered to it is known to that customer."""
        return (
            customer in self.customers
            and not self.teams
            and (not self.supercomputers or supercomputer in self.supercomputers)
            and (not self.kinds or self.kinds >= ASKING)
            and self.shape is EventShape.NOTICES
            and self.channel not in CARRIED
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOrder:
    """A subscription to be added. See `Subscription`; a pull's `target` has its `key` in plain."""

    id: SubscriptionId
    channel: ChannelKind
    target: Mapping[str, Any]
    customers: frozenset[CustomerId] = frozenset()
    supercomputers: frozenset[SupercomputerId] = frozenset()
    teams: frozenset[TeamId] = frozenset()
    kinds: frozenset[NoticeKind] = frozenset()
    shape: EventShape = EventShape.NOTICES
    attempts_max: int = ATTEMPTS_MAX
    lives: timedelta = LIVES


def first_state(channel: ChannelKind) -> SubscriptionState:
    """What a new subscription begins with: webhooks have to agree first."""
    return SubscriptionState.UNCONFIRMED if channel in WITH_HANDSHAKE else SubscriptionState.OPEN


def is_spoken_for(subscriptions: Iterable[Subscription], customer: CustomerId, supercomputer: SupercomputerId) -> bool:
    """True when the customer has a subscription that requests must reach before it counts as told."""
    return any(each.stands_for(customer, supercomputer) for each in subscriptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented:
    """The other side agreed, to at most `rate` sends a minute (None: to any)."""

    rate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """The other side took the question; somebody has to open the validation address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoConsent:
    """It did not agree. `again`: it may yet, when it is asked another time."""

    why: str
    again: bool = False


Greeting = Consented | ByHand | NoConsent


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What becomes of a subscription after a handshake."""

    state: SubscriptionState
    why: str = ""
    rate: int | None = None
    next_greeting_at: datetime | None = None
    manual_until: datetime | None = None


def decide_standing(greeting: Greeting, *, tried: int, now: datetime, has_address: bool) -> Standing:
    """What follows handshake number `tried`, counted from 1. `has_address`: there is a way to agree by hand."""
    match greeting:
        case Consented(rate=rate):
            return Standing(state=SubscriptionState.OPEN, rate=rate)
        case ByHand() if has_address:
            until = now + MANUAL_WITHIN
            return Standing(state=SubscriptionState.AWAITING_MANUAL, manual_until=until, next_greeting_at=until)
        case ByHand():
            why = "it did not echo the code, and there is no public address to agree at (FERMATA_PUBLIC_URL)"
            return Standing(state=SubscriptionState.FAILED, why=why)
        case NoConsent(why=why, again=True) if tried <= len(GREETINGS):
            at = now + GREETINGS[tried - 1]
            return Standing(state=SubscriptionState.UNCONFIRMED, why=why, next_greeting_at=at)
        case NoConsent(why=why):
            return Standing(state=SubscriptionState.FAILED, why=why)
