"""Blocked by default: which nodes consent covers for which updates and when, and what is missing otherwise."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from fermata.domain.allowances import Allowance, covers
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.ledger import Decisions, approves, nodes_in, say_missing, time_bounds
from fermata.domain.notified import NotifiedTimes
from fermata.domain.pending import FleetPending
from fermata.domain.policy import NO_CONDITIONS, AfterDue, ConsentEntry, Policy, Stance, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Update
from fermata.domain.windows import Interval


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What may be touched, and when.

    `gaps`: every node with work whose consent is missing, with the reason; nodes that consent covers are absent.
    `times`: nodes that may be taken at some times only, those of every allowance; others may be at any time.
    `companions`: nodes that may be taken only in a window that takes all of these others, too.
    """

    gaps: Mapping[NodeId, Reason]
    times: Mapping[NodeId, frozenset[Allowance]]
    companions: Mapping[NodeId, frozenset[NodeId]]


def find_consent(fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]) -> Consent:
    """Consent to all that is due.

    A node is covered when each due item of its own, and of each draining device it hangs on, is let through by its
    customer's policy or by the last ledger entry that holds the node and speaks of the item, and when all nodes behind
    those devices are covered too, and all that were to go with it. Impactless work on a device keeps nodes from nothing
    (`device_gaps`), but what goes together goes at a time that is allowed for all of it.
    """
    return _find(_Desk(fleet, policy, pending, ledger))


def consent_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[NodeId, Reason]:
    """The gaps of `find_consent`."""
    return find_consent(fleet, policy, pending, ledger).gaps


def device_gaps(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    ledger: tuple[ConsentEntry, ...],
    consent: Consent | None = None,
) -> Mapping[DeviceId, Reason]:
    """Every shared device with due work that may not be touched yet, with the reason. `consent`: what `find_consent`
    says of the same, if it was asked.

    Draining work waits until every node behind the device is covered entirely. Impactless work needs only its own
    updates let through on each node behind it, and its waiting does not keep those nodes from their own work.
    """
    desk = _Desk(fleet, policy, pending, ledger)
    gaps = (consent or _find(desk)).gaps
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


