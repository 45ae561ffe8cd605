"""Impactless work on a shared device keeps to the times of every node behind it, whether the window took it or not."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_approvals import MANAGER, managers_only, say
from tests.simulation.test_conduct import states

from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.policy import AfterDue, Conditions, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.store import consent

pytestmark = pytest.mark.databases("sqlite")

FRIDAY = small.START + timedelta(days=4)
LAST = NodeId("c0-n007")  # behind MANAGER, as c0-n004 to c0-n006


def manager(rig: stagehand.Rig) -> UnitOp:
    (op,) = [op for op in rig.ops() if op.unit == MANAGER]
    return op


def runs(rig: stagehand.Rig) -> str:
    return rig.world.devices[DeviceId(MANAGER)].versions["rm_fw"]


def decline(rig: stagehand.Rig, until: datetime) -> None:
    """Until then no, then it may proceed."""
    with rig.database.begin() as conn:
        seq = len(consent.load_ledger(conn)) + 1
        scope = Scope(level=ScopeLevel.NODE, name=LAST)
        said = small.approval(small.catalogue(), Verdict.DECLINED, seq=seq, scope=scope)
        consent.append_entry(conn, replace(said, until=until, then=AfterDue.PROCEED))


@pytest.mark.parametrize("declined", [True, False])
def test_device_is_not_written_before_the_time_of_a_node_that_was_left_out_for_that(
    tmp_path: Path, declined: bool
) -> None:
    rig = managers_only(stagehand.fresh_sqlite(tmp_path), tmp_path)
    if declined:
        decline(rig, FRIDAY)
    else:
        say(rig, f"node {LAST}", Conditions(not_before=FRIDAY))
    rig.conduct()
    assert LAST not in states(rig)
    assert len(states(rig)) == 7
    op = manager(rig)
    assert (op.state, runs(rig)) == (UnitState.LEFT_OUT, "1.0")
    assert op.reason is not None
    assert op.reason.code is Code.OUTSIDE_WINDOWS
    assert f"{FRIDAY:%Y-%m-%d %H:%MZ}" in op.reason.sentence


def test_device_is_left_out_when_a_node_behind_it_that_stayed_gets_another_time(tmp_path: Path) -> None:
    rig = managers_only(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.world.nodes[LAST].gone_since = small.NOW  # so the window leaves it where it is
    words = []

    def put_off(point: str) -> None:
        if point == "observed" and not words:
            words.append(say(rig, f"node {LAST}", Conditions(not_before=FRIDAY)))

    rig.conduct(crash=put_off)
    op = manager(rig)
    assert (op.state, runs(rig)) == (UnitState.LEFT_OUT, "1.0")
    assert op.reason is not None
    assert op.reason.code is Code.OUTSIDE_WINDOWS


def test_device_is_written_in_the_times_of_all_behind_it(tmp_path: Path) -> None:
    rig = managers_only(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.world.nodes[LAST].gone_since = small.NOW
    say(rig, f"node {LAST}", Conditions(not_before=small.START, not_after=FRIDAY))
    rig.conduct()
    assert (manager(rig).state, runs(rig)) == (UnitState.PROVEN, "2.0")
