"""Which of a cluster's nodes and devices with work can go in this campaign: consent, known versions, order that can
be kept. A reason spreads to whatever depends on the unit it hits; `scope.py` calls this once per cluster.
"""

from collections.abc import Iterable, Mapping

from fermata.domain.fleet import Cluster, Device, Fleet, Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Requirement, Update
from fermata.domain.versions import is_at_least
from fermata.planning.activation import CircularOrder, brings, find_layers


class Readiness:
    """The nodes of one cluster with something pending (`nodes`; `with_work`: those with more than an unknown version),
    those of them that cannot go (`blocked`), and devices alike (`barred`). `settle` fills both mappings.
    """

    def __init__(self, fleet: Fleet, pending: FleetPending, cluster: Cluster) -> None:
        self._fleet = fleet
        self._pending = pending
        self._near: dict[tuple[str, str], tuple[Device, ...]] = {}
        self.devices = tuple(d for d in fleet.devices_by_cluster[cluster.name] if pending.of_device(d).due)
        self._draining = tuple(d for d in self.devices if any(i.update.needs_drain for i in pending.of_device(d).due))
        places = {(device.scope, device.scope_id): device for device in self._draining}
        forced = {node.name for device in places.values() for node in fleet.nodes_behind(device)}
        self.nodes = tuple(
            n for n in fleet.nodes_by_cluster[cluster.name] if n.name in pending.nodes or n.name in forced
        )
        self.with_work = frozenset(n.name for n in self.nodes if pending.of_node(n).due or n.name in forced)
        self.blocked: dict[NodeId, Reason] = {}
        self.barred: dict[DeviceId, Reason] = {}
        kinds = {id(unit): unit for unit in self._units()}
        updates = [(kind, item.update) for kind, unit in kinds.items() for item in unit.due]
        self._waiting = frozenset(kind for kind, update in updates if update.requires or update.after)
        self._asked = tuple(sorted({needed.component for _, update in updates for needed in update.requires}))

    def _units(self) -> Iterable[UnitPending]:
        """What is pending, each kind once."""
        units = (*map(self._pending.of_node, self.nodes), *map(self._pending.of_device, self.devices))
        return {id(unit): unit for unit in units}.values()

    def settle(self, blocked: Mapping[NodeId, Reason], barred: Mapping[DeviceId, Reason]) -> None:
        """Starts from what the rules keep out, then judges all units until nothing more falls out."""
        self.blocked = {n.name: blocked[n.name] for n in self.nodes if n.name in blocked}
        self.barred = {d.name: barred[d.name] for d in self.devices if d.name in barred}
        self._block_circles()
        before = -1
        while before != len(self.blocked) + len(self.barred):
            before = len(self.blocked) + len(self.barred)
            self._judge_devices()
            self._judge_nodes()
            self._spread()

    def _judge_devices(self) -> None:
        for device in self.devices:
            unit = self._pending.of_device(device)
            if device.name in self.barred or not self._waits(unit):
                continue
            behind = self._fleet.nodes_behind(device)
            near = {
                d.name: d for place in {_place_of(n): n for n in behind}.values() for d in self._devices_near(place)
            }
            missing = self._find_missing(unit, self._unlike_nodes(behind), self._unlike_devices(near.values()))
            if missing is not None:
                self.barred[device.name] = _unmet(*missing, device.name)

    def _judge_nodes(self) -> None:
        near_of: dict[tuple[str, str], tuple[tuple[Device, ...], int]] = {}  # with a number for devices of equal kinds
        numbers: dict[tuple[object, ...], int] = {}
        judged: dict[tuple[object, ...], tuple[UpdateId, str] | None] = {}
        for node in self.nodes:
            unit = self._pending.of_node(node)
            if node.name in self.blocked or not self._waits(unit):
                continue
            place = _place_of(node)
            if place not in near_of:
                unlike = {self._kind_of_device(device): device for device in self._devices_near(node)}
                number = numbers.setdefault(tuple(unlike), len(numbers))
                near_of[place] = (tuple(unlike.values()), number)
            devices, number = near_of[place]
            kind = (number, self._kind_of(node))
            if kind not in judged:
                judged[kind] = self._find_missing(unit, (node,), devices)
            missing = judged[kind]
            if missing is not None:
                self.blocked[node.name] = _unmet(*missing, node.name)

    def _waits(self, unit: UnitPending) -> bool:
        return id(unit) in self._waiting

    def _unlike_nodes(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """One of each kind: what a unit waits for is the same with each of them."""
        return tuple({self._kind_of(node): node for node in nodes}.values())

    def _unlike_devices(self, devices: Iterable[Device]) -> tuple[Device, ...]:
        return tuple({self._kind_of_device(device): device for device in devices}.values())

    def _kind_of(self, node: Node) -> tuple[object, ...]:
        reported = node.versions
        asked = [reported.get(component) for component in self._asked]
        return (id(self._pending.of_node(node)), node.name in self.blocked, *asked)

    def _kind_of_device(self, device: Device) -> tuple[object, ...]:
        return (
            id(self._pending.of_device(device)),
            device.name in self.barred,
            device.component,
            device.version if device.component in self._asked else "",
        )

    def _spread(self) -> None:
        """All behind a draining device go together: one that cannot keeps the device, the device keeps the rest."""
        if not (self.blocked or self.barred):
            return
        for device in self._draining:
            behind = self._fleet.nodes_behind(device)
            held = next((self.blocked[n.name] for n in behind if n.name in self.blocked), None)
            if held is not None:
                self.barred.setdefault(device.name, held)
            if device.name in self.barred:
                for node in behind:
                    self.blocked.setdefault(node.name, self.barred[device.name])

    def _find_missing(
        self, unit: UnitPending, nodes: tuple[Node, ...], devices: tuple[Device, ...]
    ) -> tuple[UpdateId, str] | None:
        """The first update of a unit with what it waits for in vain, looking at the nodes and devices around it."""
        for item in unit.due:
            update = item.update
            for needed in update.requires:
                if not self._is_met(needed, nodes, devices):
                    return update.id, f"{needed.component} {needed.min_version}"
            for earlier in update.after:
                if self._is_stuck(earlier, nodes, devices):
                    return update.id, f"{earlier} to be active"
        return None

    def _is_met(self, needed: Requirement, nodes: tuple[Node, ...], devices: tuple[Device, ...]) -> bool:
        carriers = [n for n in nodes if needed.component in n.versions]
        shared = [d for d in devices if d.component == needed.component]
        return (
            bool(carriers or shared)
            and all(
                is_at_least(n.versions[needed.component], needed.min_version)
                or (n.name not in self.blocked and _is_brought(self._pending.of_node(n), needed))
                for n in carriers
            )
            and all(
                is_at_least(d.version, needed.min_version)
                or (d.name not in self.barred and _is_brought(self._pending.of_device(d), needed))
                for d in shared
            )
        )

    def _is_stuck(self, earlier: UpdateId, nodes: tuple[Node, ...], devices: tuple[Device, ...]) -> bool:
        return any(n.name in self.blocked and _is_due(self._pending.of_node(n), earlier) for n in nodes) or any(
            (d.name in self.barred and _is_due(self._pending.of_device(d), earlier))
            or any(earlier in item.updates for item in self._pending.of_device(d).unknown)
            for d in devices
        )

    def _devices_near(self, node: Node) -> tuple[Device, ...]:
        place = _place_of(node)
        if place not in self._near:
            self._near[place] = self._fleet.devices_of(node)
        return self._near[place]

    def _block_circles(self) -> None:
        """Updates that wait for each other in a circle keep every unit on which they are due."""
        due: dict[UpdateId, Update] = {}
        for unit in self._units():
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


def _place_of(node: Node) -> tuple[str, str]:
    """Nodes of a cluster with the same place hang on the same devices."""
    return (node.rack, node.scalable_unit)


def _caught(unit: UnitPending, circle: CircularOrder) -> list[UpdateId]:
    return [item.update.id for item in unit.due if item.update.id in circle.updates]


def _is_due(unit: UnitPending, update: UpdateId) -> bool:
    return any(item.update.id == update for item in unit.due)


def _is_brought(unit: UnitPending, needed: Requirement) -> bool:
    return any(brings(item.update, needed) for item in unit.due)


def _unmet(update: UpdateId, requirement: str, unit: str) -> Reason:
    return reason(Code.REQUIREMENT_UNMET, update=update, requirement=requirement, unit=unit)
