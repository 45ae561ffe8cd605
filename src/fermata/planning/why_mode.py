"""Why a cluster is taken whole or rolled in parts: the first rule, if any, that leaves no choice."""

from collections.abc import Sequence
from datetime import timedelta

from fermata.domain.plans import Mode, Window
from fermata.domain.policy import Freeze
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.windows import Interval
from fermata.planning.days import Day, find_days
from fermata.planning.inputs import PlanningInput
from fermata.planning.parts import size_bounds
from fermata.planning.resources import Resource, count_limits, find_limits
from fermata.planning.scope import ClusterWork, find_scope
from fermata.planning.ways import Way, WayFinder
from fermata.planning.why_window import hours_text


def explain_mode(inputs: PlanningInput, narrow: PlanningInput, windows: Sequence[Window]) -> tuple[Reason, ...]:
    """Of one cluster with windows; `narrow` are the inputs with a fleet of that cluster alone."""
    scope = find_scope(narrow)
    work = scope.works[0]
    clusters = tuple(c for _, c in sorted(inputs.fleet.clusters.items()) if inputs.campaign.scope.matches_cluster(c))
    limits = find_limits(inputs.campaign, clusters, inputs.fleet)  # shares are of the whole fleet
    ways = WayFinder(narrow, scope, limits).find_ways(work)
    if windows[0].mode is Mode.WHOLE:
        return (_explain_whole(inputs, work, ways),)
    return _explain_parts(inputs, work, ways, limits, len(windows))


def _explain_whole(inputs: PlanningInput, work: ClusterWork, ways: Sequence[Way]) -> Reason:
    name = work.cluster.name
    if not work.cluster.rolling_allowed:
        return reason(Code.WHOLE_ONLY, cluster=name)
    rolled = [way.windows for way in ways if way.mode is Mode.ROLLING]
    if rolled:
        return reason(Code.WHOLE_FEWEST, cluster=name, parts=min(rolled))
    least, most = size_bounds(work.nodes_with_work, inputs.campaign.rolling)
    return reason(Code.PARTS_NONE, cluster=name, least=f"{least:,}", most=f"{most:,}")


def _explain_parts(
    inputs: PlanningInput, work: ClusterWork, ways: Sequence[Way], limits: Sequence[Resource], parts: int
) -> tuple[Reason, ...]:
    name = work.cluster.name
    days = find_days(inputs.campaign, inputs.now)
    over = _find_exceeded(inputs, work, limits, days)
    if over:
        return tuple(
            reason(Code.PARTS_LIMIT, cluster=name, limit=limit.name, allowed=f"{limit.capacity:,}", units=f"{units:,}")
            for limit, units in over
        )
    whole = next(way for way in ways if way.mode is Mode.WHOLE)
    group = whole.groups[0]
    held = [freeze for freeze in inputs.policy.freezes if freeze.id in group.freezes]
    if not any(_has_room(day, group.minutes, held) for day in days):
        return (reason(Code.PARTS_NO_DAY, cluster=name, needed=hours_text(group.minutes)),)
    return (reason(Code.PARTS_BETTER, cluster=name, parts=parts),)


def _find_exceeded(
    inputs: PlanningInput, work: ClusterWork, limits: Sequence[Resource], days: Sequence[Day]
) -> list[tuple[Resource, int]]:
    """Limits that the whole cluster exceeds on its own on every day of the campaign, with what it would take."""
    is_big = len(inputs.fleet.nodes_by_cluster[work.cluster.name]) > inputs.campaign.big_cluster_nodes
    counts = count_limits(limits, work.nodes, work.cluster, mode=Mode.WHOLE, is_big=is_big)
    found = [(limits[number], units) for number, units in counts.items() if units > limits[number].capacity]
    always = [(limit, units) for limit, units in found if all(limit.holds_on(day.date) for day in days)]
    is_shut = all(any(limit.holds_on(day.date) for limit, _ in found) for day in days)
    at_once = [(limit, units) for limit, units in found if not limit.per_day]
    return always or (found if is_shut else at_once)


def _has_room(day: Day, minutes: int, freezes: Sequence[Freeze]) -> bool:
    length = timedelta(minutes=minutes)
    outs = (Interval(day.at(start), day.at(start) + length) for start in day.starts(minutes))
    return any(not any(out.overlaps(Interval(f.start, f.end)) for f in freezes) for out in outs)
