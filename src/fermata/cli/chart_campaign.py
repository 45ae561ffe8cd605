"""Draws a whole campaign: how far its nodes are, what it takes of every limit, each window as planned and as it ran."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fermata.cli.chart_draw import (
    BLUE,
    GREEN,
    GREY,
    INK,
    RED,
    SIZES,
    SKY,
    add_days,
    add_legend,
    count_up,
    draw_picture,
    say_as_of,
)
from fermata.domain.windows import local_to_utc
from fermata.server.web.report import limit_words
from fermata.services.campaigns import CampaignView, LimitLine, Row, Steps

ROWS_MAX = 80
LIMIT_NAME_MAX = 44


def draw_campaign(name: str, view: CampaignView, target: Path, size: str) -> None:
    """Writes one of the campaign's charts. Times are of the campaign's zone."""
    zone = ZoneInfo(view.campaign.timezone)
    title = view.campaign.title or view.campaign.id
    to = (target, size)
    if name == "limits":
        _draw_limits(view, title, to)
    elif name == "progress":
        draw_picture(lambda axes: _progress(axes, view, zone), title, view.board.now, zone.key, to)
    else:
        draw_picture(lambda axes: _windows(axes, view, zone), title, view.board.now, zone.key, to)


def _progress(axes: Axes, view: CampaignView, zone: ZoneInfo) -> str:
    now, fan = view.board.now, view.risk.fan if view.risk is not None else ()
    if view.planned:
        end = max(view.planned[-1][0], now)
        axes.plot(*_stairs(view.planned, end), drawstyle="steps-post", color=GREY, linewidth=1.8, label="planned")
        if view.returned:
            axes.plot(*_stairs(view.returned, now), drawstyle="steps-post", color=GREEN, linewidth=2.2, label="back")
        if fan:
            ends = [_end_of(each.day, zone) for each in fan]
            axes.fill_between(
                ends, [each.bound for each in fan], [each.median for each in fan], color=SKY, alpha=0.6, linewidth=0
            )
            axes.plot(ends, [each.median for each in fan], color=BLUE, linewidth=1.8, label="foreseen, half of plays")
            axes.plot(ends, [each.bound for each in fan], ":", color=BLUE, label="nine of ten, or more")
        axes.axvline(_end_of(view.campaign.deadline, zone), color=RED, linestyle="--", label="deadline")
        axes.axvline(now, color=INK, linestyle=":", linewidth=1.2, label="now")
        add_days(axes, zone)
        add_legend(axes)
    axes.set_ylim(bottom=0)
    count_up(axes)
    axes.set_ylabel("nodes back")
    return "nodes back, and when the rest will be"


def _windows(axes: Axes, view: CampaignView, zone: ZoneInfo) -> str:
    rows = view.rows[:ROWS_MAX]
    for number, row in enumerate(rows):
        _draw_row(axes, number, row)
    if rows:
        axes.set_yticks(range(len(rows)), [row.cluster for row in rows], fontsize=5 if len(rows) > 30 else 9)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.axvline(_end_of(view.campaign.deadline, zone), color=RED, linestyle="--")
        add_days(axes, zone)
        meanings = ((GREY, "planned"), (GREEN, "ran in time"), (RED, "late or missed"), (BLUE, "open"))
        add_legend(axes, [Patch(facecolor=colour, label=text) for colour, text in meanings])
    hidden = f", {len(rows)} of {len(view.rows)} clusters shown" if len(view.rows) > len(rows) else ""
    return f"{len(view.windows):,} windows, planned above actual{hidden}"


def _draw_row(axes: Axes, number: int, row: Row) -> None:
    for bar in row.bars:
        _draw_bar(axes, bar.chip.start, bar.chip.end, number - 0.36, GREY)
        if bar.opened is not None and bar.until is not None:
            is_late = bar.until > bar.chip.end
            colour = RED if is_late else GREEN if bar.chip.closed else BLUE
            _draw_bar(axes, bar.opened, bar.until, number + 0.02, colour)


def _draw_bar(axes: Axes, start: datetime, end: datetime, bottom: float, colour: str) -> None:
    axes.broken_barh([(date2num(start), date2num(end) - date2num(start))], (bottom, 0.34), facecolor=colour)


def _draw_limits(view: CampaignView, title: str, to: tuple[Path, str]) -> None:
    """A panel for each limit: the most that is planned and was used of it on each day, beside what is allowed."""
    inches, dots, points = SIZES[to[1]]
    columns = 1 if to[1] == "phone" else 3
    lines = view.limits
    rows = max(1, -(-len(lines) // columns))
    figure = Figure(figsize=(inches[0], max(inches[1], 1.5 * rows)), dpi=dots, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(panels.flat):
        if number < len(lines):
            _draw_limit(axes, lines[number], points)
        else:
            axes.set_axis_off()
    if not lines:
        panels[0][0].text(0.5, 0.5, "Nothing to show yet", ha="center", fontsize=points + 2, color=GREY)
    told = f"{title}: the most planned (grey) and used (blue) of each limit a day; red: allowed"
    as_of = say_as_of(view.board.now, view.campaign.timezone)
    figure.suptitle(f"{told}\n{as_of}", x=0.01, ha="left", fontsize=points, color=INK, wrap=True)
    figure.savefig(to[0], metadata={"Date": None} if to[0].suffix == ".svg" else None)


def _draw_limit(axes: Axes, line: LimitLine, points: float) -> None:
    at = range(len(line.days))
    axes.bar([x - 0.2 for x in at], [day.planned for day in line.days], 0.4, color=GREY)
    axes.bar([x + 0.2 for x in at], [day.used or 0 for day in line.days], 0.4, color=BLUE)
    axes.axhline(line.allowed, color=RED, linestyle="--", linewidth=1.4)
    words = limit_words(line.limit)
    name = words if len(words) <= LIMIT_NAME_MAX else f"{words[: LIMIT_NAME_MAX - 1]}…"
    axes.set_title(f"{name}: {line.allowed:,} allowed", loc="left", fontsize=points - 3, color=INK)
    every = max(1, len(line.days) // 5)
    axes.set_xticks(list(at)[::every], [f"{day.day.day} {day.day:%b}" for day in line.days[::every]])
    axes.tick_params(labelsize=points - 4)
    axes.spines[["top", "right"]].set_visible(False)
    count_up(axes)


def _stairs(steps: Steps, end: datetime) -> tuple[Sequence[datetime], Sequence[int]]:
    return [*(at for at, _ in steps), max(end, steps[-1][0])], [*(count for _, count in steps), steps[-1][1]]


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return local_to_utc(day + timedelta(days=1), time(), zone.key)
