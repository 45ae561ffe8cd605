"""Why a cluster is taken whole or rolled in parts: the first rule, if any, that leaves no choice."""

from collections.abc import Sequence
from datetime import timedelta

from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import Mode, Window
from fermata.domain.reasons import Reason, reason
from fermata.domain.windows import Interval
from fermata.planning.days import Day
from fermata.planning.encoding import Parts, Resource, Taken
from fermata.planning.inputs import PlanningInput
from fermata.planning.resources import find_uses
from fermata.planning.scope import ClusterWork, find_scope
from fermata.planning.ways import Way, WayFinder
from fermata.planning.why_load import Loads
from fermata.planning.why_window import hours_text


def explain_mode(loads: Loads, narrow: PlanningInput, windows: Sequence[Window]) -> tuple[Reason, ...]:
    """Of one cluster with windows; `narrow` are the inputs of `loads` with a fleet of that cluster alone. Where
    nothing of what was planned may be taken any more, such as when consent was withdrawn, why not.
    """
    scope = find_scope(narrow)
    if not scope.works:
        return tuple(dict.fromkeys(group.reason for group in scope.unplanned))
    work = scope.works[0]
    ways = WayFinder(narrow, scope, loads.encoding, loads.grown).find_ways(work)  # limits are of the whole fleet
    if windows[0].mode is Mode.WHOLE:
        return (_explain_whole(loads.encoding.parts, work, ways),)
    return _explain_parts(loads, work, ways, len(windows))


def _explain_whole(parts: Parts, work: ClusterWork, ways: Sequence[Way]) -> Reason:
    name = work.cluster.name
    if not parts.may_roll(work.cluster):
        return reason(PlanCode.WHOLE_ONLY, cluster=name)
    rolled = [way.windows for way in ways if way.mode is Mode.ROLLING]
    if rolled:
        return reason(PlanCode.WHOLE_FEWEST, cluster=name, parts=min(rolled))
    least, most = parts.sizes(work.nodes_with_work)
    return reason(PlanCode.PARTS_NONE, cluster=name, least=f"{least:,}", most=f"{most:,}")


def _explain_parts(loads: Loads, work: ClusterWork, ways: Sequence[Way], parts: int) -> tuple[Reason, ...]:
    name = work.cluster.name
    over = _find_exceeded(loads, work)
    if over:
        return tuple(
            reason(
                PlanCode.PARTS_LIMIT, cluster=name, limit=limit.name, allowed=f"{limit.capacity:,}", units=f"{units:,}"
            )
            for limit, units in over
        )
    whole = next(way for way in ways if way.mode is Mode.WHOLE)
    group = whole.groups[0]
    held = [each.time for each in loads.encoding.calendar.closed if each.name in group.closed]
    if not any(_has_room(day, group.minutes, held) for day in loads.days):
        return (reason(PlanCode.PARTS_NO_DAY, cluster=name, needed=hours_text(group.minutes)),)
    return (reason(PlanCode.PARTS_BETTER, cluster=name, parts=parts),)


def _find_exceeded(loads: Loads, work: ClusterWork) -> list[tuple[Resource, int]]:
    """What the whole cluster exceeds on its own on every day of the campaign, with what it would take."""
    taken = Taken(cluster=work.cluster, nodes=work.nodes, mode=Mode.WHOLE, minutes=1)
    uses = [(loads.grown[use.resource], use.units) for use in find_uses(loads.encoding.capacities, taken)]
    over = [(resource, units) for resource, units in uses if units > resource.capacity]
    always = [(resource, units) for resource, units in over if all(resource.holds_on(d.date) for d in loads.days)]
    is_shut = all(any(resource.holds_on(day.date) for resource, _ in over) for day in loads.days)
    return always or (over if is_shut else [])


def _has_room(day: Day, minutes: int, closed: Sequence[Interval]) -> bool:
    length = timedelta(minutes=minutes)
    outs = (Interval(day.at(start), day.at(start) + length) for start in day.starts(minutes))
    return any(not any(out.overlaps(time) for time in closed) for out in outs)
