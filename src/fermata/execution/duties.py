"""What the conductor does from time to time, whatever is due: each duty has its pace, and works on the whole run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.node_states import OUT, UnitKind
from fermata.domain.operations import Run
from fermata.execution.closing import measure_pace, take_sample
from fermata.execution.patrol import PATROL_EVERY, patrol
from fermata.execution.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Done when work was looked at and `every` has passed since it was last done; at once after a restart.

    `punctual`: while nodes are out the loop wakes for it, even when nothing else is due.
    """

    name: str
    every: timedelta
    do: Callable[[Stage, Run, datetime], None]
    punctual: bool = False


# Ten minutes: a forecast that moves faster than a person reads is noise.
DUTIES = (
    Duty(name="pace", every=timedelta(minutes=10), do=measure_pace),
    Duty(name="patrol", every=PATROL_EVERY, do=patrol, punctual=True),
    Duty(name="sample", every=timedelta(minutes=10), do=take_sample),
)


def next_duty(done_at: Mapping[str, datetime], stage: Stage, now: datetime) -> datetime | None:
    """When the loop has to wake for a punctual duty, or None while no node is out."""
    if not any(op.kind is UnitKind.NODE and op.state in OUT for op in stage.roster.working()):
        return None
    return min((done_at.get(duty.name, now) + duty.every for duty in DUTIES if duty.punctual), default=None)
