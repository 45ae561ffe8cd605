"""What customers say at the moment it counts: as a window opens, before a node is locked, and of what was written on
nodes that go back.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from fermata.domain.allowances import covers
from fermata.domain.as_planned import as_today, why_not_drained
from fermata.domain.blocking import is_blocked
from fermata.domain.closures import say_frozen, say_outside
from fermata.domain.consent import Consent, hear_devices, hear_nodes
from fermata.domain.consent_of_written import gaps_of_written
from fermata.domain.fleet import Fleet
from fermata.domain.hearing import Desk
from fermata.domain.ids import DeviceId, NodeId, PlanId, UpdateId
from fermata.domain.late_freezes import awaits_lock, find_freeze, may_be_frozen, work_left
from fermata.domain.ledger import Decisions
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.pending import FleetPending, find_pending, work_on
from fermata.domain.policy import ConsentEntry, Freeze, Policy
from fermata.domain.readmission import Target
from fermata.domain.reasons import Reason
from fermata.domain.updates import Catalogue
from fermata.domain.windows import Interval
from fermata.execution.stage import Stage
from fermata.store import consent, inventory, work_orders
from fermata.store.database import Connection
from fermata.store.places import load_behind, load_named
from fermata.store.runs import Stale

MINUTE = timedelta(minutes=1)
GOES_BACK = frozenset({UnitState.VERIFYING, UnitState.PROVEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All that customers say: freezes and rules (`policy`), words of consent (`ledger`) and the newest one's number."""

    policy: Policy
    ledger: tuple[ConsentEntry, ...]
    seq: int


def read_said(conn: Connection) -> Said:
    """As it is now."""
    return Said(policy=inventory.load_policy(conn), seq=consent.last_seq(conn), ledger=consent.load_ledger(conn))


def ensure_unchanged(conn: Connection, said: Said) -> None:
    """Within the transaction that takes nodes. Raises Stale when something was said since `said` was read."""
    if consent.last_seq(conn) != said.seq or inventory.load_policy(conn) != said.policy:
        raise Stale("customers said something while the window was looked at")


def find_device_gaps(
    live: Fleet,
    planned: Fleet,
    catalogue: Catalogue,
    only: frozenset[UpdateId] | None,
    said: Said,
    quiet: Mapping[DeviceId, Interval],
) -> Mapping[DeviceId, Reason]:
    """What consent to work on the shared devices of a cluster lacks. `live`: the cluster as observed; a device that did
    not say what it runs is asked about as if it ran what it ran in `planned`, since it may be written later.
    `quiet`: devices on which nodes may hang that nobody drains for them, and when work on each is to be allowed to all.
    """
    silent = (name for name, device in live.devices.items() if not device.version)
    blind = {
        name: replace(live.devices[name], version=planned.devices[name].version)
        for name in silent
        if name in planned.devices
    }
    fleet = live if not blind else replace(live, devices={**live.devices, **blind})
    pending = find_pending(fleet, catalogue, only)
    desk = Desk(fleet, said.policy, pending, Decisions(fleet, said.ledger))
    gaps = hear_devices(desk, hear_nodes(desk, desk.say_all()).gaps, pending.devices)
    shut = {name: _find_shut(desk, name, span) for name, span in quiet.items() if name not in gaps}
    return {**gaps, **{name: why for name, why in shut.items() if why is not None}}


def _find_shut(desk: Desk, name: DeviceId, span: Interval) -> Reason | None:
    """Why work on a device may not be done in `span`, by the times of those who hang on it."""
    unit = desk.pending.devices.get(name)
    if unit is None or not unit.due:
        return None
    nodes, updates = desk.fleet.nodes_behind(desk.fleet.devices[name]), desk.due(unit)
    heard = {desk.hear(node, updates).allowances: node for node in nodes}  # of many nodes the same is said
    for allowances, node in heard.items():
        if not covers(allowances, span):
            customer, length = desk.fleet.clusters[node.cluster].customer, span.end - span.start
            return say_outside(allowances, customer, f"device {name}", after=span.start, length=length)
    return None


