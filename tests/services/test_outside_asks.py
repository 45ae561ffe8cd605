"""Work that operators outside ask for by objects of their own: it waits for consent like any other, and is over when
the object is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.constraints import world as w
from tests.services.orders import DAY, HARDWARE, minting, opened, prepare, say, shown, state

from fermata.domain.ids import NodeId, OrderId, SourceId
from fermata.domain.outside_asks import OutsideAsk, settle_asks
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.work_orders import Word, WorkOrder
from fermata.ports import Refused
from fermata.services.outside_asks import TakenAsks, take_asks
from fermata.services.work_orders import cancel_order, list_orders, start_order
from fermata.store import work_orders
from fermata.store.database import Database

EAST = SourceId("east")
N0, N1 = NodeId("alpha-n00"), NodeId("alpha-n01")
MINT = minting()


def asks(name: str, node: NodeId = N0, **more: Any) -> OutsideAsk:
    given: dict[str, Any] = {"kind": RequestKind.HARDWARE, "cause": f"NodeMaintenance x/{name}", "has_begun": False}
    return OutsideAsk(ref=name, node=node, **(given | more))


@dataclass
class Reader:
    """`found` None: it cannot be read."""

    found: Sequence[OutsideAsk] | None = ()
    handed: list[NodeId] = field(default_factory=list)
    marked: list[dict[str, bool]] = field(default_factory=list)

    def read(self) -> Sequence[OutsideAsk]:
        if self.found is None:
            raise Refused("no")
        return self.found

    def mark(self, agreed: Mapping[str, bool]) -> None:
        self.marked.append(dict(agreed))

    def hand_over(self, nodes: Sequence[NodeId]) -> None:
        self.handed += nodes


def look(db: Database, *found: OutsideAsk, reader: Reader | None = None, **more: Any) -> TakenAsks:
    reader = reader or Reader()
    reader.found = found
    return take_asks(db, EAST, reader, now=more.get("now", w.NOW), new_id=MINT)


def order(db: Database, name: OrderId) -> WorkOrder:
    with db.read() as conn:
        return work_orders.load_orders(conn)[name]


def start(db: Database, name: OrderId) -> None:
    say(db, HARDWARE, actor="eve", now=w.NOW)
    start_order(db, name, now=w.NOW + 40 * DAY, actor="crew", drained=True)


@pytest.fixture
def ready(db: Database) -> Database:
    prepare(db)
    return db


def test_object_becomes_an_order_that_waits_for_its_customer(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    found = order(ready, name)
    assert (str(found.target), found.kind, found.cause) == (
        "node alpha-n00",
        RequestKind.HARDWARE,
        "NodeMaintenance x/a",
    )
    assert (found.asked_by, found.opened.actor) == (("east/a",), "source east")
    assert found.due_at == w.NOW + 30 * DAY
    assert state(ready, HARDWARE) is RequestState.PENDING


def test_same_object_is_asked_for_once_however_often_it_is_seen(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    assert look(ready, asks("a")) == TakenAsks()
    assert [each.id for each in list_orders(ready)] == [name]


def test_all_that_is_asked_on_a_node_is_one_order_of_the_latest_wish(ready: Database) -> None:
    wish = w.NOW + 50 * DAY
    found = look(
        ready, asks("a"), asks("b", wanted_at=wish), asks("c", wanted_at=w.NOW, kind=RequestKind.REPAIR), asks("d", N1)
    )
    first, second = (order(ready, name) for name in found.opened)
    assert (first.kind, first.wanted_at, len(first.asked_by)) == (RequestKind.REPAIR, wish, 3)
    assert (first.due_at, second.target.name) == (wish, N1)


def test_object_that_is_gone_before_it_began_takes_its_order_back(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    assert look(ready).cancelled == (name,)
    ended = order(ready, name).ended
    assert ended is not None
    assert (ended.how, ended.why) == (RequestState.CANCELLED, "who asked for it has taken its object away")


def test_order_goes_on_until_the_last_of_its_objects_is_gone(ready: Database) -> None:
    (name,) = look(ready, asks("a"), asks("b")).opened
    assert look(ready, asks("b")) == TakenAsks()
    start(ready, name)
    assert look(ready, asks("b")).completed == ()
    assert look(ready).completed == (name,)
    ended = order(ready, name).ended
    assert ended is not None
    assert ended.how is RequestState.COMPLETED


def test_nothing_ends_while_the_source_cannot_be_read(ready: Database) -> None:
    look(ready, asks("a"))
    with pytest.raises(Refused):
        take_asks(ready, EAST, Reader(None), now=w.NOW, new_id=MINT)
    assert len(list_orders(ready)) == 1


def test_work_that_began_without_us_is_not_asked_for_and_its_order_goes(ready: Database) -> None:
    begun = look(ready, asks("a", has_begun=True))
    assert (begun.opened, begun.left) == ((), ("NodeMaintenance x/a: it has begun on alpha-n00 without us",))
    (name,) = look(ready, asks("b")).opened
    found = look(ready, asks("b", has_begun=True))
    assert found.cancelled == (name,)
    assert look(ready, asks("b", has_begun=True)).left == ()  # told already: it stands in the order


def test_work_that_began_as_agreed_goes_on(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    start(ready, name)
    found = look(ready, asks("a", has_begun=True))
    assert (found.cancelled, found.completed, found.handed) == ((), (), (N0,))


def test_order_that_a_person_took_back_is_not_opened_again(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    cancel_order(ready, name, now=w.NOW, actor="dana")
    assert look(ready, asks("a")) == TakenAsks()


def test_new_object_on_a_node_with_an_order_waits_for_its_end(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    found = look(ready, asks("a"), asks("b"))
    assert found.left == (f"NodeMaintenance x/b: it is asked for once {name} of alpha-n00 is over",)
    assert len(look(ready, asks("b")).opened) == 1


def test_order_by_hand_of_the_same_node_is_no_reason_to_ask_twice(ready: Database) -> None:
    name = opened(ready, "node alpha-n00", mint=MINT).order.id
    assert look(ready, asks("a")).left == (f"NodeMaintenance x/a: it is asked for once {name} of alpha-n00 is over",)
    assert look(ready, asks("a")).cancelled == ()


def test_node_that_nobody_knows_is_told_and_keeps_no_other(ready: Database) -> None:
    found = look(ready, asks("a", NodeId("alpha-n0x")), asks("b", N1))
    assert len(found.opened) == 1
    assert "alpha-n0x" in found.left[0]


def test_node_is_left_to_who_asked_once_its_order_has_begun_and_not_before(ready: Database) -> None:
    reader = Reader()
    (name,) = look(ready, asks("a"), reader=reader).opened
    say(ready, HARDWARE, actor="eve")
    look(ready, asks("a"), reader=reader)
    assert reader.handed == []
    start(ready, name)
    assert look(ready, asks("a"), reader=reader).handed == (N0,)
    assert reader.handed == [N0]


def test_node_is_not_left_while_work_waits_there_that_nobody_consented_to(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    start(ready, name)
    reader = Reader()
    assert look(ready, asks("a"), asks("b"), reader=reader).handed == ()
    assert reader.handed == []
    assert look(ready, asks("a"), asks("c", N1), reader=reader).handed == (N0,)


def test_object_shows_that_it_may_begin_as_long_as_its_order_may(ready: Database) -> None:
    reader = Reader()
    look(ready, asks("a"), asks("b", N1), reader=reader)
    assert reader.marked == []
    say(ready, HARDWARE, actor="eve")
    look(ready, asks("a"), asks("b", N1), reader=reader)
    assert reader.marked.pop() == {"a": True, "b": True}
    look(ready, asks("a", is_agreed=True), asks("b", N1, is_agreed=True), reader=reader)
    assert reader.marked == []
    say(ready, HARDWARE, Word.WITHDRAWN, actor="eve")
    look(ready, asks("a", is_agreed=True), asks("b", N1, is_agreed=True, has_begun=True), reader=reader)
    assert reader.marked == [{"a": False}]


def test_object_that_nobody_asked_the_customer_about_shows_no_agreement(ready: Database) -> None:
    reader = Reader()
    look(ready, asks("a"), reader=reader)
    say(ready, HARDWARE, actor="eve")
    look(ready, asks("a"), asks("b"), reader=reader)
    assert reader.marked == [{"a": True}]


def test_work_that_began_as_it_was_agreed_keeps_its_order(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    say(ready, HARDWARE, actor="eve")
    assert look(ready, asks("a", is_agreed=True, has_begun=True)).cancelled == ()
    assert order(ready, name).is_open


def test_orders_of_another_source_are_left_alone(ready: Database) -> None:
    (name,) = look(ready, asks("a")).opened
    found = settle_asks(SourceId("eas"), [], list_orders(ready))
    assert found.endings == ()
    found = settle_asks(SourceId("west"), [asks("a", N1)], list_orders(ready))
    assert [each.target.name for each in found.openings] == [N1]
    assert order(ready, name).is_open


def test_order_shows_in_its_request_as_any_other(ready: Database) -> None:
    look(ready, asks("a", wanted_at=w.NOW + timedelta(days=40)))
    view = shown(ready, HARDWARE)
    assert "NodeMaintenance x/a" in str(view)
    assert replace(asks("a"), ref="b") != asks("a")
