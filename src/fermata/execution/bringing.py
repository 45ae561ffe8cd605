"""What a window of a work order's own brings along: chosen as it opens, and looked at once more for each node that
comes back from its people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from fermata.domain.brought_along import Grounds, find_along
from fermata.domain.combining import why_held
from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.fleet import Fleet, Node
from fermata.domain.hearing import Desk
from fermata.domain.ids import NodeId, OrderId, PlanId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.observations import NodeSeen
from fermata.domain.operations import UnitOp
from fermata.domain.pending import Due, FleetPending, UnitPending, find_pending
from fermata.domain.plans import Window
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import Catalogue, Isolation, Update
from fermata.domain.windows import Interval, calendar_day, local_to_utc
from fermata.execution.consented import Said, read_said
from fermata.execution.stage import Score, Stage
from fermata.planning.sequence import WindowSteps, lay_out_window
from fermata.store import unit_ops, work_orders
from fermata.store.database import Connection

MINUTE = timedelta(minutes=1)


def choose_along(
    stage: Stage, conn: Connection, plan: PlanId, order: OrderId, seen: Mapping[NodeId, NodeSeen], now: datetime
) -> Mapping[NodeId, frozenset[UpdateId]]:
    """For the nodes of a window that opens for `order` now, as they are seen: what could be done on each of them once
    its people are through, if times, freezes and gates then let it. Nodes with nothing of that are absent.
    """
    asked = _Asked(stage, conn, stage.score(plan), order, seen)
    return asked.find(now, closed=None)


def look_again(
    stage: Stage, conn: Connection, op: UnitOp, order: OrderId, seen: NodeSeen, now: datetime
) -> frozenset[UpdateId]:
    """What may be done on the node of `op`, which comes back from the people of `order` now."""
    row, node = stage.windows[op.window], NodeId(op.unit)
    asked = _Asked(stage, conn, stage.score(row.plan), order, {node: seen}, stage.planned(row))
    return asked.find(now, closed=frozenset(stage.closed_to(op.window))).get(node, frozenset())


class _Asked:
    """Everything that the question needs, read once."""

    def __init__(
        self,
        stage: Stage,
        conn: Connection,
        score: Score,
        order: OrderId,
        seen: Mapping[NodeId, NodeSeen],
        window: Window | None = None,
    ) -> None:
        self._stage, self._conn, self._score, self._order = stage, conn, score, order
        self._members = frozenset(seen if window is None else window.nodes)
        self._offered = window.updates if window is not None else ()
        self._live = _see(stage, score.fleet, seen)
        self._pending = find_pending(self._live, replace(stage.catalogue, flights=()), stage.campaign.updates)
        self._said = read_said(conn)

    def find(self, now: datetime, *, closed: frozenset[UpdateId] | None) -> dict[NodeId, frozenset[UpdateId]]:
        """`closed`: updates that nobody may begin now; None: nothing begins yet, so neither gates nor times count."""
        stage, live = self._stage, self._live
        desk = Desk(live, self._said.policy, self._pending, Decisions(live, self._said.ledger))
        grounds = Grounds(
            desk=desk,
            fleet=self._score.fleet,
            before=self._score.fleet.nodes,
            members=self._members,
            device_versions=stage.device_versions,
            held=self._held(now) if self._pending.nodes else (),
            offered=None if closed is None else frozenset(self._offered),
            closed=() if closed is None else closed | self._unjudged(),
            span=None if closed is None else Interval(now, now + self._longest()),
        )
        inside = (n for n in live.nodes.values() if stage.campaign.scope.matches_cluster(live.clusters[n.cluster]))
        found = {node.name: find_along(grounds, node) for node in inside}
        return {name: along for name, along in found.items() if along}

    def _unjudged(self) -> frozenset[UpdateId]:
        """With a control phase nobody begins what no gate has spoken of."""
        if self._stage.campaign.phases.control is None:
            return frozenset()
        return frozenset(self._pending.asked - self._stage.gates.states.keys())

    def _held(self, at: datetime) -> frozenset[NodeId]:
        """Nodes that other orders keep for themselves, and those of which approvals let no more go on this day."""
        orders = work_orders.load_open(self._conn)
        book = work_orders.open_book(self._conn, self._live, orders, at)
        claims = {name: [c for c in each if c.name != self._order] for name, each in book.claims.items()}
        held = {name for name, each in claims.items() if why_held(name, RequestKind.DEPLOYMENT, each) is not None}
        return frozenset(held) | self._beyond_caps(self._said, at)

    def _beyond_caps(self, said: Said, at: datetime) -> frozenset[NodeId]:
        caps = find_daily_caps(self._score.fleet, said.policy, self._stage.catalogue.updates, said.ledger)
        gone = taken_today(self._stage, self._conn, at) | self._members if caps else frozenset[NodeId]()
        return frozenset().union(*(cap.nodes for cap in caps if len(cap.nodes & gone) > cap.most))

    def _longest(self) -> timedelta:
        """How long the work on one node takes at most, nine times in ten."""
        defaults = self._stage.catalogue.defaults
        updates = {item.update.id: item.update for unit in self._pending.nodes.values() for item in unit.due}.values()
        writing = sum(update.duration_minutes.p90 for update in updates)
        reboots = sum(update.needs_reboot for update in updates) * defaults.reboot_minutes.p90
        return (writing + reboots + defaults.verify_minutes.p90) * MINUTE


def taken_today(stage: Stage, conn: Connection, now: datetime) -> frozenset[NodeId]:
    """Nodes of every window that opened on the campaign's calendar day, as limits of a day count them."""
    zone = stage.campaign.timezone
    return unit_ops.nodes_taken_since(conn, local_to_utc(calendar_day(now, zone), time(0), zone))


def lay_out_along(
    nodes: Sequence[Node], along: Mapping[NodeId, frozenset[UpdateId]], fleet: Fleet, catalogue: Catalogue
) -> WindowSteps | None:
    """The steps that bring all of it: each update in one batch, since nodes come back from their people one by one and
    are held to isolation and to the limits of teams as they do. None when nothing comes along.
    """
    if not any(along.get(node.name) for node in nodes):
        return None
    known = {name: replace(update, isolation=Isolation()) for name, update in catalogue.updates.items()}
    pending = FleetPending(
        nodes={node.name: _due(node, along.get(node.name, frozenset()), known) for node in nodes}, devices={}
    )
    plain = replace(catalogue, updates=known, team_limits={}, flights=())
    return lay_out_window(nodes, (), fleet=fleet, pending=pending, catalogue=plain)


def _due(node: Node, along: frozenset[UpdateId], known: Mapping[UpdateId, Update]) -> UnitPending:
    updates = (known[name] for name in sorted(along))
    return UnitPending(due=tuple(Due(update=u, from_version=node.versions.get(u.component, "")) for u in updates))


def _see(stage: Stage, fleet: Fleet, seen: Mapping[NodeId, NodeSeen]) -> Fleet:
    """The nodes as seen, with their clusters and all shared devices there as last observed."""
    nodes = {name: replace(fleet.nodes[name], versions=found.versions) for name, found in seen.items()}
    clusters = {node.cluster: fleet.clusters[node.cluster] for node in nodes.values()}
    devices = {
        device.name: replace(device, version=stage.device_versions.get(device.name, device.version))
        for name in clusters
        for device in fleet.devices_by_cluster[name]
    }
    return Fleet(clusters=clusters, nodes=nodes, devices=devices)
