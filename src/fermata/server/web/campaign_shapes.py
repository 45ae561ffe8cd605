"""The shapes of the campaign's page: where bars of the Gantt chart lie, what a day of the calendar says, what charts
draw. Pure, as `render`: places are per cent of their box.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fermata.domain.campaign import Campaign, LimitKind
from fermata.domain.windows import ONE_DAY, Interval, days_between, local_to_utc
from fermata.server.web import words
from fermata.server.web.report import limit_words
from fermata.services.board_views import Mark, Pace
from fermata.services.campaigns import Bar, CampaignView, LimitDay, LimitLine, Steps

BEFORE, AFTER = timedelta(minutes=30), timedelta(hours=1)  # room in a day's column beside the hours of its window
MIN_BAR = 0.25  # per cent: what just started must still be seen
WEEK = 7
SATURDAY = 5
AT_WORK = (Mark.DRAINING, Mark.APPLYING, Mark.VERIFYING)


class Columns:
    """A column for each day, in which only the hours of work are drawn: nights would be two thirds of the width."""

    def __init__(self, campaign: Campaign, days: Sequence[date]) -> None:
        daily = campaign.daily_window
        self.days = tuple(days)
        self._slices = []
        for day in self.days:
            start = local_to_utc(day, daily.start, campaign.timezone)
            last = day + ONE_DAY if daily.hard_stop <= daily.start else day
            end = local_to_utc(last, daily.hard_stop, campaign.timezone)
            self._slices.append(Interval(start - BEFORE, end + AFTER))
        self._starts = [interval.start for interval in self._slices]

    @property
    def width(self) -> float:
        """Of one column."""
        return 100 / max(1, len(self.days))

    def x(self, at: datetime) -> float:
        """Where an instant lies; one between two columns lies at the end of the first."""
        index = max(0, bisect_right(self._starts, at) - 1)
        of = self._slices[index]
        share = (at - of.start) / (of.end - of.start)
        return round((index + min(max(share, 0.0), 1.0)) * self.width, 3)

    def bar(self, start: datetime, end: datetime) -> dict[str, float]:
        """From one instant to another."""
        x = self.x(start)
        return {"x": x, "w": round(max(self.x(end) - x, MIN_BAR), 3)}


def draw_gantt(view: CampaignView, zone: str) -> dict[str, Any]:
    """Rows with bars, the days above them, and where now is."""
    days = [day.day for day in view.board.days]
    columns = Columns(view.campaign, days)
    now = view.board.now
    today = now.astimezone(ZoneInfo(zone)).date()
    return {
        "days": [_head_day(columns, number, day, view.campaign) for number, day in enumerate(days)],
        "now_x": columns.x(now) if days and days[0] <= today <= days[-1] else None,
        "rows": [
            {"row": row, "bars": [_draw_bar(bar, columns, zone) for bar in row.bars], "says": _row_says(row.bars)}
            for row in view.rows
        ],
    }


def _head_day(columns: Columns, number: int, day: date, campaign: Campaign) -> dict[str, Any]:
    return {
        "x": round(number * columns.width, 3),
        "w": round(columns.width, 3),
        "middle": round((number + 0.5) * columns.width, 3),
        "end": round((number + 1) * columns.width, 3),
        "day": day,
        "initial": f"{day:%a}"[:1],
        "is_weekend": day.weekday() >= SATURDAY,
        "is_late": day > campaign.deadline,
        "is_deadline": day == campaign.deadline,
    }


def _draw_bar(bar: Bar, columns: Columns, zone: str) -> dict[str, Any]:
    chip = bar.chip
    drawn: dict[str, Any] = {"chip": chip, "planned": columns.bar(chip.start, chip.end), "actual": None}
    drawn |= {"forecast": None, "tone": _tone(bar), "label": bar_label(bar, zone), "slip": words.slip(bar.slip)}
    if bar.opened is not None and bar.until is not None:
        drawn["actual"] = columns.bar(bar.opened, bar.until)
        if bar.forecast is not None and bar.forecast > bar.until:
            drawn["forecast"] = columns.bar(bar.until, bar.forecast)
    return drawn


def _tone(bar: Bar) -> str:
    match bar.chip.mark:
        case Mark.DONE:
            return "good"
        case Mark.OVERRUN | Mark.MISSED:
            return "bad"
        case Mark.WAITING:
            return "warn"
        case Mark.PLANNED | Mark.SKIPPED:
            return "quiet"
        case _:
            return "bad" if bar.slip.pace is Pace.BEHIND else "open"


def bar_label(bar: Bar, zone: str) -> str:
    """Everything a bar means, in words."""
    text = f"{words.day(bar.chip.start.astimezone(ZoneInfo(zone)).date())}, {words.chip_label(bar.chip, zone)}"
    if bar.opened is None:
        return text
    ran = f"ran {words.clock(bar.opened, zone)}–{words.clock(bar.chip.closed, zone)}" if bar.chip.closed else ""
    ran = ran or f"open since {words.clock(bar.opened, zone)}"
    return f"{text}; {ran}" + (f", {words.slip(bar.slip)}" if words.slip(bar.slip) else "")


def _row_says(bars: Sequence[Bar]) -> str:
    done = sum(bar.chip.closed is not None for bar in bars)
    nodes = words.number(sum(bar.chip.nodes for bar in bars))
    return f"{done}/{len(bars)} done, {nodes}" if len(bars) > 1 else nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDay:
    """One cell of the calendar. `out` of the cap's day, None where there is no cap or no window."""

    day: date
    in_campaign: bool
    is_today: bool
    is_past: bool
    tags: tuple[tuple[str, str], ...]
    windows: int
    done: int
    nodes: int
    marks: tuple[tuple[Mark, int], ...]
    out: LimitDay | None
    allowed: int


