"""Who calls, what they were granted, and what of the fleet they see: values alone, proven at the door."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.ids import ClusterId, CustomerId, SupercomputerId


class Role(StrEnum):
    """What somebody may do where it was granted; see docs/access.md."""

    CONDUCTOR = "conductor"  # plans, publishes and conducts
    APPROVER = "approver"  # speaks for a customer
    UPDATE_OWNER = "update_owner"  # registers updates and follows their rings
    OPERATOR = "operator"  # works on nodes: work orders, tail, brake, readmission
    VIEWER = "viewer"  # looks
    AUDITOR = "auditor"  # looks, at the journal and its proof too
    AUTOMATION = "automation"  # what an inventory, a repair service or an alert may send


class GrantLevel(StrEnum):
    """How much of the fleet a grant is for."""

    EVERYTHING = "everything"
    CUSTOMER = "customer"
    SUPERCOMPUTER = "supercomputer"
    CLUSTER = "cluster"


class PrincipalKind(StrEnum):
    """How a caller is known."""

    LOCAL = "local"  # nobody signs in: this machine alone reaches the server, and whoever uses it is trusted
    PERSON = "person"
    SERVICE = "service"  # client credentials, or a token
    NODE = "node"  # from inside a node: it sees and starts its own events alone


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """A role on a part of the fleet: what belongs to it later is part of it. `name` is "" for everything alone."""

    role: Role
    level: GrantLevel
    name: str = ""

    def __post_init__(self) -> None:
        if (self.level is GrantLevel.EVERYTHING) != (not self.name):
            raise ValueError(f"a grant of {self.level} with the name {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller who is known. `name` is the actor of what it orders; `via` names the session or token, "" without.
    `emergencies`: what it may take for a while by breaking the glass, and has not got otherwise. `lent`: those of
    `grants` that were taken so, and end by the clock: whatever lasts longer is made of `own` alone.
    """

    name: str
    kind: PrincipalKind
    grants: frozenset[Grant]
    via: str = ""
    emergencies: frozenset[Grant] = frozenset()
    lent: frozenset[Grant] = frozenset()

    @property
    def own(self) -> frozenset[Grant]:
        """What it was granted to keep."""
        return self.grants - self.lent

    @property
    def sees(self) -> "Sight":
        """What of the fleet it may know of."""
        return sight_of(self.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A part of the fleet: all of it, or the clusters of these customers and supercomputers, and these clusters."""

    everything: bool = False
    customers: frozenset[CustomerId] = frozenset()
    supercomputers: frozenset[SupercomputerId] = frozenset()
    clusters: frozenset[ClusterId] = frozenset()

    def holds(self, *, customer: CustomerId, supercomputer: SupercomputerId, cluster: ClusterId) -> bool:
        """Whether that cluster of that customer and supercomputer is in sight."""
        return (
            self.everything
            or customer in self.customers
            or supercomputer in self.supercomputers
            or cluster in self.clusters
        )

    def shows_all_of(self, other: "Sight") -> bool:
        """Whether whatever is in sight of the other is in this one, as far as their names tell."""
        return self.everything or (
            not other.everything
            and other.customers <= self.customers
            and other.supercomputers <= self.supercomputers
            and other.clusters <= self.clusters
        )


EVERYTHING = Sight(everything=True)
NOTHING = Sight()
LOCAL = Principal(
    name="local",
    kind=PrincipalKind.LOCAL,
    grants=frozenset(Grant(role=role, level=GrantLevel.EVERYTHING) for role in Role),
)


def sight_of(grants: Iterable[Grant]) -> Sight:
    """What all of them show together. Every role may look at what it was granted for."""
    named: dict[GrantLevel, set[str]] = {level: set() for level in GrantLevel}
    for grant in grants:
        named[grant.level].add(grant.name)
    if named[GrantLevel.EVERYTHING]:
        return EVERYTHING
    return Sight(
        customers=frozenset(CustomerId(name) for name in named[GrantLevel.CUSTOMER]),
        supercomputers=frozenset(SupercomputerId(name) for name in named[GrantLevel.SUPERCOMPUTER]),
        clusters=frozenset(ClusterId(name) for name in named[GrantLevel.CLUSTER]),
    )
