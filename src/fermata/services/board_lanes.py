"""From a plan, and what became of its windows, to the board's calendar and to the lanes of the day."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from fermata.domain.campaign import Campaign
from fermata.domain.ids import WindowId
from fermata.domain.node_states import EMPTY, FINAL, OUT, UnitKind, UnitState
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, RebootStep, Step, VerifyStep, Window
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.windows import calendar_day, day_interval, days_between
from fermata.services.board_views import Axis, Chip, Day, Lane, Mark, Pace, PlannedStep, Slip
from fermata.services.run_views import WindowStatus
from fermata.store.board import UnitCount

ON_TIME = timedelta(minutes=5)  # within it a window is neither ahead nor behind: one verify poll more or less
ACTING = frozenset(
    {
        UnitState.LOCKED,
        UnitState.DRAINING,
        UnitState.APPLYING,
        UnitState.REBOOTING,
        UnitState.RESETTING,
        UnitState.VERIFYING,
    }
)
MIN_AXIS_MARGIN = timedelta(minutes=30)  # room on the axis after the last end, for a forecast that slips


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """What became of the plan so far. `windows` lacks those of a plan that was not started."""

    windows: Mapping[WindowId, WindowStatus]
    counts: Mapping[WindowId, Sequence[UnitCount]]

    def is_cancelled(self, window: Window) -> bool:
        """True when a newer plan took its place before it opened."""
        status = self.windows.get(window.id)
        return status is not None and status.state is WindowState.CANCELLED


def slip_of(behind: timedelta | None) -> Slip:
    """A lateness as a pace."""
    if behind is None:
        return Slip(pace=Pace.NONE)
    if abs(behind) <= ON_TIME:
        return Slip(pace=Pace.ON_TIME, by=behind)
    return Slip(pace=Pace.BEHIND if behind > timedelta(0) else Pace.AHEAD, by=behind)


def make_days(campaign: Campaign, windows: Iterable[Window], conduct: Conduct, now: datetime) -> tuple[Day, ...]:
    """Every calendar day from the first to the last that counts, each with its windows; empty days included."""
    zone = campaign.timezone
    today = calendar_day(now, zone)
    of_day: dict[date, list[Chip]] = {}
    for window in windows:
        status = conduct.windows.get(window.id)
        chip = make_chip(window, status, conduct.counts.get(window.id, ()), now)
        of_day.setdefault(calendar_day(window.start, zone), []).append(chip)
    last = max((campaign.deadline, *of_day))
    first = min((campaign.first_day, *of_day))
    every = days_between(first, last)
    return tuple(_make_day(day, of_day.get(day, []), today=today, deadline=campaign.deadline) for day in every)


def _make_day(day: date, chips: list[Chip], *, today: date, deadline: date) -> Day:
    chips.sort(key=lambda chip: (chip.start, chip.cluster, chip.part))
    return Day(
        day=day,
        is_today=day == today,
        is_past=day < today,
        after_deadline=day > deadline,
        nodes=sum(chip.nodes for chip in chips),
        returned=sum(chip.returned for chip in chips),
        done=sum(chip.closed is not None for chip in chips),
        chips=tuple(chips),
    )


def make_chip(window: Window, status: WindowStatus | None, counts: Sequence[UnitCount], now: datetime) -> Chip:
    """One window as the calendar shows it."""
    return Chip(
        id=window.id,
        cluster=window.cluster,
        part=window.part,
        parts=window.parts,
        nodes=len(window.nodes),
        start=window.start,
        end=window.end,
        mark=_mark(status, counts, now) if status else Mark.PLANNED,
        closed=status.closed_at if status else None,
        taken=status.taken if status else 0,
        returned=status.returned if status else 0,
        why=_why(status) if status else None,
    )


def _mark(status: WindowStatus, counts: Sequence[UnitCount], now: datetime) -> Mark:
    match status.state:
        case WindowState.PLANNED | WindowState.CANCELLED:
            return Mark.PLANNED
        case WindowState.WAITING:
            return Mark.WAITING
        case WindowState.MISSED:
            return Mark.MISSED
        case WindowState.SKIPPED:
            return Mark.SKIPPED
        case WindowState.CLOSED:
            late = status.closed_at is not None and status.closed_at > status.planned_end + ON_TIME
            return Mark.OVERRUN if late else Mark.DONE
        case WindowState.OPEN:
            return Mark.OVERRUN if now > status.planned_end + ON_TIME else _phase(counts)


def _phase(counts: Sequence[UnitCount]) -> Mark:
    """What most of the nodes still at work do."""
    nodes = [count for count in counts if count.kind is UnitKind.NODE]
    total = {
        Mark.DRAINING: sum(c.units for c in nodes if c.state in OUT - EMPTY or c.state is UnitState.PENDING),
        Mark.VERIFYING: sum(c.units for c in nodes if c.state in {UnitState.VERIFYING, UnitState.PROVEN}),
    }
    total[Mark.APPLYING] = sum(c.units for c in nodes if c.state not in FINAL) - sum(total.values())
    return max(total, key=lambda mark: (total[mark], mark is Mark.APPLYING))


def _why(status: WindowStatus) -> str | None:
    if status.reason is not None and status.state is not WindowState.CLOSED:
        return status.reason.sentence
    if status.left_out:
        left = sum(len(group.nodes) for group in status.left_out)
        return f"{left:,} left out: {status.left_out[0].reason.sentence}"
    return None


def pick_day(days: Sequence[Day]) -> Day | None:
    """The day whose lanes are shown: today while it has windows, else the next with any, else the last."""
    with_windows = [day for day in days if day.chips]
    ahead = (day for day in with_windows if not day.is_past)
    return next(ahead, with_windows[-1] if with_windows else None)


def make_axis(campaign: Campaign, day: Day, lanes: Sequence[Lane]) -> Axis:
    """From the start of the day's window to its hard stop, or later when a lane needs it."""
    daily, zone = campaign.daily_window, campaign.timezone
    room = day_interval(day.day, daily.start, daily.hard_stop, zone)
    ends = [max(lane.chip.end, lane.forecast, lane.closed or lane.forecast) for lane in lanes]
    starts = [min(lane.chip.start, lane.opened or lane.chip.start) for lane in lanes]
    end = max((room.end, *(end + MIN_AXIS_MARGIN for end in ends if end > room.end)))
    back_by = day_interval(day.day, daily.start, daily.back_in_service_by, zone).end
    return Axis(start=min((room.start, *starts)), end=end, back_by=back_by)


