"""Every way considered to service a cluster: whole in one window, or rolled in parts on separate days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter

from fermata.domain.fleet import Cluster, Device, Node, Place, place_of, places_of
from fermata.domain.ids import ClusterId
from fermata.domain.plans import Mode
from fermata.planning.days import find_closed, find_days
from fermata.planning.encoders import Encoding
from fermata.planning.encoding import Closed, Loan, Resource, Taken, Use
from fermata.planning.inputs import PlanningInput
from fermata.planning.parts import EXACT_UNITS_MOST, Split, Ties, find_splits, find_units
from fermata.planning.promises import Promise, Promises
from fermata.planning.resources import find_loans, find_uses
from fermata.planning.scope import ClusterWork, Scope
from fermata.planning.sequence import WindowSteps, extend_verify, lay_out_window


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The nodes, devices and steps of one window that has no start yet."""

    nodes: tuple[Node, ...]
    devices: tuple[Device, ...]
    steps: WindowSteps
    promise: Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parts that are alike to the solver: same size, length, team use and closed times, none before the other.

    `uses` is the largest of theirs and `loans` the least, so that any of them may stand where another does.
    """

    parts: tuple[Part, ...]
    is_last: bool
    minutes: int
    nodes: int
    uses: tuple[Use, ...]
    closed: tuple[str, ...]
    loans: tuple[Loan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One complete way to service a cluster; a whole one has one group of one part."""

    cluster: Cluster
    mode: Mode
    groups: tuple[Group, ...]

    @property
    def windows(self) -> int:
        """How many windows it takes."""
        return sum(len(group.parts) for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """A part with all that tells it from others."""

    part: Part
    uses: tuple[Use, ...]
    loans: tuple[Loan, ...]
    closed: tuple[str, ...]


class WayFinder:
    """Finds the ways of one cluster after the other; windows that are alike are rehearsed for their length once.

    A resource that grows is given with all that windows can ever lend it.
    """

    def __init__(self, inputs: PlanningInput, scope: Scope, encoding: Encoding, resources: Sequence[Resource]) -> None:
        self._inputs = inputs
        self._scope = scope
        self._encoding = encoding
        days = find_days(encoding.calendar, inputs.campaign.deadline)
        always = (i for i, r in enumerate(resources) if all(r.holds_on(day.date) for day in days))
        self._most = {index: resources[index].capacity for index in always}
        self._promises = Promises(inputs, scope.pending, room=max((day.minutes for day in days), default=0))

    def find_ways(self, work: ClusterWork, fewest: Sequence[Way] = ()) -> tuple[Way, ...]:
        """The ways that every limit bears on its own, fewest windows first; none: no limit lets the cluster go.

        `fewest`: what `find_fewest` found already.
        """
        splits: list[Split] = []
        if self._fits(work, work.nodes, Mode.WHOLE):
            splits.append(((work.nodes,),))
        if self._encoding.parts.may_roll(work.cluster):
            splits.extend(self._find_splits(work))
        return (*fewest, *self._lay_out_ways(work, splits[len(fewest) :]))

    def find_fewest(self, work: ClusterWork) -> tuple[Way, ...]:
        """Those of the ways that take the fewest windows: the first ones."""
        if self._fits(work, work.nodes, Mode.WHOLE):
            return self._lay_out_ways(work, [((work.nodes,),)])
        if not self._encoding.parts.may_roll(work.cluster):
            return ()
        splits = self._find_splits(work)
        return self._lay_out_ways(work, [split for split in splits if len(split) == len(splits[0])])

    def _lay_out_ways(self, work: ClusterWork, splits: Sequence[Split]) -> tuple[Way, ...]:
        closed = self._find_closed(work)
        return tuple(
            Way(cluster=work.cluster, mode=_mode_of(split), groups=self._group(work, split, closed)) for split in splits
        )

    def _find_closed(self, work: ClusterWork) -> list[Closed]:
        """The times closed to any node of the cluster. Many times are closed to the same nodes: each are asked once."""
        closed, anywhere, by_cluster = self._encoding.calendar.closed, *self._closed
        touched: dict[int, bool] = {}
        found: list[Closed] = []
        for number in sorted([*anywhere, *by_cluster.get(work.cluster.name, ())]):
            each = closed[number]
            key = id(each.touches)
            if key not in touched:
                touched[key] = each.touches(work.nodes, work.cluster)
            if touched[key]:
                found.append(each)
        return found

    @cached_property
    def _closed(self) -> tuple[list[int], Mapping[ClusterId, list[int]]]:
        """Closed times, by number: those that any cluster has to ask about, and the others by cluster."""
        anywhere: list[int] = []
        by_cluster: dict[ClusterId, list[int]] = {}
        for number, each in enumerate(self._encoding.calendar.closed):
            if each.clusters is None:
                anywhere.append(number)
            for name in each.clusters or ():
                by_cluster.setdefault(name, []).append(number)
        return anywhere, by_cluster

    def find_small(self, work: ClusterWork, most: int) -> tuple[Way, ...]:
        """The first of the ways in which no part has more nodes than that, fewest windows first; none where the
        cluster has no such parts.
        """
        if not self._encoding.parts.may_roll(work.cluster):
            return ()
        return self._lay_out_ways(work, self._find_splits(work, most)[:1])

    def _find_splits(self, work: ClusterWork, at_most: int | None = None) -> tuple[Split, ...]:
        units = find_units(
            work.nodes,
            work.devices,
            fleet=self._inputs.fleet,
            pending=self._scope.pending,
            catalogue=self._inputs.catalogue,
            told=Ties(updates=self._encoding.parts.ties, companions=self._scope.companions),
        )
        least, most = self._encoding.parts.sizes(work.nodes_with_work)
        most = most if at_most is None else min(most, at_most)
        return find_splits(
            units, least, most, fits=lambda part: self._fits(work, [n for unit in part for n in unit], Mode.ROLLING)
        )

    def is_big(self, cluster: Cluster) -> bool:
        """True when the cluster has more nodes, with work or without, than the campaign calls big."""
        return len(self._inputs.fleet.nodes_by_cluster[cluster.name]) > self._inputs.campaign.big_cluster_nodes

    def _fits(self, work: ClusterWork, nodes: Sequence[Node], mode: Mode) -> bool:
        taken = Taken(cluster=work.cluster, nodes=nodes, mode=mode, minutes=1)
        own = {loan.resource: loan.units for loan in find_loans(self._encoding.capacities, taken)}
        return all(
            use.units <= self._most.get(use.resource, use.units + own.get(use.resource, 0)) - own.get(use.resource, 0)
            for use in find_uses(self._encoding.capacities, taken)
        )

    def _group(self, work: ClusterWork, split: Split, closed: Sequence[Closed]) -> tuple[Group, ...]:
        """The parts of a split, those that are alike together. `closed`: the times that any node of the cluster has."""
        mode, are_few = _mode_of(split), len(split) <= EXACT_UNITS_MOST
        devices = self._assign_devices(work, split)
        alike: dict[tuple[object, ...], list[_Laid]] = {}
        for number, members in enumerate(split):
            nodes = members[0] if len(members) == 1 else sorted(chain.from_iterable(members), key=attrgetter("name"))
            part = self.lay_out(tuple(nodes), devices[number])
            taken = _take(work, part, mode)
            laid = _Laid(
                part=part,
                uses=find_uses(self._encoding.capacities, taken),
                loans=find_loans(self._encoding.capacities, taken),
                closed=find_closed(closed, part.nodes, work.cluster),
            )
            exact = (laid.uses, laid.loans) if are_few else ()
            key = (number == len(split) - 1, len(part.nodes), _shape(part.steps), laid.closed, exact)
            alike.setdefault(key, []).append(laid)
        return tuple(
            Group(
                parts=tuple(laid.part for laid in all_laid),
                is_last=bool(key[0]),
                minutes=all_laid[0].part.steps.minutes,
                nodes=len(all_laid[0].part.nodes),
                uses=_largest([laid.uses for laid in all_laid]),
                closed=all_laid[0].closed,
                loans=_least([laid.loans for laid in all_laid]),
            )
            for key, all_laid in alike.items()
        )

    def _assign_devices(self, work: ClusterWork, split: Split) -> list[list[Device]]:
        """Each device to the part with nodes behind it; one that spans parts, as untied ones may, to the first."""
        if len(split) == 1:
            return [list(work.devices)]
        part_at: dict[Place, int] = {}
        for number, part in enumerate(split):
            for place in {place for unit in part for node in unit for place in places_of(node)}:
                part_at.setdefault(place, number)
        assigned: list[list[Device]] = [[] for _ in split]
        for device in work.devices:
            assigned[part_at[place_of(device)]].append(device)
        return assigned

    def lay_out(self, nodes: tuple[Node, ...], devices: Sequence[Device]) -> Part:
        """The window of `nodes` and `devices`, as long as its rehearsals ask for."""
        steps = lay_out_window(
            nodes,
            devices,
            fleet=self._inputs.fleet,
            pending=self._scope.pending,
            catalogue=self._inputs.catalogue,
        )
        promise = self._promises.promise(steps, nodes, devices)
        return Part(
            nodes=nodes,
            devices=tuple(devices),
            steps=extend_verify(steps, promise.minutes),
            promise=promise,
        )


def _mode_of(split: Split) -> Mode:
    """How a cluster that is split so goes."""
    return Mode.WHOLE if len(split) == 1 else Mode.ROLLING


def _shape(steps: WindowSteps) -> tuple[object, ...]:
    return (steps.minutes, tuple((use.team, use.start, use.end) for use in steps.team_uses))


def _take(work: ClusterWork, part: Part, mode: Mode) -> Taken:
    steps = part.steps
    return Taken(cluster=work.cluster, nodes=part.nodes, mode=mode, minutes=steps.minutes, team_uses=steps.team_uses)


def _least(all_loans: Sequence[tuple[Loan, ...]]) -> tuple[Loan, ...]:
    by_resource = [{loan.resource: loan.units for loan in loans} for loans in all_loans]
    common = set(by_resource[0]).intersection(*by_resource[1:])
    return tuple(Loan(resource=r, units=min(units[r] for units in by_resource)) for r in sorted(common))


def _largest(all_uses: Sequence[tuple[Use, ...]]) -> tuple[Use, ...]:
    most: dict[tuple[int, int, int, int], int] = {}
    for uses in all_uses:
        seen: dict[tuple[int, int, int], int] = {}
        for use in uses:
            place = (use.resource, use.start, use.end)
            seen[place] = seen.get(place, -1) + 1
            key = (*place, seen[place])
            most[key] = max(most.get(key, 0), use.units)
    return tuple(Use(resource=r, start=s, end=e, units=units) for (r, s, e, _), units in sorted(most.items()))
