"""What is due on which node and device, and why. The one definition that requests, planner and conductor share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fermata.domain.fleet import Cluster, Device, Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.updates import NODE_TARGET, Catalogue, Update
from fermata.domain.versions import compare_versions, is_newer


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One update due on a unit (node or device) that reports `from_version`."""

    update: Update
    from_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An older update that applies to the unit too, but whose place `by` takes."""

    update: Update
    by: Update


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A component that an update targets and whose version the unit does not report. Unknown blocks."""

    component: str
    updates: tuple[UpdateId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPending:
    """Everything pending on one unit; `due` is ordered by update id. Units of a cluster, and of clusters that no update
    tells apart, share one when they report the same versions, so that what follows from it may be judged once.
    """

    due: tuple[Due, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    @property
    def drains(self) -> bool:
        """True when a workload would feel what is due: of a device, on every node behind it."""
        return any(item.update.needs_drain for item in self.due)


NOTHING = UnitPending()


@dataclass(frozen=True, kw_only=True)
class FleetPending:
    """Pending work by unit. Units with nothing pending are absent. `asked`: the updates that were looked for."""

    nodes: Mapping[NodeId, UnitPending]
    devices: Mapping[DeviceId, UnitPending]
    asked: frozenset[UpdateId] = frozenset()

    def of_node(self, node: Node) -> UnitPending:
        """What is pending on the node itself, not on the devices it hangs on."""
        return self.nodes.get(node.name, NOTHING)

    def of_device(self, device: Device) -> UnitPending:
        """What is pending on the device."""
        return self.devices.get(device.name, NOTHING)


def find_pending(fleet: Fleet, catalogue: Catalogue, only: frozenset[UpdateId] | None = None) -> FleetPending:
    """All pending work: what is production-ready, and flights where the catalogue says that they fly. `only` restricts
    it to those updates before superseding is decided.
    """
    ready = [u for u in catalogue.production_ready if only is None or u.id in only]
    by_target = _group(ready)
    flights = _Flights(fleet, catalogue, only)
    asked = (*ready, *flights.updates)
    named = frozenset(name for update in asked for name in update.applies_to.clusters)
    alike = {name: (c.sku, name if name in named else "") for name, c in fleet.clusters.items()}
    return FleetPending(
        nodes=_find_on_nodes(fleet, by_target, alike, flights),
        devices=_find_on_devices(fleet, by_target, alike, flights),
        asked=frozenset(update.id for update in asked),
    )


class _Flights:
    """The flights of a catalogue by where they fly: on nodes, and on devices behind which all nodes fly."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue, only: frozenset[UpdateId] | None) -> None:
        flown = [f for f in catalogue.flights if f.update in catalogue.updates and (only is None or f.update in only)]
        self.updates = tuple(catalogue.updates[each.update] for each in flown)
        self.clusters: set[ClusterId] = set()
        self._on_nodes: dict[NodeId, list[Update]] = {}
        self._on_devices: list[tuple[Update, frozenset[NodeId]]] = []
        self._fleet = fleet
        for update, nodes in zip(self.updates, (each.nodes for each in flown), strict=True):
            if update.target != NODE_TARGET:
                self._on_devices.append((update, nodes))
                continue
            for name in nodes & fleet.nodes.keys():
                self._on_nodes.setdefault(name, []).append(update)
                self.clusters.add(fleet.nodes[name].cluster)

    def of_node(self, node: Node) -> tuple[Update, ...]:
        """What flies on the node itself."""
        return tuple(self._on_nodes.get(node.name, ()))

    def of_device(self, device: Device) -> tuple[Update, ...]:
        """What flies on the device."""
        return tuple(
            update
            for update, nodes in self._on_devices
            if (update.target, update.component) == (device.kind, device.component)
            and (behind := self._fleet.nodes_behind(device))
            and all(node.name in nodes for node in behind)
        )


def _group(updates: Iterable[Update]) -> dict[tuple[str, str], list[Update]]:
    found: dict[tuple[str, str], list[Update]] = {}
    for update in updates:
        found.setdefault((update.target, update.component), []).append(update)
    return found


_Alike = Mapping[ClusterId, tuple[str, str]]  # equal for clusters that no update tells apart: see `AppliesTo`
_Groups = Mapping[tuple[str, str], list[Update]]  # by target and component


def _find_on_nodes(fleet: Fleet, by_target: _Groups, alike: _Alike, flights: _Flights) -> Mapping[NodeId, UnitPending]:
    """Nodes that report the same versions are judged once: there are few kinds among many."""
    groups = _of_nodes(by_target)
    judges: dict[tuple[str, str], _Judge] = {}
    found: dict[NodeId, UnitPending] = {}
    for cluster, members in fleet.nodes_by_cluster.items():
        judge = judges.setdefault(alike[cluster], _Judge(fleet.clusters[cluster], groups))
        known = judge.by_mapping
        if cluster in flights.clusters:
            found.update(_find_with_flights(fleet.clusters[cluster], members, by_target, judge, flights))
            continue
        for node in members:
            unit = known.get(id(node.versions))
            if unit is None:
                unit = known[id(node.versions)] = judge.find(node)
            if unit is not NOTHING:
                found[node.name] = unit
    return found


def _of_nodes(by_target: _Groups) -> list[tuple[str, list[Update]]]:
    return [(component, updates) for (target, component), updates in by_target.items() if target == NODE_TARGET]


def _find_with_flights(
    cluster: Cluster, members: Iterable[Node], by_target: _Groups, judge: "_Judge", flights: _Flights
) -> Iterator[tuple[NodeId, UnitPending]]:
    """Nodes of a cluster in which something flies: where nothing does, `judge` knows."""
    judges: dict[tuple[Update, ...], _Judge] = {(): judge}
    for node in members:
        more = flights.of_node(node)
        if more not in judges:
            ready = (update for updates in by_target.values() for update in updates)
            judges[more] = _Judge(cluster, _of_nodes(_group((*ready, *more))))
        unit = judges[more].find(node)
        if unit is not NOTHING:
            yield node.name, unit


class _Judge:
    """What is pending on the nodes of `cluster` and of those like it, one value for all that report the same versions.
    `groups`: the updates of each component. `by_mapping`: what was found, by the mapping of versions that it was found
    for, since readers share one among nodes that report the same.
    """

    def __init__(self, cluster: Cluster, groups: Sequence[tuple[str, list[Update]]]) -> None:
        self._cluster = cluster
        self._groups = groups
        self.by_mapping: dict[int, UnitPending] = {}
        self._judged: dict[tuple[str, str], UnitPending] = {}
        self._known: dict[tuple[str, ...], UnitPending] = {}

    def find(self, node: Node) -> UnitPending:
        """Everything pending on the node itself."""
        versions = tuple([node.versions.get(component, "") for component, _ in self._groups])
        unit = self._known.get(versions)
        if unit is None:
            pairs = zip(versions, self._groups, strict=True)
            unit = self._known[versions] = _combine([self._judge(version, *group) for version, group in pairs])
        return unit

    def _judge(self, version: str, component: str, updates: list[Update]) -> UnitPending:
        if (component, version) not in self._judged:
            self._judged[component, version] = _judge(version, self._cluster, updates)
        return self._judged[component, version]


def _find_on_devices(
    fleet: Fleet, by_target: _Groups, alike: _Alike, flights: _Flights
) -> Mapping[DeviceId, UnitPending]:
    found: dict[DeviceId, UnitPending] = {}
    known: dict[tuple[object, ...], UnitPending] = {}
    for device in fleet.devices.values():
        more = flights.of_device(device) if flights.updates else ()
        kind = (alike[device.cluster], device.kind, device.component, device.version, more)
        unit = known.get(kind)
        if unit is None:
            updates = [*by_target.get((device.kind, device.component), ()), *more]
            unit = _judge(device.version, fleet.clusters[device.cluster], updates) if updates else NOTHING
            known[kind] = unit
        if unit is not NOTHING:
            found[device.name] = unit
    return found


def _judge(version: str, cluster: Cluster, updates: list[Update]) -> UnitPending:
    """`updates` all target one component; the newest one that applies and is newer than `version` is due."""
    if not version:
        blind = tuple(u.id for u in updates if u.applies_to.covers(cluster, version) or _could_apply(u, cluster))
        return UnitPending(unknown=(Unknown(component=updates[0].component, updates=blind),)) if blind else NOTHING
    fitting = [u for u in updates if u.applies_to.covers(cluster, version) and is_newer(u.to_version, version)]
    if not fitting:
        return NOTHING
    newest = fitting[0]
    for update in fitting[1:]:
        if compare_versions(update.to_version, newest.to_version) > 0:
            newest = update
    older = tuple(Superseded(update=u, by=newest) for u in fitting if u is not newest)
    return UnitPending(due=(Due(update=newest, from_version=version),), superseded=older)


def _could_apply(update: Update, cluster: Cluster) -> bool:
    """With the version unknown, every start version is possible."""
    any_version = next(iter(update.applies_to.from_versions), "")
    return update.applies_to.covers(cluster, any_version)


def _combine(parts: Iterable[UnitPending]) -> UnitPending:
    due: list[Due] = []
    superseded: list[Superseded] = []
    unknown: list[Unknown] = []
    for part in parts:
        if part is NOTHING:
            continue
        due.extend(part.due)
        superseded.extend(part.superseded)
        unknown.extend(part.unknown)
    if not (due or superseded or unknown):
        return NOTHING
    due.sort(key=lambda item: item.update.id)
    return UnitPending(due=tuple(due), superseded=tuple(superseded), unknown=tuple(unknown))


def draining_devices(fleet: Fleet, pending: FleetPending, node: Node) -> tuple[Device, ...]:
    """The shared devices of `node` with due work that a workload would feel: it drains every node behind them."""
    return tuple(
        device
        for device in fleet.devices_of(node)
        if any(item.update.needs_drain for item in pending.of_device(device).due)
    )


def work_on(fleet: Fleet, pending: FleetPending, node: Node) -> Iterator[Update]:
    """All that is done while `node` is out: what is due on itself, and on the draining devices it hangs on."""
    yield from (item.update for item in pending.of_node(node).due)
    for device in draining_devices(fleet, pending, node):
        yield from (item.update for item in pending.of_device(device).due)


def has_work(fleet: Fleet, pending: FleetPending, node: Node) -> bool:
    """True when a campaign has a reason to take `node`: own due work, or a device behind which it must drain."""
    return bool(pending.of_node(node).due) or bool(draining_devices(fleet, pending, node))


def find_alone(fleet: Fleet, pending: FleetPending, cluster: ClusterId) -> tuple[Device, ...]:
    """Devices of `cluster` with due work that nobody would feel, behind which no node has work: nothing takes a node
    out for them, so they wait until something else does. Without nodes behind it a device is nobody's.
    """
    found: list[Device] = []
    alone: dict[tuple[str, str], bool] = {}
    waits: dict[int, bool] = {}  # by what is pending, which many devices share
    for device in fleet.devices_by_cluster[cluster]:
        unit = pending.devices.get(device.name)
        if unit is None:
            continue
        if id(unit) not in waits:
            waits[id(unit)] = bool(unit.due) and not any(item.update.needs_drain for item in unit.due)
        if not waits[id(unit)]:
            continue
        place = (device.scope, device.scope_id)
        if place not in alone:
            behind = fleet.nodes_behind(device)
            alone[place] = bool(behind) and not any(has_work(fleet, pending, node) for node in behind)
        if alone[place]:
            found.append(device)
    return tuple(found)
