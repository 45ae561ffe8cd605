"""What customers allow: policies, notice, freezes, and the ledger of consent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.blocked import Blocked
from fermata.domain.fleet import Cluster, Node, Place, Role
from fermata.domain.hashing import ADDED_LATER, NOT_HASHED
from fermata.domain.ids import ApprovalId, CustomerId, ExemptionId, FreezeId, OrderId, RequestId, UpdateId
from fermata.domain.notified import Notified
from fermata.domain.recurrence import RecurringWindow
from fermata.domain.updates import Criticality, Impact, Stage, Update

__all__ = ["Blocked"]  # with all that is defined here


class ScopeLevel(StrEnum):
    """The levels at which consent is given, withdrawn or frozen."""

    SUPERCOMPUTER = "supercomputer"
    CLUSTER = "cluster"
    GROUP = "group"  # all nodes behind a shared device, by its name; consent alone is given for groups
    RACK = "rack"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A part of the fleet: one level and the name at that level."""

    level: ScopeLevel
    name: str

    def covers(self, node: Node, cluster: Cluster) -> bool:
        """True when `node`, of `cluster`, lies in this scope."""
        match self.level:
            case ScopeLevel.SUPERCOMPUTER:
                return cluster.supercomputer == self.name
            case ScopeLevel.CLUSTER:
                return node.cluster == self.name
            case ScopeLevel.GROUP:
                raise ValueError(f"only a fleet knows what stands behind {self.name}")
            case ScopeLevel.RACK:
                return node.rack == self.name
            case ScopeLevel.NODE:
                return node.name == self.name

    def covers_any(self, nodes: Sequence[Node], cluster: Cluster) -> bool:
        """True when any of `nodes`, all of `cluster`, lies in this scope."""
        if self.level in (ScopeLevel.SUPERCOMPUTER, ScopeLevel.CLUSTER):
            nodes = nodes[:1]  # one speaks for all
        return any(self.covers(node, cluster) for node in nodes)

    def __str__(self) -> str:
        return f"{self.level} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flighting:
    """Where and how widely a flight-ready update may be tried."""

    allowed_roles: frozenset[str]
    max_nodes: int


class MaintenanceKind(StrEnum):
    """Kinds of maintenance that a policy tells apart."""

    DEPLOYMENT = "deployment"
    REPAIR = "repair"
    DECOMMISSION = "decommission"


class Stance(StrEnum):
    """What a policy says of some work. Blocked work waits for another policy, whatever was approved."""

    BLOCK = "block"
    NEEDS_APPROVAL = "needs_approval"
    ALLOW_IN_WINDOWS = "allow_in_windows"
    ALLOW = "allow"


