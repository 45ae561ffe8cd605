"""Work orders in the picture that doors answer from, on both databases: since when a node is out for one, and until
when; and approvals that arrive while a request of orders changes.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from tests.doors import world
from tests.formats.conftest import Small

from fermata.domain import arm
from fermata.domain.ids import NodeId, OrderId, RequestId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import EventStatus, Leads, ScheduledEvent, find_events, tell
from fermata.domain.updates import Criticality
from fermata.domain.work_orders import Target, TargetLevel, Word
from fermata.formats.scenario import read_scenario
from fermata.services import inventory, order_words, ordered_work
from fermata.services.errors import Refusal
from fermata.services.event_approvals import (
    Hearing,
    Subject,
    UnknownEvents,
    acknowledge_events,
    approve_work,
    start_node_events,
    withdraw_work,
)
from fermata.services.maintenance import MaintenanceDesk, Picture
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.work_orders import NewOrder, cancel_order, complete_order, open_orders, start_order
from fermata.store import handovers, runs, unit_ops, work_orders
from fermata.store.database import Database
from fermata.store.handovers import Handover

NODE = NodeId("alpha-n1")
CRITICAL = Criticality.CRITICAL_LIVESITE
REPAIR = RequestId("req_sc-1_repair")
OWN = WindowId("rep-1")
_numbers = count(1)


def mint(prefix: str) -> str:
    return f"{prefix}_s{next(_numbers)}"


@pytest.fixture
def imported(db: Database, tmp_path: Path) -> Database:
    read = read_scenario(Small(tmp_path).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=world.campaign()
    )
    inventory.import_set(db, given, now=world.NOW, actor="tests")
    return db


@pytest.fixture
def desk(imported: Database) -> MaintenanceDesk:
    return MaintenanceDesk(imported, Leads(), fresh_seconds=0)


def hearing(db: Database, desk: MaintenanceDesk) -> Hearing:
    return Hearing(db=db, desk=desk, now=world.NOW, new_id=mint, why="asked")


def opened(db: Database, name: str = NODE, level: TargetLevel = TargetLevel.NODE) -> OrderId:
    order = NewOrder(
        kind=RequestKind.REPAIR,
        target=Target(level=level, name=name),
        cause="NIC 3 flaps",
        criticality=Criticality.CRITICAL_LIVESITE,
    )
    (found,) = open_orders(db, [order], now=world.NOW, actor="operator-1", new_id=mint)
    return found.order.id


def approve(db: Database) -> None:
    decide_orders(db, REPAIR, [WordOrder(word=Word.APPROVED, scope=None)], now=world.NOW, new_id=mint)


def begin(db: Database, order: OrderId) -> None:
    start_order(db, order, now=world.NOW, actor="operator-1", drained=True)


def told(picture: Picture, order: OrderId, node: NodeId = NODE) -> ScheduledEvent | None:
    events = tell(picture.outlook(node), world.NOW, Leads()).events
    return next((event for event in events if event.order == order), None)


def hand_over(db: Database, order: OrderId, state: UnitState, *, own: bool) -> None:
    """A run takes the node into a window for the order; it comes to `state` there."""
    window = replace(world.window((NODE,)), id=OWN if own else world.WINDOW)
    with db.begin() as conn:
        (op,) = unit_ops.ops_of_window(conn, world.RUN, world.WINDOW)
        if own:
            handovers.add_window(conn, world.RUN, window, order)
            runs.add_windows(conn, [world.window_run(window, WindowState.OPEN)])
            unit_ops.insert_ops(conn, [replace(op, id=0, window=OWN, state=state)])
        else:
            unit_ops.save_ops(conn, [(op.version, replace(op, state=state, version=op.version + 1))])
        found = Handover(window=window.id, unit=NODE, number=1, order=order, kind=RequestKind.REPAIR)
        handovers.add_handovers(conn, world.RUN, [found], world.NOW)


@pytest.mark.parametrize(
    ("own", "state", "is_out"),
    [
        (True, UnitState.PENDING, False),
        (True, UnitState.DRAINING, True),
        (True, UnitState.IN_REPAIR, True),
        (True, UnitState.VERIFYING, True),
        (True, UnitState.RETURNED, False),
        (True, UnitState.LEFT_OUT, False),
        (False, UnitState.DRAINING, False),
        (False, UnitState.IN_REPAIR, True),
        (False, UnitState.VERIFYING, False),
    ],
)
def test_an_order_has_begun_for_a_node_once_a_window_has_it_out_for_that(
    imported: Database, desk: MaintenanceDesk, own: bool, state: UnitState, is_out: bool
) -> None:
    order = opened(imported)
    approve(imported)
    world.publish(imported)
    world.conduct(imported, WindowState.OPEN, {NODE: UnitState.RETURNED}, planned=world.window())
    assert told(desk.look(), order) is None
    hand_over(imported, order, state, own=own)
    event = told(desk.look(), order)
    assert (event is not None and event.status is EventStatus.STARTED and event.not_before == world.NOW) is is_out
    assert (event is not None) is is_out


def test_an_order_that_is_over_ends_for_its_node_when_that_is_back(imported: Database, desk: MaintenanceDesk) -> None:
    order = opened(imported)
    approve(imported)
    world.publish(imported)
    world.conduct(imported, WindowState.OPEN, {NODE: UnitState.RETURNED}, planned=world.window())
    begin(imported, order)
    hand_over(imported, order, UnitState.VERIFYING, own=True)
    complete_order(imported, order, now=world.NOW, actor="operator-1")
    assert told(desk.look(), order) is not None, "its window still has the node out"
    with imported.begin() as conn:
        (op,) = unit_ops.ops_of_window(conn, world.RUN, OWN)
        unit_ops.save_ops(conn, [(op.version, replace(op, state=UnitState.RETURNED, version=op.version + 1))])
    assert told(desk.look(), order) is None


def test_of_orders_that_are_over_only_the_last_are_remembered(
    imported: Database, desk: MaintenanceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(imported), opened(imported, "alpha-n0")
    cancel_order(imported, first, now=world.NOW, actor="operator-1")
    cancel_order(imported, second, now=world.NOW + world.HOURS, actor="operator-1")
    with imported.read() as conn:
        assert [order.id for order in work_orders.load_ended(conn, 5)] == [second, first]
    assert [work.order for work in desk.look().outlook(NODE).ordered] == [first]
    monkeypatch.setattr(ordered_work, "ENDED_MAX", 1)
    opened(imported, "alpha-n2")
    assert desk.look().outlook(NODE).ordered == ()


class Racing(MaintenanceDesk):
    """A desk on which, just after it was looked at, another order comes to the request."""

    changes = 1

    def look(self, *, again: bool = False) -> Picture:
        picture = super().look(again=again)
        if self.changes:
            self.changes -= 1
            opened(self._db, "alpha-n0")
        return picture


def test_an_approval_speaks_of_no_order_that_came_while_it_was_given(imported: Database) -> None:
    order = opened(imported)
    desk = Racing(imported, Leads(), fresh_seconds=0)
    start_node_events(hearing(imported, desk), NODE, [arm.order_event_id(order, NODE)])
    with imported.read() as conn:
        (word,) = work_orders.load_words(conn)
    assert (word.orders, word.incarnation) == (frozenset({order}), 2)


def test_an_order_that_is_over_approves_nothing(imported: Database, desk: MaintenanceDesk) -> None:
    order = opened(imported)
    cancel_order(imported, order, now=world.NOW, actor="operator-1")
    with pytest.raises(UnknownEvents):
        start_node_events(hearing(imported, desk), NODE, [arm.order_event_id(order, NODE)])


def test_all_work_of_a_scope_is_approved_by_one_word_on_each_request(imported: Database, desk: MaintenanceDesk) -> None:
    rack, node = opened(imported, "alpha-r0", TargetLevel.RACK), opened(imported, "alpha-n2")
    scope = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    nodes = [NodeId(name) for name in world.ALPHA]
    for _ in range(2):
        approve_work(hearing(imported, desk), Subject(scope=scope, nodes=nodes))
        with imported.read() as conn:
            (word,) = work_orders.load_words(conn)
        assert (word.scope, word.orders) == (scope, frozenset({rack, node}))
        assert world.said(imported) == ["approved cluster alpha"]
    beta = [name for name in desk.look().fleet.nodes if name.startswith("beta")]
    with pytest.raises(Refusal) as refused:
        approve_work(hearing(imported, desk), Subject(scope=Scope(level=ScopeLevel.CLUSTER, name="beta"), nodes=beta))
    assert refused.value.reason.code is not Code.NOTHING_PENDING


def two_kinds(db: Database, node: str = NODE) -> tuple[OrderId, OrderId]:
    """A repair and a move of one node: two requests beside the one of its updates."""
    orders = [
        NewOrder(kind=kind, target=Target(level=TargetLevel.NODE, name=node), cause="asked", criticality=CRITICAL)
        for kind in (RequestKind.REPAIR, RequestKind.MOVE)
    ]
    first, second = open_orders(db, orders, now=world.NOW, actor="operator-1", new_id=mint)
    return first.order.id, second.order.id


def said_in_all(db: Database) -> list[str]:
    """Every word of both ledgers."""
    with db.read() as conn:
        words = work_orders.load_words(conn)
    return [*world.said(db), *(f"{word.word} {word.scope} {word.request}" for word in words)]


class Killed(BaseException):
    """The process ends: nothing is caught any more."""


def mint_dying(after: int) -> Callable[[str], str]:
    """Dies before the word of that number."""
    numbers = iter(range(after))

    def new_id(prefix: str) -> str:
        if next(numbers, None) is None:
            raise Killed
        return mint(prefix)

    return new_id


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("door", ["inside", "list", "all"])
def test_a_crash_between_the_requests_of_one_call_leaves_nothing_said(
    imported: Database, desk: MaintenanceDesk, door: str, after: int
) -> None:
    repair, moving = two_kinds(imported)
    (asked,) = [e for e in find_events(desk.look().outlook(NODE)) if e.order is None]
    ids = [asked.id, arm.order_event_id(repair, NODE), arm.order_event_id(moving, NODE)]

    def call(new_id: Callable[[str], str]) -> None:
        given = replace(hearing(imported, desk), new_id=new_id)
        match door:
            case "inside":
                start_node_events(given, NODE, ids)
            case "list":
                acknowledge_events(given, ids, lambda _: (NODE,))
            case _:
                approve_work(given, Subject(scope=Scope(level=ScopeLevel.NODE, name=NODE), nodes=(NODE,)))

    with pytest.raises(Killed):
        call(mint_dying(after))
    assert said_in_all(imported) == []
    call(mint)
    assert sorted(said_in_all(imported)) == [
        f"approved node {NODE}",
        f"approved node {NODE} req_sc-1_move",
        f"approved node {NODE} {REPAIR}",
    ]


def test_what_is_refused_of_a_list_is_told_and_the_rest_is_approved(
    imported: Database, desk: MaintenanceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair, moving = two_kinds(imported)
    ids = [arm.order_event_id(repair, NODE), arm.order_event_id(moving, NODE)]
    why = reason(Code.APPROVER_UNKNOWN, actor="nobody", customer="lumen", approvers="none on record")
    really = order_words.find_approver
    asked = iter([why])  # of the first word only; a policy that lets one order be approved and not another is none
    monkeypatch.setattr(order_words, "find_approver", lambda *given: next(asked, None) or really(*given))
    found = acknowledge_events(hearing(imported, desk), [*ids, "x"], lambda _: (NODE,))
    assert [(each.is_known, each.refused) for each in found.values()] == [(True, why), (True, None), (False, None)]
    assert said_in_all(imported) == [f"approved node {NODE} req_sc-1_move"]


def test_inside_a_node_one_refusal_is_the_answer_and_nothing_is_said(
    imported: Database, desk: MaintenanceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair, moving = two_kinds(imported)
    why = reason(Code.APPROVER_UNKNOWN, actor="nobody", customer="lumen", approvers="none on record")
    really = order_words.find_approver
    asked = iter([None, why])  # the second request is refused, after the first one's word was written
    monkeypatch.setattr(order_words, "find_approver", lambda *given: next(asked, None) or really(*given))
    ids = [arm.order_event_id(repair, NODE), arm.order_event_id(moving, NODE)]
    with pytest.raises(Refusal) as refused:
        start_node_events(hearing(imported, desk), NODE, ids)
    assert refused.value.reasons == (why,)
    assert said_in_all(imported) == []


def test_what_was_approved_of_a_place_is_taken_back_whole(imported: Database, desk: MaintenanceDesk) -> None:
    repair, _ = two_kinds(imported)
    subject = Subject(scope=Scope(level=ScopeLevel.NODE, name=NODE), nodes=(NODE,))
    approve_work(hearing(imported, desk), subject)
    start_order(imported, repair, now=world.NOW, actor="operator-1", drained=True)
    with pytest.raises(Refusal) as refused:
        withdraw_work(hearing(imported, desk), subject)
    assert refused.value.reason.code is Code.WORK_STARTED
    assert len(said_in_all(imported)) == 3, "of updates and the move nothing was taken back either"
    complete_order(imported, repair, now=world.NOW, actor="operator-1")
    withdraw_work(hearing(imported, desk), subject)
    assert [line for line in said_in_all(imported) if line.startswith("withdrawn")] == [
        f"withdrawn node {NODE}",
        f"withdrawn node {NODE} req_sc-1_move",
    ]
