"""What a plan means for services, day by day: how much is out, what remains, which done nodes carry the load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.ids import ClusterId, ServiceId
from fermata.domain.plans import Move, ServiceDay, Window
from fermata.domain.workloads import WorkloadMap
from fermata.planning.leapfrog import GeoServices, Kind, count_services, find_geo_services
from fermata.planning.problem import Problem

Stock = dict[Kind, dict[ClusterId, int]]  # done nodes
Flow = dict[ServiceId, dict[Kind, int]]  # how many nodes of a kind carry load of a service


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outage:
    """One window as services see it."""

    cluster: ClusterId
    sku: str
    day: date
    start: datetime
    end: datetime
    nodes: Mapping[ServiceId, int]


def find_service_days(problem: Problem, windows: Sequence[Window]) -> tuple[ServiceDay, ...]:
    """By day, service and geo, every service that has nodes out on a day; none without a workload map.

    What a service lacks of its minimum moves first, then whatever else done nodes can carry, services of the highest
    rank first.
    """
    workloads = problem.inputs.workloads
    if workloads is None:
        return ()
    found: list[ServiceDay] = []
    for geo in find_geo_services(problem.inputs, problem.scope.pending):
        outages = _read_outages(problem, workloads, geo, windows)
        stock = {kind: dict(clusters) for kind, clusters in geo.done.items()}
        for day in sorted({outage.day for outage in outages}):
            today = [outage for outage in outages if outage.day == day]
            found.extend(_tell_day(workloads, geo, today, stock))
            _bring_back(today, stock)
    return tuple(sorted(found, key=lambda line: (line.day, line.service, line.geo)))


def _read_outages(
    problem: Problem, workloads: WorkloadMap, geo: GeoServices, windows: Sequence[Window]
) -> list[_Outage]:
    fleet = problem.inputs.fleet
    found: list[_Outage] = []
    for window in windows:
        cluster = fleet.clusters[window.cluster]
        if cluster.geo != geo.geo:
            continue
        found.append(
            _Outage(
                cluster=cluster.name,
                sku=cluster.sku,
                day=next(day.date for day in problem.days if day.room.start <= window.start < day.room.end),
                start=window.start,
                end=window.end,
                nodes=count_services(workloads, (fleet.nodes[name] for name in window.nodes if name in fleet.nodes)),
            )
        )
    return found


def _bring_back(outages: Sequence[_Outage], stock: Stock) -> None:
    for outage in outages:
        for service, nodes in outage.nodes.items():
            clusters = stock.setdefault((service, outage.sku), {})
            clusters[outage.cluster] = clusters.get(outage.cluster, 0) + nodes


def _tell_day(workloads: WorkloadMap, geo: GeoServices, outages: Sequence[_Outage], stock: Stock) -> list[ServiceDay]:
    """One line for each service with nodes out, at the first instant at which most of them are."""
    at: dict[datetime, dict[ServiceId, dict[ClusterId, int]]] = {}
    for instant in sorted({outage.start for outage in outages}):
        out: dict[ServiceId, dict[ClusterId, int]] = {}
        for outage in outages:
            if outage.start <= instant < outage.end:
                for service, nodes in outage.nodes.items():
                    out.setdefault(service, {})[outage.cluster] = nodes
        at[instant] = out
    lines: list[ServiceDay] = []
    for instant, out in at.items():
        told = [service for service in out if _first_peak(service, at) == instant]
        if told:
            moves = _find_moves(workloads, geo, out, stock)
            lines.extend(_tell(geo, service, (outages[0].day, instant), out, moves) for service in told)
    return lines


def _first_peak(service: ServiceId, at: Mapping[datetime, Mapping[ServiceId, Mapping[ClusterId, int]]]) -> datetime:
    return max(at, key=lambda instant: (sum(at[instant].get(service, {}).values()), -instant.timestamp()))


def _tell(
    geo: GeoServices,
    service: ServiceId,
    when: tuple[date, datetime],
    out: Mapping[ServiceId, Mapping[ClusterId, int]],
    moves: Mapping[ServiceId, tuple[Move, ...]],
) -> ServiceDay:
    lost, lent = sum(out[service].values()), sum(move.nodes for move in moves[service])
    day, at = when
    return ServiceDay(
        service=service,
        geo=geo.geo,
        day=day,
        at=at,
        nodes=geo.totals[service],
        out=lost,
        lent=lent,
        remaining=geo.totals[service] - lost + lent,
        minimum=geo.minima[service],
        moves=moves[service],
    )


def _find_moves(
    workloads: WorkloadMap, geo: GeoServices, out: Mapping[ServiceId, Mapping[ClusterId, int]], stock: Stock
) -> dict[ServiceId, tuple[Move, ...]]:
    """Which clusters' load stands where, for all services at one instant; both sides are filled in order of name."""
    order = sorted(out, key=lambda service: (-workloads.services[service].rank, service))
    flow = share_out(geo, {service: sum(out[service].values()) for service in order}, stock)
    left = {kind: dict(sorted(clusters.items())) for kind, clusters in stock.items()}
    found: dict[ServiceId, tuple[Move, ...]] = {}
    for service in order:
        homes = dict(sorted(out[service].items()))
        moves: list[Move] = []
        for kind in sorted(flow[service]):
            moves.extend(_pair(homes, left[kind], flow[service][kind], kind[0]))
        found[service] = tuple(moves)
    return found