class AfterDue(StrEnum):
    """What becomes of work that nobody approved when its due date has come."""

    ESCALATE = "escalate"
    PROCEED = "proceed"  # in the customer's windows, or at any time when it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a policy is asked about: work of one kind on one node, or on a device that the node hangs on."""

    kind: MaintenanceKind
    impact: Impact
    criticality: Criticality
    node: Node
    cluster: Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """What holds for work that meets every condition; an empty one does not restrict. Of the rules that fit, the
    narrowest decides: first by scope, a node's before a rack's and so on, then by how many conditions it names.

    `windows` are ids of the customer's windows, only with `allow_in_windows`; empty: all of them.
    """

    id: str
    stance: Stance
    kinds: frozenset[MaintenanceKind] = frozenset()
    impacts: frozenset[Impact] = frozenset()
    criticalities: frozenset[Criticality] = frozenset()
    roles: frozenset[Role] = frozenset()
    scope: Scope | None = None
    windows: tuple[str, ...] = ()

    def fits(self, work: Work) -> bool:
        """True when the work meets every condition."""
        return (
            (not self.kinds or work.kind in self.kinds)
            and (not self.impacts or work.impact in self.impacts)
            and (not self.criticalities or work.criticality in self.criticalities)
            and (not self.roles or work.node.role in self.roles)
            and (self.scope is None or self.scope.covers(work.node, work.cluster))
        )

    @property
    def narrowness(self) -> tuple[int, int]:
        """Greater is narrower."""
        level = 0 if self.scope is None else 1 + list(ScopeLevel).index(self.scope.level)
        return level, sum(map(bool, (self.kinds, self.impacts, self.criticalities, self.roles)))

    def contradicts(self, other: "PolicyRule") -> bool:
        """True when both may fit the same work, are equally narrow, and say different things."""
        says = (self.stance, frozenset(self.windows)) != (other.stance, frozenset(other.windows))
        meets = self.scope == other.scope and all(
            not mine or not theirs or mine & theirs
            for mine, theirs in (
                (self.kinds, other.kinds),
                (self.impacts, other.impacts),
                (self.criticalities, other.criticalities),
                (self.roles, other.roles),
            )
        )
        return says and meets and self.narrowness == other.narrowness


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a policy says of some work, and `rule`, which says so. `windows`: where that is in windows only."""

    stance: Stance
    rule: str
    windows: tuple[RecurringWindow, ...] = ()


NO_POLICY = "no policy"
FLIGHTING = "flighting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer's policy: its `rules`, and for what none fits, what `deployments` and `repairs` block.

    A criticality in `except_criticality` is not blocked, and may pass a freeze with a reason recorded by two
    different people.
    """

    id: CustomerId
    deployments: Blocked
    repairs: Blocked
    except_criticality: frozenset[Criticality]
    flighting: Flighting
    approvers: tuple[str, ...]
    rules: tuple[PolicyRule, ...] = field(default=(), metadata={ADDED_LATER: True})
    windows: tuple[RecurringWindow, ...] = field(default=(), metadata={ADDED_LATER: True})
    after_due: AfterDue = field(default=AfterDue.ESCALATE, metadata={ADDED_LATER: True})

    def judge(self, work: Work) -> Ruling:
        """The narrowest rule that fits decides; then an exempt criticality; then what is blocked."""
        fitting = [rule for rule in self.rules if rule.fits(work)]
        if fitting:
            rule = max(fitting, key=lambda rule: rule.narrowness)
            windows: tuple[RecurringWindow, ...] = ()
            if rule.stance is Stance.ALLOW_IN_WINDOWS:
                windows = tuple(w for w in self.windows if not rule.windows or w.id in rule.windows)
            return Ruling(stance=rule.stance, rule=rule.id, windows=windows)
        if work.criticality in self.except_criticality:
            return Ruling(stance=Stance.ALLOW, rule="except_criticality")
        match work.kind:
            case MaintenanceKind.DEPLOYMENT:
                name, blocked = "block.deployments", self.deployments.blocks(work.impact)
            case MaintenanceKind.REPAIR:
                name, blocked = "block.repairs", self.repairs.blocks(work.impact)
            case MaintenanceKind.DECOMMISSION:
                name, blocked = "decommission", True  # nothing in `block` lets it through
        return Ruling(stance=Stance.NEEDS_APPROVAL if blocked else Stance.ALLOW, rule=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Advance notice by kind of maintenance, in days."""

    regular_update: int = 90
    regular_hardware: int = 30
    critical_repair: int = 1
    critical_update: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """No work with workload impact in `scope` over `[start, end)`, UTC; beats approvals."""

    id: FreezeId
    customer: CustomerId
    scope: Scope
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who said something, and when (UTC)."""

    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Lets `updates`, work `orders`, and all orders of some `kinds` pass a freeze, once a second person confirmed it;
    `confirmed` None: not yet, so it does nothing. Updates are named one by one, never by their kind.

    It says why: what is passed over is the customer's word.
    """

    id: ExemptionId
    freeze: FreezeId
    updates: frozenset[UpdateId]
    reason: str
    asked: Said
    confirmed: Said | None = None
    orders: frozenset[OrderId] = field(default=frozenset(), metadata={ADDED_LATER: True})
    kinds: frozenset[MaintenanceKind] = field(default=frozenset(), metadata={ADDED_LATER: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedAs:
    """What a policy knows a work order by."""

    order: OrderId
    kind: MaintenanceKind
    impact: Impact
    criticality: Criticality


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything in `policy.yaml`. A customer without an entry is blocked entirely. `exemptions`: those on record.

    `notified`: what customers know of, since when; None for files alone, which keep no record of it.
    """

    customers: Mapping[CustomerId, Customer]
    notice: Notice
    freezes: tuple[Freeze, ...]
    exemptions: tuple[Exemption, ...] = field(default=(), metadata={ADDED_LATER: True})
    notified: tuple[Notified, ...] | None = field(default=None, compare=False, metadata={NOT_HASHED: True})

    def is_exempt(self, freeze: Freeze, update: Update) -> bool:
        """True when `update` may pass the freeze: the customer exempts its criticality, and two people said so."""
        return any(update.id in given.updates for given in self._given(freeze, update.criticality))

    def is_order_exempt(self, freeze: Freeze, order: OrderedAs) -> bool:
        """As `is_exempt`, of a work order that was named, or whose kind was."""
        given = self._given(freeze, order.criticality)
        return any(order.order in exemption.orders or order.kind in exemption.kinds for exemption in given)

    def _given(self, freeze: Freeze, criticality: Criticality) -> tuple[Exemption, ...]:
        """What was confirmed for the freeze; nothing for a criticality that its customer does not exempt."""
        customer = self.customers.get(freeze.customer)
        if customer is None or criticality not in customer.except_criticality:
            return ()
        return tuple(e for e in self.exemptions if e.freeze == freeze.id and e.confirmed is not None)

    def lets_out(self, freeze: Freeze, updates: Iterable[Update], orders: Iterable[OrderedAs] = ()) -> bool:
        """True when a node on which all of this is done may be out in spite of the freeze: there is work that it is
        out for, and all of that is exempt. What no workload feels may come along.
        """
        felt = [self.is_exempt(freeze, update) for update in updates if update.needs_drain]
        felt += [self.is_order_exempt(freeze, order) for order in orders if order.impact is not Impact.IMPACTLESS]
        return bool(felt) and all(felt)

    def judge(self, work: Work) -> Ruling:
        """What the policy of the node's customer says; without one, everything needs an approval."""
        customer = self.customers.get(work.cluster.customer)
        return Ruling(stance=Stance.NEEDS_APPROVAL, rule=NO_POLICY) if customer is None else customer.judge(work)

    def judge_update(self, update: Update, node: Node, cluster: Cluster) -> Ruling:
        """As `judge`, of rolling out `update` to `node` or to a device it hangs on. No flight without a word on it."""
        kind = MaintenanceKind.DEPLOYMENT
        work = Work(kind=kind, impact=update.impact, criticality=update.criticality, node=node, cluster=cluster)
        ruling = self.judge(work)
        if update.stage is Stage.FLIGHT_READY and ruling.stance is not Stance.BLOCK:
            return Ruling(stance=Stance.NEEDS_APPROVAL, rule=FLIGHTING)
        return ruling

    def needs_asking(self, update: Update, node: Node, cluster: Cluster) -> bool:
        """True when the policy does not let `update` through by itself, at some time or at any."""
        return self.judge_update(update, node, cluster).stance in (Stance.BLOCK, Stance.NEEDS_APPROVAL)

    def proceeds(self, customer: CustomerId) -> bool:
        """True when unapproved work goes on by itself after its due date."""
        found = self.customers.get(customer)
        return found is not None and found.after_due is AfterDue.PROCEED

    def due_at(self, update: Update) -> datetime:
        """The due date (NotBefore) of `update`: its own, or its release plus the promised notice."""
        return update.not_before if update.not_before is not None else update.released_at + self.promised(update)

    def promised(self, update: Update) -> timedelta:
        """How long before work that nobody approved a customer has to know of `update`."""
        regular = update.criticality is Criticality.REGULAR
        return timedelta(days=self.notice.regular_update if regular else self.notice.critical_update)


class Verdict(StrEnum):
    """What an entry of the consent ledger says."""

    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"  # until a time
    OFFERED = "offered"  # another time, a counter-offer: nothing is covered until the operator answers it
    REFUSED = "refused"  # a counter-offer: nothing is covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What an approval, or a counter-offer, holds itself to; a member left out does not restrict. Times are UTC.

    Work starts at `not_before` or later and its nodes are back by `not_after`. At most `nodes_per_day` of the nodes
    that the approval decides about go on one day. A node goes only if what it still lacks of `with_updates` is
    done in that outage, and only in a window that takes every node of `with_scope` that has work.
    """

    not_before: datetime | None = None
    not_after: datetime | None = None
    nodes_per_day: int | None = None
    with_updates: frozenset[UpdateId] = frozenset()
    with_scope: Scope | None = None


NO_CONDITIONS = Conditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEntry:
    """One line of the consent ledger, ordered by `seq`. Of the entries that hold a node and speak of an update, the
    last decides.

    `updates` are the items that stood in the request, at `incarnation`, when the word was given: consent
    never stretches to an item its giver has not seen. `excluded`: those that the giver left out by name. With
    `is_part` the entry speaks of `updates` alone, else of all work on its scope, but for flights that it does not
    name. `flight`: the one of `updates` that was flight-ready, and offered by itself.

    `place`: of a group, where its shared device stood, so that the word outlives the device. `until` and `then`: when a
    decline ends, and what follows. `offer`: the counter-offer that this entry answers.
    """

    seq: int
    id: ApprovalId
    request: RequestId
    incarnation: int
    updates: frozenset[UpdateId]
    scope: Scope
    verdict: Verdict
    actor: str
    at: datetime
    reason: str
    excluded: frozenset[UpdateId] = field(default=frozenset(), metadata={ADDED_LATER: True})
    is_part: bool = field(default=False, metadata={ADDED_LATER: True})
    flight: UpdateId | None = field(default=None, metadata={ADDED_LATER: True})
    place: Place | None = field(default=None, metadata={ADDED_LATER: True})
    conditions: Conditions = field(default=NO_CONDITIONS, metadata={ADDED_LATER: True})
    until: datetime | None = field(default=None, metadata={ADDED_LATER: True})
    then: AfterDue | None = field(default=None, metadata={ADDED_LATER: True})
    offer: ApprovalId | None = field(default=None, metadata={ADDED_LATER: True})
