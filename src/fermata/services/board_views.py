"""What the board shows, as values: `services.board` assembles them, the server renders them, nothing else is shown."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from fermata.domain.ahead import JobsAhead
from fermata.domain.forecasts import Forecast
from fermata.domain.window_terms import WindowTerm


class Stage(StrEnum):
    """How far the campaign has come, and so what a person does next."""

    NO_CAMPAIGN = "no_campaign"
    NO_PLAN = "no_plan"
    NOT_STARTED = "not_started"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class Mark(StrEnum):
    """What a window is shown as."""

    PLANNED = "planned"
    WAITING = "waiting"
    DRAINING = "draining"
    APPLYING = "applying"
    VERIFYING = "verifying"
    DONE = "done"
    OVERRUN = "overrun"
    MISSED = "missed"
    SKIPPED = "skipped"


class Pace(StrEnum):
    """Forecast end against planned end; on time is within `services.board_lanes.ON_TIME`."""

    AHEAD = "ahead"
    ON_TIME = "on_time"
    BEHIND = "behind"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """How far behind the plan, negative when ahead; `pace` NONE when there is nothing to compare yet."""

    pace: Pace
    by: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What to do when there is nothing to show yet: the commands, in order."""

    sentence: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something that holds work, or waits for a person, and the commands that look at it or end it."""

    sentence: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The campaign's own facts. `day` counts calendar days from 1 and may exceed `days`; None before the first."""

    id: str
    title: str
    timezone: str
    day: int | None
    days: int
    first_day: date
    deadline: date
    plan: str | None
    run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of nodes. `cap` None when no limit bounds the nodes out over the whole scope.

    `in_scope` are the nodes with work, `returned` those given back with proven versions, `due_back` what the plan
    has returned by now. `baseline` are the nodes in service when the run began (0: no run yet), `in_service` those
    of them in service now. `end` and `promised` are today's last end: forecast and planned.
    """

    in_scope: int
    returned: int
    due_back: int
    out: int
    cap: int | None
    baseline: int
    in_service: int
    tail: int
    windows: int
    windows_done: int
    end: datetime | None
    promised: datetime | None
    next_start: datetime | None
    slip: Slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One window in the calendar. `closed` None until it ended; `returned` are nodes of those `taken`."""

    id: str
    cluster: str
    part: int
    parts: int
    nodes: int
    start: datetime
    end: datetime
    mark: Mark
    closed: datetime | None = None
    taken: int = 0
    returned: int = 0
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One calendar day of the campaign, in its zone; chips by planned start."""

    day: date
    is_today: bool
    is_past: bool
    after_deadline: bool
    nodes: int
    returned: int
    done: int
    chips: tuple[Chip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One planned stretch of a window; parallel steps are drawn over each other."""

    kind: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One of today's windows. `opened` None until it starts, `closed` None until it ends.

    `done` and `due` are shares of its work: finished, and due by now under the plan. `doing` is the step in progress.
    `foretold`: of an open window, from its first forecast on. `jobs`: while its nodes are not empty, where it is near.
    """

    chip: Chip
    steps: tuple[PlannedStep, ...]
    opened: datetime | None
    closed: datetime | None
    forecast: datetime
    done: float
    due: float
    slip: Slip
    doing: str
    foretold: Forecast | None = None
    jobs: JobsAhead | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The time span the lanes are drawn on, `back_by` is the promise."""

    start: datetime
    end: datetime
    back_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TailReason:
    """How many nodes are in the tail for one reason."""

    code: str
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRow:
    """One node that has not come back, why, who sees to it and what happens next; `next_at` None: nobody knows."""

    node: str
    cluster: str
    window: str
    since: datetime
    code: str
    sentence: str
    owner: str
    next_step: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPage:
    """One page of the tail, longest out first. `page` counts from 1; `total` is of `code` alone when given."""

    rows: tuple[TailRow, ...]
    page: int
    pages: int
    total: int
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One planned step of a window in words, and how many units stand at it now."""

    what: str
    start: datetime
    end: datetime
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutRow:
    """Nodes that were not taken when the window opened, and why."""

    nodes: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """One window by itself, of plan `plan`. `tail` are its nodes that have not come back; `terms` are the conditions of
    its approvals as they stand now.
    """

    now: datetime
    timezone: str
    lane: Lane
    axis: Axis
    updates: tuple[str, ...]
    reboots_per_node: int
    steps: tuple[StepRow, ...]
    left_out: tuple[LeftOutRow, ...]
    tail: tuple[TailRow, ...]
    plan: str
    terms: tuple[WindowTerm, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Nodes over time. `actual` holds one peak per `step` from `start` on, up to now; `planned` are steps.

    `in_service` holds the lowest count per `step`, `limits` the most used of each limit of the campaign, in its order.
    """

    start: datetime
    end: datetime
    step: timedelta
    actual: tuple[int, ...]
    in_service: tuple[int, ...]
    planned: tuple[tuple[datetime, int], ...]
    limits: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One snapshot, as of `now` on the campaign's clock. Everything but `next_step` and `held` is empty without a plan.

    `held`: the brake, what operators hold or end, and changes of inventory that wait for a person; `trains`: those that
    go; `needs`: what waits for a person; `deadline`: how likely it is missed, as foreseen last. All as sentences.
    """

    now: datetime
    stage: Stage
    head: Head | None = None
    next_step: NextStep | None = None
    note: str | None = None
    held: tuple[Held, ...] = ()
    trains: str | None = None
    needs: tuple[str, ...] = ()
    deadline: str | None = None
    figures: Figures | None = None
    days: tuple[Day, ...] = ()
    axis: Axis | None = None
    lanes_day: date | None = None
    lanes: tuple[Lane, ...] = ()
    tail: tuple[TailReason, ...] = ()
    tail_rows: tuple[TailRow, ...] = ()
    curves: Curves | None = None
