"""Imports through the service: one transaction, journalled, and requests brought up to date."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.reasons import Code
from fermata.services.errors import Refusal
from fermata.services.inventory import ENTRIES_MAX, ImportSet, import_campaign, import_fleet, import_policy, import_set
from fermata.services.requests import refresh_requests
from fermata.store import inventory, journal, requests
from fermata.store.database import Database

SCENARIO = w.scenario()
EVERYTHING = ImportSet(
    fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=SCENARIO.policy, campaign=SCENARIO.campaign
)
ALPHA = "req_sc-alpha_deployment"


def events(db: Database) -> list[tuple[str, str]]:
    with db.read() as conn:
        return [(line.event, line.subject) for line in journal.read(conn)]


def test_a_whole_set_is_imported_at_once(db: Database) -> None:
    done = import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    assert done.documents == ("updates", "policy", "campaign")
    assert len(done.requests) == 4
    assert ("request.changed", f"request:{ALPHA}") in events(db)
    assert ("node.added", "node:alpha-n00") in events(db)


def test_importing_the_same_set_again_changes_and_journals_nothing(db: Database) -> None:
    import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    before = events(db)
    done = import_set(db, EVERYTHING, now=w.NOW + timedelta(hours=1), actor="operator-1")
    assert not done.changed
    assert done.requests == ()
    assert events(db) == before


def test_a_changed_node_is_journalled_field_by_field_and_moves_its_request_on(db: Database) -> None:
    import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    done = import_fleet(
        db, w.with_versions(SCENARIO.fleet, "alpha-n00", nic_fw="2.0"), now=w.NOW, actor="operator-2", why="ticket 7"
    )
    assert [(request.id, request.incarnation) for request in done.requests] == [(ALPHA, 2)]
    with db.read() as conn:
        (line,) = journal.read(conn, subject="node:alpha-n00")[1:]
        (moved,) = [e for e in journal.read(conn, subject=f"request:{ALPHA}") if e.event == "request.changed"][1:]
    assert (line.event, line.actor, line.why) == ("node.changed", "operator-2", "ticket 7")
    assert line.data == {"versions.nic_fw": {"before": "1.0", "after": "2.0"}}
    assert moved.data["incarnation"] == 2


def test_a_removed_node_is_journalled_with_all_it_was(db: Database) -> None:
    import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    nodes = {name: node for name, node in SCENARIO.fleet.nodes.items() if name != "omega-n00"}
    import_fleet(db, replace(SCENARIO.fleet, nodes=nodes), now=w.NOW, actor="operator-1")
    with db.read() as conn:
        line = journal.read(conn, subject="node:omega-n00")[-1]
    assert line.event == "node.removed"
    assert line.data["versions.nic_fw"] == {"before": "1.0", "after": None}


def test_a_new_inventory_is_one_line_with_counts_and_hash(db: Database) -> None:
    nodes = [w.node("alpha", index, 3) for index in range(ENTRIES_MAX + 1)]
    fleet = Fleet(
        clusters={ClusterId("alpha"): w.cluster("alpha")}, nodes={node.name: node for node in nodes}, devices={}
    )
    import_fleet(db, fleet, now=w.NOW, actor="operator-1")
    assert events(db) == [("fleet.imported", "fleet")]
    with db.read() as conn:
        (line,) = journal.read(conn)
    assert line.data["counts"]["node"]["added"] == ENTRIES_MAX + 1
    assert len(line.data["fleet_sha256"]) == 64


def test_requests_appear_once_fleet_updates_and_policy_are_there(db: Database) -> None:
    assert import_fleet(db, SCENARIO.fleet, now=w.NOW, actor="operator-1").requests == ()
    assert import_policy(db, SCENARIO.policy, now=w.NOW, actor="operator-1").requests == ()
    assert import_set(db, ImportSet(catalogue=SCENARIO.catalogue), now=w.NOW, actor="operator-1").requests
    assert refresh_requests(db, now=w.NOW) == ()


def test_requests_follow_versions_that_nodes_prove(db: Database) -> None:
    import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    with db.begin() as conn:
        inventory.record_versions(conn, {NodeId("alpha-n00"): {"nic_fw": "2.0"}})
    assert [request.id for request in refresh_requests(db, now=w.NOW)] == [ALPHA]
    with db.read() as conn:
        counts = {item.update: item.nodes for item in requests.load_requests(conn)[ALPHA].items}  # type: ignore[index]
    assert counts["nic"] == 5


def test_a_campaign_that_names_an_unknown_update_is_refused_with_the_nearest(db: Database) -> None:
    import_set(db, EVERYTHING, now=w.NOW, actor="operator-1")
    wrong = w.campaign(updates=frozenset({UpdateId("nic"), UpdateId("tor-oss")}))
    with pytest.raises(Refusal, match="nearest is tor-os") as refused:
        import_campaign(db, wrong, now=w.NOW, actor="operator-1")
    assert refused.value.reason.code is Code.UPDATE_UNKNOWN


def test_a_refused_set_leaves_nothing_behind(db: Database) -> None:
    wrong = replace(EVERYTHING, campaign=w.campaign(updates=frozenset({UpdateId("nope")})))
    with pytest.raises(Refusal):
        import_set(db, wrong, now=w.NOW, actor="operator-1")
    assert events(db) == []
    with db.read() as conn:
        assert inventory.load_fleet(conn).nodes == {}
