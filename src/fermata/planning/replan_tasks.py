"""What a re-plan has to find a place for, window by window: what ran, what was told, what did not run, what is new.

`replan.py` asks for it; `replan_problem.py` makes a problem of it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from fermata.domain.fleet import Cluster, Device, Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.observed import AS_CATALOGUED
from fermata.domain.plans import DeviceApplyStep, Mode, NodeApplyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.replanning import Standing, served_nodes
from fermata.planning.encoders import Encoding
from fermata.planning.inputs import PlanningInput
from fermata.planning.parts import Ties, find_splits, find_units
from fermata.planning.replan_ways import one_window, way_of_window
from fermata.planning.scope import ClusterWork, Scope
from fermata.planning.ways import Part, Way, WayFinder


class Kind(Enum):
    """How much of a task is for choosing."""

    PAST = auto()  # ran: nothing
    HELD = auto()  # told within the notice: nothing, or it is lost
    MOVABLE = auto()  # told for later: stays where it is unless something keeps it from there
    OPEN = auto()  # nobody was told, or it did not run


@dataclass(frozen=True, kw_only=True)
class Task:
    """`ways` to service some nodes of a cluster; of one window, unless they are new. `source`: the parent's window
    that it goes back to. `is_same`: it needs exactly the steps that the source has.
    """

    cluster: Cluster
    kind: Kind
    ways: tuple[Way, ...]
    source: Window | None = None
    is_same: bool = False


@dataclass(frozen=True, kw_only=True)
class Torn:
    """A window within the notice that cannot stand, and why: work on a shared device, or an approval, ties it to nodes
    outside now, or it is a part that the campaign does not allow any more.
    """

    window: Window
    why: Reason


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What tasks are made from. `ahead`: the inputs with the fleet to come and durations as they were observed.
    `laid_out`: windows by their nodes and devices, so that tasks which are found again are laid out once.
    """

    inputs: PlanningInput
    ahead: PlanningInput
    scope: Scope
    standing: Standing
    finder: WayFinder
    encoding: Encoding
    are_updates_same: bool
    laid_out: dict[tuple[object, ...], Part] = field(default_factory=dict)


def find_tasks(brief: Brief) -> tuple[tuple[Task, ...], tuple[Torn, ...]]:
    """Every task, by cluster and time, and the windows within the notice that are torn."""
    past = [_past_task(brief, window) for window in brief.standing.history]
    works = {work.cluster.name: work for work in brief.scope.works}
    tasks: list[Task] = list(past)
    torn: list[Torn] = []
    for _, work in sorted(works.items()):
        found, lost = _ClusterTasks(brief, work).find()
        tasks.extend(found)
        torn.extend(lost)
    tasks.sort(key=lambda task: (task.cluster.name, task.source.start.isoformat() if task.source else ""))
    return tuple(tasks), tuple(torn)


def _past_task(brief: Brief, window: Window) -> Task:
    way = way_of_window(window, brief.ahead, brief.encoding)
    cluster = brief.ahead.fleet.clusters[window.cluster]
    return Task(cluster=cluster, kind=Kind.PAST, ways=(way,), source=window, is_same=True)


@dataclass(kw_only=True)
class _Seat:
    """A window in the making: its nodes and devices, the parent's window it goes back to."""

    kind: Kind
    mode: Mode
    nodes: list[Node]
    devices: list[Device]
    source: Window | None


