"""The wall: every node as one cell, by cluster and rack, coloured by where it stands, what is pending on it, whether
its work may begin, or which version it reports.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from itertools import groupby

from fermata.domain.fleet import Cluster, Node, NodeState
from fermata.domain.ids import ClusterId
from fermata.domain.node_states import UnitState
from fermata.services.maintenance import ASKED, WAITING, MaintenanceDesk, Picture

FRESH_SECONDS = 5.0  # a wall costs as much as a look at the whole fleet, and nobody reads 20,000 cells faster
CELLS_MAX = 60_000  # of one answer: beyond it a wall is asked for by cluster
VERSIONS_MAX = 8  # colours that eyes tell apart; the rest is one of them


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
    by name. Of a wall that is too large to be shown at once, `racks` and `cells` are empty. `counts`: nodes by mark.
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
    too many nodes to be shown at once. `components`: those that any node reports, by name.
    """

    shade: Shade
    component: str | None
    marks: tuple[Mark, ...]
    clusters: tuple[ClusterWall, ...]
    components: tuple[str, ...]
    shape: str
    is_whole: bool

    @cached_property
    def totals(self) -> tuple[int, ...]:
        """Nodes by mark."""
        return tuple(sum(cluster.counts[index] for cluster in self.clusters) for index in range(len(self.marks)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of the wall. `component` None: the first there is."""

    shade: Shade = Shade.STATE
    component: str | None = None
    cluster: ClusterId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hall:
    """The nodes of one reading of the fleet in their order on the wall, which changes with the inventory alone."""

    clusters: tuple[tuple[Cluster, tuple[Node, ...]], ...]
    components: tuple[str, ...]
    shape: str


class WallDesk:
    """Answers from one picture for FRESH_SECONDS, however many look. Safe for many threads."""

    def __init__(self, desk: MaintenanceDesk, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: tuple[float, Picture, _Hall] | None = None
        self._walls: dict[Asked, Wall] = {}

    @property
    def picture(self) -> Picture:
        """What walls show now."""
        with self._lock:
            return self._see()[0]

    def look(self, asked: Asked) -> Wall | None:
        """The wall as asked for; None when the fleet has no such cluster."""
        with self._lock:
            picture, hall = self._see()
            if asked.cluster is not None and asked.cluster not in picture.fleet.clusters:
                return None
            if asked not in self._walls:
                self._walls[asked] = _paint(picture, hall, asked)
            return self._walls[asked]

    def names(self, cluster: ClusterId | None) -> tuple[str, Mapping[ClusterId, tuple[str, ...]]]:
        """The shape last shown, and the names of the nodes in it in their order, of one cluster or all."""
        with self._lock:
            _, hall = self._see()
        return hall.shape, {
            found.name: tuple(node.name for node in nodes)
            for found, nodes in hall.clusters
            if cluster is None or found.name == cluster
        }

    def _see(self) -> tuple[Picture, _Hall]:
        if self._seen is None or self._monotonic() - self._seen[0] >= FRESH_SECONDS:
            picture = self._desk.look()
            self._seen, self._walls = (self._monotonic(), picture, _arrange(picture)), {}
        return self._seen[1:]


def _arrange(picture: Picture) -> _Hall:
    fleet = picture.fleet
    clusters = sorted(
        (cluster for name, cluster in fleet.clusters.items() if fleet.nodes_by_cluster.get(name)),
        key=lambda cluster: cluster.name,
    )
    arranged = tuple(
        (cluster, tuple(sorted(fleet.nodes_by_cluster[cluster.name], key=lambda n: (n.scalable_unit, n.rack, n.name))))
        for cluster in clusters
    )
    digest = sha256()
    for cluster, nodes in arranged:
        digest.update("\n".join((cluster.name, *(f"{node.rack} {node.name}" for node in nodes))).encode())
    reported = {component for _, nodes in arranged for node in nodes for component in node.versions}
    return _Hall(clusters=arranged, components=tuple(sorted(reported)), shape=digest.hexdigest()[:16])


def _paint(picture: Picture, hall: _Hall, asked: Asked) -> Wall:
    shown = [pair for pair in hall.clusters if asked.cluster is None or pair[0].name == asked.cluster]
    component = asked.component or (hall.components[0] if hall.components else None)
    is_whole = sum(len(nodes) for _, nodes in shown) <= CELLS_MAX
    marks, index_of = _palette(picture, shown, asked.shade, component)
    return Wall(
        shade=asked.shade,
        component=component if asked.shade is Shade.VERSION else None,
        marks=marks,
        clusters=tuple(
            _cluster_wall(cluster, nodes, tuple(map(index_of, nodes)), len(marks), with_cells=is_whole)
            for cluster, nodes in shown
        ),
        components=hall.components,
        shape=hall.shape,
        is_whole=is_whole,
    )


def _cluster_wall(
    cluster: Cluster, nodes: Sequence[Node], cells: tuple[int, ...], marks: int, *, with_cells: bool
) -> ClusterWall:
    counted = Counter(cells)
    racks = tuple((str(rack), sum(1 for _ in group)) for rack, group in groupby(nodes, key=lambda node: node.rack))
    return ClusterWall(
        name=cluster.name,
        supercomputer=cluster.supercomputer,
        customer=cluster.customer,
        nodes=len(nodes),
        counts=tuple(counted[index] for index in range(marks)),
        racks=racks if with_cells else (),
        cells=cells if with_cells else (),
    )


_Shown = Iterable[tuple[Cluster, Sequence[Node]]]


def _palette(
    picture: Picture, shown: _Shown, shade: Shade, component: str | None
) -> tuple[tuple[Mark, ...], Callable[[Node], int]]:
    """The marks of a shade, and which of them a node has."""
    match shade:
        case Shade.STATE:
            return STATES, lambda node: STATES.index(mark_state(picture, node))
        case Shade.PENDING:
            return tuple(mark for _, mark in COUNTS), lambda node: count_index(len(picture.settled.updates_of(node)))
        case Shade.CONSENT:
            return CONSENTS, lambda node: _consent_index(picture, node)
        case Shade.VERSION:
            return _versions(shown, component)


def mark_state(picture: Picture, node: Node) -> Mark:
    """Where the node stands: what a window does with it now, else whether it serves, and whether it went back since the
    plan in force, proven.
    """
    found: Mark | None = None
    for planned in picture.settled.windows.get(node.name, ()):
        run = planned.run
        state = picture.units.get((run.run, run.window, node.name)) if run is not None else None
        mark = OF_UNITS.get(state) if state is not None else None
        if mark is not None and (found is None or found is RETURNED):
            found = mark
    if found is not None and (found is not RETURNED or node.state is NodeState.IN_SERVICE):
        return found
    return IN_SERVICE if node.state is NodeState.IN_SERVICE else OUT


def count_index(updates: int) -> int:
    """Which of COUNTS so many updates are."""
    return max(index for index, (least, _) in enumerate(COUNTS) if updates >= least)


def _consent_index(picture: Picture, node: Node) -> int:
    if not picture.settled.updates_of(node):
        return 0
    gap = picture.settled.gaps.get(node.name)
    if gap is None:
        return 1
    return 2 if gap.code in ASKED | WAITING else 3


def _versions(shown: _Shown, component: str | None) -> tuple[tuple[Mark, ...], Callable[[Node], int]]:
    """The versions that most nodes report, then all others, then nodes that say nothing."""
    counted = Counter(node.versions.get(component or "", "") for _, nodes in shown for node in nodes)
    counted.pop("", None)
    ranked = sorted(counted, key=lambda version: (-counted[version], version))
    named = ranked[:VERSIONS_MAX] if len(ranked) <= VERSIONS_MAX else ranked[: VERSIONS_MAX - 1]
    others = len(ranked) - len(named)
    marks = [Mark(tone=f"version-{number}", label=version) for number, version in enumerate(named, start=1)]
    if others:
        marks.append(Mark(tone=f"version-{VERSIONS_MAX}", label=f"{others:,} others"))
    marks.append(Mark(tone="out", label="unknown"))
    index = {version: number for number, version in enumerate(named)} | {"": len(marks) - 1}
    return tuple(marks), lambda node: index.get(node.versions.get(component or "", ""), len(named))
