"""Blocked by default, and what lets a node through."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.consent import consent_gaps, device_gaps
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ApprovalId, CustomerId, DeviceId, NodeId, RequestId, UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.policy import Blocked, ConsentEntry, Notice, Policy, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Catalogue

FLEET = w.fleet()
ALL = frozenset(w.catalogue().updates)
ALPHA = [f"alpha-n{i:02}" for i in range(6)]


def policy(blocked: Blocked = Blocked.ALL, **changes: object) -> Policy:
    customer = replace(w.customer(blocked), **changes)  # type: ignore[arg-type]
    return Policy(customers={CustomerId("lumen"): customer}, notice=Notice(), freezes=())


def say(seq: int, scope: str, verdict: Verdict = Verdict.APPROVED, updates: frozenset[UpdateId] = ALL) -> ConsentEntry:
    level, name = scope.split()
    return ConsentEntry(
        seq=seq,
        id=ApprovalId(f"apr_{seq}"),
        request=RequestId(f"req_sc-{name.removeprefix('sc-').split('-')[0]}_deployment"),
        incarnation=1,
        updates=updates,
        scope=Scope(level=ScopeLevel(level), name=name),
        verdict=verdict,
        actor="lumen-capacity",
        at=w.NOW,
        reason="",
        until=w.NOW + timedelta(days=30) if verdict is Verdict.DECLINED else None,
    )


def codes(
    ledger: list[ConsentEntry],
    rules: Policy | None = None,
    fleet: Fleet = FLEET,
    catalogue: Catalogue | None = None,
    cluster: str = "alpha",
) -> dict[str, str]:
    pending = find_pending(fleet, catalogue or w.catalogue())
    gaps = consent_gaps(fleet, rules or policy(), pending, tuple(ledger))
    return {name: why.code.value for name, why in gaps.items() if name.startswith(cluster)}


def test_everything_is_blocked_when_nobody_said_anything() -> None:
    assert codes([]) == dict.fromkeys(ALPHA, "APPROVAL_MISSING")


def test_a_customer_without_a_policy_is_blocked_entirely() -> None:
    nobody = Policy(customers={}, notice=Notice(), freezes=())
    assert codes([], nobody) == dict.fromkeys(ALPHA, "APPROVAL_MISSING")


@pytest.mark.parametrize("scope", ["supercomputer sc-alpha", "cluster alpha"])
def test_an_approval_covers_every_node_of_its_scope(scope: str) -> None:
    assert codes([say(1, scope)]) == {}


def test_all_racks_approved_one_by_one_cover_the_cluster() -> None:
    assert codes([say(1, "rack alpha-r0"), say(2, "rack alpha-r1")]) == {}


def test_an_approved_rack_leaves_the_other_rack_blocked() -> None:
    assert codes([say(1, "rack alpha-r0")]) == dict.fromkeys(ALPHA[3:], "APPROVAL_MISSING")


def test_a_rack_approved_in_another_supercomputers_request_counts_for_nothing() -> None:
    stray = replace(say(1, "rack alpha-r0"), request=RequestId("req_sc-beta_deployment"))
    assert codes([stray]) == dict.fromkeys(ALPHA, "APPROVAL_MISSING")


def test_one_unapproved_node_holds_all_that_share_its_draining_device() -> None:
    found = codes([say(1, "cluster alpha"), say(2, "node alpha-n01", Verdict.WITHDRAWN)])
    assert found == {
        "alpha-n00": "SHARED_DEVICE_UNAPPROVED",
        "alpha-n01": "APPROVAL_WITHDRAWN",
        "alpha-n02": "SHARED_DEVICE_UNAPPROVED",
    }


def test_waiting_for_a_shared_device_spreads_over_every_device_in_between() -> None:
    behind = w.device("tor", "alpha", w.DeviceScope.SCALABLE_UNIT, "alpha-su0", "4.9")
    fleet = replace(FLEET, devices={**FLEET.devices, behind.name: behind})
    found = codes([say(1, "cluster alpha"), say(2, "node alpha-n01", Verdict.WITHDRAWN)], fleet=fleet)
    assert found == {**dict.fromkeys(ALPHA, "SHARED_DEVICE_UNAPPROVED"), "alpha-n01": "APPROVAL_WITHDRAWN"}


def test_of_devices_at_one_place_the_first_by_name_is_named() -> None:
    second = replace(FLEET.devices[DeviceId("alpha-r0-tor")], name=DeviceId("alpha-r0-tor-b"))
    fleet = replace(FLEET, devices={**FLEET.devices, second.name: second})
    ledger = (say(1, "cluster alpha"), say(2, "node alpha-n01", Verdict.WITHDRAWN))
    gaps = consent_gaps(fleet, policy(), find_pending(fleet, w.catalogue()), ledger)
    assert "alpha-r0-tor " in gaps[NodeId("alpha-n00")].sentence, gaps[NodeId("alpha-n00")].sentence


def test_nodes_that_lack_a_word_for_one_cause_are_told_of_all_that_they_lack_together() -> None:
    ahead = w.with_versions(FLEET, "alpha-n00", nic_fw="2.0")
    gaps = consent_gaps(ahead, policy(), find_pending(ahead, w.catalogue()), ())
    sentences = {gaps[NodeId(name)].sentence for name in ALPHA}
    assert len(sentences) == 1
    assert "nic" in sentences.pop(), "the first node does not need it, the others do"


def test_an_unapproved_node_behind_impactless_work_does_not_hold_the_others() -> None:
    pending = find_pending(FLEET, w.catalogue())
    ledger = (say(1, "cluster gamma"), say(2, "node gamma-n00", Verdict.WITHDRAWN))
    gaps = consent_gaps(FLEET, policy(), pending, ledger)
    assert [name for name in gaps if name.startswith("gamma")] == ["gamma-n00"]


def test_impactless_device_work_waits_for_every_node_behind_it() -> None:
    pending = find_pending(FLEET, w.catalogue())
    ledger = (say(1, "cluster alpha"), say(2, "node alpha-n01", Verdict.WITHDRAWN))
    gaps = device_gaps(FLEET, policy(), pending, ledger)
    assert {name for name in gaps if name.startswith("alpha")} == {"alpha-r0-tor", "alpha-r0-mgr"}
    let_through = device_gaps(FLEET, policy(Blocked.IMPACTFUL), pending, ledger)
    assert {name for name in let_through if name.startswith("alpha")} == {"alpha-r0-tor"}


def test_the_last_word_whose_scope_holds_the_node_wins() -> None:
    withdrawn_wider = [say(1, "node alpha-n00"), say(2, "cluster alpha", Verdict.WITHDRAWN)]
    assert codes(withdrawn_wider) == dict.fromkeys(ALPHA, "APPROVAL_WITHDRAWN")
    assert codes([*withdrawn_wider, say(3, "supercomputer sc-alpha")]) == {}


def test_the_ledger_is_read_by_seq_whatever_order_it_comes_in() -> None:
    assert codes([say(2, "cluster alpha", Verdict.WITHDRAWN), say(1, "cluster alpha")]) != {}


def test_consent_never_stretches_to_an_update_that_joined_later() -> None:
    found = codes([say(1, "cluster alpha", updates=ALL - {UpdateId("gpu")})])
    assert found == dict.fromkeys(ALPHA, "APPROVAL_OUTDATED")


def test_an_approval_without_the_devices_update_does_not_cover_the_nodes_behind_it() -> None:
    found = codes([say(1, "cluster alpha", updates=ALL - {UpdateId("tor-os")})])
    assert found == dict.fromkeys(ALPHA, "APPROVAL_OUTDATED")


def test_what_the_policy_lets_through_needs_no_word() -> None:
    assert codes([], policy(Blocked.NONE)) == {}
    only_agent = replace(w.catalogue(), updates={UpdateId("agent"): w.catalogue().updates[UpdateId("agent")]})
    assert codes([], policy(Blocked.IMPACTFUL), catalogue=only_agent) == {}


def test_nodes_that_lack_the_same_word_share_one_sentence() -> None:
    mixed = w.with_versions(FLEET, "alpha-n00", nic_fw="2.0", gpu_fw="2.0")
    pending = find_pending(mixed, w.catalogue())
    gaps = consent_gaps(mixed, policy(), pending, ())
    assert len({gaps[name] for name in gaps if name.startswith("alpha")}) == 1


SCOPES = ["supercomputer sc-alpha", "cluster alpha", "rack alpha-r0", "rack alpha-r1", *(f"node {n}" for n in ALPHA)]


@given(st.lists(st.tuples(st.sampled_from(SCOPES), st.sampled_from(Verdict)), max_size=8))
def test_a_node_is_covered_only_if_the_last_word_on_it_and_on_all_its_rack_is_yes(
    said: list[tuple[str, Verdict]],
) -> None:
    ledger = [say(seq, scope, verdict) for seq, (scope, verdict) in enumerate(said, start=1)]
    found = codes(ledger)
    cluster = FLEET.clusters[FLEET.nodes[w.NodeId(ALPHA[0])].cluster]

    def last_word(name: str) -> Verdict | None:
        node = FLEET.nodes[w.NodeId(name)]
        return next((e.verdict for e in reversed(ledger) if e.scope.covers(node, cluster)), None)

    for rack in (ALPHA[:3], ALPHA[3:]):
        agreed = all(last_word(name) is Verdict.APPROVED for name in rack)
        assert all((name not in found) == agreed for name in rack)
