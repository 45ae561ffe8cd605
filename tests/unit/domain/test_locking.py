"""A lock that is refused, or whose answer was lost and that does not hold: the node is left out, or locked anew."""

from dataclasses import replace

import pytest
from tests.unit.domain.test_decide import FACTS, NOW
from tests.unit.domain.test_late_freezes import HOUR, LOCKED, judged, op

from fermata.domain.decisions import Begin, Leave, Postpone, Watch, settle
from fermata.domain.ids import step_key
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind
from fermata.domain.node_states import UnitEvent, UnitState
from fermata.domain.observations import Denied, Failed
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.reasons import Code
from fermata.domain.run_states import Desired
from fermata.domain.scripts import LOCK
from fermata.domain.settle import judge_answer

RESUMED = Failed(at=NOW, why="c0-n001 was put back by somebody before lock had ended")
OURS = [
    pytest.param({"astray_since": NOW - HOUR, "retries": {LOCK: 1}, "attempt": 2}, id="out-of-our-hands"),
    pytest.param({"begun": True, "retries": {LOCK: 1}, "attempt": 2}, id="repaired"),
    pytest.param({"taken_again_at": NOW - HOUR, "retries": {LOCK: 1}, "attempt": 2}, id="to-be-rolled-back"),
]


def word(desired: Desired) -> Intents:
    said = Intent(kind=ScopeKind.FLEET, scope=EVERYWHERE, desired=desired, actor="ann", why="smoke", at=NOW)
    return Intents(words=(said,))


def key(row: UnitOp) -> str:
    return step_key(row.run, row.window, row.unit, row.step, row.attempt)


@pytest.mark.parametrize("desired", [Desired.RUN, Desired.STOP, Desired.ABORT])
def test_node_whose_lock_was_taken_off_before_anybody_saw_it_is_left_out_with_the_reason(desired: Desired) -> None:
    facts = FACTS if desired is Desired.RUN else replace(FACTS, intents=word(desired))
    decided = judged(op(LOCKED, Asked.UNSURE), RESUMED, facts)
    assert isinstance(decided, Leave)
    assert decided.event is UnitEvent.LEAVE_OUT
    assert decided.reason is not None
    assert decided.reason.code is Code.NOT_LOCKED
    assert "put back by somebody" in decided.reason.sentence


@pytest.mark.parametrize("more", OURS)
@pytest.mark.parametrize("desired", [Desired.RUN, Desired.STOP, Desired.ABORT])
def test_node_that_was_begun_is_locked_anew_under_a_key_that_was_never_used(
    more: dict[str, object], desired: Desired
) -> None:
    facts = FACTS if desired is Desired.RUN else replace(FACTS, intents=word(desired))
    row = op(LOCKED, Asked.UNSURE, **more)
    used = {key(row)}
    for _ in range(3):
        decided = judged(row, RESUMED, facts)
        assert isinstance(decided, Begin)
        assert decided.event is UnitEvent.LOCK
        row = replace(settle(row, decided, NOW), asked=Asked.UNSURE)
        assert (row.state, row.astray_since) == (LOCKED, more.get("astray_since"))
        assert key(row) not in used
        used.add(key(row))


def test_pause_locks_nobody_anew() -> None:
    row = op(LOCKED, Asked.UNSURE, astray_since=NOW - HOUR, retries={LOCK: 1}, attempt=2)
    assert isinstance(judged(row, RESUMED, replace(FACTS, intents=word(Desired.PAUSE))), Watch)


def test_node_that_refuses_its_lock_is_left_out_with_the_reason() -> None:
    row = op(LOCKED, Asked.INTENDED)
    answer = judge_answer(row, Denied(why="it is in maintenance"), FACTS)
    after = settle(row, answer, NOW)
    assert after.state is UnitState.LEFT_OUT
    assert after.reason is not None
    assert (after.reason.code, "it is in maintenance" in after.reason.sentence) == (Code.NOT_LOCKED, True)


@pytest.mark.parametrize("more", OURS)
def test_node_that_was_begun_is_not_left_whatever_its_target_says(more: dict[str, object]) -> None:
    answer = judge_answer(op(LOCKED, Asked.INTENDED, **more), Denied(why="it is in maintenance"), FACTS)
    assert isinstance(answer, Postpone)
