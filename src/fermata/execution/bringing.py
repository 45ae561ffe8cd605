"""What a window of a work order's own brings along: chosen as it opens, and looked at once more for each node that
comes back from its people, and for each shared device as its turn comes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial

from fermata.domain.blocking import is_blocked
from fermata.domain.brought_along import Grounds, find_along
from fermata.domain.combining import why_held
from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.decide import NOTHING_SEEN, Seen
from fermata.domain.devices_along import NOTHING_ALONG, Along, Shared, find_all_along, find_due, judge_device
from fermata.domain.fleet import Fleet, Node
from fermata.domain.hearing import Desk
from fermata.domain.ids import DeviceId, NodeId, OrderId, PlanId, SupercomputerId, UpdateId, WindowId
from fermata.domain.ledger import Decisions
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import DeviceSeen
from fermata.domain.operations import UnitOp
from fermata.domain.pending import Due, FleetPending, UnitPending, find_pending
from fermata.domain.plans import Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.scripts import DeviceScript
from fermata.domain.updates import Catalogue, Isolation, Update
from fermata.domain.windows import Interval, calendar_day, local_to_utc
from fermata.execution.consented import Said, read_said
from fermata.execution.observe import Watched
from fermata.execution.stage import Score, Stage
from fermata.planning.sequence import WindowSteps, lay_out_window
from fermata.store import inventory, unit_ops, work_orders
from fermata.store.database import Connection

MINUTE = timedelta(minutes=1)


Versions = Mapping[NodeId, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reported:
    """What units run by their last word, and devices that did not answer just now when they were asked."""

    nodes: Versions
    devices: Mapping[DeviceId, str]
    silent: frozenset[DeviceId] = frozenset()


def choose_along(stage: Stage, conn: Connection, plan: PlanId, order: OrderId, seen: Watched, now: datetime) -> Along:
    """For the nodes of a window that opens for `order` now, as they are seen: what could be done on each of them, and
    on the devices that nobody else hangs on, once its people are through, if times, freezes and gates then let it.
    """
    heard = seen.device_versions()
    known = _Reported(
        nodes={name: node.versions for name, node in seen.nodes.items()},
        devices={**stage.device_versions, **heard},
        silent=frozenset(stage.device_versions.keys() - heard.keys()),
    )
    return _Asked(stage, conn, stage.score(plan), order, known).find_all(now)


def look_again(
    stage: Stage, conn: Connection, op: UnitOp, order: OrderId, versions: Mapping[str, str], now: datetime
) -> frozenset[UpdateId]:
    """What may be done on the node of `op`, which its people are through with, now. What builds on a device has to wait
    until that is written.
    """
    row, node = stage.windows[op.window], NodeId(op.unit)
    known = _Reported(nodes={node: versions}, devices=stage.device_versions)
    asked = _Asked(stage, conn, stage.score(row.plan), order, known, stage.planned(row))
    return asked.find(now, closed=_closed(stage, op.window)).get(node, frozenset())


def own_devices(stage: Stage, ops: Iterable[UnitOp]) -> frozenset[int]:
    """Rows of devices that windows of work orders are to write: their people may have put in another one."""
    return frozenset(op.id for op in ops if _is_to_write(stage, op))


def find_staying(
    stage: Stage, conn: Connection, ops: Iterable[UnitOp], seen: Mapping[int, Seen], now: datetime
) -> Mapping[DeviceId, Reason]:
    """Of the devices among `ops` that windows of work orders would write next, all nodes behind them being empty and
    back from their people: those that stay as they are, since what has to hold for it does not hold now.
    """
    found: dict[DeviceId, Reason] = {}
    for op in ops:
        if not _is_to_write(stage, op):
            continue
        script = stage.script(op.window)
        device = script.devices[DeviceId(op.unit)]
        if is_blocked(device, script, partial(stage.roster.standing, op.window)):
            continue
        why = _judge_now(stage, conn, op, device, seen.get(op.id, NOTHING_SEEN).device, now)
        if why is not None:
            found[device.device] = why
    return found


def _is_to_write(stage: Stage, op: UnitOp) -> bool:
    is_own = op.window in stage.handing.windows and op.kind is UnitKind.DEVICE
    return is_own and op.state is UnitState.PENDING and not op.undo


def _judge_now(
    stage: Stage, conn: Connection, op: UnitOp, device: DeviceScript, seen: DeviceSeen | None, now: datetime
) -> Reason | None:
    """Why a device stays as it is, or None."""
    name, update = device.device, device.update
    if seen is None or not seen.reachable or not seen.version:
        why = reason(Code.UNREACHABLE, unit=name).sentence
        return reason(Code.ALONG_LEFT, update=update.id, device=name, why=why)
    if seen.version != stage.device_versions.get(name):
        inventory.record_device_versions(conn, {name: seen.version})
        stage.device_versions[name] = seen.version
    row = stage.windows[op.window]
    window = stage.planned(row)
    versions = {n: node.versions for n, node in inventory.named_nodes(conn, window.nodes).items()}
    order = stage.handing.handed[op.window][device.behind[0]].order
    known = _Reported(nodes=versions, devices=stage.device_versions)
    asked = _Asked(stage, conn, stage.score(row.plan), order, known, window)
    return asked.judge(name, update, now, closed=_closed(stage, op.window))


class _Asked:
    """Everything that the question needs, read once."""

    def __init__(
        self,
        stage: Stage,
        conn: Connection,
        score: Score,
        order: OrderId,
        known: _Reported,
        window: Window | None = None,
    ) -> None:
        self._stage, self._conn, self._score, self._order = stage, conn, score, order
        self._members = frozenset(known.nodes if window is None else window.nodes)
        self._window, self._known = window, known
        self._live = _see(score.fleet, known)
        self._pending = find_pending(self._live, replace(stage.catalogue, flights=()), stage.campaign.updates)
        self._said = read_said(conn)

    def find_all(self, now: datetime) -> Along:
        """As the window opens: nothing begins yet, so neither gates nor times count."""
        grounds = self._grounds(now, None)
        inside = self._inside()
        return find_all_along(grounds, self._shared(), inside) if inside else NOTHING_ALONG

    def find(self, now: datetime, *, closed: frozenset[UpdateId]) -> dict[NodeId, frozenset[UpdateId]]:
        """`closed`: updates that nobody may begin now."""
        grounds = self._grounds(now, closed)
        found = {node.name: find_along(grounds, node) for node in self._inside()}
        return {name: along for name, along in found.items() if along}

    def judge(self, name: DeviceId, update: Update, now: datetime, *, closed: frozenset[UpdateId]) -> Reason | None:
        """Why the update stays undone on a device, or None."""
        grounds, device = self._grounds(now, closed), self._live.devices[name]
        if find_due(grounds, device) != update:
            told = f"it runs {device.version}, and {update.id} is not due on it any more."
            return reason(Code.ALONG_LEFT, update=update.id, device=name, why=told)
        return judge_device(grounds, self._shared(), device, update)

    def _inside(self) -> list[Node]:
        scope, live = self._stage.campaign.scope, self._live
        return [node for node in live.nodes.values() if scope.matches_cluster(live.clusters[node.cluster])]

    def _grounds(self, now: datetime, closed: frozenset[UpdateId] | None) -> Grounds:
        live = self._live
        offered = self._window.updates if self._window is not None else ()
        return Grounds(
            desk=Desk(live, self._said.policy, self._pending, Decisions(live, self._said.ledger)),
            fleet=self._score.fleet,
            before=self._score.fleet.nodes,
            members=self._members,
            device_versions=self._known.devices,
            held=self._held(now) if self._pending.nodes or self._pending.devices else (),
            offered=None if closed is None else frozenset(offered),
            closed=() if closed is None else closed | self._unjudged(),
            span=None if closed is None else Interval(now, now + self._longest()),
        )

    def _shared(self) -> Shared:
        """Who is behind a device is asked of the plan's fleet and of the inventory: a node that came since counts."""
        own = self._window.id if self._window is not None else None
        known = (self._score.fleet, inventory.load_fleet_of(self._conn, self._supercomputers()))
        return Shared(
            behind={
                name: frozenset(node.name for fleet in known for node in fleet.nodes_behind(device))
                for name, device in self._live.devices.items()
            },
            busy=unit_ops.devices_in_work(self._conn, but=own),
            silent=self._known.silent,
        )

    def _supercomputers(self) -> set[SupercomputerId]:
        return {cluster.supercomputer for cluster in self._live.clusters.values()}

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
        units = (*self._pending.nodes.values(), *self._pending.devices.values())
        updates = {item.update.id: item.update for unit in units for item in unit.due}.values()
        writing = sum(update.duration_minutes.p90 for update in updates)
        reboots = sum(update.needs_reboot for update in updates) * defaults.reboot_minutes.p90
        return (writing + reboots + defaults.verify_minutes.p90) * MINUTE


