"""Work orders: opened by hand, one request at a time on a node, each step on record."""

from dataclasses import replace

import pytest
from tests.constraints import world as w
from tests.services.orders import (
    DAY,
    HARDWARE,
    LUMEN,
    POLICY,
    REPAIR,
    S,
    begin,
    both,
    codes,
    minting,
    opened,
    prepare,
    say,
    shown,
    state,
    target,
)
from tests.services.work import start_work

from fermata.domain.combining import Outcome
from fermata.domain.fleet import NodeState
from fermata.domain.ids import FreezeId, NodeId, OrderId, RackId, RequestId
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.policy import Freeze, PolicyRule, Scope, ScopeLevel, Stance
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import Criticality, Impact
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.requests import list_requests
from fermata.services.work_orders import NewOrder, cancel_order, complete_order, open_orders, start_order
from fermata.store import inventory, journal, work_orders
from fermata.store.database import Database

GONE = RequestId("req_sc-both_decommission")
NOTICES = [
    (RequestKind.REPAIR, Criticality.REGULAR, 30),
    (RequestKind.REPAIR, Criticality.CRITICAL_LIVESITE, 1),
    (RequestKind.HARDWARE, Criticality.REGULAR, 30),
    (RequestKind.DECOMMISSION, Criticality.REGULAR, 30),
    (RequestKind.MOVE, Criticality.REGULAR, 30),
]


@pytest.mark.parametrize(("kind", "criticality", "days"), NOTICES)
def test_every_kind_has_its_own_notice(db: Database, kind: RequestKind, criticality: Criticality, days: int) -> None:
    prepare(db)
    found = opened(db, "node alpha-n00", kind, criticality=criticality)
    assert found.order.due_at == w.NOW + days * DAY
    assert found.request == f"req_sc-both_{kind}"
    assert found.order.impact is Impact.REBOOTFUL


def test_a_wish_puts_the_due_date_off_and_never_brings_it_nearer(db: Database) -> None:
    prepare(db)
    mint = minting()
    assert opened(db, "node alpha-n00", mint=mint, wanted_at=w.NOW + DAY).order.due_at == w.NOW + 30 * DAY
    assert opened(db, "node alpha-n01", mint=mint, wanted_at=w.NOW + 40 * DAY).order.due_at == w.NOW + 40 * DAY


def test_a_new_order_changes_the_one_request_of_its_kind(db: Database) -> None:
    prepare(db)
    mint = minting()
    assert opened(db, "node alpha-n00", mint=mint).incarnation == 1
    urgent = opened(db, "node beta-n01", mint=mint, criticality=Criticality.CRITICAL_LIVESITE)
    assert (urgent.request, urgent.incarnation) == (REPAIR, 2)
    view = shown(db)
    assert [order.id for order in view.request.orders] == ["wo_1", "wo_2"]
    assert view.request.due_at == w.NOW + DAY
    assert view.request.customers == ("lumen", "meridian")
    assert view.request.nodes == 2


def test_a_device_stands_for_every_node_behind_it(db: Database) -> None:
    prepare(db)
    found = opened(db, "device alpha-r1-tor")
    assert found.nodes == ("alpha-n03", "alpha-n04", "alpha-n05")
    assert shown(db).request.shared_devices == 1


def test_only_what_was_begun_is_completed_and_what_was_not_is_cancelled(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    with pytest.raises(Refusal) as refused:
        complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert codes(refused) == [Code.REQUEST_MOVE_ILLEGAL]
    cancel_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1", why="it works again")
    assert state(db) is S.CANCELLED
    assert REPAIR not in {view.request.id for view in list_requests(db, PendingFilter(), now=w.NOW)}
    assert REPAIR in {view.request.id for view in list_requests(db, PendingFilter(), now=w.NOW, ended=True)}
    opened(db, "node alpha-n00", mint=lambda _prefix: "wo_2")
    assert state(db) is S.PENDING
    assert shown(db).request.incarnation == 3


def test_a_freeze_beats_the_approval_of_an_order_that_a_workload_would_feel(db: Database) -> None:
    scope = Scope(level=ScopeLevel.RACK, name="alpha-r1")
    freeze = Freeze(id=FreezeId("f1"), customer=LUMEN.id, scope=scope, start=w.NOW, end=w.NOW + DAY, reason="launch")
    prepare(db, policy=replace(POLICY, freezes=(freeze,)))
    mint = minting()
    opened(db, "node alpha-n03", mint=mint)
    opened(db, "node alpha-n04", mint=mint, impact=Impact.IMPACTLESS)
    say(db, REPAIR, actor="ann")
    with pytest.raises(Refusal) as refused:
        begin(db, "wo_1")
    assert codes(refused) == [Code.FROZEN]
    begin(db, "wo_2")
    begin(db, "wo_1", w.NOW + DAY)


def test_an_order_keeps_to_the_time_that_its_customers_were_asked_for(db: Database) -> None:
    prepare(db)
    wish = w.NOW + 40 * DAY
    opened(db, "node alpha-n00", RequestKind.HARDWARE, wanted_at=wish)
    say(db, HARDWARE, actor="ann")
    assert state(db, HARDWARE) is S.SCHEDULED
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.ORDER_TOO_EARLY]
    assert state(db, HARDWARE, wish) is S.APPROVED
    begin(db, now=wish)


