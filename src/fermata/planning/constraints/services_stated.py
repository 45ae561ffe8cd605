"""What a plan states of services is what its windows give, and its moves use only done nodes, each once at a time.

Protects whoever moves load by these lines.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.fleet import NodeState
from fermata.domain.ids import ClusterId, NodeId, ServiceId, WindowId
from fermata.domain.plans import ServiceDay, Window
from fermata.domain.workloads import WorkloadMap, find_serving
from fermata.planning.case import CheckCase
from fermata.planning.inputs import Violation
from fermata.planning.reading import Reading

CODE = "SERVICES_STATED"
WRITTEN = "The lines are written from the windows, after the search."

Host = tuple[ClusterId, ServiceId]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The plan by service. `serving`: nodes in service; `taken`: per window those of each service; `idle`: nodes of
    each host with nothing pending; `past`: windows that ran.
    """

    case: CheckCase
    past: frozenset[WindowId]
    workloads: WorkloadMap
    serving: Mapping[tuple[ServiceId, str], frozenset[NodeId]]
    taken: tuple[tuple[Window, Mapping[tuple[ServiceId, str], frozenset[NodeId]]], ...]
    idle: Mapping[Host, int]

    def out_at(self, instant: datetime, place: tuple[ServiceId, str]) -> dict[ClusterId, int]:
        """Nodes out by cluster."""
        opened = ((w, t[place]) for w, t in self.taken if place in t and w.start <= instant < w.end)
        found: dict[ClusterId, int] = defaultdict(int)
        for window, nodes in opened:
            found[window.cluster] += len(nodes)
        return dict(found)

    def is_to_come(self, instant: datetime) -> bool:
        """True when a window is open then that did not run already."""
        return any(w.start <= instant < w.end and w.id not in self.past for w, _ in self.taken)

    def done_at(self, line: ServiceDay, host: Host) -> int:
        """Nodes of a host that may carry load of a line: back from a window of an earlier day, or never in work."""
        cluster = self.case.fleet.clusters.get(host[0])
        if cluster is None:
            return 0
        place = (host[1], cluster.geo)
        back = (
            len(nodes.get(place, ()))
            for window, nodes in self.taken
            if window.cluster == host[0] and self.case.day_of(window.start) < line.day and window.end <= line.at
        )
        return self.idle.get(host, 0) + sum(back)


def check(reading: Reading) -> Iterator[Violation]:
    """Lines that are missing, foreign or untrue, and moves that nothing done can carry."""
    if reading.only is not None:
        return
    workloads = reading.case.inputs.workloads
    stated = reading.plan.services
    if workloads is None:
        if stated:
            yield Violation(rule=CODE, sentence="The plan states services, but there is no workload map.")
        return
    read = _read(reading, workloads)
    expected = _find_peaks(read)
    places = [(line.day, line.service, line.geo) for line in stated]
    for day, service, geo in sorted(expected.keys() ^ set(places)):
        said = "says nothing of" if (day, service, geo) in expected else "states"
        sentence = (
            f"The plan {said} {service} in {geo} on {day}, when {expected.get((day, service, geo), 0):,} are out."
        )
        yield Violation(rule=CODE, sentence=sentence)
    if len(places) != len(set(places)):
        yield Violation(rule=CODE, sentence="The plan states a service twice for one day and geo.")
    for line in stated:
        if (line.day, line.service, line.geo) in expected:
            yield from _judge_figures(read, line, expected[line.day, line.service, line.geo])
            yield from _judge_moves(read, line)
    yield from _judge_hosts(read, stated)


def _judge_figures(read: _Read, line: ServiceDay, most: int) -> Iterator[Violation]:
    place = (line.service, line.geo)
    total = len(read.serving[place])
    truth = {
        "nodes": total,
        "out": most,
        "lent": sum(move.nodes for move in line.moves),
        "remaining": total - most + sum(move.nodes for move in line.moves),
        "minimum": read.workloads.find_minimum(line.service, line.geo, total),
    }
    for name, value in truth.items():
        if getattr(line, name) != value:
            yield _fault(line, f"states {getattr(line, name):,} {name}; it is {value:,}")
    if line.remaining < line.minimum and read.is_to_come(line.at):
        yield _fault(line, f"states {line.remaining:,} remaining, fewer than its minimum of {line.minimum:,}")
    if sum(read.out_at(line.at, place).values()) != most or read.case.day_of(line.at) != line.day:
        yield _fault(line, "states a time at which not most of its nodes are out")


