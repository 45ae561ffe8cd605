"""The conductor's notices go into the outbox, once under each key, and from there to whoever repairs."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.desks import OnCall
from tests.conformance.notice import LOCAL
from tests.conformance.receivers import serving
from tests.conftest import copy_sqlite
from tests.services.notice_world import Desk

from fermata.adapters import subscribers
from fermata.adapters.incident_api import IncidentApi
from fermata.adapters.vault import Vault
from fermata.conformance import RETRY_AFTER, Bench, Mishap, Trial, list_trials
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.ids import DeviceId, NodeId, StepKey, SubscriptionId
from fermata.domain.node_states import UnitKind
from fermata.domain.notices import NoticeKind
from fermata.domain.observations import Accepted, Denied
from fermata.domain.routing import PortName
from fermata.domain.subscriptions import ChannelKind, Subscription, SubscriptionOrder
from fermata.execution.delivering import PostOffice, deliver_round, keep_delivering
from fermata.ports import AdapterPorts, Notice, OutboxLook, OutcomeUnknown, Parcel, Posted, Refused, TryLater
from fermata.ports import NoticeKind as Told
from fermata.services import notices, subscriptions
from fermata.services.unit_notices import StoreOutbox
from fermata.store import journal
from fermata.store.database import Database

CANARY = "canary-51c9"
NODES = ["alpha-n00", "alpha-n01", "alpha-n02"]


@pytest.fixture
def desk(tmp_path: Path, sqlite_template: Path) -> Iterator[Desk]:
    path = tmp_path / "store.sqlite"
    copy_sqlite(sqlite_template, path)
    db = Database(f"sqlite:///{path}")
    made = Desk(db)
    made.import_all()
    yield made
    db.close()


@dataclass
class Frail:
    """An outbox on the other side of a connection that fails as it is told."""

    inner: StoreOutbox
    mishap: Mishap | None = None
    struck: int = 0
    calls: int = 0

    def strike(self, mishap: Mishap | None, *, reads: bool = False) -> None:
        self.mishap = mishap

    def post(self, notices: Sequence[Notice]) -> Mapping[StepKey, Posted]:
        self.calls += 1
        if self.mishap is None:
            return self.inner.post(notices)
        self.struck += 1
        if self.mishap is Mishap.BUSY:
            raise TryLater(RETRY_AFTER)
        if self.mishap in (Mishap.LOST_AFTER, Mishap.CUT):
            self.inner.post(notices)
        raise OutcomeUnknown("the store went away")

    def look(self) -> OutboxLook:
        if self.mishap is not None:
            self.struck += 1
            raise OutcomeUnknown("the store went away")
        return self.inner.look()


def opened(outbox: Frail | StoreOutbox, desk: Desk) -> AdapterPorts:
    ports = subscribers.build(subscribers.Settings(), desk.clock)
    assert ports.attach is not None
    ports.attach(outbox)
    return ports


def lines(desk: Desk, unit: str) -> int:
    with desk.db.read() as conn:
        events = (NoticeKind.UNIT_NEEDS_REPAIR.value, NoticeKind.UNIT_ASTRAY.value)
        return sum(line.data["facts"]["unit"] == unit for line in journal.read_events(conn, events))


def told_of(desk: Desk, unit: str) -> int:
    """How many notices of it are in the outbox, and on their way or there."""
    found = notices.list_notices(desk.db, limit=500).notices
    return sum(len(view.deliveries) for view in found if view.notice.facts.get("unit") == unit)


@pytest.fixture
def tried(desk: Desk) -> Bench:
    desk.subscribe("crew", customers=frozenset(), kinds=frozenset({NoticeKind.UNIT_NEEDS_REPAIR}))
    frail = Frail(StoreOutbox(desk.db, desk.clock))
    return Bench(
        ports=opened(frail, desk),
        clock=desk.clock,
        nodes=[NodeId(name) for name in NODES],
        devices=[DeviceId(name) for name in ("alpha-r0-sw", "alpha-r1-sw", "alpha-r2-sw")],
        wait=lambda: None,
        reopen=lambda: opened(frail, desk),
        count_effects=lambda _op, unit: told_of(desk, unit),
        mishaps=frozenset(Mishap) - {Mishap.STALE, Mishap.HANG},
        retry_after=RETRY_AFTER,
        strike=frail.strike,
        count_requests=lambda: frail.calls,
        count_struck=lambda: frail.struck,
        secrets=[CANARY],
        shown=[subscribers.Settings()],
    )


LEFT_OUT = (  # a store is of one mind with itself, and does not hang: it is busy, or not there
    "a call that hangs ends with close",
    "notify: an older answer does not make it do twice",
)
TRIALS = [
    trial
    for trial in list_trials([PortName.NOTIFIER], of=[UnitKind.NODE, UnitKind.DEVICE])
    if not str(trial).startswith(LEFT_OUT)
]


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_subscribers_owe_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)


def say(unit: str = "alpha-n00", step: str = "repair:1", kind: Told = Told.NEEDS_REPAIR) -> Notice:
    return Notice(
        key=StepKey(f"run_1/w1/{unit}/{step}/1"), kind=kind, subject=unit, sentence=f"{unit}: STEP_FAILED: reboot"
    )


def test_what_the_conductor_tells_reaches_the_operators_crew_and_no_customer(desk: Desk) -> None:
    desk.subscribe("crew", customers=frozenset())
    desk.subscribe("lumen-chat")
    while deliver_round(desk.office).did_something:
        pass
    desk.channel.parcels.clear()
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    answers = ports.notifier.notify([say(), say("alpha-n01", kind=Told.ASTRAY)])
    assert set(answers.values()) == {Accepted()}
    deliver_round(desk.office)
    assert [parcel.key.partition("/")[0] for parcel in desk.channel.parcels] == ["crew", "crew"]
    assert desk.channel.titles == ["alpha: alpha-n00 needs repair", "alpha: alpha-n01 is out of our hands"]
    assert "alpha-n00: STEP_FAILED: reboot" in desk.channel.parcels[0].text


def test_a_key_is_told_once_whatever_is_said_under_it(desk: Desk) -> None:
    desk.subscribe("crew", customers=frozenset(), kinds=frozenset({NoticeKind.UNIT_NEEDS_REPAIR}))
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    for sentence in ("it hangs", "it hangs still"):
        ports.notifier.notify([replace(say(), sentence=sentence)])
    assert told_of(desk, "alpha-n00") == 1


def test_it_is_told_that_nobody_hears_and_who_subscribes_later_does(desk: Desk) -> None:
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    (answer,) = ports.notifier.notify([say()]).values()
    assert isinstance(answer, Denied)
    assert "nobody subscribed" in answer.why
    with pytest.raises(Refused, match="nobody hears"):
        ports.probe()
    desk.subscribe("crew", customers=frozenset(), kinds=frozenset({NoticeKind.UNIT_NEEDS_REPAIR}))
    assert ports.probe()["hear"] == "crew"
    deliver_round(desk.office)
    assert desk.channel.titles == ["alpha: alpha-n00 needs repair"]
    assert ports.notifier.notify([say()]) == {say().key: Accepted()}


def test_what_came_through_to_nobody_is_not_told_as_delivered(desk: Desk) -> None:
    desk.subscribe("crew", customers=frozenset(), kinds=frozenset({NoticeKind.UNIT_NEEDS_REPAIR}))
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    ports.notifier.notify([say()])
    desk.channel.outcomes = [Rejected(why="it answered 400")]
    deliver_round(desk.office)
    assert ports.notifier.notify([say()]) == {
        say().key: Denied(why="nobody could be told of alpha-n00: it answered 400")
    }


def test_another_failure_of_a_unit_is_told_anew_and_its_return_ends_all_of_them(desk: Desk) -> None:
    crew = {NoticeKind.UNIT_NEEDS_REPAIR, NoticeKind.UNIT_BACK}
    desk.subscribe("crew", customers=frozenset(), kinds=frozenset(crew))
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    ports.notifier.notify([say(), say(step="repair:2"), say("alpha-n01")])
    with desk.db.begin() as conn:
        for event, unit in (("unit.proven", "node:alpha-n01"), ("node.gone", "node:alpha-n00")):
            line = journal.Entry(at=desk.clock.at, actor="x", event=event, subject=unit, why="")
            journal.append(conn, line)
    while deliver_round(desk.office).did_something:
        pass
    over = [parcel for parcel in desk.channel.parcels if parcel.incident and parcel.incident.phase == "closed"]
    assert [parcel.title for parcel in over] == ["alpha: alpha-n00 needs nobody any more"] * 2
    begun = {parcel.incident.key for parcel in desk.channel.parcels if parcel.incident} - {"x"}
    assert {parcel.incident.key for parcel in over if parcel.incident} < begun


def test_without_a_store_nobody_is_told(desk: Desk) -> None:
    ports = subscribers.build(subscribers.Settings(), desk.clock)
    assert ports.notifier is not None
    with pytest.raises(Refused, match="no store"):
        ports.notifier.notify([say()])


def test_no_secret_of_a_channel_is_kept_or_shown(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "secrets" / "127.0.0.1"
    folder.mkdir(parents=True)
    (folder / "oncall").write_text(CANARY)
    on_call = OnCall(routing_key=CANARY)
    channel = IncidentApi(LOCAL, desk.clock, Vault(tmp_path / "secrets"))
    with serving(on_call):
        target = {"url": on_call.url, "secret": "oncall"}
        order = SubscriptionOrder(id=SubscriptionId("crew"), channel=ChannelKind.INCIDENT_API, target=target)
        channels: Any = {ChannelKind.INCIDENT_API: channel}
        made = subscriptions.add_subscriptions(
            desk.db, [order], now=desk.clock.at, actor="op", new_id=desk.new_id, channels=channels
        )
        ports = opened(StoreOutbox(desk.db, desk.clock), desk)
        assert ports.notifier is not None
        ports.notifier.notify([say()])
        office = replace(desk.office, channels=channels)
        on_call.routing_key = "another"  # it refuses ours: the delivery is dead, and says why
        assert deliver_round(office).dead == 1
        with desk.db.read() as conn:
            told = [made, notices.list_notices(desk.db, limit=500), journal.read(conn, limit=10_000)]
    assert CANARY not in repr(told)
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("store.sqlite*"))
    assert CANARY.encode() not in raw


@dataclass
class Hanging:
    """A channel to several subscribers, one of whom does not answer until it is let go."""

    hangs: str
    let_go: threading.Event = field(default_factory=threading.Event)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def find_fault(self, subscription: Subscription) -> str | None:
        return None

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        if subscription.id == self.hangs:
            self.let_go.wait(30)
            return {parcel.key: NotNow(why="no answer") for parcel in parcels}
        self.sent += [(subscription.id, parcel.title) for parcel in parcels]
        return {parcel.key: Taken() for parcel in parcels}


def test_a_channel_that_hangs_delays_no_other(desk: Desk) -> None:
    for name in ("mute", "crew"):
        desk.subscribe(name, customers=frozenset(), kinds=frozenset({NoticeKind.UNIT_NEEDS_REPAIR}))
    ports = opened(StoreOutbox(desk.db, desk.clock), desk)
    assert ports.notifier is not None
    hanging: Any = Hanging("mute")
    office = PostOffice(database=desk.db, channels={ChannelKind.CHAT: hanging}, clock=desk.clock)
    stop = threading.Event()
    loop = threading.Thread(target=keep_delivering, args=(office, stop))
    loop.start()
    try:
        for number, unit in enumerate(NODES, 1):
            ports.notifier.notify([say(unit)])
            until = time.monotonic() + 20
            while len(hanging.sent) < number and time.monotonic() < until:
                time.sleep(0.02)
            assert len(hanging.sent) == number, "the next one came through while the first still hung"
    finally:
        stop.set()
        hanging.let_go.set()
        loop.join()
    assert {to for to, _ in hanging.sent} == {"crew"}
