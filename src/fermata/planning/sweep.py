"""Counts what overlaps in time. Half-open: what ends at an instant is gone before what starts there counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.campaign import Limit
from fermata.domain.ids import NodeId, WindowId
from fermata.planning.case import CheckCase
from fermata.planning.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`units` of something over `[start, end)`, on behalf of a window."""

    start: datetime
    end: datetime
    units: int
    window: WindowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The worst instant of one uninterrupted time over the cap; `windows` are those that count there."""

    at: datetime
    total: int
    windows: tuple[WindowId, ...]


def find_peaks(spans: Iterable[Span], cap: int, of: frozenset[WindowId] | None = None) -> Iterator[Peak]:
    """One peak for each uninterrupted time over `cap`; with `of`, only instants count at which one of those is open.

    Everything counts towards the total in any case. Empty spans count nowhere.
    """
    worst: Peak | None = None
    for peak in _levels(spans):
        if peak.total > cap and (of is None or not of.isdisjoint(peak.windows)):
            worst = peak if worst is None or peak.total > worst.total else worst
        elif worst is not None:
            yield worst
            worst = None
    if worst is not None:
        yield worst


def _levels(spans: Iterable[Span]) -> Iterator[Peak]:
    """What is open from each instant at which something starts or ends."""
    changes: dict[datetime, list[tuple[int, Span]]] = {}
    for span in spans:
        if span.start < span.end and span.units:
            changes.setdefault(span.start, []).append((1, span))
            changes.setdefault(span.end, []).append((-1, span))
    counts: dict[WindowId, int] = {}
    total = 0
    for instant in sorted(changes):
        for sign, span in changes[instant]:
            total += sign * span.units
            counts[span.window] = counts.get(span.window, 0) + sign
        yield Peak(at=instant, total=total, windows=tuple(sorted(name for name, count in counts.items() if count)))


def find_node_peaks(
    case: CheckCase, reading: Reading, limit: Limit, matching: frozenset[NodeId], *, cap: int
) -> Iterator[Peak]:
    """Every uninterrupted time with more than `cap` of the `matching` nodes out, at its worst instant."""
    taken = {
        index: matching.intersection(window.nodes)
        for index, window in enumerate(reading.plan.windows)
        if case.counts_on(limit, window.start)
    }
    windows = reading.plan.windows
    spans = [
        Span(start=windows[index].start, end=windows[index].end, units=len(nodes), window=windows[index].id)
        for index, nodes in taken.items()
    ]
    for peak in find_peaks(spans, cap, reading.asked):
        out: set[NodeId] = set()
        for index, nodes in taken.items():
            if windows[index].start <= peak.at < windows[index].end:
                out |= nodes
        if len(out) > cap:
            yield Peak(at=peak.at, total=len(out), windows=peak.windows)
