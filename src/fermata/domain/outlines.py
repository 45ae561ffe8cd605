"""A plan by calendar day, as people read it: how many windows and nodes, from when to when, how sure of the ends."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.ids import ClusterId
from fermata.domain.plans import Mode, Plan, ServiceDay, Unplanned, Window
from fermata.domain.reasons import AnyCode
from fermata.domain.windows import calendar_day

HOSTS_SHOWN = 2  # a line; the plan names all of them


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutline:
    """What one code keeps out of a cluster: its groups, each with a sentence of its own."""

    cluster: ClusterId
    code: AnyCode
    groups: tuple[Unplanned, ...]

    @property
    def nodes(self) -> int:
        """Of all groups together."""
        return sum(len(group.nodes) for group in self.groups)

    @property
    def sentence(self) -> str:
        """The first group's, and how many more there are: hundreds of nodes differ by nothing but their names."""
        more = len(self.groups) - 1
        others = f" {more:,} more {'reason' if more == 1 else 'reasons'} of this kind." if more else ""
        return f"{self.groups[0].reason.sentence}{others}"


def outline_left_out(plan: Plan) -> tuple[LeftOutline, ...]:
    """One for each cluster and code, in the plan's order."""
    found: dict[tuple[ClusterId, AnyCode], list[Unplanned]] = {}
    for group in plan.unplanned:
        found.setdefault((group.cluster, group.reason.code), []).append(group)
    return tuple(LeftOutline(cluster=c, code=code, groups=tuple(groups)) for (c, code), groups in found.items())


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


def find_tightest(lines: Sequence[ServiceDay]) -> tuple[ServiceDay, ...]:
    """For each service and geo the day on which least is left above its minimum. Where any has a minimum, only those
    that do.
    """
    bound = [line for line in lines if line.minimum]
    tightest: dict[tuple[str, str], ServiceDay] = {}
    for line in bound or lines:
        place = (line.service, line.geo)
        before = tightest.get(place)
        if before is None or _rank(line) < _rank(before):
            tightest[place] = line
    return tuple(line for _, line in sorted(tightest.items()))


def name_hosts(line: ServiceDay) -> str:
    """The clusters with the most nodes that carry its load, largest first; nothing where none do."""
    hosts: dict[ClusterId, int] = defaultdict(int)
    for move in line.moves:
        hosts[move.to_cluster] += move.nodes
    ordered = sorted(hosts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} ({nodes:,})" for name, nodes in ordered[:HOSTS_SHOWN])
    hidden = len(ordered) - HOSTS_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _rank(line: ServiceDay) -> tuple[int, int]:
    return line.remaining - line.minimum, line.day.toordinal()


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
