"""Notices: written with the change, delivered in order and at least once, dead-lettered, replayed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w
from tests.services.notice_world import HOUR, LUMEN, Desk

from fermata.domain.deliveries import DeliveryState, Gone, NotNow, Rejected, Taken
from fermata.domain.ids import FreezeId, SubscriptionId
from fermata.domain.notices import NoticeKind, notified_at
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.requests import request_id
from fermata.domain.subscriptions import ByHand, ChannelKind, Consented, NoConsent, SubscriptionState
from fermata.domain.updates import Impact
from fermata.execution.delivering import deliver_round
from fermata.services import notices, subscriptions
from fermata.services.consent import Order, Verdict, decide
from fermata.services.errors import Refusal
from fermata.services.exemptions import ExemptionOrder, ask_exemption
from fermata.services.freezes import FreezeOrder, add_freeze, end_freeze
from fermata.store import journal, outbox, requests
from fermata.store.database import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def desk(db: Database) -> Desk:
    return Desk(db)


def deliver(desk: Desk, rounds: int = 20) -> None:
    for _ in range(rounds):
        if not deliver_round(desk.office).did_something:
            return


def kinds(desk: Desk) -> list[str]:
    return [view.notice.kind.value for view in reversed(notices.list_notices(desk.db).notices)]


def states(desk: Desk, notice: str) -> list[str]:
    return [line.state.value for line in notices.show_notice(desk.db, notice).deliveries]


def test_an_import_tells_each_customer_of_each_request_once(desk: Desk) -> None:
    desk.import_all()
    desk.import_all()
    assert kinds(desk) == ["request.opened"] * 4, "one a supercomputer, and nothing when nothing changed"


def test_what_is_asked_is_told_to_a_new_subscriber_and_what_changes_afterwards(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    desk.subscribe()
    deliver(desk)
    assert [title.split(":")[0] for title in desk.channel.titles] == ["sc-alpha", "sc-beta", "sc-gamma", "sc-omega"]
    desk.import_all(updates=["nic", "os"])
    deliver(desk)
    assert kinds(desk)[4:] == ["request.changed"] * 4
    assert "Joined: os" in desk.channel.parcels[-1].text


def test_a_change_that_is_undone_tells_nobody(desk: Desk) -> None:
    desk.import_all()
    request = "request:req_sc-alpha_deployment"

    def fail_half_way() -> None:
        with desk.db.begin() as conn:
            journal.append(conn, journal.Entry(at=w.NOW, actor="x", event="request.changed", subject=request, why=""))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert len(kinds(desk)) == 4


def test_many_words_at_once_are_one_notice_to_each_request(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe()
    deliver(desk)
    orders = [
        Order(scope=Scope(level=ScopeLevel.NODE, name=f"alpha-n0{index}"), verdict=Verdict.APPROVED)
        for index in range(6)
    ]
    decide(desk.db, orders, now=w.NOW, new_id=desk.new_id)
    deliver(desk)
    assert kinds(desk)[4:] == ["consent.approved"]
    found = notices.list_notices(desk.db).notices[0].notice
    assert found.facts["scopes_total"] == 6
    assert found.facts["scopes"][:2] == ["node alpha-n00", "node alpha-n01"]


def test_freezes_and_exemptions_are_told_to_whom_they_concern(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe()
    deliver(desk)
    scope = Scope(level=ScopeLevel.RACK, name="alpha-r0")
    order = FreezeOrder(scope=scope, start=w.NOW, end=w.NOW + HOUR, reason="launch")
    freeze = add_freeze(desk.db, order, now=w.NOW, new_id=desk.new_id)
    end_freeze(desk.db, FreezeId(freeze.id), now=w.NOW + HOUR / 2)
    deliver(desk)
    assert kinds(desk)[4:] == ["freeze.added", "freeze.ended"]
    assert {view.notice.supercomputer for view in notices.list_notices(desk.db, limit=2).notices} == {"sc-alpha"}
    with pytest.raises(Refusal):
        ask_exemption(
            desk.db,
            ExemptionOrder(freeze=freeze.id, updates=frozenset(), reason="urgent", actor="x"),
            now=w.NOW + HOUR,
            new_id=desk.new_id,
        )


def test_one_line_waits_for_its_first_and_no_other_line_does(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    desk.subscribe()
    desk.import_all(updates=["nic", "os"])
    desk.channel.outcomes = [NotNow(why="busy")]
    deliver_round(desk.office)
    deliver(desk)
    firsts = [parcel.key.rpartition("/")[2] for parcel in desk.channel.parcels]
    assert firsts == ["ntc_0000000001", "ntc_0000000002", "ntc_0000000003", "ntc_0000000004"] + [
        f"ntc_000000000{number}" for number in (6, 7, 8)
    ], "5 stands behind 1, which was refused"
    desk.clock.at += 10 * SECOND
    deliver(desk)
    assert [parcel.key.rpartition("/")[2] for parcel in desk.channel.parcels[-2:]] == [
        "ntc_0000000001",
        "ntc_0000000005",
    ]


def test_what_is_refused_is_tried_again_ever_later_and_is_dead_in_the_end(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe(supercomputers=frozenset({"sc-alpha"}), attempts_max=3)
    desk.channel.outcomes = [NotNow(why="it answered 500")] * 3
    tried = []
    for _ in range(60):
        before = len(desk.channel.parcels)
        deliver_round(desk.office)
        if len(desk.channel.parcels) > before:
            tried.append(round((desk.clock.at - w.NOW) / SECOND))
        desk.clock.at += SECOND
    assert tried == [0, 10, 40]
    assert [parcel.attempt for parcel in desk.channel.parcels] == [1, 2, 3]
    (line,) = notices.show_notice(desk.db, "ntc_0000000001").deliveries
    assert (line.state, line.why) == (DeliveryState.DEAD, "it answered 500; tried 3 time(s)")
    with desk.db.read() as conn:
        events = [line.event for line in journal.read(conn, subject="notice:ntc_0000000001")]
    assert events == ["notice.dead"]


def test_a_refusal_for_good_is_the_last_try_and_a_replay_is_the_first_again(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe(supercomputers=frozenset({"sc-alpha"}))
    desk.channel.outcomes = [Rejected(why="it answered 400")]
    deliver(desk)
    assert states(desk, "ntc_0000000001") == ["dead"]
    view = notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="operator-1")
    assert [line.attempts for line in view.deliveries] == [0]
    deliver(desk)
    assert states(desk, "ntc_0000000001") == ["delivered"]
    assert [parcel.key for parcel in desk.channel.parcels] == ["lumen-chat/ntc_0000000001"] * 2, "the same key"


def test_there_is_nothing_to_replay_while_it_is_on_its_way(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe()
    with pytest.raises(Refusal, match="nothing to send again"):
        notices.replay_notice(desk.db, "ntc_0000000001", now=desk.clock.at, actor="x")
    for unknown in ("ntc_9", "9" * 40, "ntc_x", ""):
        with pytest.raises(Refusal, match="There is no notice"):
            notices.replay_notice(desk.db, unknown, now=desk.clock.at, actor="x")


def test_whoever_is_gone_is_sent_nothing_more(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    desk.subscribe()
    desk.channel.outcomes = [Gone(why="it answered 410")] * 4
    deliver(desk)
    desk.import_all(updates=["nic", "os"])
    deliver(desk)
    assert len(desk.channel.parcels) == 4
    assert subscriptions.show_subscription(desk.db, SubscriptionId("lumen-chat")).state is SubscriptionState.GONE


def test_a_try_that_never_came_back_is_made_again_when_its_lease_is_over(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe(supercomputers=frozenset({"sc-alpha"}))
    with desk.db.begin() as conn:
        (found,) = outbox.due_deliveries(conn, desk.clock.at, 10, [SubscriptionId("lumen-chat")])
        outbox.move_delivery(
            conn, found, DeliveryState.SENDING, attempt=1, first_at=w.NOW, next_at=w.NOW + 5 * timedelta(minutes=1)
        )
    deliver(desk)
    assert desk.channel.parcels == []
    desk.clock.at += timedelta(minutes=5)
    deliver(desk)
    assert [parcel.attempt for parcel in desk.channel.parcels] == [2]


def test_nothing_goes_to_a_webhook_before_it_agreed(desk: Desk) -> None:
    desk.import_all()
    desk.channel.greeting = NoConsent(why="no header", again=True)
    desk.subscribe("hook", ChannelKind.CLOUD_EVENTS)
    for _ in range(8):
        deliver_round(desk.office)
    assert (desk.channel.parcels, len(desk.channel.addresses)) == ([], 1), "asked again later, not at once"
    desk.channel.greeting = Consented()
    desk.clock.at += 10 * SECOND
    deliver(desk)
    assert len(desk.channel.parcels) == 4


def test_a_rate_that_was_allowed_is_kept(desk: Desk) -> None:
    desk.import_all()
    desk.channel.greeting = Consented(rate=4)
    desk.subscribe("hook", ChannelKind.CLOUD_EVENTS)
    sent = []
    for _ in range(60):
        deliver_round(desk.office)
        sent.append(len(desk.channel.parcels))
        desk.clock.at += SECOND
    assert [sent.index(number) for number in (1, 2, 3, 4)] == [0, 15, 30, 45]


def test_consent_by_hand_needs_the_code_and_is_in_time(desk: Desk) -> None:
    desk.import_all()
    desk.public_url = "https://fermata.example/"
    desk.channel.greeting = ByHand()
    name = SubscriptionId("hook")
    desk.subscribe(name, ChannelKind.EVENT_GRID)
    deliver(desk)
    (address,) = desk.channel.addresses
    assert address is not None
    assert address.startswith("https://fermata.example/notices/consent/hook?code=")
    code = address.partition("=")[2]
    with pytest.raises(Refusal, match="does not validate"):
        subscriptions.agree_by_hand(desk.db, name, code="wrong", now=desk.clock.at)
    assert subscriptions.agree_by_hand(desk.db, name, code=code, now=desk.clock.at).state is SubscriptionState.OPEN
    deliver(desk)
    assert len(desk.channel.parcels) == 4
    subscriptions.validate_subscription(desk.db, name, now=desk.clock.at, actor="x", new_id=desk.new_id)
    deliver(desk)
    desk.clock.at += timedelta(minutes=10, seconds=1)
    deliver(desk)
    late = subscriptions.show_subscription(desk.db, name)
    assert (late.state, late.state_why) == (
        SubscriptionState.FAILED,
        "nobody opened the validation address in time",
    )
    with pytest.raises(Refusal):
        subscriptions.agree_by_hand(desk.db, name, code=desk.channel.addresses[-1].partition("=")[2], now=desk.clock.at)


def test_a_test_arrives_and_needs_an_open_subscription(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe(kinds=frozenset({NoticeKind.PLAN_PUBLISHED}))
    sent = subscriptions.test_subscription(desk.db, SubscriptionId("lumen-chat"), now=w.NOW, actor="operator-1")
    deliver(desk)
    assert states(desk, sent.id) == ["delivered"]
    desk.channel.greeting = NoConsent(why="no header")
    desk.subscribe("hook", ChannelKind.CLOUD_EVENTS)
    deliver(desk)
    with pytest.raises(Refusal, match=r"hook is failed \(no header\)"):
        subscriptions.test_subscription(desk.db, SubscriptionId("hook"), now=w.NOW, actor="operator-1")


def test_a_customer_hears_its_own_alone_and_the_operator_everything(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe("own", customers=frozenset())
    desk.subscribe("one", supercomputers=frozenset({"sc-beta"}))
    deliver(desk)
    by_name = {name: [p for p in desk.channel.parcels if p.key.startswith(name)] for name in ("own", "one")}
    assert {name: len(parcels) for name, parcels in by_name.items()} == {"own": 4, "one": 1}


def test_a_subscription_says_one_thing_and_its_faults_are_all_told(desk: Desk) -> None:
    desk.import_all()
    first = desk.subscribe()
    assert desk.subscribe() == first
    with pytest.raises(Refusal) as refused:
        desk.subscribe(target={"wrong": 1}, customers=frozenset({"lumin"}), supercomputers=frozenset({"sc-x"}))
    codes = [why.code.value for why in refused.value.reasons]
    assert codes == ["SCOPE_UNKNOWN", "SCOPE_UNKNOWN", "TARGET_REFUSED", "SUBSCRIPTION_EXISTS"]
    assert "the nearest is lumen" in str(refused.value.reasons[0])


def test_a_request_is_known_when_every_customer_knows_every_item(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    alpha = "req_sc-alpha_deployment"

    def known() -> object:
        with desk.db.read() as conn:
            found = {str(name): request for name, request in requests.load_requests(conn).items()}
            return notified_at(found[alpha], outbox.load_notified(conn))

    assert known() == w.NOW, "nobody subscribed for lumen: it counts as told when the request is on record"
    desk.subscribe()
    desk.clock.at += HOUR
    desk.import_all(updates=["nic", "os"])
    assert known() is None
    desk.channel.outcomes = [NotNow(why="busy")] * 4
    deliver(desk)
    assert known() is None
    desk.clock.at += HOUR
    deliver(desk)
    assert known() == w.NOW + 2 * HOUR
    with desk.db.read() as conn:
        told = {each.update: each.at for each in outbox.load_notified(conn) if each.supercomputer == "sc-alpha"}
    assert told == {"nic": w.NOW, "os": w.NOW + 2 * HOUR}, "what it knew already keeps its time"


def test_the_operators_own_subscription_tells_no_customer(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    desk.subscribe("own", customers=frozenset())
    desk.subscribe("lumen-hook")
    desk.clock.at += HOUR
    desk.import_all(updates=["nic", "os"])
    desk.channel.outcomes = [Taken()] * 4 + [Rejected(why="no")] * 100
    deliver(desk)
    with desk.db.read() as conn:
        assert {each.update for each in outbox.load_notified(conn)} == {"nic"}


def test_a_customer_left_without_a_subscription_counts_as_told_from_then_on(desk: Desk) -> None:
    desk.import_all(updates=["nic"])
    desk.subscribe()
    desk.import_all(updates=["nic", "os"])
    desk.clock.at += HOUR
    subscriptions.remove_subscription(desk.db, SubscriptionId("lumen-chat"), now=desk.clock.at, actor="x")
    with desk.db.read() as conn:
        told = {(each.update, each.at) for each in outbox.load_notified(conn)}
    assert told == {("nic", w.NOW), ("os", w.NOW + HOUR)}
    deliver(desk)
    assert desk.channel.parcels == []
    assert states(desk, "ntc_0000000005") == ["dropped"]


def test_a_graver_impact_has_to_be_told_anew(desk: Desk) -> None:
    desk.import_all(updates=["agent"])
    with desk.db.read() as conn:
        notified = outbox.load_notified(conn)
        request = requests.load_requests(conn)[request_id(w.cluster("alpha").supercomputer)]
    assert [item.impact for item in request.items] == [Impact.IMPACTLESS]
    assert notified_at(request, notified) == w.NOW
    graver = replace(request, items=tuple(replace(item, impact=Impact.REBOOTFUL) for item in request.items))
    assert notified_at(graver, notified) is None


def test_lists_are_paged_and_filtered(desk: Desk) -> None:
    desk.import_all()
    desk.subscribe(supercomputers=frozenset({"sc-alpha"}))
    deliver(desk)
    page = notices.list_notices(desk.db, limit=3)
    assert [view.notice.seq for view in page.notices] == [4, 3, 2]
    rest = notices.list_notices(desk.db, limit=3, before=page.before)
    assert ([view.notice.seq for view in rest.notices], rest.before) == ([1], None)
    done = notices.list_notices(desk.db, states=[DeliveryState.DELIVERED], customers=[LUMEN])
    assert [view.notice.seq for view in done.notices] == [1]
