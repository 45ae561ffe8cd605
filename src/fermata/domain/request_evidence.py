"""What is on record of requests, counted for their states: of deployments, and of work orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from fermata.domain.cluster_evidence import ClusterEvidence, Weighing
from fermata.domain.fleet import Node
from fermata.domain.ids import ClusterId, CustomerId, OrderId, SupercomputerId
from fermata.domain.request_standing import OnRecord
from fermata.domain.request_states import Evidence, RequestState
from fermata.domain.requests import Request
from fermata.domain.work_orders import OrderConsent, OrderDesk, WorkOrder


@dataclass(frozen=True, kw_only=True)
class Deployments:
    """Evidence of deployments: `clusters` put together by the supercomputers that they are of."""

    supercomputers: Mapping[SupercomputerId, Sequence[ClusterId]]
    weighing: Weighing
    clusters: Mapping[ClusterId, ClusterEvidence]
    record: OnRecord

    def weigh(self, request: Request, customer: CustomerId | None = None) -> Evidence:
        """Evidence of one deployment request; of what concerns `customer`, if one is named."""
        names = self.supercomputers.get(request.supercomputer, ())
        if customer is not None:
            names = [name for name in names if self.weighing.fleet.clusters[name].customer == customer]
        found = [self.clusters[name] for name in names]
        units = sum(len(each.ready) + each.lacking for each in found)
        lacking, going = sum(each.lacking for each in found), sum(each.proceeding for each in found)
        noes = [each.declined_until for each in found if each.declined_until is not None]
        all_declined = sum(each.declined for each in found) == sum(each.own for each in found)
        fleet = self.weighing.fleet
        waiting = [(fleet.clusters[name].customer, self.clusters[name]) for name in names]
        ends = _first_ends((customer, each.due_at) for customer, each in waiting)
        return Evidence(
            is_open=request.is_open,
            units=units,
            approved=units - lacking - going,
            proceeding=going,
            scheduled=sum(len(each.ready & self.record.scheduled) for each in found),
            in_work=sum(len(each.members & self.record.in_work) for each in found),
            dated=min((each.dated for each in found if each.dated is not None), default=None),
            due_at=min(ends.values(), default=None),
            ends=tuple(ends.items()),
            notified_at=self.record.notified.get(request.id),
            declined_until=min(noes) if noes and all_declined else None,
            waits_for=tuple(sorted({customer for customer, each in waiting if each.is_waiting})),
            ended=self.record.ended.get(request.id, RequestState.COMPLETED),
        )

    def state_on(self, node: Node) -> RequestState | None:
        """Where the deployment stands on one node; None when nothing is due there."""
        if node.name in self.record.in_work:
            return RequestState.IN_PROGRESS
        if node.name not in self.clusters[node.cluster].working:
            return None
        if node.name in self.weighing.consent.gaps or self.weighing.not_before(node.name) is not None:
            return RequestState.PENDING
        return RequestState.SCHEDULED if node.name in self.record.scheduled else RequestState.APPROVED


def _first_ends(found: Iterable[tuple[CustomerId, datetime | None]]) -> dict[CustomerId, datetime]:
    """By customer, when its time to choose is over for the first of what it was told of."""
    ends: dict[CustomerId, datetime] = {}
    for customer, at in sorted((customer, at) for customer, at in found if at is not None):
        ends.setdefault(customer, at)
    return ends


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """Evidence of work orders. `orders`: all on record, by id, those that are over included."""

    desk: OrderDesk
    orders: Mapping[OrderId, WorkOrder]
    record: OnRecord

    def weigh(self, request: Request, customer: CustomerId | None = None) -> Evidence:
        """Evidence of one request that asks for work orders; of the nodes of `customer`, if one is named. A node counts
        as let go when all its orders are.
        """
        found = [self.orders[order.id] for order in request.orders if customer is None or customer in order.customers]
        return self._weigh(found, request, customer)

    def weigh_order(self, order: WorkOrder) -> Evidence:
        """Evidence of one order alone."""
        return self._weigh([order], None)

    def hear(self, order: WorkOrder) -> OrderConsent:
        """Consent to an order, asked of the desk once. What was begun had it: no later word or policy takes it back."""
        known = self._heard.get(order.id)
        if known is None:
            if order.in_work:
                nodes = self.desk.places.nodes_of(order)
                known = OrderConsent(nodes=tuple(node.name for node in nodes), gaps={})
            else:
                known = self.desk.hear(order)
            self._heard[order.id] = known
        return known

    @cached_property
    def _heard(self) -> dict[OrderId, OrderConsent]:
        return {}

    def _hear_of(self, order: WorkOrder, customer: CustomerId | None) -> OrderConsent:
        said, fleet = self.hear(order), self.desk.places.fleet
        if customer is None:
            return said
        own = {name for name in said.nodes if fleet.clusters[fleet.nodes[name].cluster].customer == customer}
        return replace(
            said,
            nodes=tuple(name for name in said.nodes if name in own),
            gaps={name: why for name, why in said.gaps.items() if name in own},
            proceeding=said.proceeding & own,
        )

    def _weigh(
        self, orders: Sequence[WorkOrder], request: Request | None, customer: CustomerId | None = None
    ) -> Evidence:
        living = [order for order in orders if order.is_open]
        heard = [(order, self._hear_of(order, customer)) for order in living]
        nodes = {name for _, said in heard for name in said.nodes}
        lacking = {name for _, said in heard for name in said.gaps}
        proceeding = {name for _, said in heard for name in said.proceeding} - lacking
        untimed = {name for order, said in heard if not self._has_time(order) for name in said.nodes}
        waiting = lacking | proceeding
        silent = [(order, {*said.gaps, *said.proceeding}) for order, said in heard]
        noes = [said.declined_until for _, said in heard if said.gaps]
        known = [at for at in noes if at is not None]
        fleet = self.desk.places.fleet
        ends = _first_ends(
            (cluster.customer, self.desk.notice_over(order, cluster))
            for order, names in silent
            for cluster in {
                fleet.nodes[name].cluster: fleet.clusters[fleet.nodes[name].cluster] for name in names
            }.values()
        )
        ended = self.record.ended.get(request.id) if request is not None else None
        if request is None and orders[0].ended is not None:
            ended = orders[0].ended.how
        names = {order.request for order in orders}
        told = [self.record.notified[name] for name in names if name in self.record.notified]
        return Evidence(
            is_open=bool(living),
            units=len(nodes),
            approved=len(nodes) - len(waiting),
            proceeding=len(proceeding),
            scheduled=len(nodes - lacking - untimed),
            in_work=sum(max(len(said.nodes), 1) for order, said in heard if order.in_work),  # nodes may be gone
            dated=min((order.due_at for order, names in silent if names), default=None),
            due_at=min(ends.values(), default=None),
            ends=tuple(ends.items()),
            notified_at=max(told, default=None),
            declined_until=min(known) if known and len(known) == len(noes) else None,
            waits_for=tuple(sorted({fleet.clusters[fleet.nodes[name].cluster].customer for name in waiting})),
            ended=ended or RequestState.COMPLETED,
        )

    def _has_time(self, order: WorkOrder) -> bool:
        """True when it was asked for a time that is still to come: the word on it is a word on that time."""
        return order.wanted_at is not None and self.record.now < order.wanted_at
