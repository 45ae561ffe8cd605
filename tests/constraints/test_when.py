"""When a window may lie: the daily window and its zone, campaign days, weekends, freezes, and not in the past."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import CustomerId, ExemptionId, FreezeId
from fermata.domain.policy import Exemption, Freeze, Notice, Policy, PolicyRule, Said, Scope, ScopeLevel, Stance
from fermata.domain.recurrence import Recurrence, RecurringWindow, Unit
from fermata.domain.updates import Criticality
from fermata.planning.inputs import PlanningInput

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LENGTH = 35 * MINUTE  # of alpha's window


def moved(inputs: PlanningInput, by: timedelta) -> set[str]:
    """What is wrong when alpha's window lies `by` later."""
    made = w.windows(inputs)
    return w.faults(inputs, w.plan(inputs, w.swap(made, w.move(made[0], by))))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (-MINUTE, {"DAILY_WINDOW"}),
        (timedelta(0), set()),
        (8 * HOUR - LENGTH, set()),
        (8 * HOUR - LENGTH + MINUTE, {"DAILY_WINDOW"}),
        (9 * HOUR, {"DAILY_WINDOW"}),
    ],
)
def test_a_window_lies_inside_the_daily_window(by: timedelta, expected: set[str]) -> None:
    assert moved(w.scenario(), by) == expected


@pytest.mark.parametrize(
    ("day", "opens_utc"),
    [(date(2026, 3, 7), 19), (date(2026, 3, 8), 18), (date(2026, 10, 31), 18), (date(2026, 11, 1), 19)],
)
def test_the_daily_window_follows_the_clocks_of_the_zone(day: date, opens_utc: int) -> None:
    span = {"first_day": day, "deadline": day + timedelta(9), "extension_until": day + timedelta(9)}
    inputs = w.scenario(campaign=w.campaign(**span))
    opens = datetime(day.year, day.month, day.day, opens_utc, tzinfo=UTC)
    assert moved(inputs, opens - w.MONDAY) - {"CAMPAIGN_DAYS"} == set()
    assert "DAILY_WINDOW" in moved(inputs, opens - MINUTE - w.MONDAY)
    assert "DAILY_WINDOW" in moved(inputs, opens + 8 * HOUR - LENGTH + MINUTE - w.MONDAY)


def test_a_daily_window_may_cross_midnight() -> None:
    daily = w.campaign().daily_window
    night = replace(daily, start=daily.start.replace(hour=22), back_in_service_by=daily.start.replace(hour=6))
    inputs = w.scenario(campaign=w.campaign(daily_window=night))
    late = [w.move(window, 12 * HOUR) for window in w.windows(inputs)]  # 23:00 and midnight
    assert w.faults(inputs, w.plan(inputs, late)) == set()
    assert w.faults(inputs, w.plan(inputs, [w.move(x, 19 * HOUR) for x in w.windows(inputs)])) == {"DAILY_WINDOW"}


def test_nothing_starts_before_now() -> None:
    inputs = w.scenario(now=w.MONDAY)
    assert moved(inputs, timedelta(0)) == set()
    assert moved(w.scenario(now=w.MONDAY + MINUTE), timedelta(0)) == {"NOT_BEFORE_NOW"}


@pytest.mark.parametrize(
    ("days", "expected"), [(-3, {"CAMPAIGN_DAYS"}), (-2, set()), (7, set()), (8, {"CAMPAIGN_DAYS"})]
)
def test_a_window_lies_on_a_day_of_the_campaign(days: int, expected: set[str]) -> None:
    inputs = w.scenario(now=w.NOW - timedelta(9))
    assert moved(inputs, timedelta(days)) == expected


@pytest.mark.parametrize(("days", "expected"), [(-2, {"WEEKENDS"}), (-1, {"WEEKENDS"}), (0, set()), (4, set())])
def test_weekends_stay_free_when_nobody_staffs_them(days: int, expected: set[str]) -> None:
    assert moved(w.scenario(campaign=w.campaign(weekends_staffed=False)), timedelta(days)) == expected
    assert moved(w.scenario(), timedelta(days)) == set()


