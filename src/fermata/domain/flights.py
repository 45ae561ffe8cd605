"""Where flight-ready updates fly: on approved nodes whose every component is qualified, one at a time in each
supercomputer, and on no more nodes than its customer's policy says. Planner and conductor hear of it by `as_flown`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import ApprovalId, CustomerId, NodeId, SupercomputerId, UpdateId
from fermata.domain.ledger import Decisions, nodes_of
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Policy, Stance, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import NODE_TARGET, Catalogue, Flown, Stage, Update
from fermata.domain.versions import compare_versions, is_at_least, is_newer

Undone = Mapping[tuple[NodeId, UpdateId], datetime]  # when an update was last rolled back on a node, UTC
NEVER_UNDONE: Undone = {}


@dataclass(frozen=True, kw_only=True)
class Flight:
    """A flight that is approved somewhere in a supercomputer: where it flies, and why not on its other nodes.

    `nodes` and `grounded` share no node. `landed`: those of `nodes` that run it already. All ordered by name.
    """

    update: UpdateId
    supercomputer: SupercomputerId
    nodes: tuple[NodeId, ...]
    landed: tuple[NodeId, ...]
    grounded: Mapping[NodeId, Reason]


def as_flown(
    fleet: Fleet,
    catalogue: Catalogue,
    policy: Policy,
    ledger: Collection[ConsentEntry],
    undone: Undone = NEVER_UNDONE,
) -> Catalogue:
    """The catalogue with the flights that may fly; itself when nothing may."""
    nodes: dict[UpdateId, frozenset[NodeId]] = {}
    for flight in find_flights(fleet, catalogue, policy, ledger, undone):
        if flight.nodes:
            nodes[flight.update] = nodes.get(flight.update, frozenset()) | frozenset(flight.nodes)
    flights = tuple(Flown(update=name, nodes=nodes[name]) for name in sorted(nodes))
    return replace(catalogue, flights=flights) if flights else catalogue


def as_planned(catalogue: Catalogue, planned: Catalogue) -> Catalogue:
    """`catalogue` with the flights of a plan that was made from `planned`, as they were then: one that was promoted
    since is no work for the other nodes of its windows.
    """
    if not planned.flights:
        return catalogue
    then = {flown.update: planned.updates[flown.update] for flown in planned.flights}
    return replace(catalogue, updates={**catalogue.updates, **then}, flights=planned.flights)


def find_flights(
    fleet: Fleet,
    catalogue: Catalogue,
    policy: Policy,
    ledger: Collection[ConsentEntry],
    undone: Undone = NEVER_UNDONE,
) -> tuple[Flight, ...]:
    """Every flight that is approved on a node still, by supercomputer, then by the approval that came first."""
    named = [entry for entry in ledger if entry.flight is not None and _is_flight(catalogue, entry.flight)]
    if not named:
        return ()
    tower = _Tower(fleet, catalogue, policy, undone)
    decisions = Decisions(fleet, ledger)
    approved: dict[tuple[SupercomputerId, UpdateId], dict[NodeId, ConsentEntry]] = defaultdict(dict)
    for entry in sorted(named, key=lambda entry: entry.seq):
        assert entry.flight is not None
        for node in nodes_of(fleet, entry):
            given = decisions.is_approved(node, entry.flight)
            if given is not None and given.flight == entry.flight:
                approved[fleet.clusters[node.cluster].supercomputer, entry.flight][node.name] = given
    first: dict[SupercomputerId, UpdateId] = {}
    found = []
    for (supercomputer, name), nodes in approved.items():
        other = first.setdefault(supercomputer, name)
        if other == name:
            found.append(tower.clear(supercomputer, catalogue.updates[name], nodes))
        else:
            why = reason(Code.FLIGHT_OTHER, update=name, other=other)
            found.append(_ground(supercomputer, name, dict.fromkeys(nodes, why)))
    return tuple(sorted(found, key=lambda flight: flight.supercomputer))


def end_flight(
    fleet: Fleet, ledger: Collection[ConsentEntry], update: UpdateId, *, now: datetime, actor: str, why: str
) -> Iterator[ConsentEntry]:
    """For each approval of the flight that still holds somewhere, an entry that takes it back there, so that what is
    ripened anew is asked for anew. Their seqs follow on the ledger's, and their ids are made of these.
    """
    decisions = Decisions(fleet, ledger)
    seq = max((entry.seq for entry in ledger), default=0)
    for entry in sorted(ledger, key=lambda entry: entry.seq):
        if entry.flight != update or not any(decisions.is_approved(n, update) is entry for n in nodes_of(fleet, entry)):
            continue
        seq += 1
        yield replace(
            entry,
            seq=seq,
            id=ApprovalId(f"apr_flight_over_{seq}"),
            updates=frozenset({update}),
            verdict=Verdict.WITHDRAWN,
            actor=actor,
            at=now,
            reason=why,
            excluded=frozenset(),
            is_part=True,
            flight=None,
            conditions=NO_CONDITIONS,
        )


def find_unqualified(catalogue: Catalogue, node: Node, cluster: Cluster) -> tuple[str, ...]:
    """The components of a node whose version is not known to be qualified for production, sorted.

    A version is not qualified while it is unknown, while only updates bring it that are not production-ready, or when
    none brings it and it is newer than all that production-ready ones bring: what nodes came with was never an update.
    """
    return tuple(
        component
        for component, version in sorted(node.versions.items())
        if not _is_qualified(catalogue, cluster, component, version)
    )


def _is_qualified(catalogue: Catalogue, cluster: Cluster, component: str, version: str) -> bool:
    if not version:
        return False
    bring = [
        update
        for update in catalogue.updates.values()
        if (update.target, update.component) == (NODE_TARGET, component) and _is_for(update, cluster)
    ]
    same = [update for update in bring if compare_versions(update.to_version, version) == 0]
    if same:
        return any(update.stage is Stage.PRODUCTION_READY for update in same)
    ready = [update.to_version for update in bring if update.stage is Stage.PRODUCTION_READY]
    return not ready or any(is_at_least(newer, version) for newer in ready)


def find_offered(catalogue: Catalogue, fleet: Fleet, nodes: Iterable[Node]) -> tuple[Update, ...]:
    """Flights of nodes' own components that there is something to try of on at least one of these nodes, by id. Whether
    one may fly there is another question: that is asked when it is approved, and as long as it flies.
    """
    kinds = {(node.cluster, component, version) for node in nodes for component, version in node.versions.items()}
    return tuple(
        update
        for name, update in sorted(catalogue.updates.items())
        if (update.stage, update.target) == (Stage.FLIGHT_READY, NODE_TARGET)
        and any(
            component == update.component
            and version
            and update.applies_to.covers(fleet.clusters[cluster], version)
            and is_newer(update.to_version, version)
            for cluster, component, version in kinds
        )
    )


def _is_for(update: Update, cluster: Cluster) -> bool:
    """True when the update is for the cluster, whatever its units report."""
    return update.applies_to.covers(cluster, next(iter(update.applies_to.from_versions), ""))


def _is_flight(catalogue: Catalogue, name: UpdateId) -> bool:
    update = catalogue.updates.get(name)
    return update is not None and update.stage is Stage.FLIGHT_READY


def _ground(supercomputer: SupercomputerId, name: UpdateId, why: Mapping[NodeId, Reason]) -> Flight:
    return Flight(update=name, supercomputer=supercomputer, nodes=(), landed=(), grounded=dict(sorted(why.items())))


@dataclass(frozen=True)
class _Tower:
    """Who gives clearance. What was rolled back flies again on the word of an approval that came after."""

    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    undone: Undone

    def clear(self, supercomputer: SupercomputerId, update: Update, given: Mapping[NodeId, ConsentEntry]) -> Flight:
        """Where the update flies, of the nodes on which it is approved."""
        grounded: dict[NodeId, Reason] = {}
        for name in sorted(given):
            why = self._judge(update, self.fleet.nodes[name], given[name])
            if why is not None:
                grounded[name] = why
        taken: set[NodeId] = set()
        used: Counter[CustomerId] = Counter()
        for unit in self._list_units(update, given, grounded):
            fresh = [node for node in unit if node.name not in taken]
            full = self._find_full(used, fresh)
            if full is not None:
                grounded.update((node.name, self._say_full(update, full)) for node in fresh)
                continue
            used.update(self._customer(node) for node in fresh)
            taken.update(node.name for node in fresh)
        nodes = tuple(sorted(taken))
        return Flight(
            update=update.id,
            supercomputer=supercomputer,
            nodes=nodes,
            landed=tuple(name for name in nodes if self._runs(update, self.fleet.nodes[name])),
            grounded={name: why for name, why in sorted(grounded.items()) if name in given},
        )

    def _judge(self, update: Update, node: Node, given: ConsentEntry) -> Reason | None:
        """Why the update does not fly on the node for its own sake, or None."""
        cluster = self.fleet.clusters[node.cluster]
        holder = self.policy.customers.get(cluster.customer)
        roles = holder.flighting.allowed_roles if holder is not None else frozenset[str]()
        if node.role not in roles:
            told = " or ".join(sorted(roles)) or "none"
            return reason(
                Code.FLIGHT_ROLE,
                node=node.name,
                role=node.role,
                customer=cluster.customer,
                roles=told,
                update=update.id,
            )
        ruling = self.policy.judge_update(update, node, cluster)
        if ruling.stance is Stance.BLOCK:
            fields = {"customer": cluster.customer, "rules": ruling.rule, "updates": update.id, "cluster": cluster.name}
            return reason(Code.POLICY_BLOCKS, **fields)
        at = self.undone.get((node.name, update.id))
        if at is not None and at >= given.at:
            return reason(Code.FLIGHT_UNDONE, update=update.id, node=node.name, at=f"{at:%Y-%m-%d %H:%MZ}")
        if self._runs(update, node):
            return None
        return self._judge_versions(update, node, cluster)

    def _judge_versions(self, update: Update, node: Node, cluster: Cluster) -> Reason | None:
        if not self._applies(update, node, cluster):
            return reason(Code.FLIGHT_NOT_FOR, update=update.id, node=node.name)
        silent = [component for component, version in sorted(node.versions.items()) if not version]
        if silent:
            return reason(Code.VERSION_UNKNOWN, unit=node.name, components=", ".join(silent))
        lacking = find_unqualified(self.catalogue, node, cluster)
        if lacking:
            told = ", ".join(f"{component} {node.versions[component]}" for component in lacking)
            return reason(Code.FLIGHT_UNQUALIFIED, update=update.id, node=node.name, versions=told)
        return None

    def _applies(self, update: Update, node: Node, cluster: Cluster) -> bool:
        reports = [node.versions.get(update.component)] if update.target == NODE_TARGET else self._devices(update, node)
        return any(version is not None and update.applies_to.covers(cluster, version) for version in reports)

    def _runs(self, update: Update, node: Node) -> bool:
        """True when nothing is left to do there."""
        own = [node.versions.get(update.component, "")] if update.target == NODE_TARGET else self._devices(update, node)
        return bool(own) and all(is_at_least(version, update.to_version) for version in own)

    def _devices(self, update: Update, node: Node) -> list[str]:
        """What the devices report that the update is for and that the node hangs on."""
        devices = self.fleet.devices_of(node)
        return [d.version for d in devices if (d.kind, d.component) == (update.target, update.component)]

    def _list_units(
        self, update: Update, given: Mapping[NodeId, ConsentEntry], grounded: dict[NodeId, Reason]
    ) -> Iterator[tuple[Node, ...]]:
        """Nodes that fly together or not at all, those first that run it already: each alone, or all behind a device.
        Where one behind a device is missing, the others are grounded.
        """
        nodes = [self.fleet.nodes[name] for name in sorted(given) if name not in grounded]
        nodes.sort(key=lambda node: not self._runs(update, node))
        if update.target == NODE_TARGET:
            yield from ((node,) for node in nodes)
            return
        seen: set[str] = set()
        for device in (device for node in nodes for device in self.fleet.devices_of(node)):
            if (device.kind, device.component) != (update.target, update.component) or device.name in seen:
                continue
            seen.add(device.name)
            behind = self.fleet.nodes_behind(device)
            missing = sorted(node.name for node in behind if node.name not in given or node.name in grounded)
            if not missing:
                yield behind
                continue
            why = reason(
                Code.FLIGHT_SHARED, update=update.id, device=device.name, nodes=len(missing), example=missing[0]
            )
            grounded.update((node.name, why) for node in behind if node.name not in grounded)

    def _find_full(self, used: Mapping[CustomerId, int], nodes: Iterable[Node]) -> CustomerId | None:
        """The first customer whose policy has no room for all of these, too."""
        more = Counter(self._customer(node) for node in nodes)
        return next((name for name in sorted(more) if used.get(name, 0) + more[name] > self._most(name)), None)

    def _say_full(self, update: Update, customer: CustomerId) -> Reason:
        return reason(Code.FLIGHT_FULL, customer=customer, most=self._most(customer), update=update.id)

    def _most(self, customer: CustomerId) -> int:
        holder = self.policy.customers.get(customer)
        return holder.flighting.max_nodes if holder is not None else 0

    def _customer(self, node: Node) -> CustomerId:
        return self.fleet.clusters[node.cluster].customer
