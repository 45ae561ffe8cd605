"""The control phase in a plan: who goes first, when others follow, and what is told when that cannot be."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.properties.hearing import local
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.control import choose_control, find_reserved
from fermata.domain.fleet import Node
from fermata.domain.phases import DECIDES, ControlPhase, GateTerms, Phases
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import Mode, Plan
from fermata.domain.reasons import Code
from fermata.domain.updates import AppliesTo, Impact
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Infeasible, Planned, PlanningInput
from fermata.planning.outline import compile_problem, outline_problem
from fermata.planning.why import explain_name
from fermata.planning.why_window import WindowWhy

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 1, day) for day in (5, 6, 7, 8))
QUICK = b.make_update("nic", "nic_fw", 40, Impact.REBOOTFUL)
HOUR = timedelta(hours=1)


def control(fraction: float = 0.05, bake: timedelta = HOUR, at_least: int = 20) -> Phases:
    return Phases(control=ControlPhase(max_fraction=fraction, gate=GateTerms(at_least=at_least, bake=bake)))


def fleet_of(
    sizes: Sequence[int], *, skus: Sequence[str] = (), rolling: bool = False, catalogue: b.u.Catalogue | None = None
) -> PlanningInput:
    """Clusters c0, c1, ... of so many nodes, each in racks of two."""
    names = [f"c{number}" for number in range(len(sizes))]
    clusters = [
        replace(b.make_cluster(name, rolling=rolling), sku=sku)
        for name, sku in zip(names, skus or ["H100"] * len(names), strict=True)
    ]
    nodes: list[Node] = []
    for cluster, size in zip(clusters, sizes, strict=True):
        nodes += b.make_nodes(cluster, [2] * (size // 2) + [1] * (size % 2))
    return b.make_inputs(b.make_fleet(clusters, nodes), catalogue or b.make_catalogue(b.LONG_NIC), b.make_campaign())


def with_campaign(inputs: PlanningInput, **changes: object) -> PlanningInput:
    return replace(inputs, campaign=replace(inputs.campaign, **changes))  # type: ignore[arg-type]


def first_of(inputs: PlanningInput, plan: Plan) -> set[str]:
    """Clusters of the control windows, with the conductor's reading of them the same."""
    phase = inputs.campaign.phases.control
    assert phase is not None
    reserved = find_reserved(plan.windows, phase)
    assert reserved is not None
    assert choose_control(plan.windows, phase, inputs.fleet) == reserved.windows
    return {window.cluster for window in plan.windows if window.id in reserved.windows}


@pytest.mark.parametrize(
    ("sizes", "skus", "fraction", "first"),
    [
        ((30, 1, 30), (), 0.05, {"c1"}),
        ((30, 1, 2, 30), (), 0.05, {"c1", "c2"}),  # as many as there is room for
        ((40, 1, 2, 2, 40), ("A", "A", "A", "B", "B"), 0.04, {"c1", "c3"}),  # every SKU before more of one
        ((40, 1, 3, 40), ("A", "A", "B", "B"), 0.03, {"c1"}),  # a SKU whose windows are all too large
    ],
)
def test_small_windows_of_every_sku_go_first(
    sizes: Sequence[int], skus: Sequence[str], fraction: float, first: set[str]
) -> None:
    inputs = with_campaign(fleet_of(sizes, skus=skus), phases=control(fraction))
    assert first_of(inputs, b.planned(inputs)) == first


def test_without_a_control_phase_nothing_is_reserved() -> None:
    inputs = fleet_of((30, 1, 30))
    problem = compile_problem(inputs)
    assert (problem.barrier, problem.lack) == (None, None)
    assert {window.start for window in b.planned(inputs).windows} == {local(MONDAY, 11)}


@pytest.mark.parametrize(
    ("update", "bake", "starts"),
    [
        (b.LONG_NIC, 1 * HOUR, local(TUESDAY, 11)),  # a window takes more than half of a day
        (b.LONG_NIC, 20 * HOUR, local(WEDNESDAY, 11)),  # 12:30 is too late for a long one
        (QUICK, 24 * HOUR, local(TUESDAY, 12.5)),
        (b.LONG_NIC, 30 * HOUR, local(WEDNESDAY, 11)),
        (QUICK, 1 * HOUR, local(MONDAY, 13.5)),
    ],
)
def test_others_start_when_the_control_windows_have_ended_and_baked(
    update: b.u.Update, bake: timedelta, starts: object
) -> None:
    inputs = with_campaign(fleet_of((30, 1, 30), catalogue=b.make_catalogue(update)), phases=control(bake=bake))
    plan = b.planned(inputs)
    first, *others = plan.windows
    assert first.cluster == "c1"
    assert {window.start for window in others} == {starts}
    assert others[0].start - first.end >= bake + DECIDES


