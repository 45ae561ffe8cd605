"""Turns one board snapshot into HTML fragments and chart data. Pure: the same board gives the same bytes."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from fermata.domain.break_glass import place_words
from fermata.server.banner import find_broken
from fermata.server.demo import DemoInfo
from fermata.server.identity.viewer import viewer
from fermata.server.web import words
from fermata.server.web.assets import asset_url
from fermata.services.board_views import Axis, Board, Curves, Figures, Lane, Mark, TailPage, WindowView
from fermata.services.words import span_words

HERE = Path(__file__).parent
HTML_FRAGMENTS = ("clock", "headline", "today", "calendar", "tail")
DAY = "day-"  # a part per day: a window that moves re-sends one day, not the whole calendar
MIN_BAR = 0.25  # per cent of the lane: what just started must still be seen


@cache
def environment() -> Environment:
    """Jinja with autoescape on and undefined names refused."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        number=words.number,
        moment=words.moment,
        clock=words.clock,
        day=words.day,
        span=span_words,
        zone_name=words.zone_name,
        commands=mark_commands,
    )
    env.globals.update(words=words, percent=words.percent, share=_share, asset=asset_url, viewer=viewer, csrf=_csrf)
    env.globals.update(broken=find_broken, place_words=place_words)
    return env


def _csrf() -> Markup:
    """The field that goes along with a form's change; nothing where nobody signed in."""
    token = viewer().csrf
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token) if token else Markup("")


def mark_commands(sentence: str) -> Markup:
    """A sentence with what stands between backticks, which is what somebody may type, as code."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:  # one is left over: it is part of the words
        return escape(sentence)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def render_fragments(board: Board, tail: TailPage, demo: DemoInfo | None) -> dict[str, str]:
    """Every live part of the page by its event name."""
    context = _context(board, tail, demo)
    fragments = {name: _render(f"fragments/{name}.html", context) for name in HTML_FRAGMENTS}
    days = {f"{DAY}{day.day}": _render("fragments/day.html", context | {"d": day}) for day in board.days}
    fragments |= days | {"layout": " ".join(days)}
    fragments["out-words"] = say_out(board)
    fragments["share-words"] = _share_words(board)
    return fragments


def render_tail(board: Board, page: TailPage) -> str:
    """The tail section at one page of one reason."""
    return _render("fragments/tail.html", _context(board, page, None))


def render_days(parts: Mapping[str, str]) -> str:
    """All days of the calendar, from the parts that a viewer is sent."""
    return _render("fragments/days.html", {"days": day_parts(parts)})


def day_parts(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and markup of each day, in order."""
    return [(name, Markup(parts[name])) for name in parts["layout"].split()]


def render_page(template: str, **values: Any) -> str:
    """A whole page."""
    return environment().get_template(template).render(**values)


def render_window(view: WindowView) -> str:
    """The page of one window."""
    return render_page(
        "window.html", view=view, zone=view.timezone, lane=_lane(view.lane, view.axis, view.now, view.timezone)
    )


def charts_json(board: Board) -> bytes:
    """What charts.js draws. Times are milliseconds of wall time in the campaign's zone, so that axes read locally."""
    if board.curves is None or board.figures is None or board.head is None:
        return b"null"
    zone = ZoneInfo(board.head.timezone)
    curves, figures = board.curves, board.figures
    return orjson.dumps(
        {
            "start": _wall_ms(curves.start, zone),
            "end": _wall_ms(curves.end, zone),
            "step": int(curves.step.total_seconds() * 1000),
            "now": _wall_ms(board.now, zone),
            "actual": curves.actual,
            "in_service": curves.in_service,
            "planned": [(_wall_ms(at, zone), n) for at, n in curves.planned],
            "cap": figures.cap,
            "baseline": figures.baseline,
        }
    )


def _wall_ms(instant: datetime, zone: ZoneInfo) -> int:
    return int(instant.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)


def _render(template: str, context: dict[str, Any]) -> str:
    return environment().get_template(template).render(context)


def _context(board: Board, tail: TailPage, demo: DemoInfo | None) -> dict[str, Any]:
    zone = board.head.timezone if board.head else "UTC"
    marks = Counter(chip.mark for day in board.days for chip in day.chips)
    return {
        "board": board,
        "demo": demo,
        "zone": zone,
        "pace": words.pace_text(board),
        "end_word": "all closed" if board.lanes and all(lane.closed for lane in board.lanes) else "forecast",
        "counts": words.counts_text(board.figures) if board.figures else "",
        "mark_counts": [(mark, marks[mark]) for mark in Mark if marks[mark]],
        "page": tail,
        "total": sum(reason.nodes for reason in board.tail),
        **_lanes_context(board, zone),
    }


