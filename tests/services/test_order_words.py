"""What customers say of work orders: nothing begins without their word, and none is stretched."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.constraints import world as w
from tests.services.orders import (
    DAY,
    LUMEN,
    MERIDIAN,
    POLICY,
    REPAIR,
    S,
    begin,
    codes,
    minting,
    opened,
    prepare,
    say,
    shown,
    state,
)

from fermata.domain.ids import OrderId, RequestId
from fermata.domain.policy import AfterDue, Blocked, Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import NextStep
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import Word
from fermata.services.errors import Refusal
from fermata.services.requests import record_notice, watch_requests
from fermata.services.work_orders import cancel_order, complete_order, start_order
from fermata.store.database import Database


def test_a_group_names_every_node_of_every_customer_and_one_word_covers_it(db: Database) -> None:
    prepare(db)
    found = opened(db, "rack alpha-r0")
    assert found.nodes == ("alpha-n00", "alpha-n01", "alpha-n02", "beta-n00")
    with pytest.raises(Refusal) as refused:
        say(db, REPAIR, actor="ann")
    assert codes(refused) == [Code.APPROVER_UNKNOWN]
    say(db, REPAIR, actor="eve")
    assert state(db) is S.APPROVED


def test_a_group_waits_until_all_of_it_is_approved(db: Database) -> None:
    prepare(db)
    opened(db, "rack alpha-r0")
    say(db, REPAIR, actor="ann", scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"))
    view = shown(db)
    assert view.standing.state is S.PARTLY_APPROVED
    assert view.standing.who == ("meridian",)
    assert [(cover.cluster, cover.nodes, cover.covered) for cover in view.coverage] == [("alpha", 3, 3), ("beta", 1, 0)]
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.APPROVAL_MISSING]
    say(db, REPAIR, actor="bob", scope=Scope(level=ScopeLevel.NODE, name="beta-n00"))
    begin(db)
    assert state(db) is S.IN_PROGRESS


def test_a_repair_is_blocked_until_it_is_approved_whatever_its_impact(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00", impact=Impact.IMPACTLESS)
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.APPROVAL_MISSING]


def test_a_policy_may_let_repairs_through_and_never_a_decommission_or_a_move(db: Database) -> None:
    open_handed = replace(LUMEN, repairs=Blocked.NONE, deployments=Blocked.NONE)
    prepare(db, policy=replace(POLICY, customers={LUMEN.id: open_handed}))
    for number, kind in enumerate((RequestKind.REPAIR, RequestKind.HARDWARE), start=3):
        opened(db, f"node alpha-n0{number}", kind)
        assert state(db, RequestId(f"req_sc-both_{kind}")) is S.APPROVED
    for kind in (RequestKind.DECOMMISSION, RequestKind.MOVE):
        opened(db, "node alpha-n00", kind)
        assert state(db, RequestId(f"req_sc-both_{kind}")) is S.PENDING


def test_a_word_speaks_only_of_orders_that_its_giver_saw(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "node alpha-n00", mint=mint)
    say(db, REPAIR, actor="ann")
    opened(db, "node alpha-n01", mint=mint)
    assert state(db) is S.PARTLY_APPROVED
    begin(db, "wo_1")
    with pytest.raises(Refusal) as refused:
        begin(db, "wo_2")
    assert codes(refused) == [Code.APPROVAL_MISSING]
    with pytest.raises(Refusal) as refused:
        say(db, REPAIR, actor="ann", seen=1)
    assert codes(refused) == [Code.REQUEST_CHANGED]


def test_a_yes_to_one_order_takes_nothing_back_from_another(db: Database) -> None:
    prepare(db)
    mint = minting()
    for name in ("alpha-n00", "alpha-n01"):
        opened(db, f"node {name}", mint=mint)
    say(db, REPAIR, actor="ann", orders=frozenset({OrderId("wo_1")}))
    say(db, REPAIR, actor="ann", orders=frozenset({OrderId("wo_2")}))
    assert state(db) is S.APPROVED
    say(db, REPAIR, Word.WITHDRAWN, actor="ann", orders=frozenset({OrderId("wo_1")}))
    with pytest.raises(Refusal) as refused:
        begin(db, "wo_1")
    assert codes(refused) == [Code.APPROVAL_WITHDRAWN]
    begin(db, "wo_2")


def test_what_has_begun_is_neither_withdrawn_nor_cancelled(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    say(db, REPAIR, actor="ann")
    begin(db)
    with pytest.raises(Refusal) as refused:
        say(db, REPAIR, Word.WITHDRAWN, actor="ann")
    assert codes(refused) == [Code.WORK_STARTED]
    with pytest.raises(Refusal) as refused:
        cancel_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert codes(refused) == [Code.REQUEST_MOVE_ILLEGAL]
    complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert state(db) is S.COMPLETED
    for verb in (start_order, complete_order, cancel_order):
        with pytest.raises(Refusal) as refused:
            verb(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
        assert codes(refused) == [Code.REQUEST_MOVE_ILLEGAL]


WRONG_ENDS = [None, w.NOW, w.NOW + 30 * DAY + timedelta(seconds=1)]


@pytest.mark.parametrize("until", WRONG_ENDS)
def test_a_no_ends_within_the_time_to_choose(db: Database, until: datetime | None) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    with pytest.raises(Refusal) as refused:
        say(db, REPAIR, Word.DECLINED, actor="ann", until=until)
    assert codes(refused) == [Code.DECLINE_UNTIL_WRONG]


def test_a_no_holds_until_its_date_and_then_the_request_is_asked_again(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    say(db, REPAIR, Word.DECLINED, actor="ann", until=w.NOW + DAY)
    assert state(db) is S.DECLINED
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.ORDER_DECLINED]
    assert state(db, now=w.NOW + DAY) is S.PENDING
    say(db, REPAIR, actor="ann", now=w.NOW + DAY)
    begin(db, now=w.NOW + DAY)


def test_an_overdue_request_is_found_without_anybody_asking_and_says_who_must_act(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00", criticality=Criticality.CRITICAL_LIVESITE)
    record_notice(db, REPAIR, now=w.NOW, actor="operator-1")
    assert state(db) is S.NOTIFIED
    assert watch_requests(db, now=w.NOW + DAY - timedelta(seconds=1)).moved == ()
    (moved,) = watch_requests(db, now=w.NOW + DAY).moved
    assert (moved.request, moved.standing.state, moved.standing.needed) == (REPAIR, S.OVERDUE, NextStep.ESCALATE)
    assert (moved.standing.who, moved.standing.approvers) == (("lumen",), ("ann", "eve"))
    assert watch_requests(db, now=w.NOW + DAY).moved == ()
    last = shown(db, now=w.NOW + DAY).history[-1]
    assert (last.event, last.data["from"], last.data["who"]) == ("request.overdue", "notified", ["lumen"])
    with pytest.raises(Refusal) as refused:
        begin(db, now=w.NOW + DAY)
    assert codes(refused) == [Code.APPROVAL_MISSING]


def test_where_the_policy_says_so_an_overdue_order_proceeds_and_not_before(db: Database) -> None:
    proceeding = replace(LUMEN, after_due=AfterDue.PROCEED)
    prepare(db, policy=replace(POLICY, customers={LUMEN.id: proceeding, MERIDIAN.id: MERIDIAN}))
    opened(db, "node alpha-n00", criticality=Criticality.CRITICAL_LIVESITE)
    assert state(db) is S.PENDING
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.OUTSIDE_WINDOWS]
    due = w.NOW + DAY
    view = shown(db, now=due)
    assert (view.standing.state, view.standing.needed) == (S.OVERDUE, NextStep.BEGIN)
    assert view.standing.why.code is Code.REQUEST_PROCEEDS
    begin(db, now=due)


def test_updates_are_not_approved_as_work_orders(db: Database) -> None:
    prepare(db)
    with pytest.raises(Refusal) as refused:
        say(db, RequestId("req_sc-both_deployment"), actor="ann")
    assert codes(refused) == [Code.ORDER_KIND_WRONG]
    with pytest.raises(Refusal) as refused:
        say(db, REPAIR, actor="ann")
    assert codes(refused) == [Code.REQUEST_UNKNOWN]
