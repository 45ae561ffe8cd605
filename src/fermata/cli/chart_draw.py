"""Draws charts with Matplotlib, without a screen. Colours are those of Okabe and Ito, told apart by every eye; what
colours say is said by shape or hatching, too.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, DayLocator, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from fermata.domain.report import Report
from fermata.server.web import words
from fermata.services.board_views import Board, Lane, Mark

BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
GREY, INK = "#8a8a8a", "#222222"
STEPS = {"drain": (SKY, "//"), "apply": (BLUE, ""), "reboot": (PURPLE, "xx"), "verify": (GREEN, "..")}
DONE = {Mark.DONE: GREEN, Mark.OVERRUN: RED, Mark.MISSED: RED, Mark.SKIPPED: GREY, Mark.PLANNED: SKY}
SIZES = {"phone": ((6.0, 6.6), 180, 12.0), "desk": ((12.0, 6.75), 150, 11.0)}  # inches, dots an inch, points
NAME_MAX = 22
ROWS_MAX = 40  # of a picture that is to be read


def draw_board(name: str, board: Board, target: Path, size: str) -> None:
    """Writes one of the board's charts. Times are of the campaign's zone."""
    draw = {"out": _out, "share": _share, "today": _today, "calendar": _calendar, "tail": _tail}[name]
    title = board.head.title if board.head else "No campaign"
    zone = board.head.timezone if board.head else "UTC"
    draw_picture(lambda axes: draw(axes, board, ZoneInfo(zone)), title, board.now, zone, (target, size))


def draw_report(name: str, report: Report, target: Path, size: str) -> None:
    """Writes one of the report's charts."""
    draw = {"capacity": _capacity, "late": _late}[name]
    draw_picture(lambda axes: draw(axes, report), report.title, report.as_of, report.timezone, (target, size))