def find_refused(
    live: Fleet, policy: Policy, pending: FleetPending, consent: Consent, span: Interval
) -> dict[NodeId, Reason]:
    """Every node of a cluster that its customer does not let go for all of `span`, with the reason."""
    found = dict(consent.gaps)
    freezes = [f for f in policy.freezes if Interval(f.start, f.end).overlaps(span)]
    for node in live.nodes.values():
        cluster = live.clusters[node.cluster]
        on_it = [f for f in freezes if f.scope.covers(node, cluster)]
        work = tuple(work_on(live, pending, node)) if on_it else ()
        freeze = next((f for f in on_it if not policy.lets_out(f, work)), None)
        allowances = consent.times.get(node.name, frozenset())
        if freeze is not None:
            found[node.name] = say_frozen(freeze)
        elif node.name not in found and not covers(allowances, span):
            scope, length = f"cluster {cluster.name}", span.end - span.start
            found[node.name] = say_outside(allowances, cluster.customer, scope, after=span.start, length=length)
    return found


_MAY_BEGIN = (UnitState.PENDING, UnitState.FAILED, UnitState.IN_REPAIR)  # what was mended is written at once


def find_lacking(
    stage: Stage, conn: Connection, ops: Iterable[UnitOp], now: datetime, over: Collection[int]
) -> Mapping[DeviceId, Reason]:
    """Of the devices among `ops` that may be written or reset next, those that may not be. `over`: rows whose step has
    ended, or hangs, so that a reset may follow, which nodes in service would feel. While nodes behind one serve, which
    the window took or not: consent lacks something now, or for as long as the work may take. When all that the window
    knows behind one are empty: others came behind it since the plan, or it stands elsewhere; about the empty ones
    nobody can take back a word.
    """
    next_ones = [
        op
        for op in ops
        if op.kind is UnitKind.DEVICE
        and not op.undo
        and (op.state in _MAY_BEGIN or (op.state is UnitState.APPLYING and op.id in over))
    ]
    scripts = [stage.script(op.window) for op in next_ones]
    asked = [
        (op, script.devices[DeviceId(op.unit)])
        for op, script in zip(next_ones, scripts, strict=True)
        if not is_blocked(script.devices[DeviceId(op.unit)], script, partial(stage.roster.standing, op.window))
    ]
    if not asked:
        return {}
    today = load_behind(conn, [stage.fleet_at(op.window).devices[device.device] for op, device in asked])
    said = read_cached(stage, conn)
    found: dict[DeviceId, Reason] = {}
    for op, device in asked:
        score = stage.score(stage.windows[op.window].plan)
        if device.update.needs_drain:
            why = why_not_drained(device.device, score.fleet, today)
            found |= {} if why is None else {device.device: why}
        elif op.state is not UnitState.APPLYING:
            near = _near(device.device, score.fleet, today)
            quiet = {device.device: Interval(now, now + device.update.duration_minutes.p90 * MINUTE)}
            found |= find_device_gaps(near, near, score.catalogue, stage.campaign.updates, said, quiet)
    return found


def _near(name: DeviceId, planned: Fleet, today: Fleet) -> Fleet:
    """A device where it stands today, running what it ran for the plan, and all that is behind it now."""
    before = planned.devices[name]
    device = replace(today.devices.get(name, before), version=before.version)
    known = {node.name: node for fleet in (planned, today) for node in fleet.nodes_behind(device)}
    clusters = {**planned.clusters, **today.clusters}
    return Fleet(clusters={device.cluster: clusters[device.cluster]}, nodes=known, devices={name: device})


def read_cached(stage: Stage, conn: Connection) -> Said:
    """As `read_said`; the ledger is read again when something was said since."""
    policy, seq = inventory.load_policy(conn), consent.last_seq(conn)
    if stage.ledger is None or stage.ledger[0] != seq:
        stage.ledger = (seq, consent.load_ledger(conn))
    return Said(policy=policy, ledger=stage.ledger[1], seq=seq)


