"""How likely a campaign misses its deadline as things stand, what drives it, and what would help."""

from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.ids import ClusterId, PlanId, RunId, WindowId
from fermata.domain.reasons import Reason

ALERT_ABOVE = 0.1  # more likely than one in ten: a person is told, with what would help


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A window that ends after the deadline, or does not run in time for it, in that share of the plays."""

    window: WindowId
    cluster: ClusterId
    nodes: int
    missed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One change that was planned and played: with it the deadline is missed in that share of the plays. `moved`:
    published windows that would start at another time.
    """

    change: str
    missed: float
    moved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FanDay:
    """Nodes back, proven, by the end of a campaign day: in half of the plays, and in nine of ten, so many or more.
    Nodes of windows that do not run on their day, and those on the tail list, are not counted.
    """

    day: date
    median: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineRisk:
    """What was foreseen at `at` of the plan in force, over so many `plays` of what is left of it.

    `missed`: the share of plays in which enough nodes of some window are not back by the deadline. `late_node_days`:
    nodes times days after it, the mean and what one play in ten exceeds, tail list included. `homeless`: nodes that
    still need a window and have none. `drivers` by how often they miss it. `remedies` as tried at
    `remedies_at`. `alert` None: not likely enough to tell. `fan`: from the first day with a window to come to the
    deadline or the last window, whichever is later; empty when no window is left.
    """

    run: RunId
    plan: PlanId
    at: datetime
    deadline: datetime
    plays: int
    missed: float
    late_node_days: float
    late_node_days_p90: float
    windows: int
    homeless: int
    drivers: tuple[Driver, ...]
    remedies: tuple[Remedy, ...] = ()
    remedies_at: datetime | None = None
    alert: Reason | None = None
    fan: tuple[FanDay, ...] = ()
    seq: int = 0
