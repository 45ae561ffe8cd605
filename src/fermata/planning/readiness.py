"""Which of a cluster's nodes and devices with work can go in this campaign: consent, known versions, order that can
be kept. A reason spreads to whatever depends on the unit it hits; `scope.py` calls this once per cluster.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from fermata.domain.fleet import Cluster, Device, DeviceScope, Fleet, Node, Place, place_of, places_of
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Catalogue, Requirement, Update
from fermata.domain.versions import is_at_least
from fermata.planning.activation import CircularOrder, brings, find_layers
from fermata.planning.encoding import Takes

_Kind = tuple[int, bool, str, str]  # devices that a judgement cannot tell apart: see `Judgements.kind_of`
_Missing = tuple[UpdateId, str]  # an update and what it waits for in vain


class Readiness:
    """The nodes of one cluster with something pending (`nodes`; `with_work`: those with more than an unknown version),
    those of them that cannot go (`blocked`), and devices alike (`barred`). `settle` fills both mappings.
    """

    def __init__(self, fleet: Fleet, pending: FleetPending, cluster: Cluster, judgements: "Judgements") -> None:
        self._fleet = fleet
        self._pending = pending
        self._cluster = cluster.name
        self._judgements = judgements
        get = pending.devices.get
        found = [(d, u) for d in fleet.devices_by_cluster[cluster.name] if (u := get(d.name)) is not None and u.due]
        self._units = {device.name: unit for device, unit in found}
        self.devices = tuple([device for device, _ in found])
        nodes = fleet.nodes_by_cluster[cluster.name]
        units = list(map(pending.nodes.get, map(attrgetter("name"), nodes)))
        kinds = {id(unit): unit for unit in dict(zip(map(id, units), units, strict=True)).values() if unit is not None}
        kinds |= {id(unit): unit for unit in self._units.values()}
        self._kinds = tuple(kinds.values())
        draining = {kind for kind, unit in kinds.items() if any(item.update.needs_drain for item in unit.due)}
        self._draining = tuple(d for d in self.devices if id(self._units[d.name]) in draining)
        places = {place_of(device): device for device in self._draining}
        forced = {node.name for device in places.values() for node in fleet.nodes_behind(device)}
        members = list(zip(nodes, units, strict=True))
        self.nodes = tuple([node for node, unit in members if unit is not None or node.name in forced])
        has_due = {key: bool(unit.due) for key, unit in kinds.items()}
        self.with_work = frozenset([n.name for n, unit in members if has_due.get(id(unit)) or n.name in forced])
        self.blocked: dict[NodeId, Reason] = {}
        self.barred: dict[DeviceId, Reason] = {}
        self._companions: Mapping[NodeId, frozenset[NodeId]] = {}
        updates = [(kind, item.update) for kind, unit in kinds.items() for item in unit.due]
        self._waiting = frozenset(kind for kind, update in updates if update.requires or update.after)
        self._at: dict[Place, frozenset[_Kind]] = {}
        self._behind: dict[Place, tuple[tuple[Node, ...], _Near]] = {}

    def settle(self, takes: Takes) -> None:
        """Starts from what the rules keep out, then judges all units until nothing more falls out."""
        self.blocked = {n.name: takes.blocked[n.name] for n in self.nodes if n.name in takes.blocked}
        self.barred = {d.name: takes.barred[d.name] for d in self.devices if d.name in takes.barred}
        self._companions = {n.name: takes.companions[n.name] for n in self.nodes if n.name in takes.companions}
        self._block_circles()
        before = -1
        while before != len(self.blocked) + len(self.barred):
            before = len(self.blocked) + len(self.barred)
            self._judge_devices()
            self._judge_nodes()
            self._spread()

    def find_ready(self) -> tuple[tuple[Node, ...], tuple[Device, ...]]:
        """Once settled: the nodes that can go, and those of the devices with any of these nodes behind them."""
        nodes = tuple(node for node in self.nodes if node.name not in self.blocked)
        reached: dict[DeviceScope, set[str]] = {
            DeviceScope.RACK: {str(node.rack) for node in nodes},
            DeviceScope.SCALABLE_UNIT: {node.scalable_unit for node in nodes},
            DeviceScope.CLUSTER: {str(node.cluster) for node in nodes},
        }
        return nodes, tuple(d for d in self.devices if d.name not in self.barred and d.scope_id in reached[d.scope])

    def _judge_devices(self) -> None:
        self._at.clear()
        self._behind.clear()
        judged: dict[tuple[Place, int], _Missing | None] = {}
        for device in self.devices:
            unit = self._units[device.name]
            if id(unit) not in self._waiting or device.name in self.barred:
                continue
            kind = (place_of(device), id(unit))
            if kind not in judged:
                judged[kind] = self._find_missing(unit, *self._find_around(device))
            missing = judged[kind]
            if missing is not None:
                self.barred[device.name] = _unmet(*missing, device.name)
                self._at.clear()  # what was judged before is judged anew: a device fewer can go
                self._behind.clear()
                judged.clear()

    def _find_around(self, device: Device) -> tuple[tuple[Node, ...], "_Near"]:
        """One node of each kind behind the device, and the devices that any of them hangs on."""
        place = place_of(device)
        if place not in self._behind:
            behind = self._fleet.nodes_behind(device)
            racks = {(node.rack, node.scalable_unit) for node in behind}
            kinds = frozenset().union(*(self._kinds_near(*rack) for rack in racks))
            unlike = {(id(node.versions), node.name in self.blocked): node for node in behind}
            self._behind[place] = (tuple(unlike.values()), self._judgements.look_at(kinds))
        return self._behind[place]

    def _judge_nodes(self) -> None:
        if not self._waiting:
            return
        self._at.clear()
        near_of: dict[tuple[str, str], _Near] = {}
        judged_near: dict[int, dict[int, _Missing | None]] = {}  # by devices and what a node reports
        for place, members in groupby(self.nodes, key=attrgetter("rack", "scalable_unit")):
            near = near_of.get(place)
            if near is None:
                near = near_of[place] = self._judgements.look_at(self._kinds_near(*place))
            judged = judged_near.setdefault(id(near), {})
            for node in members:
                if self.blocked and node.name in self.blocked:
                    continue
                kind = id(node.versions)
                if kind not in judged:
                    judged[kind] = self._judge_node(node, near)
                missing = judged[kind]
                if missing is not None:
                    self.blocked[node.name] = _unmet(*missing, node.name)

    def _judge_node(self, node: Node, near: "_Near") -> _Missing | None:
        unit = self._pending.of_node(node)
        if id(unit) not in self._waiting:
            return None
        kind = (id(unit), id(node.versions))
        if kind not in near.judged:
            near.judged[kind] = self._find_missing(unit, (node,), near)
        return near.judged[kind]

    def _kinds_near(self, rack: str, unit: str) -> frozenset[_Kind]:
        """The kinds of devices on which the nodes there hang."""
        return (
            self._kinds_at((self._cluster, DeviceScope.RACK, rack))
            | self._kinds_at((self._cluster, DeviceScope.SCALABLE_UNIT, unit))
            | self._kinds_at((self._cluster, DeviceScope.CLUSTER, self._cluster))
        )

    def _kinds_at(self, place: Place) -> frozenset[_Kind]:
        kinds = self._at.get(place)
        if kinds is None:
            kind_of, barred = self._judgements.kind_of, self.barred
            kinds = frozenset([kind_of(d, is_barred=d.name in barred) for d in self._fleet.devices_at(place)])
            self._at[place] = kinds
        return kinds

    def _spread(self) -> None:
        """Nodes wait for the companions that they cannot go without. All behind a draining device go together: one that
        cannot keeps the device, the device keeps the rest.
        """
        if not (self.blocked or self.barred):
            return
        for name, others in self._companions.items():
            lacking = self.blocked.keys() & others if name not in self.blocked else ()
            if lacking:
                self.blocked[name] = self.blocked[min(lacking)]
        touched = {place for node in self.nodes if node.name in self.blocked for place in places_of(node)}
        for device in self._draining:
            if place_of(device) not in touched and device.name not in self.barred:
                continue
            behind = self._fleet.nodes_behind(device)
            held = next((self.blocked[n.name] for n in behind if n.name in self.blocked), None)
            if held is not None:
                self.barred.setdefault(device.name, held)
            if device.name in self.barred:
                fresh = [node for node in behind if node.name not in self.blocked]
                self.blocked.update((node.name, self.barred[device.name]) for node in fresh)
                touched.update(place for node in fresh for place in places_of(node))

    def _find_missing(self, unit: UnitPending, nodes: tuple[Node, ...], near: "_Near") -> _Missing | None:
        """The first update of a unit with what it waits for in vain, looking at the nodes and devices around it."""
        for item in unit.due:
            update = item.update
            for needed in update.requires:
                if not self._is_met(needed, nodes, near):
                    return update.id, f"{needed.component} {needed.min_version}"
            for earlier in update.after:
                if near.is_stuck(earlier) or any(
                    n.name in self.blocked and _is_due(self._pending.of_node(n), earlier) for n in nodes
                ):
                    return update.id, f"{earlier} to be active"
        return None

    def _is_met(self, needed: Requirement, nodes: tuple[Node, ...], near: "_Near") -> bool:
        carriers = [n for n in nodes if needed.component in n.versions]
        return (
            bool(carriers or near.carries(needed))
            and near.meets(needed)
            and all(
                is_at_least(n.versions[needed.component], needed.min_version)
                or (n.name not in self.blocked and _is_brought(self._pending.of_node(n), needed))
                for n in carriers
            )
        )

    def _block_circles(self) -> None:
        """Updates that wait for each other in a circle keep every unit on which they are due."""
        due: dict[UpdateId, Update] = {}
        for unit in self._kinds:
            due.update((item.update.id, item.update) for item in unit.due)
        try:
            find_layers(due.values())
        except CircularOrder as circle:
            words = f"an end to the circle of {circle}"
            for node in self.nodes:
                for update in _caught(self._pending.of_node(node), circle):
                    self.blocked.setdefault(node.name, _unmet(update, words, node.name))
            for device in self.devices:
                for update in _caught(self._pending.of_device(device), circle):
                    self.barred.setdefault(device.name, _unmet(update, words, device.name))


class Judgements:
    """What was judged already of units and what is around them. Most of a fleet is alike, so clusters share it."""

    def __init__(self, pending: FleetPending, catalogue: Catalogue) -> None:
        self._pending = pending
        self._asked = frozenset(need.component for update in catalogue.rolled_out for need in update.requires)
        self._devices: dict[_Kind, tuple[Device, UnitPending]] = {}
        self._near: dict[frozenset[_Kind], _Near] = {}

    def kind_of(self, device: Device, *, is_barred: bool) -> _Kind:
        """What a judgement looks at: what is pending, whether it can go, component, and version where any asks."""
        unit = self._pending.of_device(device)
        component = device.component
        kind = (id(unit), is_barred, component, device.version if component in self._asked else "")
        self._devices.setdefault(kind, (device, unit))
        return kind

    def look_at(self, kinds: frozenset[_Kind]) -> "_Near":
        """Devices of these kinds; equal kinds, one value."""
        if kinds not in self._near:
            self._near[kinds] = _Near([(*self._devices[kind], kind[1]) for kind in kinds])
        return self._near[kinds]


class _Near:
    """Devices around a unit, one of each kind, with what is pending on them and whether they are barred: what a unit
    waits for is the same with each of a kind. `judged`: what a node among them that can go misses, by what is pending
    on it and what it reports.
    """

    def __init__(self, devices: Sequence[tuple[Device, UnitPending, bool]]) -> None:
        self._devices = devices
        self._met: dict[tuple[str, str], bool] = {}
        self._stuck: dict[UpdateId, bool] = {}
        self.judged: dict[tuple[int, int], _Missing | None] = {}

    def carries(self, needed: Requirement) -> bool:
        """True when any of the devices has the component."""
        return any(device.component == needed.component for device, _, _ in self._devices)

    def meets(self, needed: Requirement) -> bool:
        """True when all devices with the component have, or are brought to, the version."""
        asked = (needed.component, needed.min_version)
        if asked not in self._met:
            self._met[asked] = all(
                is_at_least(device.version, needed.min_version) or (not is_barred and _is_brought(unit, needed))
                for device, unit, is_barred in self._devices
                if device.component == needed.component
            )
        return self._met[asked]

    def is_stuck(self, earlier: UpdateId) -> bool:
        """True when the update will not come to one of the devices, or nobody knows whether it has to."""
        if earlier not in self._stuck:
            self._stuck[earlier] = any(
                (is_barred and _is_due(unit, earlier)) or any(earlier in item.updates for item in unit.unknown)
                for _, unit, is_barred in self._devices
            )
        return self._stuck[earlier]


def _caught(unit: UnitPending, circle: CircularOrder) -> list[UpdateId]:
    return [item.update.id for item in unit.due if item.update.id in circle.updates]


def _is_due(unit: UnitPending, update: UpdateId) -> bool:
    return any(item.update.id == update for item in unit.due)


def _is_brought(unit: UnitPending, needed: Requirement) -> bool:
    return any(brings(item.update, needed) for item in unit.due)


def _unmet(update: UpdateId, requirement: str, unit: str) -> Reason:
    return reason(Code.REQUIREMENT_UNMET, update=update, requirement=requirement, unit=unit)
