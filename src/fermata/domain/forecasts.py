"""What is forecast of a window or a run: when capacity is back, how sure the promise is, and what would help."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.ids import RunId, WindowId
from fermata.domain.reasons import Reason

LEVELS = (0.90, 0.95, 1.00)  # of the baseline: the nodes of the window that were in service when it opened
BOUND = 0.90  # how sure the later of the two times is
KEPT_LEAST = 0.90  # below, somebody is told, and hears what would help
KEPT_AGAIN = 0.93  # from here on it is well again: what hovers about a limit is told once, not every ten minutes
ON_TIME = timedelta(minutes=5)  # nearer than a forecast can tell


class Timing(StrEnum):
    """Against the plan."""

    AHEAD = "ahead"
    ON_TIME = "on time"
    BEHIND = "behind"


class Remedy(StrEnum):
    """What a person may do about a promise that is at risk."""

    DROP_STEP = "drop_step"
    ADD_TEAM = "add_team"
    RETURN_EARLY = "return_early"
    CUT_TAIL = "cut_tail"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackAt:
    """When so many nodes, a `share` of the baseline, are back: as likely before as after `median`, nine times in ten
    before `bound`. Both are in the past, and equal, when they are.
    """

    share: float
    nodes: int
    median: datetime
    bound: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """One remedy, simulated: `kept` is how likely the promise would then be kept. `sentence` says what to do."""

    remedy: Remedy
    kept: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of a window, or with `window` None of the whole run, as it looked `at` one moment.

    `promised`: when capacity was promised back, of a run the end of its last day; `kept`: how likely that is, for
    the campaign's return threshold; `kept_end`: the same for the planned end. `late_minutes`: of the median against
    the plan, negative when early, 0 while it uses up the plan's spare time. `none`: why nothing can be said; all else
    is then empty.
    """

    run: RunId
    window: WindowId | None
    at: datetime
    promised: datetime
    planned_end: datetime
    back: tuple[BackAt, ...] = ()
    enough: BackAt | None = None
    kept: float | None = None
    kept_end: float | None = None
    late_minutes: int | None = None
    why: str = ""
    helps: tuple[Help, ...] = ()
    is_alarming: bool = False
    none: Reason | None = None

    @property
    def timing(self) -> Timing | None:
        """In a word; None while nothing can be said."""
        return None if self.late_minutes is None else timing_of(timedelta(minutes=self.late_minutes))


def timing_of(late: timedelta) -> Timing:
    """So much late, or early, in a word."""
    if abs(late) <= ON_TIME:
        return Timing.ON_TIME
    return Timing.BEHIND if late > timedelta(0) else Timing.AHEAD


def is_alarming(kept: float | None, was: bool) -> bool:
    """Whether a promise kept with this probability is at risk. `was`: it was, at the last look, and stays so until it
    is clearly safe; what nothing is known of stays as it was.
    """
    if kept is None:
        return was
    return kept < (KEPT_AGAIN if was else KEPT_LEAST)
