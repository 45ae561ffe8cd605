"""The tasks of a re-plan with the calendar they lie on, and which windows told within the notice cannot stay."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.observed import stretch_catalogue
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import InputHashes, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.replanning import Standing, needs_asking
from fermata.domain.windows import Interval, calendar_day, day_interval
from fermata.planning.days import Day, find_days
from fermata.planning.encoders import Encoding, encode_windows, list_encoders
from fermata.planning.encoding import Facts, Resource
from fermata.planning.inputs import PlanningInput
from fermata.planning.problem import Barrier, Problem, Spot
from fermata.planning.replan_stay import Bound, choose_stays
from fermata.planning.replan_tasks import Brief, Kind, Task, find_tasks
from fermata.planning.resources import find_resources
from fermata.planning.rows import Row, build_rows, lent_before
from fermata.planning.scope import Scope, find_scope
from fermata.planning.ways import Part, Way, WayFinder

NAMES_SHOWN = 3
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """Everything that a re-plan chooses from. `homes`: by task (its index), day and minutes into its room of a place
    that was told and is still possible for it alone. Tasks that are settled have theirs there too.
    """

    ahead: PlanningInput
    scope: Scope
    encoding: Encoding
    resources: tuple[Resource, ...]
    days: tuple[Day, ...]
    tasks: tuple[Task, ...]
    homes: Mapping[int, tuple[int, int]]

    def settled(self) -> tuple[int, ...]:
        """Tasks of which nothing is for choosing."""
        return tuple(i for i, task in enumerate(self.tasks) if task.kind in (Kind.PAST, Kind.HELD))

    def others(self, than: Collection[int]) -> tuple[int, ...]:
        """All tasks but those."""
        return tuple(i for i in range(len(self.tasks)) if i not in than)

    def problem(self, seated: Collection[int], free: Collection[int]) -> Problem:
        """The problem of finding a place for the `free` tasks beside the `seated` ones, each at its home."""
        ways: list[Way] = []
        ways_of: list[tuple[int, ...]] = []
        seats: dict[int, Spot] = {}
        big: set[int] = set()
        bound = self.ahead.campaign.big_cluster_nodes
        for i in sorted({*seated, *free}):
            task = self.tasks[i]
            numbers = tuple(range(len(ways), len(ways) + len(task.ways)))
            ways.extend(task.ways)
            ways_of.append(numbers)
            if i in seated:
                seats[numbers[0]] = self.home_spot(i, numbers[0])
            if len(self.ahead.fleet.nodes_by_cluster[task.cluster.name]) > bound:
                big.update(numbers)
        opens = self.encoding.turns.opens
        return Problem(
            inputs=self.ahead,
            scope=self.scope,
            encoding=self.encoding,
            resources=self.resources,
            days=self.days,
            ways=tuple(ways),
            ways_of=tuple(ways_of),
            big=frozenset(big),
            seats=seats,
            barrier=Barrier(opens=opens) if opens is not None else None,
        )

    def allows(self, problem: Problem) -> Callable[[Spot], bool]:
        """Says of a spot of the problem over all tasks whether it may be taken: none on a day that was called off."""
        closed = {
            (way, day_of(task.source.start, self.ahead).date)
            for task, ways in zip(self.tasks, problem.ways_of, strict=True)
            if task.kind is Kind.OPEN and task.source is not None
            for way in ways
        }
        return lambda spot: (spot.way, self.days[spot.day].date) not in closed

    def home_spot(self, task: int, way: int) -> Spot:
        """The task's home, as a spot of its only way, which is `way` in some problem."""
        day, start = self.homes[task]
        return Spot(way=way, group=0, day=day, start=start)


