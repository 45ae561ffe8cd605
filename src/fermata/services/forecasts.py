"""What is forecast of a run and its windows, and how that came to be."""

from dataclasses import dataclass
from datetime import datetime

from fermata.domain.forecasts import Forecast
from fermata.domain.ids import CampaignId, RunId, WindowId
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import WindowState
from fermata.services.errors import Refusal
from fermata.store import forecasts, runs
from fermata.store.database import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """The newest forecast of a run, None before its first, and of its open windows, the least sure promise first.

    With one window asked for, `windows` is what was forecast of it so far, oldest first, one each half hour.
    """

    run: RunId
    as_of: datetime
    whole: Forecast | None
    windows: tuple[Forecast, ...]


def show_forecasts(
    database: Database, campaign: CampaignId | None = None, *, run: RunId | None = None, window: str | None = None
) -> Forecasts:
    """Of that run, or of the newest of the campaign. Refused when there is none, or `window` has no forecast."""
    with database.read() as conn:
        found = runs.load_run(conn, run) if run else runs.live_run(conn, campaign) or runs.latest_run(conn, campaign)
        if found is None:
            told = {"of": f" of {campaign}", "name": f" {campaign}"} if campaign else {"of": "", "name": ""}
            raise Refusal(reason(Code.RUN_NONE, **told))
        latest = forecasts.latest(conn, found.id)
        listed = _of_window(conn, found.id, window) if window is not None else _open(conn, found.id, latest)
    return Forecasts(run=found.id, as_of=found.clock_at, whole=latest.get(None), windows=listed)


def _of_window(conn: Connection, run: RunId, window: str) -> tuple[Forecast, ...]:
    found = forecasts.of_window(conn, run, WindowId(window))
    if not found:
        raise Refusal(reason(Code.FORECAST_NONE, what=window))
    return found


def _open(conn: Connection, run: RunId, latest: forecasts.Latest) -> tuple[Forecast, ...]:
    opened = [row.window for row in runs.load_windows(conn, run) if row.state is WindowState.OPEN]
    found = [latest[window] for window in opened if window in latest]
    return tuple(sorted(found, key=lambda one: (one.kept is not None, one.kept or 0.0, one.window or "")))
