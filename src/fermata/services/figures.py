"""How many nodes wait, are overdue, approved, held back or under way, by cluster, and which rule blocks how many."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Cluster, Node, Role
from fermata.domain.ids import ClusterId, RequestId, UpdateId
from fermata.domain.policy import Freeze, Policy, ScopeLevel, Stance
from fermata.domain.scheduled_events import EventStatus
from fermata.domain.updates import Update
from fermata.services.maintenance import Picture

WIDE = frozenset({ScopeLevel.SUPERCOMPUTER, ScopeLevel.CLUSTER})


class Measure(StrEnum):
    """What is counted of a cluster's nodes. All but the first are of nodes with pending work, or being worked on."""

    NODES = "nodes"
    PENDING = "pending"
    APPROVED = "approved"
    UNAPPROVED = "unapproved"
    OVERDUE = "overdue"
    HELD = "held"
    FROZEN = "frozen"
    IN_MAINTENANCE = "in_maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """So many nodes of a cluster wait because of one rule of the policy, or one freeze."""

    cluster: Cluster
    rule: str
    nodes: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one picture, at one instant. `due` is each open request's due date."""

    clusters: Sequence[tuple[Cluster, Counter[Measure]]]
    blocked: Sequence[Blocked]
    updates: Sequence[tuple[UpdateId, int]]
    due: Sequence[tuple[RequestId, datetime]]


def count_figures(picture: Picture, now: datetime) -> Figures:
    """Everything by name. A node is overdue when nobody approved its work and the time to choose is over."""
    settled, fleet = picture.settled, picture.fleet
    rules = _Rules(settled.policy)
    updates: Counter[UpdateId] = Counter()
    clusters: list[tuple[Cluster, Counter[Measure]]] = []
    blocked: list[Blocked] = []
    for name in sorted(fleet.clusters):
        cluster = fleet.clusters[name]
        counts: Counter[Measure] = Counter()
        by_rule: Counter[str] = Counter()
        freezes = rules.freezes(cluster, now)
        for node in fleet.nodes_by_cluster.get(name, ()):
            pending = settled.updates_of(node)
            updates.update(update.id for update in pending)
            counts.update(_measures(picture, node, pending, now))
            frozen = rules.frozen(node, cluster, pending, freezes) if pending else ()
            counts[Measure.FROZEN] += bool(frozen)
            by_rule.update(frozen)
            if node.name in settled.gaps:
                by_rule.update(rules.blocking(node, cluster, pending))
        clusters.append((cluster, counts))
        blocked.extend(Blocked(cluster=cluster, rule=rule, nodes=by_rule[rule]) for rule in sorted(by_rule))
    due = ((request.id, request.due_at) for request in settled.requests.values() if request.due_at is not None)
    return Figures(clusters=clusters, blocked=blocked, updates=sorted(updates.items()), due=sorted(due))


def _measures(picture: Picture, node: Node, pending: Sequence[Update], now: datetime) -> Iterator[Measure]:
    yield Measure.NODES
    outlook = picture.outlook(node.name)
    if any(stay.status is EventStatus.STARTED for stay in outlook.stays):
        yield Measure.IN_MAINTENANCE
    if not pending:
        return
    yield Measure.PENDING
    gap = picture.settled.gaps.get(node.name)
    if gap is None:
        yield Measure.APPROVED
        return
    yield Measure.UNAPPROVED
    if outlook.is_held:
        yield Measure.HELD
    ends_at = outlook.question.choose_until if outlook.question is not None else None
    if ends_at is not None and ends_at <= now:
        yield Measure.OVERDUE


class _Rules:
    """Which rules of a policy keep work on nodes waiting: asked once for all that are alike to it."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._known: dict[tuple[ClusterId, Role, str, tuple[UpdateId, ...]], tuple[str, ...]] = {}

    def blocking(self, node: Node, cluster: Cluster, pending: Sequence[Update]) -> tuple[str, ...]:
        """The rules by which pending work blocks or needs an approval there."""
        if self._policy is None:
            return ()
        key = (cluster.name, node.role, self._name(node, cluster), tuple(update.id for update in pending))
        if key not in self._known:
            rulings = (self._policy.judge_update(update, node, cluster) for update in pending)
            waiting = {r.rule for r in rulings if r.stance in (Stance.BLOCK, Stance.NEEDS_APPROVAL)}
            self._known[key] = tuple(sorted(waiting))
        return self._known[key]

    def freezes(self, cluster: Cluster, now: datetime) -> tuple[Freeze, ...]:
        """The freezes of the cluster's customer that last now."""
        if self._policy is None:
            return ()
        found = self._policy.freezes
        return tuple(f for f in found if f.customer == cluster.customer and f.start <= now < f.end)

    def frozen(
        self, node: Node, cluster: Cluster, pending: Sequence[Update], freezes: Sequence[Freeze]
    ) -> tuple[str, ...]:
        """Those of `freezes` that keep the node in service."""
        policy = self._policy
        if policy is None or not any(update.needs_drain for update in pending):
            return ()
        return tuple(
            f"freeze:{freeze.id}"
            for freeze in freezes
            if freeze.scope.covers(node, cluster) and not policy.lets_out(freeze, pending)
        )

    def _name(self, node: Node, cluster: Cluster) -> str:
        """The node's name where a rule may be about it or its rack alone; else nodes of a cluster are alike."""
        customer = self._policy.customers.get(cluster.customer) if self._policy else None
        rules = customer.rules if customer is not None else ()
        is_narrow = any(rule.scope is not None and rule.scope.level not in WIDE for rule in rules)
        return node.name if is_narrow else ""
