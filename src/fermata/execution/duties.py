"""What the conductor does from time to time, whatever is due: each duty has its pace, and works on the whole run."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.operations import Run
from fermata.execution.accounts import tell_ready
from fermata.execution.baking import watch_bake
from fermata.execution.closing import measure_pace, take_sample
from fermata.execution.patrol import PATROL, PATROL_EVERY, patrol
from fermata.execution.recovering import roll_back_stopped
from fermata.execution.runner import plan_again
from fermata.execution.stage import Stage


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
    Duty(name="roll_back", every=timedelta(minutes=5), do=roll_back_stopped),
    Duty(name="bake", every=timedelta(minutes=10), do=watch_bake),
    Duty(name="ready", every=timedelta(minutes=10), do=tell_ready),
    Duty(name="replan", every=timedelta(minutes=15), do=plan_again),
)