def settle_agenda(inputs: PlanningInput, hashes: InputHashes) -> Agenda:
    """The agenda with every window told within the notice that can stay. Nodes of the others wait for a new consent;
    where nobody has to be asked, they are planned anew.
    """
    observed = inputs.observed
    catalogue = stretch_catalogue(inputs.catalogue, observed.stretch) if observed is not None else inputs.catalogue
    ahead = replace(inputs, fleet=inputs.fleet_to_come, catalogue=catalogue)
    standing = inputs.standing
    kept_out: Mapping[NodeId, Reason] = {}
    scope = find_scope(ahead)
    laid_out: dict[tuple[object, ...], Part] = {}
    while True:
        encoding = encode_windows(Facts(inputs=ahead, pending=scope.pending), list_encoders())
        resources = find_resources(encoding.capacities, scope, ahead.campaign)
        brief = Brief(
            inputs=inputs,
            ahead=ahead,
            scope=_without_served(scope, standing),
            standing=standing,
            finder=WayFinder(ahead, scope, encoding, _as_lent(resources, ahead)),
            encoding=encoding,
            laid_out=laid_out,
            are_updates_same=inputs.parent is not None and hashes.updates == inputs.parent.inputs.updates,
        )
        tasks, torn = find_tasks(brief)
        agenda = _find_homes(brief, resources, tasks)
        lost = {item.window.id: (item.window, item.why) for item in torn}
        lost |= {window.id: (window, why) for window, why in _find_lost(agenda)}
        if not lost:
            return agenda
        for window, why in lost.values():
            standing, kept_out = _lose(inputs, standing, kept_out, window, why)
        scope = _find_anew(ahead, scope, {window.cluster for window, _ in lost.values()}, kept_out)


def _find_anew(
    ahead: PlanningInput, scope: Scope, changed: Collection[ClusterId], kept_out: Mapping[NodeId, Reason]
) -> Scope:
    """The scope with what more nodes are kept out for, which only `changed` clusters have."""
    fleet = ahead.fleet
    near = Fleet(
        clusters={name: cluster for name, cluster in fleet.clusters.items() if name in changed},
        nodes={node.name: node for name in changed for node in fleet.nodes_by_cluster[name]},
        devices={device.name: device for name in changed for device in fleet.devices_by_cluster[name]},
    )
    found = find_scope(replace(ahead, fleet=near), kept_out=kept_out)
    works = (*(work for work in scope.works if work.cluster.name not in changed), *found.works)
    unplanned = (*(group for group in scope.unplanned if group.cluster not in changed), *found.unplanned)
    return replace(
        scope,
        works=tuple(sorted(works, key=lambda work: work.cluster.name)),
        unplanned=tuple(sorted(unplanned, key=lambda group: group.cluster)),
    )


def _as_lent(resources: Sequence[Resource], inputs: PlanningInput) -> tuple[Resource, ...]:
    """The resources as if every node had been lent to those that grow: whether it is, is for the search to see to."""
    nodes = len(inputs.fleet.nodes)
    return tuple(replace(each, capacity=each.capacity + nodes) if each.grows else each for each in resources)


def _without_served(scope: Scope, standing: Standing) -> Scope:
    """Nodes still being worked on, or in the tail, are not left out: a window has them."""
    served = {name for window in standing.history for name in window.nodes}
    groups = (replace(group, nodes=tuple(n for n in group.nodes if n not in served)) for group in scope.unplanned)
    return replace(scope, unplanned=tuple(group for group in groups if group.nodes))


def _lose(
    inputs: PlanningInput, standing: Standing, kept_out: Mapping[NodeId, Reason], window: Window, why: Reason
) -> tuple[Standing, Mapping[NodeId, Reason]]:
    held = tuple(other for other in standing.held if other.id != window.id)
    cluster = inputs.fleet.clusters[window.cluster]
    nodes = [inputs.fleet.nodes[name] for name in window.nodes if name in inputs.fleet.nodes]
    updates = [inputs.catalogue.updates[name] for name in window.updates if name in inputs.catalogue.updates]
    if not any(needs_asking(inputs.policy, node, cluster, updates) for node in nodes):
        return replace(standing, held=held, lapsed=(*standing.lapsed, window)), kept_out
    again = reason(
        Code.CONSENT_AGAIN,
        window=window.id,
        start=f"{window.start:%Y-%m-%d %H:%MZ}",
        hours=round(inputs.lead.total_seconds() / 3600),
        why=why.sentence,
    )
    return replace(standing, held=held), {**dict.fromkeys(window.nodes, again), **kept_out}


