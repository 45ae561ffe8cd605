"""What customers' clients ask to be repaired: opened, approved and kept by one transaction, on both databases, and of
the customer's own nodes alone.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.constraints import world as w
from tests.services.orders import DAY, LUMEN, POLICY, REPAIR, codes, minting, opened, prepare, say

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, OrderId, RackId
from fermata.domain.maintenance_words import UpdateStatus
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, reason
from fermata.domain.request_states import RequestState
from fermata.domain.scheduled_events import Leads
from fermata.domain.work_orders import Word, WorkOrder
from fermata.services import maintenance_requests as service
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Hearing, Subject, approve_work
from fermata.services.inventory import ImportSet, import_set
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.maintenance_requests import (
    KeptRequest,
    NameTaken,
    PutRequest,
    RequestView,
    delete_request,
    find_operation,
    find_request,
    list_requests,
    put_request,
)
from fermata.services.places import Group, Places
from fermata.services.unhealthy import Fault, UnknownResources
from fermata.services.work_orders import cancel_order, complete_order, start_order
from fermata.store import journal, work_orders
from fermata.store.database import Database
from fermata.store.requests import load_states

S = UpdateStatus
SUBSCRIPTION = arm.subscription_id(CustomerId("lumen"))
WHOLE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/sc-both/providers/Microsoft.SupercomputerInfrastructure"
WHOLE += "/supercomputers/sc-both"
MACHINE = WHOLE.split("Microsoft.")[0] + "Microsoft.Compute/virtualMachines/alpha-n03"


class Customer:
    """Lumen's part of the supercomputer that it shares, and the desk that its clients are heard at."""

    def __init__(self, db: Database, name: str = "lumen", mint: Callable[[str], str] | None = None) -> None:
        self.db = db
        self.desk = MaintenanceDesk(db, Leads(), fresh_seconds=0)
        self.mint = mint or minting()
        self.name = CustomerId(name)

    @property
    def group(self) -> Group:
        places = Places(fleet=self.desk.look().fleet)
        return places.groups[arm.subscription_id(self.name), "sc-both"]

    def hearing(self) -> Hearing:
        return Hearing(db=self.db, desk=self.desk, now=w.NOW, new_id=self.mint, why="asked")

    def put(self, *resources: str, approved: bool = False, **more: str) -> tuple[KeptRequest, bool]:
        return put_request(self.hearing(), self.group, asked(*resources, **more), is_approved=approved)

    def delete(self, name: str = "fix") -> KeptRequest | None:
        return delete_request(self.hearing(), self.group, name)

    def see(self, name: str = "fix") -> RequestView:
        found = find_request(self.db, self.desk.look(), self.group, name)
        assert found is not None
        return found

    def status(self) -> UpdateStatus:
        return self.see().status


