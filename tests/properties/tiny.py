"""Tiny campaigns thrown by Hypothesis, and every plan they have, enumerated from the contract's words alone.

Only lengths are the planner's: how long a window of certain nodes takes, and when in it a team works.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import product
from math import ceil, floor
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.domain.fleet import Cluster, Node, Role
from fermata.domain.ids import CustomerId, FreezeId, NodeId
from fermata.domain.policy import Freeze, Scope, ScopeLevel
from fermata.domain.updates import Impact
from fermata.planning.encoding import TeamUse
from fermata.planning.inputs import PlanningInput
from fermata.planning.outline import compile_problem

HALF_HOUR = timedelta(minutes=30)
DAYS = 4
BIG = 3
FIRSTS = (date(2026, 1, 5), date(2026, 3, 6))  # a Monday; a Friday before the Sunday on which clocks go forward
HOURS = ((time(11), time(13)), (time(0, 30), time(3, 30)))
CLASSES = ("small research", "big research", "big applied")
NIC = b.make_update("nic", "nic_fw", 40, Impact.REBOOTFUL)
TOR = b.make_update("tor", "tor_fw", 5, Impact.IMPACTFUL, target="tor")
Team = tuple[TeamUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One window of a plan that is considered."""

    cluster: Cluster
    nodes: tuple[Node, ...]
    is_whole: bool
    day: date
    start: datetime
    end: datetime
    team: Team


Choice = tuple[Piece, ...]


@st.composite
def tiny_campaigns(draw: st.DrawFn) -> PlanningInput:
    """One to three clusters of up to three racks, four days, and of every rule a little. Only in the smallest no
    switch with work keeps the racks together.
    """
    names = ("a", "b", "c")[: draw(st.sampled_from((2, 3, 1)))]
    racks_most = (3, 2, 1)[len(names) - 1]  # so that all plans of a campaign are some thousands
    clusters = [
        b.make_cluster(
            name,
            rolling=draw(st.sampled_from([True, True, False])),
            division=draw(st.sampled_from(["research", "applied"])),
            geo=draw(st.sampled_from(["US", "EU"])),
        )
        for name in names
    ]
    nodes = [
        replace(node, role=Role.TEST if number % 2 else Role.PROD)
        for cluster in clusters
        for number, node in enumerate(
            b.make_nodes(cluster, draw(st.lists(st.integers(1, 4), min_size=1, max_size=racks_most)))
        )
    ]
    first = draw(st.sampled_from(FIRSTS))
    start, end = draw(st.sampled_from(HOURS))
    campaign = b.make_campaign(
        first_day=first,
        deadline=first + timedelta(days=1),
        extension_until=first + timedelta(days=DAYS - 1),
        daily_window=c.DailyWindow(start=start, back_in_service_by=end, hard_stop=end),
        weekends_staffed=draw(st.booleans()),
        limits=tuple(draw(st.lists(limits(first), min_size=1, max_size=3))),
        big_cluster_nodes=BIG,
        rolling=draw(
            st.sampled_from([(0.1, 0.5), (0.3, 0.7), (0.5, 0.9)]).map(
                lambda s: c.Rolling(min_fraction_per_day=s[0], max_fraction_per_day=s[1])
            )
        ),
        preferences=tuple(draw(st.permutations(PREFERENCES))),
    )
    teams = {"team-nic": draw(st.integers(1, 6))} if draw(st.booleans()) else {}
    sizes = Counter(node.cluster for node in nodes)
    tied = {(n.cluster, n.rack): n for n in nodes if sizes[n.cluster] > racks_most or draw(st.booleans())}
    return b.make_inputs(
        b.make_fleet(clusters, nodes, [b.make_device(cluster, "tor", rack) for cluster, rack in tied]),
        b.make_catalogue(NIC, TOR, teams=teams),
        campaign,
        *draw(st.lists(freezes(first, nodes), max_size=2, unique_by=lambda freeze: freeze.id)),
        now=local(first, time(0)) + draw(st.sampled_from([timedelta(), timedelta(hours=11, minutes=40)])),
    )


PREFERENCES: tuple[c.Preference, ...] = (
    c.FinishByDeadline(),
    c.FewestWindows(),
    c.OrderClasses(classes=CLASSES),
    c.AvoidWeekday(weekday=4),
    c.SpreadEvenly(where=c.Where(), over="geo"),
)


@st.composite
def limits(draw: st.DrawFn, first: date) -> c.Limit:
    """A limit of any kind, on some clusters or all, on some days or all."""
    where = c.Where(conditions=draw(st.sampled_from([{}, {"geo": frozenset({"US"})}, {"cluster": frozenset({"a"})}])))
    since = draw(st.none() | st.just(first + timedelta(days=1)))
    until = draw(st.none() | st.just(first + timedelta(days=2)))
    base = c.Limit(what=c.LimitKind.NODES_OUT, where=where, first_day=since, last_day=until)
    match draw(st.integers(0, 3)):
        case 0:
            return replace(base, at_once=draw(st.integers(1, 6)))
        case 1:
            conditions = {**where.conditions, **draw(st.sampled_from([{}, {"role": frozenset({"test"})}]))}
            share = draw(st.sampled_from([0.3, 0.5, 0.8]))
            return replace(base, at_once_fraction=share, where=c.Where(conditions=conditions))
        case 2:
            return replace(base, what=c.LimitKind.CLUSTER_WINDOWS, at_once=1)
        case _:
            return replace(base, what=c.LimitKind.WHOLE_BIG_CLUSTERS, per_day=draw(st.integers(0, 1)))


