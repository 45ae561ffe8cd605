"""Blocked by default: which nodes consent covers for which updates, and what is missing otherwise."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.policy import ConsentEntry, Policy, ScopeLevel, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import request_id
from fermata.domain.updates import Update


def consent_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[NodeId, Reason]:
    """Every node with work whose consent is missing, with the reason; nodes that consent covers are absent.

    A node is covered when each due item of its own, and of each draining device it hangs on, is let through by its
    customer's policy or by the last ledger entry whose scope holds the node, and when all nodes behind those devices
    are covered too. Impactless work on a device concerns `device_gaps` alone.
    """
    rules = _Rules(policy)
    decided = Decisions(fleet, ledger)
    draining = _draining(pending)
    behind = {name: fleet.nodes_behind(fleet.devices[name]) for name in draining}
    needed: dict[NodeId, set[UpdateId]] = {name: set() for name in pending.nodes}
    for name, unit in pending.nodes.items():
        customer = fleet.clusters[fleet.nodes[name].cluster].customer
        needed[name].update(item.update.id for item in unit.due if rules.blocks(customer, item.update))
    for device, updates in draining.items():
        blocked = rules.blocked(fleet.clusters[fleet.devices[device].cluster].customer, updates)
        for node in behind[device]:
            needed.setdefault(node.name, set()).update(blocked)
    gaps = _own_gaps(fleet, decided, needed)
    return gaps | _spread(gaps, behind)


def device_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[DeviceId, Reason]:
    """Every shared device with due work that may not be touched yet, with the reason.

    Draining work waits until every node behind the device is covered entirely. Impactless work needs only its own
    updates let through on each node behind it, and its waiting does not keep those nodes from their own work.
    """
    gaps = consent_gaps(fleet, policy, pending, ledger)
    rules = _Rules(policy)
    decided = Decisions(fleet, ledger)
    found: dict[DeviceId, Reason] = {}
    for name in sorted(pending.devices):
        device, due = fleet.devices[name], pending.devices[name].due
        if not due:
            continue
        behind = fleet.nodes_behind(device)
        if any(item.update.needs_drain for item in due):
            lacking = [node.name for node in behind if node.name in gaps]
        else:
            blocked = rules.blocked(fleet.clusters[device.cluster].customer, [item.update for item in due])
            lacking = [node.name for node in behind if decided.missing(node, blocked)]
        if lacking:
            found[name] = _shared(name, lacking)
    return found


class Decisions:
    """The ledger asked by node: the last entry whose scope holds it decides."""

    def __init__(self, fleet: Fleet, ledger: Iterable[ConsentEntry]) -> None:
        self._fleet = fleet
        self._last: dict[tuple[str, ...], ConsentEntry] = {}
        for entry in sorted(ledger, key=lambda entry: entry.seq):
            self.add(entry)

    def add(self, entry: ConsentEntry) -> None:
        """Takes in a newer entry than all before."""
        key: tuple[str, ...] = (entry.scope.level, entry.scope.name)
        if entry.scope.level is ScopeLevel.RACK:  # the one name that is unique within a supercomputer only
            key += (entry.request,)
        self._last[key] = entry

    def entry(self, node: Node) -> ConsentEntry | None:
        """The entry that decides for `node`, or None when no scope given so far holds it."""
        supercomputer = self._fleet.clusters[node.cluster].supercomputer
        candidates = (
            self._last.get((ScopeLevel.SUPERCOMPUTER, supercomputer)),
            self._last.get((ScopeLevel.CLUSTER, node.cluster)),
            self._last.get((ScopeLevel.RACK, node.rack, request_id(supercomputer))),
            self._last.get((ScopeLevel.NODE, node.name)),
        )
        return max((entry for entry in candidates if entry), key=lambda entry: entry.seq, default=None)

    def missing(self, node: Node, updates: Iterable[UpdateId]) -> tuple[UpdateId, ...]:
        """Those of `updates` that no consent covers on `node`, sorted."""
        entry = self.entry(node)
        if entry is None or entry.verdict is Verdict.WITHDRAWN:
            return tuple(sorted(updates))
        return tuple(sorted(set(updates) - entry.updates))

    def why(self, node: Node, missing: Iterable[UpdateId]) -> Reason:
        """Why `missing` is missing on `node`, in words that fit all of its cluster that the same entry decides."""
        cluster = self._fleet.clusters[node.cluster]
        entry = self.entry(node)
        request = request_id(cluster.supercomputer)
        updates = ", ".join(missing)
        if entry is None:
            scope = f"cluster {node.cluster}"
            customer = cluster.customer
            return reason(Code.APPROVAL_MISSING, customer=customer, updates=updates, scope=scope, request=request)
        if entry.verdict is Verdict.WITHDRAWN:
            at = f"{entry.at:%Y-%m-%d %H:%MZ}"
            return reason(Code.APPROVAL_WITHDRAWN, actor=entry.actor, scope=entry.scope, at=at, request=request)
        return reason(
            Code.APPROVAL_OUTDATED,
            customer=cluster.customer,
            request=request,
            incarnation=entry.incarnation,
            updates=updates,
        )


def _own_gaps(fleet: Fleet, decided: Decisions, needed: Mapping[NodeId, set[UpdateId]]) -> dict[NodeId, Reason]:
    """Nodes of a cluster that lack something for the same cause share one sentence, which names all that they lack."""
    groups: dict[tuple[ClusterId, int | None], list[Node]] = defaultdict(list)
    lacking: dict[tuple[ClusterId, int | None], set[UpdateId]] = defaultdict(set)
    for name in sorted(needed):
        node = fleet.nodes[name]
        missing = decided.missing(node, needed[name])
        if missing:
            entry = decided.entry(node)
            cause = (node.cluster, entry.seq if entry else None)
            groups[cause].append(node)
            lacking[cause].update(missing)
    gaps: dict[NodeId, Reason] = {}
    for cause, nodes in groups.items():
        why = decided.why(nodes[0], sorted(lacking[cause]))
        gaps.update((node.name, why) for node in nodes)
    return gaps


class _Rules:
    """A policy asked many times: what each customer's rules block, worked out once per update."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[tuple[CustomerId, UpdateId], bool] = {}

    def blocks(self, customer: CustomerId, update: Update) -> bool:
        key = (customer, update.id)
        if key not in self._known:
            self._known[key] = self._policy.needs_approval(customer, update)
        return self._known[key]

    def blocked(self, customer: CustomerId, updates: Iterable[Update]) -> tuple[UpdateId, ...]:
        return tuple(update.id for update in updates if self.blocks(customer, update))


