"""When work may be done that is let through at some times only: in recurring windows of a policy, within the bounds of
an approval.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.recurrence import RecurringWindow, say_recurrence
from fermata.domain.windows import Interval

LOOK_AHEAD = timedelta(days=400)  # a window that comes once a year comes within it
STEP = timedelta(days=35)  # of looking ahead: the next one is mostly near


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Work is allowed inside any of `windows` (none: at any time), from `not_before` on and until `not_after` (UTC;
    None: no bound).
    """

    windows: tuple[RecurringWindow, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None

    def open_times(self, first: datetime, until: datetime) -> tuple[Interval, ...]:
        """What is open of `[first, until)`, in order; windows that touch or overlap are one."""
        start = first if self.not_before is None else max(first, self.not_before)
        end = until if self.not_after is None else min(until, self.not_after)
        if start >= end:
            return ()
        if not self.windows:
            return (Interval(start, end),)
        found = (i for window in self.windows for i in window.intervals(start, end))
        return merge(Interval(max(i.start, start), min(i.end, end)) for i in found)

    def __str__(self) -> str:
        windows = " or ".join(
            f"{w.id} ({say_recurrence(w.recurrence)} {w.start:%H:%M}, {w.duration / timedelta(hours=1):g} h, {w.zone})"
            for w in self.windows
        )
        windows = f"in {windows}" if windows else ""
        after = f"from {self.not_before:%Y-%m-%d %H:%MZ} on" if self.not_before else ""
        before = f"until {self.not_after:%Y-%m-%d %H:%MZ}" if self.not_after else ""
        return " ".join(filter(None, (windows, after, before))) or "at any time"


def open_for_all(allowances: Iterable[Allowance], first: datetime, until: datetime) -> tuple[Interval, ...]:
    """What of `[first, until)` every allowance opens; all of it without any."""
    common: tuple[Interval, ...] = (Interval(first, until),)
    for allowance in allowances:
        common = tuple(_intersect(common, allowance.open_times(first, until)))
    return common


def closed_for_any(allowances: Iterable[Allowance], first: datetime, until: datetime) -> tuple[Interval, ...]:
    """The rest of `[first, until)`: what at least one allowance does not open."""
    closed: list[Interval] = []
    free = first
    for found in open_for_all(allowances, first, until):
        closed.append(Interval(free, found.start))
        free = found.end
    return merge([*closed, Interval(free, until)])


def covers(allowances: Iterable[Allowance], wanted: Interval) -> bool:
    """True when work over all of `wanted` is allowed."""
    return open_for_all(allowances, wanted.start, wanted.end) == (wanted,)


def find_next(allowances: Iterable[Allowance], after: datetime, length: timedelta) -> Interval | None:
    """The first time at or after `after` that is open for `length`; None when there is none within LOOK_AHEAD."""
    known = tuple(allowances)
    first = max([after, *(each.not_before for each in known if each.not_before is not None)])
    until = first
    while until < first + LOOK_AHEAD:
        until += STEP
        for found in open_for_all(known, first, until + length):
            if found.end - found.start >= length:
                return found
    return None


def merge(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants in order, as intervals that neither touch nor overlap; empty ones are left out."""
    merged: list[Interval] = []
    for each in sorted(i for i in intervals if i.start < i.end):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return tuple(merged)


def _intersect(left: Iterable[Interval], right: Iterable[Interval]) -> Iterator[Interval]:
    """What two ordered sequences share, in order."""
    others = tuple(right)
    for one in left:
        for other in others:
            if one.overlaps(other):
                yield Interval(max(one.start, other.start), min(one.end, other.end))
