"""A plan by calendar day, as people read it: how many windows and nodes, from when to when, how sure of the ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.ids import ClusterId
from fermata.domain.plans import Mode, Plan, Window
from fermata.domain.windows import calendar_day


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOutline:
    """The windows of one day. `nodes_out_most`: at one instant. `confidence_least`: of the ends of its windows."""

    day: date
    windows: tuple[Window, ...]
    nodes: int
    nodes_out_most: int
    first_start: datetime
    last_end: datetime
    confidence_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledOutline:
    """A cluster that is taken in parts, with the days of its first and its last."""

    cluster: ClusterId
    parts: int
    first_day: date
    last_day: date


def outline_days(plan: Plan, timezone: str) -> tuple[DayOutline, ...]:
    """Days with windows, first to last; windows by start, then cluster."""
    by_day: dict[date, list[Window]] = {}
    for window in sorted(plan.windows, key=lambda w: (w.start, w.cluster)):
        by_day.setdefault(calendar_day(window.start, timezone), []).append(window)
    return tuple(_outline(day, windows) for day, windows in sorted(by_day.items()))


def outline_rolled(plan: Plan, timezone: str) -> tuple[RolledOutline, ...]:
    """Clusters in parts, by name."""
    starts: dict[ClusterId, list[datetime]] = {}
    for window in plan.windows:
        if window.mode is Mode.ROLLING:
            starts.setdefault(window.cluster, []).append(window.start)
    return tuple(
        RolledOutline(
            cluster=cluster,
            parts=len(found),
            first_day=calendar_day(min(found), timezone),
            last_day=calendar_day(max(found), timezone),
        )
        for cluster, found in sorted(starts.items())
    )


def nodes_out_most(windows: Iterable[Window]) -> int:
    """The most nodes out at one instant: half-open, so that what ends then does not count."""
    changes = sorted(change for w in windows for change in ((w.end, 0, -len(w.nodes)), (w.start, 1, len(w.nodes))))
    most = now = 0
    for _, _, nodes in changes:
        now += nodes
        most = max(most, now)
    return most


def _outline(day: date, windows: Sequence[Window]) -> DayOutline:
    return DayOutline(
        day=day,
        windows=tuple(windows),
        nodes=sum(len(w.nodes) for w in windows),
        nodes_out_most=nodes_out_most(windows),
        first_start=min(w.start for w in windows),
        last_end=max(w.end for w in windows),
        confidence_least=min(w.end_confidence for w in windows),
    )
