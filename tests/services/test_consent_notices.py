"""What customers say reaches whoever asked to hear it: noes, counter-offers and their answers, words taken back."""

from datetime import timedelta

import pytest
from tests.constraints import world as w
from tests.services.notice_world import Desk
from tests.services.orders import LUMEN, REPAIR, opened, prepare, say

from fermata.domain.deliveries import NotNow
from fermata.domain.ids import OrderId
from fermata.domain.notices import OF_CONSENT, Notice
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.policy import AfterDue, Conditions, Scope, ScopeLevel, Verdict
from fermata.domain.work_orders import Word
from fermata.execution.delivering import deliver_round
from fermata.services import notices
from fermata.services.consent import Order, decide
from fermata.services.offers import Answer, answer_offer
from fermata.store.database import Database

DAY = timedelta(days=1)
TIME = Conditions(not_before=w.NOW + 5 * DAY, not_after=w.NOW + 6 * DAY)


@pytest.fixture
def desk(db: Database) -> Desk:
    """The operator hears what customers say, and nothing else."""
    made = Desk(db)
    made.import_all()
    made.subscribe("operator", customers=frozenset(), kinds=OF_CONSENT)
    return made


def word(verdict: Verdict, scope: str, why: str, terms: Terms = NO_TERMS) -> Order:
    level, name = scope.split()
    return Order(scope=Scope(level=ScopeLevel(level), name=name), verdict=verdict, reason=why, terms=terms)


def speak(desk: Desk, *orders: Order) -> None:
    decide(desk.db, orders, now=desk.clock.at, new_id=desk.new_id)


def deliver(desk: Desk) -> None:
    while deliver_round(desk.office).did_something:
        pass


def told(desk: Desk) -> list[Notice]:
    """Oldest first, of what customers say."""
    found = (view.notice for view in reversed(notices.list_notices(desk.db).notices))
    return [notice for notice in found if notice.kind in OF_CONSENT]


def test_a_no_is_told_with_its_end_and_what_follows(desk: Desk) -> None:
    until = w.NOW + 2 * DAY
    terms = Terms(until=until, then=AfterDue.ESCALATE)
    speak(desk, *(word(Verdict.DECLINED, f"node alpha-n0{index}", "launch", terms) for index in range(2)))
    deliver(desk)
    (notice,) = told(desk)
    assert (notice.kind, notice.thread, notice.facts["until"]) == (
        "consent.declined",
        "req_sc-alpha_deployment",
        until.isoformat(),
    )
    (parcel,) = desk.channel.parcels
    assert parcel.title == f"sc-alpha: {notice.actor} declined node alpha-n00, node alpha-n01 until 2026-01-04 20:00Z"
    assert "Afterwards it is escalated without another word\nWhy: launch\n" in parcel.text


def test_noes_that_end_at_other_times_are_told_apart(desk: Desk) -> None:
    terms = {days: Terms(until=w.NOW + days * DAY) for days in (1, 2)}
    speak(desk, *(word(Verdict.DECLINED, f"node alpha-n0{days}", "launch", terms[days]) for days in (1, 2)))
    assert [notice.facts["until"] for notice in told(desk)] == [(w.NOW + days * DAY).isoformat() for days in (1, 2)]


@pytest.mark.parametrize(("accept", "kind"), [(True, "consent.approved"), (False, "consent.refused")])
def test_a_counter_offer_is_told_with_what_it_is_answered_by_and_so_is_the_answer(
    desk: Desk, accept: bool, kind: str
) -> None:
    speak(desk, word(Verdict.OFFERED, "cluster alpha", "after the training run", Terms(conditions=TIME)))
    deliver(desk)
    (notice,) = told(desk)
    (offer,) = notice.facts["offers"]
    (parcel,) = desk.channel.parcels
    assert "offers another time for cluster alpha" in parcel.title
    assert "Their time: from 2026-01-07 20:00Z to 2026-01-08 20:00Z; nothing is covered before" in parcel.text
    assert f"fermata offer accept {offer}\n" in parcel.text
    answer_offer(desk.db, offer, Answer(accept=accept, actor="operator-1"), now=w.NOW, new_id=desk.new_id)
    assert [each.kind for each in told(desk)] == ["consent.offered", kind]


def test_a_word_on_the_nodes_behind_a_device_is_told_as_well(desk: Desk) -> None:
    speak(desk, word(Verdict.APPROVED, "group alpha-r0-tor", ""))
    speak(desk, word(Verdict.WITHDRAWN, "group alpha-r0-tor", "launch"))
    assert [(n.kind, n.facts["scopes"]) for n in told(desk)] == [
        ("consent.approved", ["group alpha-r0-tor"]),
        ("consent.withdrawn", ["group alpha-r0-tor"]),
    ]


def test_words_on_work_orders_stand_in_line_with_their_own_request(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe("operator", customers=frozenset({LUMEN.id}))
    deliver(desk)
    desk.channel.outcomes = [NotNow(why="busy")]
    opened(db, "node alpha-n00")
    say(db, REPAIR, Word.DECLINED, actor="ann", until=w.NOW + DAY, reason="launch")
    say(db, REPAIR, Word.WITHDRAWN, actor="ann", orders=frozenset({OrderId("wo_1")}))
    assert [(n.kind, n.thread) for n in told(desk) if n.customer == LUMEN.id] == [
        ("consent.declined", REPAIR),
        ("consent.withdrawn", REPAIR),
    ]
    before = len(desk.channel.parcels)
    deliver(desk)
    assert len(desk.channel.parcels) == before + 1, "they stand behind what was asked, which waits to be tried again"
    desk.clock.at += DAY
    deliver(desk)
    titles = desk.channel.titles[before + 1 :]
    assert ["is asked for" in titles[0], "declined" in titles[1], "withdrew" in titles[2]] == [True] * 3
    assert "Request req_sc-both_repair: wo_1\n" in desk.channel.parcels[-2].text


def test_who_does_not_ask_for_it_does_not_hear_it(db: Database) -> None:
    desk = Desk(db)
    desk.import_all()
    desk.subscribe("plans", kinds=frozenset())
    desk.subscribe("beta", customers=frozenset(), supercomputers=frozenset({"sc-beta"}))
    deliver(desk)
    speak(desk, word(Verdict.DECLINED, "node alpha-n00", "launch", Terms(until=w.NOW + DAY)))
    (notice,) = told(desk)
    assert [line.subscription for line in notices.show_notice(desk.db, notice.id).deliveries] == ["plans"]
