"""Approving, withdrawing and freezing through the services: who may, on what, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w
from tests.services.work import start_work

from fermata.domain.ids import ClusterId, CustomerId, FreezeId, NodeId, RackId, RequestId
from fermata.domain.ledger import Decisions
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.services.consent import Order, Said, approve, decide, withdraw
from fermata.services.errors import Refusal
from fermata.services.freezes import FreezeOrder, add_freeze, end_freeze
from fermata.services.inventory import ImportSet, import_fleet, import_set
from fermata.services.requests import list_pending, list_requests, read_inputs, show_request
from fermata.store import consent, inventory, journal
from fermata.store.database import Database

SCENARIO = w.scenario()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _imported(db: Database) -> None:
    policy = replace(SCENARIO.policy, customers={CustomerId("lumen"): replace(w.customer(), approvers=("ann", "bo"))})
    given = ImportSet(fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=policy, campaign=SCENARIO.campaign)
    import_set(db, given, now=w.NOW, actor="operator-1")


def scope(text: str) -> Scope:
    level, name = text.split()
    return Scope(level=ScopeLevel(level), name=name)


def yes(db: Database, text: str, actor: str | None = None) -> Said:
    numbers = count(ledger_length(db))
    return approve(db, scope(text), now=w.NOW, actor=actor, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


def no(db: Database, text: str) -> Said:
    numbers = count(ledger_length(db))
    return withdraw(db, scope(text), now=w.NOW, actor=None, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


def ledger_length(db: Database) -> int:
    with db.read() as conn:
        return len(consent.load_ledger(conn))


def covered(db: Database, cluster: str = "alpha") -> int:
    (view,) = list_requests(db, PendingFilter(clusters=frozenset({cluster})), now=w.NOW)
    return sum(cover.covered for cover in view.coverage)


def test_an_approval_is_bound_to_what_the_request_holds(db: Database) -> None:
    entry = yes(db, "cluster alpha").entry
    assert entry is not None
    assert (entry.actor, entry.incarnation, entry.request) == ("ann", 1, "req_sc-alpha_deployment")
    assert entry.updates == {"nic", "os", "gpu", "agent", "tor-os", "mgr"}
    assert covered(db) == 6
    with db.read() as conn:
        line = journal.read(conn, subject="cluster:alpha")[-1]
        assert consent.load_ledger(conn) == (entry,)
    assert (line.event, line.actor, line.data["incarnation"]) == ("consent.approved", "ann", 1)


@pytest.mark.parametrize("text", ["supercomputer sc-alpha", "cluster alpha", "rack alpha-r0", "node alpha-n00"])
def test_saying_the_same_again_is_reported_and_records_nothing(db: Database, text: str) -> None:
    assert no(db, text).entry is None
    assert yes(db, text).entry is not None
    assert yes(db, text).entry is None
    assert no(db, text).entry is not None
    assert no(db, text).entry is None
    assert ledger_length(db) == 2


def test_approving_wider_than_before_counts_for_nodes_that_join_later(db: Database) -> None:
    for name in ("alpha-r0", "alpha-r1"):
        yes(db, f"rack {name}")
    assert yes(db, "cluster alpha").entry is not None
    joined = w.node("alpha", 9, 3)
    import_fleet(
        db, replace(SCENARIO.fleet, nodes={**SCENARIO.fleet.nodes, joined.name: joined}), now=w.NOW, actor="operator-1"
    )
    assert covered(db) == 7


def test_a_new_item_needs_a_new_word(db: Database) -> None:
    yes(db, "cluster alpha")
    newer = replace(SCENARIO.catalogue.updates[w.UpdateId("nic")], id=w.UpdateId("nic-3"), to_version="3.0")
    catalogue = replace(SCENARIO.catalogue, updates={**SCENARIO.catalogue.updates, newer.id: newer})
    import_set(db, ImportSet(catalogue=catalogue), now=w.NOW, actor="operator-1")
    assert covered(db) == 0
    entry = yes(db, "cluster alpha").entry
    assert entry is not None
    assert (entry.incarnation, "nic-3" in entry.updates) == (2, True)
    assert covered(db) == 6


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("cluster alpah", "SCOPE_UNKNOWN", "nearest is alpha"),
        ("node alpha-r0", "SCOPE_UNKNOWN", "no node alpha-r0"),
        ("supercomputer lumen", "SCOPE_UNKNOWN", "no supercomputer lumen"),
    ],
)
def test_an_unknown_scope_is_refused_with_the_nearest_name(db: Database, text: str, code: str, part: str) -> None:
    with pytest.raises(Refusal, match=part) as refused:
        yes(db, text)
    assert refused.value.reason.code == code


def test_approving_where_nothing_is_pending_is_refused(db: Database) -> None:
    idle = w.with_versions(SCENARIO.fleet, "omega-n00", nic_fw="2.0", host_os="2.0", gpu_fw="2.0", agent="2.0")
    import_fleet(db, idle, now=w.NOW, actor="operator-1")
    with pytest.raises(Refusal) as refused:
        yes(db, "cluster omega")
    assert refused.value.reason.code == "NOTHING_PENDING"


def test_only_an_approver_of_the_customer_decides(db: Database) -> None:
    assert yes(db, "cluster beta", actor="bo").entry is not None
    with pytest.raises(Refusal, match="ann, bo") as refused:
        yes(db, "cluster alpha", actor="stranger")
    assert refused.value.reason.code == "APPROVER_UNKNOWN"


def test_a_rack_name_that_stands_in_two_supercomputers_is_refused(db: Database) -> None:
    twin = replace(w.node("beta", 99, 3), rack=w.RackId("alpha-r0"))
    import_fleet(
        db, replace(SCENARIO.fleet, nodes={**SCENARIO.fleet.nodes, twin.name: twin}), now=w.NOW, actor="operator-1"
    )
    with pytest.raises(Refusal, match="sc-alpha, sc-beta") as refused:
        yes(db, "rack alpha-r0")
    assert refused.value.reason.code == "SCOPE_AMBIGUOUS"


def test_a_word_on_an_older_incarnation_than_the_current_is_refused(db: Database) -> None:
    import_fleet(db, w.with_versions(SCENARIO.fleet, "alpha-n00", nic_fw="2.0"), now=w.NOW, actor="operator-1")
    order = Order(scope=scope("cluster alpha"), verdict=Verdict.APPROVED, seen=1)
    with pytest.raises(Refusal, match="incarnation 2, not 1") as refused:
        decide(db, [order], now=w.NOW, new_id=lambda prefix: prefix)
    assert refused.value.reason.code == "REQUEST_CHANGED"


def test_a_bulk_file_with_one_wrong_line_changes_nothing_and_names_every_fault(db: Database) -> None:
    orders = [Order(scope=scope(f"node alpha-n0{i}"), verdict=Verdict.APPROVED) for i in range(9)]
    with pytest.raises(Refusal) as refused:
        decide(db, orders, now=w.NOW, new_id=lambda prefix: prefix)
    assert [why.code for why in refused.value.reasons] == ["SCOPE_UNKNOWN"] * 3
    assert ledger_length(db) == 0


def test_bulk_orders_are_carried_out_in_their_order(db: Database) -> None:
    orders = [
        Order(scope=scope("cluster alpha"), verdict=Verdict.APPROVED, actor="bo"),
        Order(scope=scope("rack alpha-r1"), verdict=Verdict.WITHDRAWN, reason="launch", at=w.NOW - DAY),
        Order(scope=scope("cluster alpha"), verdict=Verdict.APPROVED),
    ]
    numbers = count()
    told = decide(db, orders, now=w.NOW, new_id=lambda prefix: f"{prefix}_{next(numbers)}")
    assert [said.entry.seq if said.entry else None for said in told] == [1, 2, 3]
    assert [said.entry.at if said.entry else None for said in told] == [w.NOW, w.NOW - DAY, w.NOW]
    assert covered(db) == 6


def test_a_finer_withdrawal_holds_its_rack_and_no_other(db: Database) -> None:
    yes(db, "supercomputer sc-alpha")
    no(db, "node alpha-n01")
    assert covered(db) == 3


def test_consent_cannot_be_withdrawn_once_work_on_a_node_has_started(db: Database) -> None:
    yes(db, "cluster alpha")
    with db.begin() as conn:
        start_work(conn, "alpha-n01")
    with pytest.raises(Refusal, match="alpha-n01") as refused:
        no(db, "cluster alpha")
    assert refused.value.reason.code == "WORK_STARTED"
    assert no(db, "node alpha-n00").entry is not None


def test_an_import_cannot_drop_a_node_that_a_window_holds(db: Database) -> None:
    with db.begin() as conn:
        start_work(conn, "alpha-n01")
    nodes = {name: node for name, node in SCENARIO.fleet.nodes.items() if name != "alpha-n01"}
    with pytest.raises(Refusal, match="alpha-n01") as refused:
        import_fleet(db, replace(SCENARIO.fleet, nodes=nodes), now=w.NOW, actor="operator-1")
    assert refused.value.reason.code == "NODES_HELD"


def test_freezes_are_added_and_ended_with_a_journal_line_each(db: Database) -> None:
    order = FreezeOrder(scope=scope("cluster alpha"), start=w.NOW, end=w.NOW + 3 * DAY, reason="launch")
    freeze = add_freeze(db, order, now=w.NOW, new_id=lambda prefix: f"{prefix}_1")
    assert (freeze.id, freeze.customer) == ("freeze_1", "lumen")
    end_freeze(db, freeze.id, now=w.NOW + DAY, why="done early")
    with db.read() as conn:
        (found,) = inventory.load_policy(conn).freezes
        assert [line.event for line in journal.read(conn, subject="freeze:freeze_1")] == [
            "freeze.added",
            "freeze.ended",
        ]
    assert found.end == w.NOW + DAY
    with pytest.raises(Refusal, match="No freeze freeze_1"):
        end_freeze(db, FreezeId("freeze_1"), now=w.NOW + 2 * DAY)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scope": scope("rack nope")}, "SCOPE_UNKNOWN"),
        ({"end": w.NOW}, "FREEZE_EMPTY"),
        ({"customer": CustomerId("meridian")}, "FREEZE_NOT_YOURS"),
        ({"actor": "stranger"}, "APPROVER_UNKNOWN"),
        ({"reason": ""}, "REASON_MISSING"),
        ({"reason": " \n"}, "REASON_MISSING"),
    ],
)
def test_a_wrong_freeze_is_refused(db: Database, changes: dict[str, object], code: str) -> None:
    order = FreezeOrder(scope=scope("cluster alpha"), start=w.NOW, end=w.NOW + DAY, reason="launch")
    with pytest.raises(Refusal) as refused:
        add_freeze(db, replace(order, **changes), now=w.NOW, new_id=lambda prefix: prefix)  # type: ignore[arg-type]
    assert refused.value.reason.code == code
    with db.read() as conn:
        assert not inventory.load_policy(conn).freezes


def test_a_request_in_detail_names_every_node_behind_each_shared_device(db: Database) -> None:
    view = show_request(db, RequestId("req_sc-alpha_deployment"), now=w.NOW)
    work = {found.device.name: found for found in view.devices}
    assert work["alpha-r0-tor"].nodes == ("alpha-n00", "alpha-n01", "alpha-n02")  # type: ignore[index]
    assert (work["alpha-r0-tor"].drains, work["alpha-r0-mgr"].drains) == (True, False)  # type: ignore[index]
    with pytest.raises(Refusal, match="nearest is req_sc-alpha_deployment"):
        show_request(db, RequestId("req_sc-alfa_deployment"), now=w.NOW)


def test_an_unknown_name_in_a_filter_is_refused_and_not_an_empty_list(db: Database) -> None:
    with pytest.raises(Refusal, match="nearest is alpha-n01"):
        list_pending(db, PendingFilter(nodes=frozenset({"alpha-n1"})))
    assert list_pending(db, PendingFilter(nodes=frozenset({"alpha-n01"}))).lines


SOLD = replace(SCENARIO.fleet.clusters[ClusterId("alpha")], customer=CustomerId("meridian"))


@pytest.mark.parametrize("text", ["supercomputer sc-alpha", "cluster alpha", "rack alpha-r0", "node alpha-n00"])
def test_what_one_customer_said_ends_when_another_gets_the_nodes(db: Database, text: str) -> None:
    said = yes(db, text)
    sold = replace(SCENARIO.fleet, clusters={**SCENARIO.fleet.clusters, SOLD.name: SOLD})
    import_fleet(db, sold, now=w.NOW + DAY, actor="operator-1")
    with db.read() as conn:
        first, *ended = consent.load_ledger(conn)
        line = journal.read(conn, subject="node:alpha-n00")[-1]
    assert first == said.entry
    assert {(entry.verdict, entry.scope.level, entry.at) for entry in ended} == {
        (Verdict.WITHDRAWN, ScopeLevel.NODE, w.NOW + DAY)
    }
    assert len({entry.scope.name for entry in ended}) == len(ended) == said.nodes
    assert line.event == "consent.withdrawn"
    assert line.why == "alpha-n00 went from lumen to meridian, who has to be asked anew"
    assert covered(db) == 0


@pytest.mark.parametrize("text", ["supercomputer sc-alpha", "rack alpha-r0", "cluster alpha"])
def test_nobody_has_spoken_for_a_customer_whose_nodes_came_later(db: Database, text: str) -> None:
    """Lumen says yes to all of a place; then meridian gets nodes there, and lumen one more."""
    said = yes(db, text)
    theirs = replace(SOLD, name=ClusterId("beside"))
    node = SCENARIO.fleet.nodes[NodeId("alpha-n00")]
    new = replace(node, name=NodeId("beside-n00"), cluster=theirs.name)
    more = replace(node, name=NodeId("alpha-n90"))
    fleet = replace(
        SCENARIO.fleet,
        clusters={**SCENARIO.fleet.clusters, theirs.name: theirs},
        nodes={**SCENARIO.fleet.nodes, new.name: new, more.name: more},
    )
    import_fleet(db, fleet, now=w.NOW + DAY, actor="operator-1")
    read = read_inputs(db)
    decisions = Decisions(read.fleet, read.ledger)
    updates = SCENARIO.catalogue.updates
    assert decisions.missing(new, updates) == tuple(sorted(updates)), "meridian was never asked"
    assert said.entry is not None
    assert decisions.missing(more, said.entry.updates) == ()
    with db.read() as conn:
        ended = [entry for entry in consent.load_ledger(conn) if entry.verdict is Verdict.WITHDRAWN]
    assert [entry.scope.name for entry in ended] == ([] if text.startswith("cluster") else ["beside-n00"])
    later = replace(new, name=NodeId("beside-n01"))
    import_fleet(db, replace(fleet, nodes={**fleet.nodes, later.name: later}), now=w.NOW + 2 * DAY, actor="operator-1")
    read = read_inputs(db)
    assert Decisions(read.fleet, read.ledger).missing(later, updates) == tuple(sorted(updates)), (
        "that meridian has nodes there by now is no yes of its"
    )


def test_a_node_that_is_sold_twice_loses_its_word_once(db: Database) -> None:
    yes(db, "node alpha-n00")
    for customer in ("meridian", "lumen"):
        owner = replace(SOLD, customer=CustomerId(customer))
        fleet = replace(SCENARIO.fleet, clusters={**SCENARIO.fleet.clusters, owner.name: owner})
        import_fleet(db, fleet, now=w.NOW + DAY, actor="operator-1")
    assert ledger_length(db) == 2


def test_a_node_that_moves_within_its_customers_fleet_keeps_its_word(db: Database) -> None:
    yes(db, "node alpha-n00")
    node = replace(SCENARIO.fleet.nodes[NodeId("alpha-n00")], rack=RackId("alpha-r9"), workload="chat")
    import_fleet(
        db, replace(SCENARIO.fleet, nodes={**SCENARIO.fleet.nodes, node.name: node}), now=w.NOW, actor="operator-1"
    )
    assert ledger_length(db) == 1


@pytest.mark.parametrize("text", ["node alpha-n00", "cluster alpha"])
@pytest.mark.parametrize(("customer", "stands"), [("lumen", True), ("meridian", False)])
def test_a_node_that_left_and_came_back_keeps_its_word_only_for_who_may_have_said_it(
    db: Database, text: str, customer: str, stands: bool
) -> None:
    """All of the cluster is away for a time, so nobody is there to be sold."""
    said = yes(db, text)
    gone = {name: node for name, node in SCENARIO.fleet.nodes.items() if node.cluster != "alpha"}
    import_fleet(db, replace(SCENARIO.fleet, nodes=gone), now=w.NOW + DAY, actor="operator-1")
    owner = replace(SOLD, customer=CustomerId(customer))
    back = replace(SCENARIO.fleet, clusters={**SCENARIO.fleet.clusters, owner.name: owner})
    import_fleet(db, back, now=w.NOW + 2 * DAY, actor="operator-1")
    read = read_inputs(db)
    assert said.entry is not None
    missing = Decisions(read.fleet, read.ledger).missing(read.fleet.nodes[NodeId("alpha-n00")], said.entry.updates)
    assert missing == (() if stands else tuple(sorted(said.entry.updates)))


def test_a_node_that_moves_into_a_rack_of_which_others_spoke_is_not_covered(db: Database) -> None:
    """In its own cluster: the rack stands for two customers from then on."""
    beside = replace(SOLD, name=ClusterId("beside"))
    node = SCENARIO.fleet.nodes[NodeId("alpha-n00")]
    far = replace(node, name=NodeId("beside-n00"), cluster=beside.name, rack=RackId("beside-r0"))
    fleet = replace(
        SCENARIO.fleet,
        clusters={**SCENARIO.fleet.clusters, beside.name: beside},
        nodes={**SCENARIO.fleet.nodes, far.name: far},
    )
    import_fleet(db, fleet, now=w.NOW, actor="operator-1")
    said = yes(db, f"rack {node.rack}")
    near = replace(far, rack=node.rack)
    import_fleet(db, replace(fleet, nodes={**fleet.nodes, far.name: near}), now=w.NOW + DAY, actor="operator-1")
    read = read_inputs(db)
    assert said.entry is not None
    assert Decisions(read.fleet, read.ledger).missing(near, said.entry.updates) == tuple(sorted(said.entry.updates))
