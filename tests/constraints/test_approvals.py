"""What customers hold their approvals to: times, nodes a day, others that go along."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.constraints import world as w
from tests.properties.trial_taken import make_entry

from fermata.domain.ids import RequestId, UpdateId
from fermata.domain.plans import Window
from fermata.domain.policy import NO_CONDITIONS, Conditions, ConsentEntry, Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.planning.inputs import PlanningInput

ALL = frozenset(w.catalogue().updates)
HOUR = timedelta(hours=1)
LENGTH = w.windows(w.scenario())[0].end - w.MONDAY
SUPERCOMPUTERS = ("sc-alpha", "sc-beta", "sc-gamma")


def approve(seq: int, scope: str, conditions: Conditions = NO_CONDITIONS) -> ConsentEntry:
    level, name = scope.split()
    made = make_entry(seq, Scope(level=ScopeLevel(level), name=name), ALL, conditions=conditions)
    cluster = name.removeprefix("sc-").split("-")[0]
    return replace(made, request=RequestId(f"req_sc-{cluster}_deployment"))


def approved(*more: ConsentEntry) -> PlanningInput:
    """Everything is approved, and then `more`."""
    plain = (approve(seq, f"supercomputer {name}") for seq, name in enumerate(SUPERCOMPUTERS))
    return w.scenario(ledger=(*plain, *more))


def faults(inputs: PlanningInput, *swapped: Window) -> set[str]:
    return w.faults(inputs, w.plan(inputs, w.swap(w.windows(inputs), *swapped)))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (w.MONDAY, w.MONDAY + LENGTH, set()),
        (w.MONDAY + timedelta(minutes=1), None, {"ALLOWED_WINDOWS"}),
        (None, w.MONDAY + LENGTH - timedelta(minutes=1), {"ALLOWED_WINDOWS"}),
        (None, w.MONDAY + LENGTH, set()),
    ],
)
def test_approved_nodes_are_out_only_within_the_times_of_their_approval(
    first: datetime | None, last: datetime | None, expected: set[str]
) -> None:
    times = Conditions(not_before=first, not_after=last)
    assert faults(approved(approve(9, "cluster alpha", times))) == expected
    assert faults(approved(approve(9, "node alpha-n02", times))) == expected


@pytest.mark.parametrize(("most", "expected"), [(6, set()), (5, {"APPROVED_PER_DAY"})])
def test_no_more_nodes_of_an_approval_go_on_a_day_than_it_says(most: int, expected: set[str]) -> None:
    assert faults(approved(approve(9, "cluster alpha", Conditions(nodes_per_day=most)))) == expected


def test_windows_of_one_day_share_what_an_approval_lets_go_that_day() -> None:
    inputs = approved(approve(9, "supercomputer sc-beta", Conditions(nodes_per_day=6)))
    assert faults(inputs) == set()
    second = w.windows(inputs)[2]
    same_day = faults(inputs, w.move(second, w.TUESDAY + 4 * HOUR - second.start))
    assert "APPROVED_PER_DAY" in same_day


def test_nodes_that_a_later_approval_frees_do_not_count() -> None:
    capped = approve(8, "cluster alpha", Conditions(nodes_per_day=3))
    freed = [approve(9 + number, f"node alpha-n0{number}") for number in range(3)]
    assert faults(approved(capped)) == {"APPROVED_PER_DAY"}
    assert faults(approved(capped, *freed)) == set()


def test_a_node_goes_with_those_it_was_approved_with_or_not_at_all() -> None:
    beta = w.names(w.scenario(), "beta")
    together = Conditions(with_scope=Scope(level=ScopeLevel.NODE, name=beta[1]))
    assert faults(approved(approve(9, f"node {beta[0]}", together))) == set()
    apart = Conditions(with_scope=Scope(level=ScopeLevel.NODE, name=beta[-1]))
    assert faults(approved(approve(9, f"node {beta[0]}", apart))) == {"COMPANIONS"}


def test_what_keeps_a_companion_keeps_the_node_that_waits_for_it() -> None:
    gamma = w.names(w.scenario(), "gamma")
    together = Conditions(with_scope=Scope(level=ScopeLevel.NODE, name=gamma[-1]))
    inputs = approved(approve(9, f"node {gamma[0]}", together))
    inputs = replace(inputs, fleet=w.with_versions(inputs.fleet, gamma[-1], nic_fw=""))
    left = w.window(inputs, "w-gamma", gamma[1:-1], w.TUESDAY + HOUR)
    groups = (w.unplanned(inputs, [gamma[0], gamma[-1]], Code.VERSION_UNKNOWN),)
    made = w.plan(inputs, w.swap(w.windows(inputs), left), groups)
    assert w.faults(inputs, made) == set()


def test_an_update_that_does_not_come_keeps_nodes_approved_only_together_with_it() -> None:
    together = Conditions(with_updates=frozenset({UpdateId("nic")}))
    inputs = approved(approve(9, "cluster gamma", together))
    assert faults(inputs) == set()
    others = replace(w.campaign(), updates=ALL - {"nic"})
    assert "CONSENT" in faults(replace(inputs, campaign=others))


def test_a_draft_assumes_that_every_condition_is_kept() -> None:
    inputs = approved(approve(9, "cluster alpha", Conditions(nodes_per_day=1)))
    made = w.plan(replace(inputs, ledger=None), w.windows(inputs))
    assert w.faults(inputs, made) == set()