def find_gaps(stage: Stage, ops: Iterable[UnitOp], also: Collection[int]) -> Mapping[NodeId, tuple[Reason, ...]]:
    """Of the nodes among `ops` that may go back now: what consent to their work lacks, () for nothing. `also`: rows
    that an abort may send back from where they stand. Asked of whoever the inventory says holds them now.
    """
    going = [op for op in ops if op.kind is UnitKind.NODE and (op.state in GOES_BACK or op.id in also)]
    if not going:
        return {}
    with stage.database.read() as conn:
        said = read_cached(stage, conn)
        today = load_named(conn, [NodeId(op.unit) for op in going])
    by_plan: dict[PlanId, dict[NodeId, tuple[Target, ...]]] = {}
    for op in going:
        node = NodeId(op.unit)
        by_plan.setdefault(stage.windows[op.window].plan, {})[node] = stage.script(op.window).targets(node, op.undo)
    found: dict[NodeId, tuple[Reason, ...]] = {}
    for plan, written in by_plan.items():
        score = stage.score(plan)
        fleet, updates = as_today(written, score.fleet, today), stage.catalogue.updates
        found |= gaps_of_written(fleet, said.policy, said.ledger, written, updates=updates, asked=score.pending.asked)
    return found


def find_frozen(stage: Stage, conn: Connection, ops: Iterable[UnitOp], now: datetime) -> Mapping[NodeId, Freeze]:
    """In the windows of those among `ops` whose lock nobody has accepted: all such nodes that a freeze keeps where they
    are, as it stands now. What people have begun on a node goes on. `ops`: as their rows are, whatever is planned.
    """
    rows = {op.id: op for op in ops}
    windows = {op.window for op in rows.values() if awaits_lock(op)}
    near = {op.id: op for window in windows for op in stage.roster.of_window(window)} | rows
    waiting = [op for op in near.values() if op.window in windows and awaits_lock(op)]
    policy = inventory.load_policy(conn) if waiting else None
    if policy is None or all(freeze.end <= now for freeze in policy.freezes):
        return {}
    known = work_orders.load_open(conn) if any(e.orders or e.kinds for e in policy.exemptions) else {}
    found: dict[NodeId, Freeze] = {}
    for op in waiting:
        fleet = stage.fleet_at(op.window)
        node = fleet.nodes[NodeId(op.unit)]
        until = _out_until(stage, op, now)
        lasting = [freeze for freeze in policy.freezes if may_be_frozen(freeze, now, until)]
        is_planned = op.taken_again_at is None and op.window not in stage.handing.windows
        work = work_left(op, stage.script(op.window)) if is_planned else ()
        handed = stage.handing.handed.get(op.window, {}).get(op.unit)
        order = known.get(handed.order) if handed is not None and not handed.ended else None
        ordered = (order.known_as,) if order is not None else ()
        cluster = fleet.clusters[node.cluster]
        freeze = find_freeze(policy, lasting, node, cluster, work, ordered) if lasting else None
        if freeze is not None:
            found[node.name] = freeze
    begun = _begun_by_people(stage, conn, waiting) if found else frozenset()
    return {name: freeze for name, freeze in found.items() if name not in begun}


def _out_until(stage: Stage, op: UnitOp, now: datetime) -> datetime:
    """Until when the node was to be out by what its window looked at when it opened: a plan's at all of its time, but
    work orders and roll-backs begin in any time that is open.
    """
    row = stage.windows[op.window]
    if op.taken_again_at is not None or op.window in stage.handing.windows:
        return now
    return (row.opened_at or row.planned_start) + (row.planned_end - row.planned_start)


def _begun_by_people(stage: Stage, conn: Connection, ops: Iterable[UnitOp]) -> frozenset[NodeId]:
    """The nodes of orders that their people began by themselves: these are out already."""
    handed = {NodeId(op.unit): stage.handing.handed.get(op.window, {}).get(op.unit) for op in ops}
    orders = work_orders.load_open(conn) if any(handed.values()) else {}
    in_work = {order.id for order in orders.values() if order.in_work}
    return frozenset(name for name, each in handed.items() if each is not None and each.order in in_work)