def test_one_request_at_a_time_holds_a_node(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "node alpha-n00", mint=mint)
    opened(db, "rack alpha-r0", RequestKind.HARDWARE, mint=mint)
    say(db, REPAIR, actor="ann")
    say(db, HARDWARE, actor="eve")
    begin(db, "wo_1")
    with pytest.raises(Refusal) as refused:
        begin(db, "wo_2")
    assert codes(refused) == [Code.ORDER_NODE_BUSY]
    assert "wo_1" in str(refused.value)
    complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    begin(db, "wo_2")


def test_an_order_waits_for_a_node_that_a_run_holds(db: Database) -> None:
    prepare(db)
    with db.begin() as conn:
        start_work(conn, "alpha-n00")
    found = opened(db, "node alpha-n00")
    assert [(meeting.kind, meeting.outcome) for meeting in found.meets] == [(RequestKind.DEPLOYMENT, Outcome.JOIN)]
    say(db, REPAIR, actor="ann")
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.ORDER_NODE_BUSY]


def test_an_order_says_what_it_meets(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "node alpha-n00", mint=mint)
    found = opened(db, "rack alpha-r0", RequestKind.MOVE, mint=mint)
    assert [(m.kind, m.order, m.state, m.outcome, m.nodes) for m in found.meets] == [
        (RequestKind.REPAIR, "wo_1", S.PENDING, Outcome.JOIN, 1),
        (RequestKind.DEPLOYMENT, None, S.PENDING, Outcome.JOIN, 4),
    ]


def test_a_decommission_that_begins_ends_what_was_asked_for_on_its_nodes_alone(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "node alpha-n00", mint=mint)
    opened(db, "rack alpha-r0", RequestKind.HARDWARE, mint=mint)
    opened(db, "node alpha-n00", RequestKind.DECOMMISSION, mint=mint)
    gone = RequestId("req_sc-both_decommission")
    say(db, gone, actor="ann")
    begin(db, "wo_3")
    assert state(db) is S.SUPERSEDED
    assert state(db, HARDWARE) is S.PENDING
    assert state(db, gone) is S.IN_PROGRESS


@pytest.mark.parametrize(
    ("cluster", "nodes", "customer"),
    [
        ("alpha", [f"alpha-n{i:02}" for i in range(6)], "lumen"),
        ("beta", [f"beta-n{i:02}" for i in range(10)], "meridian"),
    ],
)
def test_a_decommission_of_a_cluster_names_its_nodes_in_every_rack_and_whom_they_serve(
    db: Database, cluster: str, nodes: list[str], customer: str
) -> None:
    prepare(db)
    opened(db, f"cluster {cluster}", RequestKind.DECOMMISSION)
    (order,) = shown(db, GONE).request.orders
    assert (list(order.nodes), list(order.customers)) == (nodes, [customer])


def test_a_decommission_of_a_cluster_begins_when_all_of_its_nodes_are_approved_and_holds_them_all(
    db: Database,
) -> None:
    prepare(db)
    opened(db, "cluster alpha", RequestKind.DECOMMISSION)
    nodes = [f"alpha-n{i:02}" for i in range(6)]
    for name in nodes[:-1]:
        say(db, GONE, actor="ann", scope=Scope(level=ScopeLevel.NODE, name=name))
    with pytest.raises(Refusal, match="alpha") as refused:
        begin(db)
    assert codes(refused) == [Code.APPROVAL_MISSING]
    say(db, GONE, actor="ann", scope=Scope(level=ScopeLevel.NODE, name=nodes[-1]))
    with pytest.raises(Refusal) as refused:
        start_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert codes(refused) == [Code.ORDER_NOT_DRAINED]
    assert all(name in refused.value.reason.sentence for name in nodes[:2])
    begin(db)
    with db.read() as conn:
        held = work_orders.load_orders(conn)[OrderId("wo_1")].held
    assert sorted(held) == nodes


def test_nothing_is_asked_for_on_what_may_leave(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "cluster alpha", RequestKind.DECOMMISSION, mint=mint)
    opened(db, "node alpha-n00", mint=mint)
    say(db, RequestId("req_sc-both_decommission"), actor="ann")
    with pytest.raises(Refusal) as refused:
        opened(db, "node alpha-n01", mint=mint)
    assert codes(refused) == [Code.LEAVES_BY_ORDER]


BAD = [
    ("node alpha-n0", Code.SCOPE_UNKNOWN),
    ("rack alpha-r9", Code.SCOPE_UNKNOWN),
    ("device alpha-tor", Code.SCOPE_UNKNOWN),
    ("node alpha-n00", Code.ORDER_EXISTS),
]


