"""Every way considered to service a cluster: whole in one window, or rolled in parts on separate days."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.fleet import Cluster, Device, Node
from fermata.domain.plans import Mode
from fermata.planning.days import find_closed, find_days
from fermata.planning.encoders import Encoding
from fermata.planning.encoding import Loan, Resource, Taken, Use
from fermata.planning.inputs import PlanningInput
from fermata.planning.parts import EXACT_UNITS_MOST, Split, find_splits, find_units
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

    def find_ways(self, work: ClusterWork) -> tuple[Way, ...]:
        """The ways that every limit bears on its own, fewest windows first; none: no limit lets the cluster go."""
        ways: list[Way] = []
        if self._fits(work, work.nodes, Mode.WHOLE):
            ways.append(Way(cluster=work.cluster, mode=Mode.WHOLE, groups=self._group(work, ((work.nodes,),))))
        if self._encoding.parts.may_roll(work.cluster):
            splits = self._find_splits(work)
            ways.extend(Way(cluster=work.cluster, mode=Mode.ROLLING, groups=self._group(work, s)) for s in splits)
        return tuple(ways)

    def _find_splits(self, work: ClusterWork) -> tuple[Split, ...]:
        units = find_units(
            work.nodes,
            work.devices,
            fleet=self._inputs.fleet,
            pending=self._scope.pending,
            catalogue=self._inputs.catalogue,
            ties_nodes=self._encoding.parts.ties,
        )
        least, most = self._encoding.parts.sizes(work.nodes_with_work)
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

    def _group(self, work: ClusterWork, split: Split) -> tuple[Group, ...]:
        is_whole = len(split) == 1
        are_few = len(split) <= EXACT_UNITS_MOST
        devices = self._assign_devices(work, split)
        alike: dict[tuple[object, ...], list[Part]] = {}
        closed: dict[tuple[object, ...], tuple[str, ...]] = {}
        for number, members in enumerate(split):
            part = self.lay_out(tuple(sorted((n for u in members for n in u), key=lambda n: n.name)), devices[number])
            held = find_closed(self._encoding.calendar.closed, part.nodes, work.cluster)
            mode = Mode.WHOLE if is_whole else Mode.ROLLING
            exact = (self._uses(work, part, mode), self._loans(work, part, mode)) if are_few else ()
            key = (number == len(split) - 1, len(part.nodes), _shape(part.steps), held, exact)
            alike.setdefault(key, []).append(part)
            closed[key] = held
        return tuple(
            Group(
                parts=tuple(parts),
                is_last=bool(key[0]),
                minutes=parts[0].steps.minutes,
                nodes=len(parts[0].nodes),
                uses=_largest([self._uses(work, part, Mode.WHOLE if is_whole else Mode.ROLLING) for part in parts]),
                closed=closed[key],
                loans=_least([self._loans(work, part, Mode.WHOLE if is_whole else Mode.ROLLING) for part in parts]),
            )
            for key, parts in alike.items()
        )

    def _uses(self, work: ClusterWork, part: Part, mode: Mode) -> tuple[Use, ...]:
        return find_uses(self._encoding.capacities, _take(work, part, mode))

    def _loans(self, work: ClusterWork, part: Part, mode: Mode) -> tuple[Loan, ...]:
        return find_loans(self._encoding.capacities, _take(work, part, mode))

    def _assign_devices(self, work: ClusterWork, split: Split) -> list[list[Device]]:
        """Each device to the part with nodes behind it; one that spans parts, as untied ones may, to the first."""
        part_of = {n.name: i for i, part in enumerate(split) for unit in part for n in unit}
        assigned: list[list[Device]] = [[] for _ in split]
        for device in work.devices:
            places = [part_of[n.name] for n in self._inputs.fleet.nodes_behind(device) if n.name in part_of]
            assigned[min(places)].append(device)
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
