"""Opens windows: everything is looked at once more just before the first node is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.domain.as_planned import all_behind, find_moved, why_not_drained
from fermata.domain.consent import Consent, find_consent
from fermata.domain.daily_caps import DailyCap, find_daily_caps
from fermata.domain.fleet import Fleet, Node, NodeState
from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.intents import say_ended, say_held, say_paused
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.domain.openings import limit_words
from fermata.domain.operations import LeftOut, UnitOp, WindowRun, group_left_out
from fermata.domain.pace import bare_end
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import WindowState, advance_window
from fermata.domain.scripts import BadScript, WindowScript
from fermata.domain.versions import is_at_least
from fermata.domain.windows import Interval, calendar_day
from fermata.execution.accounts import open_books
from fermata.execution.bringing import taken_today
from fermata.execution.clearance import find_grounded
from fermata.execution.consented import Said, ensure_unchanged, find_device_gaps, find_refused, read_said
from fermata.execution.gating import find_closed
from fermata.execution.last_good import note_as_found
from fermata.execution.leaving import find_hung, leave_to_window
from fermata.execution.observe import observe_devices, observe_nodes
from fermata.execution.orders import join_orders
from fermata.execution.outlook import find_hold
from fermata.execution.promises import Bonds, find_done, first_over, hold_back, is_due, say_full
from fermata.execution.recheck import find_fault
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import journal, runs, unit_ops, work_orders
from fermata.store.database import Connection
from fermata.store.inventory_sources import list_stale
from fermata.store.journal import Entry
from fermata.store.places import load_cluster

RECHECK = timedelta(minutes=5)  # of a window that waits: capacity comes back node by node, in minutes
REPAIR_RECHECK = timedelta(minutes=30)  # of a window that only a person can set free
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Muster:
    """The window's units as they are now, and which of them may be taken."""

    script: WindowScript
    nodes: Mapping[NodeId, NodeSeen]
    devices: Mapping[DeviceId, DeviceSeen]
    said: Said
    taken: tuple[NodeId, ...]
    left_out: tuple[LeftOut, ...]
    held_devices: Mapping[DeviceId, Reason]
    caps: tuple[DailyCap, ...]


@dataclass(frozen=True, kw_only=True)
class Consented:
    """What is due and what customers say now; `policy` has the freezes. `held`: by other windows; `ordered`: by work
    orders.
    """

    policy: Policy
    pending: FleetPending
    held: frozenset[NodeId]
    ordered: Mapping[NodeId, Reason]
    consent: Consent


