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
    """Uses of one resource on one day, ordered by spot: column by column. `cluster`: of each use, its cluster."""

    spot: Numbers
    cluster: Numbers
    start: Numbers
    end: Numbers
    units: Numbers

    def only(self, which: NDArray[np.bool_]) -> "_Uses":
        return _Uses(
            spot=self.spot[which],
            cluster=self.cluster[which],
            start=self.start[which],
            end=self.end[which],
            units=self.units[which],
        )


def build_rows(problem: Problem, spots: Sequence[Spot], *, with_reserve: bool) -> tuple[Row, ...]:
    """The rows that can bind, by day and resource. Windows of different days never meet, so no row spans two."""
    never_bind = _find_never_binding(problem.resources)
    rows: list[Row] = []
    for day, index, uses in _uses_by_day(problem, spots):
        resource = problem.resources[index]
        if index in never_bind or not resource.holds_on(problem.days[day].date):
            continue
        capacity = max(0, resource.capacity - (resource.reserve if with_reserve else 0))
        for meeting in (uses,) if resource.per_day else _find_meetings(uses, capacity):
            row = _make_row(index, capacity, meeting)
            if row is not None:
                rows.append(replace(row, day=day) if resource.grows else row)
    rows.extend(_rows_of_clusters(problem, spots))
    return _settle_rows(problem, rows, spots) if problem.seats else tuple(rows)


def _rows_of_clusters(problem: Problem, spots: Sequence[Spot]) -> list[Row]:
    """One window a day for clusters whose windows are chosen one by one."""
    times = Counter(problem.ways[ways[0]].cluster.name for ways in problem.ways_of if ways)
    by_place: dict[tuple[str, int], list[int]] = {}
    for number, spot in enumerate(spots):
        cluster = problem.ways[spot.way].cluster.name
        if times[cluster] > 1:
            by_place.setdefault((cluster, spot.day), []).append(number)
    return [
        Row(resource=-1, capacity=1, spots=np.array(numbers), units=np.ones(len(numbers), dtype=np.int64))
        for _, numbers in sorted(by_place.items())
    ]


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
    groups = {(w, g): group for w, way in enumerate(problem.ways) for g, group in enumerate(way.groups)}
    numbers = {key: number for number, key in enumerate(groups)}
    uses = [[(u.resource, u.start, u.end, u.units) for u in group.uses] for group in groups.values()]
    table = np.array([use for each in uses for use in each], dtype=np.int64).reshape(-1, 4)
    counts = np.array([len(each) for each in uses])
    firsts = np.cumsum(counts) - counts
    columns = np.array([(spot.way, numbers[spot.way, spot.group], spot.day, spot.start) for spot in spots])
    way, group, day, start = columns.T
    repeat = counts[group]
    spot = np.repeat(np.arange(len(spots)), repeat)
    within = np.arange(len(spot)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    taken = table[firsts[group][spot] + within]
    order = np.lexsort((spot, taken[:, 0], day[spot]))
    spot, taken = spot[order], taken[order]
    edges = np.flatnonzero(np.diff(day[spot] * (len(problem.resources) + 1) + taken[:, 0])) + 1
    for part in np.split(np.arange(len(spot)), edges):
        if len(part):
            own = spot[part]
            found = _Uses(
                spot=own,
                cluster=cluster_of[way[own]],
                start=start[own] + taken[part, 1],
                end=start[own] + taken[part, 2],
                units=taken[part, 3],
            )
            yield int(day[own[0]]), int(taken[part[0], 0]), found


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


def _find_meetings(uses: _Uses, capacity: int) -> Iterator[_Uses]:
    """Sets of uses that meet, each at a last start before an end: every other instant's set lies within one."""
    if _fits_together(uses, capacity):
        return
    starts = np.unique(uses.start)
    ends = np.unique(uses.end)
    following = np.append(starts[1:], np.iinfo(np.int64).max)
    seen: set[bytes] = set()
    for start, until in zip(starts, following, strict=True):
        if np.searchsorted(ends, start, side="right") == np.searchsorted(ends, until, side="right"):
            continue
        meeting = uses.only((uses.start <= start) & (start < uses.end))
        key = meeting.spot.tobytes() + meeting.units.tobytes()
        if key not in seen:
            seen.add(key)
            yield meeting


def _fits_together(uses: _Uses, capacity: int) -> bool:
    """True when the largest use of each cluster, all at once, fits: what a cluster takes that day it takes once."""
    spots, units = _add_up(uses)
    clusters = uses.cluster[np.searchsorted(uses.spot, spots)]
    most: Numbers = np.zeros(int(clusters.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(most, clusters, units)
    return bool(most.sum() <= capacity)


def _add_up(uses: _Uses) -> tuple[Numbers, Numbers]:
    """Each spot once, with its units."""
    firsts = np.flatnonzero(np.diff(uses.spot, prepend=-1))
    return uses.spot[firsts], np.add.reduceat(uses.units, firsts) if len(firsts) else uses.units


def _make_row(resource: int, capacity: int, uses: _Uses) -> Row | None:
    """None for a row that cannot bind."""
    if _fits_together(uses, capacity):
        return None
    spots, units = _add_up(uses)
    return Row(resource=resource, capacity=capacity, spots=spots, units=units)
