"""Work orders in the conductor: what may begin joins the window that has its nodes out, or gets a window of its own;
who waits for a repair is handed over with everything known; what is done is ended.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Node
from fermata.domain.ids import NodeId, OrderId, WindowId
from fermata.domain.node_states import DEVICE_AT_WORK, UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp
from fermata.domain.order_begin import why_not_yet
from fermata.domain.policy import Said
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import FOLDED, NEAR, REPAIR, Fold, Handed, fold_all, why_kept
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.run_states import LIVE_RUNS, NOT_OPENED_YET, Desired
from fermata.domain.tail import TailItem
from fermata.domain.work_orders import OrderEnd, Places, TargetLevel, WorkOrder
from fermata.execution.hand_off import find_lacking, hand_off
from fermata.execution.observe import Watched, observe_devices, observe_nodes
from fermata.execution.repair_windows import list_windows, open_repair_window
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.store import handovers, journal, unit_ops, work_orders
from fermata.store.database import Connection
from fermata.store.handovers import Handover
from fermata.store.journal import Entry

AGAIN = timedelta(hours=1)  # between two windows of one order: of the first its node was let go, refused or frozen
NOTHING_WATCHED = Watched(nodes={}, devices={})
LOOK = timedelta(minutes=10)  # at orders that wait for something that no row tells of: a time, a freeze's end
_IDLE = frozenset({UnitState.FAILED, UnitState.DRAINED, UnitState.PENDING, UnitState.IN_REPAIR})


@dataclass(kw_only=True)
class Desk:
    """One look at all orders that are not over."""

    stage: Stage
    conn: Connection
    now: datetime
    book: RequestBook
    ops: Mapping[str, UnitOp]
    watched: Watched
    lines: list[Entry] = field(default_factory=list)

    def nodes(self, order: WorkOrder) -> tuple[Node, ...]:
        """Those that the order concerns."""
        return self.book.ordered.desk.places.nodes_of(order)

    def handed_to(self, order: WorkOrder) -> list[tuple[UnitOp, Handed]]:
        """Units of open windows that were taken in for it."""
        found = []
        for window, unit, handed in self.stage.handing.of_order(order.id):
            op = self.ops.get(unit)
            if op is not None and op.window == window:
                found.append((op, handed))
        return found

    def note(self, order: WorkOrder, event: str, why: str, nodes: Iterable[str]) -> None:
        """A line about the order."""
        data = {"request": order.request, "kind": order.kind.value, "target": str(order.target)}
        named = {**data, "nodes": sorted(nodes)}
        subject = f"order:{order.id}"
        self.lines.append(Entry(at=self.now, actor=ACTOR, event=f"order.{event}", subject=subject, why=why, data=named))


def follow_orders(stage: Stage, run: Run, now: datetime) -> None:
    """Goes through the orders when one of them changed, and from time to time."""
    handing = stage.handing
    if run.state not in LIVE_RUNS:
        return
    with stage.database.read() as conn:
        seen = work_orders.signature(conn)
        is_quiet = handing.looked_at is not None and now - handing.looked_at < LOOK
        if seen == handing.seen and is_quiet:
            return
        orders = work_orders.load_open(conn)
    handing.seen, handing.looked_at = seen, now
    waiting = _waiting_for_repair(stage)
    if not orders and not waiting and not _has_stays(stage):
        return
    found = _watch(stage, _nodes_in_no_window(stage, orders))
    with stage.database.begin() as conn:
        if _may_begin(stage, run):
            lacking = find_lacking(stage, conn, waiting)
            hand_off(stage, conn, _unchanged(stage, conn, lacking), now)
            handing.seen = work_orders.signature(conn)  # what was just opened is gone through now, not once more
        _note_ended(stage, conn, now)
        orders = work_orders.load_open(conn)
        _go_through(_open_desk(stage, conn, orders, found, now), orders, run)
        stage.crash("orders")


def _open_desk(
    stage: Stage,
    conn: Connection,
    orders: Mapping[OrderId, WorkOrder],
    watched: Watched,
    now: datetime,
) -> Desk:
    book = work_orders.open_book(conn, stage.fleet, orders, now)
    ops = {op.unit: op for op in stage.roster.working()}
    return Desk(stage=stage, conn=conn, now=now, book=book, ops=ops, watched=watched)


def _nodes_in_no_window(stage: Stage, orders: Mapping[OrderId, WorkOrder]) -> list[NodeId]:
    """The nodes of orders that nobody has out: those for which a window may have to be opened."""
    places = Places(stage.fleet)
    named = {node.name for order in orders.values() for node in places.nodes_of(order)}
    return sorted(named - {op.unit for op in stage.roster.working()})


def _watch(stage: Stage, names: Sequence[NodeId]) -> Watched:
    """These nodes, and the shared devices that they hang on."""
    nodes = [stage.fleet.nodes[name] for name in names if name in stage.fleet.nodes]
    devices = {device.name for node in nodes for device in stage.fleet.devices_of(node)}
    return Watched(nodes=observe_nodes(stage.site, names), devices=observe_devices(stage.site, sorted(devices)))


def _waiting_for_repair(stage: Stage) -> list[UnitOp]:
    """Units that wait for a repair."""
    return [op for op in stage.roster.working() if op.state is UnitState.FAILED]


def _unchanged(
    stage: Stage, conn: Connection, found: Sequence[tuple[UnitOp, TailItem]]
) -> list[tuple[UnitOp, TailItem]]:
    """Those that nobody moved since they were read: another worker may just be trying one again."""
    versions = {op.id: op.version for op in unit_ops.tail_ops(conn, stage.run)} if found else {}
    return [(op, item) for op, item in found if versions.get(op.id) == op.version]


def join_orders(stage: Stage, conn: Connection, now: datetime, *, back: Collection[NodeId] | None = None) -> None:
    """Takes in what may begin on nodes that a window has just taken; or, of all orders, those on nodes that have just
    come `back` from the people of others, before anything else begins there: nobody can have taken them in already.
    """
    orders = work_orders.load_open(conn)
    if orders:
        desk = _open_desk(stage, conn, orders, NOTHING_WATCHED, now)
        for order in orders.values():
            if back is None or any(node.name in back for node in desk.nodes(order)):
                _join(desk, order, in_windows_only=True)
        journal.append_many(conn, desk.lines)


def _go_through(desk: Desk, orders: Mapping[OrderId, WorkOrder], run: Run) -> None:
    changed: list[WorkOrder] = []
    for order in orders.values():
        after = _end_done(desk, order)
        if after is order and _may_begin(desk.stage, run):
            _join(desk, order)
            after = _begin(desk, order)
        if after is not order:
            changed.append(after)
    work_orders.save_orders(desk.conn, changed)
    journal.append_many(desk.conn, desk.lines)


def _may_begin(stage: Stage, run: Run) -> bool:
    """False while somebody holds the run, or all runs: what nobody has out waits for them."""
    return run.desired is Desired.RUN and stage.intents.of_run(run.id).is_free


def _has_stays(stage: Stage) -> bool:
    """True while some unit is handed over for an order that may have ended since this was looked for last."""
    return bool(stage.handing.keys(ended=False) or stage.handing.keys(ended=True) - stage.ends_noted)


def _note_ended(stage: Stage, conn: Connection, now: datetime) -> None:
    """Units whose order is over, by whoever's word, are looked at now, each once. Where that was known already, from a
    reading of all that others changed or since it ended while nobody conducted, only those that are with people still
    wait to hear of it.
    """
    going_on = {h.order for units in stage.handing.handed.values() for h in units.values() if not h.ended}
    over = work_orders.ended_orders(conn, going_on)
    for window, units in stage.handing.handed.items():
        for unit, handed in list(units.items()):
            key = (window, unit, handed.number)
            if (handed.ended or handed.order in over) and key not in stage.ends_noted:
                stage.ends_noted.add(key)
                stage.handing.end(window, unit)
                op = stage.roster.standing(window, unit)
                if op is not None and op.finished_at is None and (not handed.ended or op.state is UnitState.IN_REPAIR):
                    _touch(stage, conn, [op], now)


def heed_ends(stage: Stage, ops: Iterable[UnitOp]) -> None:
    """Whether the orders of units that are with people are over is asked of the store with each look at them: it may
    have been somebody else's word, and somebody else who noted it.
    """
    at_people = [op for op in ops if op.state is UnitState.IN_REPAIR]
    handed = [(op, stage.handing.handed.get(op.window, {}).get(op.unit)) for op in at_people]
    going_on = {each.order for _, each in handed if each is not None and not each.ended}
    if not going_on:
        return
    with stage.database.read() as conn:
        over = work_orders.ended_orders(conn, going_on)
    for op, each in handed:
        if each is not None and each.order in over:
            stage.handing.end(op.window, op.unit)


def _touch(stage: Stage, conn: Connection, ops: Iterable[UnitOp], now: datetime) -> None:
    """Changes the rows, so that whoever conducts them reads again what orders want of them; those that wait idly are
    looked at now.
    """
    changes = [(op.version, replace(op, next_at=_look_at(op, now), version=op.version + 1)) for op in ops]
    unit_ops.save_ops(conn, changes)
    stage.roster.put(op for _, op in changes)
    if any(not stage.roster.is_own(op.window) for _, op in changes):
        stage.ownership.rouse_others(conn)


def _look_at(op: UnitOp, now: datetime) -> datetime | None:
    is_idle = op.state in _IDLE and op.is_idle and op.next_at is not None
    return now if is_idle else op.next_at


def _end_done(desk: Desk, order: WorkOrder) -> WorkOrder:
    """Over when all of its units went on from where they waited: the site, or what was tried again, mended them."""
    taken = desk.handed_to(order)
    if order.in_work and taken and order.kind in FOLDED:
        over = all(op.retries.get(REPAIR, 0) >= handed.number for op, handed in taken)
        return _ended(desk, order, "the site reports it done") if over else order
    if order.tail and not order.in_work:
        run, window, unit = order.tail.split("/", 2)
        op = desk.stage.roster.standing(WindowId(window), unit) if run == desk.stage.run else None
        is_mended = run == desk.stage.run and (op is None or op.failed_at is None)
        return _ended(desk, order, f"{unit} works again") if is_mended else order
    return order


def _ended(desk: Desk, order: WorkOrder, why: str) -> WorkOrder:
    end = OrderEnd(how=RequestState.COMPLETED, said=Said(actor=ACTOR, at=desk.now), why=why)
    desk.note(order, RequestState.COMPLETED.value, why, order.held)
    return replace(order, ended=end)


def _join(desk: Desk, order: WorkOrder, *, in_windows_only: bool = False) -> None:
    """Takes an order that may begin into the window that has its nodes, or opens one."""
    stage, nodes = desk.stage, desk.nodes(order)
    if desk.handed_to(order) or not nodes or any(why_not_yet(desk.book, order, nodes)):
        return
    if _is_at_work(desk, order):
        return
    ops = [desk.ops.get(node.name) for node in nodes]
    states = [_state(stage, op) for op in ops]
    match fold_all(order.kind, states):
        case Fold.JOIN | Fold.LEAVE:
            _take_in(desk, order, [op for op in ops if op is not None])
        case Fold.OWN if not in_windows_only and not _is_near_or_new(stage, order, nodes, desk.now):
            opened = open_repair_window(stage, desk.conn, order, nodes, desk.watched, desk.now)
            if isinstance(opened, Reason):
                _tell_wait(desk, order, opened)
            else:
                desk.ops = {op.unit: op for op in stage.roster.working()}
                desk.note(order, "window_opened", "", (node.name for node in nodes))
                for _, left in sorted(opened.items()):
                    desk.note(order, "left_to_plan", left.sentence, (node.name for node in nodes))
        case _:
            return


def _is_at_work(desk: Desk, order: WorkOrder) -> bool:
    """True while something is being changed on the device that the order is about."""
    device = desk.ops.get(order.target.name) if order.target.level is TargetLevel.DEVICE else None
    if device is None or device.state not in DEVICE_AT_WORK:
        return False
    behind = desk.nodes(order)[0].name
    _tell_wait(desk, order, reason(Code.ORDER_AFTER_DEVICE, unit=behind, order=order.id, device=device.unit))
    return True


def _state(stage: Stage, op: UnitOp | None) -> UnitState | None:
    """Where it stands; one that is to go to other people counts as with them already."""
    if op is None:
        return None
    handed = stage.handing.handed.get(op.window, {}).get(op.unit)
    is_promised = handed is not None and not handed.ended and handed.number > op.retries.get(REPAIR, 0)
    return UnitState.IN_REPAIR if is_promised else op.state


def _take_in(desk: Desk, order: WorkOrder, ops: Sequence[UnitOp]) -> None:
    stage = desk.stage
    device = desk.ops.get(order.target.name) if order.target.level is TargetLevel.DEVICE else None
    is_to_come = device is not None and device.state in (UnitState.PENDING, UnitState.FAILED)
    units = [*ops, device] if is_to_come and device is not None else list(ops)
    found = [
        Handover(
            window=op.window,
            unit=op.unit,
            number=op.retries.get(REPAIR, 0) + 1,
            order=order.id,
            kind=order.kind,
        )
        for op in units
    ]
    handovers.add_handovers(desk.conn, stage.run, found, desk.now)
    for each in found:
        stage.handing.put(each)
    desk.note(order, "joined", f"window {ops[0].window}", (op.unit for op in ops))
    _touch(stage, desk.conn, units, desk.now)


def _is_near_or_new(stage: Stage, order: WorkOrder, nodes: Sequence[Node], now: datetime) -> bool:
    """True when a window to come soon takes all of its nodes anyway, and can take the order in; or when one of its own
    has just let them go.
    """
    if any(window.start > now - AGAIN for window in list_windows(stage, order)):
        return True
    if order.kind not in FOLDED or order.in_work:
        return False
    names = {node.name for node in nodes}
    soon = (row for row in stage.windows.values() if row.state in NOT_OPENED_YET and row.planned_start <= now + NEAR)
    return any(names <= set(stage.planned(row).nodes) for row in soon)


def _tell_wait(desk: Desk, order: WorkOrder, why: Reason) -> None:
    """Once for each reason."""
    told = desk.stage.handing.told
    if told.get(order.id) is not why.code:
        told[order.id] = why.code
        sentence = reason(Code.REPAIR_WAITS, order=order.id, why=why.sentence)
        desk.note(order, "waits", str(sentence), ())


def _begin(desk: Desk, order: WorkOrder) -> WorkOrder:
    """Begun when all of its units are empty, locked and with its people. One that people began already stays so."""
    stage = desk.stage
    taken = desk.handed_to(order)
    if order.started is not None or not taken:
        return order
    missing = [op for op, handed in taken if not _is_with_people(op, handed)]
    if missing:
        found = (
            why_kept(op, order.id, stage.script(op.window), stage.roster.unproven_devices(op.window)) for op in missing
        )
        why = next((why for why in found if why is not None), None)
        if why is not None:
            _tell_wait(desk, order, why)
        return order
    nodes = tuple(NodeId(op.unit) for op, _ in taken if op.kind is UnitKind.NODE)
    desk.note(order, "started", "", nodes)
    for replaced in _replaced(desk, order, nodes):
        end = OrderEnd(how=RequestState.SUPERSEDED, said=Said(actor=ACTOR, at=desk.now), why=f"by {order.id}")
        work_orders.save_orders(desk.conn, [replace(replaced, ended=end)])
        desk.note(replaced, RequestState.SUPERSEDED.value, end.why, nodes)
    return replace(order, started=Said(actor=ACTOR, at=desk.now), held=nodes)


def _is_with_people(op: UnitOp, handed: Handed) -> bool:
    return op.state is UnitState.IN_REPAIR or op.retries.get(REPAIR, 0) >= handed.number


def _replaced(desk: Desk, order: WorkOrder, nodes: Sequence[NodeId]) -> Iterator[WorkOrder]:
    """Orders on nothing but nodes that leave with this one: nothing is mended on what leaves."""
    if order.kind is not RequestKind.DECOMMISSION:
        return
    for other in desk.book.orders.values():
        named = {node.name for node in desk.nodes(other)}
        if other.id != order.id and not other.in_work and named and named <= set(nodes):
            yield other