def asked(*resources: str, **more: str) -> PutRequest:
    written = tuple(text if text.startswith("/") else f"{WHOLE}/{text}" for text in resources)
    made = PutRequest(
        name="fix",
        description="Link down",
        type="Unhealthy",
        state="Investigating",
        resources=written or (f"{WHOLE}/nodes/alpha-n03",),
        category="EthLinkFlap",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def orders(db: Database) -> list[WorkOrder]:
    with db.read() as conn:
        return list(work_orders.load_orders(conn).values())


def targets(db: Database) -> list[str]:
    return [str(order.target) for order in orders(db)]


def words(db: Database) -> list[tuple[str, frozenset[OrderId], Word]]:
    with db.read() as conn:
        return [(word.actor, word.orders, word.word) for word in work_orders.load_words(conn)]


def told(db: Database, event: str) -> list[tuple[str, str]]:
    with db.read() as conn:
        return [(line.actor, line.subject) for line in journal.read_events(conn, [event])]


def test_what_a_client_names_becomes_repairs_that_wait_for_its_customers_word(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    kept, is_new = lumen.put("nodes/alpha-n03", "racks/alpha-r1/nodes/Alpha-N04")
    assert is_new
    first, second = orders(db)
    assert (str(first.target), str(second.target)) == ("node alpha-n03", "node alpha-n04")
    assert {(o.kind, o.opened.actor, o.due_at, o.wanted_at) for o in (first, second)} == {
        ("repair", "ann", w.NOW + 30 * DAY, None)
    }
    assert first.cause == "Link down (maintenance request fix: Unhealthy, EthLinkFlap)"
    assert kept.orders == ((first.id,), (second.id,))
    assert told(db, "order.opened") == [("ann", "order:wo_1"), ("ann", "order:wo_2")]
    view = lumen.see("FIX")
    assert (view.kept, view.status, view.nodes, view.asked) == (kept, S.RETRY_LATER, ("alpha-n03", "alpha-n04"), 2)
    assert words(db) == []
    assert list_requests(db, lumen.desk.look(), lumen.group) == (view,)


def test_one_that_is_put_approved_has_its_customers_word_by_the_same_transaction(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved")
    assert words(db) == [("ann", frozenset({OrderId("wo_1"), OrderId("wo_2")}), Word.APPROVED)]
    assert (lumen.status(), lumen.see().asked) == (S.PENDING, 0)
    with db.read() as conn:
        assert load_states(conn)[REPAIR].state is RequestState.APPROVED
        (line,) = journal.read_events(conn, ["request.approved"])
    assert (line.data["from"], line.data["moves"]) == ("pending", ["approve"])
    start_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1", drained=True)


def test_a_word_that_cannot_be_recorded_leaves_no_order_behind(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(db)
    lumen = Customer(db)
    refused = reason(Code.APPROVER_UNKNOWN, actor="ann", customer="lumen", approvers="nobody")
    monkeypatch.setattr(service, "decide_in", lambda *_given, **_options: (refused,))
    with pytest.raises(Refusal) as refusal:
        lumen.put(approved=True, state="Approved")
    assert codes(refusal) == [Code.APPROVER_UNKNOWN]
    assert (orders(db), told(db, "order.opened")) == ([], [])
    assert find_request(db, lumen.desk.look(), lumen.group, "fix") is None


def test_a_customer_that_nobody_may_speak_for_asks_for_nothing(db: Database) -> None:
    prepare(db, policy=replace(POLICY, customers={**POLICY.customers, LUMEN.id: replace(LUMEN, approvers=())}))
    with pytest.raises(Refusal) as refusal:
        Customer(db).put()
    assert (codes(refusal), orders(db)) == ([Code.APPROVER_UNKNOWN], [])


def test_the_same_again_says_nothing_new_whatever_became_of_it(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    kept, _ = lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved")
    assert lumen.put("nodes/alpha-n04", "Nodes/ALPHA-n03", approved=True, state="Approved", name="FIX") == (kept, False)
    say(db, REPAIR, Word.WITHDRAWN, actor="ann")
    assert lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved") == (kept, False)
    assert [word for _, _, word in words(db)] == [Word.APPROVED, Word.WITHDRAWN], "no yes against its customer's no"
    assert targets(db) == ["node alpha-n03", "node alpha-n04"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"description": "Link up"}, ["description"]),
        ({"type": "Investigative"}, ["maintenanceRequestType"]),
        ({"state": "Approved"}, ["state"]),
        ({"category": "EthNicUnhealthy", "description": "x"}, ["description", "impactCategory"]),
    ],
)
def test_a_name_stands_for_one_thing(db: Database, change: dict[str, str], differs: list[str]) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put()
    for resources, more, where in (((), change, differs), (("nodes/alpha-n04",), {}, ["unhealthyResources"])):
        with pytest.raises(NameTaken) as taken:
            lumen.put(*resources, approved=True, **more)
        assert list(taken.value.differs) == where
    assert (targets(db), words(db)) == (["node alpha-n03"], [])


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("nodes/alpha-n03", ["node alpha-n03"]),
        ("clusters/alpha/racks/alpha-r1/nodes/alpha-n03", None),
        ("clusters/alpha/nodes/alpha-n03", ["node alpha-n03"]),
        (MACHINE, ["node alpha-n03"]),
        (f"{MACHINE.upper().replace('/SUBSCRIPTIONS', '/subscriptions')}", ["node alpha-n03"]),
        ("clusters/alpha", ["cluster alpha"]),
        ("racks/alpha-r1", ["rack alpha-r1"]),
        ("clusters/alpha/racks/alpha-r1", ["rack alpha-r1"]),
        ("switches/alpha-r1-tor", ["device alpha-r1-tor"]),
        ("clusters/alpha/switches/ALPHA-R1-TOR", ["device alpha-r1-tor"]),
        ("links/alpha-r1-tor--alpha-n04", ["node alpha-n04"]),
        ("racks/alpha-r1/nics/alpha-n05-nic_fw", ["node alpha-n05"]),
        ("", None),
        ("nodes/alpha-n99", None),
        ("nodes/beta-n00", None),
        ("clusters/beta", None),
        ("switches/alpha-r0-mgr", None),
        ("switches/beta-r1-tor", None),
        ("deviceLogicalPorts/alpha-r1-tor-1", None),
        ("maintenanceRequests/fix", None),
    ],
)
def test_each_id_stands_for_what_is_the_customers_and_for_nothing_else(
    db: Database, resource: str, expected: list[str] | None
) -> None:
    prepare(db)
    text = resource if resource.startswith("/") else f"{WHOLE}/{resource}".rstrip("/")
    if expected is None:
        with pytest.raises(UnknownResources) as unknown:
            Customer(db).put("nodes/alpha-n05", text)
        assert [(each.id, each.fault) for each in unknown.value.wrong] == [(text, Fault.UNKNOWN)]
        assert targets(db) == [], "nothing of it was opened"
        return
    Customer(db).put(text)
    assert targets(db) == expected


