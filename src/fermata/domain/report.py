"""The report of a campaign: planned against actual, what came back, what failed, and where every node stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from fermata.domain.capacity_ledger import CapacityLine
from fermata.domain.ids import CampaignId, ClusterId, NodeId, PlanId, RunId, UpdateId, WindowId
from fermata.domain.plans import Mode
from fermata.domain.reasons import Reason
from fermata.domain.run_states import WindowState
from fermata.domain.tail import RepairTime
from fermata.domain.usage import Curve, LimitUse

SCHEMA = "fermata.report/1"


class Outcome(StrEnum):
    """Where one in-scope node stands. A returned node has proven all its targets; one in the tail is still held."""

    RETURNED = "returned"
    TAIL = "tail"
    OUT = "out"
    PLANNED = "planned"
    NOT_TAKEN = "not_taken"
    NO_WORK = "no_work"


class Punctuality(StrEnum):
    """How a window's end compares with its plan; `PUNCTUAL_WITHIN` on either side is on time."""

    AHEAD = "ahead"
    ON_TIME = "on_time"
    BEHIND = "behind"


PUNCTUAL_WITHIN = timedelta(minutes=5)  # one poll of a verification more or less is neither ahead nor behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Start and end, UTC; an end of None has not come yet."""

    start: datetime
    end: datetime | None

    @property
    def minutes(self) -> int | None:
        """Whole minutes, rounded; None while the end has not come."""
        return None if self.end is None else round((self.end - self.start) / timedelta(minutes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLine:
    """One window, planned against actual. `actual` None: it never opened. `reason` says why it was missed or held.

    `ready_at`: when as many of its baseline were back as the campaign's return threshold asks; None: not yet.
    """

    id: WindowId
    plan: PlanId
    cluster: ClusterId
    mode: Mode
    part: int
    parts: int
    state: WindowState
    nodes_planned: int
    nodes_taken: int
    nodes_returned: int
    nodes_tail: int
    baseline: int
    planned: Span
    actual: Span | None
    ready_at: datetime | None
    back_by: datetime
    reason: Reason | None

    @property
    def has_ended(self) -> bool:
        """True when it opened and is over."""
        return self.actual is not None and self.actual.end is not None

    @property
    def late(self) -> timedelta | None:
        """When it was ready, or else over, minus its planned end; negative is ahead. None until it ended."""
        if self.actual is None or self.actual.end is None or self.planned.end is None:
            return None
        return (self.ready_at or self.actual.end) - self.planned.end

    @property
    def punctuality(self) -> Punctuality | None:
        """None until it ended."""
        if self.late is None:
            return None
        if abs(self.late) <= PUNCTUAL_WITHIN:
            return Punctuality.ON_TIME
        return Punctuality.AHEAD if self.late < timedelta(0) else Punctuality.BEHIND

    @property
    def kept_promise(self) -> bool | None:
        """True when it was ready by the time at which capacity was promised back; None until it ended."""
        return None if not self.has_ended else self.ready_at is not None and self.ready_at <= self.back_by


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """One in-scope node. `targets` maps each component that had an update due to its target version; `proven` holds
    those of them that the node was seen to run.

    `as_found` is True for a node that was out of service when its window opened and was left so.
    """

    node: NodeId
    cluster: ClusterId
    outcome: Outcome
    window: WindowId | None
    out: Span | None
    targets: Mapping[str, str]
    proven: Mapping[str, str]
    retries: int
    as_found: bool
    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLine:
    """One calendar day of the campaign's zone: node-hours out, planned and actual, and the worst instant."""

    day: date
    planned_node_hours: float
    actual_node_hours: float
    nodes_out_max: int
    in_service_share_min: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What was taken from the baseline (in-scope nodes in service before the first window) and what came back."""

    baseline: int
    planned_node_hours: float
    actual_node_hours: float
    nodes_out_max: int
    in_service_share_min: float
    in_service_share_now: float
    returned: int
    owed: int
    days: tuple[DayLine, ...]
    out_curve: Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLine:
    """One kind of failure: how often it was seen, on how many nodes, and how many of those ended in the tail."""

    kind: str
    sentence: str
    seen: int
    nodes: int
    ended_in_tail: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """One update's target version: on how many units it was due when their window was planned, and proven since."""

    update: UpdateId
    target: str
    component: str
    version: str
    due: int
    proven: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """One plan that the campaign's run followed, oldest first."""

    id: PlanId
    parent: PlanId | None
    windows: int
    unplanned: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything `fermata report` shows. `as_of` is the run's own time; windows by start, nodes by name.
    `accounts`: the capacity ledger by customer. `repairs`: how long they took.
    """

    campaign: CampaignId
    title: str
    timezone: str
    as_of: datetime
    runs: tuple[RunId, ...]
    plans: tuple[PlanLine, ...]
    windows: tuple[WindowLine, ...]
    capacity: Capacity
    accounts: tuple[CapacityLine, ...]
    repairs: tuple[RepairTime, ...]
    failures: tuple[FailureLine, ...]
    versions: tuple[VersionLine, ...]
    limits: tuple[LimitUse, ...]
    nodes: tuple[NodeLine, ...]

    @property
    def tail(self) -> tuple[NodeLine, ...]:
        """The nodes that were not proven, each with its reason."""
        return tuple(line for line in self.nodes if line.outcome is Outcome.TAIL)

    @property
    def unproven(self) -> tuple[NodeLine, ...]:
        """Nodes that were returned without proof of every target. Always empty, or the conductor is wrong."""
        return tuple(
            line for line in self.nodes if line.outcome is Outcome.RETURNED and dict(line.proven) != dict(line.targets)
        )

    def count(self, outcome: Outcome) -> int:
        """In-scope nodes with that outcome."""
        return sum(line.outcome is outcome for line in self.nodes)

    @property
    def is_complete(self) -> bool:
        """True when no in-scope node is out or still to be taken."""
        return not any(line.outcome in {Outcome.OUT, Outcome.PLANNED} for line in self.nodes)
