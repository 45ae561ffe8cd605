"""Blocked by default: which nodes consent covers for which updates and when, and what is missing otherwise."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.allowances import Allowance
from fermata.domain.fleet import Cluster, Fleet, Node, Role
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, SupercomputerId, UpdateId
from fermata.domain.notified import NotifiedTimes
from fermata.domain.pending import FleetPending
from fermata.domain.policy import AfterDue, ConsentEntry, Policy, ScopeLevel, Stance, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import request_id
from fermata.domain.updates import Update


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What may be touched, and when.

    `gaps`: every node with work whose consent is missing, with the reason; nodes that consent covers are absent.
    `times`: nodes that may be taken at some times only, those of every allowance; others may be at any time.
    """

    gaps: Mapping[NodeId, Reason]
    times: Mapping[NodeId, frozenset[Allowance]]


def find_consent(fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]) -> Consent:
    """Consent to all that is due.

    A node is covered when each due item of its own, and of each draining device it hangs on, is let through by its
    customer's policy or by the last ledger entry whose scope holds the node, and when all nodes behind those devices
    are covered too. Impactless work on a device keeps nodes from nothing (`device_gaps`), but what goes together
    goes at a time that is allowed for all of it.
    """
    desk = _Desk(fleet, policy, pending, ledger)
    draining = _draining(pending)
    behind = {name: fleet.nodes_behind(fleet.devices[name]) for name in draining}
    asked = {name: {item.update.id for item in unit.due} for name, unit in pending.nodes.items()}
    for device, updates in draining.items():
        for node in behind[device]:
            asked.setdefault(node.name, set()).update(updates)
    heard = {name: desk.hear(fleet.nodes[name], frozenset(updates)) for name, updates in asked.items()}
    gaps = _own_gaps(fleet, desk.decided, heard)
    return Consent(gaps=gaps | _spread(gaps, behind), times=_find_times(fleet, desk, pending, heard))


def consent_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[NodeId, Reason]:
    """The gaps of `find_consent`."""
    return find_consent(fleet, policy, pending, ledger).gaps


