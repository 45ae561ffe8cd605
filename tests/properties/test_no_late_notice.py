"""No notice is ever shorter than promised, whatever happens in whatever order, or the work waits and says why.

Time is simulated. What the store makes of it is held against a plain record of who really took which notice when.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.conftest import copy_sqlite
from tests.constraints import world as w
from tests.services.notice_world import Desk

from fermata.domain.allowances import find_next
from fermata.domain.consent import Consent, find_consent
from fermata.domain.deliveries import Gone, NotNow, Outcome, Rejected, Taken
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, SubscriptionId, UpdateId
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import AfterDue, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.subscriptions import ChannelKind, NoConsent
from fermata.execution.delivering import deliver_round
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.subscriptions import remove_subscription
from fermata.store import consent, inventory
from fermata.store.database import Database

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
UPDATES = ("nic", "os", "agent")
NODE = NodeId("alpha-n00")
NAMES = ("hook", "chat")
OUTCOMES: tuple[Outcome, ...] = (
    Taken(),
    NotNow(why="it answered 500"),
    NotNow(why="it answered 429", after=5 * HOUR),
    Rejected(why="it answered 400"),
    Gone(why="it answered 410"),
)

steps = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 3000)),
    st.tuples(st.just("import"), st.sets(st.sampled_from(UPDATES), min_size=1)),
    st.tuples(st.sampled_from((ChannelKind.CHAT, ChannelKind.CLOUD_EVENTS)), st.sampled_from(NAMES)),
    st.tuples(st.just("own"), st.none()),
    st.tuples(st.just("remove"), st.sampled_from(NAMES)),
    st.tuples(st.just("deliver"), st.lists(st.sampled_from(OUTCOMES), max_size=6)),
    st.tuples(st.sampled_from((Verdict.APPROVED, Verdict.WITHDRAWN)), st.none()),
)


@dataclass
class Record:
    """What really happened, kept by hand. `told`: when each item was first known. `standing`: lumen's subscriptions."""

    told: dict[str, datetime] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    standing: set[str] = field(default_factory=set)

    def know(self, updates: set[str], at: datetime) -> None:
        for update in updates:
            self.told.setdefault(update, at)

    def look(self, at: datetime) -> None:
        """Nobody stands for the customer: what is asked is known from now on."""
        if not self.standing:
            self.know(self.asked, at)


@contextmanager
def opened_desk(template: Path) -> Iterator[Desk]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        copy_sqlite(template, path)
        database = Database(f"sqlite:///{path}")
        try:
            yield Desk(database, numbers=count(1))
        finally:
            database.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(steps, min_size=1, max_size=14))
@example(story=[(ChannelKind.CHAT, "hook"), ("import", {"nic", "os"}), ("wait", 100), ("remove", "hook")])
@example(
    story=[(ChannelKind.CLOUD_EVENTS, "hook"), ("import", {"os"}), ("wait", 100), ("deliver", []), ("remove", "hook")]
)
def test_work_that_nobody_approved_waits_out_the_promised_notice(
    sqlite_template: Path, story: list[tuple[str, object]]
) -> None:
    with opened_desk(sqlite_template) as desk:
        record = Record()
        play(desk, record, ("import", {"nic"}))
        for step in story:
            play(desk, record, step)
            judge(desk, record)


