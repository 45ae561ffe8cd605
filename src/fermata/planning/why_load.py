"""What the windows of a plan take of each limit and team, and what another start of one of them would collide with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.domain.ids import ClusterId, WindowId
from fermata.domain.pending import find_pending
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Plan, Window
from fermata.planning.days import Day, find_days
from fermata.planning.encoders import encode_windows, list_encoders
from fermata.planning.encoding import Facts, Resource, Taken, TeamUse
from fermata.planning.inputs import PlanningInput
from fermata.planning.replan_agenda import day_of
from fermata.planning.resources import find_loans, find_reserve, find_uses

_MINUTE = timedelta(minutes=1)

Spans = tuple[tuple[datetime, datetime, int], ...]  # start, end, units


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """At one instant `windows` take `used` of a resource, and `units` more are `over` what it allows or keeps free."""

    resource: Resource
    kept: int
    used: int
    units: int
    windows: tuple[WindowId, ...]

    @property
    def over(self) -> int:
        """By how many it is too much."""
        return self.used + self.units + self.kept - self.resource.capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """One window: its day (index) and, by resource (index), what it takes over time and lends to later days."""

    window: Window
    day: int
    spans: Mapping[int, Spans]
    loans: Mapping[int, int]


class Loads:
    """All windows of a plan on its campaign's days, of a re-plan with those on which some ran, in which nothing can
    start any more. Built once; each question then takes milliseconds.
    """

    def __init__(self, inputs: PlanningInput, plan: Plan) -> None:
        self.inputs = inputs
        ahead = replace(inputs, fleet=inputs.fleet_to_come)
        pending = find_pending(ahead.fleet, inputs.catalogue, inputs.campaign.updates)
        self.encoding = encode_windows(Facts(inputs=ahead, pending=pending), list_encoders())
        days = {day.date: day for day in find_days(self.encoding.calendar, inputs.campaign.deadline)}
        for window in plan.windows if inputs.parent is not None else ():
            day = day_of(window.start, inputs)
            days.setdefault(day.date, day)
        self.days = tuple(day for _, day in sorted(days.items()))
        self.resources = tuple(resource for each in self.encoding.capacities for resource in each.resources)
        self._loads = {window.id: self._weigh(window) for window in plan.windows}
        self._by_day: dict[int, list[_Load]] = {}
        self._parts: dict[ClusterId, list[Window]] = {}
        for load in self._loads.values():
            self._by_day.setdefault(load.day, []).append(load)
            self._parts.setdefault(load.window.cluster, []).append(load.window)
        self._kept = self._find_kept()

    @property
    def grown(self) -> tuple[Resource, ...]:
        """The resources with all that the plan's windows ever lend to those that grow."""
        lent: dict[int, int] = {}
        for load in self._loads.values():
            for number, units in load.loans.items():
                lent[number] = lent.get(number, 0) + units
        return tuple(replace(r, capacity=r.capacity + lent.get(n, 0)) for n, r in enumerate(self.resources))

    def day_of(self, window: Window) -> int:
        """The index of its day."""
        return self._loads[window.id].day

    def others_of_cluster(self, window: Window) -> Iterator[Window]:
        """The other windows of its cluster."""
        return (other for other in self._parts[window.cluster] if other.id != window.id)

    def find_collisions(self, window: Window, day: int, start: datetime, *, alone: bool = False) -> list[Collision]:
        """What is over when `window` started at `start` of `day`; `alone`: were there no other window."""
        shift = start - window.start
        others = [] if alone else [load for load in self._by_day.get(day, ()) if load.window.id != window.id]
        found = []
        for number, spans in self._loads[window.id].spans.items():
            resource = self.resources[number]
            if not resource.holds_on(self.days[day].date):
                continue
            if resource.grows:
                resource = self._grown(number, window, day, alone=alone)
            own = [(a + shift, b + shift, units) for a, b, units in spans]
            there = [(load.window.id, load.spans[number]) for load in others if number in load.spans]
            collision = _find_worst(resource, 0 if alone else self._kept.get(number, 0), own, there)
            if collision.over > 0:
                found.append(collision)
        return found

    def _grown(self, number: int, window: Window, day: int, *, alone: bool) -> Resource:
        """The resource with what windows of earlier days lend it; alone, as if all others had been done before."""
        others = (load for load in self._loads.values() if load.window.id != window.id and (alone or load.day < day))
        lent = sum(load.loans.get(number, 0) for load in others)
        resource = self.resources[number]
        return replace(resource, capacity=resource.capacity + lent)

    def list_peaks(self) -> tuple[tuple[Resource, tuple[int, ...]], ...]:
        """Each limit and team with the most that is taken of it at an instant, or on the day if it counts per day, of
        every day in `days`; those of which no window takes anything, and those that grow, are left out.
        """
        found = []
        for number, resource in enumerate(self.resources):
            peaks = [0] * len(self.days)
            for day, loads in self._by_day.items():
                if resource.holds_on(self.days[day].date):
                    there = [(load.window.id, load.spans[number]) for load in loads if number in load.spans]
                    every = [span for _, spans in there for span in spans]
                    peaks[day] = _find_worst(resource, 0, every, ()).units
            if any(peaks) and not resource.grows:
                found.append((resource, tuple(peaks)))
        return tuple(found)

    def _weigh(self, window: Window) -> _Load:
        fleet = self.inputs.fleet
        taken = Taken(
            cluster=fleet.clusters[window.cluster],
            nodes=[fleet.nodes[name] for name in window.nodes if name in fleet.nodes],
            mode=window.mode,
            minutes=(window.end - window.start) // _MINUTE,
            team_uses=tuple(self._team_uses(window)),
        )
        spans: dict[int, Spans] = {}
        for use in find_uses(self.encoding.capacities, taken):
            span = (window.start + use.start * _MINUTE, window.start + use.end * _MINUTE, use.units)
            spans[use.resource] = (*spans.get(use.resource, ()), span)
        day = next(d for d, day in enumerate(self.days) if day.room.start <= window.start < day.room.end)
        loans = {loan.resource: loan.units for loan in find_loans(self.encoding.capacities, taken)}
        return _Load(window=window, day=day, spans=spans, loans=loans)

    def _team_uses(self, window: Window) -> Iterator[TeamUse]:
        for step in window.steps:
            if isinstance(step, NodeApplyStep | DeviceApplyStep):
                yield TeamUse(
                    team=self.inputs.catalogue.updates[step.update].owner_team,
                    start=(step.start - window.start) // _MINUTE,
                    end=(step.end - window.start) // _MINUTE,
                    units=step.nodes if isinstance(step, NodeApplyStep) else len(step.devices),
                )

    def _find_kept(self) -> Mapping[int, int]:
        """The room that the plan keeps for nodes that do not come back: in each limit, or nowhere."""
        kept: dict[int, int] = {}
        for number, resource in enumerate(self.resources):
            if resource.keeps_reserve:
                of = (load.spans[number][0][2] for load in self._loads.values() if number in load.spans)
                kept[number] = find_reserve(sum(of), self.inputs.campaign)
        for loads in self._by_day.values():
            for number, units in kept.items():
                there = [(load.window.id, load.spans[number]) for load in loads if number in load.spans]
                for name, spans in there:
                    rest = [pair for pair in there if pair[0] != name]
                    if units and _find_worst(self.resources[number], units, spans, rest).over > 0:
                        return {}
        return kept


def starts_of(day: Day, window: Window) -> list[datetime]:
    """Every start on the grid from which the window fits into the day's room."""
    return [day.at(offset) for offset in day.starts((window.end - window.start) // _MINUTE)]


def _find_worst(
    resource: Resource,
    kept: int,
    own: Sequence[tuple[datetime, datetime, int]],
    others: Sequence[tuple[WindowId, Spans]],
) -> Collision:
    """The instant at which most is taken while `own` takes something; a limit per day counts all of the day."""
    spans = [(name, *span) for name, several in others for span in several]
    instants = {at for at, _, _ in own} | {start for _, start, _, _ in spans}
    best = Collision(resource=resource, kept=kept, used=0, units=0, windows=())
    for at in sorted(instants):
        units = sum(u for a, b, u in own if resource.per_day or a <= at < b)
        if units:
            open_then = [(name, u) for name, a, b, u in spans if resource.per_day or a <= at < b]
            used = sum(u for _, u in open_then)
            if used + units > best.used + best.units:
                names = tuple(sorted({name for name, _ in open_then}))
                best = Collision(resource=resource, kept=kept, used=used, units=units, windows=names)
    return best
