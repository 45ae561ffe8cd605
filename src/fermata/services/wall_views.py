"""What the wall shows, as values: what cells are coloured by, which colours there are, and which of them a node has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from fermata.domain.fleet import NodeState
from fermata.domain.ids import ClusterId
from fermata.domain.node_states import UnitState


class Shade(StrEnum):
    """What cells are coloured by."""

    STATE = "state"
    PENDING = "pending"
    CONSENT = "consent"
    VERSION = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One colour and what it means. `tone` names it in the style sheet."""

    tone: str
    label: str


IN_SERVICE = Mark(tone="quiet", label="in service")
RETURNED = Mark(tone="good", label="returned, proven")
DRAINING = Mark(tone="soft", label="draining")
UPDATING = Mark(tone="open", label="being updated")
VERIFYING = Mark(tone="verify", label="being verified")
NOT_BACK = Mark(tone="bad", label="not back")
OUT = Mark(tone="out", label="out of service")
STATES = (IN_SERVICE, DRAINING, UPDATING, VERIFYING, RETURNED, NOT_BACK, OUT)
OF_UNITS: Mapping[UnitState, Mark] = {
    UnitState.LOCKED: DRAINING,
    UnitState.DRAINING: DRAINING,
    UnitState.DRAINED: DRAINING,
    UnitState.APPLYING: UPDATING,
    UnitState.REBOOTING: UPDATING,
    UnitState.RESETTING: UPDATING,
    UnitState.RECOVERING: UPDATING,
    UnitState.VERIFYING: VERIFYING,
    UnitState.PROVEN: VERIFYING,
    UnitState.FAILED: NOT_BACK,
    UnitState.IN_REPAIR: NOT_BACK,
    UnitState.RETURNED: RETURNED,
}
NOTHING = Mark(tone="quiet", label="nothing pending")
CONSENTS = (
    NOTHING,
    Mark(tone="good", label="may begin"),
    Mark(tone="warn", label="waits for an approval"),
    Mark(tone="bad", label="held: a no, a freeze or a policy"),
)
COUNTS = (
    (0, NOTHING),
    (1, Mark(tone="ramp-1", label="1 update")),
    (2, Mark(tone="ramp-2", label="2 or 3")),
    (4, Mark(tone="ramp-3", label="4 to 7")),
    (8, Mark(tone="ramp-4", label="8 to 15")),
    (16, Mark(tone="ramp-5", label="16 or more")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWall:
    """One cluster: `racks` are names with their number of nodes, `cells` the index of each node's mark, rack by rack,
    by name. Of a wall that is too large to be shown at once, `racks` and `cells` are empty. `counts`: nodes by mark;
    empty where they are not known yet.
    """

    name: ClusterId
    supercomputer: str
    customer: str
    nodes: int
    counts: tuple[int, ...]
    racks: tuple[tuple[str, int], ...]
    cells: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Wall:
    """All of it, or one cluster. `shape` is another text when nodes came, went or moved. `is_whole` False: there are
    too many nodes to be shown at once. `is_painted` False: nobody counted the marks yet. `components`: those that any
    node reports, by name.
    """

    shade: Shade
    component: str | None
    marks: tuple[Mark, ...]
    clusters: tuple[ClusterWall, ...]
    components: tuple[str, ...]
    shape: str
    is_whole: bool
    is_painted: bool = True

    @property
    def nodes(self) -> int:
        """All of them."""
        return sum(cluster.nodes for cluster in self.clusters)

    @cached_property
    def totals(self) -> tuple[int, ...]:
        """Nodes by mark; empty where they are not known."""
        return tuple(map(sum, zip(*(cluster.counts for cluster in self.clusters), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of the wall. `component` None: the first there is."""

    shade: Shade = Shade.STATE
    component: str | None = None
    cluster: ClusterId | None = None


def mark_of(seen: NodeState, units: Iterable[UnitState]) -> Mark:
    """Where a node stands: what a window does with it now, else whether it serves, and whether it went back since the
    plan in force, proven. `units`: where it stands in each window that took it.
    """
    marks = [OF_UNITS[state] for state in units if state in OF_UNITS]
    busy = next((mark for mark in marks if mark is not RETURNED), None)
    if busy is not None:
        return busy
    if seen is not NodeState.IN_SERVICE:
        return OUT
    return RETURNED if marks else IN_SERVICE


def count_index(updates: int) -> int:
    """Which of COUNTS so many updates are."""
    return max(index for index, (least, _) in enumerate(COUNTS) if updates >= least)
