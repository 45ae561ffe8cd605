"""The planning problem compiled to what the solver chooses from: spots, one per group of parts, day and start, and
rows, what spots may use of a resource at one instant or on one day.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import FreezeId
from fermata.domain.policy import Freeze
from fermata.domain.windows import Interval
from fermata.planning.days import Day, find_days
from fermata.planning.inputs import PlanningInput
from fermata.planning.resources import Resource, find_resources
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
    """The chosen ones of `terms`, pairs of a spot and its units, may add up to `capacity` of `resource`."""

    resource: int
    capacity: int
    terms: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything compiled; `ways_of` lists, per cluster with work and in order of name, its ways."""

    inputs: PlanningInput
    scope: Scope
    resources: tuple[Resource, ...]
    days: tuple[Day, ...]
    ways: tuple[Way, ...]
    ways_of: tuple[tuple[int, ...], ...]
    big: frozenset[int] = field(default_factory=frozenset)

    def group_of(self, spot: Spot) -> Group:
        """The parts of which one stands on `spot`."""
        return self.ways[spot.way].groups[spot.group]


def compile_problem(inputs: PlanningInput, *, scope: Scope | None = None, only: Sequence[int] | None = None) -> Problem:
    """The problem behind the inputs, with every way of every cluster and every day of the campaign.

    `scope`: what was found before for inputs with the same fleet, updates, consent and scope. `only` leaves out all
    work but that of these clusters (indices into the scope's works).
    """
    scope = find_scope(inputs) if scope is None else scope
    works = scope.works if only is None else tuple(scope.works[number] for number in only)
    resources = find_resources(scope, inputs.fleet, inputs.catalogue, inputs.campaign)
    finder = WayFinder(inputs, scope, resources)
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
        resources=resources,
        days=find_days(inputs.campaign, inputs.now),
        ways=tuple(ways),
        ways_of=tuple(ways_of),
        big=frozenset(big),
    )


def find_spots(problem: Problem, freezes: Iterable[Freeze]) -> tuple[Spot, ...]:
    """Every spot that the daily windows and `freezes` leave, ordered by way, group, day, start."""
    closed: Mapping[FreezeId, Interval] = {f.id: Interval(f.start, f.end) for f in freezes}
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
    covered = _teams_bound_by_nodes_out(problem)
    rows: list[Row] = []
    for day in sorted(by_day):
        for index, resource in enumerate(problem.resources):
            if index in covered or not resource.holds_on(problem.days[day].date):
                continue
            capacity = resource.capacity - (resource.reserve if with_reserve else 0)
            rows.extend(_rows_of(problem, spots, by_day[day], index, max(0, capacity)))
    return tuple(rows)


def _teams_bound_by_nodes_out(problem: Problem) -> frozenset[int]:
    """Teams that work on nodes only and may take as many as may be out at all: their rows never bind."""
    totals = [
        r.capacity
        for r in problem.resources
        if isinstance(r.source, Limit)
        and r.source.what is LimitKind.NODES_OUT
        and not r.source.where.conditions
        and not r.per_day
    ]
    catalogue = problem.inputs.catalogue
    on_devices = {u.owner_team for u in catalogue.production_ready if u.target != "node"}
    return frozenset(
        i
        for i, r in enumerate(problem.resources)
        if not isinstance(r.source, Limit) and r.source not in on_devices and totals and r.capacity >= min(totals)
    )


def _rows_of(
    problem: Problem, spots: Sequence[Spot], numbers: Sequence[int], resource: int, capacity: int
) -> list[Row]:
    """Rows of one resource on one day: one for the day, or one for each instant at which most uses meet."""
    uses: list[tuple[int, int, int, int]] = []  # start, end, spot, units
    peak: dict[str, int] = {}
    for number in numbers:
        spot = spots[number]
        most = 0
        for use in problem.group_of(spot).uses:
            if use.resource == resource:
                uses.append((spot.start + use.start, spot.start + use.end, number, use.units))
                most += use.units
        cluster = problem.ways[spot.way].cluster.name
        peak[cluster] = max(peak.get(cluster, 0), most)
    if sum(peak.values()) <= capacity:
        return []
    if problem.resources[resource].per_day:
        return [Row(resource=resource, capacity=capacity, terms=tuple((n, units) for _, _, n, units in uses))]
    return [Row(resource=resource, capacity=capacity, terms=terms) for terms in _cliques(uses)]


def _cliques(uses: Sequence[tuple[int, int, int, int]]) -> list[tuple[tuple[int, int], ...]]:
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
