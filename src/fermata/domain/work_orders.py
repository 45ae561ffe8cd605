"""Work that is asked for by hand (repairs, hardware maintenance, decommissions, moves), and what customers say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from fermata.domain.allowances import Allowance
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import CustomerId, DeviceId, NodeId, OrderId, RequestId, SupercomputerId, UpdateId
from fermata.domain.notified import NotifiedTimes
from fermata.domain.policy import OrderedAs, Policy, Ruling, Said, Scope, ScopeLevel, Stance, Work
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import JUDGED_AS, RequestKind, request_id
from fermata.domain.request_states import ENDED, RequestState
from fermata.domain.scopes import Scopes
from fermata.domain.updates import Criticality, Impact


class TargetLevel(StrEnum):
    """What a work order may be about. Of a shared device it is about every node behind it."""

    CLUSTER = "cluster"
    RACK = "rack"
    NODE = "node"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a work order is about."""

    level: TargetLevel
    name: str

    def __str__(self) -> str:
        return f"{self.level} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnd:
    """How an order went away: completed, superseded or cancelled; by whom, when (UTC), and why."""

    how: RequestState
    said: Said
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """One thing to be done by people. `due_at` (NotBefore) follows from when it was opened and from `wanted_at`, the
    time that was wished for; None: as soon as may be. All times UTC.

    `held`: the nodes that it was begun with. They stay its own until its end, wherever inventory has them meanwhile.
    `tail`: the unit on a tail list that it was opened for by itself (run/window/unit); `known`: what is known of it.
    `asked_by`: objects of operators outside that it was opened for (source/object); it is over when all are gone.
    """

    id: OrderId
    kind: RequestKind
    supercomputer: SupercomputerId
    target: Target
    cause: str
    impact: Impact
    criticality: Criticality
    opened: Said
    due_at: datetime
    wanted_at: datetime | None = None
    started: Said | None = None
    ended: OrderEnd | None = None
    held: tuple[NodeId, ...] = ()
    tail: str = ""
    known: tuple[str, ...] = ()
    asked_by: tuple[str, ...] = ()

    @property
    def request(self) -> RequestId:
        """The request that asks for it."""
        return request_id(self.supercomputer, self.kind)

    @property
    def is_open(self) -> bool:
        """True until it is done or goes away otherwise."""
        return self.ended is None

    @property
    def known_as(self) -> OrderedAs:
        """What a policy knows it by."""
        return OrderedAs(order=self.id, kind=JUDGED_AS[self.kind], impact=self.impact, criticality=self.criticality)

    @property
    def in_work(self) -> bool:
        """True while it holds its nodes."""
        return self.started is not None and self.ended is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOrder:
    """A work order as its request shows it: with every node that it concerns, and all who hold one of them."""

    id: OrderId
    target: Target
    cause: str
    impact: Impact
    criticality: Criticality
    due_at: datetime
    wanted_at: datetime | None
    nodes: tuple[NodeId, ...]
    customers: tuple[CustomerId, ...]

    @property
    def is_of_device(self) -> bool:
        """True when it is about a shared device."""
        return self.target.level is TargetLevel.DEVICE


class Word(StrEnum):
    """What a customer says of work orders."""

    APPROVED = "approved"
    DECLINED = "declined"  # until a date
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWord:
    """One line of the ledger of words on work orders, ordered by `seq`. It speaks of `orders` only, and only where they
    concern nodes in `scope`; of those that speak of an order and a node, the last decides.
    """

    seq: int
    id: str
    request: RequestId
    incarnation: int
    orders: frozenset[OrderId]
    scope: Scope
    word: Word
    actor: str
    at: datetime
    reason: str = ""
    until: datetime | None = None  # of a no