def device_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[DeviceId, Reason]:
    """Every shared device with due work that may not be touched yet, with the reason.

    Draining work waits until every node behind the device is covered entirely. Impactless work needs only its own
    updates let through on each node behind it, and its waiting does not keep those nodes from their own work.
    """
    gaps = consent_gaps(fleet, policy, pending, ledger)
    desk = _Desk(fleet, policy, pending, ledger)
    found: dict[DeviceId, Reason] = {}
    for name in sorted(pending.devices):
        due = pending.devices[name].due
        if not due:
            continue
        behind = fleet.nodes_behind(fleet.devices[name])
        if any(item.update.needs_drain for item in due):
            lacking = [node.name for node in behind if node.name in gaps]
        else:
            updates = frozenset(item.update.id for item in due)
            lacking = [node.name for node in behind if desk.hear(node, updates).is_lacking]
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


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What policy and ledger say of all work on one node. `missing`: updates that wait for an approval, sorted.
    `blocked`: updates that a rule keeps out whatever is approved, each with the rule. `untold`: updates that would
    proceed unapproved, had the customer been told of them.
    """

    missing: tuple[UpdateId, ...] = ()
    untold: tuple[UpdateId, ...] = ()
    blocked: tuple[tuple[UpdateId, str], ...] = ()
    allowances: frozenset[Allowance] = frozenset()

    @property
    def is_lacking(self) -> bool:
        return bool(self.missing or self.blocked or self.untold)


_Alike = tuple[CustomerId, SupercomputerId, frozenset[UpdateId], Role, tuple[int, ...], int | None]  # said the same of


class _Desk:
    """Policy and ledger asked many times: what is said is worked out once for all nodes alike to it."""

    def __init__(self, fleet: Fleet, policy: Policy, pending: FleetPending, ledger: Iterable[ConsentEntry]) -> None:
        self.decided = Decisions(fleet, ledger)
        self._fleet = fleet
        self._policy = policy
        units = {id(unit): unit for unit in (*pending.nodes.values(), *pending.devices.values())}
        self._updates = {item.update.id: item.update for unit in units.values() for item in unit.due}
        self._scopes = {
            name: tuple((i, rule.scope) for i, rule in enumerate(customer.rules) if rule.scope is not None)
            for name, customer in policy.customers.items()
        }
        self._notified = None if policy.notified is None else NotifiedTimes(policy.notified)
        self._heard: dict[_Alike, _Heard] = {}

    @property
    def may_bound_times(self) -> bool:
        """False when no policy lets anything through at some times only."""
        return any(
            customer.after_due is AfterDue.PROCEED or any(r.stance is Stance.ALLOW_IN_WINDOWS for r in customer.rules)
            for customer in self._policy.customers.values()
        )

    def hear(self, node: Node, updates: frozenset[UpdateId]) -> _Heard:
        """What is said of these updates on `node`."""
        cluster = self._fleet.clusters[node.cluster]
        places = tuple(i for i, scope in self._scopes.get(cluster.customer, ()) if scope.covers(node, cluster))
        entry = self.decided.entry(node)
        key = (cluster.customer, cluster.supercomputer, updates, node.role, places, entry.seq if entry else None)
        found = self._heard.get(key)
        if found is None:
            found = self._heard[key] = self._hear(node, cluster, updates, entry)
        return found

    def _hear(self, node: Node, cluster: Cluster, updates: frozenset[UpdateId], entry: ConsentEntry | None) -> _Heard:
        verdict = entry.verdict if entry is not None else None
        approved = entry.updates if entry is not None and verdict is Verdict.APPROVED else frozenset[UpdateId]()
        missing: list[UpdateId] = []
        untold: list[UpdateId] = []
        blocked: list[tuple[UpdateId, str]] = []
        allowances: set[Allowance] = set()
        for name in sorted(updates):
            update = self._updates[name]
            ruling = self._policy.judge_update(update, node, cluster)
            if ruling.stance is Stance.BLOCK:
                blocked.append((name, ruling.rule))
            elif ruling.stance is Stance.ALLOW or name in approved:
                continue
            elif ruling.stance is Stance.ALLOW_IN_WINDOWS:
                allowances.add(Allowance(windows=ruling.windows))
            elif verdict is not Verdict.WITHDRAWN and self._policy.proceeds(cluster.customer):
                windows = self._policy.customers[cluster.customer].windows
                over = self._notice_over(update, cluster)
                if over is None:
                    untold.append(name)
                else:
                    allowances.add(Allowance(windows=windows, not_before=over))
            else:
                missing.append(name)
        return _Heard(
            missing=tuple(missing), untold=tuple(untold), blocked=tuple(blocked), allowances=frozenset(allowances)
        )

    def _notice_over(self, update: Update, cluster: Cluster) -> datetime | None:
        """When unapproved work may begin: at its due date, and never before the customer knew of it for as long as was
        promised. None while it does not know.
        """
        due_at = self._policy.due_at(update)
        if self._notified is None:
            return due_at
        since = self._notified.since(cluster.customer, cluster.supercomputer, update.id, update.impact)
        return None if since is None else max(due_at, since + self._policy.promised(update))


def _own_gaps(fleet: Fleet, decided: Decisions, heard: Mapping[NodeId, _Heard]) -> dict[NodeId, Reason]:
    """Nodes of a cluster that lack something for the same cause share one sentence, which names all that they lack."""
    groups: dict[tuple[ClusterId, int | None], list[Node]] = defaultdict(list)
    lacking: dict[tuple[ClusterId, int | None], set[UpdateId]] = defaultdict(set)
    gaps: dict[NodeId, Reason] = {}
    for name in sorted(heard):
        node, said = fleet.nodes[name], heard[name]
        if said.blocked:
            gaps[name] = _say_blocked(fleet.clusters[node.cluster], said)
        elif said.untold and not said.missing:
            gaps[name] = _say_untold(fleet.clusters[node.cluster], said)
        elif said.missing:
            entry = decided.entry(node)
            cause = (node.cluster, entry.seq if entry else None)
            groups[cause].append(node)
            lacking[cause].update(said.missing)
    for cause, nodes in groups.items():
        why = decided.why(nodes[0], sorted(lacking[cause]))
        gaps.update((node.name, why) for node in nodes)
    return gaps


def _say_blocked(cluster: Cluster, said: _Heard) -> Reason:
    updates = ", ".join(update for update, _ in said.blocked)
    rules = ", ".join(sorted({rule for _, rule in said.blocked}))
    return reason(Code.POLICY_BLOCKS, customer=cluster.customer, rules=rules, updates=updates, cluster=cluster.name)


def _say_untold(cluster: Cluster, said: _Heard) -> Reason:
    customer, updates = cluster.customer, ", ".join(said.untold)
    return reason(Code.NOTICE_NOT_DELIVERED, customer=customer, updates=updates, cluster=cluster.name)


def _find_times(
    fleet: Fleet, desk: _Desk, pending: FleetPending, heard: Mapping[NodeId, _Heard]
) -> dict[NodeId, frozenset[Allowance]]:
    """When nodes may be taken, impactless work on devices they hang on included."""
    if not desk.may_bound_times:
        return {}
    found = {name: said.allowances for name, said in heard.items() if said.allowances}
    for name, unit in pending.devices.items():
        if any(item.update.needs_drain for item in unit.due):
            continue  # heard with the nodes behind
        updates = frozenset(item.update.id for item in unit.due)
        for node in fleet.nodes_behind(fleet.devices[name]):
            allowances = desk.hear(node, updates).allowances
            if allowances:
                found[node.name] = found.get(node.name, frozenset()) | allowances
    return found


def _draining(pending: FleetPending) -> Mapping[DeviceId, frozenset[UpdateId]]:
    """The due updates of every device that drains the nodes behind it: `pending.draining_devices`, asked from below."""
    found: dict[DeviceId, frozenset[UpdateId]] = {}
    for name in sorted(pending.devices):
        due = pending.devices[name].due
        if any(item.update.needs_drain for item in due):
            found[name] = frozenset(item.update.id for item in due)
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