def make_lanes(day: Day, windows: Mapping[str, Window], conduct: Conduct, now: datetime) -> tuple[Lane, ...]:
    """One lane per window of the day: at work first, then to come, then over; inside by planned start."""
    lanes = (_lane(chip, windows[chip.id], conduct, now) for chip in day.chips)
    return tuple(sorted(lanes, key=lambda lane: (_rank(lane), lane.chip.start, lane.chip.cluster, lane.chip.part)))


def _rank(lane: Lane) -> int:
    if lane.closed is None and lane.opened is not None:
        return 0
    if lane.chip.mark in {Mark.WAITING, Mark.MISSED}:
        return 1
    return 2 if lane.opened is None else 3


def _lane(chip: Chip, window: Window, conduct: Conduct, now: datetime) -> Lane:
    status = conduct.windows.get(window.id)
    counts = conduct.counts.get(window.id, ())
    opened = status.opened_at if status else None
    return Lane(
        chip=chip,
        steps=_planned_steps(window.steps),
        opened=opened,
        closed=chip.closed,
        forecast=forecast_end(window, status, now),
        done=1.0 if chip.closed else _done_share(window, counts),
        due=_share_of(window, now),
        slip=slip_of(_behind(window, status, now)),
        doing=_doing(chip, window, counts),
        foretold=status.forecast if status else None,
        jobs=status.jobs if status else None,
    )


def forecast_end(window: Window, status: WindowStatus | None, now: datetime) -> datetime:
    """When it ended, or is expected to; one that has not opened yet starts at once and takes what was planned."""
    if status is None:
        return window.end
    if status.closed_at is not None:
        return status.closed_at
    if status.state in NOT_OPENED_YET:
        return window.end + max(now - window.start, timedelta(0))
    return max(status.forecast_end or window.end, now)


