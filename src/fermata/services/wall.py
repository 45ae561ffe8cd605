"""The wall: every node as one cell, by cluster and rack, coloured by where it stands, what is pending on it, whether
its work may begin, or which version it reports.

Where nodes stand and what they report is read in columns, at once. What is pending, and whether it may begin, follows
from the picture of the doors, which takes a second where nobody has looked for a while.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from fermata.domain.fleet import Cluster, Node, NodeState
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.services.maintenance import ASKED, WAITING, MaintenanceDesk, Picture
from fermata.services.wall_views import (
    CONSENTS,
    COUNTS,
    STATES,
    Asked,
    ClusterWall,
    Mark,
    Shade,
    Wall,
    count_index,
    mark_of,
)
from fermata.store import fleet_changes, inventory, runs, wall_rows
from fermata.store.database import Connection
from fermata.store.wall_rows import Place

FRESH_SECONDS = 5.0  # nobody reads 20,000 cells faster
CELLS_MAX = 60_000  # of one answer: beyond it a wall is asked for by cluster
VERSIONS_MAX = 8  # colours that eyes tell apart; the rest is one of them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hall:
    """The nodes that are shown, by cluster in their order on the wall; of too many, `places` is empty, and `counted`
    has how many there are in each state, with each version.
    """

    clusters: Mapping[ClusterId, Cluster]
    sizes: Mapping[ClusterId, int]
    places: Mapping[ClusterId, Sequence[Place]]
    components: tuple[str, ...]
    component: str | None
    shape: str
    counted: "_Counted" = ()

    @property
    def is_whole(self) -> bool:
        """False when there are too many to be shown at once."""
        return bool(self.places) or not self.sizes


_Counts = Mapping[ClusterId, Counter[int]]


class WallDesk:
    """Answers for FRESH_SECONDS from what it read, however many look. Safe for many threads."""

    def __init__(self, desk: MaintenanceDesk, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._monotonic = monotonic
        self._locks = {shade: threading.Lock() for shade in Shade}  # who waits for a picture keeps nobody else waiting
        self._reading = threading.Lock()
        self._walls: dict[Asked, tuple[float, Wall]] = {}
        self._halls: dict[tuple[ClusterId | None, str | None], tuple[int, _Hall]] = {}

    @property
    def picture(self) -> Picture:
        """What the doors answer from now."""
        return self._desk.look()

    def look(self, asked: Asked) -> Wall | None:
        """The wall as asked for; None when the fleet has no such cluster."""
        with self._locks[asked.shade]:
            return self._at_hand(asked) or self._paint(asked)

    def glance(self, asked: Asked) -> Wall | None:
        """As `look`, at once: of what takes a while to be found out, nodes and racks alone."""
        if asked.shade in (Shade.STATE, Shade.VERSION):
            return self.look(asked)
        found = self._at_hand(asked)
        if found is not None:
            return found
        hall = self._hall(asked)
        return None if hall is None else _assemble(asked, hall, _marks(asked.shade), None, {})

    def names(self, cluster: ClusterId | None) -> tuple[str, Mapping[ClusterId, tuple[str, ...]]]:
        """The shape, and the names of the nodes in it in their order, of one cluster or all."""
        hall = self._hall(Asked(cluster=cluster))
        if hall is None:
            return "", {}
        return hall.shape, {name: tuple(place[3] for place in places) for name, places in hall.places.items()}

    def _at_hand(self, asked: Asked) -> Wall | None:
        at, wall = self._walls.get(asked, (float("-inf"), None))
        return wall if self._monotonic() - at < FRESH_SECONDS else None

    def _paint(self, asked: Asked) -> Wall | None:
        now = self._monotonic()
        hall = self._hall(asked)
        if hall is None:
            return None
        wall = self._coloured(asked, hall)
        self._walls = {key: kept for key, kept in self._walls.items() if now - kept[0] < FRESH_SECONDS}
        self._walls[asked] = (now, wall)
        return wall

    def _coloured(self, asked: Asked, hall: _Hall) -> Wall:
        if asked.shade in (Shade.PENDING, Shade.CONSENT):
            if not hall.is_whole:
                return _assemble(asked, hall, _marks(asked.shade), None, {})  # a cluster has to be named first
            picture = self._desk.look()
            index_of = _pending_index(picture) if asked.shade is Shade.PENDING else _consent_index(picture)
            cells = {name: tuple(index_of(place[3]) for place in places) for name, places in hall.places.items()}
            return _assemble(asked, hall, _marks(asked.shade), _count(cells), cells)
        with self._desk.db.read() as conn:
            if asked.shade is Shade.STATE:
                return _assemble(asked, hall, STATES, *_states(conn, hall, asked.cluster))
        versions = _counted(hall) if hall.is_whole else hall.counted
        marks, index = _versions(versions)
        cells = {name: tuple(index[place[5]] for place in places) for name, places in hall.places.items()}
        counts = _sum_up((cluster, index[version], count) for cluster, _, version, count in versions)
        return _assemble(asked, hall, marks, counts, cells)

    def _hall(self, asked: Asked) -> _Hall | None:
        """Read again only when the inventory has changed."""
        with self._reading, self._desk.db.read() as conn:
            mark, key = fleet_changes.last_change(conn), (asked.cluster, _component_of(asked))
            known = self._halls.get(key)
            if known is None or known[0] != mark:
                self._halls = {name: kept for name, kept in self._halls.items() if kept[0] == mark}
                hall = _arrange(conn, asked)
                if hall is None:
                    return None
                known = self._halls[key] = (mark, hall)
            return known[1]


def _component_of(asked: Asked) -> str | None:
    return (asked.component or "") if asked.shade is Shade.VERSION else None


def _arrange(conn: Connection, asked: Asked) -> _Hall | None:
    sizes = wall_rows.count_nodes(conn)
    clusters = inventory.load_clusters(conn)
    if asked.cluster is not None:
        if asked.cluster not in clusters:
            return None
        sizes = {name: size for name, size in sizes.items() if name == asked.cluster}
    components = wall_rows.list_components(conn)
    component = asked.component or (components[0] if components else None)
    component = component if asked.shade is Shade.VERSION else None
    places: dict[ClusterId, Sequence[Place]] = {}
    counted: _Counted = ()
    if sum(sizes.values()) > CELLS_MAX:
        counted = wall_rows.count_places(conn, component)
    else:
        found = wall_rows.read_places(conn, asked.cluster, component)
        places = {name: tuple(group) for name, group in groupby(found, key=lambda place: place[0])}
    digest = sha256()
    for name in sizes:
        digest.update("\n".join((name, *(f"{place[2]} {place[3]}" for place in places.get(name, ())))).encode())
    return _Hall(
        clusters=clusters,
        sizes=sizes,
        places=places,
        components=components,
        component=component,
        shape=digest.hexdigest()[:16],
        counted=counted,
    )


def _assemble(
    asked: Asked, hall: _Hall, marks: tuple[Mark, ...], counts: _Counts | None, cells: Mapping[ClusterId, Sequence[int]]
) -> Wall:
    return Wall(
        shade=asked.shade,
        component=hall.component,
        marks=marks,
        clusters=tuple(
            ClusterWall(
                name=name,
                supercomputer=hall.clusters[name].supercomputer,
                customer=hall.clusters[name].customer,
                nodes=size,
                counts=() if counts is None else tuple(counts[name][index] for index in range(len(marks))),
                racks=_racks(hall.places.get(name, ())),
                cells=tuple(cells.get(name, ())),
            )
            for name, size in hall.sizes.items()
        ),
        components=hall.components,
        shape=hall.shape,
        is_whole=hall.is_whole,
        is_painted=counts is not None,
    )


def _racks(places: Sequence[Place]) -> tuple[tuple[str, int], ...]:
    return tuple((rack, sum(1 for _ in group)) for rack, group in groupby(places, key=lambda place: place[2]))


def _marks(shade: Shade) -> tuple[Mark, ...]:
    return CONSENTS if shade is Shade.CONSENT else tuple(mark for _, mark in COUNTS)


def _count(cells: Mapping[ClusterId, Sequence[int]]) -> _Counts:
    return {name: Counter(of) for name, of in cells.items()}


def _sum_up(found: Iterable[tuple[ClusterId, int, int]]) -> _Counts:
    counts: dict[ClusterId, Counter[int]] = {}
    for cluster, index, count in found:
        counts.setdefault(cluster, Counter())[index] += count
    return counts


def _states(
    conn: Connection, hall: _Hall, cluster: ClusterId | None
) -> tuple[_Counts, Mapping[ClusterId, Sequence[int]]]:
    """Counts and cells of where nodes stand; no cells where they are too many."""
    newest = (runs.latest_run(conn, campaign.id) for campaign in inventory.list_campaigns(conn))
    taken: dict[NodeId, tuple[ClusterId, NodeState, list[UnitState]]] = {}
    for of, name, seen, state in wall_rows.read_work(conn, [run.id for run in newest if run], cluster):
        taken.setdefault(name, (of, seen, []))[2].append(state)
    worked = {name: STATES.index(mark_of(seen, states)) for name, (_, seen, states) in taken.items()}
    if hall.is_whole:
        plain = {state: STATES.index(mark_of(state, ())) for state in NodeState}
        cells = {
            of: tuple(worked.get(place[3], plain[place[4]]) for place in places) for of, places in hall.places.items()
        }
        return _count(cells), cells
    whole = ((of, STATES.index(mark_of(state, ())), n) for of, state, _, n in hall.counted)
    moved = (
        pair
        for name, (of, seen, _) in taken.items()
        for pair in ((of, STATES.index(mark_of(seen, ())), -1), (of, worked[name], 1))
    )
    return _sum_up((*whole, *moved)), {}


def mark_state(picture: Picture, node: Node) -> Mark:
    """As `mark_of`, from the picture of the doors."""
    return mark_of(node.state, _units_of(picture, node))


def _units_of(picture: Picture, node: Node) -> Iterator[UnitState]:
    for planned in picture.settled.windows.get(node.name, ()):
        run = planned.run
        state = picture.units.get((run.run, run.window, node.name)) if run is not None else None
        if state is not None:
            yield state


def _pending_index(picture: Picture) -> Callable[[NodeId], int]:
    """Counted once for all nodes that have the same due on them and on their devices."""
    settled, known = picture.settled, dict[tuple[object, ...], int]()
    behind = {name: frozenset(item.update.id for item in unit.due) for name, unit in settled.pending.devices.items()}

    def index_of(name: NodeId) -> int:
        node = picture.fleet.nodes.get(name)
        own = settled.pending.of_node(node).due if node is not None else ()
        key = (*(item.update.id for item in own), None, *settled.devices_of.get(name, ()))
        if key not in known:
            due: set[UpdateId] = {item.update.id for item in own}
            known[key] = count_index(len(due.union(*(behind[device] for device in settled.devices_of.get(name, ())))))
        return known[key]

    return index_of


def _consent_index(picture: Picture) -> Callable[[NodeId], int]:
    settled = picture.settled

    def index_of(name: NodeId) -> int:
        node = picture.fleet.nodes.get(name)
        if node is None or not (settled.pending.of_node(node).due or name in settled.devices_of):
            return 0
        gap = settled.gaps.get(name)
        if gap is None:
            return 1
        return 2 if gap.code in ASKED | WAITING else 3

    return index_of


_Counted = Sequence[tuple[ClusterId, NodeState, str, int]]


def _counted(hall: _Hall) -> _Counted:
    found = Counter((place[0], place[4], place[5]) for places in hall.places.values() for place in places)
    return [(*key, count) for key, count in found.items()]


def _versions(found: _Counted) -> tuple[tuple[Mark, ...], Mapping[str, int]]:
    """The versions that most nodes report, then all others, then nodes that say nothing; and which of them each is."""
    counted: Counter[str] = Counter()
    for _, _, version, count in found:
        counted[version] += count
    counted.pop("", None)
    ranked = sorted(counted, key=lambda version: (-counted[version], version))
    named = ranked[:VERSIONS_MAX] if len(ranked) <= VERSIONS_MAX else ranked[: VERSIONS_MAX - 1]
    others = len(ranked) - len(named)
    marks = [Mark(tone=f"version-{number}", label=version) for number, version in enumerate(named, start=1)]
    if others:
        marks.append(Mark(tone=f"version-{VERSIONS_MAX}", label=f"{others:,} others"))
    marks.append(Mark(tone="out", label="unknown"))
    index = {version: min(number, len(named)) for number, version in enumerate(ranked)}
    return tuple(marks), {**index, "": len(marks) - 1}
