"""Many orders in one call: each with its own outcome, whatever it says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from tests.constraints import world as w
from tests.services.work import start_work

from fermata.domain.ids import CustomerId, NodeId, UpdateId
from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.policy import AfterDue, Conditions, ConsentEntry, Flighting, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Stage
from fermata.services.consent import Order, Outcome, OutcomeState, decide, decide_each
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.requests import list_requests
from fermata.store import consent, journal
from fermata.store.database import Database

SCENARIO = w.scenario()
NIC = SCENARIO.catalogue.updates[UpdateId("nic")]
FLIGHTS = {
    name: replace(NIC, id=UpdateId(name), to_version="9.0", stage=Stage.FLIGHT_READY) for name in ("nic-9", "nic-10")
}
HOLDER = replace(
    w.customer(), approvers=("ann", "bo"), flighting=Flighting(allowed_roles=frozenset({"prod"}), max_nodes=2)
)
DAY = timedelta(days=1)
LATER = w.NOW + 400 * DAY
DUE = w.NOW + 90 * DAY  # no sooner than the notice that was promised is over


@pytest.fixture(autouse=True)
def _imported(db: Database) -> None:
    updates = {name: replace(update, not_before=DUE) for name, update in SCENARIO.catalogue.updates.items()} | FLIGHTS
    given = ImportSet(
        fleet=SCENARIO.fleet,
        catalogue=replace(SCENARIO.catalogue, updates=updates),
        policy=replace(SCENARIO.policy, customers={CustomerId("lumen"): HOLDER}),
        campaign=SCENARIO.campaign,
    )
    import_set(db, given, now=w.NOW, actor="operator-1")


def order(scope: str, verdict: Verdict = Verdict.APPROVED, why: str = "", **terms: Any) -> Order:
    level, name = scope.split()
    said = Terms(**terms) if terms else NO_TERMS
    return Order(scope=Scope(level=ScopeLevel(level), name=name), verdict=verdict, reason=why, terms=said)


def give(db: Database, *orders: Order) -> tuple[Outcome, ...]:
    numbers = count(len(ledger(db)))
    return decide_each(db, orders, now=w.NOW, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


def refusal_of(db: Database, wrong: Order) -> str:
    with pytest.raises(Refusal) as refused:
        give(db, wrong)
    assert len(ledger(db)) == 0
    return str(refused.value.reason.code)


def ledger(db: Database) -> Sequence[ConsentEntry]:
    with db.read() as conn:
        return consent.load_ledger(conn)


def covered(db: Database, cluster: str = "alpha") -> int:
    (view,) = list_requests(db, PendingFilter(clusters=frozenset({cluster})), now=w.NOW)
    return sum(cover.covered for cover in view.coverage)


def test_good_orders_are_recorded_beside_refused_ones_and_each_says_what_came_of_it(db: Database) -> None:
    give(db, order("node beta-n00"))
    told = give(db, *(order(f"node {name}") for name in ("alpha-n00", "beta-n00", "alpha-n99", "alpha-n01")))
    states = [outcome.state for outcome in told]
    assert states == [OutcomeState.RECORDED, OutcomeState.STOOD, OutcomeState.REFUSED, OutcomeState.RECORDED]
    assert told[2].refused is not None
    assert (told[2].refused.code, "alpha-n9" in told[2].refused.sentence) == ("SCOPE_UNKNOWN", True)
    assert [entry.scope.name for entry in ledger(db)] == ["beta-n00", "alpha-n00", "alpha-n01"]
    assert [o.entry.seq for o in told if o.entry] == [2, 3]


def test_when_every_order_is_refused_the_call_is_with_every_reason(db: Database) -> None:
    with pytest.raises(Refusal) as refused:
        give(db, order("node alpha-n98"), order("cluster nope"))
    assert [why.code for why in refused.value.reasons] == ["SCOPE_UNKNOWN"] * 2


def test_all_or_nothing_is_there_for_whoever_asks_for_it(db: Database) -> None:
    orders = [order("node alpha-n00"), order("node alpha-n99")]
    with pytest.raises(Refusal):
        decide(db, orders, now=w.NOW, new_id=lambda prefix: prefix)
    assert ledger(db) == ()


def test_later_orders_of_a_call_are_judged_with_those_before_them(db: Database) -> None:
    told = give(db, order("cluster alpha"), order("node alpha-n00"), order("node alpha-n00", Verdict.WITHDRAWN))
    assert [o.state for o in told] == [OutcomeState.RECORDED, OutcomeState.STOOD, OutcomeState.RECORDED]
    assert covered(db) == 3


def test_everything_that_was_said_is_on_record(db: Database) -> None:
    conditions = Conditions(
        not_before=w.NOW + DAY,
        not_after=w.NOW + 9 * DAY,
        nodes_per_day=2,
        with_updates=frozenset({UpdateId("os")}),
        with_scope=Scope(level=ScopeLevel.RACK, name="alpha-r1"),
    )
    told = give(
        db,
        order("group alpha-r0-tor", without=frozenset({UpdateId("agent")}), conditions=conditions),
        order("rack beta-r0", only=frozenset({UpdateId("nic")})),
        order("cluster gamma", Verdict.DECLINED, "a launch", until=LATER, then=AfterDue.PROCEED),
    )
    assert [outcome.entry for outcome in told] == list(ledger(db))
    first, second, third = ledger(db)
    assert (first.conditions, first.excluded, first.place) == (conditions, {"agent"}, ("alpha", "rack", "alpha-r0"))
    assert (second.is_part, second.updates) == (True, {"nic"})
    assert (third.until, third.then) == (LATER, AfterDue.PROCEED)
    with db.read() as conn:
        line = journal.read(conn, subject="group:alpha-r0-tor")[-1]
    assert line.data["conditions"]["nodes_per_day"] == 2
    again = give(db, order("group alpha-r0-tor", without=frozenset({UpdateId("agent")}), conditions=conditions))
    assert [outcome.state for outcome in again] == [OutcomeState.STOOD]


def test_an_approval_without_conditions_lifts_those_of_an_earlier_one(db: Database) -> None:
    give(db, order("cluster alpha", conditions=Conditions(nodes_per_day=1)))
    told = give(db, order("cluster alpha"))
    assert told[0].state is OutcomeState.RECORDED


NAIVE = datetime(2026, 3, 1)  # noqa: DTZ001  # what is refused
SOME = frozenset({UpdateId("nic")})


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("TIME_WITHOUT_ZONE", order("cluster alpha", conditions=Conditions(not_before=NAIVE))),
        ("TIME_WITHOUT_ZONE", order("cluster alpha", Verdict.DECLINED, "launch", until=NAIVE)),
        ("TIME_WITHOUT_ZONE", replace(order("cluster alpha"), at=NAIVE)),
        ("TIME_PAST", order("cluster alpha", conditions=Conditions(not_after=w.NOW))),
        ("TIME_PAST", order("cluster alpha", Verdict.DECLINED, "launch", until=w.NOW)),
        ("CONDITIONS_EMPTY", order("cluster alpha", conditions=Conditions())),
        ("CONDITIONS_CONTRADICT", order("cluster alpha", conditions=Conditions(not_before=LATER, not_after=LATER))),
        ("CONDITIONS_CONTRADICT", order("cluster alpha", conditions=Conditions(nodes_per_day=0))),
        ("CONDITIONS_CONTRADICT", order("cluster alpha", without=SOME, conditions=Conditions(with_updates=SOME))),
        (
            "CONDITIONS_CONTRADICT",
            order("rack alpha-r0", conditions=Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="alpha-r0"))),
        ),
        (
            "CONDITIONS_CONTRADICT",
            order(
                "rack alpha-r0",
                conditions=Conditions(with_scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-alpha")),
            ),
        ),
        (
            "COMPANIONS_ELSEWHERE",
            order("rack alpha-r0", conditions=Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="beta-r0"))),
        ),
        (
            "SCOPE_UNKNOWN",
            order("rack alpha-r0", conditions=Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="alpha-r9"))),
        ),
        ("TOGETHER_UNFELT", order("cluster alpha", conditions=Conditions(with_updates=frozenset({UpdateId("mgr")})))),
        ("ITEM_UNKNOWN", order("cluster alpha", only=frozenset({UpdateId("nope")}))),
        ("ITEM_UNKNOWN", order("cluster alpha", conditions=Conditions(with_updates=frozenset({UpdateId("nope")})))),
        ("ITEMS_EMPTY", order("cluster alpha", only=frozenset())),
        ("ITEMS_EMPTY", order("cluster alpha", only=SOME, without=SOME)),
        ("TERM_MISPLACED", order("cluster alpha", until=LATER)),
        ("TERM_MISPLACED", order("cluster alpha", Verdict.WITHDRAWN, conditions=Conditions(nodes_per_day=1))),
        ("UNTIL_MISSING", order("cluster alpha", Verdict.DECLINED, "launch")),
        ("REASON_MISSING", order("cluster alpha", Verdict.DECLINED, until=w.NOW + DAY)),
        ("DECLINE_PAST_DUE", order("cluster alpha", Verdict.DECLINED, "launch", until=DUE + DAY)),
        ("OFFER_WITHOUT_TIME", order("cluster alpha", Verdict.OFFERED)),
        ("OFFER_WITHOUT_TIME", order("cluster alpha", Verdict.OFFERED, conditions=Conditions(not_before=w.NOW))),
        (
            "OFFER_PAST_DUE",
            order(
                "cluster alpha",
                Verdict.OFFERED,
                conditions=Conditions(not_before=w.NOW, not_after=DUE + timedelta(seconds=1)),
            ),
        ),
        ("SCOPE_UNKNOWN", order("group alpha-r0-nope")),
        ("FLIGHT_NOT_OFFERED", order("cluster alpha", flight=UpdateId("nic"))),
        ("FLIGHT_TOO_WIDE", order("cluster alpha", flight=UpdateId("nic-9"))),
        ("APPROVER_UNKNOWN", replace(order("cluster alpha"), actor="meridian-infra")),
        ("REQUEST_CHANGED", replace(order("cluster alpha"), seen=7)),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_its_code(db: Database, code: str, wrong: Order) -> None:
    assert refusal_of(db, wrong) == code


@pytest.mark.parametrize("until", [DUE, w.NOW + DAY])
def test_a_decline_up_to_the_due_date_need_not_say_what_follows(db: Database, until: datetime) -> None:
    assert give(db, order("cluster alpha", Verdict.DECLINED, "launch", until=until))[0].state is OutcomeState.RECORDED


def test_a_flight_is_offered_by_itself_one_at_a_time_and_on_few_nodes(db: Database) -> None:
    alone = frozenset({UpdateId("nic-9")})
    (told,) = give(db, order("node alpha-n00", only=alone))
    assert told.entry is not None
    assert (told.entry.flight, told.entry.updates, told.entry.is_part) == ("nic-9", alone, True)
    give(db, order("node alpha-n01", flight=UpdateId("nic-9")))
    refused = give(
        db,
        order("node alpha-n02", only=alone),
        order("node alpha-n02", only=frozenset({UpdateId("nic-10")})),
        order("node alpha-n02"),
    )
    assert [o.refused.code for o in refused if o.refused] == ["FLIGHT_TOO_WIDE", "FLIGHT_OTHER"]
    give(db, order("cluster alpha", Verdict.WITHDRAWN, only=alone))
    assert give(db, order("node alpha-n02", only=frozenset({UpdateId("nic-10")})))[0].state is OutcomeState.RECORDED


def test_saying_yes_again_stands_although_a_flight_was_approved_since(db: Database) -> None:
    give(db, order("node alpha-n00"), order("node alpha-n00", only=frozenset({UpdateId("nic-9")})))
    assert give(db, order("node alpha-n00"))[0].state is OutcomeState.STOOD


@pytest.mark.parametrize(
    "narrower",
    [
        order("node alpha-n01", Verdict.DECLINED, "launch", until=w.NOW + DAY),
        order("node alpha-n01", without=SOME),
        order("node alpha-n01", conditions=Conditions(nodes_per_day=1)),
        order("node alpha-n01", Verdict.OFFERED, conditions=Conditions(not_before=w.NOW, not_after=w.NOW + DAY)),
    ],
)
def test_nothing_is_taken_back_from_a_node_once_its_work_has_started(db: Database, narrower: Order) -> None:
    with db.begin() as conn:
        start_work(conn, "alpha-n01")
    assert refusal_of(db, narrower) == "WORK_STARTED"
    assert give(db, order("node alpha-n01"))[0].state is OutcomeState.RECORDED


def test_a_decline_is_taken_back_by_whoever_withdraws_it(db: Database) -> None:
    give(db, order("cluster alpha", Verdict.DECLINED, "launch", until=LATER, then=AfterDue.PROCEED))
    (told,) = give(db, order("cluster alpha", Verdict.WITHDRAWN))
    assert told.state is OutcomeState.RECORDED


def test_a_withdrawal_where_silence_would_let_work_begin_is_a_word_of_its_own(db: Database) -> None:
    """What nobody ever said yes to would begin at its due date: who takes it back before then keeps it from that."""
    held = give(db, order("cluster alpha", Verdict.WITHDRAWN))[0]
    assert held.state is OutcomeState.STOOD, "without a word nothing begins there anyway"
    policy = replace(SCENARIO.policy, customers={CustomerId("lumen"): replace(HOLDER, after_due=AfterDue.PROCEED)})
    import_set(db, ImportSet(policy=policy), now=w.NOW, actor="operator-1")
    some = order("node alpha-n00", Verdict.WITHDRAWN, only=frozenset({UpdateId("nic")}))
    words = [some, order("cluster alpha", Verdict.WITHDRAWN), order("cluster alpha", Verdict.WITHDRAWN)]
    told = give(db, *words)
    assert [outcome.state.value for outcome in told[1:]] == ["recorded", "stood"]


def test_a_word_on_many_nodes_at_once_keeps_the_order_of_the_ledger(db: Database) -> None:
    nodes = sorted(NodeId(name) for name in SCENARIO.fleet.nodes)
    twice = [order(f"node {name}", verdict) for verdict in (Verdict.APPROVED, Verdict.WITHDRAWN) for name in nodes]
    told = give(db, *(twice * 20))
    recorded = [outcome.entry for outcome in told if outcome.entry]
    assert [entry.seq for entry in recorded] == list(range(1, len(recorded) + 1))
    assert list(ledger(db)) == recorded