def test_control_window_that_is_unsure_gets_the_time_that_keeps_nobody_waiting() -> None:
    """Behind sixteen hours and ten minutes others start at eleven, so it may last until ten to seven."""
    slow = replace(b.LONG_NIC, duration_minutes=b.u.Duration(p50=250, p90=380))
    made = fleet_of((20, 20, 20), catalogue=b.make_catalogue(slow))
    plan = b.planned(with_campaign(made, phases=control(0.35, bake=16 * HOUR), return_threshold=1.0))
    assert plan.windows[0].end == local(MONDAY, 18) + timedelta(minutes=50)
    assert {(w.start, w.end) for w in plan.windows[1:]} == {(local(TUESDAY, 11), local(TUESDAY, 19))}


def test_part_of_a_rolled_cluster_goes_first_where_no_cluster_is_small_enough() -> None:
    inputs = with_campaign(
        fleet_of((20, 40, 40), rolling=True),
        phases=control(),
        rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.5),
        extension_until=date(2026, 1, 20),
        limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=44),),
    )
    plan = b.planned(inputs)
    assert first_of(inputs, plan) == {"c0"}
    first = plan.windows[0]
    assert (first.mode, first.part, len(first.nodes)) == (Mode.ROLLING, 1, 5)


def test_the_smaller_part_of_a_cluster_is_set_apart_and_its_others_follow_on_later_days() -> None:
    inputs = with_campaign(
        fleet_of((40, 40, 16), rolling=True), phases=control(), extension_until=date(2026, 1, 25), big_cluster_nodes=4
    )
    inputs = with_campaign(inputs, rolling=c.Rolling(min_fraction_per_day=0.1, max_fraction_per_day=0.25))
    plan = b.planned(with_campaign(inputs, limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=20),)))
    assert first_of(inputs, plan) == {"c2"}
    of_cluster = [window for window in plan.windows if window.cluster == "c2"]
    assert [window.part for window in of_cluster] == list(range(1, len(of_cluster) + 1))


def test_cluster_that_may_not_go_at_once_is_waited_for_if_it_alone_tries_an_update() -> None:
    only_b = replace(b.make_update("gpu", "nic_fw", 250, Impact.REBOOTFUL), to_version="3.0")
    catalogue = b.make_catalogue(
        replace(b.LONG_NIC, applies_to=AppliesTo(skus=frozenset({"A"}))),
        replace(only_b, applies_to=AppliesTo(skus=frozenset({"B"}))),
    )
    made = with_campaign(fleet_of((40, 1, 2, 40), skus=("A", "A", "B", "B"), catalogue=catalogue), phases=control())
    freeze = b.make_freeze("c2", local(MONDAY, 0), local(TUESDAY, 0))
    inputs = replace(made, policy=replace(made.policy, freezes=(freeze,)))
    plan = b.planned(inputs)
    assert first_of(inputs, plan) == {"c1", "c2"}
    assert {window.start for window in plan.windows[2:]} == {local(WEDNESDAY, 11)}


def test_plan_says_who_goes_first_and_which_updates_are_not_tried() -> None:
    fabric = b.make_update("gpu", "nic_fw", 250, Impact.REBOOTFUL, applies_to=AppliesTo(skus=frozenset({"B"})))
    catalogue = b.make_catalogue(replace(b.LONG_NIC, applies_to=AppliesTo(skus=frozenset({"A"}))), fabric)
    made = with_campaign(fleet_of((40, 1, 40), skus=("A", "A", "B"), catalogue=catalogue), phases=control())
    outcome = b.plan(made)
    assert isinstance(outcome, Planned)
    assert [note.code for note in outcome.notes] == [
        Code.CONTROL_RESERVED,
        Code.CONTROL_UNTRIED,
        Code.CONTROL_SKU_UNTRIED,
    ]
    assert "1 window(s) with 1 of 81 nodes go first" in outcome.notes[0].sentence
    assert "No control window brings gpu" in outcome.notes[1].sentence
    assert "No control window is of B" in outcome.notes[2].sentence


