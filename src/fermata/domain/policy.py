"""What customers allow: policies, notice, freezes, and the ledger of consent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import ApprovalId, CustomerId, FreezeId, RequestId, UpdateId
from fermata.domain.updates import Criticality, Impact, Update


class Blocked(StrEnum):
    """Which impacts a policy blocks until an approval lets them through."""

    ALL = "all"
    IMPACTFUL = "impactful"
    NONE = "none"

    def blocks(self, impact: Impact) -> bool:
        """True when work of this impact needs an approval."""
        match self:
            case Blocked.ALL:
                return True
            case Blocked.IMPACTFUL:
                return impact is not Impact.IMPACTLESS
            case Blocked.NONE:
                return False


class ScopeLevel(StrEnum):
    """The levels at which consent is given, withdrawn or frozen."""

    SUPERCOMPUTER = "supercomputer"
    CLUSTER = "cluster"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer's policy. A criticality in `except_criticality` is not blocked, and may pass a freeze
    with a reason recorded by two different people.
    """

    id: CustomerId
    deployments: Blocked
    repairs: Blocked
    except_criticality: frozenset[Criticality]
    flighting: Flighting
    approvers: tuple[str, ...]


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
class Policy:
    """Everything in `policy.yaml`. A customer without an entry is blocked entirely."""

    customers: Mapping[CustomerId, Customer]
    notice: Notice
    freezes: tuple[Freeze, ...]

    def needs_approval(self, customer: CustomerId, update: Update) -> bool:
        """Blocked by default: True unless the customer's own policy lets `update` through."""
        rule = self.customers.get(customer)
        if rule is None:
            return True
        return update.criticality not in rule.except_criticality and rule.deployments.blocks(update.impact)

    def due_at(self, update: Update) -> datetime:
        """The due date (NotBefore) of `update`: its own, or its release plus the promised notice."""
        if update.not_before is not None:
            return update.not_before
        regular = update.criticality is Criticality.REGULAR
        days = self.notice.regular_update if regular else self.notice.critical_update
        return update.released_at + timedelta(days=days)


class Verdict(StrEnum):
    """What an entry of the consent ledger says."""

    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEntry:
    """One line of the consent ledger, ordered by `seq`. Of the entries whose scope holds a node, the last decides.

    `updates` are the items that stood in the request, at `incarnation`, when the word was given: consent
    never stretches to an item its giver has not seen.
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
