"""What a rule of a plan tells the planner: six small kinds of facts, one of which each `encode` in `constraints/`
returns. They hold values and claims, nothing that solves; `encoders` collects and joins them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from fermata.domain.campaign import Limit
from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, TeamId, UpdateId, WindowId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import Mode
from fermata.domain.reasons import Reason
from fermata.domain.updates import Isolation, Update
from fermata.domain.windows import Interval
from fermata.planning.inputs import PlanningInput

EVERY_WEEKDAY = frozenset(range(7))
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
DRAIN, REBOOT, VERIFY = "drain", "reboot", "verify"  # steps that no update owns, as `Steps` names them


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What every `encode` is asked about. `pending` is what `domain.pending` finds for these inputs."""

    inputs: PlanningInput
    pending: FleetPending

    @cached_property
    def clusters(self) -> tuple[Cluster, ...]:
        """Clusters that the campaign is about, by name: shares are taken of all their nodes."""
        scope = self.inputs.campaign.scope
        return tuple(c for _, c in sorted(self.inputs.fleet.clusters.items()) if scope.matches_cluster(c))


def any_cluster(_cluster: Cluster) -> bool:
    """True for every cluster: the claim of a rule that does not ask."""
    return True


def any_size(nodes: int) -> tuple[int, int]:
    """Bounds of a part that bound nothing."""
    return 0, nodes


def no_update(_update: Update) -> bool:
    """False for every update."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """Which nodes and devices windows may take at all, as far as one rule goes.

    `covers`: clusters that it lets in. `blocked` and `barred`: nodes and devices that it keeps out, each with why;
    what depends on them stays out too (`readiness`). `companions`: a node goes only in a window that takes all of
    those.
    """

    covers: Callable[[Cluster], bool] = any_cluster
    blocked: Mapping[NodeId, Reason] = field(default_factory=dict)
    barred: Mapping[DeviceId, Reason] = field(default_factory=dict)
    companions: Mapping[NodeId, frozenset[NodeId]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How a cluster may be split, as far as one rule goes.

    `may_roll`: it may be taken in parts. `sizes`: of the nodes with work, the fewest of a part that is not the last,
    and the most of any. `ties`: where that update is due on a device, the nodes behind go together.
    """

    may_roll: Callable[[Cluster], bool] = any_cluster
    sizes: Callable[[int], tuple[int, int]] = any_size
    ties: Callable[[Update], bool] = no_update


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """No window whose nodes, all of one cluster, `touches` holds shares an instant with `time`, and `why`. Known by a
    name that no other has. `clusters`: the only ones that it may touch, so that others need not ask; None: any.
    """

    name: str
    touches: Callable[[Sequence[Node], Cluster], bool]
    time: Interval
    why: Reason
    clusters: frozenset[ClusterId] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When a window may lie, as far as one rule goes; a bound left out is none.

    Days are calendar days of the campaign's zone, both ends included; weekday 0 is Monday. `room` is the time of a
    day in which its windows start and end (None: not this rule's matter), `not_before` the earliest start.
    """

    first_day: date = date.min
    last_day: date = date.max
    weekdays: frozenset[int] = EVERY_WEEKDAY
    room: Callable[[date], Interval] | None = None
    not_before: datetime = LONG_AGO
    closed: tuple[Closed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What windows compete for. `per_day` adds up over a calendar day, otherwise over each instant.

    It counts for windows of days from `first_day` to `last_day`, both included; None: no bound. `reserve` of the
    capacity is kept free, if that costs nothing, for nodes that do not come back at once: asked for by `keeps_reserve`
    and worked out in `resources`. `within_nodes_out`: never more units than nodes are out at that instant. `grows`:
    windows of earlier days add to the capacity, see `Capacity.lends`.
    """

    source: Limit | TeamId | str
    name: str
    capacity: int
    reserve: int = 0
    per_day: bool = False
    first_day: date | None = None
    last_day: date | None = None
    keeps_reserve: bool = False
    within_nodes_out: bool = False
    grows: bool = False

    def holds_on(self, day: date) -> bool:
        """True when it counts windows of that day."""
        after_first = self.first_day is None or day >= self.first_day
        return after_first and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Units of a resource (its index) that a window uses over `[start, end)`, in minutes from its start."""

    resource: int
    start: int
    end: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamUse:
    """Units that a team works on over `[start, end)`, in minutes from the start of the window."""

    team: TeamId
    start: int
    end: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one window takes of one cluster, before it has a start. `team_uses` is empty until steps are laid out."""

    cluster: Cluster
    nodes: Sequence[Node]
    mode: Mode
    minutes: int
    team_uses: Sequence[TeamUse] = ()

    def use(self, resource: int, units: int) -> Use:
        """Units used as long as the window is open."""
        return Use(resource=resource, start=0, end=self.minutes, units=units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """Units that a window adds to a resource (its index) on every day after its own."""

    resource: int
    units: int


def lends_nothing(_taken: Taken) -> tuple[Loan, ...]:
    """What windows add by a rule of which no resource grows."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What windows share by one rule. `count` gives the uses of a window; their `resource` is an index into
    `resources`. It is asked for each part of each way: one pass over the nodes should do for all resources.
    `lends` gives what a window adds to resources that grow, on every later day: pairs of index and units.
    """

    resources: tuple[Resource, ...]
    count: Callable[[Taken], tuple[Use, ...]]
    lends: Callable[[Taken], tuple[Loan, ...]] = lends_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What one rule asks of the steps of a window. A step is named by its update, or DRAIN, REBOOT, VERIFY.

    - `minutes`: the least length of a step.
    - `before`: per step those that must be over, and active, on a unit before the step starts on it; names that are
      not in the window do not count.
    - `drained`: updates that may not start anywhere before the window's drain is over.
    - `rebooted`: updates that are active only from the end of a reboot of their node after them.
    - `alone`: steps of which a node never goes through two at once.
    - `apart`: pairs of updates that never run at once on a node, nor on a device and a node behind it.
    - `isolated`: how far an update may spread over the nodes of the window at any instant.
    """

    minutes: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, frozenset[str]] = field(default_factory=dict)
    drained: frozenset[UpdateId] = frozenset()
    rebooted: frozenset[UpdateId] = frozenset()
    alone: frozenset[str] = frozenset()
    apart: frozenset[frozenset[UpdateId]] = frozenset()
    isolated: Mapping[UpdateId, Isolation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Which windows go before all others, as far as one rule goes. Nothing given: none has to.

    `fraction`: some go first, at most that share of all nodes with work, `at_least` so many nodes if there are small
    windows enough, and no other starts less than `gap` after the last of them ends. `opens`: who goes first is settled
    (`first`, windows of the parent plan); nothing else that is for choosing starts before that.
    """

    fraction: float | None = None
    at_least: int = 0
    gap: timedelta = timedelta(0)
    opens: datetime | None = None
    first: frozenset[WindowId] = frozenset()


Encoded = Takes | Parts | Calendar | Capacity | Steps | Turns
