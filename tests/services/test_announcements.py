"""Announcements: one message to all who subscribed, once, under one key from first to last."""

from dataclasses import replace
from typing import Any

import pytest
from tests.services.notice_world import LUMEN, Desk

from fermata.domain.announcements import Announcement, Phase
from fermata.domain.ids import ClusterId, CustomerId, TeamId
from fermata.domain.notices import NoticeKind
from fermata.execution.delivering import deliver_round
from fermata.services.announcements import announce
from fermata.store import journal
from fermata.store.announcing import Announced
from fermata.store.database import Database

BEGUN = Announcement(
    key="window:w1",
    phase=Phase.OPENED,
    subject="alpha: window w1 has begun",
    text="6 nodes out\nBack at 18:30Z",
    facts={"out": 6},
    clusters=frozenset({ClusterId("alpha")}),
)


@pytest.fixture
def desk(db: Database) -> Desk:
    made = Desk(db)
    made.import_all()
    return made


def say(desk: Desk, **said: Any) -> Announced:
    return announce(desk.db, replace(BEGUN, **said), now=desk.clock.at, actor="conductor")


def heard(desk: Desk) -> list[tuple[str, str]]:
    """What the channel was handed of incidents: to whom, and the line."""
    while deliver_round(desk.office).did_something:
        pass
    found = [(parcel.key.partition("/")[0], parcel.title) for parcel in desk.channel.parcels if "w1" in parcel.title]
    desk.channel.parcels.clear()
    return found


def test_everybody_who_subscribed_reads_the_same_words_once(desk: Desk) -> None:
    desk.subscribe("noc", customers=frozenset())
    desk.subscribe("lumen-chat")
    desk.subscribe("fabric-team", customers=frozenset(), teams=frozenset({TeamId("team-nic")}))
    told = say(desk, clusters=frozenset({ClusterId("alpha"), ClusterId("beta")}), teams=frozenset({TeamId("team-nic")}))
    assert told.said
    assert sorted(heard(desk)) == [
        ("fabric-team", BEGUN.subject),
        ("lumen-chat", BEGUN.subject),
        ("noc", BEGUN.subject),
    ], "the operator's own hears for two supercomputers and a team, and is told once"


def test_nobody_hears_again_what_was_said(desk: Desk) -> None:
    desk.subscribe("noc", customers=frozenset())
    assert say(desk).said
    assert not say(desk).said
    assert not say(desk, phase=Phase.UPDATED, facts={"out": 6, "seen": 12}).said, "the words are the same"
    assert say(desk, phase=Phase.UPDATED, text="5 nodes out").said
    assert say(desk, phase=Phase.CLOSED, text="5 nodes out").said
    assert not say(desk, phase=Phase.CLOSED, text="5 nodes out").said
    assert not say(desk, phase=Phase.UPDATED, text="4 nodes out").said, "what is over pages nobody"
    assert say(desk).said, "it may be opened anew"
    assert len(heard(desk)) == 4
    with desk.db.read() as conn:
        assert len(journal.read(conn, subject="incident:window:w1")) == 4


def test_who_is_not_concerned_hears_nothing(desk: Desk) -> None:
    desk.subscribe("other", customers=frozenset({LUMEN}), supercomputers=frozenset({"sc-beta"}))
    desk.subscribe("power-team", customers=frozenset(), teams=frozenset({TeamId("team-os")}))
    assert say(desk, teams=frozenset({TeamId("team-nic")})) == Announced(said=True, notices=())
    assert say(desk, phase=Phase.UPDATED, customers=frozenset({CustomerId("meridian")})).notices == ()
    assert heard(desk) == []


def test_all_words_of_one_key_stand_in_one_line(desk: Desk) -> None:
    desk.subscribe(
        "noc", customers=frozenset(), kinds=frozenset({NoticeKind.INCIDENT_OPENED, NoticeKind.INCIDENT_CLOSED})
    )
    say(desk)
    say(desk, phase=Phase.UPDATED, text="5 nodes out")
    say(desk, phase=Phase.CLOSED, subject="alpha: window w1 is over", text="")
    deliver_round(desk.office)
    assert [parcel.title for parcel in desk.channel.parcels] == [BEGUN.subject], "the second waits behind the first"
    deliver_round(desk.office)
    assert {parcel.thread for parcel in desk.channel.parcels} == {"incident:window:w1"}
    assert len(desk.channel.parcels) == 2


def test_who_subscribes_later_hears_how_far_it_is(desk: Desk) -> None:
    desk.subscribe("noc", customers=frozenset())
    say(desk, clusters=frozenset({ClusterId("alpha"), ClusterId("beta")}))
    say(desk, key="window:w0", subject="w1 of another key")
    say(desk, key="window:w0", phase=Phase.CLOSED)
    heard(desk)
    desk.subscribe("late", customers=frozenset())
    assert heard(desk) == [("late", BEGUN.subject)], "once, and nothing of what is over"


@pytest.mark.parametrize("wrong", [{"key": ""}, {"key": "two words"}, {"key": "x" * 201}, {"subject": "two\nlines"}])
def test_what_no_channel_could_carry_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is no"):
        replace(BEGUN, **wrong)
