"""A customer's own rules: the narrowest decides, equals may not contradict, and what is allowed when."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.constraints import world as w
from tests.unit.domain.test_consent import say

from fermata.domain.allowances import Allowance, covers, find_next, merge, open_for_all
from fermata.domain.consent import Consent, find_consent
from fermata.domain.fleet import Role
from fermata.domain.ids import CustomerId
from fermata.domain.pending import find_pending
from fermata.domain.policy import (
    AfterDue,
    Blocked,
    ConsentEntry,
    Customer,
    MaintenanceKind,
    Notice,
    Policy,
    PolicyRule,
    Scope,
    ScopeLevel,
    Stance,
    Verdict,
    Work,
)
from fermata.domain.recurrence import RecurringWindow, parse_recurrence
from fermata.domain.updates import Criticality, Impact
from fermata.domain.windows import Interval

FLEET = w.fleet()
NODE = next(node for node in FLEET.nodes.values() if node.cluster == "alpha")
CLUSTER = FLEET.clusters[NODE.cluster]
NIGHTS = RecurringWindow(
    id="nights",
    start=datetime(2026, 1, 1, 22),  # noqa: DTZ001  # a wall time
    duration=timedelta(hours=6),
    zone="Etc/UTC",
    recurrence=parse_recurrence("Day"),
)


def customer(*rules: PolicyRule, blocked: Blocked = Blocked.ALL, **changes: object) -> Customer:
    made = replace(w.customer(blocked), rules=rules, windows=(NIGHTS,))
    return replace(made, **changes)  # type: ignore[arg-type]


def policy(*rules: PolicyRule, **changes: object) -> Policy:
    return Policy(customers={CustomerId("lumen"): customer(*rules, **changes)}, notice=Notice(), freezes=())


def work(**changes: object) -> Work:
    usual = Work(
        kind=MaintenanceKind.DEPLOYMENT,
        impact=Impact.REBOOTFUL,
        criticality=Criticality.REGULAR,
        node=replace(NODE, role=Role.PROD),
        cluster=CLUSTER,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def rule(name: str, stance: Stance, **conditions: object) -> PolicyRule:
    return replace(PolicyRule(id=name, stance=stance), **conditions)  # type: ignore[arg-type]


def scope(level: str, name: str) -> Scope:
    return Scope(level=ScopeLevel(level), name=name)


ANY = rule("any", Stance.NEEDS_APPROVAL)
TEST_NODES = rule("test nodes", Stance.ALLOW, roles=frozenset({Role.TEST}))
TEST_IMPACTLESS = rule(
    "test impactless", Stance.BLOCK, roles=frozenset({Role.TEST}), impacts=frozenset({Impact.IMPACTLESS})
)
ALPHA = rule("alpha", Stance.ALLOW_IN_WINDOWS, scope=scope("cluster", "alpha"))
ONE_NODE = rule("one node", Stance.BLOCK, scope=scope("node", NODE.name))


@pytest.mark.parametrize(
    ("rules", "asked", "stance", "decided_by"),
    [
        ((), work(), Stance.NEEDS_APPROVAL, "block.deployments"),
        ((), work(criticality=Criticality.CRITICAL_SECURITY), Stance.ALLOW, "except_criticality"),
        ((), work(kind=MaintenanceKind.REPAIR), Stance.NEEDS_APPROVAL, "block.repairs"),
        ((), work(kind=MaintenanceKind.DECOMMISSION), Stance.NEEDS_APPROVAL, "decommission"),
        ((TEST_NODES,), work(), Stance.NEEDS_APPROVAL, "block.deployments"),
        ((TEST_NODES,), work(node=replace(NODE, role=Role.TEST)), Stance.ALLOW, "test nodes"),
        # Two conditions are narrower than one, and a scope is narrower than any number of conditions.
        (
            (TEST_NODES, TEST_IMPACTLESS),
            work(node=replace(NODE, role=Role.TEST), impact=Impact.IMPACTLESS),
            Stance.BLOCK,
            "test impactless",
        ),
        ((TEST_IMPACTLESS, ALPHA), work(node=replace(NODE, role=Role.TEST)), Stance.ALLOW_IN_WINDOWS, "alpha"),
        ((ONE_NODE, ALPHA, ANY), work(), Stance.BLOCK, "one node"),
        # A rule beats an exempt criticality: the customer wrote it down for exactly this.
        ((ANY,), work(criticality=Criticality.CRITICAL_SECURITY), Stance.NEEDS_APPROVAL, "any"),
    ],
)
def test_the_narrowest_rule_decides(
    rules: tuple[PolicyRule, ...], asked: Work, stance: Stance, decided_by: str
) -> None:
    exempt = frozenset({Criticality.CRITICAL_SECURITY})
    ruling = customer(*rules, except_criticality=exempt).judge(asked)
    assert (ruling.stance, ruling.rule) == (stance, decided_by)
    reversed_rules = customer(*reversed(rules), except_criticality=exempt)
    assert reversed_rules.judge(asked) == ruling, "the order in the file makes no difference"


def test_work_of_a_customer_without_policy_needs_an_approval() -> None:
    ruling = Policy(customers={}, notice=Notice(), freezes=()).judge(work())
    assert (ruling.stance, ruling.rule) == (Stance.NEEDS_APPROVAL, "no policy")


RULES = st.builds(
    PolicyRule,
    id=st.sampled_from("abc"),
    stance=st.sampled_from(Stance),
    kinds=st.frozensets(st.sampled_from(MaintenanceKind)),
    impacts=st.frozensets(st.sampled_from(Impact)),
    criticalities=st.frozensets(st.sampled_from(Criticality)),
    roles=st.frozensets(st.sampled_from(Role)),
    scope=st.sampled_from([None, scope("cluster", "alpha"), scope("cluster", "beta"), scope("node", NODE.name)]),
)
WORKS = st.builds(
    Work,
    kind=st.sampled_from(MaintenanceKind),
    impact=st.sampled_from(Impact),
    criticality=st.sampled_from(Criticality),
    node=st.sampled_from([replace(NODE, role=Role.PROD), replace(NODE, role=Role.TEST)]),
    cluster=st.just(CLUSTER),
)


@given(one=RULES, other=RULES, asked=WORKS)
def test_rules_that_do_not_contradict_never_tie(one: PolicyRule, other: PolicyRule, asked: Work) -> None:
    ties = one.fits(asked) and other.fits(asked) and one.narrowness == other.narrowness
    if ties and one.stance is not other.stance:
        assert one.contradicts(other)
        assert other.contradicts(one)
    if not one.contradicts(other):
        assert customer(one, other).judge(asked).stance is customer(other, one).judge(asked).stance


def consent(rules: Policy, *ledger: ConsentEntry) -> Consent:
    return find_consent(FLEET, rules, find_pending(FLEET, w.catalogue()), ledger)


def test_a_blocking_rule_keeps_out_what_was_approved() -> None:
    found = consent(policy(ONE_NODE), say(1, "cluster alpha"))
    assert found.gaps[NODE.name].code.value == "POLICY_BLOCKS"
    assert "one node" in found.gaps[NODE.name].sentence


def test_work_allowed_in_windows_needs_no_approval_but_its_time() -> None:
    found = consent(policy(ALPHA))
    assert NODE.name not in found.gaps
    assert found.times[NODE.name] == {Allowance(windows=(NIGHTS,))}


def test_an_approval_lets_work_out_of_its_windows() -> None:
    found = consent(policy(ALPHA), say(1, "cluster alpha"))
    assert NODE.name not in found.gaps
    assert NODE.name not in found.times


def test_a_withdrawn_approval_leaves_what_the_windows_allow() -> None:
    found = consent(policy(ALPHA), say(1, "cluster alpha"), say(2, "cluster alpha", Verdict.WITHDRAWN))
    assert found.times[NODE.name] == {Allowance(windows=(NIGHTS,))}


def test_unapproved_work_proceeds_after_its_due_date_where_the_policy_says_so() -> None:
    found = consent(policy(after_due=AfterDue.PROCEED))
    assert NODE.name not in found.gaps
    starts = {allowance.not_before for allowance in found.times[NODE.name]}
    rules = policy()
    assert starts == {rules.due_at(u) for u in w.catalogue().production_ready if u.target == "node"} | {
        rules.due_at(u) for u in w.catalogue().production_ready if u.target != "node" and u.needs_drain
    }


NO_UNTIL_THEN_GO = replace(say(1, "cluster alpha", Verdict.DECLINED), then=AfterDue.PROCEED)


@pytest.mark.parametrize(
    ("after_due", "ledger"),
    [
        (AfterDue.PROCEED, []),
        (AfterDue.PROCEED, [say(1, "cluster alpha", Verdict.DECLINED)]),
        (AfterDue.ESCALATE, [NO_UNTIL_THEN_GO]),
    ],
)
def test_what_proceeds_unapproved_keeps_to_the_customers_windows(
    after_due: AfterDue, ledger: list[ConsentEntry]
) -> None:
    times = consent(policy(after_due=after_due), *ledger).times[NODE.name]
    assert {allowance.windows for allowance in times} == {(NIGHTS,)}
    due = max(allowance.not_before for allowance in times if allowance.not_before is not None)
    noon = due.replace(hour=12, minute=0) + timedelta(days=1)
    found = find_next(times, noon, timedelta(hours=1))
    assert found is not None
    assert found.start == noon.replace(hour=22), "the night after, and not the day"


def test_what_was_withdrawn_does_not_proceed_by_itself() -> None:
    found = consent(policy(after_due=AfterDue.PROCEED), say(1, "cluster alpha", Verdict.WITHDRAWN))
    assert found.gaps[NODE.name].code.value == "APPROVAL_WITHDRAWN"


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def test_work_is_allowed_only_where_every_allowance_opens() -> None:
    late = Allowance(windows=(NIGHTS,), not_before=at(5, 0))
    assert open_for_all([Allowance(windows=(NIGHTS,))], at(3, 12), at(4, 12)) == (Interval(at(3, 22), at(4, 4)),)
    assert open_for_all([Allowance(windows=(NIGHTS,)), late], at(3, 12), at(5, 12)) == (Interval(at(5, 0), at(5, 4)),)
    assert covers([late], Interval(at(5, 0), at(5, 4)))
    assert not covers([late], Interval(at(5, 0), at(5, 5)))
    assert covers([], Interval(at(5, 0), at(5, 5)))


def test_windows_that_touch_are_one() -> None:
    days = replace(NIGHTS, id="days", start=NIGHTS.start.replace(hour=4), duration=timedelta(hours=3))
    both = Allowance(windows=(NIGHTS, days))
    assert covers([both], Interval(at(4, 2), at(4, 7)))
    assert not covers([both], Interval(at(4, 2), at(4, 8)))


def test_the_next_time_is_long_enough() -> None:
    short = replace(NIGHTS, id="short", start=NIGHTS.start.replace(hour=12), duration=timedelta(hours=1))
    either = [Allowance(windows=(short, NIGHTS))]
    assert find_next(either, at(3, 0), timedelta(hours=2)) == Interval(at(3, 0), at(3, 4))
    assert find_next(either, at(3, 3), timedelta(hours=2)) == Interval(at(3, 22), at(4, 4))
    assert find_next(either, at(3, 3), timedelta(hours=7)) is None
    once = [Allowance(windows=(replace(NIGHTS, recurrence=None),))]
    assert find_next(once, at(3, 0), timedelta(hours=1)) is None


INTERVALS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(
        lambda pair: Interval(at(1, 0) + pair[0] * timedelta(hours=1), at(1, 0) + sum(pair) * timedelta(hours=1))
    )
)


@given(intervals=INTERVALS)
def test_merging_keeps_every_instant_and_no_other(intervals: list[Interval]) -> None:
    merged = merge(intervals)
    hours = [at(1, 0) + i * timedelta(minutes=30) for i in range(120)]
    for instant in hours:
        assert any(i.start <= instant < i.end for i in merged) == any(i.start <= instant < i.end for i in intervals)
    assert all(one.end < other.start for one, other in itertools.pairwise(merged))
