"""Why there is no plan: each case names the rules that clash, and each change that is offered makes a plan possible."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from tests.constraints import world as w
from tests.properties.trial_taken import make_entry
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.policy import (
    NO_CONDITIONS,
    AfterDue,
    Conditions,
    ConsentEntry,
    Notice,
    Policy,
    Scope,
    ScopeLevel,
    Verdict,
)
from fermata.planning.inputs import Infeasible, Planned, PlanningInput

Change = Callable[[PlanningInput], PlanningInput]
CAP = c.Limit(what=c.LimitKind.NODES_OUT, at_once=4)
SHUT = c.Limit(what=c.LimitKind.NODES_OUT, at_once=0)


def small(*sizes: int, **changes: object) -> PlanningInput:
    clusters = [b.make_cluster(f"c{i}") for i in range(len(sizes))]
    nodes = [n for cluster, size in zip(clusters, sizes, strict=True) for n in b.make_nodes(cluster, [size])]
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), b.make_campaign(**changes))


def campaign(**changes: object) -> Change:
    return lambda inputs: replace(inputs, campaign=replace(inputs.campaign, **changes))  # type: ignore[arg-type]


def end_freeze(inputs: PlanningInput) -> PlanningInput:
    (freeze,) = inputs.policy.freezes
    shorter = replace(freeze, end=freeze.end - timedelta(hours=9))
    return replace(inputs, policy=replace(inputs.policy, freezes=(shorter,)))


def frozen(inputs: PlanningInput) -> PlanningInput:
    freeze = b.make_freeze("c0", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 9, 6, tzinfo=UTC))
    return replace(inputs, policy=replace(inputs.policy, freezes=(freeze,)))


def approved(conditions: Conditions, verdict: Verdict = Verdict.APPROVED, **more: object) -> tuple[ConsentEntry, ...]:
    """What was said of cluster c0."""
    scope = Scope(level=ScopeLevel.CLUSTER, name="c0")
    return (make_entry(1, scope, frozenset({b.LONG_NIC.id}), verdict, conditions, **more),)


LUMEN = w.customer()


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs without a plan, the rules that clash, and the sentence and effect of each change that is offered, but for
    longer days: by how much hangs on the length of a window (`longer`: one is offered).
    """

    inputs: PlanningInput
    clashes: set[str]
    offers: dict[str, Change]
    longer: bool = False


