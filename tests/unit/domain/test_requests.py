"""One cumulative request per supercomputer, which changes only when its items or their units do."""

from dataclasses import replace
from datetime import timedelta

from tests.constraints import world as w

from fermata.domain.consent import consent_gaps
from fermata.domain.fleet import Fleet
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import ClusterId, RequestId, SupercomputerId, UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.policy import Notice, Policy
from fermata.domain.request_shares import nodes_with_work
from fermata.domain.requests import (
    Request,
    build_requests,
    cover_clusters,
    nodes_concerned,
    request_id,
    shared_devices,
)
from fermata.domain.updates import Catalogue, Criticality, Impact

FLEET = w.fleet()
POLICY = Policy(customers={}, notice=Notice(), freezes=())
ALPHA = RequestId("req_sc-alpha_deployment")


def build(
    fleet: Fleet = FLEET, catalogue: Catalogue | None = None, before: dict[RequestId, Request] | None = None
) -> dict[RequestId, Request]:
    found = catalogue or w.catalogue()
    return {r.id: r for r in build_requests(fleet, find_pending(fleet, found), POLICY, before or {})}


def test_there_is_one_request_per_supercomputer_with_pending_work() -> None:
    assert set(build()) == {request_id(SupercomputerId(f"sc-{name}")) for name in ("alpha", "beta", "gamma", "omega")}


def test_a_request_counts_units_and_takes_the_earliest_date_and_the_worst_impact() -> None:
    urgent = replace(w.catalogue().updates[UpdateId("nic")], criticality=Criticality.CRITICAL_SECURITY)
    catalogue = replace(w.catalogue(), updates={**w.catalogue().updates, urgent.id: urgent})
    request = build(catalogue=catalogue)[ALPHA]
    assert request.due_at == w.NOW + timedelta(days=1)
    assert request.impact is Impact.REBOOTFUL
    assert {item.update: (item.nodes, item.devices) for item in request.items} == {
        "agent": (6, 0),
        "gpu": (6, 0),
        "mgr": (0, 2),
        "nic": (6, 0),
        "os": (6, 0),
        "tor-os": (0, 2),
    }
    assert (request.nodes, request.shared_devices) == (6, 4)


def test_the_same_pending_work_keeps_the_incarnation() -> None:
    first = build()
    assert build(before=first) == first


def test_a_node_that_is_done_moves_the_request_on() -> None:
    done = w.with_versions(FLEET, "alpha-n00", nic_fw="2.0")
    changed = build(done, before=build())
    assert changed[ALPHA].incarnation == 2
    assert changed[RequestId("req_sc-beta_deployment")].incarnation == 1


def test_a_new_update_joins_the_request_that_is_there() -> None:
    newer = replace(w.catalogue().updates[UpdateId("nic")], id=UpdateId("nic-3"), to_version="3.0")
    catalogue = replace(w.catalogue(), updates={**w.catalogue().updates, newer.id: newer})
    changed = build(catalogue=catalogue, before=build())[ALPHA]
    assert changed.incarnation == 2
    assert [(older.update, older.by, older.nodes) for older in changed.superseded] == [("nic", "nic-3", 6)]
    assert {"nic", "nic-3"} <= changed.updates


def test_a_request_with_nothing_left_stays_without_date_and_items() -> None:
    before = build()
    done = replace(w.catalogue(), updates={})
    after = build(catalogue=done, before=before)[ALPHA]
    assert (after.incarnation, after.due_at, after.impact, after.items) == (2, None, None, ())
    assert build(catalogue=done, before={ALPHA: after})[ALPHA] == after


def test_a_supercomputer_that_left_the_inventory_keeps_its_emptied_request() -> None:
    kept = {name: c for name, c in FLEET.clusters.items() if name != "alpha"}
    nodes = {name: n for name, n in FLEET.nodes.items() if n.cluster != "alpha"}
    devices = {name: d for name, d in FLEET.devices.items() if d.cluster != "alpha"}
    after = build(Fleet(clusters=kept, nodes=nodes, devices=devices), before=build())
    assert (after[ALPHA].items, after[ALPHA].incarnation) == ((), 2)


def test_shared_devices_are_named_with_every_node_behind_them() -> None:
    pending = find_pending(FLEET, w.catalogue())
    found = shared_devices(FLEET, pending, SupercomputerId("sc-alpha"))
    assert [d.name for d in found] == ["alpha-r0-mgr", "alpha-r0-tor", "alpha-r1-mgr", "alpha-r1-tor"]
    assert [n.name for n in FLEET.nodes_behind(found[0])] == ["alpha-n00", "alpha-n01", "alpha-n02"]


def test_a_node_without_own_work_has_a_say_in_impactless_work_on_its_device() -> None:
    only_mgr = replace(w.catalogue(), updates={UpdateId("mgr"): w.catalogue().updates[UpdateId("mgr")]})
    pending = find_pending(FLEET, only_mgr)
    assert {name for name in nodes_concerned(FLEET, pending) if name.startswith("alpha")} == {
        f"alpha-n{i:02}" for i in range(6)
    }
    assert build(catalogue=only_mgr)[ALPHA].nodes == 0


def test_coverage_counts_what_is_missing_by_reason() -> None:
    pending = find_pending(FLEET, w.catalogue())
    gaps = consent_gaps(FLEET, POLICY, pending, ())
    alpha = ClusterId("alpha")
    (cover,) = cover_clusters({alpha: nodes_with_work(FLEET, pending, alpha)}, gaps)
    assert (cover.cluster, cover.nodes, cover.covered) == ("alpha", 6, 0)
    assert [(why.code, count) for why, count in cover.missing] == [("APPROVAL_MISSING", 6)]


def test_the_hash_of_a_request_is_that_of_its_items_and_the_names_of_their_units() -> None:
    """As it was stored by every release: another way of writing it would open each request anew."""
    together = {name: replace(c, supercomputer=SupercomputerId("sc-alpha")) for name, c in FLEET.clusters.items()}
    fleet = replace(FLEET, clusters=together)
    done = w.with_versions(fleet, "alpha-n00", nic_fw="2.0")
    pending = find_pending(done, w.catalogue())
    units = [*pending.nodes.items(), *pending.devices.items()]
    request = build(done)[ALPHA]

    def named(update: UpdateId, *, node: bool) -> str:
        """By cluster, then by name."""
        fleets = (done.nodes_by_cluster, done.devices_by_cluster)[0 if node else 1]
        due = {name for name, unit in units if any(item.update.id == update for item in unit.due)}
        return "\n".join(unit.name for cluster in sorted(fleets) for unit in fleets[cluster] if unit.name in due)

    names = [(i.update, named(i.update, node=True), named(i.update, node=False)) for i in request.items]
    assert len({nodes for _, nodes, _ in names}) > 1, "some updates share their nodes, and some do not"
    assert request.content_sha256 == content_sha256((request.items, names))
    assert request.content_sha256 != build(fleet)[ALPHA].content_sha256
