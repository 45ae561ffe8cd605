"""A store whose customer may be told of something, channels that answer as a test wants, and a clock that stands."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.constraints import world as w

from fermata.domain.deliveries import Outcome, Taken
from fermata.domain.ids import CustomerId, StepKey, SubscriptionId
from fermata.domain.policy import AfterDue
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, Subscription, SubscriptionOrder
from fermata.execution.delivering import PostOffice
from fermata.ports import Parcel
from fermata.services.inventory import ImportSet, import_set
from fermata.services.subscriptions import SubscriptionView, add_subscriptions
from fermata.store.database import Database

LUMEN = CustomerId("lumen")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
URL = "https://receiver.example/hook"


@dataclass
class StillClock:
    at: datetime = w.NOW

    def now(self) -> datetime:
        return self.at

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        self.at = instant
        return self.at


@dataclass
class Recorder:
    """A channel: takes everything, or answers what `outcomes` say, one a parcel, and keeps what it was handed."""

    outcomes: list[Outcome] = field(default_factory=list)
    greeting: Greeting = field(default_factory=Consented)
    parcels: list[Parcel] = field(default_factory=list)
    addresses: list[str | None] = field(default_factory=list)

    def find_fault(self, subscription: Subscription) -> str | None:
        return None if subscription.target.get("url") else "it has no url"

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        self.addresses.append(address)
        return self.greeting

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        self.parcels += parcels
        return {parcel.key: self.outcomes.pop(0) if self.outcomes else Taken() for parcel in parcels}

    @property
    def titles(self) -> list[str]:
        return [parcel.title for parcel in self.parcels]


@dataclass
class Desk:
    """Everything that a test of notices holds in its hands."""

    db: Database
    clock: StillClock = field(default_factory=StillClock)
    channel: Recorder = field(default_factory=Recorder)
    numbers: Iterable[int] = field(default_factory=lambda: count(1))
    public_url: str | None = None

    @property
    def office(self) -> PostOffice:
        return PostOffice(database=self.db, channels=self.channels, clock=self.clock, public_url=self.public_url)

    @property
    def channels(self) -> Mapping[ChannelKind, Recorder]:
        return dict.fromkeys(
            (ChannelKind.CLOUD_EVENTS, ChannelKind.EVENT_GRID, ChannelKind.CHAT, ChannelKind.MAIL), self.channel
        )

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(iter(self.numbers))}"

    def subscribe(
        self, name: str = "lumen-chat", channel: ChannelKind = ChannelKind.CHAT, **said: Any
    ) -> SubscriptionView:
        said.setdefault("customers", frozenset({LUMEN}))
        said.setdefault("target", {"url": URL})
        order = SubscriptionOrder(id=SubscriptionId(name), channel=channel, **said)
        (view,) = add_subscriptions(
            self.db, [order], now=self.clock.at, actor="operator-1", new_id=self.new_id, channels=self.channels
        )
        return view

    def import_all(self, *, after_due: AfterDue = AfterDue.ESCALATE, updates: Iterable[str] | None = None) -> None:
        """The small scenario; of its updates those named."""
        scenario = w.scenario()
        kept = {name: update for name, update in scenario.catalogue.updates.items() if not updates or name in updates}
        lumen = replace(w.customer(), after_due=after_due)
        given = ImportSet(
            fleet=scenario.fleet,
            catalogue=replace(scenario.catalogue, updates=kept),
            policy=replace(scenario.policy, customers={LUMEN: lumen}, freezes=()),
        )
        import_set(self.db, given, now=self.clock.at, actor="operator-1")
