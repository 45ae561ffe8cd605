"""A part of the inventory is read as the whole of it says: a cluster, and what hangs on some devices."""

from dataclasses import replace

import pytest
from tests.simulation import small

from fermata.domain.fleet import DeviceScope, Fleet
from fermata.domain.ids import ClusterId, DeviceId, NodeId
from fermata.store import inventory
from fermata.store.database import Database
from fermata.store.places import load_behind, load_cluster, load_named

TOR, LEAF = DeviceId("c1-r2-tor"), DeviceId("c1-u0-ib_leaf")
HERE = ClusterId("c1")


def fleet() -> Fleet:
    """The racks and units of two clusters are called alike."""
    found = small.fleet(clusters=2, nodes=16)
    nodes = {name: replace(node, rack=node.rack.replace("c0", "c1")) for name, node in found.nodes.items()}
    return replace(found, nodes=nodes)  # type: ignore[arg-type]


def save(db: Database, found: Fleet) -> None:
    with db.begin() as conn:
        inventory.save_fleet(conn, found)


def test_a_cluster_is_read_alone(db: Database) -> None:
    found = fleet()
    save(db, found)
    with db.read() as conn:
        read, none = load_cluster(conn, HERE), load_cluster(conn, ClusterId("c9"))
    assert read.clusters == {HERE: found.clusters[HERE]}
    assert list(read.nodes.values()) == list(found.nodes_by_cluster[HERE])
    assert list(read.devices.values()) == list(found.devices_by_cluster[HERE])
    assert (none.clusters, none.nodes, none.devices) == ({}, {}, {})


@pytest.mark.parametrize("scope", list(DeviceScope))
def test_all_nodes_behind_devices_are_read_and_no_others(db: Database, scope: DeviceScope) -> None:
    found = fleet()
    place = {DeviceScope.RACK: "c1-r2", DeviceScope.SCALABLE_UNIT: "c1-u1", DeviceScope.CLUSTER: "c1"}[scope]
    device = replace(found.devices[TOR], scope=scope, scope_id=place)
    found = replace(found, devices={**found.devices, TOR: device})
    save(db, found)
    with db.read() as conn:
        read = load_behind(conn, [device])
    behind = found.nodes_behind(device)
    assert tuple(read.nodes.values()) == read.nodes_behind(device) == behind
    assert (read.devices, read.clusters) == ({TOR: device}, found.clusters)


def test_behind_a_device_that_went_elsewhere_is_who_is_there_and_who_was(db: Database) -> None:
    before = fleet()
    moved = replace(before.devices[TOR], scope_id="c1-r0")
    save(db, replace(before, devices={**before.devices, TOR: moved}))
    with db.read() as conn:
        read = load_behind(conn, [before.devices[TOR], before.devices[LEAF]])
        nobody = load_behind(conn, [])
    racks = {node.rack for node in read.nodes.values()}
    assert (racks, len(read.nodes)) == ({"c1-r0", "c1-r1", "c1-r2"}, 12)
    assert read.nodes_behind(moved) == before.nodes_behind(moved)
    assert (nobody.nodes, nobody.devices) == ({}, {})


def test_nodes_are_read_by_name_with_all_clusters(db: Database) -> None:
    found = fleet()
    save(db, found)
    with db.read() as conn:
        read = load_named(conn, [NodeId("c1-n001"), NodeId("nowhere")])
    assert (read.nodes, read.clusters) == ({NodeId("c1-n001"): found.nodes[NodeId("c1-n001")]}, found.clusters)
