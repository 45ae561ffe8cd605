"""What was out when: half-open intervals of nodes and windows swept into curves, peaks and the use of each limit."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.plans import Mode
from fermata.domain.windows import Interval, calendar_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One node held over `out`, from its lock until it was finished, or until now while it has not `ended`."""

    node: NodeId
    cluster: ClusterId
    out: Interval
    in_service_before: bool
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWindow:
    """One window that was open over `open`."""

    cluster: ClusterId
    mode: Mode
    open: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """The most that a limit saw. `allowed` is in the limit's own count; `at` is when the peak was first reached."""

    limit: Limit
    allowed: int
    observed: int
    at: datetime | date | None

    @property
    def exceeded(self) -> bool:
        """True when more was out, or open, than the limit allows."""
        return self.observed > self.allowed


Curve = tuple[tuple[datetime, int], ...]


def curve(intervals: Iterable[Interval]) -> Curve:
    """How many intervals hold each instant, as steps (from this instant on, that many). Ends come before starts."""
    return weighted_curve((interval, 1) for interval in intervals)


def weighted_curve(intervals: Iterable[tuple[Interval, int]]) -> Curve:
    """As `curve`, where each interval counts for so many."""
    changes: Counter[datetime] = Counter()
    for interval, weight in intervals:
        changes[interval.start] += weight
        changes[interval.end] -= weight
    steps: list[tuple[datetime, int]] = []
    count = 0
    for instant in sorted(changes):
        if changes[instant]:
            count += changes[instant]
            steps.append((instant, count))
    return tuple(steps)


def peak_within(steps: Curve, over: Interval) -> int:
    """The highest step that reaches into `over`; 0 when none does."""
    highest = 0
    for (start, count), end in _stretches(steps):
        if start < over.end and (end is None or over.start < end):
            highest = max(highest, count)
    return highest


def hours_within(steps: Curve, over: Interval) -> float:
    """Count times hours under the curve over `over`: node-hours, when it counts nodes."""
    total = 0.0
    for (start, count), end in _stretches(steps):
        first, last = max(start, over.start), over.end if end is None else min(end, over.end)
        if first < last:
            total += count * ((last - first) / timedelta(hours=1))
    return total


def _stretches(steps: Curve) -> Iterator[tuple[tuple[datetime, int], datetime | None]]:
    """Each step with the instant at which the next one begins; None after the last."""
    for index, step in enumerate(steps):
        yield step, steps[index + 1][0] if index + 1 < len(steps) else None


def peak(steps: Curve) -> tuple[int, datetime | None]:
    """The highest step and when it was first reached; (0, None) for no steps."""
    return max(((count, at) for at, count in steps), key=lambda step: step[0], default=(0, None))


def measure_limits(
    campaign: Campaign, fleet: Fleet, outages: Sequence[Outage], windows: Sequence[OpenWindow]
) -> tuple[LimitUse, ...]:
    """What was out and open against every limit of the campaign, in the campaign's order."""
    return tuple(_measure(limit, campaign, fleet, outages, windows) for limit in campaign.limits)


def _measure(
    limit: Limit, campaign: Campaign, fleet: Fleet, outages: Sequence[Outage], windows: Sequence[OpenWindow]
) -> LimitUse:
    match limit.what:
        case LimitKind.NODES_OUT:
            meant = _nodes_meant(limit, campaign, fleet)
            observed, at = peak(curve(outage.out for outage in outages if outage.node in meant))
            return LimitUse(limit=limit, allowed=_nodes_allowed(limit, len(meant)), observed=observed, at=at)
        case LimitKind.CLUSTER_WINDOWS:
            matching = (w.open for w in windows if limit.where.matches_cluster(fleet.clusters[w.cluster]))
            observed, at = peak(curve(matching))
            return LimitUse(limit=limit, allowed=limit.at_once or 0, observed=observed, at=at)
        case LimitKind.WHOLE_BIG_CLUSTERS:
            by_day = _whole_big_by_day(limit, campaign, fleet, windows)
            day = max(by_day, key=lambda d: (by_day[d], -d.toordinal()), default=None)
            return LimitUse(
                limit=limit, allowed=limit.per_day or 0, observed=by_day[day] if day is not None else 0, at=day
            )


def _nodes_meant(limit: Limit, campaign: Campaign, fleet: Fleet) -> frozenset[NodeId]:
    """All in-scope nodes that the limit is about."""
    return frozenset(
        node.name
        for cluster_name, nodes in fleet.nodes_by_cluster.items()
        if campaign.scope.matches_cluster(cluster := fleet.clusters[cluster_name])
        for node in nodes
        if limit.where.matches(node, cluster)
    )


def _nodes_allowed(limit: Limit, nodes: int) -> int:
    if limit.at_once is not None:
        return limit.at_once
    return int((limit.at_once_fraction or 0.0) * nodes + 1e-9)  # 0.1 x 30 is 2.9999999999999996 in floating point


def _whole_big_by_day(
    limit: Limit, campaign: Campaign, fleet: Fleet, windows: Sequence[OpenWindow]
) -> Mapping[date, int]:
    counts: dict[date, int] = defaultdict(int)
    for window in windows:
        day = calendar_day(window.open.start, campaign.timezone)
        is_big = len(fleet.nodes_by_cluster[window.cluster]) > campaign.big_cluster_nodes
        in_force = (limit.first_day is None or limit.first_day <= day) and (
            limit.last_day is None or day <= limit.last_day
        )
        if (
            window.mode is Mode.WHOLE
            and is_big
            and in_force
            and limit.where.matches_cluster(fleet.clusters[window.cluster])
        ):
            counts[day] += 1
    return counts
