"""The conductor's rows as every committed transaction left them, kept by triggers inside the store itself, and counted.

Nothing here asks production code how things stand: whoever saves a row leaves a trace, however it was saved.
"""

import heapq
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.node_states import OUT
from fermata.domain.updates import Catalogue, Update
from fermata.domain.versions import is_at_least
from fermata.domain.windows import calendar_day

HELD = frozenset(state.value for state in OUT)
WRITING = "applying"
APPLY = "apply:"
OWN = "rep-"  # begins the names of windows of work orders' own, which no plan has
UNDO = "undo:"
_UNIT = ("id", "run", "window", "unit", "kind", "cluster", "fault_domain", "state", "step", "attempt", "asked",
         "version", "next_at", "tail_since", "finished_at")  # fmt: skip
_WINDOW = ("run", "window", "plan", "cluster", "mode", "state", "nodes", "taken", "in_service_at_open", "planned_start",
           "planned_end", "back_by", "opened_at", "closed_at", "recheck_at", "behind_minutes", "left_out")  # fmt: skip

_SAMPLE = ("at", "nodes_out", "in_tail")
_ORDER = ("window", "unit", "update", "to_version")
_TRACED = (("unit_op", _UNIT), ("window_run", _WINDOW), ("run_sample", _SAMPLE), ("recovery_order", _ORDER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit's row as a transaction left it."""

    id: int
    run: str
    window: str
    unit: str
    kind: str
    cluster: str
    fault_domain: str
    state: str
    step: str
    attempt: int
    asked: str
    version: int
    next_at: datetime | None
    tail_since: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One window's row as a transaction left it; `left_out` counts nodes."""

    run: str
    window: str
    plan: str
    cluster: str
    mode: str
    state: str
    nodes: int
    taken: int
    in_service_at_open: int
    planned_start: datetime
    planned_end: datetime
    back_by: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    recheck_at: datetime | None
    behind_minutes: int | None
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """What somebody noted to be out."""

    at: datetime
    nodes_out: int
    in_tail: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An update is to be rolled back on one unit; `to_version` "": it was not begun there and is left out."""

    window: str
    unit: str
    update: str
    to_version: str


AnyRow = Row | WindowRow | SampleRow | OrderRow


def install(path: str) -> None:
    """Makes the store keep a trace of every row that is added or changed."""
    with sqlite3.connect(path) as conn:
        everything = ", ".join(f"v{i}" for i in range(20))
        conn.execute(f"CREATE TABLE traced (seq INTEGER PRIMARY KEY, source TEXT, {everything})")
        for table, columns in _TRACED:
            places = ", ".join(f"v{i}" for i in range(len(columns)))
            values = ", ".join(f'NEW."{name}"' for name in columns)
            for verb in ("INSERT", "UPDATE"):
                kept = f"INSERT INTO traced (source, {places}) VALUES ('{table}', {values})"  # noqa: S608 - our own names
                conn.execute(f"CREATE TRIGGER traced_{table}_{verb} AFTER {verb} ON {table} BEGIN {kept}; END")
    conn.close()


class Trace:
    """Reads what the triggers kept, each change once."""

    def __init__(self, path: str) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None)
        self._read = 0

    def latest(self) -> int:
        """The number of the last committed change."""
        return int(self._conn.execute("SELECT coalesce(max(seq), 0) FROM traced").fetchone()[0])

    def fresh(self) -> Iterator[tuple[int, AnyRow]]:
        """Changes that were not read yet, in the order in which they were made."""
        rows = self._conn.execute("SELECT * FROM traced WHERE seq > ? ORDER BY seq", (self._read,)).fetchall()
        for seq, source, *values in rows:
            self._read = seq
            yield seq, _READERS[source](values)

    def lines(self, after: int) -> list[tuple[int, str, str, str, str]]:
        """Journal lines after that one: seq, event, subject, data as JSON, why."""
        query = "SELECT seq, event, subject, data, why FROM journal WHERE seq > ? ORDER BY seq"
        return self._conn.execute(query, (after,)).fetchall()

    def close(self) -> None:
        self._conn.close()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _unit_row(v: list) -> Row:
    return Row(
        id=v[0], run=v[1], window=v[2], unit=v[3], kind=v[4], cluster=v[5], fault_domain=v[6], state=v[7], step=v[8],
        attempt=v[9], asked=v[10], version=v[11], next_at=_time(v[12]), tail_since=_time(v[13]),
        finished_at=_time(v[14]),
    )  # fmt: skip


def _window_row(v: list) -> WindowRow:
    return WindowRow(
        run=v[0], window=v[1], plan=v[2], cluster=v[3], mode=v[4], state=v[5], nodes=v[6], taken=v[7],
        in_service_at_open=v[8], planned_start=_time(v[9]), planned_end=_time(v[10]), back_by=_time(v[11]),
        opened_at=_time(v[12]), closed_at=_time(v[13]), recheck_at=_time(v[14]), behind_minutes=v[15], left_out=v[16],
    )  # type: ignore[arg-type]  # fmt: skip


def _sample_row(v: list) -> SampleRow:
    return SampleRow(at=_time(v[0]), nodes_out=v[1], in_tail=v[2])  # type: ignore[arg-type]


def _order_row(v: list) -> OrderRow:
    return OrderRow(window=v[0], unit=v[1], update=v[2], to_version=v[3])


_READERS = {"unit_op": _unit_row, "window_run": _window_row, "run_sample": _sample_row, "recovery_order": _order_row}


def find_written(row: Row) -> str | None:
    """The update that is written to the unit, forward or, to a device, back; None when nothing is."""
    if row.state == WRITING:
        return row.step.removeprefix(APPLY)
    if row.state == "recovering" and row.kind == "device":
        return row.step.rpartition(" ")[2]
    return None


def _builds_on(later: Update, earlier: Update) -> bool:
    needs = (n for n in later.requires if n.component == earlier.component)
    return earlier.id in later.after or any(is_at_least(earlier.to_version, need.min_version) for need in needs)


@dataclass(kw_only=True)
class Mirror:
    """All rows as of one change, and what is used of every limit."""

    fleet: Fleet
    catalogue: Catalogue
    campaign: Campaign
    rows: dict[int, Row] = field(default_factory=dict)
    windows: dict[str, WindowRow] = field(default_factory=dict)
    members: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    held: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    out: Counter[int] = field(default_factory=Counter)
    teams: Counter[str] = field(default_factory=Counter)
    writing: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sizes: Counter[str] = field(default_factory=Counter)
    held_nodes: int = 0
    due: list[tuple[datetime, int]] = field(default_factory=list)
    limits: tuple[tuple[Limit, frozenset[NodeId]], ...] = ()
    orders: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    served: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        clusters = self.fleet.clusters
        scoped = [n for n in self.fleet.nodes.values() if self.campaign.scope.matches_cluster(clusters[n.cluster])]
        self.limits = tuple(
            (limit, frozenset(n.name for n in scoped if limit.where.matches(n, clusters[n.cluster])))
            for limit in self.campaign.limits
        )

    def take(self, after: AnyRow) -> AnyRow | None:
        """Follows one change; the row as it was before."""
        if isinstance(after, SampleRow):
            return None
        if isinstance(after, OrderRow):
            self.orders[after.unit][after.update] = after.to_version
            return None
        if isinstance(after, WindowRow):
            known = self.windows.get(after.window)
            self.windows[after.window] = after
            return known
        before = self.rows.get(after.id)
        self.rows[after.id] = after
        self.members[after.window][after.unit] = after.id
        if before is not None:
            self._count(before, -1)
        elif after.kind == "node":
            self.sizes[after.window] += 1
        self._count(after, 1)
        if after.next_at is not None:
            heapq.heappush(self.due, (after.next_at, after.id))
        return before

    def _count(self, row: Row, by: int) -> None:
        if row.kind == "node" and row.state in HELD:
            holders = self.held[row.unit]
            self.held_nodes -= bool(holders)
            (holders.add if by > 0 else holders.discard)(row.id)
            self.held_nodes += bool(holders)
            for index, (limit, nodes) in enumerate(self.limits):
                if limit.what is LimitKind.NODES_OUT and row.unit in nodes:
                    self.out[index] += by
        written = find_written(row)
        if written is not None:
            update = self.catalogue.updates[UpdateId(written)]
            self.teams[update.owner_team] += by
            self.writing[row.window, update.id][row.fault_domain] += by
        if row.state == WRITING:
            self.served[row.window].update(self.nodes_at(row.unit))

    def used(self, index: int, now: datetime) -> int:
        """What is used of a limit of the campaign."""
        limit, _ = self.limits[index]
        match limit.what:
            case LimitKind.NODES_OUT:
                return self.out[index]
            case LimitKind.CLUSTER_WINDOWS:
                return sum(w.state == "open" and self._meant(limit, w) for w in self.windows.values())
            case LimitKind.WHOLE_BIG_CLUSTERS:
                today = calendar_day(now, self.campaign.timezone)
                return sum(self._is_whole_big(limit, w, today) for w in self.windows.values())

    def allowed(self, index: int) -> int:
        """What a limit of the campaign allows."""
        limit, nodes = self.limits[index]
        if limit.at_once_fraction is not None:
            return int(limit.at_once_fraction * len(nodes) + 1e-9)
        found = limit.at_once if limit.at_once is not None else limit.per_day
        assert found is not None
        return found

    def _meant(self, limit: Limit, window: WindowRow) -> bool:
        return limit.where.matches_cluster(self.fleet.clusters[ClusterId(window.cluster)])

    def _is_whole_big(self, limit: Limit, window: WindowRow, today: date) -> bool:
        if window.opened_at is None or calendar_day(window.opened_at, self.campaign.timezone) != today:
            return False
        if (limit.first_day and today < limit.first_day) or (limit.last_day and today > limit.last_day):
            return False
        size = len(self.fleet.nodes_by_cluster[ClusterId(window.cluster)])
        return window.mode == "whole" and size > self.campaign.big_cluster_nodes and self._meant(limit, window)

    def of_window(self, window: str) -> Iterator[Row]:
        """Its units."""
        return (self.rows[id_] for id_ in self.members.get(window, {}).values())

    def row(self, window: str, unit: str) -> Row | None:
        """One unit of a window, or None."""
        id_ = self.members.get(window, {}).get(unit)
        return None if id_ is None else self.rows[id_]

    def undone(self, unit: str) -> frozenset[str]:
        """The updates that the unit need not have: ordered back on it, or built on one that is ordered back on a device
        that it hangs on.
        """
        node = self.fleet.nodes.get(NodeId(unit))
        over = self.fleet.devices_of(node) if node is not None else ()
        found = {name for device in over for name in self.orders.get(device.name, ())}
        updates = self.catalogue.updates
        while more := {o.id for o in updates.values() if any(_builds_on(o, updates[n]) for n in found)} - found:  # type: ignore[index]
            found |= more
        return frozenset(found | self.orders.get(unit, {}).keys())

    def longest_due(self) -> Row | None:
        """The unfinished row that has been due for longest."""
        while self.due:
            at, id_ = self.due[0]
            row = self.rows[id_]
            if row.next_at == at and row.finished_at is None:
                return row
            heapq.heappop(self.due)
        return None

    def nodes_at(self, unit: str) -> tuple[str, ...]:
        """The node, or those behind the device."""
        device = self.fleet.devices.get(DeviceId(unit))
        return (unit,) if device is None else tuple(node.name for node in self.fleet.nodes_behind(device))

    def is_of_day(self, window: str, day: date) -> bool:
        """True when it opened on that day."""
        opened = self.windows[window].opened_at
        return opened is not None and calendar_day(opened, self.campaign.timezone) == day

    def taken_on(self, nodes: Collection[str], day: date) -> int:
        """How many of these went for updates in windows that opened on that day, however often each. Windows of work
        orders' own go by what was said of those: a node there counts from the first update that is written to it.
        """
        went: set[str] = set()
        for window in self.windows:
            if self.is_of_day(window, day):
                members = self.members.get(window, {}).keys()
                went |= members & self.served[window] if window.startswith(OWN) else members
        return len(went & set(nodes))
