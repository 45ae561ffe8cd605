"""Reserves the control phase before anything is searched: which windows go first, by when they are over, and from when
on all others start. The search then chooses the rest with these bounds held.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.control import Candidate, control_room, make_candidate, pick_control
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.encoding import Resource, Turns
from fermata.planning.greedy import place_greedily
from fermata.planning.problem import Barrier, Problem, Spot, find_spots
from fermata.planning.rows import build_rows
from fermata.planning.ways import Group, Way

SOURCE = "control phase"
MINUTE = timedelta(minutes=1)

Place = tuple[int, int]  # a cluster, by place in `ways_of`, and its way


def reserve(problem: Problem) -> Problem:
    """The problem with its control phase reserved, or with why there can be none.

    Of each cluster the smallest window counts, taken in as few windows as the cluster can be. Those that may go early
    and are small come first, so that a whole phase fits into a day; it is picked over as few of the first days as are
    needed to try every SKU and update that can be tried at all. The reserved windows stand as early as limits let them.
    """
    told = problem.encoding.turns
    if told.opens is not None:
        return replace(problem, barrier=Barrier(opens=told.opens))
    if told.fraction is None or not problem.ways_of:
        return problem
    room = room_of(problem)
    small = [found for c in range(len(problem.ways_of)) if (found := _find_smallest(problem, c, room)) is not None]
    if not small:
        least = min((nodes for way in problem.ways for nodes, _ in _list_first(way)), default=0)
        told_of = {"room": f"{room:,}", "nodes": f"{_count_nodes(problem):,}", "least": f"{least:,}"}
        return replace(problem, lack=reason(Code.CONTROL_TOO_LARGE, **told_of))
    return _Reservation(problem, small, room).reserve(told)


def room_of(problem: Problem) -> int:
    """How many nodes may go first."""
    return control_room(_count_nodes(problem), problem.encoding.turns.fraction or 0.0)


def _count_nodes(problem: Problem) -> int:
    return sum(len(work.nodes) for work in problem.scope.works)


def _find_smallest(problem: Problem, cluster: int, room: int) -> tuple[int, int, int] | None:
    """The cluster with the first of its ways in which a small part may go first, and the group of that."""
    for way in problem.ways_of[cluster]:
        nodes, g = min(_list_first(problem.ways[way]), default=(room + 1, 0))
        if nodes <= room:
            return cluster, way, g
    return None


def _list_first(way: Way) -> list[tuple[int, int]]:
    """The sizes of parts that need not be the last of several, each with the number of its group."""
    return [(group.nodes, g) for g, group in enumerate(way.groups) if way.windows == 1 or not group.is_last]


class _Reservation:
    """`small`: of each cluster that has one, its place, a way and the group of its small parts."""

    def __init__(self, problem: Problem, small: Sequence[tuple[int, int, int]], room: int) -> None:
        self._problem = problem
        self._small = small
        self._room = room
        self._alone = replace(
            problem,
            ways=tuple(_stand_alone(problem.ways[way], g) for _, way, g in small),
            ways_of=tuple((number,) for number in range(len(small))),
            big=frozenset(n for n, (_, way, _) in enumerate(small) if way in problem.big),
        )
        self._spots = find_spots(self._alone)

    def reserve(self, told: Turns) -> Problem:
        """As the function."""
        placed = self._place(self._pick(told.at_least))
        if not placed:
            return replace(self._problem, lack=reason(Code.CONTROL_NO_DAY))
        ends = max(self._end(spot) for spot in placed)
        opens = self._find_opening(ends + told.gap)
        if opens is None:
            return replace(self._problem, lack=_say_too_late(ends, ends + told.gap))
        return self._write(placed, ends, opens, told)

    def _pick(self, at_least: int) -> list[int]:
        """The windows that go first, by number, the most telling one first."""
        days: dict[int, int] = {}
        for spot in self._spots:
            days.setdefault(spot.way, spot.day)
        ways = self._alone.ways
        order = sorted(days, key=lambda n: (days[n], ways[n].groups[0].nodes, ways[n].cluster.name))
        candidates = {number: self._candidate(number) for number in order}
        wanted = _tries(pick_control(tuple(candidates.values()), self._room, enough=at_least))
        picked: tuple[Candidate, ...] = ()
        for day in sorted(set(days.values())):
            by_then = tuple(each for number, each in candidates.items() if days[number] <= day)
            picked = pick_control(by_then, self._room, enough=at_least)
            if wanted <= _tries(picked):
                break
        return [int(each.key) for each in picked]

    def _candidate(self, number: int) -> Candidate:
        way = self._alone.ways[number]
        part = way.groups[0].parts[0]
        return make_candidate(str(number), way.cluster, part.nodes, part.steps.updates)

    def _place(self, picked: Sequence[int]) -> tuple[Spot, ...]:
        """A place for each of them, or for as many of the first as find one together."""
        for count in range(len(picked), 0, -1):
            wanted = set(picked[:count])
            spots = [spot for spot in self._spots if spot.way in wanted]
            problem = replace(self._alone, ways_of=tuple((number,) for number in sorted(wanted)))
            for with_reserve in (True, False):
                rows = build_rows(problem, spots, with_reserve=with_reserve)
                chosen = place_greedily(problem, spots, rows)
                if chosen is not None:
                    return tuple(spots[number] for number in chosen)
        return ()

    def _end(self, spot: Spot) -> datetime:
        return self._alone.days[spot.day].at(spot.start + self._alone.group_of(spot).minutes)

    def _find_opening(self, since: datetime) -> datetime | None:
        """The first start from then on that any window could have; None when there is no time left for one."""
        shortest = min(group.minutes for way in self._problem.ways for group in way.groups)
        starts = (day.at(start) for day in self._problem.days for start in day.starts(shortest))
        return next((start for start in starts if start >= since), None)

    def _write(self, placed: Sequence[Spot], ends: datetime, opens: datetime, told: Turns) -> Problem:
        """The problem in which these windows are groups of their own. They, and as many others as there is room for on
        the phase's last day, may take all the time that keeps nobody waiting.
        """
        problem, last = self._problem, max(spot.day for spot in placed)
        first = {self._small[spot.way][0]: self._small[spot.way][1:] for spot in placed}
        ways: list[Way] = []
        ways_of: list[tuple[int, ...]] = []
        big: set[int] = set()
        firsts: set[Place] = set()
        for cluster, own in enumerate(problem.ways_of):
            kept = [first[cluster][0]] if cluster in first else own
            numbers = tuple(range(len(ways), len(ways) + len(kept)))
            if cluster in first:
                way, group = _set_apart(problem.ways[kept[0]], first[cluster][1])
                ways.append(way)
                firsts.add((numbers[0], group))
            else:
                ways.extend(problem.ways[way] for way in kept)
            ways_of.append(numbers)
            big.update(number for number, way in zip(numbers, kept, strict=True) if way in problem.big)
        day = problem.days[last]
        room = self._room - sum(self._alone.group_of(spot).nodes for spot in placed)
        resource = Resource(source=SOURCE, name="nodes of the control phase", capacity=room)
        barrier = Barrier(
            opens=opens,
            ends=max(ends, min(opens - told.gap, day.room.end)),
            first=frozenset(firsts),
            day=last,
            resource=len(problem.resources),
        )
        return replace(
            problem,
            resources=(*problem.resources, resource),
            ways=tuple(ways),
            ways_of=tuple(ways_of),
            big=frozenset(big),
            barrier=barrier,
        )


def _stand_alone(way: Way, group: int) -> Way:
    """One part of a group as if it were all of its cluster."""
    alone = replace(way.groups[group], parts=way.groups[group].parts[:1], is_last=True)
    return replace(way, groups=(alone,))


def _set_apart(way: Way, number: int) -> tuple[Way, int]:
    """The way with one part of that group in a group of its own, and the number of that."""
    group = way.groups[number]
    if len(group.parts) == 1:
        return way, number
    groups: list[Group] = list(way.groups)
    groups[number] = replace(group, parts=group.parts[1:])
    groups.append(replace(group, parts=group.parts[:1]))
    return replace(way, groups=tuple(groups)), len(groups) - 1


def _tries(picked: Sequence[Candidate]) -> set[str]:
    """The SKUs and updates that are tried."""
    return {each.sku for each in picked} | {update for each in picked for update in each.updates}


def _say_too_late(ends: datetime, opens: datetime) -> Reason:
    return reason(Code.CONTROL_TOO_LATE, ends=f"{ends:%Y-%m-%d %H:%MZ}", opens=f"{opens:%Y-%m-%d %H:%MZ}")
