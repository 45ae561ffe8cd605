"""Which adapter of a site serves which unit for which port, and what several of them say of one node.

A table of routes that is read from the top: the first that takes a unit serves it. Only looks at a node are of all
that take it, since one target knows its workloads and another its firmware.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeVar

from fermata.domain.fleet import Fleet
from fermata.domain.ids import AdapterId, ClusterId, DeviceId, NodeId, StepKey
from fermata.domain.node_states import UnitKind
from fermata.domain.observations import NodeSeen
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import APPLY_PREFIX, UNDO_PREFIX, undone_by
from fermata.domain.updates import Catalogue

T = TypeVar("T")
ENTRIES_MOST = 4  # of what a site's file lacks, in one sentence
_EDGES = 5  # run, window, unit, step, attempt: the parts of a key none of which has a slash


class PortName(StrEnum):
    """The ports that adapters serve, by the names of a site's fields."""

    INVENTORY = "inventory"
    WORKLOADS = "workloads"
    FIRMWARE = "firmware"
    POWER = "power"
    VERIFIER = "verifier"
    NOTIFIER = "notifier"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A node or device, as far as routes care. `cluster` None: the fleet does not know the unit."""

    name: str
    kind: UnitKind
    cluster: ClusterId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What one adapter serves. `nodes` and `devices` are patterns of names (`*`, `?`, `[seq]`); both empty: every unit.
    If one is given, units of the other kind are not served. `clusters` and `components` empty: all of them.
    """

    adapter: AdapterId
    ports: frozenset[PortName]
    clusters: frozenset[ClusterId] = frozenset()
    nodes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    components: frozenset[str] = frozenset()

    def takes(self, port: PortName, unit: Unit, component: str | None = None) -> bool:
        """True when this adapter serves `unit`. `component` None: whichever."""
        if port not in self.ports or (self.clusters and unit.cluster not in self.clusters):
            return False
        if component is not None and self.components and component not in self.components:
            return False
        patterns = self.devices if unit.kind is UnitKind.DEVICE else self.nodes
        return not (self.nodes or self.devices) or any(fnmatchcase(unit.name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """The routes of a site, in the order of its file."""

    routes: tuple[Route, ...]

    def find(self, port: PortName, unit: Unit, component: str | None = None) -> AdapterId | None:
        """Who serves the unit; None: nobody."""
        return next((route.adapter for route in self.routes if route.takes(port, unit, component)), None)

    def find_lookers(self, unit: Unit) -> Mapping[AdapterId, frozenset[str]]:
        """Who looks at a unit, with the components that each is asked about, none for all. First the one whose word on
        service and lock counts: who serves its workloads, of a device who serves its firmware, else the first.

        A device is looked at by that one alone: it has one version.
        """
        found: dict[AdapterId, frozenset[str]] = {}
        for route in self.routes:
            if route.takes(PortName.INVENTORY, unit):
                known = found.get(route.adapter, route.components)
                found[route.adapter] = known | route.components if known and route.components else frozenset()
        is_device = unit.kind is UnitKind.DEVICE
        first = self.find(PortName.FIRMWARE if is_device else PortName.WORKLOADS, unit)
        ordered = dict(sorted(found.items(), key=lambda item: item[0] != first))
        return dict(list(ordered.items())[:1]) if is_device else ordered


def split(items: Iterable[T], find: Callable[[T], AdapterId | None]) -> Mapping[AdapterId | None, Sequence[T]]:
    """Items by who serves them, each in the order it had; under None those that nobody serves."""
    found: dict[AdapterId | None, list[T]] = {}
    for item in items:
        found.setdefault(find(item), []).append(item)
    return found


def merge_looks(looks: Sequence[tuple[NodeSeen, frozenset[str]]]) -> NodeSeen:
    """One look at a node from those of all who look at it, the first of which says service and lock.

    It is reachable when all reach it, and as old as the oldest look. Each adds the versions of the components it is
    asked about (none: all). Of a component on which two differ nothing is known.
    """
    versions: dict[str, str] = {}
    disputed: set[str] = set()
    for seen, components in looks:
        for component, version in seen.versions.items():
            is_asked = not components or component in components
            if is_asked and versions.setdefault(component, version) != version:
                disputed.add(component)
    repaired = [seen.repaired_at for seen, _ in looks if seen.repaired_at is not None]
    return replace(
        looks[0][0],
        reachable=all(seen.reachable for seen, _ in looks),
        versions={component: version for component, version in versions.items() if component not in disputed},
        repaired_at=max(repaired, default=None),
        observed_at=min(seen.observed_at for seen, _ in looks),
    )


def half_look(first: NodeSeen) -> NodeSeen:
    """What is known of a node when only who says its service and lock answers, of several who look at it."""
    return replace(first, reachable=False, versions={}, repaired_at=None, whole=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a step key is about."""

    unit: str
    step: str


def read_key(key: StepKey, is_unit: Callable[[str], bool]) -> Subject | None:
    """The unit and the step of a key; None when it is about no unit that is known. Names may contain slashes."""
    parts = key.split("/")
    if len(parts) == _EDGES and is_unit(parts[2]):
        return Subject(unit=parts[2], step=parts[3])
    for start in range(2, len(parts) - 2):
        for end in range(len(parts) - 2, start, -1):
            unit = "/".join(parts[start:end])
            if is_unit(unit):
                return Subject(unit=unit, step="/".join(parts[end:-1]))
    return None


def component_of(step: str, catalogue: Catalogue) -> str | None:
    """The component that a step writes; None when it writes none, or its update is unknown."""
    if step.startswith(UNDO_PREFIX):
        name = undone_by(step)[1]
    elif step.startswith(APPLY_PREFIX):
        name = step.removeprefix(APPLY_PREFIX)
    else:
        return None
    return next((update.component for update in catalogue.updates.values() if update.id == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Units of one cluster and kind that nobody serves for a port; of firmware, one `component` of them."""

    port: PortName
    cluster: ClusterId
    kind: UnitKind
    units: tuple[str, ...] = field(repr=False)
    component: str | None = None


_OF_NODES = (PortName.INVENTORY, PortName.WORKLOADS, PortName.POWER, PortName.VERIFIER)


def find_gaps(table: RouteTable, windows: Iterable[Window], fleet: Fleet, catalogue: Catalogue) -> Sequence[Gap]:
    """What conducting these windows needs and nobody serves. Notices and power of devices are not asked for: without
    them a unit that fails stands on the tail list, and no node was taken for nothing.
    """
    missing: dict[tuple[PortName, UnitKind, ClusterId, str | None], dict[str, None]] = {}
    for window in windows:
        for name, port, component in _list_needs(window, catalogue):
            unit = _find_unit(fleet, name)
            if unit is not None and unit.cluster is not None and table.find(port, unit, component) is None:
                missing.setdefault((port, unit.kind, unit.cluster, component), {})[name] = None
    return [
        Gap(port=port, cluster=cluster, kind=kind, units=tuple(names), component=component)
        for (port, kind, cluster, component), names in missing.items()
    ]


def judge_served(
    what: str, table: RouteTable, windows: Iterable[Window], fleet: Fleet, catalogue: Catalogue
) -> Reason | None:
    """Why `what`, a plan or a window of it, cannot be conducted over these routes, with what the site's file lacks; or
    None.
    """
    gaps = find_gaps(table, windows, fleet, catalogue)
    if not gaps:
        return None
    entries = dict.fromkeys(_say_entry(gap) for gap in gaps)
    more = f" and {len(entries) - ENTRIES_MOST} more" if len(entries) > ENTRIES_MOST else ""
    missing = ", ".join(list(entries)[:ENTRIES_MOST]) + more
    return reason(Code.SITE_LACKS, what=what, example=gaps[0].units[0], missing=missing)


def _say_entry(gap: Gap) -> str:
    """What stands under `serves` where it is served."""
    units = ', devices: ["*"]' if gap.kind is UnitKind.DEVICE else ', nodes: ["*"]'
    component = f", components: [{gap.component}]" if gap.component is not None else ""
    return f"{{ports: [{gap.port}], clusters: [{gap.cluster}]{units}{component}}}"


def _find_unit(fleet: Fleet, name: str) -> Unit | None:
    device, node = fleet.devices.get(DeviceId(name)), fleet.nodes.get(NodeId(name))
    if device is not None:
        return Unit(name=name, kind=UnitKind.DEVICE, cluster=device.cluster)
    return Unit(name=name, kind=UnitKind.NODE, cluster=node.cluster) if node is not None else None


def _list_needs(window: Window, catalogue: Catalogue) -> Iterator[tuple[str, PortName, str | None]]:
    """Each unit of a window with a port, and the component for firmware."""
    on_nodes = dict.fromkeys(step.update for step in window.steps if isinstance(step, NodeApplyStep))
    for node in window.nodes:
        yield from ((node, port, None) for port in _OF_NODES)
        yield from ((node, PortName.FIRMWARE, catalogue.updates[name].component) for name in on_nodes)
    for step in window.steps:
        if isinstance(step, DeviceApplyStep):
            for device in step.devices:
                yield device, PortName.INVENTORY, None
                yield device, PortName.FIRMWARE, catalogue.updates[step.update].component


def list_units(fleet: Fleet) -> Mapping[str, Unit]:
    """Every node and device of a fleet, by name."""
    units = [Unit(name=node.name, kind=UnitKind.NODE, cluster=node.cluster) for node in fleet.nodes.values()]
    units += [Unit(name=dev.name, kind=UnitKind.DEVICE, cluster=dev.cluster) for dev in fleet.devices.values()]
    return {unit.name: unit for unit in units}
