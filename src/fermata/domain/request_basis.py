"""What requests follow from, worked out cluster by cluster: after a change only for the clusters that it touches."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar, cast

from fermata.domain.cluster_evidence import ClusterEvidence, Weighing
from fermata.domain.consent import Consent, hear_devices, hear_nodes
from fermata.domain.fleet import Device, Fleet, Node, Place, place_of, places_of
from fermata.domain.hearing import Desk, NodeSaid
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RequestId, SupercomputerId
from fermata.domain.layered import put
from fermata.domain.ledger import Decisions
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import ConsentEntry, Policy, ScopeLevel
from fermata.domain.reasons import Reason
from fermata.domain.request_evidence import Deployments
from fermata.domain.request_kinds import request_id
from fermata.domain.request_shares import ClusterShare, share_of
from fermata.domain.request_standing import OnRecord
from fermata.domain.requests import (
    Coverage,
    Request,
    build_deployment,
    clusters_by_supercomputer,
    cover_clusters,
    join_requests,
)
from fermata.domain.updates import Catalogue
from fermata.domain.work_orders import WorkOrder

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What policy and ledger say of all that is pending, and what each cluster adds to the evidence."""

    said: Mapping[NodeId, NodeSaid]
    consent: Consent
    device_gaps: Mapping[DeviceId, Reason]
    clusters: Mapping[ClusterId, ClusterEvidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of one cluster: how far consent reaches, None without nodes with work, and in how many racks those are."""

    coverage: Coverage | None
    racks: int


@dataclass(kw_only=True)
class Known:
    """What was worked out of a basis so far. `counted` of clusters: each with the evidence that it is of."""

    shares: dict[ClusterId, ClusterShare] = field(default_factory=dict)
    built: dict[SupercomputerId, Request] = field(default_factory=dict)
    judged: Judged | None = None
    counted: dict[tuple[str, ClusterId], tuple[ClusterEvidence, object]] = field(default_factory=dict)


class Basis:
    """A fleet with what is `pending` on it, the policy, and the ledger as `decided`. What follows is worked out when it
    is asked for, and remembered.
    """

    def __init__(
        self, fleet: Fleet, policy: Policy, pending: FleetPending, decided: Decisions, known: Known | None = None
    ) -> None:
        self.fleet = fleet
        self.policy = policy
        self.pending = pending
        self.decided = decided
        self.supercomputers = clusters_by_supercomputer(fleet)
        self._known = known or Known()

    def share(self, cluster: ClusterId) -> ClusterShare:
        """What `cluster` adds to the deployment of its supercomputer."""
        found = self._known.shares.get(cluster)
        if found is None:
            found = self._known.shares[cluster] = share_of(self.fleet, self.pending, cluster)
        return found

    @property
    def judged(self) -> Judged:
        """Of the whole fleet."""
        if self._known.judged is None:
            desk = Desk(self.fleet, self.policy, self.pending, self.decided)
            said = desk.say_all()
            consent = hear_nodes(desk, said)
            device_gaps = hear_devices(desk, consent.gaps, self.pending.devices)
            self._known.judged = self._weigh(said, consent, device_gaps, {}, self.fleet.clusters)
        return self._known.judged

    def once(self, what: str, cluster: ClusterId, count: Callable[[ClusterId], T]) -> T:
        """What is counted of a cluster, once for as long as nothing of it changes."""
        evidence = self.judged.clusters[cluster]
        of, found = self._known.counted.get((what, cluster), (None, None))
        if of is not evidence:
            found = count(cluster)
            self._known.counted[what, cluster] = (evidence, found)
        return cast(T, found)

    def tally(self, cluster: ClusterId) -> Tally:
        """How far consent reaches in a cluster."""
        return self.once("tally", cluster, self._tally)

    def _tally(self, cluster: ClusterId) -> Tally:
        working = self.judged.clusters[cluster].working
        covered = cover_clusters({cluster: working}, self.judged.consent.gaps)
        racks = len({self.fleet.nodes[name].rack for name in working})
        return Tally(coverage=covered[0] if covered else None, racks=racks)

    def requests(self, previous: Mapping[RequestId, Request], orders: Iterable[WorkOrder]) -> tuple[Request, ...]:
        """All requests, as `build_requests` finds them."""
        return join_requests(self.fleet, map(self._build, self.supercomputers), previous, orders)

    def deployments(self, record: OnRecord) -> Deployments:
        """Where updates stand."""
        return Deployments(
            supercomputers=self.supercomputers,
            weighing=self._weighing(self.judged.said, self.judged.consent, self.judged.device_gaps),
            clusters=self.judged.clusters,
            record=record,
        )

    def gaps_with(self, decided: Decisions, clusters: frozenset[ClusterId]) -> Mapping[NodeId, Reason]:
        """What nodes of these clusters would lack with another ledger."""
        near = tied_to(self.fleet, decided, clusters)
        part = FleetPending(
            nodes=_only(self.pending.nodes, _nodes_in(self.fleet, near)),
            devices=_only(self.pending.devices, _devices_in(self.fleet, near)),
            asked=self.pending.asked,
        )
        desk = Desk(self.fleet, self.policy, part, decided)
        nodes = [node for name in near for node in self.fleet.nodes_by_cluster[name]]
        return hear_nodes(desk, desk.say_all(nodes)).gaps

    def said_anew(self, policy: Policy, decided: Decisions) -> "Basis":
        """With another policy or ledger: the same is pending, and all is judged anew."""
        return Basis(self.fleet, policy, self.pending, decided, Known(shares=dict(self._known.shares)))

    def moved_on(
        self,
        catalogue: Catalogue,
        nodes: Mapping[NodeId, Node | None],
        devices: Mapping[DeviceId, Device | None],
    ) -> "Basis":
        """With these units as they are now, None for one that is gone; clusters and catalogue are the same. Equal to a
        basis made anew.
        """
        step = _Step(before=self.fleet, after=self.fleet.changed(nodes, devices), nodes=nodes, devices=devices)
        fleet, touched = step.after, step.touched
        changed = Fleet(clusters=fleet.clusters, nodes=_there(nodes), devices=_there(devices))
        fresh = find_pending(changed, catalogue)
        pending = FleetPending(
            nodes=_put(self.pending.nodes, nodes, fresh.nodes),
            devices=_put(self.pending.devices, devices, fresh.devices),
            asked=fresh.asked,
        )
        concerned = {fleet.clusters[name].supercomputer for name in touched}
        known = Known(
            shares={name: share for name, share in self._known.shares.items() if name not in touched},
            built={name: request for name, request in self._known.built.items() if name not in concerned},
            counted=dict(self._known.counted),
        )
        after = Basis(fleet, self.policy, pending, self.decided, known)
        if self._known.judged is not None:
            known.judged = after._judge_again(step, self._known.judged)
        return after

    def _judge_again(self, step: "_Step", before: Judged) -> Judged:
        """As before, but for what follows from the step to this fleet."""
        clusters = tied_to(self.fleet, self.decided, step.touched)
        members, were = _nodes_in(self.fleet, clusters), _nodes_in(step.before, clusters)
        part = FleetPending(
            nodes=_only(self.pending.nodes, members),
            devices=_only(self.pending.devices, _devices_in(self.fleet, clusters)),
            asked=self.pending.asked,
        )
        desk = Desk(self.fleet, self.policy, part, self.decided)
        near = step.nodes.keys() | step.nodes_behind()
        said = _put(before.said, near, desk.say_all(_only(self.fleet.nodes, near).values()))
        heard = hear_nodes(desk, _only(said, members))
        consent = Consent(
            gaps=_put(before.consent.gaps, were, heard.gaps),
            times=_put(before.consent.times, were, heard.times),
            companions=_put(before.consent.companions, were, heard.companions),
        )
        turned = heard.gaps.keys() ^ (before.consent.gaps.keys() & were)
        again = step.devices.keys() | step.devices_of(near | turned)
        device_gaps = _put(before.device_gaps, again, hear_devices(desk, consent.gaps, again))
        return self._weigh(said, consent, device_gaps, before.clusters, clusters)

    def _weigh(
        self,
        said: Mapping[NodeId, NodeSaid],
        consent: Consent,
        device_gaps: Mapping[DeviceId, Reason],
        known: Mapping[ClusterId, ClusterEvidence],
        clusters: Iterable[ClusterId],
    ) -> Judged:
        """`known`: of other clusters than these."""
        weighing = self._weighing(said, consent, device_gaps)
        found = {name: weighing.weigh(name, self.share(name).working) for name in clusters}
        return Judged(said=said, consent=consent, device_gaps=device_gaps, clusters={**known, **found})

    def _weighing(
        self, said: Mapping[NodeId, NodeSaid], consent: Consent, device_gaps: Mapping[DeviceId, Reason]
    ) -> Weighing:
        return Weighing(
            fleet=self.fleet,
            policy=self.policy,
            pending=self.pending,
            said=said,
            consent=consent,
            device_gaps=device_gaps,
        )

    def _build(self, supercomputer: SupercomputerId) -> Request:
        found = self._known.built.get(supercomputer)
        if found is None:
            shares = {name: self.share(name) for name in self.supercomputers[supercomputer]}
            found = self._known.built[supercomputer] = build_deployment(self.fleet, self.policy, supercomputer, shares)
        return found


@dataclass(frozen=True, kw_only=True)
class _Step:
    """From one fleet to the next: units as they are `after` it, None for one that is gone."""

    before: Fleet
    after: Fleet
    nodes: Mapping[NodeId, Node | None]
    devices: Mapping[DeviceId, Device | None]

    @property
    def touched(self) -> frozenset[ClusterId]:
        """Where these units are, or were."""
        nodes = {
            unit.cluster for fleet in (self.before, self.after) for unit in _only(fleet.nodes, self.nodes).values()
        }
        return frozenset(nodes | {place[0] for _, place in self._device_places()})

    def nodes_behind(self) -> set[NodeId]:
        """Nodes behind one of the devices, before or after."""
        return {node.name for fleet, place in self._device_places() for node in fleet.nodes_at(place)}

    def devices_of(self, nodes: AbstractSet[NodeId]) -> set[DeviceId]:
        """The shared devices that one of these nodes hangs on, before or after."""
        fleets = (self.before, self.after)
        places = {place for fleet in fleets for node in _only(fleet.nodes, nodes).values() for place in places_of(node)}
        return {device.name for fleet in fleets for place in places for device in fleet.devices_at(place)}

    def _device_places(self) -> list[tuple[Fleet, Place]]:
        fleets = (self.before, self.after)
        return [(fleet, place_of(d)) for fleet in fleets for d in _only(fleet.devices, self.devices).values()]


def found_basis(fleet: Fleet, catalogue: Catalogue, policy: Policy, ledger: Iterable[ConsentEntry]) -> Basis:
    """A basis made anew."""
    return Basis(fleet, policy, find_pending(fleet, catalogue), Decisions(fleet, ledger))


def tied_to(fleet: Fleet, decided: Decisions, clusters: frozenset[ClusterId]) -> frozenset[ClusterId]:
    """These clusters and all whose consent depends on theirs: approvals that hold only together with other nodes reach
    over a supercomputer, everything else over one cluster.
    """
    groups = [_clusters_near(fleet, entry) for entry in decided.companions]
    found = clusters
    while (more := found.union(*(group for group in groups if not group.isdisjoint(found)))) != found:
        found = more
    return found


def _clusters_near(fleet: Fleet, entry: ConsentEntry) -> frozenset[ClusterId]:
    """All that an entry with companions may speak of: the supercomputer of its request, and where its scope is now."""
    scope = entry.scope
    near = {c.name for c in fleet.clusters.values() if request_id(c.supercomputer) == entry.request}
    match scope.level:
        case ScopeLevel.SUPERCOMPUTER:
            near.update(c.name for c in fleet.clusters.values() if c.supercomputer == scope.name)
        case ScopeLevel.CLUSTER:
            near.add(ClusterId(scope.name))
        case ScopeLevel.NODE:
            near.update(node.cluster for node in (fleet.nodes.get(NodeId(scope.name)),) if node is not None)
        case ScopeLevel.GROUP:
            near.update((entry.place[0],) if entry.place is not None else ())
        case ScopeLevel.RACK:
            pass  # a word on a rack holds within its supercomputer
    return frozenset(near & fleet.clusters.keys())


def _nodes_in(fleet: Fleet, clusters: Iterable[ClusterId]) -> list[NodeId]:
    return [node for name in clusters for node in fleet.names_in(name)]


def _devices_in(fleet: Fleet, clusters: Iterable[ClusterId]) -> list[DeviceId]:
    return [device.name for name in clusters for device in fleet.devices_by_cluster[name]]


def _there(units: Mapping[K, V | None]) -> dict[K, V]:
    return {name: unit for name, unit in units.items() if unit is not None}


def _only(known: Mapping[K, V], names: Iterable[K]) -> dict[K, V]:
    return {name: known[name] for name in names if name in known}


def _put(known: Mapping[K, V], names: Iterable[K], fresh: Mapping[K, V]) -> Mapping[K, V]:
    """`fresh` in place of what was known of `names`."""
    return put(known, fresh, [name for name in names if name not in fresh])
