"""What is said of a window: late or early, why, at risk, what would help; and when nothing is said at all."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.planning import forecasts
from tests.unit.planning.forecasts import at

from fermata.domain.forecasts import Forecast, Remedy
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code
from fermata.planning.forecast.outlook import look_out
from fermata.planning.forecast.remedies import Sick, droppable, find_helps, steps_of
from fermata.planning.forecast.telling import Asked, forecast_window

LAYOUT = forecasts.window()
SCRIPT = LAYOUT.script
PENDING = forecasts.pending(LAYOUT)
LATER = at(1000)
CALM = Asked(threshold=0.95, was_alarming=False, is_paused=False)


def tell(
    ops: list[UnitOp], now: datetime, *, back_by: datetime = LATER, asked: Asked = CALM, slow: bool = False
) -> Forecast:
    evidence = forecasts.observed("nic", [40] * 60) if slow else None
    row = replace(forecasts.row(LAYOUT), back_by=back_by)
    return forecast_window(row, LAYOUT, ops, forecasts.learn(evidence, ops, now=now), asked, now)


def test_a_paused_run_has_no_forecast() -> None:
    found = tell(PENDING, at(0), asked=replace(CALM, is_paused=True))
    assert found.none is not None
    assert found.none.code is Code.FORECAST_PAUSED
    assert (found.back, found.enough, found.kept, found.late_minutes) == ((), None, None, None)


def test_units_without_a_fresh_word_leave_no_forecast() -> None:
    unseen = frozenset(op.unit for op in PENDING[:10])
    found = tell(PENDING, at(0), asked=replace(CALM, unseen=unseen))
    assert found.none is not None
    assert found.none.code is Code.FORECAST_UNSEEN
    assert min(unseen) in found.none.sentence


def test_a_single_unit_without_a_fresh_word_is_taken_to_begin_its_step_only_now() -> None:
    verifying = [forecasts.verifying(SCRIPT, op, at(0)) for op in PENDING]
    known = tell(verifying, at(10)).back[-1]
    doubted = tell(verifying, at(10), asked=replace(CALM, unseen=frozenset({verifying[0].unit}))).back[-1]
    assert doubted.bound > known.bound - timedelta(minutes=5)
    assert doubted.nodes == known.nodes == 40


def test_nodes_that_were_out_of_service_are_no_baseline() -> None:
    found = tell([replace(op, in_service_before=False) for op in PENDING], at(0))
    assert found.none is not None
    assert found.none.code is Code.FORECAST_NO_BASELINE


def test_who_has_time_is_not_at_risk_and_hears_of_no_remedy() -> None:
    found = tell(PENDING, at(0), back_by=at(2000))
    assert found.kept == 1.0
    assert not found.is_alarming
    assert found.helps == ()


def test_slow_steps_are_late_and_named() -> None:
    found = tell(PENDING, at(0), slow=True)
    assert found.late_minutes is not None
    assert found.late_minutes > 0
    assert "nic takes" in found.why
    assert "claimed 10" in found.why


def test_the_last_nodes_are_named_with_what_they_are_at() -> None:
    verifying = [
        forecasts.verifying(SCRIPT, op, at(0)) if op.kind is UnitKind.DEVICE or op.id else replace(op, step="drain")
        for op in PENDING
    ]
    verifying[0] = replace(verifying[0], state=UnitState.DRAINING, step_started_at=at(0))
    found = tell(verifying, at(5))
    assert f"last: {verifying[0].unit} (at its drain)" in found.why


def test_a_promise_at_risk_hears_what_would_help_best_first() -> None:
    found = tell(PENDING, at(0), back_by=at(105))
    assert found.kept is not None
    assert found.is_alarming
    assert found.helps
    assert [one.kept for one in found.helps] == sorted((one.kept for one in found.helps), reverse=True)
    assert all(one.kept > found.kept for one in found.helps)
    assert all(one.sentence for one in found.helps)
    assert Remedy.RETURN_EARLY in {one.remedy for one in found.helps}


def sick(ops: list[UnitOp], back_by: datetime) -> Sick:
    row = replace(forecasts.row(LAYOUT), back_by=back_by)
    learned = forecasts.learn()
    outlook = look_out(row, LAYOUT, ops, learned, at(0))
    return Sick(row=row, layout=LAYOUT, ops=ops, learned=learned, outlook=outlook, threshold=0.95)


def test_only_what_nobody_began_and_nothing_builds_on_can_be_dropped() -> None:
    names = {update.id for update in droppable(SCRIPT, PENDING)}
    assert {"os", "gpu", "bmc", "tor", "manager"} == names  # nic needs the leaf, and os comes after nic
    begun = [replace(PENDING[0], applied=SCRIPT.bits[SCRIPT.updates[0].id]), *PENDING[1:]]
    assert SCRIPT.updates[0].id not in {update.id for update in droppable(SCRIPT, begun)}


def test_a_dropped_update_takes_its_own_reboot_with_it() -> None:
    update = next(update for update in SCRIPT.updates if update.id == "os")
    labels = [SCRIPT.labels[index] for index in sorted(steps_of(SCRIPT, update))]
    assert [label.split(":")[0] for label in labels] == ["apply", "apply", "reboot"]


def test_dropping_an_update_helps_by_what_it_takes() -> None:
    patient = sick(PENDING, at(100))
    drops = [one for one in find_helps(patient) if one.remedy is Remedy.DROP_STEP]
    assert "leave os for another window" in drops[0].sentence
    assert drops[0].kept > patient.outlook.kept(0.95, at(100)) + 0.3


@pytest.mark.parametrize("minutes", [10, 5000])
def test_what_is_lost_or_safe_anyway_hears_of_nothing(minutes: int) -> None:
    assert find_helps(sick(PENDING, at(minutes))) == ()
