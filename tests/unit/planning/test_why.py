"""Why a window is not earlier: what is told of a day is what the checker says of the plan with the window there."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import NodeState
from fermata.domain.ids import TeamId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import Code
from fermata.planning.checker import build_case, check_case
from fermata.planning.inputs import PlanningInput
from fermata.planning.scores import score
from fermata.planning.why import ClusterWhy, NodeWhy, explain_name
from fermata.planning.why import list_names as list_every_name
from fermata.planning.why_load import starts_of
from fermata.planning.why_window import WindowExplainer, WindowWhy, list_names

MONDAY = date(2026, 1, 5)
FREE = {PlanCode.DAY_WORSE, PlanCode.DAY_EQUAL, PlanCode.DAY_BETTER}
ORDER = c.OrderClasses(classes=("small research", "small applied"))


def at(day: int, hour: int = 11) -> datetime:
    """An hour of a day of January in Los Angeles."""
    return (
        datetime(2026, 1, day, hour + 8, tzinfo=UTC) if hour < 16 else datetime(2026, 1, day + 1, hour - 16, tzinfo=UTC)
    )


def small(*sizes: int, **changes: object) -> PlanningInput:
    """Clusters c0, c1, ... of one rack each, every window as long as a day allows only once."""
    clusters = [b.make_cluster(f"c{i}") for i in range(len(sizes))]
    nodes = [n for cluster, size in zip(clusters, sizes, strict=True) for n in b.make_nodes(cluster, [size])]
    return b.make_inputs(b.make_fleet(clusters, nodes), b.make_catalogue(b.LONG_NIC), b.make_campaign(**changes))


def told(inputs: PlanningInput, plan: Plan, name: str) -> WindowWhy:
    found = explain_name(inputs, plan, name)
    assert found is not None
    assert isinstance(found.about, WindowWhy)
    return found.about


def move(plan: Plan, window: Window, start: datetime) -> Plan:
    """The plan with that window elsewhere, parts of its cluster numbered anew, its objective not recounted."""
    by = start - window.start
    steps = tuple(replace(step, start=step.start + by, end=step.end + by) for step in window.steps)
    moved = replace(window, start=start, end=window.end + by, steps=steps)
    windows = [moved if other.id == window.id else other for other in plan.windows]
    windows.sort(key=lambda w: (w.start, w.cluster))
    parts: dict[str, int] = {}
    for number, other in enumerate(windows):
        parts[other.cluster] = parts.get(other.cluster, 0) + 1
        windows[number] = replace(other, part=parts[other.cluster])
    return replace(plan, windows=tuple(windows), objective=())


def place(plan: Plan, window: str, start: datetime) -> Plan:
    return move(plan, next(w for w in plan.windows if w.id == window), start)


def test_a_window_on_the_first_day_has_nothing_earlier() -> None:
    inputs = small(4)
    plan = b.planned(inputs)
    why = told(inputs, plan, plan.windows[0].id)
    assert why.earlier == ()
    assert why.earliest_alone == at(5)


def test_a_full_day_names_the_limit_and_the_windows_that_fill_it() -> None:
    inputs = small(4, 3, limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=6),))
    plan = b.planned(inputs)
    second = max(plan.windows, key=lambda w: w.start)
    first = min(plan.windows, key=lambda w: w.start)
    why = told(inputs, plan, second.id)
    (day,) = why.earlier
    assert day.day == MONDAY
    assert [reason.code for reason in day.reasons] == [PlanCode.DAY_LIMIT_FULL]
    assert (
        f"allows 6; next to the {len(first.nodes)} of {first.id}, {len(second.nodes)} more" in day.reasons[0].sentence
    )
    assert why.earliest_alone == at(5)


def test_room_kept_for_repairs_is_told_as_kept_not_as_taken() -> None:
    fallout = c.Fallout(fraction=0.5, mean_days_to_repair=2)
    inputs = small(4, 4, limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=11),), fallout=fallout)
    plan = b.planned(inputs)
    second = max(plan.windows, key=lambda w: w.start)
    (day,) = told(inputs, plan, second.id).earlier
    assert [reason.code for reason in day.reasons] == [PlanCode.DAY_ROOM_KEPT]


def test_a_freeze_is_named_for_each_day_it_closes() -> None:
    inputs = small(4)
    freeze = b.make_freeze("c0", at(4), at(7, 10))
    inputs = replace(inputs, policy=replace(inputs.policy, freezes=(freeze,)))
    plan = b.planned(inputs)
    why = told(inputs, plan, plan.windows[0].id)
    assert [(day.day.day, day.reasons[0].code) for day in why.earlier] == [(5, Code.FROZEN), (6, Code.FROZEN)]
    assert why.earliest_alone == plan.windows[0].start


def test_a_busy_team_is_named() -> None:
    inputs = small(4, 4)
    inputs = replace(inputs, catalogue=b.make_catalogue(b.LONG_NIC, teams={"team-nic": 4}))
    plan = b.planned(inputs)
    second = max(plan.windows, key=lambda w: w.start)
    (day,) = told(inputs, plan, second.id).earlier
    assert day.reasons[0].code is PlanCode.DAY_TEAM_BUSY
    assert TeamId("team-nic") in day.reasons[0].sentence


def test_a_weekend_without_staff_is_told_and_a_day_that_is_over_is_not() -> None:
    inputs = small(4, first_day=date(2026, 1, 1), weekends_staffed=False)
    inputs = replace(inputs, now=at(2, 12))
    plan = b.planned(inputs)
    plan = place(plan, plan.windows[0].id, at(5))
    why = told(inputs, plan, plan.windows[0].id)
    assert [(day.day.day, day.reasons[0].code) for day in why.earlier] == [
        (2, PlanCode.DAY_EQUAL),
        (3, PlanCode.DAY_UNSTAFFED),
        (4, PlanCode.DAY_UNSTAFFED),
    ]


def test_a_day_too_short_says_what_is_left_of_it() -> None:
    inputs = replace(small(4), now=at(5, 18))
    plan = b.planned(inputs)
    (day,) = told(inputs, plan, plan.windows[0].id).earlier
    assert "has 1 h left from 18:00 to 19:00" in day.reasons[0].sentence


def test_a_free_day_says_which_preference_speaks_against_it() -> None:
    inputs = small(4, deadline=MONDAY, preferences=(c.AvoidWeekday(weekday=0), c.FewestWindows()))
    plan = b.planned(inputs)
    plan = place(plan, plan.windows[0].id, at(6))
    (day,) = told(inputs, plan, plan.windows[0].id).earlier
    assert day.reasons[0].code is PlanCode.DAY_WORSE
    assert "Mon 2026-01-05 at 11:00 is free, but avoid would get worse, from 0 to 1." in day.reasons[0].sentence


@pytest.mark.parametrize(
    ("preferences", "code"),
    [
        ((c.FewestWindows(),), PlanCode.DAY_EQUAL),
        ((c.AvoidWeekday(weekday=1),), PlanCode.DAY_BETTER),
    ],
)
def test_a_free_day_that_costs_nothing_is_owned_up_to(preferences: tuple[c.Preference, ...], code: Code) -> None:
    inputs = small(4, preferences=preferences)
    plan = b.planned(inputs)
    plan = place(plan, plan.windows[0].id, at(6))
    (day,) = told(inputs, plan, plan.windows[0].id).earlier
    assert day.reasons[0].code is code


def rolled() -> PlanningInput:
    cluster = b.make_cluster("roll", rolling=True)
    nodes = b.make_nodes(cluster, [4, 4, 2])
    campaign = b.make_campaign(
        limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=4),),
        rolling=c.Rolling(min_fraction_per_day=0.3, max_fraction_per_day=0.4),
    )
    return b.make_inputs(b.make_fleet([cluster], nodes), b.make_catalogue(b.LONG_NIC), campaign)


def test_parts_of_a_rolled_cluster_name_the_part_that_has_the_day() -> None:
    inputs = rolled()
    plan = b.planned(inputs)
    last = plan.windows[-1]
    why = told(inputs, plan, last.id)
    assert [day.reasons[0].code for day in why.earlier] == [PlanCode.DAY_HAS_PART] * 2
    assert why.earliest_alone == at(7)


def test_the_last_part_waits_for_the_others() -> None:
    inputs = rolled()
    plan = b.planned(inputs)
    middle = plan.windows[1]
    plan = replace(
        plan,
        windows=(
            plan.windows[0],
            replace(middle, start=at(8), end=at(8) + (middle.end - middle.start)),
            plan.windows[2],
        ),
    )
    why = told(inputs, plan, plan.windows[2].id)
    assert [day.reasons[0].code for day in why.earlier] == [PlanCode.DAY_HAS_PART, PlanCode.DAY_PART_ORDER]


@pytest.mark.parametrize(
    ("rolling", "changes", "code"),
    [
        (False, {}, PlanCode.WHOLE_ONLY),
        (True, {}, PlanCode.WHOLE_FEWEST),
        (True, {"rolling": c.Rolling(min_fraction_per_day=0.05, max_fraction_per_day=0.1)}, PlanCode.PARTS_NONE),
        (True, {"limits": (c.Limit(what=c.LimitKind.NODES_OUT, at_once=4),)}, PlanCode.PARTS_LIMIT),
        (True, {"limits": (c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=0),)}, PlanCode.PARTS_LIMIT),
        (True, {"preferences": (), "first": "parts"}, PlanCode.PARTS_BETTER),
    ],
)
def test_a_cluster_says_which_rule_makes_it_whole_or_rolled(
    rolling: bool, changes: dict[str, object], code: Code
) -> None:
    parts = changes.pop("first", None)
    cluster = b.make_cluster("roll", rolling=rolling)
    shares = c.Rolling(min_fraction_per_day=0.3, max_fraction_per_day=0.5)
    campaign = b.make_campaign(**{"rolling": shares, **changes})
    inputs = b.make_inputs(
        b.make_fleet([cluster], b.make_nodes(cluster, [4, 4])), b.make_catalogue(b.LONG_NIC), campaign
    )
    plan = b.planned(inputs)
    if parts:
        tight = replace(campaign, limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=4),))
        plan = b.planned(replace(inputs, campaign=tight))
    found = explain_name(inputs, plan, "roll")
    assert found is not None
    assert isinstance(found.about, ClusterWhy)
    assert [reason.code for reason in found.about.reasons] == [code]
    assert len(found.about.windows) == len(plan.windows)


def test_a_cluster_that_no_day_bears_whole_is_rolled_for_that() -> None:
    cluster = b.make_cluster("roll", rolling=True)
    campaign = b.make_campaign(rolling=c.Rolling(min_fraction_per_day=0.3, max_fraction_per_day=0.5))
    isolated = b.make_update(
        "nic", "nic_fw", 200, b.u.Impact.REBOOTFUL, isolation=b.u.Isolation(by=b.u.IsolationBy.FAULT_DOMAIN, at_once=1)
    )
    inputs = b.make_inputs(
        b.make_fleet([cluster], b.make_nodes(cluster, [2, 2, 2, 2])), b.make_catalogue(isolated), campaign
    )
    plan = b.planned(inputs)
    found = explain_name(inputs, plan, "roll")
    assert found is not None
    assert [reason.code for reason in found.about.reasons] == [PlanCode.PARTS_NO_DAY]  # type: ignore[union-attr]


def test_a_node_tells_its_window_steps_pending_work_and_consent() -> None:
    inputs = small(4)
    plan = b.planned(inputs)
    found = explain_name(inputs, plan, "c0-r0-n01")
    assert found is not None
    node = found.about
    assert isinstance(node, NodeWhy)
    assert node.window is not None
    assert [step.step for step in node.steps] == ["drain", "node_apply", "reboot", "verify"]
    assert [(line.update, line.from_version, line.to_version) for line in node.pending] == [("nic", b.OLD, b.NEW)]
    assert node.consent.code is PlanCode.CONSENT_ASSUMED


def test_a_node_without_a_window_says_why() -> None:
    inputs = replace(small(4), ledger=())
    plan = b.planned(inputs)
    assert plan.windows == ()
    found = explain_name(inputs, plan, "c0-r0-n01")
    assert found is not None
    assert isinstance(found.about, NodeWhy)
    assert [reason.code for reason in found.about.reasons] == [Code.APPROVAL_MISSING]
    assert found.about.consent.code is Code.APPROVAL_MISSING
    cluster = explain_name(inputs, plan, "c0")
    assert cluster is not None
    assert [reason.code for reason in cluster.about.reasons] == [Code.APPROVAL_MISSING]  # type: ignore[union-attr]


def test_a_cluster_out_of_scope_or_with_nothing_due_says_so() -> None:
    inputs = small(4, scope=c.Where(conditions={"cluster": frozenset({"c0"})}))
    other = b.make_cluster("other")
    done = [replace(node, versions={"nic_fw": b.NEW}) for node in inputs.fleet.nodes.values()]
    assert all(node.state is NodeState.IN_SERVICE for node in done)
    fleet = b.make_fleet([*inputs.fleet.clusters.values(), other], [*done, *b.make_nodes(other, [2])])
    inputs = replace(inputs, fleet=fleet)
    plan = b.planned(inputs)
    codes = {name: explain_name(inputs, plan, name).about.reasons[0].code for name in ("c0", "other", "c0-r0-n00")}  # type: ignore[union-attr]
    assert codes == {"c0": PlanCode.NOTHING_DUE, "other": PlanCode.OUT_OF_SCOPE, "c0-r0-n00": PlanCode.NOTHING_DUE}


def test_a_name_that_nobody_has_is_none() -> None:
    inputs = small(4)
    assert explain_name(inputs, b.planned(inputs), "c9") is None


def test_lists_of_names_read_as_prose() -> None:
    assert [list_names(names) for names in (["a"], ["a", "b"], ["a", "b", "c", "d"])] == [
        "a",
        "a and b",
        "a, b, c and 1 more",
    ]


@st.composite
def fleets(draw: st.DrawFn) -> PlanningInput:
    sizes = draw(st.lists(st.integers(2, 5), min_size=2, max_size=4))
    divisions = draw(st.lists(st.sampled_from(["research", "applied"]), min_size=4, max_size=4))
    clusters = [
        b.make_cluster(f"c{i}", rolling=draw(st.booleans()), division=divisions[i], geo=("US", "EU")[i % 2])
        for i in range(len(sizes))
    ]
    nodes = [n for cl, size in zip(clusters, sizes, strict=True) for n in b.make_nodes(cl, [size, size])]
    minutes = draw(st.sampled_from([60, 150, 250]))
    catalogue = b.make_catalogue(
        b.make_update("nic", "nic_fw", minutes, b.u.Impact.REBOOTFUL),
        teams={"team-nic": draw(st.integers(10, 16))},
    )
    campaign = b.make_campaign(
        limits=(
            c.Limit(what=c.LimitKind.NODES_OUT, at_once=draw(st.integers(10, 14))),
            c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=draw(st.integers(1, 3))),
            c.Limit(what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=draw(st.integers(1, 2)), last_day=MONDAY),
        ),
        extension_until=date(2026, 1, 10),
        deadline=date(2026, 1, 8),
        weekends_staffed=draw(st.booleans()),
        daily_window=c.DailyWindow(start=time(11), back_in_service_by=time(19), hard_stop=time(20)),
        preferences=(
            c.FinishByDeadline(),
            c.FewestWindows(),
            ORDER,
            c.SpreadEvenly(where=c.Where(), over="geo"),
            c.AvoidWeekday(weekday=1),
        ),
    )
    freezes = [b.make_freeze("c0", at(5), at(6, 13))] if draw(st.booleans()) else []
    return b.make_inputs(b.make_fleet(clusters, nodes), catalogue, campaign, *freezes)


def starts(explainer: WindowExplainer, window: Window, day: date) -> Sequence[datetime]:
    return next((starts_of(d, window) for d in explainer.loads.days if d.date == day), [])


@settings(max_examples=10, deadline=timedelta(seconds=20), derandomize=True, suppress_health_check=list(HealthCheck))
@given(fleets())
def test_a_day_is_told_free_exactly_when_the_checker_lets_the_window_go_there(inputs: PlanningInput) -> None:
    outcome = b.plan(inputs)
    if not hasattr(outcome, "plan"):
        return
    plan = outcome.plan
    case, explainer = build_case(inputs), WindowExplainer(inputs, plan)
    for window in plan.windows:
        for day in explainer.explain(window).earlier:
            if day.reasons[0].code is PlanCode.DAY_PART_ORDER:
                continue  # the planner's own order among parts, which no rule asks for
            moved = [move(plan, window, start) for start in starts(explainer, window, day.day)]
            found = [
                {v.rule for v in check_case(case, other)} - {"OBJECTIVE_VALUES", "OBJECTIVE_BOUNDS"} for other in moved
            ]
            is_free = day.reasons[0].code in FREE
            assert is_free == any(not broken for broken in found), (window.id, day, found)


@settings(max_examples=6, deadline=timedelta(seconds=20), derandomize=True, suppress_health_check=list(HealthCheck))
@given(fleets())
def test_what_a_move_would_cost_is_what_the_checker_counts(inputs: PlanningInput) -> None:
    outcome = b.plan(inputs)
    if not hasattr(outcome, "plan"):
        return
    plan = outcome.plan
    case, explainer = build_case(inputs), WindowExplainer(inputs, plan)
    preferences = inputs.campaign.preferences
    assert explainer.worth.now == pytest.approx([score(case, plan, p) for p in preferences])
    for window in plan.windows:
        for day in explainer.loads.days:
            for start in list(starts(explainer, window, day.date))[:2]:
                expected = [score(case, move(plan, window, start), p) for p in preferences]
                assert explainer.worth.moved(window, day, start) == pytest.approx(expected, abs=1e-8)


def test_of_a_plan_whose_consent_is_gone_every_name_has_an_answer_and_a_cluster_says_what_is_missing() -> None:
    inputs = small(3, 3)
    plan, since = b.planned(inputs), replace(inputs, ledger=())
    assert plan.windows
    for name in list_every_name(since, plan):
        assert explain_name(since, plan, name) is not None, name
    cluster = explain_name(since, plan, "c0")
    assert cluster is not None
    assert isinstance(cluster.about, ClusterWhy)
    assert [each.code for each in cluster.about.reasons] == [Code.APPROVAL_MISSING]
    assert cluster.about.windows, "they are told as they were planned"
