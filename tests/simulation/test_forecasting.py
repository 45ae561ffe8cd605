"""The conductor's forecasts: kept, one number everywhere, told once when a promise comes to be at risk."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

from tests.simulation import small, stagehand

from fermata.domain.forecasts import Forecast
from fermata.domain.ids import WindowId
from fermata.domain.run_states import WindowState
from fermata.domain.updates import Duration
from fermata.services import runs as services
from fermata.services.forecasts import show_forecasts
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.log import CommandLog
from fermata.sim.mishaps import Command, Fates
from fermata.sim.site import open_site
from fermata.sim.world import World
from fermata.store import forecasts, journal

WINDOW = WindowId("win-c0")


def rig(folder: Path, *, faults: Faults = NO_FAULTS, back_by: time = time(19)) -> stagehand.Rig:
    campaign = small.campaign()
    daily = replace(campaign.daily_window, back_in_service_by=back_by)
    fleet = small.fleet(1, 24)
    url = stagehand.fresh_sqlite(folder)
    return stagehand.set_up(url, folder, fleet=fleet, campaign=replace(campaign, daily_window=daily), faults=faults)


def kept(found: stagehand.Rig, window: WindowId | None = WINDOW) -> tuple[Forecast, ...]:
    with found.database.read() as conn:
        return forecasts.of_window(conn, found.run, window)


def told(found: stagehand.Rig) -> list[tuple[str, str]]:
    with found.database.read() as conn:
        lines = journal.read_events(conn, ("forecast.at_risk", "forecast.safe_again"))
        return [(line.event, line.why) for line in lines if line.subject == f"window:{WINDOW}"]


def minutes(span: timedelta) -> float:
    return span / timedelta(minutes=1)


def test_every_half_hour_a_forecast_is_kept_and_they_close_in_on_the_end(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + timedelta(minutes=130))
    made = kept(found)
    assert len(made) >= 3
    slots = [(one.at.hour, one.at.minute // 30) for one in made]
    assert len(set(slots)) == len(slots)
    widths = [one.enough.bound - one.enough.median for one in made if one.enough is not None]
    assert len(widths) == len(made)
    assert widths[-1] < widths[0]


def test_board_status_and_forecast_say_the_same(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + timedelta(minutes=60))
    (window,) = services.status(found.database).windows
    last = show_forecasts(found.database).windows[0]
    assert window.state is WindowState.OPEN
    assert last.enough is not None
    assert last.late_minutes is not None
    assert window.behind == timedelta(minutes=last.late_minutes)
    assert window.forecast_end == last.enough.median
    assert window.forecast == last


def test_the_run_as_a_whole_is_forecast_too(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + timedelta(minutes=60))
    whole = show_forecasts(found.database).whole
    assert whole is not None
    assert whole.window is None
    assert whole.kept is not None
    assert whole.kept > 0.9
    assert [level.share for level in whole.back] == [0.9, 0.95, 1.0]


def test_a_slow_day_is_told_once_with_what_would_help(tmp_path: Path) -> None:
    """Everything takes three times as long as claimed, and capacity was promised back five minutes after the plan."""
    found = rig(tmp_path, back_by=time(13, 42))
    world = World(small.fleet(1, 24), small.catalogue(), NO_FAULTS, 1, CommandLog(None))
    world._fates = SlowFates(world._dice, NO_FAULTS, small.catalogue(), world.happened)  # noqa: SLF001 - the same dice
    found.site = open_site(world, found.clock)
    found.conduct(until=small.START + timedelta(minutes=150))
    events = [event for event, _ in told(found)]
    assert events == ["forecast.at_risk"]
    why = told(found)[0][1]
    assert "FORECAST_AT_RISK" in why
    assert "What would help" in why
    assert kept(found)[-1].is_alarming


def test_a_pause_takes_the_forecast_away_and_the_alarm_stays_as_it_was(tmp_path: Path) -> None:
    found = rig(tmp_path)
    found.conduct(until=small.START + timedelta(minutes=40))
    services.pause(found.database, small.CAMPAIGN, now=found.clock.now(), actor="test", why="a look")
    found.conduct(until=small.START + timedelta(minutes=80))
    paused = kept(found)[-1]
    assert paused.none is not None
    assert paused.enough is None
    assert not paused.is_alarming


def test_the_same_campaign_is_forecast_alike_even_after_a_restart(tmp_path: Path) -> None:
    plain, restarted = rig(_folder(tmp_path, "a")), rig(_folder(tmp_path, "b"))
    halfway, end = small.START + timedelta(minutes=45), small.START + timedelta(minutes=95)
    plain.conduct(until=halfway)
    restarted.conduct(until=halfway)
    restarted.restart()
    plain.conduct(until=end)
    restarted.conduct(until=end)
    assert _said(plain, halfway) == _said(restarted, halfway)


def _said(found: stagehand.Rig, until: datetime) -> list[Forecast]:
    return [one for one in kept(found) if one.at <= until]


def _folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


class SlowFates(Fates):
    """Everything takes three times as long as claimed."""

    def _duration(self, command: Command) -> Duration:
        claimed = super()._duration(command)
        return Duration(p50=3 * claimed.p50, p90=3 * claimed.p90)
