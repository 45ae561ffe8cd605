"""What a standing plan says: outages per cluster, what needs none, and what cannot be on time, each with its reason."""

from dataclasses import dataclass
from datetime import date, datetime

from fermata.domain.ids import ClusterId, NodeId, SupercomputerId, UpdateId
from fermata.domain.reasons import Reason

SCHEMA = "fermata.standing/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Nodes of one cluster that are out on one of its calendar days, and the updates done then, by id.

    `forced_by`: the update whose due date, `due`, the outage cannot be put off beyond.
    """

    cluster: ClusterId
    day: date
    nodes: tuple[NodeId, ...]
    updates: tuple[UpdateId, ...]
    forced_by: UpdateId
    due: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """An update that no workload feels, done on a day of its own because no outage is near."""

    cluster: ClusterId
    update: UpdateId
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An update that misses its due date (`day` is when it can be done) or is never done (None), and why; without an
    update something that concerns the whole cluster.
    """

    cluster: ClusterId
    update: UpdateId | None
    due: date | None
    day: date | None
    units: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStanding:
    """The year of one cluster. `node_outages` counts a node once for each outage it is in; no plan that keeps the same
    dates has fewer than `node_outages_bound`. `separate`: what one outage for each update would come to.
    """

    cluster: ClusterId
    supercomputer: SupercomputerId
    outages: tuple[Outage, ...]
    quiet: tuple[Quiet, ...]
    troubles: tuple[Trouble, ...]
    node_outages: int
    node_outages_bound: int
    separate: int
    separate_node_outages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPlan:
    """All clusters by name, for the days from `first_day` to `last_day`. `made_at` is aware UTC."""

    made_at: datetime
    first_day: date
    last_day: date
    clusters: tuple[ClusterStanding, ...]

    @property
    def outages(self) -> int:
        """Outages of all clusters."""
        return sum(len(cluster.outages) for cluster in self.clusters)

    @property
    def node_outages(self) -> int:
        """Nodes times the outages they are in."""
        return sum(cluster.node_outages for cluster in self.clusters)

    @property
    def node_outages_bound(self) -> int:
        """No plan that keeps the same dates has fewer node outages."""
        return sum(cluster.node_outages_bound for cluster in self.clusters)
