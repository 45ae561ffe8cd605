"""What the customer of a window hears over a conducted day: the room's figures in its own words, over every channel."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.simulation import small, stagehand
from tests.simulation.rooms import ROUGH, WINDOW, rig, told

from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.domain.notices import Notice
from fermata.domain.phases import GoPhase, Phases
from fermata.domain.room import MessageKind
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.services.rooms import BridgeOrder, HandoverOrder, Speaker, speak
from fermata.store import journal, outbox

MINUTE = timedelta(minutes=1)
KEY = f"incident:maintenance:{WINDOW}"


def heard(found: stagehand.Rig, **who: object) -> list[Notice]:
    """What a chat subscription hears of the window, in order."""
    chat = Subscription(
        id=SubscriptionId("s"),
        channel=ChannelKind.CHAT,
        target={},
        created_at=small.NOW,
        created_by="ann",
        **who,  # type: ignore[arg-type]
    )
    with found.database.read() as conn:
        every = outbox.notices_after(conn, 0)
    return [notice for notice in every if chat.hears(notice) and notice.subject.startswith("incident:")]


def test_the_customer_hears_the_figures_of_the_room_and_each_word_once(tmp_path: Path) -> None:
    found = rig(tmp_path, faults=ROUGH)
    found.conduct()
    made = [message for message in told(found) if message.own is not None]
    notices = heard(found, customers=frozenset({small.CUSTOMER}))
    assert [notice.facts["subject"] for notice in notices] == [m.own.lines[0] for m in made if m.own is not None]
    for message, notice in zip(made, notices, strict=True):
        for name in ("state", "nodes", "taken", "returned", "kept_out", "working", "in_tail", "left_out"):
            assert notice.facts[name] == getattr(message.figures, name)
        if message.figures.taken:
            assert f"Back in service: {message.figures.returned} of {message.figures.taken}" in notice.facts["text"]
    assert {notice.subject for notice in notices} == {KEY}
    kinds = [notice.kind.value for notice in notices]
    assert (kinds[0], kinds[-1]) == ("incident.opened", "incident.closed")
    assert set(kinds[1:-1]) == {"incident.updated"}
    assert heard(found, customers=frozenset({CustomerId("vega")})) == []
    assert {notice.subject for notice in heard(found)} == {f"incident:window:{WINDOW}"}, "the operator has the room's"


def test_while_nothing_changes_for_the_customer_it_is_left_in_peace(tmp_path: Path) -> None:
    go = Phases(go_windows=frozenset({GoPhase.FULL}))
    found = rig(tmp_path, campaign=replace(small.campaign(), phases=go))
    found.conduct(until=small.START + 10 * MINUTE)
    speak(found.database, Speaker(window=WINDOW, actor="zed", at=found.clock.now()), HandoverOrder(to="zed"))
    found.conduct(until=small.START + 20 * MINUTE)
    at = found.clock.now()
    speak(found.database, Speaker(window=WINDOW, actor="zed", at=at), BridgeOrder(url="https://meet.example/1"))
    found.conduct(until=small.START + 125 * MINUTE)
    kinds = [message.kind for message in told(found)]
    assert kinds.count(MessageKind.CHANGED) >= 2
    assert len(kinds) >= 6
    (first,) = heard(found, customers=frozenset({small.CUSTOMER}))
    assert "It waits for the word of those who conduct it." in first.facts["text"]
    assert "zed" not in str(first.facts)


def test_the_words_stand_once_in_the_journal_whoever_hears_and_however_often_it_is_asked(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + 61 * MINUTE)
    with found.database.read() as conn:
        before = journal.read(conn, limit=10_000, subject=KEY)
    assert found.rooms is not None
    for _ in range(3):
        found.rooms.tend(found.run, found.clock.now())
    with found.database.read() as conn:
        assert journal.read(conn, limit=10_000, subject=KEY) == before
    assert before
