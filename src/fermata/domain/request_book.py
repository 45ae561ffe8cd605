"""All requests of one moment: where each stands, how far consent reaches, which nodes orders keep for themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from fermata.domain.combining import Claim, Outcome, combine, why_held
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId, NodeId, OrderId, RequestId
from fermata.domain.policy import Policy
from fermata.domain.reasons import Reason
from fermata.domain.request_basis import Basis
from fermata.domain.request_evidence import Deployments, Ordered
from fermata.domain.request_kinds import SEQUENCE, RequestKind, request_id
from fermata.domain.request_standing import OnRecord, Standing, stand
from fermata.domain.request_states import Evidence, RequestState, derive
from fermata.domain.requests import Coverage, Request
from fermata.domain.work_orders import OrderDesk, OrderWord, Places, WorkOrder, list_open


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What becomes of work that arrives, on `nodes` of its nodes, because `request` of `kind` stands there in `state`.

    `order`: which of its orders, None for updates.
    """

    request: RequestId
    kind: RequestKind
    order: OrderId | None
    state: RequestState
    outcome: Outcome
    nodes: int


@dataclass(frozen=True, kw_only=True)
class RequestBook:
    """What all of it follows from. `orders`: all on record."""

    basis: Basis
    record: OnRecord
    orders: Mapping[OrderId, WorkOrder] = field(default_factory=dict)
    words: Sequence[OrderWord] = ()

    @property
    def fleet(self) -> Fleet:
        """Of the basis."""
        return self.basis.fleet

    @property
    def policy(self) -> Policy:
        """Of the basis."""
        return self.basis.policy

    @cached_property
    def deployments(self) -> Deployments:
        """Where updates stand. A node that an order keeps has no time to come, whatever a plan says."""
        return self.basis.deployments(replace(self.record, scheduled=self.record.scheduled - self.held().keys()))

    @cached_property
    def ordered(self) -> Ordered:
        """Where work orders stand."""
        desk = OrderDesk(places=Places(self.fleet), policy=self.policy, words=self.words)
        return Ordered(desk=desk, orders=self.orders, record=self.record)

    def weigh(self, request: Request, customer: CustomerId | None = None) -> Evidence:
        """What is on record of a request; of what concerns `customer`, if one is named."""
        weighs = self.deployments if request.kind is RequestKind.DEPLOYMENT else self.ordered
        return weighs.weigh(request, customer)

    def stand(self, request: Request) -> Standing:
        """Where a request stands, why, and what it needs next."""
        return stand(self.weigh(request), self.policy, self.record.now, request.kind)

    def stand_order(self, order: WorkOrder) -> Standing:
        """The same of one work order alone."""
        return stand(self.ordered.weigh_order(order), self.policy, self.record.now, order.kind)

    def cover(self, request: Request) -> tuple[Coverage, ...]:
        """How far consent reaches in each cluster that the request concerns."""
        if request.kind is RequestKind.DEPLOYMENT:
            clusters = self.basis.supercomputers.get(request.supercomputer, ())
            found = (self.basis.tally(name).coverage for name in clusters)
            return tuple(coverage for coverage in found if coverage is not None)
        gaps: dict[NodeId, Reason] = {}
        nodes: set[NodeId] = set()
        for shown in request.orders:
            heard = self.ordered.hear(self.orders[shown.id])
            nodes.update(heard.nodes)
            gaps = {**heard.gaps, **gaps}
        return tuple(self._cover(nodes, gaps))

    def _cover(self, nodes: Iterable[NodeId], gaps: Mapping[NodeId, Reason]) -> Iterable[Coverage]:
        by_cluster: dict[ClusterId, list[NodeId]] = defaultdict(list)
        for name in nodes:
            by_cluster[self.fleet.nodes[name].cluster].append(name)
        for cluster, members in sorted(by_cluster.items()):
            lacking = Counter(gaps[name] for name in members if name in gaps)
            missing = tuple(sorted(lacking.items(), key=lambda pair: (-pair[1], pair[0].sentence)))
            covered = len(members) - lacking.total()
            yield Coverage(cluster=cluster, nodes=len(members), covered=covered, missing=missing)

    @cached_property
    def claims(self) -> Mapping[NodeId, tuple[Claim, ...]]:
        """The open orders that concern each node, by when they were opened."""
        found: dict[NodeId, list[Claim]] = defaultdict(list)
        for order in list_open(self.orders.values()):
            state = derive(self.ordered.weigh_order(order), self.record.now)
            claim = Claim(name=order.id, kind=order.kind, state=state)
            for name in self.ordered.hear(order).nodes:
                found[name].append(claim)
        return {name: tuple(claims) for name, claims in found.items()}

    def held(self) -> dict[NodeId, Reason]:
        """Nodes on which no update may be planned or begun because of work orders, each with why."""
        found = ((name, why_held(name, RequestKind.DEPLOYMENT, claims)) for name, claims in self.claims.items())
        return {name: why for name, why in found if why is not None}

    def meet(self, kind: RequestKind, nodes: Iterable[Node], *, but: OrderId | None = None) -> tuple[Meeting, ...]:
        """What becomes of work of that kind that arrives for these nodes, by the requests that it meets there, in the
        order in which an outage does their work; `but`: the work order that it is itself.
        """
        met: Counter[tuple[RequestId, RequestKind, OrderId | None, RequestState]] = Counter()
        for node in nodes:
            supercomputer = self.fleet.clusters[node.cluster].supercomputer
            state = self.deployments.state_on(node)
            if state is not None:
                met[request_id(supercomputer), RequestKind.DEPLOYMENT, None, state] += 1
            for claim in self.claims.get(node.name, ()):
                if claim.name != but:
                    met[request_id(supercomputer, claim.kind), claim.kind, OrderId(claim.name), claim.state] += 1
        return tuple(
            Meeting(
                request=request,
                kind=standing,
                order=order,
                state=state,
                outcome=combine(kind, standing, state),
                nodes=number,
            )
            for (request, standing, order, state), number in sorted(met.items(), key=_by_turn)
        )


def _by_turn(pair: tuple[tuple[RequestId, RequestKind, OrderId | None, RequestState], int]) -> tuple[int, str]:
    request, kind, _, _ = pair[0]
    return SEQUENCE.index(kind), request