def play(desk: Desk, record: Record, step: tuple[str, object]) -> None:
    now = desk.clock.at
    match step:
        case ("wait", int(minutes)):
            desk.clock.at = now + minutes * MINUTE
        case ("import", set(updates)):
            record.asked = {str(update) for update in updates}
            desk.import_all(after_due=AfterDue.PROCEED, updates=sorted(record.asked))
            record.look(now)
        case (ChannelKind() as channel, str(name)):
            subscribe(desk, record, name, channel)
        case ("own", None):
            desk.subscribe("own", customers=frozenset())
        case ("remove", str(name)) if name in record.standing:
            remove_subscription(desk.db, SubscriptionId(name), now=now, actor="operator-1")
            record.standing.discard(name)
            record.look(now)
        case ("deliver", list(outcomes)):
            deliver(desk, record, [outcome for outcome in outcomes if isinstance(outcome, Outcome)])
        case (Verdict() as verdict, None):
            order = Order(scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"), verdict=verdict)
            decide(desk.db, [order], now=now, new_id=desk.new_id)


def subscribe(desk: Desk, record: Record, name: str, channel: ChannelKind) -> None:
    """A chat is open at once; the webhook never agrees."""
    desk.channel.greeting = NoConsent(why="no header")
    try:
        desk.subscribe(name, channel, attempts_max=3)
    except Refusal:
        return  # the name is taken by the other kind
    record.standing.add(name)


def deliver(desk: Desk, record: Record, outcomes: list[Outcome]) -> None:
    """Rounds until nothing is due; each outcome answers one parcel, after them all are taken or, without any, refused.

    What was really taken for sc-alpha is read from the words of the parcels.
    """
    desk.channel.outcomes = list(outcomes)
    for _ in range(30):
        seen = len(desk.channel.parcels)
        planned = list(desk.channel.outcomes)
        busy = deliver_round(desk.office).did_something
        for number, parcel in enumerate(desk.channel.parcels[seen:]):
            took = planned[number] if number < len(planned) else Taken()
            ours = parcel.key.partition("/")[0] in record.standing and parcel.title.startswith("sc-alpha: ")
            if took == Taken() and ours and "incarnation" in parcel.text:
                named = {update for update in UPDATES if f"\n- {update} (" in parcel.text}
                record.know(named, desk.clock.at)
        if not busy:
            return


def judge(desk: Desk, record: Record) -> None:
    fleet, policy, pending, found = read(desk)
    due = {item.update.id for item in pending.of_node(fleet.nodes[NODE]).due}
    with desk.db.read() as conn:
        ledger = consent.load_ledger(conn)
    last = next((entry for entry in reversed(ledger) if entry.scope.name == "alpha"), None)
    approved = last.updates if last is not None and last.verdict is Verdict.APPROVED else frozenset[UpdateId]()
    silent = {update for update in due if update not in approved}
    if not silent:
        assert NODE not in found.gaps, "an approval is the customer's own word"
        return
    if NODE in found.gaps:
        why = found.gaps[NODE].code.value
        untold = any(update not in record.told for update in silent)
        withdrawn = last is not None and last.verdict is Verdict.WITHDRAWN
        assert why in {"NOTICE_NOT_DELIVERED", "APPROVAL_WITHDRAWN"}
        assert untold or withdrawn, f"it waits for nothing: {found.gaps[NODE]}"
        return
    start = find_next(found.times.get(NODE, frozenset()), desk.clock.at, HOUR)
    assert start is not None
    catalogue = {item.update.id: item.update for item in pending.of_node(fleet.nodes[NODE]).due}
    for update in silent:
        assert update in record.told, f"{update} may begin at {start.start} and nobody was told"
        promised = record.told[update] + policy.promised(catalogue[update])
        assert start.start >= max(promised, policy.due_at(catalogue[update]))


def read(desk: Desk) -> tuple[Fleet, Policy, FleetPending, Consent]:
    with desk.db.read() as conn:
        fleet, policy = inventory.load_fleet(conn), inventory.load_policy(conn)
        pending = find_pending(fleet, inventory.load_catalogue(conn))
        ledger = consent.load_ledger(conn)
    nodes = FleetPending(
        nodes={name: unit for name, unit in pending.nodes.items() if fleet.nodes[name].cluster == "alpha"}, devices={}
    )
    return fleet, policy, nodes, find_consent(fleet, policy, nodes, ledger)


def test_the_story_of_a_notice_that_came_late(sqlite_template: Path) -> None:
    """One run by hand, so that the property above is known to reach what it is about."""
    with opened_desk(sqlite_template) as desk:
        record = Record()
        play(desk, record, ("import", {"nic"}))
        play(desk, record, (ChannelKind.CHAT, "hook"))
        play(desk, record, ("import", {"nic", "os"}))
        assert read(desk)[3].gaps[NODE].code.value == "NOTICE_NOT_DELIVERED"
        play(desk, record, ("deliver", [NotNow(why="it answered 500")] * 4))
        play(desk, record, ("wait", 600))
        assert read(desk)[3].gaps[NODE].code.value == "NOTICE_NOT_DELIVERED"
        play(desk, record, ("deliver", []))
        judge(desk, record)
        fleet, policy, pending, found = read(desk)
        os = next(i.update for i in pending.of_node(fleet.nodes[NODE]).due if i.update.id == "os")
        start = find_next(found.times[NODE], desk.clock.at, HOUR)
        assert start is not None
        assert start.start == w.NOW + 600 * MINUTE + policy.promised(os)