def test_what_is_wrong_with_ids_is_told_of_all_of_them(db: Database) -> None:
    prepare(db)
    elsewhere = WHOLE.replace(SUBSCRIPTION, arm.subscription_id(CustomerId("meridian")))
    other_group = WHOLE.replace("/resourceGroups/sc-both/", "/resourceGroups/sc-gamma/")
    with pytest.raises(UnknownResources) as unknown:
        Customer(db).put(
            f"{elsewhere}/nodes/beta-n00",
            f"{elsewhere}/nodes/nobody",
            f"{other_group}/nodes/alpha-n03",
            "/nodes/alpha-n03",
            f"{WHOLE}/nodes",
            "nodes/alpha-n03",
        )
    faults = [each.fault for each in unknown.value.wrong]
    assert faults == [Fault.ELSEWHERE, Fault.ELSEWHERE, Fault.UNKNOWN, Fault.UNREADABLE, Fault.UNREADABLE]


def test_of_a_rack_that_others_stand_in_too_only_the_customers_own_nodes_are_asked_for(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("racks/alpha-r0", "nodes/alpha-n00", approved=True, state="Approved")
    assert targets(db) == ["node alpha-n00", "node alpha-n01", "node alpha-n02"], "and each node once"
    assert lumen.see().kept.orders == (("wo_1", "wo_2", "wo_3"), ("wo_1",))
    assert (lumen.status(), lumen.see().nodes) == (S.PENDING, ("alpha-n00", "alpha-n01", "alpha-n02"))
    meridian = Customer(db, "meridian")
    assert list_requests(db, meridian.desk.look(), meridian.group) == ()
    assert find_request(db, meridian.desk.look(), meridian.group, "fix") is None
    assert find_operation(db, [meridian.group], "mr_5") is None
    assert find_operation(db, [lumen.group], "mr_5") == lumen.see().kept


def test_what_is_asked_for_already_is_not_asked_for_twice(db: Database) -> None:
    prepare(db)
    lumen = Customer(db, mint=minting())
    opened(db, "node alpha-n03", mint=lumen.mint)
    with pytest.raises(Refusal) as refusal:
        lumen.put("nodes/alpha-n04", "nodes/alpha-n03")
    assert (codes(refusal), targets(db)) == ([Code.ORDER_EXISTS], ["node alpha-n03"])


def test_a_later_word_through_any_door_is_the_requests_too(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("nodes/alpha-n03", "nodes/alpha-n04")
    say(db, REPAIR, actor="ann", orders=frozenset({OrderId("wo_1")}))
    assert (lumen.status(), lumen.see().asked) == (S.RETRY_LATER, 1)
    view, scope = lumen.see(), Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-both")
    mine = Subject(scope=scope, nodes=view.nodes, updates=False, orders=lambda work: work.order in view.orders)
    approve_work(lumen.hearing(), mine)
    assert (lumen.status(), lumen.see().asked) == (S.PENDING, 0)


def test_it_stands_where_its_orders_stand(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved")
    one, other = OrderId("wo_1"), OrderId("wo_2")
    start_order(db, one, now=w.NOW, actor="operator-1", drained=True)
    assert lumen.status() is S.IN_PROGRESS
    complete_order(db, one, now=w.NOW, actor="operator-1")
    assert (lumen.status(), lumen.see().repaired) == (S.PENDING, (f"{WHOLE}/nodes/alpha-n03",))
    cancel_order(db, other, now=w.NOW, actor="operator-1")
    view = lumen.see()
    assert (view.status, view.repaired) == (S.COMPLETED, (f"{WHOLE}/nodes/alpha-n03",))
    assert view.nodes == ("alpha-n03", "alpha-n04")


def test_one_whose_orders_people_took_back_is_cancelled(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put()
    cancel_order(db, OrderId("wo_1"), now=w.NOW, actor="operator-1")
    assert lumen.status() is S.CANCELLED
    assert lumen.delete() is not None, "it is forgotten, and nothing is left to cancel"
    lumen.put()
    assert [order.is_open for order in orders(db)] == [False, True]


def test_deleting_one_cancels_what_has_not_begun_and_frees_its_name(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    kept, _ = lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved")
    assert lumen.delete("FIX") == kept
    assert {(o.ended.how, o.ended.said.actor, o.ended.why) for o in orders(db) if o.ended} == {
        (RequestState.CANCELLED, "ann", "asked")
    }
    assert told(db, "order.cancelled") == [("ann", "order:wo_1"), ("ann", "order:wo_2")]
    assert find_request(db, lumen.desk.look(), lumen.group, "fix") is None
    assert lumen.delete() is None
    gone = find_operation(db, [lumen.group], kept.id)
    assert gone is not None
    assert gone.deleted_at == w.NOW
    again, is_new = lumen.put("nodes/alpha-n04")
    assert is_new
    assert again.id != kept.id


def test_what_has_begun_is_deleted_neither_whole_nor_in_part(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("nodes/alpha-n03", "nodes/alpha-n04", approved=True, state="Approved")
    start_order(db, OrderId("wo_2"), now=w.NOW, actor="operator-1", drained=True)
    with pytest.raises(Refusal) as refusal:
        lumen.delete()
    assert codes(refusal) == [Code.REQUEST_MOVE_ILLEGAL]
    assert [order.is_open for order in orders(db)] == [True, True]
    complete_order(db, OrderId("wo_2"), now=w.NOW, actor="operator-1")
    assert lumen.delete() is not None, "nothing of it is under way any more"
    assert [order.ended.how for order in orders(db) if order.ended] == ["cancelled", "completed"]


def test_a_rack_that_others_come_to_later_shows_its_customer_its_own_nodes(db: Database) -> None:
    prepare(db)
    lumen = Customer(db)
    lumen.put("racks/alpha-r1")
    assert targets(db) == ["rack alpha-r1"]
    fleet = lumen.desk.look().fleet
    moved = replace(fleet.nodes[NodeId("beta-n01")], rack=RackId("alpha-r1"))
    changed = replace(fleet, nodes={**fleet.nodes, moved.name: moved})
    given = ImportSet(fleet=changed, catalogue=w.catalogue(), policy=POLICY, campaign=w.campaign())
    import_set(db, given, now=w.NOW, actor="operator-1")
    assert lumen.see().nodes == ("alpha-n03", "alpha-n04", "alpha-n05")
    assert lumen.see().asked == 3