def find_free(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    ledger: tuple[ConsentEntry, ...],
    wanted: Mapping[NodeId, frozenset[UpdateId]],
    span: Interval,
) -> Mapping[NodeId, frozenset[UpdateId]]:
    """Of the updates wanted on each node, those that may be done by themselves at any time of `span`; nodes without any
    are absent. An approval that ties nodes or updates together, or counts nodes a day, speaks of outages: what it lets
    through waits for one.
    """
    desk = _Desk(fleet, policy, pending, ledger)
    found: dict[NodeId, frozenset[UpdateId]] = {}
    for name, updates in wanted.items():
        heard = {update: desk.hear(fleet.nodes[name], frozenset({update})) for update in updates}
        free = frozenset(update for update, said in heard.items() if not said.is_lacking and said.is_free_over(span))
        if free:
            found[name] = free
    return found


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What policy and ledger say of all work on one node. `missing`: updates that wait for an approval, sorted.
    `cause`: the entry that decides about them, None when nobody spoke of them. `untold`: updates that would proceed
    unapproved, had the customer been told of them. `blocked`: updates that a rule keeps out whatever is approved, each
    with the rule. `entries`: approvals that let something through.
    """

    missing: tuple[UpdateId, ...] = ()
    cause: ConsentEntry | None = None
    untold: tuple[UpdateId, ...] = ()
    blocked: tuple[tuple[UpdateId, str], ...] = ()
    allowances: frozenset[Allowance] = frozenset()
    entries: tuple[ConsentEntry, ...] = ()

    @property
    def is_lacking(self) -> bool:
        return bool(self.missing or self.blocked or self.untold)

    def is_free_over(self, span: Interval) -> bool:
        """True when what was let through may be done at any time of `span`, by itself."""
        tied = any(
            entry.conditions.with_scope or entry.conditions.with_updates or entry.conditions.nodes_per_day
            for entry in self.entries
        )
        return not tied and covers(self.allowances, span)


class _Lack(Enum):
    """What keeps an update that no approval lets through: a word, or the notice of it."""

    WORD = auto()
    NOTICE = auto()


class _Desk:
    """Policy and ledger asked many times: what is said is worked out once for all nodes alike to it."""

    def __init__(self, fleet: Fleet, policy: Policy, pending: FleetPending, ledger: Iterable[ConsentEntry]) -> None:
        known = tuple(ledger)
        self.fleet = fleet
        self.pending = pending
        self._decided = Decisions(fleet, known)
        self._policy = policy
        units = {id(unit): unit for unit in (*pending.nodes.values(), *pending.devices.values())}
        self._updates = {item.update.id: item.update for unit in units.values() for item in unit.due}
        self._scopes = {
            name: tuple((i, rule.scope) for i, rule in enumerate(customer.rules) if rule.scope is not None)
            for name, customer in policy.customers.items()
        }
        self._notified = None if policy.notified is None else NotifiedTimes(policy.notified)
        self._heard: dict[object, _Heard] = {}
        draining = _draining(pending)
        self.behind = {name: fleet.nodes_behind(fleet.devices[name]) for name in draining}
        self.asked = {name: frozenset(item.update.id for item in unit.due) for name, unit in pending.nodes.items()}
        added: dict[NodeId, set[UpdateId]] = defaultdict(set)
        for device, updates in draining.items():
            for node in self.behind[device]:
                added[node.name] |= updates
        for name, more in added.items():
            self.asked[name] = self.asked.get(name, frozenset()) | more
        conditions = [entry.conditions for entry in known if entry.conditions != NO_CONDITIONS]
        self._asks_together = any(each.with_updates for each in conditions)
        self.asks_companions = any(each.with_scope for each in conditions)
        self.may_bound_times = (
            any(time_bounds(each) for each in conditions)
            or any(entry.until for entry in known)
            or any(
                c.after_due is AfterDue.PROCEED or any(r.stance is Stance.ALLOW_IN_WINDOWS for r in c.rules)
                for c in policy.customers.values()
            )
        )

    def hear(self, node: Node, updates: frozenset[UpdateId]) -> _Heard:
        """What is said of these updates on `node`."""
        cluster = self.fleet.clusters[node.cluster]
        places = tuple(i for i, scope in self._scopes.get(cluster.customer, ()) if scope.covers(node, cluster))
        standing = self._decided.standing(node)
        outage = updates | self.asked.get(node.name, frozenset()) if self._asks_together else updates
        key = (
            cluster.customer,
            cluster.supercomputer,
            updates,
            outage,
            node.role,
            places,
            tuple([entry.seq for entry in standing]),
        )
        found = self._heard.get(key)
        if found is None:
            found = self._heard[key] = self._hear(node, cluster, updates, outage, standing)
        return found

    def _hear(
        self,
        node: Node,
        cluster: Cluster,
        updates: frozenset[UpdateId],
        outage: frozenset[UpdateId],
        standing: tuple[ConsentEntry, ...],
    ) -> _Heard:
        missing: dict[UpdateId, ConsentEntry | None] = {}
        untold: list[UpdateId] = []
        blocked: list[tuple[UpdateId, str]] = []
        allowances: set[Allowance] = set()
        entries: list[ConsentEntry] = []
        for name in sorted(updates):
            ruling = self._policy.judge_update(self._updates[name], node, cluster)
            entry = self._decided.pick(standing, name)
            if ruling.stance is Stance.BLOCK:
                blocked.append((name, ruling.rule))
            elif ruling.stance is Stance.ALLOW:
                continue
            elif (
                entry is not None
                and approves(entry, name)
                and entry.conditions.with_updates <= outage | self.pending.asked
            ):
                entries.append(entry)
                bounds = time_bounds(entry.conditions)
                allowances.update((bounds,) if bounds is not None else ())
            else:
                waits = self._wait(name, cluster, Allowance(windows=ruling.windows), ruling.stance, entry)
                if waits is _Lack.WORD:
                    missing[name] = entry
                elif waits is _Lack.NOTICE:
                    untold.append(name)
                else:
                    allowances.add(waits)
        cause = missing[min(missing)] if missing else None
        return _Heard(
            missing=tuple(name for name, entry in missing.items() if entry is cause),
            cause=cause,
            untold=tuple(untold),
            blocked=tuple(blocked),
            allowances=frozenset(allowances),
            entries=tuple(dict.fromkeys(entries)),
        )

    def _wait(
        self, name: UpdateId, cluster: Cluster, windows: Allowance, stance: Stance, entry: ConsentEntry | None
    ) -> Allowance | _Lack:
        """When an update that no approval lets through may go nevertheless, or what it lacks."""
        verdict = entry.verdict if entry is not None else None
        until = entry.until if entry is not None and verdict is Verdict.DECLINED else None
        if verdict is Verdict.OFFERED:
            return _Lack.WORD
        if stance is Stance.ALLOW_IN_WINDOWS:
            return Allowance(windows=windows.windows, not_before=until)
        customer = self._policy.customers.get(cluster.customer)
        if customer is None or verdict is Verdict.WITHDRAWN:
            return _Lack.WORD
        if entry is not None and until is not None and entry.then is not None:
            goes_on = entry.then is AfterDue.PROCEED and name in entry.updates
            return Allowance(windows=customer.windows, not_before=until) if goes_on else _Lack.WORD
        if not self._policy.proceeds(cluster.customer):
            return _Lack.WORD
        due = self._notice_over(self._updates[name], cluster)
        if due is None:
            return _Lack.NOTICE
        return Allowance(windows=customer.windows, not_before=max(due, until) if until else due)

    def _notice_over(self, update: Update, cluster: Cluster) -> datetime | None:
        """When unapproved work may begin: at its due date, and never before the customer knew of it for as long as was
        promised. None while it does not know.
        """
        due_at = self._policy.due_at(update)
        if self._notified is None:
            return due_at
        since = self._notified.since(cluster.customer, cluster.supercomputer, update.id, update.impact)
        return None if since is None else max(due_at, since + self._policy.promised(update))


def _find(desk: _Desk) -> Consent:
    fleet = desk.fleet
    heard = {name: desk.hear(fleet.nodes[name], updates) for name, updates in desk.asked.items()}
    gaps = _own_gaps(fleet, heard)
    tied = _find_companions(desk, heard) if desk.asks_companions else ()
    found = gaps | _spread(gaps, desk.behind)
    while fresh := _missing_companions(tied, found):
        found |= fresh
        found |= _spread(found, desk.behind)
    companions: dict[NodeId, frozenset[NodeId]] = {}
    for tie in tied:
        for name in tie.nodes:
            companions[name] = companions.get(name, frozenset()) | tie.others
    return Consent(gaps=found, times=_find_times(desk, heard), companions=companions)


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """`nodes` go only with all of `others`, as `entry` says."""

    entry: ConsentEntry
    nodes: tuple[NodeId, ...]
    others: frozenset[NodeId]


def _find_companions(desk: _Desk, heard: Mapping[NodeId, _Heard]) -> tuple[_Tie, ...]:
    by_entry: dict[int, list[NodeId]] = defaultdict(list)
    entries: dict[int, ConsentEntry] = {}
    for name in sorted(heard):
        for entry in heard[name].entries:
            if entry.conditions.with_scope is not None:
                entries[entry.seq] = entry
                by_entry[entry.seq].append(name)
    return tuple(
        _Tie(
            entry=entry,
            nodes=tuple(by_entry[seq]),
            others=frozenset(
                node.name
                for node in nodes_in(desk.fleet, entry.conditions.with_scope, entry.request)
                if node.name in desk.asked
            ),
        )
        for seq, entry in sorted(entries.items())
        if entry.conditions.with_scope is not None
    )


def _missing_companions(ties: Iterable[_Tie], gaps: Mapping[NodeId, Reason]) -> dict[NodeId, Reason]:
    """Nodes without a gap that wait for others which have one."""
    found: dict[NodeId, Reason] = {}
    for tie in ties:
        lacking = sorted(name for name in tie.others if name in gaps)
        waiting = [name for name in tie.nodes if name not in gaps] if lacking else []
        if waiting:
            why = reason(
                Code.COMPANIONS_MISSING,
                actor=tie.entry.actor,
                scope=tie.entry.scope,
                other=tie.entry.conditions.with_scope,
                nodes=len(lacking),
                example=lacking[0],
            )
            found.update((name, why) for name in waiting)
    return found


def _own_gaps(fleet: Fleet, heard: Mapping[NodeId, _Heard]) -> dict[NodeId, Reason]:
    """Nodes of a cluster that lack something for the same cause share one sentence, which names all that they lack."""
    groups: dict[tuple[ClusterId, int | None], list[Node]] = defaultdict(list)
    lacking: dict[tuple[ClusterId, int | None], set[UpdateId]] = defaultdict(set)
    causes: dict[tuple[ClusterId, int | None], ConsentEntry | None] = {}
    gaps: dict[NodeId, Reason] = {}
    for name in sorted(heard):
        node, said = fleet.nodes[name], heard[name]
        if said.blocked:
            gaps[name] = _say_blocked(fleet.clusters[node.cluster], said)
        elif said.untold and not said.missing:
            gaps[name] = _say_untold(fleet.clusters[node.cluster], said)
        elif said.missing:
            key = (node.cluster, said.cause.seq if said.cause else None)
            causes[key] = said.cause
            groups[key].append(node)
            lacking[key].update(said.missing)
    for key, nodes in groups.items():
        why = say_missing(fleet, nodes[0], lacking[key], causes[key])
        gaps.update((node.name, why) for node in nodes)
    return gaps


def _say_blocked(cluster: Cluster, said: _Heard) -> Reason:
    updates = ", ".join(update for update, _ in said.blocked)
    rules = ", ".join(sorted({rule for _, rule in said.blocked}))
    return reason(Code.POLICY_BLOCKS, customer=cluster.customer, rules=rules, updates=updates, cluster=cluster.name)


def _say_untold(cluster: Cluster, said: _Heard) -> Reason:
    customer, updates = cluster.customer, ", ".join(said.untold)
    return reason(Code.NOTICE_NOT_DELIVERED, customer=customer, updates=updates, cluster=cluster.name)


def _find_times(desk: _Desk, heard: Mapping[NodeId, _Heard]) -> dict[NodeId, frozenset[Allowance]]:
    """When nodes may be taken, impactless work on devices they hang on included."""
    if not desk.may_bound_times:
        return {}
    found = {name: said.allowances for name, said in heard.items() if said.allowances}
    for name, unit in desk.pending.devices.items():
        if any(item.update.needs_drain for item in unit.due):
            continue  # heard with the nodes behind
        updates = frozenset(item.update.id for item in unit.due)
        for node in desk.fleet.nodes_behind(desk.fleet.devices[name]):
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
