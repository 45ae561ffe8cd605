"""Work orders, words on them and states of requests come back as written; nobody can change a word."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import StatementError
from tests.constraints import world as w

from fermata.domain.ids import NodeId, OrderId, RequestId, SupercomputerId
from fermata.domain.policy import Said, Scope, ScopeLevel
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import OrderEnd, OrderWord, Target, TargetLevel, Word, WorkOrder
from fermata.store import requests, work_orders
from fermata.store.database import Database, StoreUnavailable

SAID = Said(actor="operator-1", at=w.NOW)
ORDER = WorkOrder(
    id=OrderId("wo_1"),
    kind=RequestKind.MOVE,
    supercomputer=SupercomputerId("sc-alpha"),
    target=Target(level=TargetLevel.RACK, name="alpha-r0"),
    cause="the floor is to be mended",
    impact=Impact.REBOOTFUL,
    criticality=Criticality.REGULAR,
    opened=SAID,
    due_at=w.NOW + timedelta(days=30),
    wanted_at=w.NOW + timedelta(days=40),
)
WORD = OrderWord(
    seq=0,
    id="word_1",
    request=ORDER.request,
    incarnation=2,
    orders=frozenset({OrderId("wo_1"), OrderId("wo_2")}),
    scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    word=Word.DECLINED,
    actor="ann",
    at=w.NOW,
    reason="a launch",
    until=w.NOW + timedelta(days=3),
)
ALPHA = RequestId("req_sc-alpha_deployment")


def test_orders_are_replaced_by_what_became_of_them(db: Database) -> None:
    begun = replace(ORDER, started=SAID, held=(NodeId("alpha-n00"),))
    over = replace(begun, ended=OrderEnd(how=RequestState.COMPLETED, said=SAID, why="moved"))
    other = replace(ORDER, id=OrderId("wo_0"), wanted_at=None)
    with db.begin() as conn:
        work_orders.save_orders(conn, [ORDER, other])
        work_orders.save_orders(conn, [over])
        assert work_orders.load_orders(conn) == {other.id: other, over.id: over}


def test_words_keep_the_order_in_which_they_were_given(db: Database) -> None:
    with db.begin() as conn:
        seqs = work_orders.append_words(conn, [WORD, replace(WORD, id="word_2", word=Word.APPROVED, until=None)])
        assert work_orders.append_words(conn, []) == ()
        found = work_orders.load_words(conn)
    assert [word.seq for word in found] == list(seqs) == sorted(seqs)
    assert replace(found[0], seq=0) == WORD
    assert found[1].until is None


@pytest.mark.parametrize("change", ["update", "delete"])
def test_nobody_changes_a_word(db: Database, change: str) -> None:
    table = work_orders.order_word
    with db.begin() as conn:
        work_orders.append_words(conn, [WORD])
    statement = update(table).values(word="approved") if change == "update" else delete(table)
    with pytest.raises((StatementError, StoreUnavailable), match="append-only"), db.begin() as conn:
        conn.execute(statement)


def test_a_request_is_told_once_and_its_state_kept_beside(db: Database) -> None:
    later = w.NOW + timedelta(days=1)
    with db.begin() as conn:
        requests.mark_notified(conn, [ALPHA], w.NOW)
        requests.mark_notified(conn, [ALPHA], later)
        assert requests.load_states(conn)[ALPHA] == requests.SeenState(
            state=RequestState.PENDING, since=w.NOW, notified_at=w.NOW
        )
        seen = requests.SeenState(state=RequestState.OVERDUE, since=later, notified_at=None)
        requests.save_states(conn, {ALPHA: seen})
        assert requests.load_states(conn) == {ALPHA: seen}
