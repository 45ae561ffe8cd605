"""The planning problem compiled to what the solver chooses from: spots, one per group of parts, day and start."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fermata.domain.windows import Interval
from fermata.planning.days import Day, find_days
from fermata.planning.encoders import Encoder, Encoding, encode_windows, list_encoders
from fermata.planning.encoding import Facts, Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.resources import find_resources, grow_resources
from fermata.planning.scope import ClusterWork, Scope, find_scope
from fermata.planning.ways import Group, Way, WayFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place for one part of group `group` of way `way` (indices): day `day`, `start` minutes into its room."""

    way: int
    group: int
    day: int
    start: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything compiled; `ways_of` lists, per cluster with work and in order of name, its ways.

    In a re-plan a cluster may stand there several times, once for each window or set of windows that is chosen by
    itself, and `seats` are the places that are not for choosing: the way stands there, whatever rows say of it.
    """

    inputs: PlanningInput
    scope: Scope
    encoding: Encoding
    resources: tuple[Resource, ...]
    days: tuple[Day, ...]
    ways: tuple[Way, ...]
    ways_of: tuple[tuple[int, ...], ...]
    big: frozenset[int] = field(default_factory=frozenset)
    seats: Mapping[int, Spot] = field(default_factory=dict)

    def group_of(self, spot: Spot) -> Group:
        """The parts of which one stands on `spot`."""
        return self.ways[spot.way].groups[spot.group]


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A problem of which no window is laid out yet, or only `fewest`: for each work, the ways with the fewest windows.
    `works`: those that windows are wanted for.
    """

    inputs: PlanningInput
    scope: Scope
    works: tuple[ClusterWork, ...]
    encoding: Encoding
    resources: tuple[Resource, ...]
    finder: WayFinder
    fewest: tuple[tuple[Way, ...], ...] = ()

    def lay_out_fewest(self) -> "Outline":
        """The same with the ways that take the fewest windows laid out."""
        return replace(self, fewest=tuple(self.finder.find_fewest(work) for work in self.works))

    def compile(self) -> Problem:
        """The problem with every way of every cluster."""
        known = self.fewest or [() for _ in self.works]
        return self._compile([self.finder.find_ways(*pair) for pair in zip(self.works, known, strict=True)])

    def compile_fewest(self, with_all: Collection[int] = ()) -> Problem:
        """The problem with the laid out ways alone, but with every way of the works numbered so."""
        pairs = zip(self.works, self.fewest, strict=True)
        return self._compile(
            [self.finder.find_ways(*pair) if number in with_all else pair[1] for number, pair in enumerate(pairs)]
        )

    def _compile(self, found: Sequence[tuple[Way, ...]]) -> Problem:
        ways: list[Way] = []
        ways_of: list[tuple[int, ...]] = []
        big: set[int] = set()
        for work, own in zip(self.works, found, strict=True):
            numbers = tuple(range(len(ways), len(ways) + len(own)))
            ways.extend(own)
            ways_of.append(numbers)
            if self.finder.is_big(work.cluster):
                big.update(numbers)
        return Problem(
            inputs=self.inputs,
            scope=self.scope,
            encoding=self.encoding,
            resources=self.resources,
            days=find_days(self.encoding.calendar, self.inputs.campaign.deadline),
            ways=tuple(ways),
            ways_of=tuple(ways_of),
            big=frozenset(big),
        )


def compile_problem(
    inputs: PlanningInput,
    *,
    scope: Scope | None = None,
    only: Sequence[int] | None = None,
    encoders: Sequence[Encoder] | None = None,
) -> Problem:
    """The problem behind the inputs, with every way of every cluster. Arguments as in `outline_problem`."""
    return outline_problem(inputs, scope=scope, only=only, encoders=encoders).compile()


def outline_problem(
    inputs: PlanningInput,
    *,
    scope: Scope | None = None,
    only: Sequence[int] | None = None,
    encoders: Sequence[Encoder] | None = None,
) -> Outline:
    """The problem behind the inputs before any window is laid out.

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
    return Outline(inputs=inputs, scope=scope, works=works, encoding=encoding, resources=resources, finder=finder)


def find_spots(problem: Problem) -> tuple[Spot, ...]:
    """Every spot that the calendar leaves, ordered by way, group, day, start."""
    closed = {each.name: each.time for each in problem.encoding.calendar.closed}
    spots: list[Spot] = []
    outs: dict[int, list[list[tuple[int, Interval]]]] = {}  # by length and day: every start and the time out
    for w, way in enumerate(problem.ways):
        if w in problem.seats:
            spots.append(problem.seats[w])
            continue
        for g, group in enumerate(way.groups):
            held = [closed[name] for name in group.closed]
            if group.minutes not in outs:
                outs[group.minutes] = [_times_out(day, group.minutes) for day in problem.days]
            spots.extend(
                Spot(way=w, group=g, day=d, start=start)
                for d, times in enumerate(outs[group.minutes])
                for start, out in times
                if not any(out.overlaps(time) for time in held)
            )
    return tuple(spots)


def _times_out(day: Day, minutes: int) -> list[tuple[int, Interval]]:
    return [(start, Interval(day.at(start), day.at(start + minutes))) for start in day.starts(minutes)]