HOURS = c.DailyWindow(start=time(11), back_in_service_by=time(13), hard_stop=time(20))
LATER = re.compile(r"Move back_in_service_by from \d\d:\d\d to (\d\d:\d\d)(, and hard_stop with it)?\.")
CASES = {
    "a limit that lets nothing out": Case(
        inputs=small(4, limits=(SHUT,)),
        clashes={"limits[0] nodes_out"},
        offers={
            "Raise limits[0] nodes_out from 0 to 4 at_once.": campaign(limits=(replace(CAP, at_once=4),)),
        },
    ),
    "an approval of fewer nodes a day than go together": Case(
        inputs=replace(small(4, limits=(CAP,)), ledger=approved(Conditions(nodes_per_day=3))),
        clashes={"approval approval-1"},
        offers={
            "Ask lumen-capacity to let 4 nodes of cluster c0 go a day in place of 3.": lambda inputs: replace(
                inputs, ledger=approved(Conditions(nodes_per_day=4))
            ),
        },
    ),
    "an approval for a time before the campaign": Case(
        inputs=replace(small(4), ledger=approved(Conditions(not_after=b.NOW + timedelta(hours=4)))),
        clashes={"approvals until 2026-01-03 00:00Z"},
        offers={
            "Ask lumen-capacity for another time than until 2026-01-03 00:00Z.": lambda inputs: replace(
                inputs, ledger=approved(NO_CONDITIONS)
            ),
        },
    ),
    "a decline that lets work go on too late": Case(
        inputs=replace(
            small(4),
            policy=Policy(customers={LUMEN.id: LUMEN}, notice=Notice(), freezes=()),
            ledger=approved(
                NO_CONDITIONS, Verdict.DECLINED, until=datetime(2026, 6, 1, tzinfo=UTC), then=AfterDue.PROCEED
            ),
        ),
        clashes={"declines until 2026-06-01 00:00Z"},
        offers={
            "Ask lumen-capacity to approve the work before 2026-06-01 00:00Z.": lambda inputs: replace(
                inputs, ledger=approved(NO_CONDITIONS)
            ),
        },
    ),
    "two limits of which one is contradicted by the other's days": Case(
        inputs=small(4, 4, limits=(CAP, c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=0))),
        clashes={"limits[1] cluster_windows"},
        offers={
            "Raise limits[1] cluster_windows from 0 to 1 at_once.": campaign(
                limits=(CAP, c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1))
            ),
        },
    ),
    "more clusters than days": Case(
        inputs=small(4, 4, limits=(CAP,), deadline=date(2026, 1, 5), extension_until=date(2026, 1, 5)),
        clashes={"limits[0] nodes_out", "daily_window", "deadline"},
        longer=True,
        offers={
            "Raise limits[0] nodes_out from 4 to 8 at_once.": campaign(limits=(replace(CAP, at_once=8),)),
            "Move deadline by 1 day, to 2026-01-06.": campaign(
                deadline=date(2026, 1, 6), extension_until=date(2026, 1, 6)
            ),
        },
    ),
    "a last day that is not the deadline": Case(
        inputs=small(4, 4, 4, limits=(CAP,), deadline=date(2026, 1, 5), extension_until=date(2026, 1, 6)),
        clashes={"limits[0] nodes_out", "daily_window", "extension_until"},
        longer=True,
        offers={
            "Raise limits[0] nodes_out from 4 to 8 at_once.": campaign(limits=(replace(CAP, at_once=8),)),
            "Move extension_until by 1 day, to 2026-01-07.": campaign(extension_until=date(2026, 1, 7)),
        },
    ),
    "a cluster with no day at all": Case(
        inputs=frozen(small(4)),
        clashes={"freeze freeze-c0", "daily_window", "extension_until"},
        offers={
            "End freeze freeze-c0 9 h earlier.": end_freeze,
            "Move extension_until by 1 day, to 2026-01-09.": campaign(extension_until=date(2026, 1, 9)),
        },
    ),
    "a campaign that is over": Case(
        inputs=replace(small(4), now=datetime(2026, 3, 1, 20, tzinfo=UTC)),
        clashes={"extension_until"},
        offers={
            "Move extension_until by 52 days, to 2026-03-01.": campaign(extension_until=date(2026, 3, 1)),
        },
    ),
    "days that are too short": Case(
        inputs=small(4, daily_window=HOURS),
        clashes={"daily_window"},
        longer=True,
        offers={},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules_that_clash_are_named_and_each_change_offered_gives_a_plan(name: str) -> None:
    case = CASES[name]
    outcome = b.plan(case.inputs)
    assert isinstance(outcome, Infeasible)
    assert {clash.rule for clash in outcome.clashes} == case.clashes
    told = {offer.sentence for offer in outcome.relaxations}
    later = [found for sentence in told if (found := LATER.fullmatch(sentence))]
    assert told - {found[0] for found in later} == set(case.offers)
    assert bool(later) == case.longer
    hours = case.inputs.campaign.daily_window
    longer = [campaign(daily_window=replace(hours, back_in_service_by=time.fromisoformat(f[1]))) for f in later]
    for change in (*case.offers.values(), *longer):
        assert isinstance(b.plan(change(case.inputs)), Planned)


def test_a_campaign_that_is_over_says_when_it_ended_and_when_it_is_planned() -> None:
    outcome = b.plan(CASES["a campaign that is over"].inputs)
    assert isinstance(outcome, Infeasible)
    assert "ended on 2026-01-08" in outcome.clashes[0].sentence
    assert "planned as of 2026-03-01" in outcome.clashes[0].sentence


def test_a_cluster_without_nodes_is_no_work_and_no_obstacle() -> None:
    plan = b.planned(small(0, 4))
    assert [window.cluster for window in plan.windows] == ["c1"]
    assert b.planned(small(0)).windows == ()


def test_a_deadline_in_the_past_makes_a_late_plan_not_none() -> None:
    inputs = replace(small(4, deadline=date(2026, 1, 5)), now=datetime(2026, 1, 7, tzinfo=UTC))
    plan = b.planned(inputs)
    assert plan.objective[0].value > 0


def test_clusters_that_other_rules_leave_no_place_are_counted_apart() -> None:
    """c0 is larger than a limit of its own; c1 keeps that one and is larger than the limit of all."""
    own = replace(CAP, at_once=2, where=c.Where(conditions={"cluster": frozenset({"c0"})}))
    outcome = b.plan(small(4, 8, 4, limits=(own, replace(CAP, at_once=6))))
    assert isinstance(outcome, Infeasible)
    (clash,) = outcome.clashes
    assert clash.rule.startswith("limits[0] nodes_out")
    assert clash.sentence.endswith(" c0 cannot be placed, even alone. 1 more cannot be placed for other rules.")
    assert outcome.relaxations == ()