def _behind(window: Window, status: WindowStatus | None, now: datetime) -> timedelta | None:
    """How late it is or will be; None when there is nothing to compare yet."""
    if status is None:
        return None
    if status.state is WindowState.OPEN:
        late = now - window.end if now > window.end else None  # whatever was forecast, it is that late already
        return max((d for d in (status.behind, late) if d is not None), default=None)
    if status.state in NOT_OPENED_YET:
        return now - window.start if now > window.start + ON_TIME else None
    return status.behind if status.state is WindowState.CLOSED else None


def _planned_steps(steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
    """Planned stretches by kind; batches of one kind that touch or overlap become one."""
    merged: list[PlannedStep] = []
    for kind, group in groupby(sorted(steps, key=lambda s: (s.step, s.start)), key=lambda s: s.step):
        start = end = None
        for step in group:
            if start is not None and end is not None and step.start <= end:
                end = max(end, step.end)
                continue
            if start is not None and end is not None:
                merged.append(PlannedStep(kind=kind, start=start, end=end))
            start, end = step.start, step.end
        if start is not None and end is not None:
            merged.append(PlannedStep(kind=kind, start=start, end=end))
    return tuple(sorted(merged, key=lambda step: (step.start, step.kind)))


def _share_of(window: Window, instant: datetime) -> float:
    whole = (window.end - window.start).total_seconds()
    return min(max((instant - window.start).total_seconds() / whole, 0.0), 1.0) if whole else 1.0


def _done_share(window: Window, counts: Sequence[UnitCount]) -> float:
    """Mean over its nodes of how far each has come, in planned time; 0 before it opens."""
    nodes = [count for count in counts if count.kind is UnitKind.NODE and count.state is not UnitState.LEFT_OUT]
    total = sum(count.units for count in nodes)
    if not total:
        return 0.0
    return sum(_reached(window, count) * count.units for count in nodes) / total


def _reached(window: Window, count: UnitCount) -> float:
    if count.state in FINAL or count.position >= len(window.steps):
        return 1.0
    return 0.0 if count.state is UnitState.PENDING else _share_of(window, window.steps[count.position].start)


def _doing(chip: Chip, window: Window, counts: Sequence[UnitCount]) -> str:
    """What most of its nodes do; what its devices do while every node waits for them; or that nodes wait."""
    if chip.closed is not None:
        left = chip.taken - chip.returned
        return f"closed, {left:,} not back" if left > 0 else "closed, all back"
    nodes = [count for count in counts if count.kind is UnitKind.NODE]
    devices = [count for count in counts if count.kind is UnitKind.DEVICE]
    for noun, units in (("node", nodes), ("device", devices)):
        acting = _most_at(count for count in units if count.state in ACTING)
        if acting is not None:
            position, number = acting
            return f"{_step_at(window, position)}: {_count(number, noun)}"
    waiting = _most_at(count for count in nodes if count.state in EMPTY and count.state is not UnitState.FAILED)
    return f"{_count(waiting[1], 'node')} at {_step_at(window, waiting[0])}, waiting" if waiting else ""


def _most_at(counts: Iterable[UnitCount]) -> tuple[int, int] | None:
    """The plan step at which most units stand, the later of equals, and how many they are."""
    total: Counter[int] = Counter()
    for count in counts:
        total[count.position] += count.units
    return max(total.items(), key=lambda item: (item[1], item[0]), default=None)


def _step_at(window: Window, position: int) -> str:
    return step_words(window.steps[position]) if position < len(window.steps) else "return"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def step_words(step: Step) -> str:
    """A plan step in a few words."""
    match step:
        case DrainStep():
            return "drain"
        case DeviceApplyStep() | NodeApplyStep():
            batch = f" (batch {step.batch} of {step.batches})" if step.batches > 1 else ""
            return f"apply {step.update}{batch}"
        case RebootStep():
            return "reboot"
        case VerifyStep():
            return "verify"
