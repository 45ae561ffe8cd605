"""Which clusters may be worked on when, as policies say and freezes forbid."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.constraints import world as w

from fermata.domain.blocked import Blocked
from fermata.domain.fleet import Role
from fermata.domain.ids import ClusterId, CustomerId, FreezeId
from fermata.domain.policy import Customer, Freeze, Policy, PolicyRule, Scope, ScopeLevel, Stance
from fermata.domain.recurrence import RecurringWindow, parse_recurrence
from fermata.domain.updates import Impact
from fermata.domain.windows import Interval
from fermata.services.policy_calendar import ClusterDays, WorkKind, list_customers, list_freezes, say_policy

LUMEN = CustomerId("lumen")
DAY = timedelta(days=1)
SPAN = Interval(w.MONDAY, w.MONDAY + 7 * DAY)
WINDOWS = tuple(w.windows(w.scenario()))
NIGHTS = RecurringWindow(
    id="nights",
    start=datetime(2026, 1, 1, 22),  # noqa: DTZ001  # a wall time
    duration=timedelta(hours=8),
    zone="UTC",
    recurrence=parse_recurrence("Week Tuesday,Thursday"),
)


def policy(*rules: PolicyRule, blocked: Blocked = Blocked.ALL, freezes: tuple[Freeze, ...] = ()) -> Policy:
    customer = replace(w.customer(blocked), rules=rules, windows=(NIGHTS,))
    return replace(w.scenario().policy, customers={LUMEN: customer}, freezes=freezes)


def days_of(name: str, given: Policy, kind: WorkKind = WorkKind.REBOOT) -> ClusterDays:
    (customer,) = list_customers(w.fleet(), given, (), kind=kind, span=SPAN)
    return next(each for each in customer.clusters if each.cluster == name)


def freeze(level: ScopeLevel, name: str, start: datetime = w.TUESDAY, days: int = 2) -> Freeze:
    scope = Scope(level=level, name=name)
    return Freeze(
        id=FreezeId(f"freeze-{name}"), customer=LUMEN, scope=scope, start=start, end=start + days * DAY, reason="run"
    )


def test_what_the_policy_says_depends_on_the_kind_of_work() -> None:
    given = policy(blocked=Blocked.IMPACTFUL)
    assert days_of("alpha", given).stances == (Stance.NEEDS_APPROVAL,)
    assert days_of("alpha", given, WorkKind.IMPACTLESS).stances == (Stance.ALLOW,)
    assert days_of("alpha", policy(blocked=Blocked.NONE)).stances == (Stance.ALLOW,)


def test_hours_of_recurring_windows_are_told_where_they_let_work_through() -> None:
    rule = PolicyRule(
        id="night", stance=Stance.ALLOW_IN_WINDOWS, scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
        windows=("nights",),
    )  # fmt: skip
    found = days_of("alpha", policy(rule))
    assert [interval.start for interval in found.open_hours] == [
        datetime(2026, 1, 6, 22, tzinfo=UTC),
        datetime(2026, 1, 8, 22, tzinfo=UTC),
    ]
    assert days_of("beta", policy(rule)).open_hours == ()
    assert days_of("alpha", policy(rule), WorkKind.REPAIR).open_hours != ()


def test_a_rule_for_some_nodes_is_told_beside_what_holds_for_the_rest() -> None:
    rack = PolicyRule(id="never", stance=Stance.BLOCK, scope=Scope(level=ScopeLevel.RACK, name="alpha-r1"))
    assert days_of("alpha", policy(rack)).stances == (Stance.BLOCK, Stance.NEEDS_APPROVAL)
    assert days_of("beta", policy(rack)).stances == (Stance.NEEDS_APPROVAL,)


def test_a_freeze_lies_over_the_clusters_whose_nodes_it_holds() -> None:
    given = policy(freezes=(freeze(ScopeLevel.RACK, "alpha-r0"), freeze(ScopeLevel.SUPERCOMPUTER, "sc-beta")))
    assert [(each.id, count) for each, count in days_of("alpha", given).freezes] == [("freeze-alpha-r0", 3)]
    assert [(each.id, count) for each, count in days_of("beta", given).freezes] == [("freeze-sc-beta", 10)]
    assert days_of("gamma", given).freezes == ()
    past = policy(freezes=(freeze(ScopeLevel.CLUSTER, "alpha", w.MONDAY - 9 * DAY),))
    assert days_of("alpha", past).freezes == ()


def test_a_freeze_names_the_windows_whose_nodes_it_would_hold() -> None:
    of_alpha = next(window for window in WINDOWS if window.cluster == "alpha")
    given = policy(freezes=(freeze(ScopeLevel.CLUSTER, "alpha", of_alpha.start),))
    (found,) = list_freezes(w.fleet(), given, WINDOWS, w.NOW)
    assert [window.id for window in found.windows] == [of_alpha.id]
    before = policy(freezes=(freeze(ScopeLevel.CLUSTER, "alpha", of_alpha.start - 2 * DAY),))
    assert list_freezes(w.fleet(), before, WINDOWS, w.NOW)[0].windows == (), "it ends as the window starts"
    assert list_freezes(w.fleet(), given, WINDOWS, of_alpha.end)[0].windows == (), "the window is over"
    assert list_freezes(w.fleet(), given, WINDOWS, of_alpha.start + 3 * DAY) == (), "the freeze is over"


def test_windows_of_the_plan_stand_with_their_clusters() -> None:
    (customer,) = list_customers(w.fleet(), policy(), WINDOWS, kind=WorkKind.REBOOT, span=SPAN)
    for each in customer.clusters:
        assert {window.cluster for window in each.windows} <= {ClusterId(each.cluster)}
    assert sum(len(each.windows) for each in customer.clusters) == sum(
        Interval(x.start, x.end).overlaps(SPAN) for x in WINDOWS
    )


def test_a_policy_is_told_in_sentences() -> None:
    rules = (
        PolicyRule(id="night", stance=Stance.ALLOW_IN_WINDOWS, impacts=frozenset({Impact.REBOOTFUL})),
        PolicyRule(id="test", stance=Stance.ALLOW, roles=frozenset({Role.TEST})),
        PolicyRule(id="never", stance=Stance.BLOCK, scope=Scope(level=ScopeLevel.CLUSTER, name="alpha")),
    )
    told = list(say_policy(policy(*rules).customers[LUMEN]))
    assert told[0].startswith("Rebootful: unasked in nights (Week Tuesday,Thursday from 22:00 for 8 h 00, UTC)")
    assert "Any work on test nodes: at any time, unasked (rule test)." in told
    assert "Any work in cluster alpha: never, whatever was approved (rule never)." in told
    assert "Updates otherwise need an approval." in told
    assert list(say_policy(None)) == ["No policy is on record: everything needs an approval."]
    assert isinstance(policy().customers[LUMEN], Customer)