def _lanes_context(board: Board, zone: str) -> dict[str, Any]:
    title, empty = _lanes_words(board, zone)
    context: dict[str, Any] = {"lanes_title": title, "lanes_empty": empty, "lanes": [], "ticks": []}
    if board.axis is None:
        return context
    axis = board.axis
    inside = axis.start <= board.now <= axis.end
    return context | {
        "lanes": [_lane(lane, axis, board.now, zone) for lane in board.lanes],
        "ticks": _ticks(axis, zone),
        "back_by_x": _x(axis, axis.back_by),
        "now_x": _x(axis, board.now) if inside else None,
    }


def _lanes_words(board: Board, zone: str) -> tuple[str, str]:
    if board.head is None or board.lanes_day is None:
        return "Today", "Windows of the day appear here once a plan is published."
    today = board.now.astimezone(ZoneInfo(zone)).date()
    if board.lanes_day == today:
        return "Today’s windows", "No window today."
    return f"Next windows, {words.day(board.lanes_day)}", "No window is left."


def _lane(lane: Lane, axis: Axis, now: datetime, zone: str) -> dict[str, Any]:
    planned = f"{words.clock(lane.chip.start, zone)} to {words.clock(lane.chip.end, zone)}"
    shown: dict[str, Any] = {
        "chip": lane.chip,
        "segments": [{"kind": s.kind, **_bar(axis, s.start, s.end)} for s in lane.steps],
        "slip": words.slip(lane.slip),
        "pace": lane.slip.pace,
        "doing": lane.doing or (planned if lane.opened is None else ""),
        "size": _size(lane),
        "share": "",
        "actual": None,
        "forecast": None,
        "foretold": words.foretold(lane.foretold, zone),
        "needs_you": words.needs_you(lane.foretold),
        "jobs": words.jobs(lane.jobs, zone),
        "has_room": lane.opened is not None or lane.chip.mark in (Mark.WAITING, Mark.MISSED),
    }
    if lane.opened is None:
        return shown
    until = lane.closed or now
    shown["actual"] = _bar(axis, lane.opened, until)
    if lane.closed is None:
        shown["share"] = f"{lane.done:.0%} done, plan {lane.due:.0%}"
        if lane.forecast > until:
            shown["forecast"] = _bar(axis, until, lane.forecast)
    return shown


def _size(lane: Lane) -> str:
    if lane.opened is None:
        return words.nodes(lane.chip.nodes)
    return f"{words.number(lane.chip.returned)} of {words.number(lane.chip.taken)} back"


def _ticks(axis: Axis, zone: str) -> list[dict[str, Any]]:
    """One per hour that fits, on whole local hours."""
    local = axis.start.astimezone(ZoneInfo(zone))
    tick = axis.start + timedelta(minutes=(60 - local.minute) % 60)
    found = []
    while tick <= axis.end:
        anchor = "start" if tick == axis.start else "end" if tick == axis.end else "middle"
        found.append({"x": _x(axis, tick), "label": words.clock(tick, zone), "anchor": anchor})
        tick += timedelta(hours=1)
    return found


def _x(axis: Axis, instant: datetime) -> float:
    whole = (axis.end - axis.start).total_seconds()
    share = (instant - axis.start).total_seconds() / whole if whole else 0.0
    return round(100 * min(max(share, 0.0), 1.0), 2)


def _bar(axis: Axis, start: datetime, end: datetime) -> dict[str, float]:
    x = _x(axis, start)
    return {"x": x, "w": round(max(_x(axis, end) - x, MIN_BAR), 2)}


def _share(value: float, whole: float) -> float:
    return round(100 * min(max(value / whole, 0.0), 1.0), 2) if whole else 0.0


def say_out(board: Board) -> str:
    """Nodes out now, at their peak and as planned, in words."""
    if board.curves is None or board.figures is None:
        return "Drawn once a plan is published."
    figures, curves = board.figures, board.curves
    peak = max(curves.actual, default=0)
    planned = _planned_at(curves, board.now)
    text = f"Now {words.number(figures.out)}, plan {words.number(planned)}. Peak so far {words.number(peak)}"
    return text + (f"; never more than {words.number(figures.cap)} allowed." if figures.cap is not None else ".")


def _planned_at(curves: Curves, now: datetime) -> int:
    return next((count for at, count in reversed(curves.planned) if at <= now), 0)


def _share_words(board: Board) -> str:
    if board.curves is None or board.figures is None:
        return "Drawn once a plan is published."
    figures: Figures = board.figures
    if not figures.baseline:
        return "Drawn once the run starts: the nodes in service then are the baseline."
    lowest = min(board.curves.in_service, default=figures.in_service)
    return (
        f"Now {words.percent(figures.in_service, figures.baseline)} of {words.nodes(figures.baseline)}"
        f" in service at the start. Lowest so far {words.percent(lowest, figures.baseline)}."
    )
