"""What the conductor does from time to time, whatever is due: each duty has its pace, and works on the whole run."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.operations import Run
from fermata.execution.accounts import tell_ready
from fermata.execution.baking import watch_bake
from fermata.execution.closing import measure_pace, take_sample
from fermata.execution.early import pull_forward
from fermata.execution.patrol import PATROL, PATROL_EVERY, patrol
from fermata.execution.runner import foresee, plan_again
from fermata.execution.stage import Stage
from fermata.execution.trains import run_trains


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Done when work was looked at and `every` has passed since it was last done; at once after a restart."""

    name: str
    every: timedelta
    do: Callable[[Stage, Run, datetime], None]


# Ten minutes: a forecast that moves faster than a person reads is noise.
DUTIES = (
    Duty(name="pace", every=timedelta(minutes=10), do=measure_pace),
    Duty(name=PATROL, every=PATROL_EVERY, do=patrol),
    Duty(name="sample", every=timedelta(minutes=10), do=take_sample),
    Duty(name="bake", every=timedelta(minutes=10), do=watch_bake),
    Duty(name="ready", every=timedelta(minutes=10), do=tell_ready),
    Duty(name="trains", every=timedelta(hours=2), do=run_trains),
    Duty(name="early", every=timedelta(minutes=10), do=pull_forward),
    Duty(name="replan", every=timedelta(minutes=15), do=plan_again),
    Duty(name="foresight", every=timedelta(hours=1), do=foresee),
)
