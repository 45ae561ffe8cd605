"""Policy and ledger asked about updates on nodes, many times: what is said is worked out once for all that is alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cached_property

from fermata.domain.allowances import Allowance
from fermata.domain.fleet import Cluster, Fleet, Node, Place, place_of, places_of
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.ledger import Decisions, approves, time_bounds
from fermata.domain.notified import NotifiedTimes
from fermata.domain.pending import FleetPending, UnitPending
from fermata.domain.policy import AfterDue, ConsentEntry, Policy, ScopeLevel, Stance, Verdict
from fermata.domain.updates import Stage, Update


@dataclass(frozen=True, kw_only=True)
class Heard:
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


class Lack(Enum):
    """What keeps an update that no approval lets through: a word, or the notice of it."""

    WORD = auto()
    NOTICE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSaid:
    """All that is said of the work on one node. `heard`: of what is done while it is out, None when it has no reason to
    be. `allowances`: when it may be taken, what goes along on devices that drain nobody included. `unanswered`: updates
    that its customer has to be asked about and has not approved, by id. `declined_until`: the end of a no that stands.
    """

    heard: Heard | None
    allowances: frozenset[Allowance]
    unanswered: tuple[Update, ...]
    declined_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Updates due at a place: on devices that drain the nodes there, and on each device that does not."""

    draining: frozenset[UpdateId] = frozenset()
    quiet: frozenset[frozenset[UpdateId]] = frozenset()


