"""Tasks of one controller: states of DSP2046's Task, progress as a function of time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class TaskState(StrEnum):
    """Those of Redfish that the emulator uses."""

    NEW = "New"
    RUNNING = "Running"
    PENDING = "Pending"
    COMPLETED = "Completed"
    EXCEPTION = "Exception"
    CANCELLED = "Cancelled"


OVER = frozenset({TaskState.COMPLETED, TaskState.EXCEPTION, TaskState.CANCELLED})


@dataclass(slots=True, kw_only=True)
class Task:
    """One update, under way or over. PercentComplete counts from `began` to `ends`, from 0 to `most`."""

    id: str
    image: str
    version: str
    components: Sequence[str]
    staged: bool
    payload: dict[str, Any]
    started_at: datetime
    began: datetime
    ends: datetime
    state: TaskState = TaskState.RUNNING
    most: int = 100
    stuck_at: int | None = None
    ended_at: datetime | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Nothing of it goes on any more."""
        return self.state in OVER

    def percent_at(self, now: datetime) -> int:
        """0 to 100."""
        if self.state is TaskState.COMPLETED:
            return 100
        span = (self.ends - self.began).total_seconds()
        share = 1.0 if span <= 0 else min(1.0, max(0.0, ((self.ended_at or now) - self.began).total_seconds() / span))
        percent = int(share * self.most)
        return percent if self.stuck_at is None else min(percent, self.stuck_at)