@st.composite
def freezes(draw: st.DrawFn, first: date, nodes: Sequence[Node]) -> Freeze:
    node = draw(st.sampled_from(list(nodes)))
    level, name = draw(
        st.sampled_from(
            [
                (ScopeLevel.NODE, node.name),
                (ScopeLevel.RACK, node.rack),
                (ScopeLevel.CLUSTER, node.cluster),
                (ScopeLevel.SUPERCOMPUTER, f"sc-{node.cluster}"),
            ]
        )
    )
    start = local(first, time(0)) + timedelta(hours=draw(st.integers(0, 24 * DAYS)))
    return Freeze(
        id=FreezeId(f"freeze-{name}"),
        customer=CustomerId("lumen"),
        scope=Scope(level=level, name=name),
        start=start,
        end=start + timedelta(hours=draw(st.sampled_from([1, 12, 36]))),
        reason="training run",
    )


def local(day: date, at: time) -> datetime:
    zone = ZoneInfo("America/Los_Angeles")
    return datetime.combine(day, at, tzinfo=zone).astimezone(ZoneInfo("UTC"))


def find_lengths(inputs: PlanningInput) -> Mapping[frozenset[NodeId], tuple[timedelta, Team]]:
    """How long a window of these nodes takes, and its team's work in it: as laid out when no rule is in the way."""
    clusters = {name: replace(cl, rolling_allowed=True) for name, cl in inputs.fleet.clusters.items()}
    free = replace(
        inputs,
        fleet=replace(inputs.fleet, clusters=clusters),
        campaign=replace(
            inputs.campaign, limits=(), rolling=c.Rolling(min_fraction_per_day=0.01, max_fraction_per_day=1.0)
        ),
    )
    parts = [part for way in compile_problem(free).ways for group in way.groups for part in group.parts]
    return {frozenset(n.name for n in p.nodes): (timedelta(minutes=p.steps.minutes), p.steps.team_uses) for p in parts}


def find_choices(inputs: PlanningInput) -> Iterator[Choice]:
    """Every plan there is."""
    lengths = find_lengths(inputs)
    ways = [list(find_services(inputs, cluster, lengths)) for cluster in inputs.fleet.clusters.values()]
    for choice in product(*ways):
        pieces = tuple(piece for windows in choice for piece in windows)
        if keeps_limits(inputs, pieces) and keeps_teams(inputs, pieces):
            yield pieces


def find_services(
    inputs: PlanningInput, cluster: Cluster, lengths: Mapping[frozenset[NodeId], tuple[timedelta, Team]]
) -> Iterator[Choice]:
    """Every way to service one cluster alone: racks with a switch, and other nodes, on days, each part at some half
    hour.
    """
    nodes = inputs.fleet.nodes_by_cluster[cluster.name]
    switched = {device.scope_id for device in inputs.fleet.devices_by_cluster[cluster.name]}
    unit_of = {node.name: node.rack if node.rack in switched else node.name for node in nodes}
    units = sorted(set(unit_of.values()))
    days = [inputs.campaign.first_day + timedelta(days=number) for number in range(DAYS)]
    for places in product(days, repeat=len(units)):
        place_of = dict(zip(units, places, strict=True))
        parts = [(day, tuple(n for n in nodes if place_of[unit_of[n.name]] == day)) for day in sorted(set(places))]
        if len(parts) > 1 and not (cluster.rolling_allowed and in_bounds(inputs, parts)):
            continue
        options = []
        for day, members in parts:
            length, team = lengths[frozenset(n.name for n in members)]
            starts = find_starts(inputs, day, length, cluster, members)
            options.append(
                [
                    Piece(
                        cluster=cluster,
                        nodes=members,
                        is_whole=len(parts) == 1,
                        day=day,
                        start=start,
                        end=start + length,
                        team=team,
                    )
                    for start in starts
                ]
            )
        yield from product(*options)


def in_bounds(inputs: PlanningInput, parts: Sequence[tuple[date, tuple[Node, ...]]]) -> bool:
    rolling = inputs.campaign.rolling
    total = sum(len(members) for _, members in parts)
    most = floor(Fraction(str(rolling.max_fraction_per_day)) * total)
    least = ceil(Fraction(str(rolling.min_fraction_per_day)) * total)
    return all(len(m) <= most for _, m in parts) and all(len(m) >= least for _, m in parts[:-1])