def _find_homes(brief: Brief, resources: tuple[Resource, ...], tasks: tuple[Task, ...]) -> Agenda:
    """The days on which new windows may lie, none told later than the notice asks, and those of the homes."""
    ahead, calendar = brief.ahead, brief.encoding.calendar
    days = {day.date: day for day in find_days(calendar, ahead.campaign.deadline)}
    agenda = Agenda(
        ahead=ahead, scope=brief.scope, encoding=brief.encoding, resources=resources, days=(), tasks=tasks, homes={}
    )
    at_home: dict[int, tuple[date, int]] = {}
    for i, task in enumerate(tasks):
        if task.source is None or task.kind is Kind.OPEN:
            continue
        if task.kind is Kind.PAST or judge_home(agenda, task) is None:
            day = day_of(task.source.start, ahead)
            days.setdefault(day.date, day)
            at_home[i] = (day.date, (task.source.start - day.room.start) // MINUTE)
    ordered = tuple(day for _, day in sorted(days.items()))
    place = {day.date: number for number, day in enumerate(ordered)}
    return replace(agenda, days=ordered, homes={i: (place[day], start) for i, (day, start) in at_home.items()})


def day_of(start: datetime, inputs: PlanningInput) -> Day:
    """The calendar day of a window, with its room but nothing to start in it."""
    campaign = inputs.campaign
    hours = campaign.daily_window
    day = calendar_day(start, campaign.timezone)
    before = date.fromordinal(day.toordinal() - 1)
    rooms = {d: day_interval(d, hours.start, hours.back_in_service_by, campaign.timezone) for d in (before, day)}
    own = before if rooms[before].start <= start < rooms[before].end else day
    late = max(0, (own - campaign.deadline).days)
    return Day(date=own, room=rooms[own], earliest=rooms[own].end, late=late)


def judge_home(agenda: Agenda, task: Task) -> Reason | None:
    """Why a task cannot stand where its source did even if it were alone; None when it can."""
    assert task.source is not None, "a home is where the parent had it"
    group, start, end = task.ways[0].groups[0], task.source.start, task.source.end
    day = day_of(start, agenda.ahead)
    calendar = agenda.encoding.calendar
    is_open = calendar.first_day <= day.date <= calendar.last_day and day.date.weekday() in calendar.weekdays
    turns = agenda.encoding.turns
    waits = turns.opens is not None and start < turns.opens and task.source.id not in turns.first
    if waits and task.kind is Kind.MOVABLE and turns.opens is not None:
        return reason(PlanCode.DAY_CONTROL, day=day.date, opens=f"{turns.opens:%Y-%m-%d %H:%MZ}")
    out = Interval(start, start + group.minutes * MINUTE)
    held = [each for each in calendar.closed if each.name in group.closed and out.overlaps(each.time)]
    if not is_open or not day.room.start <= start < day.room.end or day.room.end < min(end, out.end):
        return reason(Code.DAY_CLOSED)
    if held:
        return held[0].why
    if day.room.end < out.end:
        return reason(Code.LONGER_NOW, minutes=group.minutes, before=round((end - start) / MINUTE))
    for use in group.uses:
        resource = agenda.resources[use.resource]
        if resource.holds_on(day.date) and use.units > resource.capacity and not resource.grows:
            return reason(
                Code.LIMIT_FULL, limit=resource.name, allowed=resource.capacity, used=use.units, others="nothing else"
            )
    return None


def _find_lost(agenda: Agenda) -> list[tuple[Window, Reason]]:
    """Windows told within the notice that cannot stay, alone or together: as few node-days as possible."""
    held = [i for i, task in enumerate(agenda.tasks) if task.kind is Kind.HELD]
    lost: list[tuple[Window, Reason]] = []
    for i in held:
        task = agenda.tasks[i]
        why = judge_home(agenda, task) if i not in agenda.homes else None
        if why is not None and task.source is not None:
            lost.append((task.source, why))
    if lost or not held:
        return lost
    past = [i for i, task in enumerate(agenda.tasks) if task.kind is Kind.PAST]
    weights = {i: agenda.tasks[i].ways[0].groups[0].nodes for i in held}
    stays = keep_together(agenda, past, weights)
    for i in held:
        source = agenda.tasks[i].source
        if i not in stays and source is not None:
            lost.append((source, find_full(agenda, [*past, *stays], i)))
    return lost


def keep_together(
    agenda: Agenda, seated: Sequence[int], weights: Mapping[int, int], *, hoped: Collection[int] = ()
) -> frozenset[int]:
    """The heaviest set of tasks (the keys of `weights`) that can all be at home beside the `seated` ones, if the
    `hoped` ones lend all that they ever can in time.
    """
    problem = agenda.problem(seated, weights.keys())
    tasks = sorted({*seated, *weights})
    spots = [agenda.home_spot(task, way) for task, (way, *_) in zip(tasks, problem.ways_of, strict=True)]
    rows = build_rows(problem, spots, with_reserve=False)
    number_of = {task: number for number, task in enumerate(tasks)}
    chosen = {number_of[i]: weight for i, weight in weights.items()}
    hopes = _add_up_loans(agenda, hoped)
    bounds = [_bound(problem, row, spots, chosen, hopes) for row in rows]
    stays = choose_stays(bounds, chosen, seed=agenda.ahead.seed)
    return frozenset(tasks[number] for number in stays)


def _bound(
    problem: Problem, row: Row, spots: Sequence[Spot], chosen: Collection[int], hopes: Mapping[int, int]
) -> Bound:
    if row.day is None:
        return Bound(capacity=row.capacity, terms=row.terms)
    loans = [(number, lent_before(problem, row, (spot,))) for number, spot in enumerate(spots)]
    settled = sum(units for number, units in loans if number not in chosen)
    return Bound(
        capacity=row.capacity + settled + hopes.get(row.resource, 0),
        terms=row.terms,
        loans=tuple((number, units) for number, units in loans if units and number in chosen),
    )


def _add_up_loans(agenda: Agenda, tasks: Iterable[int]) -> Mapping[int, int]:
    """By resource, the most that each of the tasks can lend, all together."""
    found: Counter[int] = Counter()
    for task in tasks:
        most: Counter[int] = Counter()
        for way in agenda.tasks[task].ways:
            lent: Counter[int] = Counter()
            for group in way.groups:
                lent.update({loan.resource: loan.units * len(group.parts) for loan in group.loans})
            most |= lent
        found += most
    return found


def find_full(agenda: Agenda, seated: Sequence[int], task: int) -> Reason:
    """Which limit the task would break at home beside the `seated` ones."""
    tasks = sorted({*seated, task})
    problem = replace(agenda.problem(tasks, ()), seats={})
    spots = [agenda.home_spot(i, way) for i, (way, *_) in zip(tasks, problem.ways_of, strict=True)]
    own = tasks.index(task)
    for row in build_rows(problem, spots, with_reserve=False):
        units = dict(row.terms)
        capacity = row.capacity + lent_before(problem, row, spots)
        if own in units and sum(units.values()) > capacity and row.resource >= 0:
            others = sorted({problem.ways[spots[n].way].cluster.name for n in units if n != own})
            return reason(
                Code.LIMIT_FULL,
                limit=agenda.resources[row.resource].name,
                allowed=capacity,
                used=sum(units.values()),
                others=tell(others) or "nothing else",
            )
    return reason(Code.WORK_CHANGED)


def tell(names: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    hidden = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")
