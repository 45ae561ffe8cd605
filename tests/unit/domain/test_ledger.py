"""Who decides about which item on which node, and what conditions, declines and counter-offers make of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.allowances import Allowance
from fermata.domain.consent import Consent, find_consent
from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.fleet import Fleet, place_of
from fermata.domain.ids import ApprovalId, CustomerId, DeviceId, NodeId, RequestId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import find_pending
from fermata.domain.policy import (
    AfterDue,
    Blocked,
    Conditions,
    ConsentEntry,
    Customer,
    Notice,
    Policy,
    Scope,
    ScopeLevel,
    Verdict,
)

FLEET = w.fleet()
UPDATES = w.catalogue().updates
ALL = frozenset(UPDATES)
NIC, OS, AGENT = UpdateId("nic"), UpdateId("os"), UpdateId("agent")
ALPHA = [f"alpha-n{i:02}" for i in range(6)]
DAY = timedelta(days=1)
SOON = w.NOW + 10 * DAY


def customer(blocked: Blocked = Blocked.ALL, **changes: Any) -> Customer:
    return replace(w.customer(blocked), **changes)


def say(seq: int, scope: str, verdict: Verdict = Verdict.APPROVED, **more: Any) -> ConsentEntry:
    level, name = scope.split()
    place = place_of(FLEET.devices[DeviceId(name)]) if level == "group" else None
    base = ConsentEntry(
        seq=seq,
        id=ApprovalId(f"apr_{seq}"),
        request=RequestId(f"req_sc-{name.removeprefix('sc-').split('-')[0]}_deployment"),
        incarnation=1,
        updates=ALL,
        scope=Scope(level=ScopeLevel(level), name=name),
        verdict=verdict,
        actor="ann",
        at=w.NOW,
        reason="a launch",
        place=place,
    )
    return replace(base, **more)


def part(seq: int, scope: str, *updates: UpdateId, verdict: Verdict = Verdict.APPROVED, **more: Any) -> ConsentEntry:
    return say(seq, scope, verdict, updates=frozenset(updates), is_part=True, **more)


def hear(*ledger: ConsentEntry, of: Customer | None = None, fleet: Fleet = FLEET) -> Consent:
    holder = of or customer()
    policy = Policy(customers={CustomerId("lumen"): holder}, notice=Notice(), freezes=())
    return find_consent(fleet, policy, find_pending(fleet, w.catalogue()), ledger)


def codes(consent: Consent, cluster: str = "alpha") -> Mapping[str, str]:
    return {name: why.code.value for name, why in consent.gaps.items() if name.startswith(cluster)}


def test_a_word_on_a_part_leaves_the_rest_as_it_stood() -> None:
    assert codes(hear(say(1, "cluster alpha"), part(2, "node alpha-n00", NIC, verdict=Verdict.WITHDRAWN)))[
        "alpha-n00"
    ] == ("APPROVAL_WITHDRAWN")
    assert codes(hear(part(1, "cluster alpha", *(ALL - {NIC})), part(2, "cluster alpha", NIC))) == {}
    only = hear(part(1, "cluster alpha", NIC))
    assert {why for name, why in codes(only).items()} == {"APPROVAL_MISSING"}
    assert "nic" not in only.gaps[NodeId("alpha-n00")].sentence.split(" on ")[0]


def test_a_later_word_on_everything_replaces_words_on_parts() -> None:
    partly = part(1, "rack alpha-r0", NIC, verdict=Verdict.WITHDRAWN)
    assert codes(hear(partly, say(2, "cluster alpha"))) == {}
    assert set(codes(hear(part(1, "cluster alpha", *ALL), say(2, "rack alpha-r0", Verdict.WITHDRAWN)))) == set(
        ALPHA[:3]
    )


def test_what_an_approval_leaves_out_is_not_covered_whatever_was_said_before() -> None:
    without = say(2, "cluster alpha", updates=ALL - {OS}, excluded=frozenset({OS}))
    found = hear(say(1, "cluster alpha"), without)
    assert set(codes(found).values()) == {"APPROVAL_EXCLUDES"}
    assert "without os" in found.gaps[NodeId("alpha-n00")].sentence


FLIGHT = UpdateId("nic-3")


@pytest.mark.parametrize(
    ("later", "flies"),
    [
        ([], True),
        ([say(2, "cluster alpha")], True),
        ([say(2, "cluster alpha", excluded=frozenset({FLIGHT}))], False),
        ([say(2, "cluster alpha", Verdict.WITHDRAWN)], False),
        ([part(2, "node alpha-n00", FLIGHT, verdict=Verdict.WITHDRAWN)], False),
        ([part(2, "node alpha-n00", NIC, verdict=Verdict.WITHDRAWN)], True),
    ],
)
def test_a_flight_is_another_question_than_the_rest_of_a_request(later: list[ConsentEntry], flies: bool) -> None:
    given_ = part(1, "node alpha-n00", FLIGHT, flight=FLIGHT)
    decided = Decisions(FLEET, [given_, *later])
    assert (decided.is_approved(FLEET.nodes[NodeId("alpha-n00")], FLIGHT) is given_) is flies


def test_one_approval_of_a_group_covers_all_nodes_behind_its_device() -> None:
    assert set(codes(hear(say(1, "group alpha-r0-tor")))) == set(ALPHA[3:])
    assert set(codes(hear(say(1, "cluster alpha"), say(2, "group alpha-r0-tor", Verdict.WITHDRAWN)))) == set(ALPHA[:3])


def test_a_no_to_a_group_outlives_its_device() -> None:
    renamed = {name: device for name, device in FLEET.devices.items() if name != "alpha-r0-tor"}
    gone = replace(FLEET, devices=renamed)
    found = hear(say(1, "cluster alpha"), say(2, "group alpha-r0-tor", Verdict.WITHDRAWN), fleet=gone)
    assert set(codes(found)) >= set(ALPHA[:3])


def test_conditions_bound_the_times_of_the_nodes_they_are_about_and_cover_them() -> None:
    bounds = Conditions(not_before=w.NOW + DAY, not_after=SOON)
    found = hear(say(1, "cluster alpha"), say(2, "rack alpha-r1", conditions=bounds))
    assert codes(found) == {}
    allowed = frozenset({Allowance(not_before=w.NOW + DAY, not_after=SOON)})
    assert {name: times for name, times in found.times.items() if name.startswith("alpha")} == dict.fromkeys(
        map(NodeId, ALPHA[3:]), allowed
    )


def test_conditions_of_two_parts_of_the_work_on_a_node_both_hold() -> None:
    first = part(1, "cluster gamma", *(ALL - {NIC}), conditions=Conditions(not_before=w.NOW + DAY))
    second = part(2, "cluster gamma", NIC, conditions=Conditions(not_after=SOON))
    times = hear(first, second).times[NodeId("gamma-n00")]
    assert times == {Allowance(not_before=w.NOW + DAY), Allowance(not_after=SOON)}


def test_what_the_policy_lets_through_is_not_narrowed_by_an_approval() -> None:
    bounds = Conditions(not_before=SOON, nodes_per_day=1)
    free = customer(Blocked.NONE)
    found = hear(say(1, "cluster alpha", conditions=bounds), of=free)
    assert (codes(found), dict(found.times)) == ({}, {})
    policy = Policy(customers={CustomerId("lumen"): free}, notice=Notice(), freezes=())
    assert find_daily_caps(FLEET, policy, UPDATES, [say(1, "cluster alpha", conditions=bounds)]) == ()


@pytest.mark.parametrize(
    ("changes", "after_due", "code", "times"),
    [
        ({"until": SOON}, AfterDue.ESCALATE, "APPROVAL_DECLINED", None),
        ({"until": SOON, "then": AfterDue.ESCALATE}, AfterDue.PROCEED, "APPROVAL_DECLINED", None),
        ({"until": SOON, "then": AfterDue.PROCEED}, AfterDue.ESCALATE, None, {SOON}),
    ],
)
def test_a_decline_holds_until_its_end_and_then_what_it_says(
    changes: dict[str, Any], after_due: AfterDue, code: str | None, times: set[Any] | None
) -> None:
    found = hear(say(1, "cluster gamma", Verdict.DECLINED, **changes), of=customer(after_due=after_due))
    assert set(codes(found, "gamma").values()) == ({code} if code else set())
    if times is not None:
        assert {each.not_before for each in found.times[NodeId("gamma-n00")]} == times


def test_a_decline_within_the_notice_leaves_what_follows_to_the_policy() -> None:
    found = hear(say(1, "cluster gamma", Verdict.DECLINED, until=SOON), of=customer(after_due=AfterDue.PROCEED))
    dues = {Policy(customers={}, notice=Notice(), freezes=()).due_at(UPDATES[name]) for name in (NIC, OS)}
    starts = {each.not_before for each in found.times[NodeId("gamma-n00")]}
    assert codes(found, "gamma") == {}
    assert {max(due, SOON) for due in dues} <= starts


def test_proceeding_after_a_decline_never_stretches_to_what_its_giver_has_not_seen() -> None:
    seen = say(1, "cluster gamma", Verdict.DECLINED, until=SOON, then=AfterDue.PROCEED, updates=ALL - {NIC})
    assert set(codes(hear(seen), "gamma").values()) == {"APPROVAL_DECLINED"}


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.OFFERED, "OFFER_OPEN"), (Verdict.REFUSED, "OFFER_REFUSED")])
def test_nothing_is_covered_while_a_counter_offer_is_open_nor_when_it_was_refused(verdict: Verdict, code: str) -> None:
    offered = say(2, "cluster alpha", verdict, conditions=Conditions(not_before=w.NOW, not_after=SOON))
    assert set(codes(hear(say(1, "cluster alpha"), offered)).values()) == {code}
    assert codes(hear(say(1, "cluster alpha"), offered, say(3, "cluster alpha"))) == {}


def test_a_node_waits_for_all_that_it_goes_together_with() -> None:
    beside = Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="beta-r1"))
    together = say(1, "rack beta-r0", conditions=beside)
    beta = [n.name for n in FLEET.nodes_by_cluster[w.ClusterId("beta")]]
    first = [name for name in beta if FLEET.nodes[name].rack == "beta-r0"]
    second = [name for name in beta if FLEET.nodes[name].rack == "beta-r1"]
    waiting = hear(together, *(say(2 + i, f"node {name}") for i, name in enumerate(second[1:])))
    assert {waiting.gaps[name].code for name in first} == {"COMPANIONS_MISSING"}
    free = hear(together, say(2, "rack beta-r1"))
    assert not any(name in free.gaps for name in (*first, *second))
    assert {free.companions.get(name) for name in first} == {frozenset(second)}
    assert not any(name in free.companions for name in second), "the others were approved without any condition"


def test_a_cap_counts_the_nodes_about_which_its_entry_decides() -> None:
    capped = say(1, "cluster alpha", conditions=Conditions(nodes_per_day=2))
    policy = Policy(customers={CustomerId("lumen"): customer()}, notice=Notice(), freezes=())
    (cap,) = find_daily_caps(FLEET, policy, UPDATES, [capped, say(2, "rack alpha-r0")])
    assert (cap.most, cap.nodes) == (2, frozenset(map(NodeId, ALPHA[3:])))
    assert find_daily_caps(FLEET, policy, UPDATES, [capped, say(2, "cluster alpha", Verdict.WITHDRAWN)]) == ()


WORDS = st.tuples(
    st.sampled_from(
        ["supercomputer sc-alpha", "cluster alpha", "group alpha-r0-tor", "rack alpha-r1", "node alpha-n00"]
    ),
    st.sampled_from([Verdict.APPROVED, Verdict.WITHDRAWN, Verdict.OFFERED]),
    st.none() | st.sets(st.sampled_from([NIC, OS, AGENT]), min_size=1),
)


@given(st.lists(WORDS, max_size=10))
def test_the_last_word_that_holds_a_node_and_speaks_of_an_item_decides(
    words: list[tuple[str, Verdict, set[UpdateId] | None]],
) -> None:
    ledger = [
        say(seq, scope, verdict) if items is None else part(seq, scope, *items, verdict=verdict)
        for seq, (scope, verdict, items) in enumerate(words, start=1)
    ]
    decided = Decisions(FLEET, ledger)

    def holds(entry: ConsentEntry, name: str) -> bool:
        node = FLEET.nodes[NodeId(name)]
        if entry.scope.level is ScopeLevel.GROUP:
            return node in FLEET.nodes_behind(FLEET.devices[DeviceId(entry.scope.name)])
        return entry.scope.covers(node, FLEET.clusters[node.cluster])

    for name in ALPHA:
        for update in (NIC, OS, AGENT):
            said = [e for e in ledger if holds(e, name) and (not e.is_part or update in e.updates)]
            assert decided.deciding(FLEET.nodes[NodeId(name)], update) is (said[-1] if said else None)
