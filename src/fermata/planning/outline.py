"""Compiles inputs to a planning problem: what rules ask, the ways of every cluster, and the control phase reserved."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from fermata.domain.reasons import Code
from fermata.planning.days import find_days
from fermata.planning.encoders import Encoder, Encoding, encode_windows, list_encoders
from fermata.planning.encoding import Facts, Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.problem import Problem
from fermata.planning.reserve import reserve, room_of
from fermata.planning.resources import find_resources, grow_resources
from fermata.planning.scope import ClusterWork, Scope, find_scope
from fermata.planning.ways import Way, WayFinder


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
        """Some clusters by themselves wait for no control phase."""
        problem = self._join(found)
        if len(self.works) < len(self.scope.works):
            return problem
        reserved = reserve(problem)
        if reserved.lack is None or reserved.lack.code is not Code.CONTROL_TOO_LARGE:
            return reserved
        return reserve(self._join(self._add_small(problem, found)))

    def _add_small(self, problem: Problem, found: Sequence[tuple[Way, ...]]) -> list[tuple[Way, ...]]:
        """The ways with one more for the smallest cluster of each SKU that can be rolled in parts small enough for the
        control phase.
        """
        most, added = room_of(problem), list(found)
        skus: set[str] = set()
        for number in sorted(range(len(self.works)), key=lambda n: (len(self.works[n].nodes), n)):
            work = self.works[number]
            small = self.finder.find_small(work, most) if work.cluster.sku not in skus and most else ()
            if small:
                skus.add(work.cluster.sku)
                added[number] = (*found[number], *small)
        return added

    def _join(self, found: Sequence[tuple[Way, ...]]) -> Problem:
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
