"""Which nodes a plan takes: coverage, scope, whole clusters, parts, and what hangs together."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.plans import Mode, Plan
from fermata.domain.reasons import Code
from fermata.planning.checker import check_plan
from fermata.planning.inputs import PlanningInput

Spoil = Callable[[PlanningInput], Plan]
HOUR = timedelta(hours=1)


def test_the_valid_plan_breaks_no_rule() -> None:
    inputs = w.scenario()
    assert w.faults(inputs, w.plan(inputs, w.windows(inputs))) == set()


def node_forgotten(inputs: PlanningInput) -> Plan:
    gamma = w.window(inputs, "w-gamma", w.names(inputs, "gamma")[:-1], w.TUESDAY + HOUR)
    return w.plan(inputs, w.swap(w.windows(inputs), gamma))


def node_in_two_windows(inputs: PlanningInput) -> Plan:
    beta = w.names(inputs, "beta")
    last = w.window(inputs, "w-beta-3", [*beta[:2], *beta[8:]], w.THURSDAY, part=(3, 3))
    return w.plan(inputs, w.swap(w.windows(inputs), last))


def node_planned_and_unplanned(inputs: PlanningInput) -> Plan:
    group = w.unplanned(inputs, ["gamma-n00"], Code.NO_ROOM)
    return w.plan(inputs, w.windows(inputs), (group,))


def node_unplanned_twice(inputs: PlanningInput) -> Plan:
    groups = (w.unplanned(inputs, w.names(inputs, "gamma"), Code.NO_ROOM),)
    groups += (w.unplanned(inputs, ["gamma-n00"], Code.NO_ROOM),)
    return w.plan(inputs, w.windows(inputs)[:-1], groups)


def node_unknown(inputs: PlanningInput) -> Plan:
    made = w.windows(inputs)
    return w.plan(inputs, w.swap(made, replace(made[-1], nodes=(*made[-1].nodes, NodeId("ghost")))))


def node_out_of_scope(inputs: PlanningInput) -> Plan:
    return w.plan(inputs, [*w.windows(inputs), w.window(inputs, "w-omega", ["omega-n00"], w.MONDAY)])


def node_unplanned_out_of_scope(inputs: PlanningInput) -> Plan:
    return w.plan(inputs, w.windows(inputs), (w.unplanned(inputs, ["omega-n00"], Code.NO_ROOM),))


def node_of_another_cluster(inputs: PlanningInput) -> Plan:
    alpha = w.window(inputs, "w-alpha", [*w.names(inputs, "alpha"), "gamma-n05"], w.MONDAY)
    gamma = w.window(inputs, "w-gamma", w.names(inputs, "gamma")[:-1], w.TUESDAY + HOUR)
    return w.plan(inputs, w.swap(w.windows(inputs), alpha, gamma))


def unplanned_under_another_cluster(inputs: PlanningInput) -> Plan:
    group = w.unplanned(inputs, w.names(inputs, "gamma"), Code.NO_ROOM, of="alpha")
    return w.plan(inputs, w.windows(inputs)[:-1], (group,))


def node_left_out_of_a_whole_window(inputs: PlanningInput) -> Plan:
    gamma = w.window(inputs, "w-gamma", w.names(inputs, "gamma")[:-1], w.TUESDAY + HOUR)
    return w.plan(inputs, w.swap(w.windows(inputs), gamma), (w.unplanned(inputs, ["gamma-n05"], Code.NO_ROOM),))


def rack_left_out_of_a_rolled_cluster(inputs: PlanningInput) -> Plan:
    first, second = (replace(x, parts=2) for x in w.windows(inputs)[1:3])
    made = [x for x in w.swap(w.windows(inputs), first, second) if x.id != "w-beta-3"]
    return w.plan(inputs, made, (w.unplanned(inputs, w.names(inputs, "beta")[8:], Code.NO_ROOM),))


def cluster_in_two_whole_windows(inputs: PlanningInput) -> Plan:
    gamma = w.names(inputs, "gamma")
    first = w.window(inputs, "w-gamma", gamma[:3], w.TUESDAY + HOUR)
    second = w.window(inputs, "w-gamma-again", gamma[3:], w.WEDNESDAY + HOUR)
    return w.plan(inputs, [*w.swap(w.windows(inputs), first), second])


def whole_beside_rolling(inputs: PlanningInput) -> Plan:
    made = w.windows(inputs)
    parts = [replace(made[1], parts=2), replace(made[2], parts=2)]
    return w.plan(inputs, w.swap(made, *parts, replace(made[3], mode=Mode.WHOLE, part=1, parts=1)))


def whole_that_is_a_part(inputs: PlanningInput) -> Plan:
    made = w.windows(inputs)
    return w.plan(inputs, w.swap(made, replace(made[-1], parts=2)))


def rolled_where_not_allowed(inputs: PlanningInput) -> Plan:
    gamma = w.names(inputs, "gamma")
    days = (w.TUESDAY, w.WEDNESDAY, w.THURSDAY)
    parts = [
        w.window(inputs, f"w-gamma-{i + 1}", gamma[2 * i : 2 * i + 2], days[i] + HOUR, part=(i + 1, 3))
        for i in range(3)
    ]
    return w.plan(inputs, [*w.windows(inputs)[:-1], *parts])


def parts_out_of_order(inputs: PlanningInput) -> Plan:
    made = w.windows(inputs)
    return w.plan(inputs, w.swap(made, replace(made[2], part=3), replace(made[3], part=2)))


def parts_miscounted(inputs: PlanningInput) -> Plan:
    return w.plan(inputs, [replace(x, parts=4) if x.mode is Mode.ROLLING else x for x in w.windows(inputs)])


def two_parts_on_one_day(inputs: PlanningInput) -> Plan:
    made = w.windows(inputs)
    return w.plan(inputs, w.swap(made, w.move(made[3], -22 * HOUR)))


def part_too_big(inputs: PlanningInput) -> Plan:
    return rolled_in(inputs, 6, 4)


def rolled_in(inputs: PlanningInput, *sizes: int) -> Plan:
    """beta in parts of these sizes, a day each."""
    beta = w.names(inputs, "beta")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    parts = [
        w.window(inputs, f"w-beta-{i + 1}", beta[a:b], w.TUESDAY + i * 24 * HOUR, part=(i + 1, len(sizes)))
        for i, (a, b) in enumerate(zip([0, *ends], ends, strict=False))
    ]
    return w.plan(inputs, [x for x in w.windows(inputs) if x.mode is Mode.WHOLE] + parts)


def half_a_rack(inputs: PlanningInput) -> Plan:
    beta = w.names(inputs, "beta")
    first = w.window(inputs, "w-beta-1", beta[:3], w.TUESDAY, part=(1, 3))
    last = w.window(inputs, "w-beta-3", [beta[3], *beta[8:]], w.THURSDAY, part=(3, 3))
    return w.plan(inputs, w.swap(w.windows(inputs), first, last))


CASES: list[tuple[Spoil, set[str]]] = [
    (node_forgotten, {"NODES_COVERED"}),
    (node_in_two_windows, {"NODES_COVERED"}),
    (node_planned_and_unplanned, {"NODES_COVERED"}),
    (node_unplanned_twice, {"NODES_COVERED"}),
    (node_unknown, {"NODES_IN_SCOPE"}),
    (node_out_of_scope, {"NODES_IN_SCOPE"}),
    (node_unplanned_out_of_scope, {"NODES_IN_SCOPE"}),
    (node_of_another_cluster, {"WINDOW_CLUSTER"}),
    (unplanned_under_another_cluster, {"WINDOW_CLUSTER"}),
    (node_left_out_of_a_whole_window, {"WHOLE_CLUSTER"}),
    (rack_left_out_of_a_rolled_cluster, {"WHOLE_CLUSTER"}),
    (cluster_in_two_whole_windows, {"WHOLE_CLUSTER"}),
    (whole_beside_rolling, {"WHOLE_CLUSTER"}),
    (whole_that_is_a_part, {"WHOLE_CLUSTER"}),
    (rolled_where_not_allowed, {"ROLLING_ALLOWED"}),
    (parts_out_of_order, {"ROLLING_PARTS"}),
    (parts_miscounted, {"ROLLING_PARTS"}),
    (two_parts_on_one_day, {"ROLLING_PARTS"}),
    (part_too_big, {"ROLLING_PART_SIZE"}),
    (half_a_rack, {"SHARED_DEVICE_WHOLE"}),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_spoilt_plan_is_faulted_by_exactly_its_rule(spoil: Spoil, expected: set[str]) -> None:
    inputs = w.scenario()
    assert w.faults(inputs, spoil(inputs)) == expected


def test_a_part_is_too_small_unless_it_is_the_last() -> None:
    rolling = replace(w.campaign().rolling, min_fraction_per_day=0.3)
    inputs = w.scenario(campaign=w.campaign(rolling=rolling))
    assert w.faults(inputs, rolled_in(inputs, 4, 4, 2)) == set()
    assert w.faults(inputs, rolled_in(inputs, 4, 2, 4)) == {"ROLLING_PART_SIZE"}


def test_a_share_is_counted_exactly_as_written() -> None:
    rolling = replace(w.campaign().rolling, min_fraction_per_day=0.2, max_fraction_per_day=0.2)
    inputs = w.scenario(campaign=w.campaign(rolling=rolling))
    assert w.faults(inputs, rolled_in(inputs, 2, 2, 2, 2, 2)) == set()


def test_a_node_without_work_has_no_place_in_a_plan() -> None:
    inputs = w.scenario()
    versions = dict.fromkeys(("nic_fw", "host_os", "gpu_fw", "agent"), "2.0")
    inputs = w.scenario(fleet=w.with_versions(inputs.fleet, "gamma-n05", **versions))
    assert w.faults(inputs, w.plan(inputs, w.windows(inputs))) == {"NODES_IN_SCOPE"}
    gamma = w.window(inputs, "w-gamma", w.names(inputs, "gamma")[:-1], w.TUESDAY + HOUR)
    assert w.faults(inputs, w.plan(inputs, w.swap(w.windows(inputs), gamma))) == set()


def test_rules_about_one_window_say_nothing_of_the_others() -> None:
    inputs = w.scenario()
    built = two_parts_on_one_day(inputs)
    assert check_plan(inputs, built, only=frozenset({WindowId("w-alpha")})) == ()
    found = check_plan(inputs, built, only=frozenset({WindowId("w-beta-3")}))
    assert {violation.rule for violation in found} == {"ROLLING_PARTS"}


def test_a_cluster_out_of_scope_owes_no_nodes() -> None:
    inputs = w.scenario()
    made = w.windows(inputs)
    stray = replace(made[0], id=WindowId("w-omega"), cluster=ClusterId("omega"))
    built = w.plan(inputs, [*made, stray], (w.unplanned(inputs, ["omega-n00"], Code.NO_ROOM),))
    found = w.faults(inputs, built)
    assert "NODES_IN_SCOPE" in found
    assert "WHOLE_CLUSTER" not in found