def taken_today(stage: Stage, conn: Connection, now: datetime) -> frozenset[NodeId]:
    """Nodes of every window that opened on the campaign's calendar day, as limits of a day count them."""
    zone = stage.campaign.timezone
    return unit_ops.nodes_taken_since(conn, local_to_utc(calendar_day(now, zone), time(0), zone))


def lay_out_along(nodes: Sequence[Node], along: Along, fleet: Fleet, catalogue: Catalogue) -> WindowSteps | None:
    """The steps that bring all of it: each update in one batch, since nodes come back from their people one by one and
    are held to isolation and to the limits of teams as they do. None when nothing comes along.
    """
    clusters = {node.cluster for node in nodes}
    devices = [fleet.devices[name] for name in sorted(along.devices) if fleet.devices[name].cluster in clusters]
    if not devices and not any(along.nodes.get(node.name) for node in nodes):
        return None
    known = {name: replace(update, isolation=Isolation()) for name, update in catalogue.updates.items()}
    pending = FleetPending(
        nodes={node.name: _due(node, along.nodes.get(node.name, frozenset()), known) for node in nodes},
        devices={
            device.name: UnitPending(due=(Due(update=known[along.devices[device.name].id], from_version=""),))
            for device in devices
        },
    )
    plain = replace(catalogue, updates=known, team_limits={}, flights=())
    return lay_out_window(nodes, devices, fleet=fleet, pending=pending, catalogue=plain)


def _due(node: Node, along: frozenset[UpdateId], known: Mapping[UpdateId, Update]) -> UnitPending:
    updates = (known[name] for name in sorted(along))
    return UnitPending(due=tuple(Due(update=u, from_version=node.versions.get(u.component, "")) for u in updates))


def _see(fleet: Fleet, known: _Reported) -> Fleet:
    """The nodes as they report, with their clusters and all shared devices there as last observed."""
    nodes = {n: replace(fleet.nodes[n], versions=found) for n, found in known.nodes.items() if n in fleet.nodes}
    clusters = {node.cluster: fleet.clusters[node.cluster] for node in nodes.values()}
    devices = {
        device.name: replace(device, version=known.devices.get(device.name, device.version))
        for name in clusters
        for device in fleet.devices_by_cluster[name]
    }
    return Fleet(clusters=clusters, nodes=nodes, devices=devices)


def _closed(stage: Stage, window: WindowId) -> frozenset[UpdateId]:
    """Updates that nobody may begin now; those that need a person's go begin in windows of a plan alone."""
    return frozenset(stage.closed_to(window)) | stage.campaign.phases.go_updates