def _judge_moves(read: _Read, line: ServiceDay) -> Iterator[Violation]:
    moved: dict[ClusterId, int] = defaultdict(int)
    clusters = read.case.fleet.clusters
    skus = {clusters[read.case.fleet.nodes[name].cluster].sku for name in read.serving[line.service, line.geo]}
    for move in line.moves:
        moved[move.from_cluster] += move.nodes
        host = clusters.get(move.to_cluster)
        if host is None or host.geo != line.geo or host.sku not in skus:
            yield _fault(line, f"moves to {move.to_cluster}, which is not of its geo and its SKUs")
        if move.lender not in read.workloads.services[line.service].moves_to:
            yield _fault(line, f"moves to nodes of {move.lender}, to which it may not")
    out = read.out_at(line.at, (line.service, line.geo))
    for cluster, nodes in moved.items():
        if nodes > out.get(cluster, 0):
            yield _fault(line, f"moves {nodes:,} from {cluster}, where {out.get(cluster, 0):,} are out")


def _judge_hosts(read: _Read, stated: tuple[ServiceDay, ...]) -> Iterator[Violation]:
    """Lines of one instant share what is done there: no node carries for two."""
    carried: dict[tuple[datetime, Host], int] = defaultdict(int)
    lines: dict[tuple[datetime, Host], ServiceDay] = {}
    for line in stated:
        for move in line.moves:
            key = (line.at, (move.to_cluster, move.lender))
            carried[key] += move.nodes
            lines[key] = line
    for key, nodes in carried.items():
        done = read.done_at(lines[key], key[1])
        if nodes > done:
            cluster, lender = key[1]
            yield _fault(lines[key], f"and others move {nodes:,} to {lender} in {cluster}, where {done:,} are done")


def _fault(line: ServiceDay, what: str) -> Violation:
    return Violation(rule=CODE, sentence=f"The line of {line.service} in {line.geo} on {line.day} {what}.")


def _find_peaks(read: _Read) -> dict[tuple[date, ServiceId, str], int]:
    """The most nodes out at an instant of each day, service and geo that has any out."""
    starts: dict[tuple[date, ServiceId, str], set[datetime]] = defaultdict(set)
    for window, taken in read.taken:
        for service, geo in taken:
            starts[read.case.day_of(window.start), service, geo].add(window.start)
    return {
        (day, service, geo): max(sum(read.out_at(instant, (service, geo)).values()) for instant in instants)
        for (day, service, geo), instants in starts.items()
    }


def _read(reading: Reading, workloads: WorkloadMap) -> _Read:
    case = reading.case
    serving = {place: frozenset(n.name for n in nodes) for place, nodes in find_serving(workloads, case.fleet).items()}
    idle: dict[Host, int] = defaultdict(int)
    served = frozenset[NodeId]().union(*case.served.values())  # these are done when their window is over
    for (service, _), names in serving.items():
        for name in names:
            cluster = case.fleet.nodes[name].cluster
            is_idle = name not in case.unknown and name not in case.working.get(cluster, ())
            if cluster in case.in_scope and is_idle and name not in served:
                idle[cluster, service] += 1
    taken = []
    for window in reading.plan.windows:
        groups: dict[tuple[ServiceId, str], set[NodeId]] = defaultdict(set)
        for name in window.nodes:
            node = case.fleet.nodes.get(name)
            carried = workloads.service_of(node) if node is not None and node.state is NodeState.IN_SERVICE else None
            if node is not None and carried is not None:
                groups[carried, case.fleet.clusters[node.cluster].geo].add(name)
        taken.append((window, {place: frozenset(names) for place, names in groups.items()}))
    return _Read(case=case, past=reading.past, workloads=workloads, serving=serving, taken=tuple(taken), idle=idle)
