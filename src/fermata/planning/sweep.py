"""Counts what overlaps in time. Half-open: what ends at an instant is gone before what starts there counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from fermata.domain.campaign import Limit
from fermata.domain.ids import WindowId
from fermata.planning.case import CheckCase
from fermata.planning.columns import Flags
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
    for instant, total, counts in _levels(spans):
        is_over = total > cap and (of is None or not of.isdisjoint(counts))
        if is_over and (worst is None or total > worst.total):
            worst = Peak(at=instant, total=total, windows=tuple(sorted(counts)))
        elif not is_over and worst is not None:
            yield worst
            worst = None
    if worst is not None:
        yield worst


def _levels(spans: Iterable[Span]) -> Iterator[tuple[datetime, int, Mapping[WindowId, int]]]:
    """What is open from each instant at which something starts or ends: units, and how many spans of each window."""
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
            if not counts[span.window]:
                del counts[span.window]
        yield instant, total, counts


def find_node_peaks(case: CheckCase, reading: Reading, limit: Limit, matching: Flags, *, cap: int) -> Iterator[Peak]:
    """Every uninterrupted time with more than `cap` of the `matching` nodes out, at its worst instant."""
    counted = [
        (window, numbers[matching[numbers]])
        for window, numbers in zip(reading.plan.windows, reading.taken, strict=True)
        if case.counts_on(limit, window.start)
    ]
    spans = [Span(start=w.start, end=w.end, units=len(nodes), window=w.id) for w, nodes in counted]
    for peak in find_peaks(spans, cap, reading.asked):
        out = len(np.unique(np.concatenate([nodes for w, nodes in counted if w.start <= peak.at < w.end])))
        if out > cap:
            yield Peak(at=peak.at, total=out, windows=peak.windows)
