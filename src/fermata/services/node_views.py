"""One node by itself, for its page: where it stands, what is due on it, the proof of its return, and what happened."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Cluster, Node
from fermata.domain.ids import NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.pending import UnitPending
from fermata.domain.reasons import Reason
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import OrderedWork
from fermata.services.maintenance import Picture
from fermata.services.readmission import NodeReturn, judge_nodes
from fermata.services.wall import mark_state
from fermata.services.wall_views import Mark
from fermata.services.words import facts_words
from fermata.store import journal
from fermata.store.database import Database

LINES_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRow:
    """One component: what the node reports ("" for nothing), and where due work takes it. `device`: of a shared device
    that the node hangs on, else empty. `updates`: due on it, as ids.
    """

    component: str
    device: str
    reported: str
    target: str
    updates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StayRow:
    """A window of the plan in force that has the node, and how far both came in it."""

    window: str
    start: datetime
    end: datetime
    state: WindowState | None
    unit: UnitState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One line of the journal. `details` are its facts in words."""

    at: datetime
    actor: str
    event: str
    why: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """`gap`: why its work may not begin, None when it may or there is none. `history`: the newest first."""

    node: Node
    cluster: Cluster
    mark: Mark
    proof: NodeReturn
    components: tuple[ComponentRow, ...]
    stays: tuple[StayRow, ...]
    orders: tuple[OrderedWork, ...]
    gap: Reason | None
    history: tuple[HistoryRow, ...]

    @property
    def due(self) -> int:
        """How many updates are due on it and on what it hangs on."""
        return len({update for row in self.components for update in row.updates})


def view_node(db: Database, picture: Picture, name: NodeId) -> NodeView | None:
    """The node as things stand; None when the fleet has none of that name."""
    node = picture.fleet.nodes.get(name)
    if node is None:
        return None
    (proof,) = judge_nodes(db, [name], fleet=picture.fleet)
    with db.read() as conn:
        lines = journal.read_latest(conn, f"node:{name}", LINES_MAX)
    return NodeView(
        node=node,
        cluster=picture.fleet.clusters[node.cluster],
        mark=mark_state(picture, node),
        proof=proof,
        components=tuple(_components(picture, node)),
        stays=tuple(_stays(picture, node)),
        orders=picture.settled.ordered.get(name, ()),
        gap=picture.settled.gaps.get(name),
        history=tuple(
            HistoryRow(at=line.at, actor=line.actor, event=line.event, why=line.why, details=facts_words(line.data))
            for line in lines
        ),
    )


def _components(picture: Picture, node: Node) -> Iterator[ComponentRow]:
    """The node's own by name, then those of shared devices with due work."""
    pending = picture.settled.pending
    own = pending.of_node(node)
    asked = {item.update.component for item in own.due} | {item.component for item in own.unknown}
    for component in sorted(node.versions.keys() | asked):
        yield _component(component, "", node.versions.get(component, ""), own)
    for name in picture.settled.devices_of.get(node.name, ()):
        device, due = picture.fleet.devices[name], pending.devices[name]
        for component in sorted({item.update.component for item in due.due}):
            yield _component(component, name, device.version, due)


def _component(component: str, device: str, reported: str, pending: UnitPending) -> ComponentRow:
    due = [item.update for item in pending.due if item.update.component == component]
    return ComponentRow(
        component=component,
        device=device,
        reported=reported,
        target=due[-1].to_version if due else "",
        updates=tuple(update.id for update in due),
    )


def _stays(picture: Picture, node: Node) -> Iterator[StayRow]:
    for planned in picture.settled.windows.get(node.name, ()):
        window, run = planned.window, planned.run
        yield StayRow(
            window=window.id,
            start=window.start,
            end=window.end,
            state=run.state if run is not None else None,
            unit=picture.units.get((run.run, run.window, node.name)) if run is not None else None,
        )
