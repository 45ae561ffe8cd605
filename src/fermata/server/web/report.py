"""The report as one HTML file that stands alone: inline style, charts as inline SVG, no scripts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil, log10
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.report import DayLine, Outcome, Punctuality, Report, WindowLine
from fermata.domain.usage import Curve, LimitUse

WIDTH, HEIGHT = 960.0, 220.0  # of a chart's plot in SVG units; the page scales it to the column
_TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis, at `at` SVG units."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutChart:
    """Nodes out over time as one closed SVG path, with the cap as a height, if there is one."""

    path: str
    cap_y: float | None
    cap: int | None
    days: tuple[Tick, ...]
    counts: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """Node-hours of one day as two bars: `x`, then top and height of planned and actual."""

    x: float
    planned_height: float
    actual_height: float
    line: DayLine


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChart:
    """Node-hours out per day, planned beside actual."""

    bars: tuple[DayBar, ...]
    width: float
    counts: tuple[Tick, ...]


def render_report(report: Report) -> str:
    """One HTML document; every text from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("fermata.server.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": _moment,
        "clock": lambda at: _local(at, report.timezone, "%H:%M"),
        "day": lambda at: _local(at, report.timezone, "%a %d %b"),
        "late": late_words,
        "share": lambda share: f"{share:.2%}",
        "limit": limit_words,
        "thousands": lambda number: f"{number:,.0f}",
    }
    return environment.get_template("report.html").render(
        report=report,
        Outcome=Outcome,
        punctuality=_punctuality_counts(report.windows),
        not_taken=Counter(line.reason for line in report.nodes if line.outcome is Outcome.NOT_TAKEN and line.reason),
        out_chart=draw_out_chart(report),
        day_chart=draw_day_chart(report.capacity.days),
        width=WIDTH,
        height=HEIGHT,
    )


def limit_words(limit: Limit) -> str:
    """A limit as a short phrase: nodes out at once, workload api, geo US."""
    match limit.what:
        case LimitKind.NODES_OUT:
            words = "nodes out at once"
        case LimitKind.CLUSTER_WINDOWS:
            words = "cluster windows at once"
        case LimitKind.WHOLE_BIG_CLUSTERS:
            words = "whole big clusters a day"
    terms = [f"{key} {'/'.join(sorted(values))}" for key, values in sorted(limit.where.conditions.items())]
    if limit.at_once_fraction is not None:
        terms.append(f"{limit.at_once_fraction:.0%}")
    if limit.first_day is not None:
        terms.append(f"from {limit.first_day}")
    if limit.last_day is not None:
        terms.append(f"until {limit.last_day}")
    return ", ".join([words, *terms])


def late_words(late: timedelta | None) -> str:
    """Minutes ahead or behind: +12 min is behind."""
    return "–" if late is None else f"{round(late / timedelta(minutes=1)):+d} min"


def draw_out_chart(report: Report) -> OutChart | None:
    """None while nothing has been out for a while. Each unit of width shows the most that was out in it."""
    steps = report.capacity.out_curve
    if not steps or steps[0][0] == steps[-1][0]:
        return None
    cap = _global_cap(report.limits)
    top = _round_up(max([count for _, count in steps] + ([cap] if cap else [])))
    first, last = steps[0][0], steps[-1][0]
    columns = _columns(steps, first, last)
    points = [f"L{x},{HEIGHT - HEIGHT * count / top:.1f}H{x + 1}" for x, count in enumerate(columns)]
    return OutChart(
        path=f"M0,{HEIGHT:.0f}{''.join(points)}V{HEIGHT:.0f}Z",
        cap=cap,
        cap_y=None if cap is None else HEIGHT - HEIGHT * cap / top,
        days=_day_ticks(first, last, report.timezone),
        counts=_count_ticks(top),
    )


def draw_day_chart(days: Sequence[DayLine]) -> DayChart | None:
    """None without days."""
    if not days:
        return None
    top = _round_up(max(max(day.planned_node_hours, day.actual_node_hours) for day in days))
    width = WIDTH / len(days)
    bars = tuple(
        DayBar(
            x=index * width,
            planned_height=HEIGHT * day.planned_node_hours / top,
            actual_height=HEIGHT * day.actual_node_hours / top,
            line=day,
        )
        for index, day in enumerate(days)
    )
    return DayChart(bars=bars, width=width, counts=_count_ticks(top))


def _columns(steps: Curve, first: datetime, last: datetime) -> list[int]:
    scale = (WIDTH - 1) / (last - first).total_seconds()
    columns = [0] * int(WIDTH)
    before, at = 0, 0
    for instant, count in steps:
        column = int((instant - first).total_seconds() * scale)
        for passed in range(at, column + 1):
            columns[passed] = max(columns[passed], before)
        columns[column] = max(columns[column], count)
        before, at = count, column
    return columns


def _day_ticks(first: datetime, last: datetime, zone: str) -> tuple[Tick, ...]:
    scale = WIDTH / (last - first).total_seconds()
    midnight = first.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    days = ceil((last - first) / timedelta(days=1)) + 1
    every = max(1, days // 12)
    ticks = []
    for number in range(0, days + 1, every):
        instant = (midnight + timedelta(days=number)).astimezone(UTC)
        if first <= instant <= last - (last - first) * 0.04:  # a later label would stick out
            ticks.append(Tick(at=(instant - first).total_seconds() * scale, label=_local(instant, zone, "%d %b")))
    return tuple(ticks)


def _count_ticks(top: float) -> tuple[Tick, ...]:
    return tuple(
        Tick(at=HEIGHT - HEIGHT * part / _TICKS, label=f"{top * part / _TICKS:,.0f}") for part in range(_TICKS + 1)
    )


def _round_up(value: float) -> float:
    """The next number that divides into round ticks; at least `_TICKS`."""
    if value <= _TICKS:
        return float(_TICKS)
    step = 10 ** int(log10(value / _TICKS))
    return float(ceil(value / (_TICKS * step)) * _TICKS * step)


def _global_cap(uses: Sequence[LimitUse]) -> int | None:
    """The least of the limits on nodes out over the whole scope."""
    caps = [u.allowed for u in uses if u.limit.what is LimitKind.NODES_OUT and not u.limit.where.conditions]
    return min(caps, default=None)


def _punctuality_counts(windows: Sequence[WindowLine]) -> dict[Punctuality, int]:
    return {kind: sum(line.punctuality is kind for line in windows) for kind in Punctuality}


def _moment(at: datetime | date | None) -> str:
    if at is None:
        return "–"
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ") if isinstance(at, datetime) else at.isoformat()


def _local(at: datetime, zone: str, pattern: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime(pattern)