class Desk:
    """What is said of work on nodes. `decided` is the ledger, of this fleet or of any with the same clusters; `pending`
    has all updates that are asked about.
    """

    def __init__(self, fleet: Fleet, policy: Policy, pending: FleetPending, decided: Decisions) -> None:
        self.fleet = fleet
        self.policy = policy
        self.pending = pending
        self.decided = decided
        self._scopes = {
            name: tuple((i, rule.scope) for i, rule in enumerate(customer.rules) if rule.scope is not None)
            for name, customer in policy.customers.items()
        }
        self._notified = None if policy.notified is None else NotifiedTimes(policy.notified)
        self._heard: dict[object, Heard] = {}
        self._said: dict[object, NodeSaid] = {}
        self._due: dict[int, frozenset[UpdateId]] = {}  # by what is pending, which many units share
        self._works: dict[Place, _Work] = {}
        self._kinds_of_work: dict[frozenset[int], _Work] = {}  # by what is pending on the devices of a place
        self._heard_of_kind: dict[tuple[object, ...], Heard] = {}

    @cached_property
    def draining(self) -> Mapping[DeviceId, frozenset[UpdateId]]:
        """The due updates of every device that drains the nodes behind it, by name."""
        units = {id(unit): unit for unit in self.pending.devices.values()}
        due = {key: self.due(unit) for key, unit in units.items() if unit.drains}
        found = {name: due[id(unit)] for name, unit in self.pending.devices.items() if id(unit) in due}
        return dict(sorted(found.items()))

    @cached_property
    def behind(self) -> Mapping[DeviceId, tuple[Node, ...]]:
        """The nodes behind each of those."""
        return self.fleet.nodes_behind_each(self.draining)

    @cached_property
    def _updates(self) -> Mapping[UpdateId, Update]:
        units = {id(unit): unit for unit in (*self.pending.nodes.values(), *self.pending.devices.values())}
        return {item.update.id: item.update for unit in units.values() for item in unit.due}

    def due(self, unit: UnitPending) -> frozenset[UpdateId]:
        """The updates due on a unit."""
        found = self._due.get(id(unit))
        if found is None:
            found = self._due[id(unit)] = frozenset([item.update.id for item in unit.due])
        return found

    def say_all(self, nodes: Iterable[Node] | None = None) -> dict[NodeId, NodeSaid]:
        """What is said of those of `nodes` (None: of all) on which anything is pending, or on a device behind which
        they are.
        """
        if nodes is None:
            nodes = self._concerned()
        known: dict[tuple[object, ...], NodeSaid | None] = {}
        told: dict[NodeId, NodeSaid] = {}
        for node in nodes:
            if self._is_named(node):
                said = self._say(node)
            else:
                kind = self._kind(node)
                if kind not in known:
                    known[kind] = self._say(node)
                said = known[kind]
            if said is not None:
                told[node.name] = said
        return told

    def _kind(self, node: Node) -> tuple[object, ...]:
        """Equal for nodes of which the same is said, if nobody named them."""
        rack, unit, _ = places_of(node)
        due = self.pending.nodes.get(node.name)
        return node.cluster, node.role, id(due), id(self._work_at(rack)), id(self._work_at(unit))

    def _is_named(self, node: Node) -> bool:
        """True when the ledger or a rule may speak of it otherwise than of its cluster."""
        for names in (self.decided.narrow, self._ruled):
            if names and (node.name in names or node.rack in names or node.cluster in names):
                return True
        return False

    def _concerned(self) -> Iterable[Node]:
        """The nodes on which anything is pending, or on a device behind which they are."""
        known = self.fleet.nodes
        own = {name: known[name] for name in self.pending.nodes}
        if len(own) == len(known):
            return own.values()
        is_due = {id(unit): bool(unit.due) for unit in self.pending.devices.values()}
        places = {place_of(self.fleet.devices[name]) for name, u in self.pending.devices.items() if is_due[id(u)]}
        return {**own, **{n.name: n for place in places for n in self.fleet.nodes_at(place)}}.values()

    @cached_property
    def _ruled(self) -> frozenset[str]:
        """Nodes and racks that rules of customers name."""
        scopes = (scope for found in self._scopes.values() for _, scope in found)
        return frozenset(s.name for s in scopes if s.level in (ScopeLevel.NODE, ScopeLevel.RACK))

    def _say(self, node: Node) -> NodeSaid | None:
        unit = self.pending.nodes.get(node.name)
        rack, scalable_unit, cluster = [self._work_at(place) for place in places_of(node)]
        outage = self.due(unit) if unit is not None else frozenset()
        if rack.draining or scalable_unit.draining or cluster.draining:
            outage = outage.union(rack.draining, scalable_unit.draining, cluster.draining)
        quiet = rack.quiet | scalable_unit.quiet | cluster.quiet
        is_out = unit is not None or bool(outage)
        if not is_out and not quiet:
            return None
        standing = self.decided.standing(node)
        key = (outage, quiet, is_out, self._alike(node, standing))
        found = self._said.get(key)
        if found is None:
            asked = outage.union(*quiet)
            missing = (self._updates[name] for name in self.decided.missing(node, asked))
            on = self.fleet.clusters[node.cluster]
            heard = [self._hear(node, updates, outage, standing) for updates in (outage, *quiet)]
            found = self._said[key] = NodeSaid(
                heard=heard[0] if is_out else None,
                allowances=frozenset().union(*(each.allowances for each in heard)),
                unanswered=tuple(update for update in missing if self.policy.needs_asking(update, node, on)),
                declined_until=declined_until(standing[0]) if standing else None,
            )
        return found

    def _work_at(self, place: Place) -> _Work:
        found = self._works.get(place)
        if found is None:
            units = [self.pending.devices.get(device.name) for device in self.fleet.devices_at(place)]
            kinds = frozenset([id(unit) for unit in units if unit is not None])
            found = self._kinds_of_work.get(kinds)
            if found is None:
                known = [unit for unit in units if unit is not None and unit.due]
                found = self._kinds_of_work[kinds] = _Work(
                    draining=frozenset().union(*(self.due(unit) for unit in known if unit.drains)),
                    quiet=frozenset(self.due(unit) for unit in known if not unit.drains),
                )
            self._works[place] = found
        return found

    def hear(self, node: Node, updates: frozenset[UpdateId]) -> Heard:
        """What is said of these updates on `node`."""
        if self.decided.asks_together:
            unit = self.pending.nodes.get(node.name)
            outage = self.due(unit) if unit is not None else frozenset()
            outage = outage.union(*(self._work_at(place).draining for place in places_of(node)))
            return self._hear(node, updates, outage, self.decided.standing(node))
        if self._is_named(node):
            return self._hear(node, updates, frozenset(), self.decided.standing(node))
        kind = (self.decided.last, node.cluster, node.role, updates)
        found = self._heard_of_kind.get(kind)
        if found is None:
            found = self._heard_of_kind[kind] = self._hear(node, updates, frozenset(), self.decided.standing(node))
        return found

    def _hear(
        self,
        node: Node,
        updates: frozenset[UpdateId],
        outage: frozenset[UpdateId],
        standing: tuple[ConsentEntry, ...],
    ) -> Heard:
        """`outage`: what else is done while the node is out, which counts where an approval asks for it."""
        outage = updates | outage if self.decided.asks_together else updates
        key = (updates, outage, self._alike(node, standing))
        found = self._heard.get(key)
        if found is None:
            found = self._heard[key] = self._work_out(node, updates, outage, standing)
        return found

    def _alike(self, node: Node, standing: tuple[ConsentEntry, ...]) -> tuple[object, ...]:
        """Equal for nodes of which policy and ledger say the same."""
        cluster = self.fleet.clusters[node.cluster]
        scopes = self._scopes.get(cluster.customer, ())
        places = tuple([i for i, scope in scopes if scope.covers(node, cluster)]) if scopes else ()
        seqs = tuple([entry.seq for entry in standing])
        return cluster.customer, cluster.supercomputer, node.role, places, seqs

    def _work_out(
        self,
        node: Node,
        updates: frozenset[UpdateId],
        outage: frozenset[UpdateId],
        standing: tuple[ConsentEntry, ...],
    ) -> Heard:
        cluster = self.fleet.clusters[node.cluster]
        missing: dict[UpdateId, ConsentEntry | None] = {}
        untold: list[UpdateId] = []
        blocked: list[tuple[UpdateId, str]] = []
        allowances: set[Allowance] = set()
        entries: list[ConsentEntry] = []
        for name in sorted(updates):
            ruling = self.policy.judge_update(self._updates[name], node, cluster)
            entry = self.decided.pick(standing, name)
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
                if waits is Lack.WORD:
                    missing[name] = entry
                elif waits is Lack.NOTICE:
                    untold.append(name)
                else:
                    allowances.add(waits)
        cause = missing[min(missing)] if missing else None
        return Heard(
            missing=tuple(name for name, entry in missing.items() if entry is cause),
            cause=cause,
            untold=tuple(untold),
            blocked=tuple(blocked),
            allowances=frozenset(allowances),
            entries=tuple(dict.fromkeys(entries)),
        )

    def _wait(
        self, name: UpdateId, cluster: Cluster, windows: Allowance, stance: Stance, entry: ConsentEntry | None
    ) -> Allowance | Lack:
        """When an update that no approval lets through may go nevertheless, or what it lacks."""
        verdict = entry.verdict if entry is not None else None
        until = entry.until if entry is not None and verdict is Verdict.DECLINED else None
        if verdict is Verdict.OFFERED or self._updates[name].stage is Stage.FLIGHT_READY:  # no flight by silence
            return Lack.WORD
        if stance is Stance.ALLOW_IN_WINDOWS:
            return Allowance(windows=windows.windows, not_before=until)
        customer = self.policy.customers.get(cluster.customer)
        if customer is None or verdict is Verdict.WITHDRAWN:
            return Lack.WORD
        if entry is not None and until is not None and entry.then is not None:
            goes_on = entry.then is AfterDue.PROCEED and name in entry.updates
            return Allowance(windows=customer.windows, not_before=until) if goes_on else Lack.WORD
        if not self.policy.proceeds(cluster.customer):
            return Lack.WORD
        due = self._notice_over(self._updates[name], cluster)
        if due is None:
            return Lack.NOTICE
        return Allowance(windows=customer.windows, not_before=max(due, until) if until else due)

    def _notice_over(self, update: Update, cluster: Cluster) -> datetime | None:
        """When unapproved work may begin; None while its customer does not know of it."""
        return notice_over(self.policy, self._notified, update, cluster)


def notice_over(policy: Policy, told: NotifiedTimes | None, update: Update, cluster: Cluster) -> datetime | None:
    """When the time to choose is over: at the due date, and never before the customer knew of the update for as long as
    was promised. None while it does not know. `told` None: nobody keeps a record of that.
    """
    due_at = policy.due_at(update)
    if told is None:
        return due_at
    since = told.since(cluster.customer, cluster.supercomputer, update.id, update.impact)
    return None if since is None else max(due_at, since + policy.promised(update))


def declined_until(entry: ConsentEntry) -> datetime | None:
    """Until when an entry of the ledger says no; None when it says something else."""
    return entry.until if entry.verdict is Verdict.DECLINED else None
