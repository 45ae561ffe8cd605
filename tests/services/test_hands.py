"""Who hangs, with however many webhooks, delays its own customer's notices and nobody else's."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.constraints import world as w
from tests.services.notice_world import LUMEN, Desk

from fermata.domain.deliveries import DeliveryState, NotNow, Outcome, Taken
from fermata.domain.ids import CustomerId, StepKey, SubscriptionId
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, NoConsent, Subscription
from fermata.execution import delivering
from fermata.execution.delivering import PostOffice, keep_delivering
from fermata.execution.hands import HANDS_MAX, HANDS_OF_ONE_MAX, Free, choose
from fermata.ports import Parcel
from fermata.services import notices
from fermata.store.database import Database

MANY = HANDS_MAX + 8
OTHER = CustomerId("meridian")
pytestmark = pytest.mark.timeout(120)


@dataclass
class Hanging:
    """A channel to webhooks of which those called slow do not answer until they are let go."""

    let_go: threading.Event = field(default_factory=threading.Event)
    asked: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)

    def find_fault(self, subscription: Subscription) -> str | None:
        return None

    def _hang(self, subscription: Subscription) -> bool:
        self.asked.add(subscription.id)
        return "slow" in subscription.id and (self.let_go.wait(60) or True)

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        return NoConsent(why="no answer", again=True) if self._hang(subscription) else Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        if self._hang(subscription):
            return {parcel.key: NotNow(why="no answer") for parcel in parcels}
        self.sent += [subscription.id] * len(parcels)
        return {parcel.key: Taken() for parcel in parcels}


@pytest.mark.parametrize("channel", [ChannelKind.CHAT, ChannelKind.EVENT_GRID], ids=["notices", "greetings"])
def test_a_customer_whose_webhooks_all_hang_delays_nobody_else(db: Database, channel: ChannelKind) -> None:
    desk = Desk(db)
    desk.import_all(updates=["nic"])
    for number in range(MANY):
        desk.subscribe(f"slow-{number}", channel)
    desk.subscribe("quick", channel, customers=frozenset())
    hanging: Any = Hanging()
    office = PostOffice(database=db, channels={channel: hanging}, clock=desk.clock)
    stop = threading.Event()
    loop = threading.Thread(target=keep_delivering, args=(office, stop))
    loop.start()
    try:
        assert wait(lambda: "quick" in hanging.sent)
        assert wait(lambda: len(hanging.asked) == HANDS_OF_ONE_MAX + 1)
        time.sleep(1)
        assert len(hanging.asked) == HANDS_OF_ONE_MAX + 1, "the rest waits, and nothing of it has begun"
    finally:
        stop.set()
        hanging.let_go.set()
        loop.join()


def wait(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


def test_what_a_hand_had_no_time_for_is_tried_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(db)
    desk.import_all(updates=["nic"])
    desk.subscribe()
    monkeypatch.setattr(delivering, "TRY_SECONDS", -1.0)
    delivering.deliver_round(desk.office)
    assert desk.channel.parcels == []
    monkeypatch.undo()
    states = {each.state for view in notices.list_notices(db).notices for each in view.deliveries}
    assert states == {DeliveryState.PENDING}


def subscription(name: str, *customers: CustomerId) -> Subscription:
    return Subscription(
        id=SubscriptionId(name),
        channel=ChannelKind.CHAT,
        target={},
        customers=frozenset(customers),
        created_at=w.NOW,
        created_by="ann",
    )


def test_hands_are_shared_by_customers_and_none_is_given_twice() -> None:
    free = Free(hands=6, of_one=2, of_operator=3)
    due = [subscription(f"l{number}", LUMEN) for number in range(3)]
    due += [subscription("both", LUMEN, OTHER), due[0], subscription("m", OTHER)]
    due += [subscription(f"own{number}") for number in range(5)]
    assert [each.id for each in choose(free, due)] == ["l0", "l1", "m", "own0", "own1", "own2"]
    assert choose(free, [subscription("late", OTHER)]) == []
