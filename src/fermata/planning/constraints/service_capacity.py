"""At every instant each service keeps its minimum in each geo, counting what done nodes carry for it meanwhile.

What remains is its nodes in service there less those out, plus what done nodes of the services that it moves to carry:
nodes of the same geo, of a SKU that it runs on there, back from a window of an earlier day or with nothing pending.
Each carries for one service at a time. Protects whoever uses the service.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import combinations

from fermata.domain.fleet import NodeState
from fermata.domain.ids import NodeId, ServiceId, WindowId
from fermata.domain.workloads import WorkloadMap, find_serving
from fermata.planning.case import CheckCase, at, some
from fermata.planning.encoding import Capacity, Facts, Loan, Resource, Taken, Use
from fermata.planning.inputs import Violation
from fermata.planning.leapfrog import Share, count_services, find_geo_services, find_shares
from fermata.planning.reading import Reading

CODE = "SERVICE_CAPACITY"

Kind = tuple[ServiceId, str]  # a service and the SKU of a node


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """What one window takes out in its geo: nodes in service by service, and by kind as they lend afterwards."""

    window: WindowId
    day: date
    start: datetime
    end: datetime
    out: dict[ServiceId, int]
    kinds: dict[Kind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geo:
    """The services of one geo: how much each may lose, whose nodes it may use, and which are done from the start."""

    name: str
    totals: dict[ServiceId, int]
    minima: dict[ServiceId, int]
    lenders: dict[ServiceId, frozenset[Kind]]
    done: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    taken: list[_Window] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lack:
    """Services that together fall short by `short` nodes at an instant, and the windows that take them out."""

    at: datetime
    services: tuple[ServiceId, ...]
    short: int
    lent: int
    out: int
    windows: tuple[WindowId, ...]


def check(reading: Reading) -> Iterator[Violation]:
    """For each day and geo, the worst instant at which services fall short, however done nodes are shared out."""
    case = reading.case
    workloads = case.inputs.workloads
    if workloads is None:
        return
    for geo in _find_geos(case, workloads, reading):
        worst: dict[date, _Lack] = {}
        for instant in sorted({taken.start for taken in geo.taken if taken.out}):
            lack = _judge(geo, instant, case.day_of(instant))
            asked = lack is not None and (reading.asked is None or not reading.asked.isdisjoint(lack.windows))
            if lack is not None and asked:
                before = worst.get(case.day_of(instant))
                worst[case.day_of(instant)] = lack if before is None or lack.short > before.short else before
        for lack in worst.values():
            yield Violation(rule=CODE, sentence=_tell(geo, lack), window=lack.windows[0])


def _tell(geo: _Geo, lack: _Lack) -> str:
    names = " and ".join(lack.services)
    total = sum(geo.totals[name] for name in lack.services)
    least = sum(geo.minima[name] for name in lack.services)
    return (
        f"{lack.out:,} of the {total:,} nodes of {names} in {geo.name} are out at {at(lack.at)} and done nodes carry at"
        f" most {lack.lent:,} for them: {total - lack.out + lack.lent:,} remain, {least:,} must: windows"
        f" {some(lack.windows)}."
    )


def _judge(geo: _Geo, instant: datetime, day: date) -> _Lack | None:
    """Each set of services that lack something needs that much from the nodes that any of them may use: that every
    set can have it means that all can at once.
    """
    opened = [taken for taken in geo.taken if taken.start <= instant < taken.end]
    out: dict[ServiceId, int] = defaultdict(int)
    for taken in opened:
        for service, nodes in taken.out.items():
            out[service] += nodes
    lacks = {name: out[name] + geo.minima[name] - geo.totals[name] for name in geo.minima}
    lacking = [name for name in sorted(lacks) if lacks[name] > 0]
    done = _count_done(geo, instant, day) if lacking else {}
    worst: _Lack | None = None
    for services in _subsets(lacking):
        usable = frozenset[Kind]().union(*(geo.lenders[name] for name in services))
        lent = sum(done.get(kind, 0) for kind in usable)
        short = sum(lacks[name] for name in services) - lent
        if short > 0 and (worst is None or short > worst.short):
            windows = tuple(taken.window for taken in opened if any(taken.out.get(name) for name in services))
            lost = sum(out[name] for name in services)
            worst = _Lack(at=instant, services=services, short=short, lent=lent, out=lost, windows=windows)
    return worst


def _subsets(names: Sequence[ServiceId]) -> Iterator[tuple[ServiceId, ...]]:
    for size in range(1, len(names) + 1):
        yield from combinations(names, size)


def _count_done(geo: _Geo, instant: datetime, day: date) -> dict[Kind, int]:
    found = defaultdict(int, geo.done)
    for taken in geo.taken:
        if taken.day < day and taken.end <= instant:
            for kind, nodes in taken.kinds.items():
                found[kind] += nodes
    return found


def _find_geos(case: CheckCase, workloads: WorkloadMap, reading: Reading) -> Iterable[_Geo]:
    geos: dict[str, _Geo] = {}
    served = frozenset[NodeId]().union(*case.served.values())
    for (name, place), nodes in find_serving(workloads, case.fleet).items():
        geo = geos.setdefault(place, _Geo(name=place, totals={}, minima={}, lenders={}))
        moves_to = workloads.services[name].moves_to
        skus = {case.fleet.clusters[node.cluster].sku for node in nodes}
        geo.totals[name] = len(nodes)
        geo.minima[name] = workloads.find_minimum(name, place, len(nodes))
        geo.lenders[name] = frozenset((lender, sku) for lender in moves_to for sku in skus)
        for node in nodes:
            is_idle = node.name not in case.unknown and node.name not in case.working.get(node.cluster, ())
            if is_idle and node.cluster in case.in_scope and node.name not in served:
                geo.done[name, case.fleet.clusters[node.cluster].sku] += 1
    for window in reading.plan.windows:
        cluster = case.fleet.clusters.get(window.cluster)
        if cluster is not None and cluster.geo in geos:
            out = _count(case, workloads, window.nodes)
            geos[cluster.geo].taken.append(
                _Window(
                    window=window.id,
                    day=case.day_of(window.start),
                    start=window.start,
                    end=window.end,
                    out=out,
                    kinds={(name, cluster.sku): nodes for name, nodes in out.items()},
                )
            )
    return geos.values()


def _count(case: CheckCase, workloads: WorkloadMap, names: Iterable[NodeId]) -> dict[ServiceId, int]:
    found: dict[ServiceId, int] = {}
    for name in names:
        node = case.fleet.nodes.get(name)
        service = workloads.service_of(node) if node is not None and node.state is NodeState.IN_SERVICE else None
        if service is not None:
            found[service] = found.get(service, 0) + 1
    return found


def encode(facts: Facts) -> Capacity:
    """One resource for each service with a minimum, and for each set of such that share lenders, which windows of
    earlier days add to.
    """
    workloads = facts.inputs.workloads
    if workloads is None:
        return Capacity(resources=(), count=lambda _: ())
    shares = [share for geo in find_geo_services(facts.inputs, facts.pending) for share in find_shares(geo)]

    def count(taken: Taken) -> tuple[Use, ...]:
        counts = count_services(workloads, taken.nodes)
        units = [_sum_out(share, taken, counts) for share in shares]
        return tuple(taken.use(index, out) for index, out in enumerate(units) if out)

    def lend(taken: Taken) -> tuple[Loan, ...]:
        counts = count_services(workloads, taken.nodes)
        units = [_sum_lent(share, taken, counts) for share in shares]
        return tuple(Loan(resource=index, units=lent) for index, lent in enumerate(units) if lent)

    return Capacity(
        resources=tuple(
            Resource(
                source=f"{CODE} {share.name}", name=f"capacity of {share.name}", capacity=share.capacity, grows=True
            )
            for share in shares
        ),
        count=count,
        lends=lend,
    )


def _sum_out(share: Share, taken: Taken, counts: Mapping[ServiceId, int]) -> int:
    return sum(counts.get(name, 0) for name in share.services) if taken.cluster.geo == share.geo else 0


def _sum_lent(share: Share, taken: Taken, counts: Mapping[ServiceId, int]) -> int:
    if taken.cluster.geo != share.geo:
        return 0
    return sum(nodes for name, nodes in counts.items() if (name, taken.cluster.sku) in share.kinds)
