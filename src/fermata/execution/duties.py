"""What the conductor does from time to time, whatever is due: each duty has its pace, and works on the whole run."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.operations import Run
from fermata.execution.accounts import tell_ready
from fermata.execution.ahead import has_changed, keep_jobs_off
from fermata.execution.baking import watch_bake
from fermata.execution.closing import take_sample
from fermata.execution.early import pull_forward
from fermata.execution.forecasting import forecast
from fermata.execution.orders import follow_orders
from fermata.execution.recovering import roll_back_stopped
from fermata.execution.runner import foresee, is_foreseeing, plan_again
from fermata.execution.stage import Stage
from fermata.execution.tail import has_a_try_due, tend_tail
from fermata.execution.trains import run_trains
from fermata.execution.window_room import is_room_due, tend_rooms


def _never(_stage: Stage, _now: datetime) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Done when work was looked at and `every` has passed since it was last done; at once after a restart. By who leads
    the run; `of_cohorts`: by every worker, for the units that it moves. `is_due`: at once, whatever its pace.
    """

    name: str
    every: timedelta
    do: Callable[[Stage, Run, datetime], None]
    of_cohorts: bool = False
    is_due: Callable[[Stage, datetime], bool] = _never


# Ten minutes: a forecast that moves faster than a person reads is noise.
DUTIES = (
    Duty(name="forecast", every=timedelta(minutes=10), do=forecast),
    Duty(name="sample", every=timedelta(minutes=10), do=take_sample),
    Duty(name="jobs", every=timedelta(minutes=10), do=keep_jobs_off, is_due=has_changed),
    Duty(name="orders", every=timedelta(minutes=1), do=follow_orders),
    Duty(name="tail", every=timedelta(minutes=5), do=tend_tail, of_cohorts=True, is_due=has_a_try_due),
    Duty(name="roll_back", every=timedelta(minutes=5), do=roll_back_stopped),
    Duty(name="bake", every=timedelta(minutes=10), do=watch_bake),
    Duty(name="ready", every=timedelta(minutes=10), do=tell_ready),
    Duty(name="trains", every=timedelta(hours=2), do=run_trains),
    Duty(name="early", every=timedelta(minutes=10), do=pull_forward),
    Duty(name="replan", every=timedelta(minutes=15), do=plan_again),
    Duty(name="foresight", every=timedelta(hours=1), do=foresee, is_due=is_foreseeing),
    Duty(name="rooms", every=timedelta(minutes=30), do=tend_rooms, is_due=is_room_due),  # last: it tells of the others
)