def open_window(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """Opens a due window, or lets it wait, miss its day, or lapse, always with a reason. Returns its new row."""
    wanted = stage.intents.of_window(row.run, row.window)
    if wanted.end is not None:
        return _save(stage, row, WindowState.CANCELLED, say_ended(wanted.end, row.window), now, None)
    if now + _least(stage, row) > row.back_by:
        return _miss(stage, row, now)
    if wanted.pause is not None:
        return _wait(stage, row, say_paused(wanted.pause, row.window), now, RECHECK)
    try:
        script = stage.script(row.window)
    except BadScript as bad:
        why = reason(Code.PLAN_FAULTED, window=row.window, rule="the script", fault=str(bad))
        return _wait(stage, row, why, now, REPAIR_RECHECK)
    fault = find_closed(stage, row) or find_fault(stage, row)
    if fault is not None:
        return _wait(stage, row, fault, now, REPAIR_RECHECK)
    muster = muster_window(stage, row, script, now)
    if not muster.taken:
        why = reason(Code.NOTHING_TO_TAKE, nodes=row.nodes, window=row.window)
        return _save(stage, replace(row, left_out=muster.left_out), WindowState.SKIPPED, why, now, None)
    without = stage.go_missing(row.window)
    if without is not None:
        return _wait(stage, row, without, now, RECHECK)
    return take(stage, row, muster, now)


def _least(stage: Stage, row: WindowRun) -> timedelta:
    """What the window's steps need: a late window may use up its spare time, but not start what cannot end that day."""
    try:
        script = stage.script(row.window)
    except BadScript:
        return row.planned_end - row.planned_start
    return bare_end(script, stage.catalogue.defaults.verify_minutes.p50 * MINUTE) - row.planned_start


def _miss(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    why = reason(
        Code.TOO_LATE_TODAY,
        window=row.window,
        back_by=f"{row.back_by:%Y-%m-%d %H:%MZ}",
        minutes=round(_least(stage, row) / MINUTE),
        nodes=row.nodes,
        why=row.reason or "it was not looked at in time.",
    )
    return _save(stage, row, WindowState.MISSED, why, now, None)


def _wait(stage: Stage, row: WindowRun, why: Reason, now: datetime, after: timedelta) -> WindowRun:
    latest = row.back_by - _least(stage, row) + MINUTE
    until = min(now + after, latest) if latest > now else now + after
    return _save(stage, row, WindowState.WAITING, why, now, until)


def _save(
    stage: Stage, row: WindowRun, state: WindowState, why: Reason, now: datetime, until: datetime | None
) -> WindowRun:
    is_new = state is not row.state or row.reason is None or row.reason.code is not why.code
    moved = row.state if state is row.state else advance_window(row.state, state)
    after = replace(row, state=moved, reason=why, recheck_at=until)
    with stage.database.begin() as conn:
        runs.save_window(conn, after)
        if is_new:
            journal.append(conn, _entry(now, f"window.{state}", row, str(why), {"nodes": row.nodes}))
        stage.crash("window")
    return replace(after, version=row.version + 1)


def muster_window(stage: Stage, row: WindowRun, script: WindowScript, now: datetime) -> Muster:
    """Observes first, then reads consent and freezes as they stand now."""
    score = stage.score(row.plan)
    fleet = score.fleet
    nodes = observe_nodes(stage.site, [node.name for node in fleet.nodes_by_cluster[row.cluster]])
    devices = observe_devices(stage.site, [d.name for d in fleet.devices_by_cluster[row.cluster]])
    with stage.database.read() as conn:
        today = load_cluster(conn, row.cluster)
        live = _live_cluster(fleet, today, row, nodes, devices)
        said = read_said(conn)
        held = unit_ops.nodes_in_work(conn) | find_hung(conn)
        gone = taken_today(stage, conn, now)
        gone_with = work_orders.left_since(conn, score.plan.created_at)
        ordered = {**gone_with, **work_orders.held_nodes(conn, live, now)}
        stale = list_stale(conn, now)
    pending = find_pending(live, score.catalogue, stage.campaign.updates)
    consented = Consented(
        policy=said.policy,
        pending=pending,
        held=held,
        ordered=ordered,
        consent=find_consent(live, said.policy, pending, said.ledger),
    )
    old = {name: why for name, why in stale.nodes.items() if name in live.nodes}
    named = {n: say_held(word, n) for n, word in stage.intents.nodes_named().items() if n in live.nodes}
    blocked = {**find_grounded(stage, row, live, said), **_blocked(row, live, nodes, consented, now)}
    shared = {d.device: all_behind(d.device, fleet, today) for d in script.devices.values() if d.update.needs_drain}
    due = {name: behind for name, behind in shared.items() if is_due(script.devices[name], live)}
    first = {**_behind_others(due, fleet, today), **blocked, **old, **named}
    first |= find_moved([fleet.nodes[name] for name in script.nodes], today)
    first |= find_done(script, live, stage.campaign.id)
    caps = find_daily_caps(fleet, said.policy, stage.catalogue.updates, said.ledger)
    reasons = hold_back(
        {name: fleet.nodes[name] for name in script.nodes},
        first,
        Bonds(shared=tuple(due.items()), companions=consented.consent.companions),
        caps=caps,
        gone=gone,
        today=calendar_day(now, stage.campaign.timezone),
    )
    taken = tuple(name for name in script.nodes if name not in reasons)
    quiet = dict.fromkeys((name for name in script.devices if name not in shared), _span(row, now))
    gaps = find_device_gaps(live, fleet, score.catalogue, stage.campaign.updates, said, quiet)
    held_devices = {
        **{name: why for name, why in gaps.items() if name in script.devices},
        **_find_held(shared, fleet, today, frozenset(taken)),
    }
    return Muster(
        script=script,
        nodes=nodes,
        devices=devices,
        said=said,
        taken=taken,
        left_out=group_left_out({name: why for name, why in reasons.items() if name in script.nodes}),
        held_devices=held_devices,
        caps=caps,
    )


def _live_cluster(
    fleet: Fleet, today: Fleet, row: WindowRun, nodes: Mapping[NodeId, NodeSeen], devices: Mapping[DeviceId, DeviceSeen]
) -> Fleet:
    """The window's cluster as it is today and was observed; what was not observed keeps no version, and unknown blocks.
    Who is gone is there as it was planned.
    """
    known_nodes = {node.name: node for node in fleet.nodes_by_cluster[row.cluster]} | dict(today.nodes)
    known_devices = {device.name: device for device in fleet.devices_by_cluster[row.cluster]} | dict(today.devices)
    return Fleet(
        clusters={row.cluster: today.clusters.get(row.cluster, fleet.clusters[row.cluster])},
        nodes={
            name: replace(node, versions=nodes[name].versions if name in nodes else {})
            for name, node in known_nodes.items()
        },
        devices={
            name: replace(device, version=devices[name].version if name in devices else "")
            for name, device in known_devices.items()
        },
    )


def _span(row: WindowRun, now: datetime) -> Interval:
    """The time of a window that opens now."""
    return Interval(now, now + (row.planned_end - row.planned_start))


def _blocked(
    row: WindowRun, live: Fleet, nodes: Mapping[NodeId, NodeSeen], consented: Consented, now: datetime
) -> Mapping[NodeId, Reason]:
    """Every node of the cluster that may not be taken now, with the reason."""
    found = find_refused(live, consented.policy, consented.pending, consented.consent, _span(row, now))
    for name in live.nodes:
        if name in consented.ordered:
            found[name] = consented.ordered[name]
        elif name in consented.held:
            found[name] = reason(Code.ALREADY_HELD, unit=name)
        elif name not in nodes or not nodes[name].reachable:
            found[name] = reason(Code.UNREACHABLE, unit=name)
    return found


def _behind_others(due: Mapping[DeviceId, tuple[NodeId, ...]], fleet: Fleet, today: Fleet) -> Mapping[NodeId, Reason]:
    """Nodes behind draining devices that others hang on, too, of whom the plan knows nothing. `due`: by device."""
    whys = {device: why_not_drained(device, fleet, today) for device in due}
    return {name: why for device, why in whys.items() if why is not None for name in due[device]}


def _find_held(
    shared: Mapping[DeviceId, tuple[NodeId, ...]], fleet: Fleet, today: Fleet, taken: frozenset[NodeId]
) -> Mapping[DeviceId, Reason]:
    """Draining devices, each with all nodes behind it, of which some are not taken."""
    found: dict[DeviceId, Reason] = {}
    for device, behind in shared.items():
        missing = [name for name in behind if name not in taken]
        if missing:
            found[device] = why_not_drained(device, fleet, today) or reason(
                Code.SHARED_DEVICE_UNAPPROVED, device=device, nodes=len(missing), example=missing[0]
            )
    return found


def take(stage: Stage, row: WindowRun, muster: Muster, now: datetime) -> WindowRun:
    """Counts what is out, and opens, in one transaction: two windows never take the same room. First looks ahead.

    Raises Stale when customers said something meanwhile.
    """
    hold = find_hold(stage, row, muster.script, muster.taken, now)
    if hold is not None and hold.is_final:
        return _save(stage, row, WindowState.MISSED, hold.why, now, None)
    if hold is not None:
        return _wait(stage, row, hold.why, now, RECHECK)
    taken = frozenset(muster.taken)
    with stage.database.begin() as conn:
        ensure_unchanged(conn, muster.said)
        windows = runs.load_windows(conn, stage.run)
        uses = stage.capacity.uses(unit_ops.nodes_in_work(conn), windows, now)
        full = stage.capacity.first_full(row, taken, uses, now)
        over = first_over(muster.caps, taken, taken_today(stage, conn, now) if muster.caps else frozenset())
        riding = leave_to_window(stage, conn, row.window, taken, now) if full is None and over is None else None
        if full is None and over is None and riding is None:
            after = _open(stage, conn, row, muster, now)
            stage.crash("opening")
            return after
    if riding is not None:
        return _wait(stage, row, riding, now, RECHECK)
    if full is None:
        assert over is not None, "something is full"
        cap, used = over
        why = say_full(cap.entry, cap.most, used, calendar_day(now, stage.campaign.timezone))
        return _wait(stage, row, why, now, RECHECK)
    use, added = full
    code = Code.WAITS_FOR_CAPACITY if use.used + added > 1 and added > 1 else Code.WAITS_FOR_WINDOWS
    why = reason(
        code,
        window=row.window,
        nodes=added,
        limit=limit_words(use.limit),
        allowed=use.allowed,
        used=use.used,
        until=f"{now + RECHECK:%H:%MZ}",
    )
    return _wait(stage, row, why, now, RECHECK)


def _open(stage: Stage, conn: Connection, row: WindowRun, muster: Muster, now: datetime) -> WindowRun:
    in_service = sum(muster.nodes[name].state is NodeState.IN_SERVICE for name in muster.taken)
    after = replace(
        row,
        state=advance_window(row.state, WindowState.OPEN),
        opened_at=now,
        taken=len(muster.taken),
        in_service_at_open=in_service,
        left_out=muster.left_out,
        reason=None,
        recheck_at=min(row.planned_end, row.back_by) if row.planned_end > now else row.back_by,
        behind_minutes=round((now - row.planned_start) / MINUTE),
    )
    runs.save_window(conn, after)
    serving = (name for name, seen in muster.nodes.items() if seen.state is NodeState.IN_SERVICE)
    open_books(stage, conn, after, serving, now)
    fleet = stage.score(row.plan).fleet
    unit_ops.insert_ops(conn, [_node_op(stage, row, muster, fleet.nodes[name], now) for name in muster.taken])
    unit_ops.insert_ops(conn, _device_ops(stage, row, muster, now))
    stage.ownership.begin_cohort(conn, row.window)
    stage.roster.put(unit_ops.ops_of_window(conn, stage.run, row.window))
    join_orders(stage, conn, now)
    note_as_found(conn, fleet, {n: muster.nodes[n] for n in muster.taken}, muster.devices, now)
    data = {
        "taken": len(muster.taken),
        "in_service": in_service,
        "out_of_service": sorted(n for n in muster.taken if muster.nodes[n].state is not NodeState.IN_SERVICE),
        "left_out": [{"code": left.reason.code.value, "nodes": list(left.nodes)} for left in muster.left_out],
    }
    journal.append(conn, _entry(now, "window.opened", row, "", data))
    return replace(after, version=row.version + 1)


def _node_op(stage: Stage, row: WindowRun, muster: Muster, node: Node, now: datetime) -> UnitOp:
    script, seen = muster.script, muster.nodes[node.name]
    own = script.nodes[node.name]
    runs_already = sum(
        script.bits[u.id]
        for u in script.updates
        if script.bits[u.id] & own.due and is_at_least(seen.versions.get(u.component, ""), u.to_version)
    )
    return UnitOp(
        id=0,
        run=stage.run,
        window=row.window,
        unit=node.name,
        kind=UnitKind.NODE,
        cluster=row.cluster,
        fault_domain=node.fault_domain,
        rank=own.rank,
        in_service_before=seen.state is NodeState.IN_SERVICE,
        versions_before=seen.versions,
        applied=runs_already,
        active=runs_already,
        position=script.first_step(own),
        next_at=now,
    )


def _device_ops(stage: Stage, row: WindowRun, muster: Muster, now: datetime) -> Sequence[UnitOp]:
    """Devices that run their target already are proven by that; those that may not be touched are left out."""
    ops = []
    for rank, device in enumerate(muster.script.devices.values()):
        seen = muster.devices.get(device.device)
        held = muster.held_devices.get(device.device)
        done = seen is not None and is_at_least(seen.version, device.update.to_version)
        is_final = done or held is not None
        state = UnitState.PROVEN if done else UnitState.LEFT_OUT if held is not None else UnitState.PENDING
        op = UnitOp(
            id=0,
            run=stage.run,
            window=row.window,
            unit=device.device,
            kind=UnitKind.DEVICE,
            cluster=row.cluster,
            fault_domain="",
            rank=rank,
            in_service_before=True,
            state=state,
            position=device.step,
            reason=None if done else held,
            next_at=None if is_final else now,
            finished_at=now if is_final else None,
        )
        ops.append(op)
    return ops


def _entry(now: datetime, event: str, row: WindowRun, why: str, data: Mapping[str, object]) -> Entry:
    return Entry(
        at=now, actor=ACTOR, event=event, subject=f"window:{row.window}", why=why, data={"cluster": row.cluster, **data}
    )
