"""Capacity as rows: what chosen spots may use of a resource at one instant or on one day. Search, repair and the solver
model keep to them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import Limit, LimitKind
from fermata.planning.encoding import Resource
from fermata.planning.problem import Problem, Spot

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """The chosen ones of `spots` (indices, ascending) may use up to `capacity` of `resource`, each its `units`.

    With a `day` (index) the resource grows: to the capacity comes what chosen spots of earlier days lend it
    (`Group.loans`). `resource` -1: the one window a day that a cluster may have.
    """

    resource: int
    capacity: int
    spots: Numbers
    units: Numbers
    day: int | None = None

    @property
    def terms(self) -> tuple[tuple[int, int], ...]:
        """Pairs of a spot and its units."""
        return tuple(zip(self.spots.tolist(), self.units.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Uses:
    """Uses of one resource on one day, ordered by spot: column by column. `cluster`: of each use, its cluster; the
    spots of a cluster follow each other.
    """

    spot: Numbers
    cluster: Numbers
    start: Numbers
    end: Numbers
    units: Numbers


def build_rows(problem: Problem, spots: Sequence[Spot], *, with_reserve: bool) -> tuple[Row, ...]:
    """The rows that can bind, by day and resource. Windows of different days never meet, so no row spans two."""
    never_bind = _find_never_binding(problem.resources)
    rows: list[Row] = []
    for day, index, uses in _uses_by_day(problem, spots):
        resource = problem.resources[index]
        if index in never_bind or not resource.holds_on(problem.days[day].date):
            continue
        capacity = max(0, resource.capacity - (resource.reserve if with_reserve else 0))
        rows.extend(
            Row(resource=index, capacity=capacity, spots=numbers, units=units, day=day if resource.grows else None)
            for numbers, units in _find_meetings(uses, capacity, per_day=resource.per_day)
        )
    rows.extend(_rows_of_clusters(problem, spots))
    rows.extend(_rows_of_control(problem, spots))
    return _settle_rows(problem, rows, spots) if problem.seats else tuple(rows)


def _rows_of_clusters(problem: Problem, spots: Sequence[Spot]) -> list[Row]:
    """One window a day for clusters whose windows are chosen one by one."""
    times = Counter(problem.ways[ways[0]].cluster.name for ways in problem.ways_of if ways)
    if max(times.values(), default=1) == 1:
        return []
    by_place: dict[tuple[str, int], list[int]] = {}
    for number, spot in enumerate(spots):
        cluster = problem.ways[spot.way].cluster.name
        if times[cluster] > 1:
            by_place.setdefault((cluster, spot.day), []).append(number)
    return [
        Row(resource=-1, capacity=1, spots=np.array(numbers), units=np.ones(len(numbers), dtype=np.int64))
        for _, numbers in sorted(by_place.items())
    ]


def _rows_of_control(problem: Problem, spots: Sequence[Spot]) -> list[Row]:
    """The nodes that may go with the control phase beside those that it is made of: all on its one day."""
    barrier = problem.barrier
    if barrier is None or barrier.ends is None:
        return []
    numbers = [
        number
        for number, spot in enumerate(spots)
        if spot.day == barrier.day
        and (spot.way, spot.group) not in barrier.first
        and problem.is_out(spot).start < barrier.opens
    ]
    units = np.array([problem.group_of(spots[number]).nodes for number in numbers], dtype=np.int64)
    capacity = problem.resources[barrier.resource].capacity
    return [Row(resource=barrier.resource, capacity=capacity, spots=np.array(numbers, dtype=np.int64), units=units)]


def _settle_rows(problem: Problem, rows: Sequence[Row], spots: Sequence[Spot]) -> tuple[Row, ...]:
    """What the rows leave to choose when the seated ways take theirs: at least nothing, never less.

    Of what grows, less than nothing where seats need loans, which then have to come; what has begun is too late to ask.
    """
    is_free = np.array([spot.way not in problem.seats for spot in spots], dtype=np.bool_)
    seated = [spot for spot in spots if spot.way in problem.seats]
    now = problem.inputs.now
    begun = np.array([s.way in problem.seats and problem.days[s.day].at(s.start) < now for s in spots], dtype=np.bool_)
    settled: list[Row] = []
    for row in rows:
        free = is_free[row.spots]
        left = row.capacity - int(row.units[~free].sum())
        lent = lent_before(problem, row, seated) if row.day is not None else 0
        if row.day is None or bool((free | begun[row.spots]).all()):
            left = max(left, -lent)
        if free.any() or left + lent < 0:
            settled.append(replace(row, capacity=left, spots=row.spots[free], units=row.units[free]))
    return tuple(settled)


def lent_before(problem: Problem, row: Row, spots: Iterable[Spot]) -> int:
    """What windows on these spots lend a row that grows, were they all taken: those on earlier days."""
    if row.day is None:
        return 0
    loans = (loan for spot in spots if spot.day < row.day for loan in problem.group_of(spot).loans)
    return sum(loan.units for loan in loans if loan.resource == row.resource)


def _uses_by_day(problem: Problem, spots: Sequence[Spot]) -> Iterator[tuple[int, int, _Uses]]:
    """All uses of all spots, by day and resource."""
    if not spots:
        return
    cluster_of = np.zeros(len(problem.ways), dtype=np.int64)
    for cluster, ways in enumerate(problem.ways_of):
        cluster_of[list(ways)] = cluster
    groups = [group for way in problem.ways for group in way.groups]
    sizes = np.array([len(way.groups) for way in problem.ways], dtype=np.int64)
    first_of_way = np.cumsum(sizes) - sizes
    uses = [[(u.resource, u.start, u.end, u.units) for u in group.uses] for group in groups]
    table = np.array([use for each in uses for use in each], dtype=np.int64).reshape(-1, 4)
    counts = np.array([len(each) for each in uses])
    firsts = np.cumsum(counts) - counts
    way, day = np.array([spot.way for spot in spots]), np.array([spot.day for spot in spots])
    group = first_of_way[way] + np.array([spot.group for spot in spots])
    start = np.array([spot.start for spot in spots])
    repeat = counts[group]
    spot = np.repeat(np.arange(len(spots)), repeat)
    within = np.arange(len(spot)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    taken = firsts[group][spot] + within
    place = day[spot] * (len(problem.resources) + 1) + table[taken, 0]
    order = np.argsort(place.astype(np.min_scalar_type(place.max(initial=0))), kind="stable")  # few bits: by digits
    edges = np.flatnonzero(np.diff(place[order])) + 1
    for part in np.split(order, edges):
        if len(part):
            own, use = spot[part], taken[part]
            found = _Uses(
                spot=own,
                cluster=cluster_of[way[own]],
                start=start[own] + table[use, 1],
                end=start[own] + table[use, 2],
                units=table[use, 3],
            )
            yield int(day[own[0]]), int(table[use[0], 0]), found


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


def _find_meetings(uses: _Uses, capacity: int, *, per_day: bool) -> Iterator[tuple[Numbers, Numbers]]:
    """Sets of uses that meet and may break the capacity, as spots with their units. Each meets at a last start before
    an end: every other instant's set lies within one. `per_day`: all meet.
    """
    firsts = np.flatnonzero(np.diff(uses.spot, prepend=-1))
    spots = uses.spot[firsts]
    clusters = np.flatnonzero(np.diff(uses.cluster[firsts], prepend=-1))
    everything = np.add.reduceat(uses.units, firsts)
    if np.maximum.reduceat(everything, clusters).sum() <= capacity:  # a cluster takes once what it takes that day
        return
    if per_day:
        yield spots, everything
        return
    at = _find_instants(uses)
    meets = (uses.start <= at) & (at < uses.end)
    units = np.add.reduceat(np.where(meets, uses.units, 0), firsts, axis=1)
    most = np.maximum.reduceat(units, clusters, axis=1).sum(axis=1)
    seen: set[bytes] = set()
    for number in np.flatnonzero(most > capacity):
        key = uses.spot[meets[number]].tobytes() + uses.units[meets[number]].tobytes()
        if key not in seen:
            seen.add(key)
            there = units[number] > 0
            yield spots[there], units[number, there]


def _find_instants(uses: _Uses) -> Numbers:
    """The last starts before an end, one a line."""
    starts, ends = np.unique(uses.start), np.unique(uses.end)
    over = np.searchsorted(ends, starts, side="right")  # what is over by then
    found: Numbers = starts[np.append(over[1:], len(ends)) > over].reshape(-1, 1)
    return found
