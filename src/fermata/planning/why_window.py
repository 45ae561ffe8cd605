"""Why a window of a plan stands on its day: what forbids each earlier day, or what standing there would cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from fermata.domain.campaign import SpreadEvenly
from fermata.domain.control import find_reserved
from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import Mode, Plan, Window
from fermata.domain.reasons import AnyCode, Reason, reason
from fermata.domain.windows import Interval, calendar_day, days_between
from fermata.planning.days import Day
from fermata.planning.encoding import Closed
from fermata.planning.inputs import PlanningInput
from fermata.planning.weak_promises import tell_unsure
from fermata.planning.why_load import Collision, Loads, starts_of
from fermata.planning.why_worth import Worth

NAMES_SHOWN = 3
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DayWhy:
    """Why a window is not on that calendar day: mostly one reason, more when each forbids only some hours of it."""

    day: date
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowWhy:
    """What holds a window. `earlier`: each day before its own on which the campaign could work, first to last.

    `unsure`: why its end is less sure than was asked; None: it is as sure.

    `earliest_alone`: the first start, UTC, that it could have with no other cluster in the fleet; None when the
    window stands outside the campaign's days. `timezone` is the campaign's, of its calendar days.
    """

    id: WindowId
    cluster: ClusterId
    mode: Mode
    part: int
    parts: int
    start: datetime
    end: datetime
    nodes: int
    end_confidence: float
    timezone: str
    earliest_alone: datetime | None
    earlier: tuple[DayWhy, ...]
    unsure: Reason | None = None
    kind: Literal["window"] = "window"

    @property
    def held_by(self) -> tuple[tuple[AnyCode, int], ...]:
        """The codes that hold it with the number of days each does, most first."""
        codes = Counter(why.reasons[0].code for why in self.earlier)
        return tuple(sorted(codes.items(), key=lambda pair: (-pair[1], pair[0])))


class WindowExplainer:
    """Explains the windows of one plan; `inputs` are those it was made from, with its own moment as `now`."""

    def __init__(self, inputs: PlanningInput, plan: Plan) -> None:
        inputs = inputs.settled
        self._inputs = inputs
        self.loads = Loads(inputs, plan)
        self._days = self.loads.days
        at = {window.id: self.loads.day_of(window) for window in plan.windows}
        phase, parent = inputs.campaign.phases.control, inputs.parent
        self._windows = plan.windows
        self._reserved = find_reserved(parent.windows if parent else plan.windows, phase) if phase else None
        self.worth = Worth(inputs, plan, {name: self._days[day] for name, day in at.items()})

    def explain(self, window: Window) -> WindowWhy:
        """What holds `window`, day by day."""
        cluster = self._inputs.fleet.clusters[window.cluster]
        known = self._inputs.fleet.nodes
        nodes = [known[name] for name in window.nodes if name in known]
        closed = [each for each in self.loads.encoding.calendar.closed if each.touches(nodes, cluster)]
        return WindowWhy(
            id=window.id,
            cluster=window.cluster,
            mode=window.mode,
            part=window.part,
            parts=window.parts,
            start=window.start,
            end=window.end,
            nodes=len(window.nodes),
            end_confidence=window.end_confidence,
            timezone=self._inputs.campaign.timezone,
            earliest_alone=self._find_earliest(window, closed),
            earlier=self._explain_days(window, closed),
            unsure=window.unsure or tell_unsure(window, self._inputs.campaign, wanted=self._inputs.confidence),
        )

    def _find_earliest(self, window: Window, closed: Sequence[Closed]) -> datetime | None:
        """A part of a rolled cluster has the parts before it on the days before. None for a window that ran."""
        if window.id in self._inputs.standing.ran:
            return None
        days_before = window.part - 1
        for number, day in enumerate(self._days):
            free = [
                start
                for start in _not_closed(starts_of(day, window), window, closed)
                if not self.loads.find_collisions(window, number, start, alone=True)
            ]
            if free and not days_before:
                return free[0]
            days_before -= bool(free)
        return None

    def _explain_days(self, window: Window, closed: Sequence[Closed]) -> tuple[DayWhy, ...]:
        own = calendar_day(window.start, self._inputs.campaign.timezone)
        workable = {day.date: number for number, day in enumerate(self._days) if day.earliest < day.room.end}
        if own not in workable or not self._days:
            return ()
        found: list[DayWhy] = []
        for day in days_between(min(workable), own - timedelta(days=1)):
            if day in workable:
                reasons = self._explain_day(window, workable[day], closed)
            elif day.weekday() >= _SATURDAY:
                reasons = (reason(PlanCode.DAY_UNSTAFFED, day=_day(day)),)
            else:
                continue  # it was over when the plan was made
            found.append(DayWhy(day=day, reasons=reasons))
        return tuple(found)

    def _explain_day(self, window: Window, number: int, closed: Sequence[Closed]) -> tuple[Reason, ...]:
        day = self._days[number]
        starts = starts_of(day, window)
        if not starts:
            return (self._too_short(window, day),)
        beside = self._beside_parts(window, day)
        if beside is not None:
            return (beside,)
        left = [start for start in _not_closed(starts, window, closed) if not self._waits(window, start)]
        waiting = len(left) < len(_not_closed(starts, window, closed))
        barred = tuple(dict.fromkeys(each.why for each in closed if _covers_any(each, starts, window)))
        if waiting:
            barred = (self._tell_control(day), *barred)
        if not left:
            return barred
        collisions = {start: self.loads.find_collisions(window, number, start) for start in left}
        free = [start for start in left if not collisions[start]]
        if free:
            return (self._weigh(window, day, free),)
        blocks = [self._tell(c, day) for c in _choose(collisions)]
        return (*blocks, *barred)

    def _waits(self, window: Window, start: datetime) -> bool:
        """True when there would be no control phase any more with the window there."""
        phase, reserved = self._inputs.campaign.phases.control, self._reserved
        if phase is None or reserved is None or window.id in reserved.windows or start >= reserved.opens:
            return False
        if self._inputs.parent is not None:
            return True
        moved = replace(window, start=start, end=start + (window.end - window.start))
        return find_reserved([moved if w.id == window.id else w for w in self._windows], phase) is None

    def _tell_control(self, day: Day) -> Reason:
        assert self._reserved is not None, "a window waits for it"
        return reason(PlanCode.DAY_CONTROL, day=_day(day.date), opens=_utc(self._reserved.opens))

    def _too_short(self, window: Window, day: Day) -> Reason:
        first = max(day.earliest, day.room.start)
        left = (day.room.end - first) // timedelta(minutes=1)
        needed = (window.end - window.start) // timedelta(minutes=1)
        return reason(
            PlanCode.DAY_TOO_SHORT,
            day=_day(day.date),
            room=hours_text(left),
            start=self._clock(first),
            end=self._clock(day.room.end),
            needed=hours_text(needed),
        )

    def _beside_parts(self, window: Window, day: Day) -> Reason | None:
        others = sorted(self.loads.others_of_cluster(window), key=lambda other: other.start)
        for other in others:
            if day.room.start <= other.start < day.room.end:
                return reason(PlanCode.DAY_HAS_PART, window=other.id, day=_day(day.date))
        after = [other for other in others if other.start >= day.room.end]
        if window.part == window.parts and after:
            return reason(PlanCode.DAY_PART_ORDER, window=after[-1].id, day=_day(day.date))
        return None

    def _tell(self, collision: Collision, day: Day) -> Reason:
        resource = collision.resource
        said = {"allowed": f"{resource.capacity:,}", "used": f"{collision.used:,}", "units": f"{collision.units:,}"}
        common = {**said, "windows": list_names(collision.windows), "day": _day(day.date)}
        if resource.source in self._inputs.catalogue.team_limits:
            return reason(PlanCode.DAY_TEAM_BUSY, team=resource.source, **common)
        if not collision.windows and not collision.kept:
            return reason(PlanCode.DAY_LIMIT_ALONE, limit=resource.name, **common)
        if collision.over <= collision.kept:
            return reason(PlanCode.DAY_ROOM_KEPT, limit=resource.name, kept=f"{collision.kept:,}", **common)
        return reason(PlanCode.DAY_LIMIT_FULL, limit=resource.name, **common)

    def _weigh(self, window: Window, day: Day, free: Sequence[datetime]) -> Reason:
        """The best of the free starts against where the window is: the first preference that differs says it."""
        now = self.worth.now
        start = min(free, key=lambda at: (self._worth_at(window, day, at), at))
        then = self._worth_at(window, day, start)
        said = {"day": _day(day.date), "time": self._clock(start)}
        for preference, a, b in zip(self._inputs.campaign.preferences, now, then, strict=True):
            if a != b:
                code = PlanCode.DAY_WORSE if b > a else PlanCode.DAY_BETTER
                as_share = isinstance(preference, SpreadEvenly)
                return reason(code, term=preference.term, now=_value(a, as_share), then=_value(b, as_share), **said)
        return reason(PlanCode.DAY_EQUAL, **said)

    def _worth_at(self, window: Window, day: Day, start: datetime) -> tuple[float, ...]:
        return self.worth.moved(window, day, start)

    def _clock(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self._inputs.campaign.timezone)):%H:%M}"


def _choose(collisions: Mapping[datetime, Sequence[Collision]]) -> list[Collision]:
    """As few as can be told of: at each start at least one of them. Of each resource, where it is over by least."""
    left = set(collisions)
    chosen: list[Collision] = []
    while left:
        by_name = Counter(c.resource.name for start in left for c in collisions[start])
        name = min(by_name, key=lambda n: (-by_name[n], n))
        of = [(c.over, start, c) for start in sorted(left) for c in collisions[start] if c.resource.name == name]
        chosen.append(min(of, key=lambda item: item[:2])[2])
        left -= {start for _, start, _ in of}
    return chosen


def _not_closed(starts: Iterable[datetime], window: Window, closed: Sequence[Closed]) -> list[datetime]:
    length = window.end - window.start
    return [at for at in starts if not any(Interval(at, at + length).overlaps(each.time) for each in closed)]


def _covers_any(closed: Closed, starts: Sequence[datetime], window: Window) -> bool:
    return len(_not_closed(starts, window, (closed,))) < len(starts)


def list_names(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    hidden = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    if hidden > 0:
        return f"{shown} and {hidden:,} more"
    return shown if len(names) < 2 else f"{', '.join(names[: len(names) - 1])} and {names[-1]}"


def hours_text(minutes: int) -> str:
    """5 h 40 min."""
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest or not hours)
    return " ".join(parts)


def _day(day: date) -> str:
    return f"{day:%a} {day}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"


def _value(value: float, as_share: bool) -> str:
    return f"{value:.2%}" if as_share else f"{value:,g}"
