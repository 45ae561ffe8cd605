"""With a control phase no checked plan lets others start before it has ended and baked, however campaigns vary."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from tests.properties.tiny import freezes
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.control import choose_control
from fermata.domain.phases import DECIDES, ControlPhase, GateTerms, Phases
from fermata.domain.plans import Plan, Window
from fermata.domain.updates import Impact
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Infeasible, Planned, PlanningInput

pytestmark = pytest.mark.timeout(300)  # a busy machine needs minutes

FIRSTS = (date(2026, 1, 5), date(2026, 3, 6))
QUICK = b.make_update("nic", "nic_fw", 30, Impact.REBOOTFUL)
TOLD = {"CONTROL_TOO_LARGE", "CONTROL_NO_DAY", "CONTROL_TOO_LATE", "CONTROL_IN_THE_WAY"}


@st.composite
def phased_campaigns(draw: st.DrawFn) -> PlanningInput:
    """Three to five clusters of one to nine nodes, some of which roll, with a control phase and a few limits."""
    names = "abcde"[: draw(st.integers(3, 5))]
    clusters = [
        replace(b.make_cluster(name, rolling=draw(st.booleans())), sku=draw(st.sampled_from(["H100", "H200"])))
        for name in names
    ]
    racks = st.lists(st.integers(1, 3), min_size=1, max_size=3)
    nodes = [node for cluster in clusters for node in b.make_nodes(cluster, draw(racks))]
    first = draw(st.sampled_from(FIRSTS))
    gate = GateTerms(at_least=draw(st.sampled_from([1, 20])), bake=timedelta(minutes=draw(st.integers(0, 30)) * 60))
    limits = draw(st.lists(st.integers(3, 9).map(out_at_once), max_size=1))
    made = b.make_campaign(
        first_day=first,
        deadline=first + timedelta(days=2),
        extension_until=first + timedelta(days=5),
        limits=tuple(limits),
        rolling=c.Rolling(min_fraction_per_day=0.1, max_fraction_per_day=draw(st.sampled_from([0.4, 0.7]))),
        phases=Phases(control=ControlPhase(max_fraction=draw(st.sampled_from([0.05, 0.15, 0.3])), gate=gate)),
    )
    update = draw(st.sampled_from([QUICK, b.LONG_NIC]))
    return b.make_inputs(
        b.make_fleet(clusters, nodes),
        b.make_catalogue(update),
        made,
        *draw(st.lists(freezes(first, nodes), max_size=1)),
        now=datetime(first.year, first.month, first.day, tzinfo=b.NOW.tzinfo),
    )


def out_at_once(most: int) -> c.Limit:
    return c.Limit(what=c.LimitKind.NODES_OUT, at_once=most)


def divide(inputs: PlanningInput, plan: Plan) -> tuple[list[Window], list[Window]]:
    """The windows that go first by the conductor's reading, and the others."""
    phase = inputs.campaign.phases.control
    assert phase is not None
    names = choose_control(plan.windows, phase, inputs.fleet)
    return [w for w in plan.windows if w.id in names], [w for w in plan.windows if w.id not in names]


def early(inputs: PlanningInput, first: Sequence[Window], others: Sequence[Window]) -> list[Window]:
    """The others that start before the bake is over."""
    phase = inputs.campaign.phases.control
    assert phase is not None
    opens = max(window.end for window in first) + phase.gate.bake + DECIDES
    return [window for window in others if window.start < opens]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(phased_campaigns())
def test_no_window_of_others_starts_before_the_control_windows_have_baked(inputs: PlanningInput) -> None:
    outcome = b.plan(inputs)
    event(type(outcome).__name__)
    if isinstance(outcome, Infeasible):
        free = b.plan(replace(inputs, campaign=replace(inputs.campaign, phases=Phases())))
        told = {clash.rule for clash in outcome.clashes}
        assert isinstance(free, Infeasible) or told & TOLD, "what stands in the way is told"
        return
    first, others = divide(inputs, outcome.plan)
    total = sum(len(window.nodes) for window in outcome.plan.windows)
    control = inputs.campaign.phases.control
    assert control is not None
    assert first
    assert sum(len(window.nodes) for window in first) <= control.max_fraction * total + 1e-9
    assert early(inputs, first, others) == []


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(phased_campaigns(), st.data())
def test_checker_faults_exactly_the_plans_in_which_others_are_early(inputs: PlanningInput, data: st.DataObject) -> None:
    """Any window is moved to any hour: the rule speaks up when then somebody is early, or nobody first."""
    outcome = b.plan(inputs)
    assume(isinstance(outcome, Planned))
    assert isinstance(outcome, Planned)
    windows = list(outcome.plan.windows)
    number = data.draw(st.integers(0, len(windows) - 1))
    by = timedelta(minutes=30 * data.draw(st.integers(-100, 100)))
    windows[number] = replace(windows[number], start=windows[number].start + by, end=windows[number].end + by)
    moved = replace(outcome.plan, windows=tuple(windows))
    faulted = any(violation.rule == "CONTROL_FIRST" for violation in check_plan(inputs, moved))
    first, others = divide(inputs, moved)
    event(f"faulted: {faulted}")
    assert faulted == (not first or bool(early(inputs, first, others)))
