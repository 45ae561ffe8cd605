"""What a simulation reports: values only, for `fermata simulate` and for planning under a bound on breaches."""

from dataclasses import dataclass
from datetime import date

from fermata.domain.ids import ClusterId, WindowId


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRisk:
    """How likely a limit is exceeded at any instant, and on its worst day. `is_on_nodes`: it counts nodes out.

    `most`: the largest use at any instant, exceeded in one run of ten. `worst_day` None: on no day in any run.
    """

    limit: str
    is_on_nodes: bool
    allowed: int
    exceeded: float
    worst_day: date | None
    exceeded_on_worst_day: float
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRisk:
    """One window. `late`: the probability that enough of its nodes are not back at its planned end, by how many
    minutes in one run of ten; `promised`: the plan's own confidence. `missed`: that it does not open on its day.
    """

    window: WindowId
    cluster: ClusterId
    promised: float
    late: float
    late_minutes_p90: int
    missed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity over all runs."""

    mean: float
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRisk:
    """All runs of one way to hold limits: in the plan, or at run time by windows that wait (`gated`).

    `any_exceeded`: probability that any limit is; `any_nodes_exceeded`: any that counts nodes out. `kept`: windows
    that keep their planned end. `deadline_missed`: any window has not enough nodes back by the deadline.
    `late_node_days`: nodes times the days after the deadline on which they come back. `lost_node_hours`: from the
    opening of its window to each node's return. `waited_windows`, `missed_windows`, `missed_nodes`: opened late, and
    not on their day.
    """

    gated: bool
    any_exceeded: float
    any_nodes_exceeded: float
    limits: tuple[LimitRisk, ...]
    windows: tuple[WindowRisk, ...]
    kept: Spread
    deadline_missed: float
    late_node_days: Spread
    lost_node_hours: Spread
    waited_windows: Spread
    missed_windows: Spread
    missed_nodes: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFigures:
    """What the plan itself says of the same: no run of it ever goes wrong. `kept`: the sum of its confidences."""

    windows: int
    nodes: int
    kept: float
    late_windows: int
    late_node_days: int
    lost_node_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRisk:
    """The result of a simulation; `modes`: held in the plan, then, if asked, held at run time."""

    runs: int
    seed: int
    correlation: float
    planned: PlannedFigures
    modes: tuple[ModeRisk, ...]
