"""What is on record of requests, counted for their states: of deployments, and of work orders."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from fermata.domain.consent import Consent
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId, DeviceId, NodeId, OrderId, SupercomputerId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import FleetPending
from fermata.domain.policy import ConsentEntry, Policy, Verdict
from fermata.domain.reasons import Code, Reason
from fermata.domain.request_standing import OnRecord
from fermata.domain.request_states import Evidence, RequestState
from fermata.domain.requests import Request, nodes_with_work
from fermata.domain.updates import Update
from fermata.domain.work_orders import OrderConsent, OrderDesk, WorkOrder


@dataclass(frozen=True, kw_only=True)
class Deployments:
    """Evidence of deployments. `consent` and `device_gaps` are those of the whole fleet, as `domain.consent` finds
    them.
    """

    fleet: Fleet
    pending: FleetPending
    policy: Policy
    ledger: Sequence[ConsentEntry]
    consent: Consent
    device_gaps: Mapping[DeviceId, Reason]
    record: OnRecord

    def weigh(self, request: Request) -> Evidence:
        """Evidence of one deployment request."""
        clusters = self._clusters_by_supercomputer.get(request.supercomputer, [])
        nodes = {name for cluster in clusters for name in self._working[cluster]}
        devices = {name for cluster in clusters for name in self._quiet_devices(cluster)}
        lacking = {name for name in nodes if name in self.consent.gaps}
        quiet_lacking = devices & self.device_gaps.keys()
        proceeding = {name: at for name in nodes - lacking if (at := self._not_before(name)) is not None}
        quiet_proceeding = {name: at for name in devices - quiet_lacking if (at := self._device_not_before(name))}
        waiting = [self.fleet.nodes[name] for name in (*lacking, *proceeding)]
        waiting += [n for d in (*quiet_lacking, *quiet_proceeding) for n in self._behind(d)]
        units, rest = len(nodes) + len(devices), len(lacking) + len(quiet_lacking)
        going = len(proceeding) + len(quiet_proceeding)
        ready: set[str] = {*nodes, *devices} - {*lacking, *quiet_lacking}
        times = [*proceeding.values(), *quiet_proceeding.values()]
        members = {node.name for cluster in clusters for node in self.fleet.nodes_by_cluster[cluster]}
        return Evidence(
            is_open=request.is_open,
            units=units,
            approved=units - rest - going,
            proceeding=going,
            scheduled=len(ready & self.record.scheduled),
            in_work=len(members & self.record.in_work),
            due_at=self._due_at(request, [*lacking, *(n.name for d in quiet_lacking for n in self._behind(d))], times),
            notified_at=self.record.notified.get(request.id),
            declined_until=self._declined_until(lacking),
            waits_for=self._holders(waiting),
            ended=self.record.ended.get(request.id, RequestState.COMPLETED),
        )

    def state_on(self, node: Node) -> RequestState | None:
        """Where the deployment stands on one node; None when nothing is due there."""
        if node.name in self.record.in_work:
            return RequestState.IN_PROGRESS
        if node.name not in self._working[node.cluster]:
            return None
        if node.name in self.consent.gaps or self._not_before(node.name) is not None:
            return RequestState.PENDING
        return RequestState.SCHEDULED if node.name in self.record.scheduled else RequestState.APPROVED

    @cached_property
    def _clusters_by_supercomputer(self) -> Mapping[SupercomputerId, list[ClusterId]]:
        found: dict[SupercomputerId, list[ClusterId]] = defaultdict(list)
        for cluster in self.fleet.clusters.values():
            found[cluster.supercomputer].append(cluster.name)
        return found

    @cached_property
    def _working(self) -> Mapping[ClusterId, frozenset[NodeId]]:
        return {name: nodes_with_work(self.fleet, self.pending, name) for name in self.fleet.clusters}

    @cached_property
    def _decided(self) -> Decisions:
        return Decisions(self.fleet, self.ledger)

    @cached_property
    def _asked(self) -> Mapping[NodeId, Mapping[UpdateId, Update]]:
        """The updates that each node has a say in."""
        found: dict[NodeId, dict[UpdateId, Update]] = defaultdict(dict)
        for name, unit in self.pending.nodes.items():
            found[name].update((item.update.id, item.update) for item in unit.due)
        for device, unit in self.pending.devices.items():
            for node in self._behind(device) if unit.due else ():
                found[node.name].update((item.update.id, item.update) for item in unit.due)
        return found

    def _quiet_devices(self, cluster: ClusterId) -> set[DeviceId]:
        """Devices whose work drains nobody: they need a word of their own."""
        found = ((device.name, self.pending.of_device(device).due) for device in self.fleet.devices_by_cluster[cluster])
        return {name for name, due in found if due and not any(item.update.needs_drain for item in due)}

    def _behind(self, device: DeviceId) -> tuple[Node, ...]:
        return self.fleet.nodes_behind(self.fleet.devices[device])

    def _not_before(self, name: NodeId) -> datetime | None:
        """When work that nobody answered for may go on this node by the policy; None: it need not wait for that.

        A time from which on an approval holds is no such time: somebody did answer.
        """
        found = self.consent.times.get(name, frozenset())
        at = max((each.not_before for each in found if each.not_before is not None), default=None)
        return at if at is not None and any(self._unanswered(name)) else None

    def _device_not_before(self, device: DeviceId) -> datetime | None:
        times = (self._not_before(node.name) for node in self._behind(device))
        return max((at for at in times if at is not None), default=None)

    def _unanswered(self, name: NodeId, but: Container[UpdateId] = ()) -> Iterator[Update]:
        """The updates that its customer has to be asked about, and has not approved on this node; `but`: not those."""
        node = self.fleet.nodes[name]
        cluster = self.fleet.clusters[node.cluster]
        asked = {update: each for update, each in self._asked.get(name, {}).items() if update not in but}
        for update in self._decided.missing(node, asked) if asked else ():
            if self.policy.needs_asking(asked[update], node, cluster):
                yield asked[update]

    def _due_at(self, request: Request, lacking: Iterable[NodeId], times: Sequence[datetime]) -> datetime | None:
        """The earliest due date of what was not approved: what was approved does not make a request overdue."""
        names = tuple(lacking)
        missing: dict[UpdateId, Update] = {}
        for name in names:
            missing.update((update.id, update) for update in self._unanswered(name, but=missing))
        found = [*times, *(self.policy.due_at(update) for update in missing.values())]
        return min(found, default=request.due_at if names else None)

    def _declined_until(self, lacking: Iterable[NodeId]) -> datetime | None:
        """The earliest end of a no, when all that lacks a word of its own customer was declined."""
        own = [name for name in lacking if self.consent.gaps[name].code is not Code.SHARED_DEVICE_UNAPPROVED]
        entries = (self._decided.entry(self.fleet.nodes[name]) for name in own)
        ends = [declined_until(entry) if entry is not None else None for entry in entries]
        known = [at for at in ends if at is not None]
        return min(known) if known and len(known) == len(ends) else None

    def _holders(self, nodes: Iterable[Node]) -> tuple[CustomerId, ...]:
        return tuple(sorted({self.fleet.clusters[node.cluster].customer for node in nodes}))


def declined_until(entry: ConsentEntry) -> datetime | None:
    """Until when an entry of the ledger says no; None when it says something else."""
    return entry.until if entry.verdict is Verdict.DECLINED else None


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """Evidence of work orders. `orders`: all on record, by id, those that are over included."""

    desk: OrderDesk
    orders: Mapping[OrderId, WorkOrder]
    record: OnRecord

    def weigh(self, request: Request) -> Evidence:
        """Evidence of one request that asks for work orders. A node counts as let go when all its orders are."""
        found = [self.orders[order.id] for order in request.orders]
        return self._weigh(found, request)

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

    def _weigh(self, orders: Sequence[WorkOrder], request: Request | None) -> Evidence:
        living = [order for order in orders if order.is_open]
        heard = [(order, self.hear(order)) for order in living]
        nodes = {name for _, said in heard for name in said.nodes}
        lacking = {name for _, said in heard for name in said.gaps}
        proceeding = {name for _, said in heard for name in said.proceeding} - lacking
        untimed = {name for order, said in heard if not self._has_time(order) for name in said.nodes}
        waiting = lacking | proceeding
        due = [order.due_at for order, said in heard if said.gaps or said.proceeding]
        noes = [said.declined_until for _, said in heard if said.gaps]
        known = [at for at in noes if at is not None]
        fleet = self.desk.places.fleet
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
            due_at=min(due, default=None),
            notified_at=max(told, default=None),
            declined_until=min(known) if known and len(known) == len(noes) else None,
            waits_for=tuple(sorted({fleet.clusters[fleet.nodes[name].cluster].customer for name in waiting})),
            ended=ended or RequestState.COMPLETED,
        )

    def _has_time(self, order: WorkOrder) -> bool:
        """True when it was asked for a time that is still to come: the word on it is a word on that time."""
        return order.wanted_at is not None and self.record.now < order.wanted_at
