"""What a cluster has to be out for: one item per update, with the days between which it must happen, the nodes that it
takes out, and what must come before it. Updates that are announced for later count from the day of their release.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fermata.domain.fleet import Cluster, Fleet
from fermata.domain.ids import ClusterId, NodeId, SupercomputerId, UpdateId
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import Freeze, Policy
from fermata.domain.updates import NODE_TARGET, Catalogue, Update
from fermata.domain.versions import is_newer
from fermata.domain.windows import ONE_DAY, Interval, calendar_day, local_to_utc
from fermata.planning.activation import CircularOrder, find_layers, find_predecessors

_MIDNIGHT = datetime.min.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One update on one cluster. `first` and `due` are the cluster's calendar days, both included.

    `takes` are the nodes that are out for it, by name; none when no workload feels it. `units`: what it is written on.
    `after`: items that run earlier or in the same outage. `covered_by`: newer updates of the same component, on at
    least the same units, that do this one's work too. `closed`: days on which freezes forbid it, as pairs of first and
    last. `minutes`: the median of one unit with its reboot.
    """

    update: UpdateId
    takes: tuple[NodeId, ...]
    units: int
    first: date
    due: date
    minutes: float
    after: tuple[UpdateId, ...] = ()
    covered_by: tuple[UpdateId, ...] = ()
    closed: tuple[tuple[date, date], ...] = ()

    def is_open(self, day: date) -> bool:
        """True when no freeze forbids it on that day."""
        return not any(first <= day <= last for first, last in self.closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterItems:
    """All items of a cluster, by update. `circular`: updates that wait for each other and can never run; `unknown`:
    nodes and devices that do not report the version of some component, so that nobody knows what is due on them.
    """

    cluster: ClusterId
    supercomputer: SupercomputerId
    timezone: str
    nodes: int
    items: tuple[Item, ...]
    circular: tuple[UpdateId, ...] = ()
    unknown: tuple[str, ...] = ()


def find_items(
    fleet: Fleet, catalogue: Catalogue, policy: Policy, *, now: datetime, until: datetime
) -> tuple[ClusterItems, ...]:
    """The items of every cluster that has any, by cluster, from what is pending `now` and what comes out before `until`
    (both aware UTC).
    """
    today = frozenset(u.id for u in catalogue.production_ready if u.released_at <= now)
    coming = [u for u in catalogue.production_ready if now < u.released_at < until]
    pending = find_pending(fleet, catalogue, today)
    later = {update.id: find_pending(fleet, catalogue, frozenset({update.id})) for update in coming}
    finder = _Finder(fleet=fleet, catalogue=catalogue, policy=policy)
    clusters = (fleet.clusters[name] for name in sorted(fleet.clusters))
    found = (finder.find(cluster, pending, later) for cluster in clusters)
    return tuple(of for of in found if of.items or of.circular or of.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Units:
    """The names of the units that an update is due on, and of the nodes that it takes out."""

    names: frozenset[str]
    takes: frozenset[NodeId]


@dataclass(frozen=True, kw_only=True)
class _Finder:
    fleet: Fleet
    catalogue: Catalogue
    policy: Policy

    def find(self, cluster: Cluster, pending: FleetPending, later: Mapping[UpdateId, FleetPending]) -> ClusterItems:
        units = self._units_due(cluster, pending)
        for update, found in later.items():
            units.update(self._units_due(cluster, found, only=update))
        updates = {name: self.catalogue.updates[name] for name in sorted(units)}
        circular = _find_circle(updates.values())
        before = find_predecessors([u for u in updates.values() if u.id not in circular])
        items = tuple(
            self._item(cluster, update, units, before[update.id])
            for update in updates.values()
            if update.id not in circular
        )
        return ClusterItems(
            cluster=cluster.name,
            supercomputer=cluster.supercomputer,
            timezone=cluster.timezone,
            nodes=len(self.fleet.nodes_by_cluster[cluster.name]),
            items=_share_days(items),
            circular=tuple(sorted(circular)),
            unknown=self._unknown(cluster, pending),
        )

    def _units_due(
        self, cluster: Cluster, pending: FleetPending, only: UpdateId | None = None
    ) -> dict[UpdateId, _Units]:
        names: dict[UpdateId, set[str]] = {}
        takes: dict[UpdateId, set[NodeId]] = {}
        for node in self.fleet.nodes_by_cluster[cluster.name]:
            for item in pending.of_node(node).due:
                names.setdefault(item.update.id, set()).add(node.name)
                takes.setdefault(item.update.id, set()).update({node.name} if item.update.needs_drain else ())
        for device in self.fleet.devices_by_cluster[cluster.name]:
            for item in pending.of_device(device).due:
                names.setdefault(item.update.id, set()).add(device.name)
                behind = self.fleet.nodes_behind(device) if item.update.needs_drain else ()
                takes.setdefault(item.update.id, set()).update(node.name for node in behind)
        return {
            update: _Units(names=frozenset(names[update]), takes=frozenset(takes[update]))
            for update in names
            if only is None or update == only
        }

    def _item(
        self, cluster: Cluster, update: Update, units: Mapping[UpdateId, _Units], before: Iterable[UpdateId]
    ) -> Item:
        own = units[update.id]
        reboot = self.catalogue.defaults.reboot_minutes.p50 if update.needs_reboot else 0.0
        return Item(
            update=update.id,
            takes=tuple(sorted(own.takes)),
            units=len(own.names),
            first=calendar_day(update.released_at, cluster.timezone),
            due=_last_day_before(self.policy.due_at(update), cluster.timezone),
            minutes=update.duration_minutes.p50 + reboot,
            after=tuple(sorted(before)),
            covered_by=tuple(
                other
                for other in units
                if _replaces(self.catalogue.updates[other], update) and units[other].names >= own.names
            ),
            closed=tuple(
                closed
                for freeze in self.policy.freezes
                if self._touches(freeze, cluster, own, update)
                for closed in (_days_of(Interval(freeze.start, freeze.end), cluster.timezone),)
            ),
        )

    def _touches(self, freeze: Freeze, cluster: Cluster, units: _Units, update: Update) -> bool:
        """True when the freeze covers a node that the item takes out, or writes on: without workload impact, none."""
        if not update.needs_drain:
            return False
        names = units.takes | (units.names if update.target == NODE_TARGET else frozenset())
        return any(freeze.scope.covers(self.fleet.nodes[NodeId(name)], cluster) for name in names)

    def _unknown(self, cluster: Cluster, pending: FleetPending) -> tuple[str, ...]:
        nodes = (n.name for n in self.fleet.nodes_by_cluster[cluster.name] if pending.of_node(n).unknown)
        devices = (d.name for d in self.fleet.devices_by_cluster[cluster.name] if pending.of_device(d).unknown)
        return (*nodes, *devices)


def _replaces(newer: Update, older: Update) -> bool:
    return (newer.target, newer.component) == (older.target, older.component) and is_newer(
        newer.to_version, older.to_version
    )


def _find_circle(updates: Iterable[Update]) -> frozenset[UpdateId]:
    """Updates that wait for each other, with all that wait for those; empty when every order can be kept."""
    try:
        find_layers(updates)
    except CircularOrder as circle:
        return circle.updates
    return frozenset()


def _share_days(items: Sequence[Item]) -> tuple[Item, ...]:
    """Nothing can run before what it waits for comes out, and nothing may run later than what waits for it is due."""
    days = {item.update: item for item in items}
    for item in _ordered(items):
        firsts = (days[name].first for name in item.after)
        days[item.update] = replace(item, first=max((item.first, *firsts)))
    for item in reversed(_ordered(items)):
        for name in item.after:
            days[name] = replace(days[name], due=min(days[name].due, days[item.update].due))
    return tuple(days[item.update] for item in items)


def _ordered(items: Sequence[Item]) -> list[Item]:
    """What others wait for comes first."""
    placed: dict[UpdateId, Item] = {}
    while len(placed) < len(items):
        placed.update({i.update: i for i in items if i.update not in placed and placed.keys() >= set(i.after)})
    return list(placed.values())


def _last_day_before(instant: datetime, zone: str) -> date:
    """The last calendar day that begins before `instant`."""
    return calendar_day(instant - timedelta(microseconds=1), zone)


def _days_of(span: Interval, zone: str) -> tuple[date, date]:
    """First and last calendar day that share an instant with `span`."""
    first = calendar_day(span.start, zone)
    last = calendar_day(span.end, zone)
    return first, last - ONE_DAY if local_to_utc(last, _MIDNIGHT, zone) >= span.end > span.start else last
