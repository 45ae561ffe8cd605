"""What `fermata policy test` answers: which rule decides, what else counts, and when it would be allowed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.constraints import world as w
from tests.unit.domain.test_consent import say
from tests.unit.domain.test_policy_rules import ALPHA, ONE_NODE, TEST_NODES, policy, rule

from fermata.domain.fleet import Role
from fermata.domain.ids import CustomerId, FreezeId, NodeId, UpdateId
from fermata.domain.policy import AfterDue, ConsentEntry, Freeze, Policy, Scope, ScopeLevel, Stance
from fermata.domain.policy_trial import Outcome, Trial, try_policy
from fermata.domain.updates import Stage, Update

FLEET = w.fleet()
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NIGHT = datetime(2026, 1, 5, 23, tzinfo=UTC)
FREEZE = Freeze(
    id=FreezeId("training"),
    customer=CustomerId("lumen"),
    scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
    start=datetime(2026, 1, 5, tzinfo=UTC),
    end=datetime(2026, 1, 6, 1, tzinfo=UTC),
    reason="training run",
)


def update(name: str, **changes: object) -> Update:
    return replace(w.catalogue().updates[UpdateId(name)], **changes)  # type: ignore[arg-type]


def trial(
    rules: Policy, *ledger: ConsentEntry, of: Update | None = None, node: str = "alpha-n00", at: datetime = NOON
) -> Trial:
    return try_policy(FLEET, rules, ledger, node=FLEET.nodes[NodeId(node)], update=of or update("nic"), at=at)


def told(of: Trial) -> tuple[Outcome, str, list[str]]:
    return of.outcome, of.rule, [why.code.value for why in of.why]


def test_what_nobody_approved_needs_an_approval() -> None:
    assert told(trial(policy())) == (Outcome.NEEDS_APPROVAL, "block.deployments", ["APPROVAL_MISSING"])


def test_what_was_approved_is_allowed_at_once() -> None:
    found = trial(policy(), say(1, "cluster alpha"))
    assert told(found) == (Outcome.ALLOWED, "block.deployments", ["CONSENT_GIVEN"])
    assert found.next_at == NOON


def test_a_blocking_rule_decides_whatever_was_approved() -> None:
    found = trial(policy(ONE_NODE), say(1, "cluster alpha"))
    assert told(found) == (Outcome.BLOCKED, "one node", ["POLICY_BLOCKS"])
    assert found.next_at is None


def test_work_waits_for_the_next_window_and_says_which_rule_lets_it() -> None:
    found = trial(policy(ALPHA))
    assert told(found) == (Outcome.WAITS, "alpha", ["OUTSIDE_WINDOWS", "POLICY_ALLOWS"])
    assert found.next_at == datetime(2026, 1, 5, 22, tzinfo=UTC)
    assert told(trial(policy(ALPHA), at=NIGHT)) == (Outcome.ALLOWED, "alpha", ["POLICY_ALLOWS"])


def test_a_freeze_beats_the_window_and_the_approval() -> None:
    rules = replace(policy(ALPHA), freezes=(FREEZE,))
    found = trial(rules, at=NIGHT)
    assert told(found) == (Outcome.WAITS, "alpha", ["FROZEN", "POLICY_ALLOWS"])
    assert found.next_at == FREEZE.end, "the night goes on after the freeze"
    approved = trial(replace(policy(), freezes=(FREEZE,)), say(1, "cluster alpha"))
    assert (approved.outcome, approved.next_at) == (Outcome.WAITS, FREEZE.end)


def test_work_that_no_workload_feels_goes_on_in_a_freeze() -> None:
    rules = replace(policy(rule("all", Stance.ALLOW)), freezes=(FREEZE,))
    assert trial(rules, of=update("agent")).outcome is Outcome.ALLOWED
    assert trial(rules, of=update("nic")).outcome is Outcome.WAITS


def test_unapproved_work_waits_for_its_due_date_where_it_may_proceed() -> None:
    found = trial(policy(after_due=AfterDue.PROCEED))
    assert found.outcome is Outcome.WAITS
    assert found.next_at is not None
    assert found.next_at >= found.due_at


def test_work_on_a_shared_device_needs_every_node_behind_it() -> None:
    tor = next(u for u in w.catalogue().updates.values() if u.target == "tor")
    found = trial(policy(), say(1, "node alpha-n00"), of=tor)
    assert told(found) == (
        Outcome.NEEDS_APPROVAL,
        "block.deployments",
        ["SHARED_DEVICE_UNAPPROVED", "APPROVAL_MISSING"],
    )
    assert trial(policy(), say(1, "rack alpha-r0"), of=tor).outcome is Outcome.ALLOWED


def test_impactless_work_on_a_shared_device_is_asked_about_too() -> None:
    manager = next(u for u in w.catalogue().updates.values() if u.target == "mgr")
    assert not manager.needs_drain
    assert trial(policy(), of=manager).outcome is Outcome.NEEDS_APPROVAL
    assert trial(policy(), say(1, "cluster alpha"), of=manager).outcome is Outcome.ALLOWED


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (update("nic", stage=Stage.FLIGHT_READY), (Outcome.BLOCKED, ["NOT_PRODUCTION_READY"])),
        (update("nic", target="nvlink_switch"), (Outcome.NOT_THERE, ["TARGET_MISSING"])),
    ],
)
def test_what_cannot_be_rolled_out_there_says_so(of: Update, expected: tuple[Outcome, list[str]]) -> None:
    outcome, _, codes = told(trial(policy(), say(1, "cluster alpha"), of=of))
    assert (outcome, codes) == expected


def test_rules_of_role_are_asked_of_the_node() -> None:
    test_node = replace(FLEET.nodes[NodeId("alpha-n00")], role=Role.TEST)
    fleet = replace(FLEET, nodes={**FLEET.nodes, test_node.name: test_node})
    found = try_policy(fleet, policy(TEST_NODES), (), node=test_node, update=update("nic"), at=NOON)
    assert (found.outcome, found.rule) == (Outcome.ALLOWED, "test nodes")