def find_starts(
    inputs: PlanningInput, day: date, length: timedelta, cluster: Cluster, nodes: Sequence[Node]
) -> Iterator[datetime]:
    """Half hours of the day's room that now, weekends and freezes leave."""
    campaign = inputs.campaign
    if day.weekday() >= 5 and not campaign.weekends_staffed:
        return
    start = local(day, campaign.daily_window.start)
    closes = local(day, campaign.daily_window.back_in_service_by)
    while start + length <= closes:
        frozen = any(
            freeze.start < start + length and start < freeze.end and any(holds(freeze, n, cluster) for n in nodes)
            for freeze in inputs.policy.freezes
        )
        if start >= inputs.now and not frozen:
            yield start
        start += HALF_HOUR


def holds(freeze: Freeze, node: Node, cluster: Cluster) -> bool:
    names = {
        ScopeLevel.NODE: node.name,
        ScopeLevel.RACK: node.rack,
        ScopeLevel.CLUSTER: cluster.name,
        ScopeLevel.SUPERCOMPUTER: cluster.supercomputer,
    }
    return names[freeze.scope.level] == freeze.scope.name


def matches(where: c.Where, node: Node, cluster: Cluster) -> bool:
    columns = {"geo": cluster.geo, "cluster": cluster.name, "role": node.role.value}
    return all(columns[key] in allowed for key, allowed in where.conditions.items())


def keeps_limits(inputs: PlanningInput, pieces: Choice) -> bool:
    return all(keeps_limit(inputs, limit, pieces) for limit in inputs.campaign.limits)


def keeps_limit(inputs: PlanningInput, limit: c.Limit, pieces: Choice) -> bool:
    counted = [
        p
        for p in pieces
        if (limit.first_day or p.day) <= p.day <= (limit.last_day or p.day) and meets(limit, p.cluster)
    ]
    fleet = inputs.fleet
    if limit.what is c.LimitKind.WHOLE_BIG_CLUSTERS:
        big = [p.day for p in counted if p.is_whole and len(fleet.nodes_by_cluster[p.cluster.name]) > BIG]
        return all(big.count(day) <= (limit.per_day or 0) for day in big)
    most = limit.at_once if limit.at_once is not None else 0
    if limit.at_once_fraction is not None:
        everything = [n for n in fleet.nodes.values() if matches(limit.where, n, fleet.clusters[n.cluster])]
        most = floor(Fraction(str(limit.at_once_fraction)) * len(everything))
    for piece in counted:
        beside = [p for p in counted if p.start <= piece.start < p.end]
        out = sum(matches(limit.where, n, p.cluster) for p in beside for n in p.nodes)
        if (len(beside) if limit.what is c.LimitKind.CLUSTER_WINDOWS else out) > most:
            return False
    return True


def meets(limit: c.Limit, cluster: Cluster) -> bool:
    columns = {"geo": cluster.geo, "cluster": cluster.name}
    return all(columns[key] in allowed for key, allowed in limit.where.conditions.items() if key in columns)


def keeps_teams(inputs: PlanningInput, pieces: Choice) -> bool:
    minute = timedelta(minutes=1)
    works = [(u.team, p.start + u.start * minute, p.start + u.end * minute, u.units) for p in pieces for u in p.team]
    return all(
        sum(units for other, a, z, units in works if other == team and a <= at < z)
        <= inputs.catalogue.team_limits.get(team, len(inputs.fleet.nodes))
        for team, at, _, _ in works
    )


def value(inputs: PlanningInput, pieces: Choice, preference: c.Preference) -> float:
    """The term's value, from its definition."""
    campaign = inputs.campaign
    match preference:
        case c.FinishByDeadline():
            return sum(max(0, (p.day - campaign.deadline).days) * len(p.nodes) for p in pieces)
        case c.FewestWindows():
            return len(pieces)
        case c.AvoidWeekday(weekday=weekday):
            return sum(p.day.weekday() == weekday for p in pieces)
        case c.OrderClasses(classes=classes):
            ranked = [(classes.index(k), p.start) for p in pieces if (k := class_of(inputs, p.cluster)) in classes]
            return sum(a < z and later < start for (a, start), (z, later) in product(ranked, ranked))
        case c.SpreadEvenly():
            geos = [cluster.geo for cluster in inputs.fleet.clusters.values()]
            days = [campaign.first_day + timedelta(days=number) for number in range(DAYS)]
            shares = [share_out(inputs, pieces, geo, day) for geo, day in product(geos, days)]
            return max(shares) - min(shares)


def class_of(inputs: PlanningInput, cluster: Cluster) -> str:
    is_big = len(inputs.fleet.nodes_by_cluster[cluster.name]) > BIG
    return f"{'big' if is_big else 'small'} {cluster.division}"


def share_out(inputs: PlanningInput, pieces: Choice, geo: str, day: date) -> float:
    total = sum(inputs.fleet.clusters[node.cluster].geo == geo for node in inputs.fleet.nodes.values())
    return sum(len(p.nodes) for p in pieces if p.day == day and p.cluster.geo == geo) / total