class _ClusterTasks:
    """One cluster's windows. Parts keep their nodes; what is new joins a whole window, or goes apart."""

    def __init__(self, brief: Brief, work: ClusterWork) -> None:
        self._brief = brief
        self._work = work
        served = served_nodes(brief.standing).get(work.cluster.name, frozenset())
        self._served = served
        self._total = work.nodes_with_work + len(served - {node.name for node in work.nodes})
        self._was_rolled = any(
            window.cluster == work.cluster.name and window.mode is Mode.ROLLING
            for window in (*brief.standing.history, *brief.standing.published, *brief.standing.lapsed)
        )
        self._has_settled = bool(served) or any(w.cluster == work.cluster.name for w in brief.standing.held)

    def find(self) -> tuple[list[Task], list[Torn]]:
        """The tasks, and the settled windows that cannot be."""
        left = {node.name: node for node in self._work.nodes if node.name not in self._served}
        seats = [seat for seat in self._seats(left) if seat.nodes]
        rest = self._seat_rest(seats, list(left.values()))
        torn = [*self._assign_devices(seats), *self._find_parted(seats)]
        lost = [(seat, reason(Code.WORK_CHANGED)) for seat in torn]
        anew = reason(Code.SPLIT_ANEW, cluster=self._work.cluster.name)
        lost.extend((seat, anew) for seat in seats if not self._may_stand(seat))
        held = [Torn(window=s.source, why=why) for s, why in lost if s.kind is Kind.HELD and s.source is not None]
        if held:
            return [], held
        if lost:
            return self._divide_anew(seats, rest), []
        return [*(self._task(seat) for seat in seats), *self._tasks_of_rest(rest, self._devices_of(rest, seats))], []

    def _seats(self, left: dict[NodeId, Node]) -> Iterable[_Seat]:
        standing = self._brief.standing
        kinds = ((Kind.HELD, standing.held), (Kind.MOVABLE, standing.movable), (Kind.OPEN, standing.lapsed))
        for kind, windows in kinds:
            for window in windows:
                if window.cluster == self._work.cluster.name:
                    nodes = [left.pop(name) for name in window.nodes if name in left]
                    yield _Seat(kind=kind, mode=window.mode, nodes=nodes, devices=[], source=window)

    def _seat_rest(self, seats: Sequence[_Seat], rest: list[Node]) -> list[Node]:
        """Nodes without a window join the cluster's whole one, if that may still change. Returns those that did not."""
        whole = next((s for s in seats if s.mode is Mode.WHOLE and s.kind is not Kind.HELD), None)
        if whole is None:
            return rest
        whole.nodes = sorted((*whole.nodes, *rest), key=lambda node: node.name)
        return []

    def _assign_devices(self, seats: Sequence[_Seat]) -> list[_Seat]:
        """Each device to the window that had it, or to the first with nodes behind it. Returns what devices tear."""
        place = {node.name: i for i, seat in enumerate(seats) for node in seat.nodes}
        had = {device: i for i, seat in enumerate(seats) for device in _devices_in(seat.source)}
        torn: list[_Seat] = []
        for device in self._work.devices:
            behind = self._brief.ahead.fleet.nodes_behind(device)
            places = sorted({place[node.name] for node in behind if node.name in place})
            if not places:
                continue
            drains = any(i.update.needs_drain for i in self._brief.scope.pending.of_device(device).due)
            outside = any(node.name not in place for node in behind)
            if drains and (len(places) > 1 or outside):
                torn.extend(seats[i] for i in places)
            elif len(places) == 1 or had.get(device.name) in places:
                seats[had[device.name] if had.get(device.name) in places else places[0]].devices.append(device)
            else:
                seats[places[0]].devices.append(device)
        return torn

    def _find_parted(self, seats: Sequence[_Seat]) -> list[_Seat]:
        """Windows that part nodes which go only with others from those."""
        companions = self._brief.scope.companions
        if not companions:
            return []
        place = {node.name: i for i, seat in enumerate(seats) for node in seat.nodes}
        known = {node.name for node in self._work.nodes} - self._served
        parted: set[int] = set()
        for name, i in place.items():
            for other in companions.get(name, frozenset()) & known:
                if place.get(other) != i:
                    parted |= {i, place.get(other, i)}
        return [seats[i] for i in sorted(parted)]

    def _may_stand(self, seat: _Seat) -> bool:
        """False for a part that the campaign's rules for rolling do not allow any more."""
        if seat.mode is Mode.WHOLE:
            return True
        parts = self._brief.encoding.parts
        return parts.may_roll(self._work.cluster) and len(seat.nodes) <= parts.sizes(self._total)[1]

    def _task(self, seat: _Seat) -> Task:
        brief, source = self._brief, seat.source
        is_same = source is not None and self._is_same_work(seat, source)
        if is_same and source is not None:
            way = way_of_window(source, brief.ahead, brief.encoding)
        else:
            way = self._lay_out(seat.nodes, seat.devices, seat.mode)
        return Task(cluster=self._work.cluster, kind=seat.kind, ways=(way,), source=source, is_same=is_same)

    def _lay_out(self, nodes: Sequence[Node], devices: Sequence[Device], mode: Mode) -> Way:
        key = (tuple(node.name for node in nodes), tuple(device.name for device in devices))
        laid_out = self._brief.laid_out
        if key not in laid_out:
            laid_out[key] = self._brief.finder.lay_out(tuple(nodes), devices)
        return one_window(self._work.cluster, laid_out[key], self._brief.encoding, mode=mode)

    def _is_same_work(self, seat: _Seat, source: Window) -> bool:
        """True when the steps of the parent's window are still right: same nodes, work and lengths."""
        observed = self._brief.inputs.observed
        stretch = observed.stretch if observed is not None else AS_CATALOGUED
        if stretch != AS_CATALOGUED or not self._brief.are_updates_same:
            return False
        if tuple(node.name for node in seat.nodes) != source.nodes:
            return False
        due: Counter[UpdateId] = Counter()
        for node in seat.nodes:
            due.update(item.update.id for item in self._brief.scope.pending.of_node(node).due)
        planned: Counter[UpdateId] = Counter()
        for step in source.steps:
            if isinstance(step, NodeApplyStep):
                planned[step.update] += step.nodes
        return due == planned and {device.name for device in seat.devices} == set(_devices_in(source))

    def _devices_of(self, rest: Sequence[Node], seats: Sequence[_Seat]) -> list[Device]:
        taken = {device.name for seat in seats for device in seat.devices}
        names = {node.name for node in rest}
        fleet = self._brief.ahead.fleet
        return [
            device
            for device in self._work.devices
            if device.name not in taken and any(node.name in names for node in fleet.nodes_behind(device))
        ]

    def _tasks_of_rest(self, rest: list[Node], devices: list[Device]) -> list[Task]:
        """New nodes, or nodes left over, of a cluster: as any cluster, or as further parts of one that is rolled."""
        if not rest:
            return []
        work = replace(self._work, nodes_with_work=self._total, nodes=tuple(rest), devices=tuple(devices))
        if not self._was_rolled:
            return [Task(cluster=self._work.cluster, kind=Kind.OPEN, ways=self._brief.finder.find_ways(work))]
        _, most = self._brief.encoding.parts.sizes(self._total)
        parts = [(rest, devices)] if len(rest) <= most else self._split_rest(work, most)
        ways = [self._lay_out(nodes, of_part, Mode.ROLLING) for nodes, of_part in parts]
        if not ways:
            return [Task(cluster=self._work.cluster, kind=Kind.OPEN, ways=())]
        return [Task(cluster=self._work.cluster, kind=Kind.OPEN, ways=(way,)) for way in ways]

    def _split_rest(self, work: ClusterWork, most: int) -> list[tuple[list[Node], list[Device]]]:
        brief = self._brief
        units = find_units(
            work.nodes,
            work.devices,
            fleet=brief.ahead.fleet,
            pending=brief.scope.pending,
            catalogue=brief.ahead.catalogue,
            told=Ties(updates=brief.encoding.parts.ties, companions=brief.scope.companions),
        )
        split = next(iter(find_splits(units, 1, most, fits=lambda _: True)), ())
        left = list(work.devices)
        found: list[tuple[list[Node], list[Device]]] = []
        for part in split:
            nodes = sorted((node for unit in part for node in unit), key=lambda node: node.name)
            names = {node.name for node in nodes}
            own = [d for d in left if any(n.name in names for n in brief.ahead.fleet.nodes_behind(d))]
            left = [device for device in left if device not in own]
            found.append((nodes, own))
        return found

    def _divide_anew(self, seats: Sequence[_Seat], rest: list[Node]) -> list[Task]:
        """All windows of the cluster that may change give way to new ones."""
        held = [seat for seat in seats if seat.kind is Kind.HELD]
        nodes = [*rest, *(node for seat in seats if seat.kind is not Kind.HELD for node in seat.nodes)]
        nodes.sort(key=lambda node: node.name)
        devices = self._devices_of(nodes, held)
        if self._has_settled and self._was_rolled:
            return [*(self._task(seat) for seat in held), *self._tasks_of_rest(nodes, devices)]
        work = replace(self._work, nodes_with_work=self._total, nodes=tuple(nodes), devices=tuple(devices))
        anew = Task(cluster=self._work.cluster, kind=Kind.OPEN, ways=self._brief.finder.find_ways(work))
        return [*(self._task(seat) for seat in held), anew]


def _devices_in(window: Window | None) -> Iterable[DeviceId]:
    for step in window.steps if window is not None else ():
        if isinstance(step, DeviceApplyStep):
            yield from step.devices
