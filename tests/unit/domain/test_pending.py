"""What is due on which node and device, and why not the rest."""

from dataclasses import replace

from tests.constraints import world as w

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.pending import draining_devices, find_pending, has_work
from fermata.domain.pending_lines import PendingFilter, Standing, group_lines, list_lines, unknown_names
from fermata.domain.policy import Notice, Policy
from fermata.domain.request_shares import nodes_with_work
from fermata.domain.updates import AppliesTo, Catalogue, Stage, Update

FLEET = w.fleet()
NIC = w.catalogue().updates[UpdateId("nic")]
NODE = NodeId("alpha-n00")


def catalogue_with(*updates: Update) -> Catalogue:
    base = w.catalogue()
    return replace(base, updates={**base.updates, **{update.id: update for update in updates}})


def variant(name: str, version: str, **changes: object) -> Update:
    return replace(NIC, id=UpdateId(name), to_version=version, **changes)  # type: ignore[arg-type]


def due(fleet: Fleet, catalogue: Catalogue, only: frozenset[UpdateId] | None = None) -> set[str]:
    return {item.update.id for item in find_pending(fleet, catalogue, only).nodes[NODE].due}


def test_everything_older_than_the_catalogue_is_due() -> None:
    assert due(FLEET, w.catalogue()) == {"nic", "os", "gpu", "agent"}


def test_only_the_newest_update_of_a_component_is_due_and_the_older_is_superseded() -> None:
    unit = find_pending(FLEET, catalogue_with(variant("nic-3", "3.0"))).nodes[NODE]
    assert {item.update.id for item in unit.due} == {"nic-3", "os", "gpu", "agent"}
    assert [(older.update.id, older.by.id) for older in unit.superseded] == [("nic", "nic-3")]


def test_an_update_for_one_cluster_is_due_there_and_not_in_another_that_reports_the_same() -> None:
    sku = FLEET.clusters[ClusterId("alpha")].sku
    fleet = replace(FLEET, clusters={name: replace(cluster, sku=sku) for name, cluster in FLEET.clusters.items()})
    only_alpha = replace(NIC, applies_to=AppliesTo(clusters=frozenset({"alpha"})))
    pending = find_pending(fleet, replace(w.catalogue(), updates={NIC.id: only_alpha}))
    assert {fleet.nodes[name].cluster for name in pending.nodes} == {"alpha"}


def test_a_campaign_that_names_the_older_update_gets_it() -> None:
    assert due(FLEET, catalogue_with(variant("nic-3", "3.0")), frozenset({UpdateId("nic")})) == {"nic"}


def test_a_flight_ready_update_is_not_due() -> None:
    assert "nic-3" not in due(FLEET, catalogue_with(variant("nic-3", "3.0", stage=Stage.FLIGHT_READY)))


def test_an_update_for_other_start_versions_is_not_due() -> None:
    other = AppliesTo(from_versions=frozenset({"1.5"}))
    assert "nic-3" not in due(FLEET, catalogue_with(variant("nic-3", "3.0", applies_to=other)))


def test_a_node_that_runs_a_newer_version_is_left_alone() -> None:
    assert "nic" not in due(w.with_versions(FLEET, NODE, nic_fw="2.1"), w.catalogue())


def test_an_unknown_version_is_neither_due_nor_forgotten() -> None:
    unit = find_pending(w.with_versions(FLEET, NODE, nic_fw=""), w.catalogue()).nodes[NODE]
    assert {item.update.id for item in unit.due} == {"os", "gpu", "agent"}
    assert [(blind.component, blind.updates) for blind in unit.unknown] == [("nic_fw", ("nic",))]


def test_a_device_with_impactful_work_drains_the_nodes_behind_it() -> None:
    pending = find_pending(FLEET, w.catalogue())
    assert [device.name for device in draining_devices(FLEET, pending, FLEET.nodes[NODE])] == ["alpha-r0-tor"]


def test_nodes_with_work_are_asked_one_by_one_or_all_at_once_with_the_same_answer() -> None:
    catalogue = replace(w.catalogue(), updates={k: v for k, v in w.catalogue().updates.items() if v.target != "node"})
    pending = find_pending(FLEET, catalogue)
    for cluster in map(ClusterId, FLEET.clusters):
        one_by_one = {n.name for n in FLEET.nodes_by_cluster[cluster] if has_work(FLEET, pending, n)}
        assert nodes_with_work(FLEET, pending, cluster) == one_by_one
    assert nodes_with_work(FLEET, pending, ClusterId("alpha"))
    assert not nodes_with_work(FLEET, pending, ClusterId("gamma"))
    done = w.with_versions(FLEET, "alpha-n01", nic_fw="2.0", host_os="2.0", gpu_fw="2.0", agent="2.0")
    some, alpha = find_pending(done, w.catalogue()), done.nodes_by_cluster[ClusterId("alpha")]
    assert NodeId("alpha-n01") not in some.nodes, "nothing is due on the node itself, but on its switch"
    assert nodes_with_work(done, some, ClusterId("alpha")) == {node.name for node in alpha}


def lines(wanted: PendingFilter, fleet: Fleet = FLEET) -> list[tuple[str, str, Standing]]:
    catalogue = catalogue_with(variant("nic-3", "3.0"))
    policy = Policy(customers={}, notice=Notice(), freezes=())
    found = list_lines(fleet, catalogue, policy, find_pending(fleet, catalogue), wanted)
    return [(line.unit, line.update, line.standing) for line in found]


def test_a_node_is_listed_with_the_devices_it_hangs_on() -> None:
    found = lines(PendingFilter(nodes=frozenset({NODE})))
    assert {unit for unit, _, _ in found} == {NODE, DeviceId("alpha-r0-tor"), DeviceId("alpha-r0-mgr")}


def test_filters_narrow_each_other() -> None:
    found = lines(PendingFilter(clusters=frozenset({"beta"}), updates=frozenset({"nic"})))
    assert found == [(f"beta-n{i:02}", "nic", Standing.SUPERSEDED) for i in range(10)]
    assert lines(PendingFilter(clusters=frozenset({"beta"}), customers=frozenset({"meridian"}))) == []


def test_groups_count_units_and_clusters_and_put_what_is_due_first() -> None:
    catalogue = catalogue_with(variant("nic-3", "3.0"))
    fleet = w.with_versions(FLEET, NODE, gpu_fw="")
    made = list_lines(fleet, catalogue, None, find_pending(fleet, catalogue), PendingFilter())
    groups = {(group.update, group.standing): group for group in group_lines(made, catalogue)}
    assert (groups["tor-os", Standing.DUE].devices, groups["tor-os", Standing.DUE].clusters) == (7, 2)
    assert groups["nic-3", Standing.DUE].nodes == 23
    assert groups["nic-3", Standing.DUE].from_versions == ("1.0", "2.0")
    assert groups["gpu", Standing.UNKNOWN].nodes == 1
    assert groups["nic", Standing.SUPERSEDED].from_versions == ("1.0",)
    standings = [standing for _, standing in groups]
    assert standings == sorted(standings, key=list(Standing).index)


def test_a_name_that_nobody_knows_is_told_apart_from_nothing_pending() -> None:
    wanted = PendingFilter(nodes=frozenset({"alpha-n99"}), skus=frozenset({"H100"}), updates=frozenset({"nick"}))
    assert unknown_names(FLEET, w.catalogue(), wanted) == (("update", "nick"), ("node", "alpha-n99"))
