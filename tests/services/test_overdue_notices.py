"""An escalation reaches people: a request that turns overdue is told, once, to whom it waits for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.constraints import world as w
from tests.services.notice_world import HOUR, Desk
from tests.services.orders import DAY, LUMEN, MERIDIAN, POLICY, REPAIR, S, minting, opened, prepare, say, shown, state

from fermata.domain.deliveries import DeliveryState, NotNow, Taken
from fermata.domain.ids import OrderId, SubscriptionId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.policy import AfterDue, Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.request_standing import NextStep
from fermata.domain.updates import Criticality
from fermata.domain.work_orders import Word
from fermata.execution.delivering import KEPT, deliver_round, prune_all
from fermata.services import notices
from fermata.services.errors import Refusal
from fermata.services.request_record import find_moved, read_inputs_in, record_moved
from fermata.services.requests import watch_requests
from fermata.store import journal
from fermata.store.database import Database

DUE = w.NOW + DAY
NODE = "node alpha-n00"


@pytest.fixture
def desk(db: Database) -> Desk:
    """One order to be answered within a day, of which lumen heard."""
    made = Desk(db)
    prepare(db)
    made.subscribe()
    opened(db, NODE, criticality=Criticality.CRITICAL_LIVESITE)
    deliver(made)
    return made


def deliver(desk: Desk) -> None:
    while deliver_round(desk.office).did_something:
        pass


def overdue(db: Database) -> list[Notice]:
    """What was told of it, oldest first."""
    found = (view.notice for view in reversed(notices.list_notices(db).notices))
    return [notice for notice in found if notice.kind is NoticeKind.REQUEST_OVERDUE]


def pass_due(desk: Desk) -> None:
    desk.clock.at = DUE
    watch_requests(desk.db, now=DUE)


def states(desk: Desk, notice: str) -> list[DeliveryState]:
    return [line.state for line in notices.show_notice(desk.db, notice).deliveries]


def test_who_must_act_is_told_when_the_time_to_choose_is_over_and_no_moment_sooner(desk: Desk) -> None:
    watch_requests(desk.db, now=DUE - timedelta(seconds=1))
    assert overdue(desk.db) == []
    pass_due(desk)
    (told,) = overdue(desk.db)
    facts: dict[str, Any] = dict(told.facts)
    assert (told.at, told.customer, told.thread, told.actor) == (DUE, "lumen", REPAIR, "fermata")
    assert (facts["request"], facts["incarnation"], facts["due_at"]) == (REPAIR, 1, DUE.isoformat())
    assert (facts["who"], facts["approvers"], facts["after_due"]) == (["lumen"], ["ann", "eve"], "escalate")
    deliver(desk)
    parcel = desk.channel.parcels[-1]
    assert parcel.title == "sc-both: overdue since 2026-01-03 20:00Z: lumen must answer"
    assert "Who can answer for lumen: ann, eve\n" in parcel.text
    assert "If nobody does: nothing that lacks the word of lumen begins\n" in parcel.text
    assert "Why: The time to choose ended at 2026-01-03 20:00Z without a word of lumen on 1 unit" in parcel.text


def test_the_notice_and_the_line_in_the_journal_are_one_change(desk: Desk) -> None:
    def fail_half_way() -> None:
        with desk.db.begin() as conn:
            inputs = read_inputs_in(conn, DUE)
            moved = find_moved(inputs.open_book(DUE), inputs.seen, inputs.stored.values())
            record_moved(conn, moved, actor="x", now=DUE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert (overdue(desk.db), shown(desk.db, now=DUE).history[-1].event) == ([], "request.changed")
    pass_due(desk)
    assert (len(overdue(desk.db)), shown(desk.db, now=DUE).history[-1].event) == (1, "request.overdue")


def test_it_is_told_once_though_a_yes_is_taken_back_and_old_notices_go(desk: Desk) -> None:
    pass_due(desk)
    deliver(desk)
    (told,) = overdue(desk.db)
    for at in (DUE + HOUR, DUE + KEPT + DAY):
        desk.clock.at = at
        prune_all(desk.office)
        say(desk.db, REPAIR, actor="ann", now=at)
        assert state(desk.db, now=at) is S.APPROVED
        say(desk.db, REPAIR, Word.WITHDRAWN, actor="ann", orders=frozenset({OrderId("wo_1")}), now=at)
        assert state(desk.db, now=at) is S.OVERDUE
    with desk.db.read() as conn:
        lines = [line for line in journal.read(conn, subject=f"request:{REPAIR}") if line.event == "request.overdue"]
    assert len(lines) == 3, "the journal holds each time"
    assert overdue(desk.db) == [told]


def test_what_joins_an_overdue_request_is_told_when_it_is_overdue_in_its_turn(desk: Desk) -> None:
    pass_due(desk)
    mint = minting()
    mint("wo")
    say(desk.db, REPAIR, actor="ann", now=DUE)
    opened(desk.db, "node alpha-n01", criticality=Criticality.CRITICAL_LIVESITE, mint=mint, now=DUE)
    deliver(desk)
    assert state(desk.db, now=DUE) is S.PARTLY_APPROVED
    watch_requests(desk.db, now=DUE + DAY)
    assert [told.facts["incarnation"] for told in overdue(desk.db)] == [1, 2]


def test_a_customer_that_answered_hears_nothing_and_none_hears_of_the_approvers_of_another(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe("own", customers=frozenset())
    opened(db, "rack alpha-r0", criticality=Criticality.CRITICAL_LIVESITE)
    say(db, REPAIR, actor="ann", scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"))
    pass_due(desk)
    (told,) = overdue(db)
    assert (told.customer, told.facts["who"], told.facts["approvers"]) == ("meridian", ["meridian"], ["bob", "eve"])


def test_each_customer_hears_what_its_own_policy_does_without_an_answer(db: Database) -> None:
    proceeding = replace(MERIDIAN, after_due=AfterDue.PROCEED)
    prepare(db, policy=replace(POLICY, customers={LUMEN.id: LUMEN, MERIDIAN.id: proceeding}))
    desk = Desk(db)
    desk.subscribe("own", customers=frozenset())
    opened(db, "rack alpha-r0", criticality=Criticality.CRITICAL_LIVESITE)
    pass_due(desk)
    told = {notice.customer: notice.facts for notice in overdue(db)}
    assert {name: facts["after_due"] for name, facts in told.items()} == {"lumen": "escalate", "meridian": "proceed"}
    assert {name: facts["approvers"] for name, facts in told.items()} == {
        "lumen": ["ann", "eve"],
        "meridian": ["bob", "eve"],
    }


def test_what_proceeds_without_an_answer_is_told_as_that(db: Database) -> None:
    proceeding = replace(LUMEN, after_due=AfterDue.PROCEED)
    prepare(db, policy=replace(POLICY, customers={LUMEN.id: proceeding, MERIDIAN.id: MERIDIAN}))
    desk = Desk(db)
    desk.subscribe()
    opened(db, NODE, criticality=Criticality.CRITICAL_LIVESITE)
    deliver(desk)
    pass_due(desk)
    deliver(desk)
    (told,) = overdue(db)
    assert (told.facts["needed"], told.facts["who"], told.facts["after_due"]) == ("begin", ["conductor"], "proceed")
    assert desk.channel.parcels[-1].title.endswith(": it proceeds without an answer")
    assert "what may go without the word of lumen begins in its windows" in desk.channel.parcels[-1].text


def test_what_was_told_late_is_not_overdue_before_the_promised_notice_is_over(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe()
    opened(db, NODE, criticality=Criticality.CRITICAL_LIVESITE)
    late = DUE + 3 * DAY
    watch_requests(db, now=late)
    untold = shown(db, now=late).standing
    assert (untold.state, untold.needed, overdue(db)) == (S.PENDING, NextStep.NOTIFY, [])
    assert "until the promised notice is over (due 2026-01-03 20:00Z, but the notice counts" in untold.why.sentence
    desk.clock.at = late
    deliver(desk)
    told = shown(db, now=late).standing
    assert (told.state, told.needed) == (S.NOTIFIED, NextStep.ANSWER)
    end = "2026-01-07 20:00Z (due 2026-01-03 20:00Z, but the promised notice counts from when they were told)"
    assert f"can choose until {end}" in told.why.sentence
    watch_requests(db, now=late + DAY - timedelta(seconds=1))
    assert overdue(db) == []
    watch_requests(db, now=late + DAY)
    (notice,) = overdue(db)
    assert notice.facts["due_at"] == (late + DAY).isoformat()
    assert f"The time to choose ended at {end} without a word of lumen" in notice.why


def test_who_was_told_late_may_say_no_for_as_long_as_it_may_choose(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe()
    opened(db, NODE, criticality=Criticality.CRITICAL_LIVESITE)
    late = DUE + 3 * DAY
    desk.clock.at = late
    deliver(desk)
    with pytest.raises(Refusal, match=Code.DECLINE_UNTIL_WRONG):
        say(db, REPAIR, Word.DECLINED, actor="ann", until=late + 2 * DAY, now=late)
    say(db, REPAIR, Word.DECLINED, actor="ann", until=late + DAY, now=late)
    assert state(db, now=late) is S.DECLINED


def test_each_customer_is_overdue_by_when_it_was_told_itself(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe("lumen-own")
    desk.subscribe("meridian-own", customers=frozenset({MERIDIAN.id}), target={"url": "https://down.example"})
    deliver(desk)
    opened(db, "rack alpha-r0", criticality=Criticality.CRITICAL_LIVESITE)
    desk.channel.outcomes = [Taken(), NotNow(why="down")]
    deliver(desk)
    pass_due(desk)
    assert [told.customer for told in overdue(db)] == ["lumen"]
    deliver(desk)
    watch_requests(db, now=DUE + DAY - timedelta(seconds=1))
    watch_requests(db, now=DUE + DAY)
    assert [told.customer for told in overdue(db)] == ["lumen", "meridian"]


def test_it_is_tried_again_and_replayed_like_any_other(desk: Desk) -> None:
    pass_due(desk)
    (told,) = overdue(desk.db)
    desk.channel.outcomes = [NotNow(why="busy")]
    deliver(desk)
    assert states(desk, told.id) == [DeliveryState.PENDING]
    desk.clock.at += HOUR
    deliver(desk)
    assert states(desk, told.id) == [DeliveryState.DELIVERED]
    notices.replay_notice(desk.db, told.id, now=desk.clock.at, actor="operator-1")
    deliver(desk)
    assert [parcel.key for parcel in desk.channel.parcels][-3:] == [f"lumen-chat/{told.id}"] * 3


def test_only_who_wants_to_hear_of_it_does_and_nothing_is_kept_for_nobody(db: Database) -> None:
    prepare(db)
    desk = Desk(db)
    desk.subscribe("plans", kinds=frozenset({NoticeKind.PLAN_PUBLISHED}))
    opened(db, NODE, criticality=Criticality.CRITICAL_LIVESITE)
    pass_due(desk)
    assert overdue(db) == []
    desk.subscribe("late", kinds=frozenset({NoticeKind.REQUEST_OVERDUE}))
    say(db, REPAIR, actor="ann", now=DUE)
    say(db, REPAIR, Word.WITHDRAWN, actor="ann", orders=frozenset({OrderId("wo_1")}), now=DUE)
    (told,) = overdue(db)
    (line,) = notices.show_notice(db, told.id).deliveries
    assert line.subscription == SubscriptionId("late")