def test_ways_of_the_fewest_windows_have_the_same_control_phase() -> None:
    inputs = with_campaign(fleet_of((30, 1, 30)), phases=control())
    outline = outline_problem(inputs).lay_out_fewest()
    few, all_ways = outline.compile_fewest().barrier, outline.compile().barrier
    assert few is not None
    assert few == all_ways


def relaxed(outcome: object) -> dict[str, str]:
    assert isinstance(outcome, Infeasible)
    return {each.rule: each.sentence for each in outcome.relaxations}


def clashes(outcome: object) -> dict[str, str]:
    assert isinstance(outcome, Infeasible)
    return {each.rule: each.sentence for each in outcome.clashes}


def test_windows_that_are_all_too_large_are_told_with_what_to_do() -> None:
    outcome = b.plan(with_campaign(fleet_of((30, 4, 30)), phases=control(0.05)))
    assert list(clashes(outcome)) == [Code.CONTROL_TOO_LARGE]
    assert "3 of 64 nodes may go first" in clashes(outcome)[Code.CONTROL_TOO_LARGE]
    assert "takes 4" in clashes(outcome)[Code.CONTROL_TOO_LARGE]
    assert relaxed(outcome)[Code.CONTROL_TOO_LARGE].startswith("Take out phases.control")


def test_share_that_is_a_little_too_small_is_raised_instead() -> None:
    outcome = b.plan(with_campaign(fleet_of((40, 2, 20)), phases=control(0.02)))
    assert relaxed(outcome) == {Code.CONTROL_TOO_LARGE: "Raise phases.control.max_fraction from 0.02 to 0.033."}


@pytest.mark.parametrize(
    ("bake", "code", "said", "others"),
    [
        (100 * HOUR, Code.CONTROL_TOO_LATE, "Shorten phases.control.bake_minutes from 6000 to", {"extension_until"}),
        (60 * HOUR, Code.CONTROL_IN_THE_WAY, "Shorten phases.control.bake_minutes from 3600 to", None),
    ],
)
def test_deadline_inside_the_bake_is_told_with_what_to_do(
    bake: timedelta, code: Code, said: str, others: set[str] | None
) -> None:
    """Of four days one is left behind the shorter bake, and on a day no two of the large clusters find room."""
    limit = c.Limit(what=c.LimitKind.NODES_OUT, at_once=31)
    outcome = b.plan(with_campaign(fleet_of((30, 1, 30)), phases=control(bake=bake), limits=(limit,)))
    assert code in clashes(outcome)
    assert relaxed(outcome)[code].startswith(said)
    if others is not None:
        assert others <= clashes(outcome).keys()


def test_phase_without_a_day_is_told() -> None:
    made = with_campaign(fleet_of((30, 1, 30)), phases=control())
    freeze = b.make_freeze("c1", local(MONDAY, 0), local(THURSDAY, 10))
    outcome = b.plan(replace(made, policy=replace(made.policy, freezes=(freeze,))))
    assert Code.CONTROL_TOO_LATE in clashes(outcome)


def test_why_tells_of_the_days_that_belong_to_the_control_phase() -> None:
    inputs = with_campaign(fleet_of((30, 1, 30)), phases=control())
    plan = b.planned(inputs)
    found = explain_name(inputs, plan, plan.windows[1].id)
    assert found is not None
    assert isinstance(found.about, WindowWhy)
    assert [(day.day, [each.code for each in day.reasons]) for day in found.about.earlier] == [
        (MONDAY, [PlanCode.DAY_CONTROL])
    ]
    assert "2026-01-06" not in found.about.earlier[0].reasons[0].sentence.split("from")[0]


def test_checker_faults_a_window_of_others_that_is_moved_before_the_bake_is_over() -> None:
    inputs = with_campaign(fleet_of((30, 1, 30)), phases=control())
    plan = b.planned(inputs)
    assert check_plan(inputs, plan) == ()
    by = plan.windows[0].start - plan.windows[1].start
    moved = replace(plan.windows[1], start=plan.windows[1].start + by, end=plan.windows[1].end + by)
    found = check_plan(inputs, replace(plan, windows=(plan.windows[0], moved, plan.windows[2])))
    assert {(each.rule, each.window) for each in found if each.rule == "CONTROL_FIRST"} == {("CONTROL_FIRST", moved.id)}
