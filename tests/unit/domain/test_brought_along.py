"""What a window of an order's own may bring along, update by update."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.brought_along import Grounds, find_along
from fermata.domain.fleet import Fleet
from fermata.domain.hearing import Desk
from fermata.domain.ids import ExemptionId, FreezeId, NodeId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import find_pending
from fermata.domain.policy import Conditions, ConsentEntry, Exemption, Freeze, Policy, Said, Scope, ScopeLevel, Verdict
from fermata.domain.updates import Catalogue, Criticality
from fermata.domain.windows import Interval

NODE = NodeId("c0-n001")
HOUR = timedelta(hours=1)
SPAN = Interval(small.NOW, small.NOW + 2 * HOUR)
ALL = {"bmc", "gpu", "nic", "os"}
SCOPE = Scope(level=ScopeLevel.CLUSTER, name="c0")


def fleet(devices: str = "2.0") -> Fleet:
    found = small.fleet()
    return replace(found, devices={name: replace(d, version=devices) for name, d in found.devices.items()})


def along(
    found: Fleet | None = None,
    *,
    catalogue: Catalogue | None = None,
    policy: Policy | None = None,
    ledger: tuple[ConsentEntry, ...] | None = None,
    **more: object,
) -> set[str]:
    live, updates = found or fleet(), catalogue or small.catalogue()
    said = (small.approval(updates),) if ledger is None else ledger
    desk = Desk(live, policy or small.policy(), find_pending(live, updates), Decisions(live, said))
    fields: dict[str, object] = {
        "desk": desk,
        "fleet": live,
        "before": live.nodes,
        "members": {NODE},
        "device_versions": {name: device.version for name, device in live.devices.items()},
        "span": SPAN,
    }
    return set(find_along(Grounds(**(fields | more)), live.nodes[NODE]))  # type: ignore[arg-type]


def approved(**more: object) -> tuple[ConsentEntry, ...]:
    return (replace(small.approval(small.catalogue()), **more),)  # type: ignore[arg-type]


def test_everything_that_is_due_and_approved_comes_along() -> None:
    assert along() == ALL
    assert along(ledger=()) == set(), "blocked by default"


def test_what_a_device_has_to_bring_first_keeps_what_builds_on_it() -> None:
    assert along(fleet("1.0")) == {"bmc", "gpu"}


def test_what_a_part_of_the_node_has_to_bring_first_comes_along_or_keeps_what_builds_on_it() -> None:
    assert along(closed={UpdateId("nic")}) == {"bmc", "gpu"}, "os comes after nic"
    assert along(offered={UpdateId("os"), UpdateId("gpu")}) == {"gpu"}


def test_other_orders_and_full_days_keep_all_of_it() -> None:
    assert along(held={NODE}) == set()


def test_unknown_blocks() -> None:
    found = fleet()
    node = found.nodes[NODE]
    versions = {name: version for name, version in node.versions.items() if name != "gpu_fw"}
    assert along(replace(found, nodes={**found.nodes, NODE: replace(node, versions=versions)})) == set()


@pytest.mark.parametrize(
    ("conditions", "comes"),
    [
        (Conditions(not_before=SPAN.start + HOUR), set()),
        (Conditions(not_after=SPAN.end), ALL),
        (Conditions(with_scope=Scope(level=ScopeLevel.NODE, name=NODE)), ALL),
        (Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="c0-r0")), set()),
        (Conditions(with_updates=frozenset({UpdateId("gpu")})), ALL),
    ],
)
def test_conditions_of_an_approval_hold(conditions: Conditions, comes: set[str]) -> None:
    assert along(ledger=approved(conditions=conditions)) == comes


def test_what_was_approved_only_together_with_another_waits_for_that() -> None:
    ledger = approved(conditions=Conditions(with_updates=frozenset({UpdateId("gpu")})))
    assert along(ledger=ledger, closed={UpdateId("gpu")}) == set()


def test_before_a_node_is_back_times_are_not_asked_about() -> None:
    ledger = approved(conditions=Conditions(not_before=SPAN.end + HOUR))
    assert along(ledger=ledger, span=None) == ALL
    assert along(ledger=approved(verdict=Verdict.WITHDRAWN), span=None) == set()


def test_a_freeze_is_passed_by_what_two_people_exempted_and_by_what_nobody_feels() -> None:
    updates = small.catalogue()
    urgent = replace(updates.updates[UpdateId("gpu")], criticality=Criticality.CRITICAL_SECURITY)
    catalogue = replace(updates, updates={**updates.updates, urgent.id: urgent})
    policy = small.policy()
    lumen = replace(policy.customers[small.CUSTOMER], except_criticality=frozenset({Criticality.CRITICAL_SECURITY}))
    start = SPAN.end - timedelta(minutes=1)
    freeze = Freeze(id=FreezeId("f1"), customer=lumen.id, scope=SCOPE, start=start, end=start + HOUR, reason="a launch")
    frozen = replace(policy, customers={lumen.id: lumen}, freezes=(freeze,))
    assert along(catalogue=catalogue, policy=frozen) == {"bmc"}
    exemption = Exemption(
        id=ExemptionId("e1"), freeze=freeze.id, updates=frozenset({urgent.id}), reason="exploited",
        asked=Said(actor="a", at=small.NOW), confirmed=Said(actor="b", at=small.NOW),
    )  # fmt: skip
    assert along(catalogue=catalogue, policy=replace(frozen, exemptions=(exemption,))) == {"bmc", "gpu"}