def list_weeks(view: CampaignView) -> list[list[CalendarDay]]:
    """Whole weeks from Monday on, from the campaign's first day to the last that counts."""
    shown = {day.day: day for day in view.board.days}
    if not shown:
        return []
    cap = find_cap(view)
    of_cap = {day.day: day for day in cap.days} if cap is not None else {}
    first, last = min(shown), max(shown)
    first, last = first - first.weekday() * ONE_DAY, last + (WEEK - 1 - last.weekday()) * ONE_DAY
    cells = []
    for day in days_between(first, last):
        found = shown.get(day)
        chips = found.chips if found is not None else ()
        marks = Counter(chip.mark for chip in chips)
        cells.append(
            CalendarDay(
                day=day,
                in_campaign=found is not None,
                is_today=found is not None and found.is_today,
                is_past=found is not None and found.is_past,
                tags=tuple(_tags(view.campaign, day, bool(chips))) if found is not None else (),
                windows=len(chips),
                done=found.done if found is not None else 0,
                nodes=found.nodes if found is not None else 0,
                marks=tuple((mark, marks[mark]) for mark in Mark if marks[mark]),
                out=of_cap.get(day) if chips else None,
                allowed=cap.allowed if cap is not None else 0,
            )
        )
    return [cells[at : at + WEEK] for at in range(0, len(cells), WEEK)]


def _tags(campaign: Campaign, day: date, has_windows: bool) -> Iterator[tuple[str, str]]:
    if day == campaign.deadline:
        yield "warn", "deadline"
    if day > campaign.deadline:
        yield "bad", "after the deadline"
    if day.weekday() >= SATURDAY and not campaign.weekends_staffed:
        yield "quiet", "not staffed"
    elif day.weekday() in campaign.avoid_weekdays and not has_windows:
        yield "quiet", "kept clear"


def find_cap(view: CampaignView) -> LimitLine | None:
    """The tightest limit on nodes out over the whole scope: the campaign's cap."""
    whole = [x for x in view.limits if x.limit.what is LimitKind.NODES_OUT and not x.limit.where.conditions]
    return min(whole, key=lambda line: line.allowed, default=None)


def draw_limits(view: CampaignView) -> list[dict[str, Any]]:
    """Each limit with a bar for each day, in per cent of the larger of what is allowed and the most there is."""
    drawn = []
    for number, line in enumerate(view.limits):
        top = max(line.allowed, line.most_planned, line.most_used or 0, 1)
        width = 100 / max(1, len(line.days))
        bars = [
            {
                "x": round((at + 0.12) * width, 3),
                "w": round(0.76 * width, 3),
                "day": day,
                "planned": round(100 * day.planned / top, 2),
                "used": round(100 * day.used / top, 2) if day.used is not None else None,
                "over": day.used is not None and day.used > line.allowed,
            }
            for at, day in enumerate(line.days)
        ]
        drawn.append(
            {
                "line": line,
                "name": limit_words(line.limit),
                "number": number,
                "bars": bars,
                "mark": round(100 - 100 * line.allowed / top, 2),
                "now": line.used[-1] if line.used else None,
                "is_idle": not line.most_planned and not line.most_used,
            }
        )
    return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnDay:
    """Nodes back by the end of a day: as planned, really (None: it is not over), and as foreseen."""

    day: date
    planned: int
    returned: int | None
    median: int | None
    bound: int | None


def list_burn_days(view: CampaignView, zone: str) -> tuple[BurnDay, ...]:
    """Every day of the campaign."""
    foreseen = {each.day: each for each in view.risk.fan} if view.risk is not None else {}
    found = []
    for day in (each.day for each in view.board.days):
        end = local_to_utc(day + ONE_DAY, time.min, zone)
        fan = foreseen.get(day)
        found.append(
            BurnDay(
                day=day,
                planned=count_at(view.planned, end),
                returned=count_at(view.returned, end) if view.returned and end <= view.board.now else None,
                median=fan.median if fan is not None else None,
                bound=fan.bound if fan is not None else None,
            )
        )
    return tuple(found)


def count_at(steps: Steps, at: datetime) -> int:
    """What it had come to by then."""
    number = bisect_right(steps, at, key=lambda step: step[0])
    return steps[number - 1][1] if number else 0


def charts_values(view: CampaignView) -> dict[str, Any] | None:
    """What campaign.js draws. Times are milliseconds of wall time in the campaign's zone, so that axes read locally."""
    board = view.board
    if board.curves is None or board.figures is None or board.head is None:
        return None
    zone = ZoneInfo(board.head.timezone)

    def wall(at: datetime) -> int:
        return int(at.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)

    def midnight(day: date) -> int:
        return wall(local_to_utc(day + ONE_DAY, time.min, board_zone))

    board_zone = board.head.timezone
    fan = view.risk.fan if view.risk is not None else ()
    return {
        "start": wall(board.curves.start),
        "end": wall(board.curves.end),
        "step": int(board.curves.step.total_seconds() * 1000),
        "now": wall(board.now),
        "deadline": midnight(view.campaign.deadline),
        "in_scope": board.figures.in_scope,
        "limits": [
            {
                "name": limit_words(line.limit),
                "allowed": line.allowed,
                "planned": [(wall(at), count) for at, count in line.planned],
                "used": line.used,
            }
            for line in view.limits
        ],
        "planned": [(wall(at), count) for at, count in view.planned],
        "returned": [(wall(at), count) for at, count in view.returned],
        "foreseen": wall(view.risk.at) if view.risk is not None else None,
        "fan": [(midnight(each.day), each.median, each.bound) for each in fan],
    }
