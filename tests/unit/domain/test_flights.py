"""Where flights fly: on approved nodes, of the right role, qualified otherwise, one at a time, as many as allowed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.constraints import world as w
from tests.unit.domain.flying import (
    HOUR,
    N0,
    N1,
    N2,
    NIC3,
    NIC4,
    RACK0,
    TOR5,
    approve,
    catalogue,
    fleet,
    flight,
    policy,
)

from fermata.domain.consent import find_consent
from fermata.domain.fleet import Fleet
from fermata.domain.flights import Flight, as_flown, as_planned, end_flight, find_flights, find_offered
from fermata.domain.gates import Phase, first_phase
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RequestId, UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.phases import ControlPhase, Phases
from fermata.domain.policy import AfterDue, Blocked, ConsentEntry, Policy, PolicyRule, Stance, Verdict
from fermata.domain.updates import AppliesTo, Catalogue, Flown, Stage


def codes(found: Flight) -> Mapping[str, str]:
    return {name: why.code.value for name, why in found.grounded.items()}


def clear(of: Fleet, *ledger: ConsentEntry, by: Policy | None = None, known: Catalogue | None = None) -> Flight:
    (found,) = find_flights(of, known or catalogue(), by or policy(), ledger)
    return found


def due_on(of: Fleet, flown: Catalogue, node: NodeId) -> set[str]:
    return {item.update.id for item in find_pending(of, flown).of_node(of.nodes[node]).due}


def test_an_approved_flight_is_due_on_its_nodes_alone_and_takes_the_place_of_older_work_there() -> None:
    here = fleet(N0, N1)
    flown = as_flown(here, catalogue(), policy(), [approve(1, f"node {N0}", NIC3)])
    assert flown.flights == (Flown(update=NIC3, nodes=frozenset({N0})),)
    assert due_on(here, flown, N0) == {"nic-3", "os", "gpu", "agent"}
    assert due_on(here, flown, N1) == {"nic", "os", "gpu", "agent"}
    (older,) = find_pending(here, flown).of_node(here.nodes[N0]).superseded
    assert (older.update.id, older.by.id) == ("nic", "nic-3")
    assert {u.id for u in flown.rolled_out} - {u.id for u in flown.production_ready} == {"nic-3"}


def test_without_a_flight_the_catalogue_is_what_it_was_and_hashes_as_before() -> None:
    known = catalogue()
    assert as_flown(fleet(N0), known, policy(), [approve(1, "cluster alpha", UpdateId("nic"), flight=None)]) is known
    assert known.rolled_out is known.production_ready
    flown = as_flown(fleet(N0), known, policy(), [approve(1, f"node {N0}", NIC3)])
    assert content_sha256(replace(flown, flights=())) == content_sha256(known) != content_sha256(flown)


def test_a_campaign_that_names_its_updates_takes_no_flight() -> None:
    here = fleet(N0)
    flown = as_flown(here, catalogue(), policy(), [approve(1, f"node {N0}", NIC3)])
    pending = find_pending(here, flown, frozenset({UpdateId("nic")}))
    assert [item.update.id for item in pending.of_node(here.nodes[N0]).due] == ["nic"]


@pytest.mark.parametrize(
    ("versions", "code"),
    [
        ({}, None),
        ({"host_os": "2.0"}, None),
        ({"host_os": "1.5"}, None),
        ({"host_os": "2.1"}, "FLIGHT_UNQUALIFIED"),
        ({"host_os": "1.9"}, "FLIGHT_UNQUALIFIED"),
        ({"bios": "7"}, None),
        ({"host_os": ""}, "VERSION_UNKNOWN"),
        ({"nic_fw": ""}, "VERSION_UNKNOWN"),
        ({"nic_fw": "2.5"}, "FLIGHT_UNQUALIFIED"),
        ({"nic_fw": "3.0"}, None),
    ],
)
def test_a_flight_goes_where_every_component_is_qualified(versions: dict[str, str], code: str | None) -> None:
    known = catalogue(flight("os", "os-rc", "1.9"))
    found = clear(fleet(N0, **versions), approve(1, f"node {N0}", NIC3), known=known)
    assert codes(found) == ({N0: code} if code else {})
    assert set(found.nodes) == (set() if code else {N0})
    assert set(found.landed) == ({N0} if versions.get("nic_fw") == "3.0" else set())


def test_a_version_that_was_a_flight_is_qualified_once_that_is_promoted() -> None:
    promoted = replace(flight("os", "os-rc", "1.9"), stage=Stage.PRODUCTION_READY)
    found = clear(fleet(N0, host_os="1.9"), approve(1, f"node {N0}", NIC3), known=catalogue(promoted))
    assert found.nodes == (N0,)


def test_what_nodes_of_another_kind_came_with_says_nothing_here() -> None:
    elsewhere = flight("os", "os-rc", "1.9", applies_to=AppliesTo(skus=frozenset({"A100"})))
    found = clear(fleet(N0, host_os="1.9"), approve(1, f"node {N0}", NIC3), known=catalogue(elsewhere))
    assert found.nodes == (N0,)


def test_a_flight_goes_onto_nodes_of_the_roles_that_the_policy_names() -> None:
    found = clear(fleet(N0), approve(1, "rack alpha-r0", NIC3))
    assert (found.nodes, codes(found)) == ((N0,), {N1: "FLIGHT_ROLE", N2: "FLIGHT_ROLE"})
    nobody = replace(policy(), customers={})
    assert codes(clear(fleet(N0), approve(1, f"node {N0}", NIC3), by=nobody)) == {N0: "FLIGHT_ROLE"}


def test_what_a_rule_of_the_policy_blocks_does_not_fly() -> None:
    by = policy(rules=(PolicyRule(id="never", stance=Stance.BLOCK),))
    assert codes(clear(fleet(N0), approve(1, f"node {N0}", NIC3), by=by)) == {N0: "POLICY_BLOCKS"}


def test_a_flight_is_for_what_it_applies_to() -> None:
    other = flight("nic", "nic-3", "3.0", applies_to=AppliesTo(from_versions=frozenset({"0.9"})))
    assert codes(clear(fleet(N0), approve(1, f"node {N0}", NIC3), known=catalogue(other))) == {N0: "FLIGHT_NOT_FOR"}


@pytest.mark.parametrize(("most", "flies"), [(3, {N0, N1, N2}), (2, {N0, N1}), (1, {N0}), (0, set())])
def test_a_flight_goes_onto_as_many_nodes_as_the_policy_says(most: int, flies: set[NodeId]) -> None:
    found = clear(fleet(*RACK0), approve(1, "rack alpha-r0", NIC3), by=policy(most))
    assert set(found.nodes) == flies
    assert codes(found) == dict.fromkeys(set(RACK0) - flies, "FLIGHT_FULL")


def test_nodes_that_run_it_already_count_first() -> None:
    base = fleet(N0, N1)
    here = w.with_versions(base, N1, nic_fw="3.0")
    found = clear(here, approve(1, "rack alpha-r0", NIC3), by=policy(1))
    assert (found.nodes, found.landed) == ((N1,), (N1,))
    assert (codes(found)[N0], codes(found)[N2]) == ("FLIGHT_FULL", "FLIGHT_ROLE")


def test_a_supercomputer_tries_one_flight_at_a_time_that_which_was_approved_first() -> None:
    ledger = [approve(1, f"node {N0}", NIC4), approve(2, f"node {N1}", NIC3)]
    first, second = find_flights(fleet(N0, N1), catalogue(), policy(), ledger)
    assert (first.update, first.nodes) == ("nic-4", (N0,))
    assert (second.update, second.nodes, codes(second)) == ("nic-3", (), {N1: "FLIGHT_OTHER"})
    gone = approve(3, f"node {N0}", NIC4, verdict=Verdict.WITHDRAWN, flight=None)
    assert clear(fleet(N0, N1), *ledger, gone).nodes == (N1,)


def test_supercomputers_try_flights_of_their_own() -> None:
    here = fleet(N0, NodeId("gamma-n00"))
    other = approve(2, "node gamma-n00", NIC4, request=RequestId("req_sc-gamma_deployment"))
    flown = as_flown(here, catalogue(), policy(), [approve(1, f"node {N0}", NIC3), other])
    assert {each.update: set(each.nodes) for each in flown.flights} == {"nic-3": {N0}, "nic-4": {"gamma-n00"}}


@pytest.mark.parametrize(
    "later",
    [
        approve(2, f"node {N0}", NIC3, verdict=Verdict.WITHDRAWN, flight=None),
        approve(
            2,
            "cluster alpha",
            NIC3,
            updates=frozenset({UpdateId("os")}),
            excluded=frozenset({NIC3}),
            is_part=False,
            flight=None,
        ),
        approve(2, "cluster alpha", UpdateId("os"), verdict=Verdict.DECLINED, is_part=False, flight=None),
    ],
)
def test_a_flight_ends_where_its_approval_does(later: ConsentEntry) -> None:
    assert find_flights(fleet(N0), catalogue(), policy(), [approve(1, f"node {N0}", NIC3), later]) == ()


def test_an_update_that_was_approved_when_it_was_ready_is_no_flight() -> None:
    whole = approve(1, "cluster alpha", NIC3, is_part=False, flight=None)
    named = approve(2, "node gamma-n00", NIC3, request=RequestId("req_sc-gamma_deployment"))
    assert as_flown(fleet(N0), catalogue(), policy(), [whole, named]).flights == ()


@pytest.mark.parametrize(("given_at", "flies"), [(w.NOW, False), (w.NOW + HOUR, False), (w.NOW + 2 * HOUR, True)])
def test_what_was_rolled_back_flies_again_on_a_later_word_alone(given_at: Any, flies: bool) -> None:
    given = approve(1, f"node {N0}", NIC3, at=given_at)
    (found,) = find_flights(fleet(N0), catalogue(), policy(), [given], {(N0, NIC3): w.NOW + HOUR})
    assert codes(found) == ({} if flies else {N0: "FLIGHT_UNDONE"})


def test_promotion_makes_a_flight_work_for_everybody() -> None:
    ready = catalogue(replace(flight("nic", "nic-3", "3.0"), stage=Stage.PRODUCTION_READY))
    here = fleet(N0)
    flown = as_flown(here, ready, policy(), [approve(1, f"node {N0}", NIC3)])
    assert flown.flights == ()
    assert "nic-3" in due_on(here, flown, N1)


def test_windows_of_a_plan_go_by_the_flights_that_it_was_made_from() -> None:
    here = fleet(N0)
    planned = as_flown(here, catalogue(), policy(), [approve(1, f"node {N0}", NIC3)])
    promoted = catalogue(replace(flight("nic", "nic-3", "3.0"), stage=Stage.PRODUCTION_READY))
    assert due_on(here, as_planned(promoted, planned), N1) == {"nic", "os", "gpu", "agent"}
    assert as_planned(promoted, catalogue()) is promoted


def device_due(of: Fleet, flown: Catalogue, name: str) -> list[str]:
    return [item.update.id for item in find_pending(of, flown).of_device(of.devices[DeviceId(name)]).due]


def test_a_flight_of_a_device_goes_with_all_nodes_behind_it_or_not_at_all() -> None:
    here = fleet(*RACK0)
    given = approve(1, "rack alpha-r0", TOR5)
    flown = as_flown(here, catalogue(), policy(), [given])
    assert flown.flights == (Flown(update=TOR5, nodes=frozenset(RACK0)),)
    assert device_due(here, flown, "alpha-r0-tor") == ["tor-5"]
    assert device_due(here, flown, "alpha-r1-tor") == ["tor-os"]
    lacking = clear(fleet(N0, N1), given)
    assert (lacking.nodes, codes(lacking)) == ((), {N0: "FLIGHT_SHARED", N1: "FLIGHT_SHARED", N2: "FLIGHT_ROLE"})
    assert codes(clear(here, given, by=policy(2))) == dict.fromkeys(RACK0, "FLIGHT_FULL")


@pytest.mark.parametrize(
    "changes",
    [
        {"deployments": Blocked.NONE},
        {"after_due": AfterDue.PROCEED},
        {"rules": (PolicyRule(id="free", stance=Stance.ALLOW),)},
        {"rules": (PolicyRule(id="nights", stance=Stance.ALLOW_IN_WINDOWS),)},
    ],
)
def test_nothing_lets_a_flight_through_but_a_word_on_it(changes: dict[str, Any]) -> None:
    here, by = fleet(N0), policy(**changes)
    given = approve(1, f"node {N0}", NIC3)
    pending = find_pending(here, as_flown(here, catalogue(), by, [given]))
    assert N0 not in find_consent(here, by, pending, (given,)).gaps
    gone = approve(2, f"node {N0}", NIC3, verdict=Verdict.WITHDRAWN, flight=None)
    assert find_consent(here, by, pending, (given, gone)).gaps[N0].code.value == "APPROVAL_WITHDRAWN"
    assert find_consent(here, by, pending, ()).gaps[N0].code.value == "APPROVAL_MISSING"
    until = {"until": w.NOW + HOUR, "then": AfterDue.PROCEED}
    declined = approve(2, f"node {N0}", NIC3, verdict=Verdict.DECLINED, flight=None, **until)
    assert find_consent(here, by, pending, (given, declined)).gaps[N0].code.value == "APPROVAL_DECLINED"


def test_approvals_of_a_flight_that_is_over_are_taken_back_where_they_hold() -> None:
    here = fleet(N0, N1)
    ledger = [
        approve(1, f"node {N0}", NIC3),
        approve(2, f"node {N1}", NIC3),
        approve(3, f"node {N1}", NIC3, verdict=Verdict.WITHDRAWN, flight=None),
        approve(4, f"node {N2}", NIC4),
    ]
    ended = tuple(end_flight(here, ledger, NIC3, now=w.NOW, actor="owner", why="it flaps"))
    assert [(e.seq, e.scope.name, e.verdict, e.is_part, e.updates) for e in ended] == [
        (5, N0, Verdict.WITHDRAWN, True, {NIC3})
    ]
    assert find_flights(here, catalogue(), policy(), [*ledger, *ended])[0].update == "nic-4"


@pytest.mark.parametrize(
    ("phases", "update", "first"),
    [
        (Phases(control=ControlPhase()), "nic-3", Phase.FULL),
        (Phases(control=ControlPhase()), "nic", Phase.CONTROL),
        (Phases(), "nic", Phase.FULL),
    ],
)
def test_a_flight_does_not_wait_for_a_control_phase(phases: Phases, update: str, first: Phase) -> None:
    assert first_phase(phases, catalogue().updates[UpdateId(update)]) is first


def test_every_flight_says_what_it_does_with_each_approved_node() -> None:
    found = clear(fleet(N0), approve(1, "cluster alpha", NIC3))
    assert set(found.nodes) | found.grounded.keys() == {
        n.name for n in fleet().nodes_by_cluster[w.node("alpha", 0, 3).cluster]
    }
    assert not set(found.nodes) & found.grounded.keys()


def offered(brought: Catalogue, on: Fleet, *names: NodeId) -> list[str]:
    return [update.id for update in find_offered(brought, on, [on.nodes[name] for name in names])]


def test_a_flight_of_nodes_is_offered_where_there_is_something_to_try() -> None:
    elsewhere = flight("nic", "nic-5", "5.0", applies_to=AppliesTo(clusters=frozenset({ClusterId("beta")})))
    from_three = flight("nic", "nic-6", "6.0", applies_to=AppliesTo(from_versions=frozenset({"3.0"})))
    brought = catalogue(elsewhere, from_three)
    both = fleet(N0, nic_fw="3.0")
    assert offered(brought, both, N0) == ["nic-4", "nic-6"], "it runs nic-3, and no switch is a node's"
    assert offered(brought, both, N1) == ["nic-3", "nic-4"]
    assert offered(brought, both, N0, N1) == ["nic-3", "nic-4", "nic-6"], "one node is enough"
    assert offered(brought, fleet(N0, nic_fw=""), N0) == [], "unknown is no reason to try"
    ready = replace(brought, updates={n: replace(u, stage=Stage.PRODUCTION_READY) for n, u in brought.updates.items()})
    assert offered(ready, both, N0, N1) == []
