"""What is pending, as people and machines list it: one line per unit and update, filtered, and grouped by update."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Cluster, Fleet
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, SupercomputerId, UpdateId
from fermata.domain.pending import NOTHING, FleetPending, UnitPending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, reason
from fermata.domain.updates import Catalogue, Impact, Update


class UnitKind(StrEnum):
    """What a line is about."""

    NODE = "node"
    DEVICE = "device"


class Standing(StrEnum):
    """Whether the update is to be applied there, another takes its place, or the unit does not say what it runs."""

    DUE = "due"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFilter:
    """Which lines to list: every set that is not empty must hold the line's value. A node's lines are its own and
    those of the devices it hangs on.
    """

    clusters: frozenset[str] = frozenset()
    supercomputers: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    updates: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    skus: frozenset[str] = frozenset()

    def takes(self, cluster: Cluster) -> bool:
        """True when lines of `cluster` may be listed."""
        return (
            _allows(self.clusters, cluster.name)
            and _allows(self.supercomputers, cluster.supercomputer)
            and _allows(self.customers, cluster.customer)
            and _allows(self.skus, cluster.sku)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLine:
    """One update on one unit. `due_at` is None when no policy says what notice is due; `from_version` "" is unknown."""

    kind: UnitKind
    unit: str
    cluster: ClusterId
    supercomputer: SupercomputerId
    customer: CustomerId
    update: UpdateId
    component: str
    from_version: str
    to_version: str
    impact: Impact
    standing: Standing
    due_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingGroup:
    """All lines of one update and standing. `from_versions` are sorted; `due_at` as in PendingLine."""

    update: UpdateId
    title: str
    component: str
    standing: Standing
    impact: Impact
    nodes: int
    devices: int
    clusters: int
    from_versions: tuple[str, ...]
    to_version: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineKind:
    """So many lines of a cluster that tell the same but of which unit."""

    kind: UnitKind
    cluster: ClusterId
    update: UpdateId
    from_version: str
    standing: Standing
    due_at: datetime | None
    lines: int


class Listing:
    """The lines that pass a filter: read cluster by cluster, or counted, for which no line is made."""

    def __init__(
        self, fleet: Fleet, catalogue: Catalogue, policy: Policy | None, pending: FleetPending, wanted: PendingFilter
    ) -> None:
        self._fleet, self._catalogue, self._pending, self._wanted = fleet, catalogue, pending, wanted
        self._maker = _LineMaker(catalogue, policy, wanted.updates)
        self._devices: set[str] = set(wanted.devices)
        for name in wanted.nodes & fleet.nodes.keys():
            self._devices.update(device.name for device in fleet.devices_of(fleet.nodes[NodeId(name)]))
        self._names_units = bool(wanted.nodes or wanted.devices)
        self.clusters = tuple(name for name in sorted(fleet.clusters) if wanted.takes(fleet.clusters[name]))

    def lines(self, cluster: ClusterId) -> Iterator[PendingLine]:
        """Of one cluster: nodes before devices, then by unit."""
        on, nodes, devices = self._fleet.clusters[cluster], self._pending.nodes, self._pending.devices
        for name in self._nodes(cluster):
            yield from self._maker.lines(UnitKind.NODE, on, name, nodes.get(name, NOTHING))
        for device in self._devices_of(cluster):
            yield from self._maker.lines(UnitKind.DEVICE, on, device, devices.get(device, NOTHING))

    def count(self, cluster: ClusterId) -> Iterator[LineKind]:
        """The same, counted: units share what is pending on them."""
        nodes = map(self._pending.nodes.get, self._nodes(cluster))
        devices = map(self._pending.devices.get, self._devices_of(cluster))
        for kind, found in ((UnitKind.NODE, list(nodes)), (UnitKind.DEVICE, list(devices))):
            counts = Counter(map(id, found))
            for unit in {id(unit): unit for unit in found if unit is not None}.values():
                yield from self._maker.kinds(kind, cluster, unit, counts[id(unit)])

    def _nodes(self, cluster: ClusterId) -> list[NodeId]:
        names = self._fleet.names_in(cluster)
        return [name for name in names if name in self._wanted.nodes] if self._names_units else names

    def _devices_of(self, cluster: ClusterId) -> list[DeviceId]:
        names = [device.name for device in self._fleet.devices_by_cluster[cluster]]
        return [name for name in names if name in self._devices] if self._names_units else names


def list_lines(
    fleet: Fleet, catalogue: Catalogue, policy: Policy | None, pending: FleetPending, wanted: PendingFilter
) -> Iterator[PendingLine]:
    """Lines by cluster, nodes before devices, then unit: as `place_of` has it, but for those of one unit."""
    listing = Listing(fleet, catalogue, policy, pending, wanted)
    for cluster in listing.clusters:
        yield from listing.lines(cluster)


def place_of(line: PendingLine) -> tuple[str, int, str, int, str]:
    """Where a line stands in a list: by this they are sorted, and it is another for each."""
    kinds, standings = (UnitKind.NODE, UnitKind.DEVICE), list(Standing)
    return line.cluster, kinds.index(line.kind), line.unit, standings.index(line.standing), line.update


def group_lines(lines: Iterable[PendingLine], catalogue: Catalogue) -> tuple[PendingGroup, ...]:
    """Lines counted by update and standing: what is due first, each by due date, then by update."""
    return group_kinds(map(_kind_of, lines), catalogue)


def _kind_of(line: PendingLine) -> LineKind:
    return LineKind(
        kind=line.kind,
        cluster=line.cluster,
        update=line.update,
        from_version=line.from_version,
        standing=line.standing,
        due_at=line.due_at,
        lines=1,
    )


def group_kinds(kinds: Iterable[LineKind], catalogue: Catalogue) -> tuple[PendingGroup, ...]:
    """As `group_lines`, of lines that are counted already."""
    counts: Counter[tuple[UpdateId, Standing, UnitKind]] = Counter()
    clusters: dict[tuple[UpdateId, Standing], set[ClusterId]] = {}
    versions: dict[tuple[UpdateId, Standing], set[str]] = {}
    due_at: dict[UpdateId, datetime | None] = {}
    for found in kinds:
        key = (found.update, found.standing)
        counts[*key, found.kind] += found.lines
        clusters.setdefault(key, set()).add(found.cluster)
        versions.setdefault(key, set()).add(found.from_version)
        due_at[found.update] = found.due_at
    groups = [
        PendingGroup(
            update=update,
            title=catalogue.updates[update].title,
            component=catalogue.updates[update].component,
            standing=standing,
            impact=catalogue.updates[update].impact,
            nodes=counts[update, standing, UnitKind.NODE],
            devices=counts[update, standing, UnitKind.DEVICE],
            clusters=len(clusters[update, standing]),
            from_versions=tuple(sorted(versions[update, standing] - {""})),
            to_version=catalogue.updates[update].to_version,
            due_at=due_at[update],
        )
        for update, standing in clusters
    ]
    order = list(Standing)
    return tuple(sorted(groups, key=lambda group: (order.index(group.standing), _when(group), group.update)))


def unknown_names(fleet: Fleet, catalogue: Catalogue, wanted: PendingFilter) -> tuple[tuple[str, str], ...]:
    """What `wanted` asks for and nobody knows, as (kind, name) pairs: an empty list must not mean a typing error."""
    known: tuple[tuple[str, frozenset[str], Iterable[str]], ...] = (
        ("cluster", wanted.clusters, fleet.clusters),
        ("supercomputer", wanted.supercomputers, (c.supercomputer for c in fleet.clusters.values())),
        ("customer", wanted.customers, (c.customer for c in fleet.clusters.values())),
        ("sku", wanted.skus, (c.sku for c in fleet.clusters.values())),
        ("update", wanted.updates, catalogue.updates),
        ("node", wanted.nodes, fleet.nodes),
        ("device", wanted.devices, fleet.devices),
    )
    return tuple((kind, name) for kind, asked, names in known for name in sorted(asked.difference(names)))


def _when(group: PendingGroup) -> str:
    return group.due_at.isoformat() if group.due_at else "~"  # a due date is UTC; none at all comes last


def _allows(wanted: frozenset[str], value: str) -> bool:
    return not wanted or value in wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """What one line says that its unit and cluster do not."""

    update: Update
    from_version: str
    standing: Standing
    why: str


class _LineMaker:
    """Makes the lines of units, with what is the same for all of them looked up once."""

    def __init__(self, catalogue: Catalogue, policy: Policy | None, updates: frozenset[str]) -> None:
        self._catalogue = catalogue
        self._updates = updates
        self._due_at = {u.id: policy.due_at(u) if policy else None for u in catalogue.updates.values()}

    def lines(self, kind: UnitKind, cluster: Cluster, name: str, unit: UnitPending) -> Iterator[PendingLine]:
        for fact in _facts(name, unit, self._catalogue):
            if _allows(self._updates, fact.update.id):
                yield self._line(kind, cluster, name, fact)

    def kinds(self, kind: UnitKind, cluster: ClusterId, unit: UnitPending, units: int) -> Iterator[LineKind]:
        """The lines of so many units, of any name."""
        for fact in _facts("", unit, self._catalogue):
            if _allows(self._updates, fact.update.id):
                yield LineKind(
                    kind=kind,
                    cluster=cluster,
                    update=fact.update.id,
                    from_version=fact.from_version,
                    standing=fact.standing,
                    due_at=self._due_at[fact.update.id],
                    lines=units,
                )

    def _line(self, kind: UnitKind, cluster: Cluster, name: str, fact: _Fact) -> PendingLine:
        update = fact.update
        return PendingLine(
            kind=kind,
            unit=name,
            cluster=cluster.name,
            supercomputer=cluster.supercomputer,
            customer=cluster.customer,
            update=update.id,
            component=update.component,
            from_version=fact.from_version,
            to_version=update.to_version,
            impact=update.impact,
            standing=fact.standing,
            due_at=self._due_at[update.id],
            why=fact.why,
        )


def _facts(name: str, unit: UnitPending, catalogue: Catalogue) -> Iterator[_Fact]:
    runs = {item.update.id: item.from_version for item in unit.due}
    for item in unit.due:
        why = f"reports {item.from_version}, older than {item.update.to_version}"
        yield _Fact(update=item.update, from_version=item.from_version, standing=Standing.DUE, why=why)
    for older in unit.superseded:
        yield _Fact(
            update=older.update,
            from_version=runs[older.by.id],
            standing=Standing.SUPERSEDED,
            why=f"{older.by.id} takes its place",
        )
    for blind in unit.unknown:
        sentence = reason(Code.VERSION_UNKNOWN, unit=name, components=blind.component).sentence
        for update in (catalogue.updates[name] for name in blind.updates):
            yield _Fact(update=update, from_version="", standing=Standing.UNKNOWN, why=sentence)