@pytest.mark.parametrize(("text", "code"), BAD)
def test_what_cannot_be_opened_is_refused_with_all_that_was_asked(db: Database, text: str, code: Code) -> None:
    prepare(db)
    mint = minting()
    opened(db, "node alpha-n00", mint=mint)
    orders = [NewOrder(kind=RequestKind.REPAIR, target=target(t), cause="x") for t in ("node alpha-n01", text)]
    with pytest.raises(Refusal) as refused:
        open_orders(db, orders, now=w.NOW, actor="operator-1", new_id=mint)
    assert codes(refused) == [code]
    assert [order.id for order in shown(db).request.orders] == ["wo_1"]


def test_states_and_words_stand_in_the_journal_in_their_order(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    say(db, REPAIR, actor="ann", reason="go")
    begin(db)
    complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-2", why="swapped")
    with db.read() as conn:
        order = [(e.event, e.actor, e.why) for e in journal.read(conn, subject="order:wo_1")]
        states = [e.event for e in journal.read(conn, subject=f"request:{REPAIR}")]
    assert order == [
        ("order.opened", "operator-1", "broken"),
        ("order.started", "operator-1", ""),
        ("order.completed", "operator-2", "swapped"),
    ]
    moves = [name for name in states if name != "request.changed"]
    assert moves == ["request.approved", "request.in_progress", "request.completed"]


def test_an_order_whose_target_left_the_fleet_can_only_be_cancelled(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    say(db, REPAIR, actor="ann")
    fleet = both()
    left = {name: node for name, node in fleet.nodes.items() if name != NodeId("alpha-n00")}
    import_set(db, ImportSet(fleet=replace(fleet, nodes=left)), now=w.NOW, actor="operator-1")
    assert shown(db).standing.state is S.PENDING
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.ORDER_TARGET_GONE]
    cancel_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")


def test_an_order_that_interrupts_begins_on_drained_nodes_only(db: Database) -> None:
    prepare(db)
    mint = minting()
    opened(db, "rack alpha-r0", mint=mint)
    opened(db, "node alpha-n04", mint=mint, impact=Impact.IMPACTLESS)
    say(db, REPAIR, actor="eve")
    with pytest.raises(Refusal) as refused:
        start_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert codes(refused) == [Code.ORDER_NOT_DRAINED]
    start_order(db, OrderId("wo_2"), now=w.NOW, actor="operator-1")
    (rack,) = [order for order in shown(db).request.orders if order.id == "wo_1"]
    with db.begin() as conn:
        inventory.record_node_states(conn, dict.fromkeys(rack.nodes, NodeState.OUT_OF_SERVICE))
    start_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")


def test_what_an_order_was_begun_with_stays_its_own_wherever_it_is_moved(db: Database) -> None:
    prepare(db)
    moving = RequestId("req_sc-both_move")
    opened(db, "rack alpha-r0", RequestKind.MOVE)
    say(db, moving, actor="eve")
    begin(db)
    before = shown(db, moving).request.orders[0].nodes
    fleet = both()
    nodes = {n: replace(node, rack=RackId("alpha-r9")) if n in before else node for n, node in fleet.nodes.items()}
    import_set(db, ImportSet(fleet=replace(fleet, nodes=nodes)), now=w.NOW, actor="operator-1")
    assert shown(db, moving).request.orders[0].nodes == before
    with db.read() as conn:
        assert set(work_orders.held_nodes(conn, inventory.load_fleet(conn), w.NOW)) == set(before)
    complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    with db.read() as conn:
        assert work_orders.held_nodes(conn, inventory.load_fleet(conn), w.NOW) == {}


def test_a_decommission_is_done_when_the_inventory_has_its_nodes_no_more(db: Database) -> None:
    prepare(db)
    gone = RequestId("req_sc-both_decommission")
    opened(db, "node alpha-n00", RequestKind.DECOMMISSION)
    say(db, gone, actor="ann")
    begin(db)
    with pytest.raises(Refusal) as refused:
        complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert codes(refused) == [Code.ORDER_NODES_REMAIN]
    fleet = both()
    left = {name: node for name, node in fleet.nodes.items() if name != "alpha-n00"}
    import_set(db, ImportSet(fleet=replace(fleet, nodes=left)), now=w.NOW, actor="operator-1")
    assert state(db, gone) is S.IN_PROGRESS
    complete_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert state(db, gone) is S.COMPLETED


def test_what_was_begun_is_completed_whatever_the_policy_says_meanwhile(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00")
    say(db, REPAIR, actor="ann")
    begin(db)
    nothing = PolicyRule(id="nothing", stance=Stance.BLOCK)
    policy = replace(POLICY, customers={LUMEN.id: replace(LUMEN, rules=(nothing,))})
    import_set(db, ImportSet(policy=policy), now=w.NOW, actor="operator-1")
    late = w.NOW + 31 * DAY
    assert state(db, now=late) is S.IN_PROGRESS
    with db.read() as conn:
        assert set(work_orders.held_nodes(conn, inventory.load_fleet(conn), late)) == {"alpha-n00"}
    complete_order(db, OrderId("wo_1"), now=late, actor="operator-1")
    assert state(db, now=late) is S.COMPLETED
