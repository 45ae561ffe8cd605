"""The planning problem compiled to what the solver chooses from: spots, one per group of parts, day and start, and
rows, what spots may use of a resource at one instant or on one day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.policy import Freeze
from fermata.domain.windows import Interval
from fermata.planning.days import Day, find_days
from fermata.planning.encoders import Encoder, Encoding, encode_windows, list_encoders
from fermata.planning.encoding import Facts, Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.resources import find_resources, grow_resources
from fermata.planning.scope import Scope, find_scope
from fermata.planning.ways import Group, Way, WayFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place for one part of group `group` of way `way` (indices): day `day`, `start` minutes into its room."""

    way: int
    group: int
    day: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The chosen ones of `terms`, pairs of a spot and its units, may add up to `capacity` of `resource`.

    With a `day` (index) the resource grows: to the capacity comes what chosen spots of earlier days lend it
    (`Group.loans`).
    """

    resource: int
    capacity: int
    terms: tuple[tuple[int, int], ...]
    day: int | None = None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything compiled; `ways_of` lists, per cluster with work and in order of name, its ways."""

    inputs: PlanningInput
    scope: Scope
    encoding: Encoding
    resources: tuple[Resource, ...]
    days: tuple[Day, ...]
    ways: tuple[Way, ...]
    ways_of: tuple[tuple[int, ...], ...]
    big: frozenset[int] = field(default_factory=frozenset)

    def group_of(self, spot: Spot) -> Group:
        """The parts of which one stands on `spot`."""
        return self.ways[spot.way].groups[spot.group]


def compile_problem(
    inputs: PlanningInput,
    *,
    scope: Scope | None = None,
    only: Sequence[int] | None = None,
    encoders: Sequence[Encoder] | None = None,
) -> Problem:
    """The problem behind the inputs, with every way of every cluster and every day of the campaign.

    `scope`: what was found before for inputs with the same fleet, updates, consent and scope. `only` leaves out all
    work but that of these clusters (indices into the scope's works); what the others lend counts as lent already.
    `encoders`: the rules that are asked, None: all.
    """
    inputs = inputs.settled
    encoders = list_encoders() if encoders is None else encoders
    scope = find_scope(inputs, encoders=encoders) if scope is None else scope
    works = scope.works if only is None else tuple(scope.works[number] for number in only)
    encoding = encode_windows(Facts(inputs=inputs, pending=scope.pending), encoders)
    resources = find_resources(encoding.capacities, scope, inputs.campaign)
    finder = WayFinder(inputs, scope, encoding, grow_resources(resources, encoding.capacities, scope.works))
    if only is not None:
        others = [work for number, work in enumerate(scope.works) if number not in set(only)]
        resources = grow_resources(resources, encoding.capacities, others)
    ways: list[Way] = []
    ways_of: list[tuple[int, ...]] = []
    big: set[int] = set()
    for work in works:
        found = finder.find_ways(work)
        numbers = tuple(range(len(ways), len(ways) + len(found)))
        ways.extend(found)
        ways_of.append(numbers)
        if finder.is_big(work.cluster):
            big.update(numbers)
    return Problem(
        inputs=inputs,
        scope=scope,
        encoding=encoding,
        resources=resources,
        days=find_days(encoding.calendar, inputs.campaign.deadline),
        ways=tuple(ways),
        ways_of=tuple(ways_of),
        big=frozenset(big),
    )


def find_spots(problem: Problem, freezes: Iterable[Freeze]) -> tuple[Spot, ...]:
    """Every spot that the calendar leaves, with those of its closed times that come of `freezes`, ordered by way,
    group, day, start.
    """
    asked = {freeze.id for freeze in freezes}
    closed = {each.freeze: each.time for each in problem.encoding.calendar.closed if each.freeze in asked}
    spots: list[Spot] = []
    outs: dict[int, list[list[tuple[int, Interval]]]] = {}  # by length and day: every start and the time out
    for w, way in enumerate(problem.ways):
        for g, group in enumerate(way.groups):
            held = [closed[name] for name in group.freezes if name in closed]
            if group.minutes not in outs:
                outs[group.minutes] = [_times_out(day, group.minutes) for day in problem.days]
            spots.extend(
                Spot(way=w, group=g, day=d, start=start)
                for d, times in enumerate(outs[group.minutes])
                for start, out in times
                if not any(out.overlaps(freeze) for freeze in held)
            )
    return tuple(spots)