def draw_picture(draw: Callable[[Axes], str], title: str, now: datetime, zone: str, to: tuple[Path, str]) -> None:
    """A picture of one chart, into this file and of this size; `draw` says what it shows, beside the title."""
    inches, dots, points = SIZES[to[1]]
    figure = Figure(figsize=inches, dpi=dots, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(labelsize=points - 2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    told = draw(axes)
    if not axes.has_data():
        axes.text(
            0.5, 0.5, "Nothing to show yet", transform=axes.transAxes, ha="center", fontsize=points + 2, color=GREY
        )
    axes.set_title(f"{title}: {told}\n{say_as_of(now, zone)}", loc="left", fontsize=points, color=INK, wrap=True)
    axes.xaxis.label.set_size(points - 1)
    axes.yaxis.label.set_size(points - 1)
    legend = axes.get_legend()
    if legend is not None:
        for text in legend.get_texts():
            text.set_fontsize(points - 2)
    figure.savefig(to[0], metadata={"Date": None} if to[0].suffix == ".svg" else None)


def say_as_of(now: datetime, zone: str) -> str:
    """The line below every title."""
    return f"as of {words.moment(now, zone)} {words.zone_name(now, zone)}"


def add_legend(axes: Axes, handles: Sequence[Patch | Line2D] | None = None) -> None:
    """Below the chart: what is labelled, or these."""
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 3, "frameon": False}
    if handles is None:
        axes.legend(**place)
    else:
        axes.legend(handles=handles, **place)


def add_days(axes: Axes, zone: ZoneInfo) -> None:
    """Days along the bottom, some six of them."""
    first, last = axes.get_xlim()
    locator = DayLocator(interval=max(1, round((last - first) / 6)), tz=zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(DateFormatter("%-d %b", tz=zone))
    axes.set_xlabel(f"day, {zone.key}")


def _steps(start: datetime, step: timedelta, values: Sequence[int], now: datetime) -> tuple[list[datetime], list[int]]:
    at = [start + index * step for index in range(len(values))]
    return ([*at, max(now, at[-1])], [*values, values[-1]]) if values else ([], [])


def _out(axes: Axes, board: Board, zone: ZoneInfo) -> str:
    curves, figures = board.curves, board.figures
    if curves is not None and figures is not None:
        at, planned = [when for when, _ in curves.planned], [count for _, count in curves.planned]
        axes.fill_between(at, planned, step="post", color=GREY, alpha=0.35, linewidth=0, label="plan")
        axes.plot(*_steps(curves.start, curves.step, curves.actual, board.now), drawstyle="steps-post", color=BLUE,
                  linewidth=1.8, label="actual")  # fmt: skip
        if figures.cap is not None:
            axes.axhline(figures.cap, color=RED, linestyle="--", linewidth=1.6, label=f"limit {figures.cap:,}")
        axes.axvline(board.now, color=INK, linestyle=":", linewidth=1.2, label="now")
        add_days(axes, zone)
        add_legend(axes)
    axes.set_ylim(bottom=0)
    count_up(axes)
    axes.set_ylabel("nodes out")
    return "nodes out at once"


def count_up(axes: Axes) -> None:
    """Whole numbers up the side."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _share(axes: Axes, board: Board, zone: ZoneInfo) -> str:
    curves, figures = board.curves, board.figures
    if curves is not None and figures is not None and figures.baseline and curves.in_service:
        at, counts = _steps(curves.start, curves.step, curves.in_service, board.now)
        share = [count / figures.baseline for count in counts]
        axes.plot(at, share, drawstyle="steps-post", color=GREEN, linewidth=1.8)
        axes.set_ylim(min(0.9, min(share) - 0.02), 1.005)
        add_days(axes, zone)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("share of the baseline in service")
    return f"share of {figures.baseline:,} nodes in service" if figures else "nodes in service"


def _today(axes: Axes, board: Board, zone: ZoneInfo) -> str:
    lanes = board.lanes[:ROWS_MAX]
    for row, lane in enumerate(lanes):
        _draw_lane(axes, row, lane, board.now)
    if lanes and board.axis is not None:
        axes.axvline(board.now, color=INK, linestyle=":", linewidth=1.2)
        axes.axvline(board.axis.back_by, color=RED, linestyle="--", linewidth=1.6)
        axes.set_xlim(board.axis.start, board.axis.end)
        axes.set_yticks(range(len(lanes)), [_named(lane) for lane in lanes])
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))
        axes.xaxis.set_major_locator(AutoDateLocator(tz=zone, minticks=3, maxticks=6))
        axes.grid(visible=False, axis="y")
        marks = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=kind)
            for kind, (colour, hatch) in STEPS.items()
        ]
        lines = [
            Line2D([], [], color=INK, linewidth=4, label="so far"),
            Line2D([], [], color=INK, marker="D", linestyle="", label="back, median"),
            Line2D([], [], color=INK, marker=">", linestyle="", label="nine in ten by"),
            Line2D([], [], color=INK, linestyle=":", label="now"),
            Line2D([], [], color=RED, linestyle="--", label="promised back"),
        ]
        add_legend(axes, [*marks, *lines])
    axes.set_xlabel(f"time of day, {zone.key}")
    day = words.day(board.lanes_day) if board.lanes_day else "no day"
    hidden = f", {len(lanes)} of {len(board.lanes)} shown" if len(board.lanes) > len(lanes) else ""
    return f"windows of {day}{hidden}"


def _draw_lane(axes: Axes, row: int, lane: Lane, now: datetime) -> None:
    for step in lane.steps:
        colour, hatch = STEPS[step.kind.rpartition("_")[2]]
        axes.broken_barh(
            [(date2num(step.start), date2num(step.end) - date2num(step.start))], (row - 0.34, 0.36),
            facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0,
        )  # fmt: skip
    if lane.opened is not None:
        axes.plot([lane.opened, lane.closed or now], [row + 0.22] * 2, color=INK, linewidth=4, solid_capstyle="butt")
    made = lane.foretold
    if made is not None and made.enough is not None and lane.closed is None:
        axes.plot([made.enough.median], [row + 0.22], "D", color=INK, markersize=6)
        axes.plot([made.enough.bound], [row + 0.22], ">", color=INK, markersize=6)
    elif lane.opened is not None and lane.closed is None:
        axes.plot([lane.forecast], [row + 0.22], "D", color=INK, markersize=6, fillstyle="none")


def _named(lane: Lane) -> str:
    part = words.part(lane.chip)
    name = lane.chip.cluster if len(lane.chip.cluster) <= NAME_MAX else f"…{lane.chip.cluster[1 - NAME_MAX :]}"
    return "\n".join(text for text in (f"{name} {part}".strip(), words.slip(lane.slip)) if text)


def _calendar(axes: Axes, board: Board, zone: ZoneInfo) -> str:
    chips = sorted((chip for day in board.days for chip in day.chips), key=lambda chip: (chip.start, chip.cluster))
    every = list(dict.fromkeys(chip.cluster for chip in chips))
    clusters = every[:ROWS_MAX]
    for chip in chips:
        if chip.cluster not in clusters:
            continue
        start = date2num(chip.start.astimezone(zone).replace(hour=0, minute=0))
        axes.broken_barh([(start + 0.06, 0.88)], (clusters.index(chip.cluster) - 0.4, 0.8),
                         facecolor=DONE.get(chip.mark, ORANGE), hatch="" if chip.closed else "//",
                         edgecolor="white")  # fmt: skip
    if clusters:
        axes.set_yticks(range(len(clusters)), clusters)
        axes.set_ylim(len(clusters) - 0.4, -0.6)
        axes.xaxis.set_major_locator(DayLocator(interval=max(1, len(board.days) // 8), tz=zone))
        axes.xaxis.set_major_formatter(DateFormatter("%-d %b", tz=zone))
        axes.axvline(date2num(board.now), color=INK, linestyle=":", linewidth=1.2)
        meanings = (
            (GREEN, "", "done"),
            (RED, "", "late or missed"),
            (ORANGE, "//", "open or waiting"),
            (SKY, "//", "to come"),
        )
        add_legend(axes, [Patch(facecolor=c, hatch=h, edgecolor="white", label=text) for c, h, text in meanings])
    axes.set_xlabel(f"day, {zone.key}")
    hidden = f", {len(clusters)} of {len(every)} clusters shown" if len(every) > len(clusters) else ""
    return f"{len(chips):,} windows{hidden}"


def _tail(axes: Axes, board: Board, _zone: ZoneInfo) -> str:
    rows = board.tail[:ROWS_MAX]
    if rows:
        bars = axes.barh([row.code for row in rows], [row.nodes for row in rows], height=0.5, color=ORANGE)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_xlabel("nodes")
    return f"{len(board.tail_rows):,} nodes not back, by reason"


def _capacity(axes: Axes, report: Report) -> str:
    days = report.capacity.days
    if days:
        at = range(len(days))
        axes.bar([x - 0.2 for x in at], [d.planned_node_hours for d in days], 0.38, color=GREY, hatch="//",
                 edgecolor="white", label="planned")  # fmt: skip
        axes.bar([x + 0.2 for x in at], [d.actual_node_hours for d in days], 0.38, color=BLUE, label="actual")
        every = max(1, len(days) // 8)
        axes.set_xticks(list(at)[::every], [f"{d.day.day} {d.day:%b}" for d in days[::every]])
        add_legend(axes)
    count_up(axes)
    axes.set_ylabel("node-hours out")
    axes.set_xlabel(f"day, {report.timezone}")
    return "node-hours out, day by day"


def _late(axes: Axes, report: Report) -> str:
    minutes = [window.late / timedelta(minutes=1) for window in report.windows if window.late is not None]
    if minutes:
        axes.hist(minutes, bins=min(24, max(6, len(minutes) // 2)), color=BLUE, edgecolor="white")
        axes.axvline(0, color=RED, linestyle="--", linewidth=1.6, label="planned end")
        add_legend(axes)
    count_up(axes)
    axes.set_ylabel("windows")
    axes.set_xlabel("minutes after the planned end (left of 0: early)")
    return f"how late {len(minutes):,} windows ended"
