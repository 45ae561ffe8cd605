"""Ahead, on time, behind: against the promised end, with the spare time used up first."""

from datetime import UTC, datetime, timedelta

import pytest

from fermata.domain.ids import ClusterId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.pace import minutes_behind
from fermata.domain.plans import DrainStep, Mode, NodeApplyStep, RebootStep, VerifyStep, Window
from fermata.domain.scripts import WindowScript

START = datetime(2026, 1, 5, 19, tzinfo=UTC)
VERIFY = timedelta(minutes=10)
DRAIN_STEP, APPLY_STEP, REBOOT_STEP, VERIFY_STEP = range(4)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


# Drain 0-10, apply 10-50, reboot 50-60, verify 60-120: without spare time a node is back at 70, promised is 120.
STEPS = (
    DrainStep(start=at(0), end=at(10)),
    NodeApplyStep(update=UpdateId("nic"), batch=1, batches=1, nodes=20, start=at(10), end=at(50)),
    RebootStep(nodes=20, activates=(UpdateId("nic"),), start=at(50), end=at(60)),
    VerifyStep(start=at(60), end=at(120)),
)
SCRIPT = WindowScript(
    window=Window(
        id=WindowId("w"),
        cluster=ClusterId("c"),
        mode=Mode.WHOLE,
        part=1,
        parts=1,
        start=at(0),
        end=at(120),
        nodes=(),
        updates=(UpdateId("nic"),),
        steps=STEPS,
        reboots_per_node=1,
        end_confidence=0.9,
    ),
    steps=STEPS,
    updates=(),
    nodes={},
    devices={},
)


def node(state: UnitState, position: int, since: int | None = None) -> UnitOp:
    return UnitOp(
        id=1,
        run=RunId("r"),
        window=WindowId("w"),
        unit="n",
        kind=UnitKind.NODE,
        cluster=ClusterId("c"),
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=state,
        position=position,
        step_started_at=None if since is None else at(since),
    )


def pace(now: int, *nodes: UnitOp, may_miss: int = 0) -> int | None:
    return minutes_behind(SCRIPT, nodes, may_miss=may_miss, verify=VERIFY, now=at(now))


@pytest.mark.parametrize(
    ("now", "state", "position", "since", "behind"),
    [
        pytest.param(0, UnitState.PENDING, DRAIN_STEP, None, 0, id="as planned"),
        pytest.param(5, UnitState.DRAINING, DRAIN_STEP, 0, 0, id="draining as planned"),
        pytest.param(40, UnitState.DRAINING, DRAIN_STEP, 0, 0, id="slow drain eats spare time"),
        pytest.param(90, UnitState.DRAINING, DRAIN_STEP, 0, 30, id="slow drain ate more than there is"),
        pytest.param(20, UnitState.APPLYING, APPLY_STEP, 10, 0, id="writing as planned"),
        pytest.param(20, UnitState.APPLYING, APPLY_STEP, 4, -6, id="begun before the plan"),
        pytest.param(70, UnitState.APPLYING, APPLY_STEP, 10, 0, id="writes longer than planned"),
        pytest.param(100, UnitState.APPLYING, APPLY_STEP, 60, 0, id="begun late, still in time"),
        pytest.param(100, UnitState.APPLYING, APPLY_STEP, 65, 5, id="begun too late"),
        pytest.param(60, UnitState.RESETTING, APPLY_STEP, 55, 0, id="writes again"),
        pytest.param(90, UnitState.RESETTING, APPLY_STEP, 55, 30, id="writes again too late"),
        pytest.param(20, UnitState.DRAINED, REBOOT_STEP, None, 0, id="waits for a step that is still to come"),
        pytest.param(95, UnitState.DRAINED, APPLY_STEP, None, 35, id="waits for its turn too long"),
        pytest.param(50, UnitState.VERIFYING, VERIFY_STEP, 45, -15, id="verifies early"),
        pytest.param(118, UnitState.VERIFYING, VERIFY_STEP, 115, 5, id="verifies across the end"),
        pytest.param(119, UnitState.PROVEN, VERIFY_STEP, 100, 0, id="proven in time"),
        pytest.param(127, UnitState.PROVEN, VERIFY_STEP, 100, 7, id="proven too late"),
    ],
)
def test_window_is_late_only_when_its_spare_time_is_used_up(
    now: int, state: UnitState, position: int, since: int | None, behind: int
) -> None:
    assert pace(now, node(state, position, since)) == behind


def test_nodes_that_may_miss_the_end_make_no_window_late() -> None:
    stuck, good = node(UnitState.DRAINING, DRAIN_STEP, 0), node(UnitState.VERIFYING, VERIFY_STEP, 95)
    assert pace(100, stuck, good, may_miss=1) == 0
    assert pace(100, stuck, stuck, good, may_miss=1) == 40


def test_tail_that_uses_up_what_may_miss_leaves_the_last_node_to_count() -> None:
    stuck, good = node(UnitState.DRAINING, DRAIN_STEP, 0), node(UnitState.VERIFYING, VERIFY_STEP, 95)
    assert pace(100, stuck, good, may_miss=-2) == 40


def test_nothing_working_has_no_pace() -> None:
    assert pace(100) is None