def _pair(homes: dict[ClusterId, int], hosts: dict[ClusterId, int], nodes: int, lender: ServiceId) -> list[Move]:
    """So many nodes from `homes` to `hosts`, both used up in their order."""
    moves: list[Move] = []
    while nodes:
        home = next(name for name, count in homes.items() if count)
        host = next(name for name, count in hosts.items() if count)
        moved = min(nodes, homes[home], hosts[host])
        homes[home] -= moved
        hosts[host] -= moved
        nodes -= moved
        moves.append(Move(from_cluster=home, to_cluster=host, lender=lender, nodes=moved))
    return moves


def share_out(geo: GeoServices, out: Mapping[ServiceId, int], stock: Stock) -> Flow:
    """How many nodes of which kind carry each service of `out`, which is ordered by whose turn it is: first what each
    lacks of its minimum, all of it if that can be, then up to what it has out.
    """
    free = {kind: sum(clusters.values()) for kind, clusters in stock.items()}
    flow: Flow = {service: {} for service in out}
    for service, lost in out.items():
        lacks = max(0, lost + geo.minima[service] - geo.totals[service])
        _give(geo, service, lacks, flow, free)
    for service, lost in out.items():
        _give(geo, service, lost - sum(flow[service].values()), flow, free)
    return {service: {kind: nodes for kind, nodes in kinds.items() if nodes} for service, kinds in flow.items()}


def _give(geo: GeoServices, service: ServiceId, wanted: int, flow: Flow, free: dict[Kind, int]) -> None:
    """Up to `wanted` more nodes for the service, others moving aside to kinds that only they may use."""
    while wanted and (path := _find_path(geo, service, flow, free)):
        amount = min(wanted, free[path[-1][1]], *(flow[user][given] for user, _, given in path if given is not None))
        for user, taken, given in path:
            flow[user][taken] = flow[user].get(taken, 0) + amount
            if given is not None:
                flow[user][given] -= amount
        free[path[-1][1]] -= amount
        wanted -= amount


_Step = tuple[ServiceId, Kind, Kind | None]  # who takes nodes of one kind, and of which it gives up as many


def _find_path(geo: GeoServices, service: ServiceId, flow: Flow, free: Mapping[Kind, int]) -> list[_Step]:
    """The shortest chain that ends in a kind with free nodes; empty when there is none."""
    came: dict[Kind, _Step] = {}
    queue: list[tuple[ServiceId, Kind | None]] = [(service, None)]
    for user, given in queue:  # it grows while it is walked
        for kind in sorted(geo.kinds[user]):
            if kind in came:
                continue
            came[kind] = (user, kind, given)
            if free.get(kind):
                return _trace(came, kind)
            queue.extend((other, kind) for other in flow if flow[other].get(kind) and other != user)
    return []


def _trace(came: Mapping[Kind, _Step], last: Kind) -> list[_Step]:
    steps = [came[last]]
    while (given := steps[-1][2]) is not None:
        steps.append(came[given])
    return steps[::-1]
