"""The forecast of a whole run: what is back, what is owed, what is planned to come."""

from dataclasses import replace
from datetime import datetime, timedelta

from tests.unit.planning import forecasts
from tests.unit.planning.forecasts import at

from fermata.domain.forecasts import Forecast
from fermata.domain.ids import WindowId
from fermata.domain.reasons import Code
from fermata.domain.run_states import WindowState
from fermata.planning.forecast.campaign import Remaining, forecast_run
from fermata.planning.forecast.evidence import Evidence
from fermata.planning.forecast.odds import find_odds

LAYOUT = forecasts.window()
ROW = forecasts.row(LAYOUT)
DEADLINE = at(5 * 24 * 60)
REST = Remaining(
    run=ROW.run,
    plan=ROW.plan,
    rows=(ROW,),
    open=(),
    confidence=((ROW, 0.95),),
    tail=0,
    back=0,
    threshold=0.95,
    deadline=DEADLINE,
)


def tell(rest: Remaining, now: datetime = at(0)) -> Forecast:  # noqa: B008 - a value
    odds = find_odds(Evidence(), forecasts.CATALOGUE, forecasts.CAMPAIGN.fallout, now)
    return forecast_run(rest, odds, was_alarming=False, now=now)


def test_what_is_to_come_ends_as_planned_as_surely_as_planned() -> None:
    found = tell(REST)
    assert found.enough is not None
    assert found.enough.median == ROW.planned_end
    assert found.enough.bound == ROW.planned_end
    assert found.kept_end is not None
    assert 0.9 < found.kept_end < 1.0
    assert found.kept == 1.0


def test_a_window_that_waits_past_its_start_ends_as_much_later() -> None:
    found = tell(REST, at(120))
    assert found.enough is not None
    assert found.enough.median == at(120) + (ROW.planned_end - ROW.planned_start)
    assert found.late_minutes == 120


def test_what_comes_after_the_deadline_is_at_risk() -> None:
    found = tell(replace(REST, deadline=at(60)))
    assert found.kept == 0.0
    assert found.is_alarming


def test_a_missed_window_leaves_no_forecast_until_it_is_planned_again() -> None:
    missed = replace(ROW, window=WindowId("win-x"), state=WindowState.MISSED)
    found = tell(replace(REST, rows=(ROW, missed)))
    assert found.none is not None
    assert found.none.code is Code.FORECAST_UNPLANNED
    assert found.enough is None
    again = tell(replace(REST, rows=(ROW, replace(missed, plan=replace(missed, plan=missed.plan).plan + "-old"))))  # type: ignore[arg-type]
    assert again.enough is not None


def test_the_tail_delays_all_of_the_baseline_and_not_its_threshold() -> None:
    found = tell(replace(REST, back=1000, tail=5))
    ninety, _, everything = found.back
    assert ninety.bound == at(0)
    assert everything.median > at(0) + timedelta(hours=4)


def test_when_everything_is_back_the_forecast_is_now() -> None:
    found = tell(replace(REST, rows=(), confidence=(), back=40))
    assert {level.bound for level in found.back} == {at(0)}
    assert found.kept == 1.0
