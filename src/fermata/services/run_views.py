"""What an operator sees of a run, as values: `services.runs.status` assembles them, board, report and CLI show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.ahead import JobsAhead
from fermata.domain.campaign import Limit
from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.forecasts import Forecast
from fermata.domain.ids import CampaignId, ClusterId, OrderId, PlanId, RunId, UpdateId, WindowId
from fermata.domain.intents import Intent
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import LeftOut
from fermata.domain.planned_flights import PlannedFlight
from fermata.domain.plans import Mode
from fermata.domain.reasons import Reason
from fermata.domain.replans import Replan
from fermata.domain.run_states import Desired, ReplanMode, RunState, WindowState
from fermata.domain.tail import RepairTime, TailStep


@dataclass(frozen=True, slots=True, kw_only=True)
class TailEntry:
    """A unit that is out longer than promised, or that failed. `since`: on the list from then on.

    `owned_by`: BY_RULE of `domain.tail`, or who assigned the owner. `next_at`: when the next step is due; None: nobody
    knows. `promised_at`: when its repair is promised. `order`: the work order of its repair. `tries`: further tries
    since it is listed; `retry_wanted`: one more was asked for and not begun.
    """

    unit: str
    kind: UnitKind
    cluster: ClusterId
    window: WindowId
    state: UnitState
    step: str
    reason: Reason
    since: datetime
    age: timedelta
    owner: str
    owned_by: str
    next_step: TailStep
    next_at: datetime | None
    promised_at: datetime | None
    order: OrderId | None
    tries: int
    retry_wanted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStatus:
    """One limit of the campaign and how much of it is used now, in the limit's own count."""

    limit: Limit
    allowed: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStatus:
    """One window. `nodes` as planned; `taken` at the opening; the rest are nodes of those taken.

    `working` and `in_tail` are not finished yet and never overlap. `behind` is positive when late, None when there is
    nothing to compare: while open it compares the forecast with the planned end, afterwards the actual end.
    `forecast`: of an open window, None before its first.
    `ready_at`: since when enough is back, proven, to ramp up. `states` counts nodes by state. `recheck_at`: when a
    waiting window is looked at again. `jobs`: on its nodes while they are not empty, and how others are kept off; None:
    it is weeks away or over, or nobody tells of jobs.
    """

    window: WindowId
    cluster: ClusterId
    mode: Mode
    part: int
    parts: int
    state: WindowState
    planned_start: datetime
    planned_end: datetime
    back_by: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    forecast_end: datetime | None
    behind: timedelta | None
    forecast: Forecast | None
    nodes: int
    taken: int
    in_service_at_open: int
    ready_at: datetime | None
    returned: int
    kept_out: int
    working: int
    in_tail: int
    states: Mapping[UnitState, int]
    left_out: tuple[LeftOut, ...]
    reason: Reason | None
    recheck_at: datetime | None
    jobs: JobsAhead | None = None

    @property
    def overrunning(self) -> bool:
        """True while it is open although its forecast lies after its planned end."""
        return self.state is WindowState.OPEN and self.behind is not None and self.behind > timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStatus:
    """One impactless train. Its riders stay in service; `left` go without: failed, ended, or taken by a window."""

    train: WindowId
    cluster: ClusterId
    updates: tuple[UpdateId, ...]
    opened_at: datetime
    closed_at: datetime | None
    due_by: datetime
    riders: int
    proven: int
    writing: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A whole run at `as_of`, the instant up to which it was worked on.

    `baseline_nodes` are the in-scope nodes, `baseline_in_service` those in service when it started,
    `in_service` those of them in service now. `nodes_out`: held by us now, tail included. `last_replan`: what came of
    planning again last, None before the first time; a person may have to answer it while its parent is the `plan`.
    `deadline_risk`: as foreseen last. `words`: what operators hold or end of it, the widest first. `trains`: oldest
    first. `flights`: those that the plan brings to nodes.
    """

    run: RunId
    campaign: CampaignId
    plan: PlanId
    state: RunState
    desired: Desired
    replan: ReplanMode
    as_of: datetime
    started_at: datetime
    ended_at: datetime | None
    forecast_end: datetime | None
    forecast: Forecast | None
    baseline_nodes: int
    baseline_in_service: int
    in_service: int
    nodes_planned: int
    nodes_returned: int
    nodes_kept_out: int
    nodes_out: int
    nodes_in_tail: int
    limits: tuple[LimitStatus, ...]
    windows: tuple[WindowStatus, ...]
    tail: tuple[TailEntry, ...]
    last_replan: Replan | None
    deadline_risk: DeadlineRisk | None
    words: tuple[Intent, ...] = ()
    trains: tuple[TrainStatus, ...] = ()
    flights: tuple[PlannedFlight, ...] = ()

    @property
    def in_service_share(self) -> float:
        """Share of the baseline that is in service now; 1.0 for an empty baseline."""
        return self.in_service / self.baseline_in_service if self.baseline_in_service else 1.0

    @property
    def needs(self) -> tuple[Reason, ...]:
        """What waits for a person, with what to do about it."""
        last = self.last_replan
        needs = (last.needs,) if last is not None and last.needs is not None and last.parent == self.plan else ()
        risk = self.deadline_risk
        return (*needs, risk.alert) if risk is not None and risk.alert is not None else needs


@dataclass(frozen=True, slots=True, kw_only=True)
class TailView:
    """The tail list of a run, longest there first, and how long repairs of the campaign took."""

    campaign: CampaignId
    run: RunId
    as_of: datetime
    owner: str | None
    tail: tuple[TailEntry, ...]
    repairs: tuple[RepairTime, ...]
