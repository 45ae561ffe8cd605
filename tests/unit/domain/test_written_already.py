"""What a shared device runs by its own word, after a reset or a repair, is not written to it once more."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.domain.test_recovery import NOW, UNDO_TOR, facts, seen, switch

from fermata.domain.decide import Seen, decide
from fermata.domain.decisions import Decision, EndStep, GiveUp, Prove, Resume, Watch, carry_out
from fermata.domain.node_states import UnitState
from fermata.domain.observations import DeviceSeen, Succeeded
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.undoing import UNDO

HOUR = timedelta(hours=1)
RESET_OF_WRITE = "reset:apply:tor"


def mended(version: str) -> DeviceSeen:
    return replace(seen(version), repaired_at=NOW)


def looked(op: UnitOp, device: DeviceSeen | None, *, ended: bool = False) -> Decision:
    return decide(op, Seen(progress=Succeeded(at=NOW) if ended else None, device=device, looked=True), facts())


def failed(step: str, **more: object) -> UnitOp:
    return switch(state=UnitState.FAILED, step=step, failed_at=NOW - HOUR, tail_since=NOW - HOUR, **more)


def test_device_that_runs_its_target_when_it_was_repaired_is_proven() -> None:
    op = failed(RESET_OF_WRITE, undo=0, active=0, applied=0)
    decided = looked(op, mended("2.0"))
    assert isinstance(decided, Prove)
    after = carry_out(op, decided, NOW)
    assert (after.state, after.failed_at, after.finished_at) == (UnitState.PROVEN, None, NOW)
    assert isinstance(looked(op, mended("1.0")), Resume)
    assert isinstance(looked(op, seen("2.0")), Watch), "nobody says that it was repaired: it may fall back"


@pytest.mark.parametrize(("version", "expected"), [("1.0", Prove), ("2.0", Resume), ("1.0.1", Resume)])
def test_device_that_runs_its_last_known_good_when_its_people_are_through_is_rolled_back(
    version: str, expected: type[Decision]
) -> None:
    at_people = switch(state=UnitState.IN_REPAIR, step="repair", step_started_at=NOW - HOUR, failed_at=NOW - HOUR)
    assert isinstance(looked(at_people, mended(version)), expected)


@pytest.mark.parametrize("step", [f"reset:{UNDO_TOR}", f"reset:{UNDO}"])
def test_device_that_was_reset_on_its_way_back_is_read_before_it_is_written_again(step: str) -> None:
    op = switch(state=UnitState.RESETTING, step=step, asked=Asked.UNDER_WAY, limit_at=NOW + HOUR)
    assert isinstance(looked(op, seen("1.0"), ended=True), Prove)
    assert isinstance(looked(op, seen("2.0"), ended=True), EndStep)
    assert isinstance(looked(op, None, ended=True), Watch)
    away = replace(seen("1.0"), reachable=False)
    assert isinstance(looked(op, away, ended=True), Watch)
    assert isinstance(looked(replace(op, limit_at=NOW), away, ended=True), GiveUp)