def _times_out(day: Day, minutes: int) -> list[tuple[int, Interval]]:
    return [(start, Interval(day.at(start), day.at(start + minutes))) for start in day.starts(minutes)]


def build_rows(problem: Problem, spots: Sequence[Spot], *, with_reserve: bool) -> tuple[Row, ...]:
    """The rows that can bind, by day and resource. Windows of different days never meet, so no row spans two."""
    by_day: dict[int, list[int]] = {}
    for number, spot in enumerate(spots):
        by_day.setdefault(spot.day, []).append(number)
    never_bind = _find_never_binding(problem.resources)
    rows: list[Row] = []
    for day in sorted(by_day):
        uses = _uses_by_resource(problem, spots, by_day[day])
        for index in sorted(uses.keys() - never_bind):
            resource = problem.resources[index]
            if resource.holds_on(problem.days[day].date):
                capacity = max(0, resource.capacity - (resource.reserve if with_reserve else 0))
                found = _rows_of(problem, spots, uses[index], index, capacity)
                rows.extend(replace(row, day=day) for row in found) if resource.grows else rows.extend(found)
    return tuple(rows)


_SpotUse = tuple[int, int, int, int]  # start, end, spot, units


def _uses_by_resource(problem: Problem, spots: Sequence[Spot], numbers: Sequence[int]) -> dict[int, list[_SpotUse]]:
    found: dict[int, list[_SpotUse]] = {}
    for number in numbers:
        start = spots[number].start
        for use in problem.group_of(spots[number]).uses:
            found.setdefault(use.resource, []).append((start + use.start, start + use.end, number, use.units))
    return found


def _find_never_binding(resources: Sequence[Resource]) -> frozenset[int]:
    """What counts only nodes that are out, and takes as many as may be out at all."""
    totals = [
        r.capacity
        for r in resources
        if isinstance(r.source, Limit)
        and r.source.what is LimitKind.NODES_OUT
        and not (r.source.where.conditions or r.first_day or r.last_day)
    ]
    least = min(totals, default=None)
    return frozenset(
        i for i, r in enumerate(resources) if least is not None and r.within_nodes_out and r.capacity >= least
    )


def _rows_of(
    problem: Problem, spots: Sequence[Spot], uses: Sequence[_SpotUse], resource: int, capacity: int
) -> list[Row]:
    """Rows of one resource on one day: one for the day, or one for each instant at which most uses meet."""
    units_of: dict[int, int] = {}
    for _, _, number, units in uses:
        units_of[number] = units_of.get(number, 0) + units
    peak: dict[str, int] = {}
    for number, units in units_of.items():
        cluster = problem.ways[spots[number].way].cluster.name
        peak[cluster] = max(peak.get(cluster, 0), units)
    if sum(peak.values()) <= capacity:
        return []
    if problem.resources[resource].per_day:
        return [Row(resource=resource, capacity=capacity, terms=tuple(sorted(units_of.items())))]
    return [Row(resource=resource, capacity=capacity, terms=terms) for terms in _cliques(uses)]


def _cliques(uses: Sequence[_SpotUse]) -> list[tuple[tuple[int, int], ...]]:
    """Sets of uses that meet, each at a last start before an end: every other instant's set lies within one."""
    events = sorted([(end, 0, i) for i, (_, end, _, _) in enumerate(uses)] + [(u[0], 1, i) for i, u in enumerate(uses)])
    opened: dict[int, None] = {}
    found: list[tuple[tuple[int, int], ...]] = []
    grew = False
    for _, is_start, i in events:
        if is_start:
            opened[i] = None
            grew = True
            continue
        if grew:
            units: dict[int, int] = {}
            for j in opened:
                units[uses[j][2]] = units.get(uses[j][2], 0) + uses[j][3]
            found.append(tuple(sorted(units.items())))
            grew = False
        del opened[i]
    return found
