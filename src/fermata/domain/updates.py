"""The update catalogue: what each update changes, costs, needs and forbids."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from fermata.domain.fleet import Cluster
from fermata.domain.hashing import ADDED_LATER
from fermata.domain.ids import NodeId, TeamId, UpdateId

NODE_TARGET = "node"
_Z90 = 1.2815515655446004  # the 90th percentile of the standard normal distribution


class Impact(StrEnum):
    """What a workload feels; anything but impactless needs the node drained."""

    IMPACTLESS = "impactless"
    IMPACTFUL = "impactful"
    REBOOTFUL = "rebootful"


class Criticality(StrEnum):
    """Why an update is urgent, if it is."""

    REGULAR = "regular"
    CRITICAL_SECURITY = "critical_security"
    CRITICAL_LIVESITE = "critical_livesite"


class Stage(StrEnum):
    """How far an update is qualified. Production-ready ones are pending wherever they apply, flights where they fly."""

    FLIGHT_READY = "flight_ready"
    PRODUCTION_READY = "production_ready"


class Rollback(StrEnum):
    """What can be done when it goes wrong."""

    ELIGIBLE = "eligible"
    FORWARD_ONLY = "forward_only"
    INOPERABLE = "inoperable"


class IsolationBy(StrEnum):
    """How the nodes of one window are kept apart while an update is applied."""

    NONE = "none"
    FAULT_DOMAIN = "fault_domain"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Minutes one unit takes: a lognormal distribution given by its median and 90th percentile."""

    p50: float
    p90: float

    @property
    def mu(self) -> float:
        """Mean of the logarithm."""
        return math.log(self.p50)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm; 0 for a fixed duration."""
        return (math.log(self.p90) - math.log(self.p50)) / _Z90

    def narrowed(self, share: float) -> "Duration":
        """The same median with `share` of the spread."""
        return Duration(p50=self.p50, p90=self.p50 * (self.p90 / self.p50) ** share)

    def quantile(self, z: float) -> float:
        """Minutes at `z` standard deviations above the median of the logarithm."""
        return self.p50 * math.exp(z * self.sigma)  # so that the median is exactly p50: a whole minute stays one


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """At once: fault domains when `by` is fault_domain, per cent of the window's nodes when it is percent."""

    by: IsolationBy = IsolationBy.NONE
    at_once: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A component that the node, or the devices it hangs on, must run at `min_version` or later."""

    component: str
    min_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliesTo:
    """An empty field does not restrict."""

    skus: frozenset[str] = frozenset()
    clusters: frozenset[str] = frozenset()
    from_versions: frozenset[str] = frozenset()

    def covers(self, cluster: Cluster, version: str) -> bool:
        """True when a unit in `cluster` that reports `version` is meant."""
        return (
            (not self.skus or cluster.sku in self.skus)
            and (not self.clusters or cluster.name in self.clusters)
            and (not self.from_versions or version in self.from_versions)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One update. `target` is "node" or a device kind; `not_before` None derives from the notice rules."""

    id: UpdateId
    title: str
    owner_team: TeamId
    target: str
    component: str
    to_version: str
    applies_to: AppliesTo
    impact: Impact
    impact_seconds: int | None
    criticality: Criticality
    stage: Stage
    released_at: datetime
    not_before: datetime | None
    duration_minutes: Duration
    after: tuple[UpdateId, ...] = ()
    requires: tuple[Requirement, ...] = ()
    conflicts_with: tuple[UpdateId, ...] = ()
    isolation: Isolation = Isolation()
    rollback: Rollback = Rollback.ELIGIBLE

    @property
    def needs_drain(self) -> bool:
        """True when a workload on the node, or behind the device, would feel it."""
        return self.impact is not Impact.IMPACTLESS

    @property
    def needs_reboot(self) -> bool:
        """True when the new version is active only after the node was rebooted."""
        return self.impact is Impact.REBOOTFUL and self.target == NODE_TARGET


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefaults:
    """Durations of the steps that no update owns."""

    drain_minutes: Duration
    reboot_minutes: Duration
    verify_minutes: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Flown:
    """A flight-ready update and the nodes on which it is tried; one for devices on those with all nodes behind here."""

    update: UpdateId
    nodes: frozenset[NodeId]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything in `updates.yaml`. `team_limits`: units a team works on at once, over the whole fleet.

    `flights`, by update: no file says them, they follow from consent (`domain.flights`).
    """

    defaults: StepDefaults
    team_limits: Mapping[TeamId, int]
    updates: Mapping[UpdateId, Update]
    flights: tuple[Flown, ...] = field(default=(), metadata={ADDED_LATER: True})

    @cached_property
    def production_ready(self) -> tuple[Update, ...]:
        """Updates that are pending wherever they apply, in the order of their ids."""
        ready = (u for u in self.updates.values() if u.stage is Stage.PRODUCTION_READY)
        return tuple(sorted(ready, key=lambda update: update.id))

    @cached_property
    def rolled_out(self) -> tuple[Update, ...]:
        """Every update that may be pending somewhere, in the order of their ids: what is ready, and what flies."""
        if not self.flights:
            return self.production_ready
        flying = {flown.update: self.updates[flown.update] for flown in self.flights}
        ready = {update.id: update for update in self.production_ready}
        return tuple(update for _, update in sorted((ready | flying).items()))

    @cached_property
    def conflicts(self) -> frozenset[frozenset[UpdateId]]:
        """Pairs that never run at the same time on a node, or on a device and a node behind it."""
        pairs = ((u.id, other) for u in self.updates.values() for other in u.conflicts_with)
        return frozenset(frozenset(pair) for pair in pairs)
