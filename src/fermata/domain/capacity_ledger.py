"""The capacity ledger: what was taken from whom, what came back with proof, what is owed still, and since when there is
enough to ramp up. Pure; entries are append-only, so that every sum can be made again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

from fermata.domain.fleet import Cluster
from fermata.domain.ids import CampaignId, ClusterId, CustomerId, NodeId, RunId, SupercomputerId, WindowId
from fermata.domain.node_states import UnitState

ALMOST = 1e-9  # 0.95 x 20 is 19 in floating point, 0.95 x 40 a little less than 38


class EntryKind(StrEnum):
    """What happened to one node of a window. The first opens its account, each of the others closes it.

    - `taken`: locked for us.
    - `returned`: given back in service, proven.
    - `kept_out`: proven, and left out of service as it was found.
    - `untouched`: the site refused the lock, or the node was let go before anything was done to it.
    - `gone`: it left the fleet with its work order.
    """

    TAKEN = "taken"
    RETURNED = "returned"
    KEPT_OUT = "kept_out"
    UNTOUCHED = "untouched"
    GONE = "gone"


CLOSINGS: Mapping[UnitState, EntryKind] = {
    UnitState.RETURNED: EntryKind.RETURNED,
    UnitState.KEPT_OUT: EntryKind.KEPT_OUT,
    UnitState.LEFT_OUT: EntryKind.UNTOUCHED,
    UnitState.GONE: EntryKind.GONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: at most one of each kind for a node in a window."""

    run: RunId
    window: WindowId
    node: NodeId
    kind: EntryKind
    in_service_before: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A window's account. `baseline`: the nodes of its cluster that were in service when it opened, by name.
    `capacity_taken`: those of its own nodes that were in service then; of them `threshold` must be back to ramp up.
    `ready_at`: when they were, once that was told. Customer and place are as they were at the opening.
    """

    run: RunId
    window: WindowId
    cluster: ClusterId
    customer: CustomerId
    supercomputer: SupercomputerId
    sku: str
    region: str
    opened_at: datetime
    baseline: tuple[NodeId, ...]
    capacity_taken: int
    threshold: float
    ready_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """How many nodes of a window have an entry of one kind."""

    run: RunId
    window: WindowId
    kind: EntryKind
    in_service_before: bool
    nodes: int


class GroupBy(StrEnum):
    """What capacity may be added up by."""

    CUSTOMER = "customer"
    SUPERCOMPUTER = "supercomputer"
    SKU = "sku"
    REGION = "region"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityLine:
    """Accounts added up; a node that was taken twice counts twice, but once in `baseline`.

    `owed`: nodes that we hold now, `capacity_owed` those of them that were in service. `windows_ready` of `windows`
    are good enough to ramp up; `ready_at`: since when all of them are, None: not all, or nothing was taken in service.
    """

    name: str
    baseline: int
    taken: int
    returned: int
    kept_out: int
    untouched: int
    gone: int
    owed: int
    capacity_owed: int
    windows: int
    windows_ready: int
    ready_at: datetime | None

    @property
    def closed(self) -> int:
        """Nodes that we took and hold no more."""
        return self.returned + self.kept_out + self.untouched + self.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityView:
    """The ledger of a campaign at `as_of`, over all its runs; lines by name. `as_of` None: it has no run yet."""

    campaign: CampaignId
    as_of: datetime | None
    by: GroupBy
    lines: tuple[CapacityLine, ...]
    total: CapacityLine


def open_account(  # noqa: PLR0913 - what an account says of its window
    cluster: Cluster,
    *,
    run: RunId,
    window: WindowId,
    opened_at: datetime,
    baseline: Iterable[NodeId],
    capacity_taken: int,
    threshold: float,
) -> Account:
    """The account of a window that opens now."""
    return Account(
        run=run,
        window=window,
        cluster=cluster.name,
        customer=cluster.customer,
        supercomputer=cluster.supercomputer,
        sku=cluster.sku,
        region=cluster.region,
        opened_at=opened_at,
        baseline=tuple(sorted(baseline)),
        capacity_taken=capacity_taken,
        threshold=threshold,
    )


def nodes_needed(capacity_taken: int, threshold: float) -> int:
    """How many of the nodes taken in service must be back to ramp up."""
    return ceil(capacity_taken * threshold - ALMOST)


def is_enough(back: int, capacity_taken: int, threshold: float) -> bool:
    """True when so many nodes back are good enough to ramp up; with nothing taken in service, at once."""
    return back >= nodes_needed(capacity_taken, threshold)


def when_ready(capacity_taken: int, threshold: float, returns: Iterable[datetime]) -> datetime | None:
    """When enough nodes were back to ramp up; None: not yet, or none was in service. `returns`: when each of those
    taken in service was given back, proven.
    """
    needed = nodes_needed(capacity_taken, threshold)
    if not needed:
        return None
    times = sorted(returns)
    return times[needed - 1] if len(times) >= needed else None


def sum_up(entries: Iterable[Entry]) -> tuple[Sum, ...]:
    """The sums of entries, in no order."""
    counted = Counter((e.run, e.window, e.kind, e.in_service_before) for e in entries)
    return tuple(
        Sum(run=run, window=window, kind=kind, in_service_before=served, nodes=nodes)
        for (run, window, kind, served), nodes in counted.items()
    )


def list_open(entries: Iterable[Entry]) -> frozenset[tuple[WindowId, NodeId]]:
    """The nodes that are owed, by their entries alone: taken, and not closed."""
    taken: set[tuple[WindowId, NodeId]] = set()
    closed: set[tuple[WindowId, NodeId]] = set()
    for entry in entries:
        (taken if entry.kind is EntryKind.TAKEN else closed).add((entry.window, entry.node))
    return frozenset(taken - closed)


def add_up(accounts: Sequence[Account], sums: Iterable[Sum], by: GroupBy) -> tuple[CapacityLine, ...]:
    """One line for each group, by name."""
    of_window: dict[tuple[RunId, WindowId], list[Sum]] = defaultdict(list)
    for found in sums:
        of_window[found.run, found.window].append(found)
    groups: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        groups[getattr(account, by.value)].append(account)
    return tuple(_line(name, members, of_window) for name, members in sorted(groups.items()))


def total_of(accounts: Sequence[Account], sums: Iterable[Sum]) -> CapacityLine:
    """Everything in one line."""
    of_window: dict[tuple[RunId, WindowId], list[Sum]] = defaultdict(list)
    for found in sums:
        of_window[found.run, found.window].append(found)
    return _line("total", accounts, of_window)


def count_owed(sums: Iterable[Sum]) -> int:
    """How many nodes that were in service are held now."""
    served: Counter[EntryKind] = Counter()
    for found in sums:
        served[found.kind] += found.nodes if found.in_service_before else 0
    return _owed(served)


def _line(
    name: str, accounts: Sequence[Account], of_window: Mapping[tuple[RunId, WindowId], Sequence[Sum]]
) -> CapacityLine:
    nodes: Counter[EntryKind] = Counter()
    served: Counter[EntryKind] = Counter()
    for account in accounts:
        for found in of_window.get((account.run, account.window), ()):
            nodes[found.kind] += found.nodes
            served[found.kind] += found.nodes if found.in_service_before else 0
    counted = [account for account in accounts if account.capacity_taken]
    told = [account.ready_at for account in counted if account.ready_at is not None]
    return CapacityLine(
        name=name,
        baseline=len({node for account in accounts for node in account.baseline}),
        taken=nodes[EntryKind.TAKEN],
        returned=nodes[EntryKind.RETURNED],
        kept_out=nodes[EntryKind.KEPT_OUT],
        untouched=nodes[EntryKind.UNTOUCHED],
        gone=nodes[EntryKind.GONE],
        owed=_owed(nodes),
        capacity_owed=_owed(served),
        windows=len(counted),
        windows_ready=len(told),
        ready_at=max(told) if told and len(told) == len(counted) else None,
    )


def _owed(nodes: Mapping[EntryKind, int]) -> int:
    return nodes[EntryKind.TAKEN] - sum(number for kind, number in nodes.items() if kind is not EntryKind.TAKEN)