class Places:
    """The nodes that targets stand for."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.scopes = Scopes(fleet=fleet)

    def nodes(self, target: Target, supercomputer: SupercomputerId | None = None) -> tuple[Node, ...]:
        """By cluster and name; of that supercomputer if one is given, and none when the fleet has no such target."""
        if target.level is TargetLevel.DEVICE:
            device = self.fleet.devices.get(DeviceId(target.name))
            found = self.fleet.nodes_behind(device) if device is not None else ()
        else:
            found = self.scopes.nodes(Scope(level=ScopeLevel(target.level.value), name=target.name))
        if supercomputer is None:
            return found
        return tuple(node for node in found if self.fleet.clusters[node.cluster].supercomputer == supercomputer)

    def nodes_of(self, order: WorkOrder) -> tuple[Node, ...]:
        """Every node that the order concerns; once it was begun, those of them that the fleet still has."""
        if order.in_work:
            return tuple(self.fleet.nodes[name] for name in order.held if name in self.fleet.nodes)
        return self.nodes(order.target, order.supercomputer)

    def show(self, order: WorkOrder) -> RequestOrder:
        """The order with its nodes, and all who hold one."""
        nodes = self.nodes_of(order)
        return RequestOrder(
            id=order.id,
            target=order.target,
            cause=order.cause,
            impact=order.impact,
            criticality=order.criticality,
            due_at=order.due_at,
            wanted_at=order.wanted_at,
            nodes=tuple(node.name for node in nodes),
            customers=tuple(sorted({self.fleet.clusters[node.cluster].customer for node in nodes})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConsent:
    """What stands of consent to one order. `gaps`: nodes for which it is missing, each with why. `allowances`: when the
    rest may be taken, if at some times only. `proceeding`: nodes that nobody answered for and that the policy lets go
    from the due date on. `declined_until`: the earliest end of a no, when every gap is one.
    """

    nodes: tuple[NodeId, ...]
    gaps: Mapping[NodeId, Reason]
    allowances: frozenset[Allowance] = frozenset()
    proceeding: frozenset[NodeId] = frozenset()
    declined_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class OrderDesk:
    """Policy and words asked about orders. `words` may come in any order."""

    places: Places
    policy: Policy
    words: Sequence[OrderWord]
    _last: dict[tuple[OrderId, ScopeLevel, str], OrderWord] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for word in sorted(self.words, key=lambda word: word.seq):
            self.add(word)

    def add(self, word: OrderWord) -> None:
        """Takes in a newer word than all before."""
        for order in word.orders:
            self._last[order, word.scope.level, word.scope.name] = word

    def word_on(self, order: OrderId, node: Node) -> OrderWord | None:
        """The word that decides for this order on this node, or None when nobody spoke."""
        supercomputer = self.places.fleet.clusters[node.cluster].supercomputer
        candidates = (
            self._last.get((order, ScopeLevel.SUPERCOMPUTER, supercomputer)),
            self._last.get((order, ScopeLevel.CLUSTER, node.cluster)),
            self._last.get((order, ScopeLevel.RACK, node.rack)),
            self._last.get((order, ScopeLevel.NODE, node.name)),
        )
        return max((word for word in candidates if word), key=lambda word: word.seq, default=None)

    def hear(self, order: WorkOrder) -> OrderConsent:
        """Consent to the order, node by node."""
        nodes = self.places.nodes_of(order)
        gaps: dict[NodeId, Reason] = {}
        allowances: set[Allowance] = set()
        proceeding: set[NodeId] = set()
        noes: list[datetime | None] = []
        for node in nodes:
            cluster = self.places.fleet.clusters[node.cluster]
            word = self.word_on(order.id, node)
            ruling = self._judge(order, node, cluster)
            heard = self._hear(order, cluster, ruling, word)
            if isinstance(heard, Reason):
                gaps[node.name] = heard
                noes.append(word.until if word is not None and word.word is Word.DECLINED else None)
            elif heard is not None:
                allowances.add(heard)
                if heard.not_before is not None and ruling.stance is not Stance.ALLOW_IN_WINDOWS:
                    proceeding.add(node.name)
        times = [until for until in noes if until is not None]
        return OrderConsent(
            nodes=tuple(node.name for node in nodes),
            gaps=gaps,
            allowances=frozenset(allowances),
            proceeding=frozenset(proceeding),
            declined_until=min(times) if times and len(times) == len(noes) else None,
        )

    def _judge(self, order: WorkOrder, node: Node, cluster: Cluster) -> Ruling:
        return self.policy.judge(
            Work(
                kind=JUDGED_AS[order.kind],
                impact=order.impact,
                criticality=order.criticality,
                node=node,
                cluster=cluster,
            )
        )

    def _hear(
        self, order: WorkOrder, cluster: Cluster, ruling: Ruling, word: OrderWord | None
    ) -> Reason | Allowance | None:
        if ruling.stance is Stance.BLOCK:
            return reason(
                Code.POLICY_BLOCKS,
                customer=cluster.customer,
                rules=ruling.rule,
                updates=order.id,
                cluster=cluster.name,
            )
        if ruling.stance is Stance.ALLOW or (word is not None and word.word is Word.APPROVED):
            return None
        if ruling.stance is Stance.ALLOW_IN_WINDOWS:
            until = word.until if word is not None and word.word is Word.DECLINED else None
            return Allowance(windows=ruling.windows, not_before=until)
        if self.policy.proceeds(cluster.customer) and (word is None or word.word is Word.DECLINED):
            over = self.notice_over(order, cluster)
            if over is None:
                told = {"updates": order.id, "cluster": cluster.name, "customer": cluster.customer}
                return reason(Code.NOTICE_NOT_DELIVERED, **told)
            windows = self.policy.customers[cluster.customer].windows
            until = word.until if word is not None else None
            return Allowance(windows=windows, not_before=max(over, until or over))
        return _say_missing(order, cluster, word)

    @cached_property
    def _told(self) -> NotifiedTimes:
        return NotifiedTimes(self.policy.notified or ())

    def notice_over(self, order: WorkOrder, cluster: Cluster) -> datetime | None:
        """When the time to choose is over, and work that nobody answered for may begin: at its due date, and never
        before the customer knew of it for as long as was promised. None while it does not know.
        """
        if self.policy.notified is None:
            return order.due_at
        since = self._told.since(cluster.customer, cluster.supercomputer, UpdateId(order.id), order.impact)
        return None if since is None else max(order.due_at, since + (order.due_at - order.opened.at))


def _say_missing(order: WorkOrder, cluster: Cluster, word: OrderWord | None) -> Reason:
    if word is None:
        return reason(
            Code.APPROVAL_MISSING,
            customer=cluster.customer,
            updates=order.id,
            scope=f"cluster {cluster.name}",
            request=order.request,
        )
    at = f"{word.at:%Y-%m-%d %H:%MZ}"
    if word.word is Word.DECLINED and word.until is not None:
        until = f"{word.until:%Y-%m-%d %H:%MZ}"
        fields = {"actor": word.actor, "order": order.id, "scope": word.scope, "until": until}
        return reason(Code.ORDER_DECLINED, **fields, request=order.request)
    return reason(Code.APPROVAL_WITHDRAWN, actor=word.actor, scope=word.scope, at=at, request=order.request)


def list_open(orders: Iterable[WorkOrder]) -> tuple[WorkOrder, ...]:
    """Those that are not over, by when they were opened, then by target: ids of one instant have no order."""
    return tuple(sorted((order for order in orders if order.is_open), key=_by_time))


def _by_time(order: WorkOrder) -> tuple[datetime, str, str, OrderId]:
    return order.opened.at, order.target.level, order.target.name, order.id


def how_ended(orders: Iterable[WorkOrder]) -> RequestState:
    """What a request of which nothing is left has come to, by the last of its orders that went away."""
    ends = [order.ended for order in orders if order.ended is not None]
    last = max(ends, key=lambda end: end.said.at, default=None)
    found = last.how if last is not None else RequestState.COMPLETED
    assert found in ENDED
    return found
