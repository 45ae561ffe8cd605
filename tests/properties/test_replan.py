"""Whatever happens to a campaign under way, a re-plan passes the checker, keeps what ran, and moves little."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.planning import bench as b
from tests.unit.planning.replanning import CAMPAIGN, INPUTS, LIMIT, PARENT, again

from fermata.domain.ids import NodeId
from fermata.domain.observed import Fate, Observed, Stretch, WindowSeen, Withdrawal
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.replanning import find_standing, weigh_moves
from fermata.planning.inputs import Infeasible, Planned, PlanningInput
from fermata.planning.planner import plan_campaign

pytestmark = pytest.mark.timeout(300)  # every plan there is: a busy machine needs minutes

CLUSTERS = sorted(INPUTS.fleet.clusters)
FIRST = datetime(2026, 1, 5, tzinfo=UTC)


@st.composite
def surprises(draw: st.DrawFn) -> PlanningInput:
    """A moment of the campaign, what became of each window that has begun, and what else happened."""
    now = FIRST + timedelta(hours=draw(st.integers(0, 140)))
    windows = []
    for window in PARENT.windows:
        if window.start < now:
            fate = draw(st.sampled_from([Fate.DONE, Fate.DONE, Fate.MISSED]))
            if fate is Fate.DONE and window.end > now:
                fate = Fate.RUNNING
            left = draw(st.sets(st.sampled_from(window.nodes), max_size=1)) if fate is Fate.DONE else set()
            windows.append(WindowSeen(window=window.id, fate=fate, again=tuple(sorted(left))))
        elif draw(st.integers(0, 9)) == 0:
            windows.append(WindowSeen(window=window.id, fate=Fate.CANCELLED))
    left_it = draw(st.none() | st.sampled_from(CLUSTERS))
    leaving = (Withdrawal(scope=Scope(level=ScopeLevel.CLUSTER, name=left_it), why="a launch"),) if left_it else ()
    observed = Observed(
        windows=tuple(windows), withdrawn=leaving, stretch=Stretch(overall=draw(st.sampled_from([1.0, 1.0, 1.1])))
    )
    day = FIRST + timedelta(days=draw(st.integers(0, 6)))
    freezes = (b.make_freeze(draw(st.sampled_from(CLUSTERS)), day, day + timedelta(days=2)),)
    limits = (replace(LIMIT, at_once=draw(st.integers(6, 10))), *CAMPAIGN.limits[1:])
    return again(
        now=now,
        observed=observed,
        policy=replace(INPUTS.policy, freezes=freezes if draw(st.booleans()) else ()),
        campaign=replace(CAMPAIGN, limits=limits),
    )


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(surprises())
def test_a_re_plan_keeps_what_ran_and_every_promise_or_says_so(inputs: PlanningInput) -> None:
    outcome = plan_campaign(inputs, new_plan_id="plan_2", hashes=b.HASHES)  # raises when the checker faults it
    assume(isinstance(outcome, Planned))
    assert isinstance(outcome, Planned)
    standing = inputs.standing
    assert set(standing.history) <= set(outcome.plan.windows)
    starts = {name: window.start for window in outcome.plan.windows for name in window.nodes}
    waits = {name for group in outcome.plan.unplanned for name in group.nodes}
    for window in standing.held:
        assert all(starts.get(name, window.start) == window.start for name in window.nodes)
        assert all(name in starts or name in waits for name in window.nodes)
    assert outcome.plan.objective[1].value == weigh_moves(standing, outcome.plan.windows, now=inputs.now) / 100
    assert {group.reason.code for group in outcome.plan.unplanned} <= {Code.CONSENT_AGAIN, Code.WITHDRAWN}


@settings(derandomize=True, max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 140))
def test_nothing_moves_when_nothing_happened(hours: int) -> None:
    inputs = again(now=FIRST + timedelta(hours=hours))
    outcome = plan_campaign(inputs, new_plan_id="plan_2", hashes=b.HASHES)
    assert not isinstance(outcome, Infeasible)
    assert outcome.plan.windows == PARENT.windows


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(surprises())
def test_every_window_of_the_parent_has_exactly_one_standing(inputs: PlanningInput) -> None:
    standing = find_standing(
        PARENT, inputs.observed, inputs.fleet, inputs.pending_now, now=inputs.now, lead=inputs.lead
    )
    named = [w.id for w in (*standing.history, *standing.lapsed, *standing.held, *standing.movable)]
    assert len(named) == len(set(named))
    gone = {w.id for w in PARENT.windows} - set(named)
    assert all(set(w.nodes) <= standing.again for w in PARENT.windows if w.id in gone)
    taken = [name for window in standing.history for name in window.nodes]
    assert len(taken) == len(set(taken))
    assert not {NodeId(name) for name in taken} & standing.again