def frozen(level: ScopeLevel, name: str, start: datetime, end: datetime) -> PlanningInput:
    freeze = Freeze(
        id=FreezeId("freeze-1"),
        customer=CustomerId("lumen"),
        scope=Scope(level=level, name=name),
        start=start,
        end=end,
        reason="training run",
    )
    return w.scenario(policy=Policy(customers={}, notice=Notice(), freezes=(freeze,)))


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (ScopeLevel.SUPERCOMPUTER, "sc-alpha"),
        (ScopeLevel.CLUSTER, "alpha"),
        (ScopeLevel.RACK, "alpha-r1"),
        (ScopeLevel.NODE, "alpha-n00"),
    ],
)
def test_a_freeze_forbids_every_window_it_touches(level: ScopeLevel, name: str) -> None:
    start, end = w.MONDAY, w.MONDAY + LENGTH
    assert moved(frozen(level, name, start - HOUR, start + MINUTE), timedelta(0)) == {"FREEZE"}
    assert moved(frozen(level, name, start + MINUTE, start + 2 * MINUTE), timedelta(0)) == {"FREEZE"}
    assert moved(frozen(level, name, end - MINUTE, end + HOUR), timedelta(0)) == {"FREEZE"}
    assert moved(frozen(level, name, start - HOUR, start), timedelta(0)) == set()
    assert moved(frozen(level, name, end, end + HOUR), timedelta(0)) == set()


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (timedelta(0), timedelta(0), set()),
        (MINUTE, timedelta(0), {"ALLOWED_WINDOWS"}),
        (timedelta(0), MINUTE, {"ALLOWED_WINDOWS"}),
        (-HOUR, -HOUR, set()),
    ],
)
def test_unapproved_nodes_are_out_only_when_their_policy_allows_it(
    early: timedelta, late: timedelta, expected: set[str]
) -> None:
    """The hours open so much too late, or close so much too early, for the window of cluster alpha."""
    alpha = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    hours = RecurringWindow(
        id="hours",
        start=(w.MONDAY + early).replace(tzinfo=None),
        duration=LENGTH - early - late,
        zone="Etc/UTC",
        recurrence=Recurrence(unit=Unit.DAY),
    )
    rules = (
        PolicyRule(id="alpha", stance=Stance.ALLOW_IN_WINDOWS, scope=alpha),
        PolicyRule(id="others", stance=Stance.ALLOW),
    )
    customer = replace(w.customer(), rules=rules, windows=(hours,))
    inputs = w.scenario(policy=Policy(customers={customer.id: customer}, notice=Notice(), freezes=()))
    assert moved(inputs, timedelta(0)) == set(), "a draft assumes that it is approved"
    assert moved(replace(inputs, ledger=()), timedelta(0)) == expected


def test_a_node_may_be_out_in_a_freeze_when_all_its_work_is_exempt() -> None:
    inputs = frozen(ScopeLevel.CLUSTER, "alpha", w.MONDAY, w.MONDAY + HOUR)
    customer = replace(w.customer(), except_criticality=frozenset({Criticality.REGULAR}))
    said = Said(actor="ann", at=w.NOW)
    work = frozenset(u.id for u in inputs.catalogue.updates.values() if u.needs_drain)

    def faults(*exemptions: Exemption) -> set[str]:
        policy = replace(inputs.policy, customers={customer.id: customer}, exemptions=exemptions)
        return moved(replace(inputs, policy=policy), timedelta(0))

    exemption = Exemption(
        id=ExemptionId("exm"), freeze=FreezeId("freeze-1"), updates=work, reason="exploited", asked=said
    )
    assert faults() == {"FREEZE"}
    assert faults(exemption) == {"FREEZE"}, "one person is not enough"
    assert faults(replace(exemption, confirmed=replace(said, actor="bo"))) == set()
    some = frozenset(sorted(work)[1:])
    assert faults(replace(exemption, updates=some, confirmed=replace(said, actor="bo"))) == {"FREEZE"}


def test_a_freeze_elsewhere_forbids_nothing() -> None:
    assert moved(frozen(ScopeLevel.CLUSTER, "omega", w.MONDAY, w.MONDAY + HOUR), timedelta(0)) == set()