def _draining(pending: FleetPending) -> Mapping[DeviceId, tuple[Update, ...]]:
    """The due updates of every device that drains the nodes behind it: `pending.draining_devices`, asked from below."""
    found: dict[DeviceId, tuple[Update, ...]] = {}
    for name in sorted(pending.devices):
        updates = tuple(item.update for item in pending.devices[name].due)
        if any(update.needs_drain for update in updates):
            found[name] = updates
    return found


def _spread(gaps: Mapping[NodeId, Reason], behind: Mapping[DeviceId, tuple[Node, ...]]) -> dict[NodeId, Reason]:
    """The covered nodes that wait for others behind a device they share, however many devices away those are."""
    devices_of: dict[NodeId, list[DeviceId]] = defaultdict(list)
    for device, nodes in behind.items():
        for node in nodes:
            devices_of[node.name].append(device)
    waiting: dict[NodeId, Reason] = {}
    asked: set[DeviceId] = set()
    queue = deque(sorted(gaps))
    while queue:
        for device in devices_of[queue.popleft()]:
            if device in asked:
                continue
            asked.add(device)
            names = [node.name for node in behind[device]]
            lacking = [name for name in names if name in gaps or name in waiting]
            for name in names:
                if name not in gaps and name not in waiting:
                    waiting[name] = _shared(device, lacking)
                    queue.append(name)
    return waiting


def _shared(device: DeviceId, lacking: list[NodeId]) -> Reason:
    return reason(Code.SHARED_DEVICE_UNAPPROVED, device=device, nodes=len(lacking), example=lacking[0])
