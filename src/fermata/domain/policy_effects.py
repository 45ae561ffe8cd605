"""What another policy would change, judged on all that is pending and ordered now. Nothing is done. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import CustomerId, NodeId, OrderId, UpdateId
from fermata.domain.pending import FleetPending
from fermata.domain.policy import Freeze, Policy, Ruling, ScopeLevel, Work
from fermata.domain.request_kinds import JUDGED_AS, RequestKind
from fermata.domain.updates import Update
from fermata.domain.work_orders import Places, WorkOrder

_WIDE = (ScopeLevel.SUPERCOMPUTER, ScopeLevel.CLUSTER)  # a rule for these says the same of all nodes of a cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Work that another ruling would be made of, on so many nodes of a customer; `example` is one of them. `update` is
    None where it is a work `order`.
    """

    customer: CustomerId
    update: UpdateId | None
    order: OrderId | None
    before: Ruling
    after: Ruling
    nodes: int
    example: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class DueChange:
    """An update that would be due at another time (UTC). Work orders keep the due date that they were opened with."""

    update: UpdateId
    before: datetime
    after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEffects:
    """All that would be different: rulings, due dates, who is in the policy and may approve, freezes that it states."""

    rulings: tuple[Effect, ...] = ()
    due: tuple[DueChange, ...] = ()
    customers: tuple[CustomerId, ...] = ()
    freezes_added: tuple[Freeze, ...] = ()
    freezes_gone: tuple[Freeze, ...] = ()


def find_effects(
    fleet: Fleet, pending: FleetPending, orders: Iterable[WorkOrder], before: Policy, after: Policy
) -> PolicyEffects:
    """What `after` would make of what is pending in the place of `before`. Freezes are compared as stated."""
    names = sorted(before.customers.keys() | after.customers.keys())
    kept = {name for name in names if before.customers.get(name) == after.customers.get(name)}
    tally = _Tally(fleet=fleet, before=before, after=after, kept=kept)
    updates: dict[UpdateId, Update] = {}
    for node, update in _due(fleet, pending):
        updates[update.id] = update
        tally.add_update(node, update)
    places = Places(fleet)
    for order in orders:
        for node in places.nodes_of(order) if order.is_open else ():
            tally.add_order(node, order)
    return PolicyEffects(
        rulings=tuple(sorted(tally.list_effects(), key=_key)),
        due=tuple(
            DueChange(update=name, before=before.due_at(updates[name]), after=after.due_at(updates[name]))
            for name in sorted(updates)
            if before.due_at(updates[name]) != after.due_at(updates[name])
        ),
        customers=tuple(name for name in names if name not in kept),
        freezes_added=tuple(freeze for freeze in after.freezes if freeze not in before.freezes),
        freezes_gone=tuple(freeze for freeze in before.freezes if freeze not in after.freezes),
    )


@dataclass(kw_only=True)
class _Tally:
    """Counts nodes by what is said of the same work. A customer whose entry is the same is judged the same."""

    fleet: Fleet
    before: Policy
    after: Policy
    kept: set[CustomerId]
    _known: dict[tuple[object, ...], tuple[Ruling, Ruling]] = field(default_factory=dict)
    _counts: dict[tuple[object, ...], Effect] = field(default_factory=dict)
    _narrow: dict[CustomerId, bool] = field(default_factory=dict)

    def add_update(self, node: Node, update: Update) -> None:
        cluster = self.fleet.clusters[node.cluster]
        if cluster.customer in self.kept:
            return
        key = (update.id, *self._place(node, cluster))
        if key not in self._known:
            self._known[key] = (
                self.before.judge_update(update, node, cluster),
                self.after.judge_update(update, node, cluster),
            )
        self._count(self._known[key], node, cluster, update.id, None)

    def add_order(self, node: Node, order: WorkOrder) -> None:
        cluster = self.fleet.clusters[node.cluster]
        if cluster.customer in self.kept or order.kind is RequestKind.DEPLOYMENT:
            return
        work = Work(
            kind=JUDGED_AS[order.kind], impact=order.impact, criticality=order.criticality, node=node, cluster=cluster
        )
        self._count((self.before.judge(work), self.after.judge(work)), node, cluster, None, order.id)

    def list_effects(self) -> Iterable[Effect]:
        return self._counts.values()

    def _place(self, node: Node, cluster: Cluster) -> tuple[object, ...]:
        """What tells nodes apart that either policy may judge differently."""
        name = cluster.customer
        if name not in self._narrow:
            entries = (policy.customers.get(name) for policy in (self.before, self.after))
            rules = [rule for entry in entries if entry is not None for rule in entry.rules]
            self._narrow[name] = any(rule.scope is not None and rule.scope.level not in _WIDE for rule in rules)
        return (cluster.name, node.role, node.name if self._narrow[name] else "")

    def _count(
        self,
        rulings: tuple[Ruling, Ruling],
        node: Node,
        cluster: Cluster,
        update: UpdateId | None,
        order: OrderId | None,
    ) -> None:
        before, after = rulings
        if before == after:
            return
        key = (cluster.customer, update, order, before, after)
        known = self._counts.get(key)
        self._counts[key] = Effect(
            customer=cluster.customer,
            update=update,
            order=order,
            before=before,
            after=after,
            nodes=1 if known is None else known.nodes + 1,
            example=node.name if known is None else known.example,
        )


def _due(fleet: Fleet, pending: FleetPending) -> Iterator[tuple[Node, Update]]:
    """Each update once for every node that it is due on, or that hangs on a device on which it is."""
    behind: dict[NodeId, dict[UpdateId, Update]] = {}
    for device, unit in pending.devices.items():
        due: Mapping[UpdateId, Update] = {item.update.id: item.update for item in unit.due}
        for node in fleet.nodes_behind(fleet.devices[device]) if due else ():
            behind.setdefault(node.name, {}).update(due)
    for name in sorted(fleet.nodes):
        node = fleet.nodes[name]
        own = {item.update.id: item.update for item in pending.of_node(node).due}
        for update in (own | behind.get(name, {})).values():
            yield node, update


def _key(effect: Effect) -> tuple[str, str, str, str]:
    return effect.customer, effect.update or "", effect.order or "", effect.example
