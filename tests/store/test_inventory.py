"""What goes into the store comes out equal, and only what differs is written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.ids import CampaignId, ClusterId, CustomerId, DeviceId, FreezeId, NodeId
from fermata.domain.policy import Freeze, Notice, Policy, Scope, ScopeLevel
from fermata.store import consent, inventory
from fermata.store.database import Database, NotStored

NODE = NodeId("alpha-n00")
DAY = timedelta(days=1)


def freeze(name: str, start: datetime = w.NOW, days: int = 3) -> Freeze:
    return Freeze(
        id=FreezeId(name),
        customer=CustomerId("lumen"),
        scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
        start=start,
        end=start + days * DAY,
        reason="training",
    )


def policy(*freezes: Freeze) -> Policy:
    return Policy(customers={CustomerId("lumen"): w.customer()}, notice=Notice(), freezes=freezes)


def many(count: int) -> Fleet:
    """Enough nodes for the bulk path of either database."""
    base = w.fleet()
    nodes = [w.node("alpha", index, 3) for index in range(count)]
    return replace(base, nodes={**base.nodes, **{node.name: node for node in nodes}})


@pytest.mark.parametrize("count", [0, 300])
def test_a_fleet_comes_back_equal_and_hashes_as_the_files_did(db: Database, count: int) -> None:
    fleet = many(count)
    with db.begin() as conn:
        inventory.save_fleet(conn, fleet)
    with db.read() as conn:
        loaded = inventory.load_fleet(conn)
    assert (loaded.clusters, loaded.nodes, loaded.devices) == (fleet.clusters, fleet.nodes, fleet.devices)
    assert fleet_sha256(loaded) == fleet_sha256(fleet)


def test_saving_the_same_fleet_twice_changes_nothing(db: Database) -> None:
    with db.begin() as conn:
        assert inventory.save_fleet(conn, w.fleet()).names("node", "added")
        assert inventory.save_fleet(conn, w.fleet()).changes == ()


def test_a_diff_says_field_by_field_what_changed(db: Database) -> None:
    before = w.fleet()
    moved = replace(before.nodes[NODE], versions={"nic_fw": "2.0", "bmc_fw": "7"}, state=NodeState.OUT_OF_SERVICE)
    with db.begin() as conn:
        inventory.save_fleet(conn, before)
        diff = inventory.save_fleet(conn, replace(before, nodes={**before.nodes, NODE: moved}))
    (change,) = diff.changes
    assert (change.kind, change.name, change.action) == ("node", NODE, "changed")
    assert change.fields == {
        "state": ("in_service", "out_of_service"),
        "versions.agent": ("1.0", None),
        "versions.bmc_fw": (None, "7"),
        "versions.gpu_fw": ("1.0", None),
        "versions.host_os": ("1.0", None),
        "versions.nic_fw": ("1.0", "2.0"),
    }


def test_units_that_the_import_does_not_name_are_removed(db: Database) -> None:
    before = w.fleet()
    after = Fleet(
        clusters={name: c for name, c in before.clusters.items() if name != "beta"},
        nodes={name: n for name, n in before.nodes.items() if n.cluster != "beta"},
        devices={name: d for name, d in before.devices.items() if d.cluster != "beta"},
    )
    with db.begin() as conn:
        inventory.save_fleet(conn, before)
        diff = inventory.save_fleet(conn, after)
        assert inventory.load_fleet(conn).nodes == after.nodes
    assert diff.counts()["node"] == {"added": 0, "changed": 0, "removed": 10}
    assert diff.names("cluster", "removed") == ("beta",)


def test_a_node_may_move_to_a_cluster_that_the_same_import_brings(db: Database) -> None:
    before = w.fleet()
    delta = w.cluster("delta")
    moved = replace(before.nodes[NODE], cluster=ClusterId("delta"))
    after = replace(before, clusters={**before.clusters, delta.name: delta}, nodes={**before.nodes, moved.name: moved})
    with db.begin() as conn:
        inventory.save_fleet(conn, before)
        inventory.save_fleet(conn, after)
        assert inventory.load_fleet(conn).nodes[NODE].cluster == "delta"


def test_reported_versions_replace_what_they_name_and_keep_the_rest(db: Database) -> None:
    with db.begin() as conn:
        inventory.save_fleet(conn, w.fleet())
        inventory.record_versions(conn, {NODE: {"nic_fw": "2.0"}, NodeId("gone"): {"nic_fw": "2.0"}})
        inventory.record_node_states(conn, {NODE: NodeState.OUT_OF_SERVICE})
        inventory.record_device_versions(conn, {DeviceId("alpha-r0-tor"): "4.11"})
        fleet = inventory.load_fleet(conn)
    assert fleet.nodes[NODE].versions == {"nic_fw": "2.0", "host_os": "1.0", "gpu_fw": "1.0", "agent": "1.0"}
    assert fleet.nodes[NODE].state is NodeState.OUT_OF_SERVICE
    assert fleet.devices[DeviceId("alpha-r0-tor")].version == "4.11"
    assert NodeId("gone") not in fleet.nodes


def test_documents_come_back_equal_and_are_saved_only_when_they_differ(db: Database) -> None:
    with db.begin() as conn:
        assert inventory.save_catalogue(conn, w.catalogue())
        assert not inventory.save_catalogue(conn, w.catalogue())
        assert inventory.save_policy(conn, policy(freeze("f1")))
        assert not inventory.save_policy(conn, policy(freeze("f1")))
        assert inventory.save_campaign(conn, w.campaign())
        assert not inventory.save_campaign(conn, w.campaign())
        assert inventory.save_campaign(conn, w.campaign(title="Other"))
    with db.read() as conn:
        assert inventory.load_catalogue(conn) == w.catalogue()
        assert content_sha256(inventory.load_catalogue(conn)) == content_sha256(w.catalogue())
        assert inventory.load_policy(conn) == policy(freeze("f1"))
        assert inventory.load_campaign(conn, CampaignId("small")) == w.campaign(title="Other")
        assert [campaign.title for campaign in inventory.list_campaigns(conn)] == ["Other"]


def test_what_was_never_imported_is_said_to_be_missing(db: Database) -> None:
    with db.read() as conn:
        with pytest.raises(NotStored, match="policy"):
            inventory.load_policy(conn)
        with pytest.raises(NotStored, match="campaign small"):
            inventory.load_campaign(conn, CampaignId("small"))


def test_freezes_added_by_hand_outlive_a_new_policy(db: Database) -> None:
    with db.begin() as conn:
        inventory.save_policy(conn, policy(freeze("f1")))
        consent.add_freeze(conn, freeze("by-hand"))
        inventory.save_policy(conn, policy(freeze("f2")))
        assert [found.id for found in inventory.load_policy(conn).freezes] == ["f2", "by-hand"]


def test_an_ended_freeze_is_cut_there_and_one_not_begun_never_is(db: Database) -> None:
    later = freeze("later", w.NOW + 5 * DAY)
    with db.begin() as conn:
        inventory.save_policy(conn, policy(freeze("f1"), later))
        consent.add_freeze(conn, freeze("by-hand"))
        for name in ("f1", "later", "by-hand"):
            consent.end_freeze(conn, FreezeId(name), w.NOW + DAY)
        found = inventory.load_policy(conn).freezes
    assert [(f.id, f.end) for f in found] == [("f1", w.NOW + DAY), ("by-hand", w.NOW + DAY)]


def test_a_freeze_stated_anew_is_in_force_whatever_became_of_its_former_self(db: Database) -> None:
    with db.begin() as conn:
        inventory.save_policy(conn, policy(freeze("f1"), freeze("f2")))
        for name in ("f1", "f2"):
            consent.end_freeze(conn, FreezeId(name), w.NOW)
        inventory.save_policy(conn, policy(freeze("f1", days=9), freeze("f2")))
        assert [(f.id, f.end) for f in inventory.load_policy(conn).freezes] == [("f1", w.NOW + 9 * DAY)]


def test_stored_times_come_back_as_aware_utc(db: Database) -> None:
    with db.begin() as conn:
        consent.add_freeze(conn, freeze("by-hand"))
        (found,) = consent.merge_freezes(conn, ())
    assert found == freeze("by-hand")
    assert found.start.tzinfo is UTC
