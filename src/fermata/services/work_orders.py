"""Operator verbs of work orders: open, begin, complete and cancel them. One transaction each, whole or not at all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.combining import Outcome, why_held
from fermata.domain.fleet import Node, NodeState
from fermata.domain.ids import NodeId, OrderId, RequestId
from fermata.domain.order_begin import why_not_yet
from fermata.domain.policy import Said
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_book import Meeting, RequestBook
from fermata.domain.request_kinds import IMPACTS, RequestKind, due_at
from fermata.domain.request_states import IllegalRequestMove, RequestEvent, RequestState, move
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import OrderEnd, Target, TargetLevel, WorkOrder
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown, shorten
from fermata.services.request_record import Inputs, find_moved, read_inputs_in, record_moved
from fermata.store import journal, work_orders
from fermata.store import requests as request_store
from fermata.store.database import Connection, Database
from fermata.store.request_lines import say_changed

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What somebody asks for. `impact` None: what a workload feels of that kind, at worst. `asked_by`: see
    WorkOrder.
    """

    kind: RequestKind
    target: Target
    cause: str
    impact: Impact | None = None
    criticality: Criticality = Criticality.REGULAR
    wanted_at: datetime | None = None
    asked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An order as it was opened, its nodes, and what it meets on them."""

    order: WorkOrder
    request: RequestId
    incarnation: int
    nodes: tuple[NodeId, ...]
    meets: tuple[Meeting, ...]


@dataclass(kw_only=True)
class Desk:
    """What verbs are judged by, and what they changed, of one transaction."""

    conn: Connection
    now: datetime
    inputs: Inputs
    changed: dict[OrderId, WorkOrder] = field(default_factory=dict)

    def book(self) -> RequestBook:
        """As things stand with the changes."""
        orders = {**self.inputs.orders, **self.changed}
        return replace(self.inputs, orders=orders, known=self.inputs.basis).open_book(self.now)

    def order(self, name: OrderId) -> WorkOrder:
        """An order on record. Raises Refusal for an unknown one."""
        found = self.inputs.orders.get(name)
        if found is None:
            raise Refusal(reason(Code.ORDER_UNKNOWN, order=name, nearest=nearest(name, self.inputs.orders)))
        return found

    def keep(self, *, actor: str, why: str) -> RequestBook:
        """Stores what changed, and what requests and their states become by it; then nothing is changed any more, and
        what follows in the transaction is judged by all of that.
        """
        work_orders.save_orders(self.conn, tuple(self.changed.values()))
        touched = {order.request for order in self.changed.values()}
        book = self.book()
        built = book.basis.requests(self.inputs.stored, book.orders.values())
        requests = [request for request in built if request.id in touched]
        changed = [request for request in requests if self.inputs.stored.get(request.id) != request]
        request_store.save_requests(self.conn, tuple(changed))
        before = self.inputs.stored
        journal.append_many(
            self.conn, [say_changed(request, before.get(request.id), actor, self.now, why) for request in changed]
        )
        moved = find_moved(book, self.inputs.seen, requests)
        record_moved(self.conn, moved, actor=actor, now=self.now)
        self.inputs = replace(
            self.inputs,
            orders=book.orders,
            stored={**self.inputs.stored, **{r.id: r for r in changed}},
            seen={**self.inputs.seen, **{each.request.id: each.after for each in moved}},
        )
        self.changed = {}
        return book


def open_desk(conn: Connection, now: datetime) -> Desk:
    """For one transaction."""
    return Desk(conn=conn, now=now, inputs=read_inputs_in(conn, now))


def open_orders(
    db: Database, orders: Sequence[NewOrder], *, now: datetime, actor: str, new_id: NewId
) -> tuple[Opened, ...]:
    """Opens all of them or none. Each joins the one request of its kind of its supercomputer, whose customers decide.

    Raises Refusal with every reason found: an unknown or ambiguous target, one that is asked for already, one that
    leaves by an order that was approved.
    """
    with refusing_unknown(), db.begin() as conn:
        return open_in(open_desk(conn, now), orders, actor=actor, new_id=new_id)


def open_in(desk: Desk, orders: Sequence[NewOrder], *, actor: str, new_id: NewId) -> tuple[Opened, ...]:
    """The same beside whatever else the desk's transaction holds. Raises Refusal, which should end that."""
    assert not desk.changed, "whoever changed something keeps it first"
    book = desk.book()
    refused: list[Reason] = []
    for asked in orders:
        judged = _judge_new(book, desk, asked, Said(actor=actor, at=desk.now), OrderId(new_id("wo")))
        if isinstance(judged, Reason):
            refused.append(judged)
        else:
            desk.changed[judged.id] = judged
    refuse_all(refused)
    opened = tuple(desk.changed.values())
    journal.append_many(desk.conn, [_entry(order, "opened", actor, desk.now, order.cause) for order in opened])
    after = desk.keep(actor=actor, why="; ".join(dict.fromkeys(order.cause for order in opened)))
    return tuple(_opened(desk, after, order) for order in opened)


def start_order(
    db: Database, name: OrderId, *, now: datetime, actor: str, why: str = "", drained: bool = False
) -> WorkOrder:
    """Begins an order: from now on it holds its nodes. Refused, with every reason, as long as the word of any customer
    is missing, a freeze or its own time forbids it, another holds a node, or a node still serves by the inventory and
    nobody says that workloads have left it (`drained`).
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        order, book = desk.order(name), desk.book()
        nodes = book.ordered.desk.places.nodes_of(order)
        refuse_all(dict.fromkeys((*_why_not_yet(book, order, nodes), *_why_serving(order, nodes, drained=drained))))
        _move(book, order, RequestEvent.BEGIN)
        held = tuple(node.name for node in nodes)
        begun = desk.changed[name] = replace(order, started=Said(actor=actor, at=now), held=held)
        lines = [_entry(order, "started", actor, now, why)]
        for gone in _replaced(book, order, nodes):
            end = OrderEnd(how=RequestState.SUPERSEDED, said=Said(actor=actor, at=now), why=f"by {order.id}")
            desk.changed[gone.id] = replace(gone, ended=end)
            lines.append(_entry(gone, "superseded", actor, now, end.why))
        journal.append_many(conn, lines)
        desk.keep(actor=actor, why=why)
        return begun


def complete_order(db: Database, name: OrderId, *, now: datetime, actor: str, why: str = "") -> WorkOrder:
    """An order that was begun is done: its nodes are free again. A decommission is when the inventory has none of them
    any more. Raises Refusal for one that was not begun, or not done.
    """
    return _end(db, name, RequestEvent.FINISH, now=now, actor=actor, why=why)


def cancel_order(db: Database, name: OrderId, *, now: datetime, actor: str, why: str = "") -> WorkOrder:
    """Takes an order back before it begins. Raises Refusal afterwards."""
    return _end(db, name, RequestEvent.CANCEL, now=now, actor=actor, why=why)


def list_orders(db: Database, *, ended: bool = False) -> tuple[WorkOrder, ...]:
    """Those that are not over, or all on record, by when they were opened."""
    with db.read() as conn:
        found = work_orders.load_orders(conn).values()
    return tuple(sorted((o for o in found if ended or o.is_open), key=lambda order: (order.opened.at, order.id)))


def cancel_in(desk: Desk, names: Sequence[OrderId], *, actor: str, why: str) -> None:
    """Takes orders back before they begin, all or none, beside whatever else the desk's transaction holds."""
    _end_in(desk, names, RequestEvent.CANCEL, actor=actor, why=why)


def _end(db: Database, name: OrderId, event: RequestEvent, *, now: datetime, actor: str, why: str) -> WorkOrder:
    with refusing_unknown(), db.begin() as conn:
        (ended,) = _end_in(open_desk(conn, now), [name], event, actor=actor, why=why)
        return ended


def _end_in(
    desk: Desk, names: Sequence[OrderId], event: RequestEvent, *, actor: str, why: str
) -> tuple[WorkOrder, ...]:
    assert not desk.changed, "whoever changed something keeps it first"
    book, ended = desk.book(), []
    for order in [desk.order(name) for name in names]:
        state = _move(book, order, event)
        left = [node.name for node in book.ordered.desk.places.nodes_of(order)]
        if event is RequestEvent.FINISH and order.kind is RequestKind.DECOMMISSION and left:
            raise Refusal(reason(Code.ORDER_NODES_REMAIN, order=order.id, nodes=shorten(left)))
        ended.append(replace(order, ended=OrderEnd(how=state, said=Said(actor=actor, at=desk.now), why=why)))
    desk.changed = {order.id: order for order in ended}
    lines = [_entry(order, order.ended.how.value, actor, desk.now, why) for order in ended if order.ended is not None]
    journal.append_many(desk.conn, lines)
    desk.keep(actor=actor, why=why)
    return tuple(ended)


def _move(book: RequestBook, order: WorkOrder, event: RequestEvent) -> RequestState:
    try:
        return move(order.id, book.stand_order(order).state, event)
    except IllegalRequestMove as illegal:
        raise Refusal(illegal.reason) from illegal


def _judge_new(book: RequestBook, desk: Desk, asked: NewOrder, opened: Said, name: OrderId) -> WorkOrder | Reason:
    places = book.ordered.desk.places
    nodes = places.nodes(asked.target)
    if not nodes:
        return _say_unknown(book, asked.target)
    supercomputers = sorted({book.fleet.clusters[node.cluster].supercomputer for node in nodes})
    if len(supercomputers) > 1:
        return reason(Code.SCOPE_AMBIGUOUS, name=asked.target.name, supercomputers=", ".join(supercomputers))
    order = WorkOrder(
        id=name,
        kind=asked.kind,
        supercomputer=supercomputers[0],
        target=asked.target,
        cause=asked.cause,
        impact=asked.impact or IMPACTS[asked.kind],
        criticality=asked.criticality,
        opened=opened,
        due_at=due_at(
            book.policy.notice, asked.kind, asked.criticality, opened_at=opened.at, wanted_at=asked.wanted_at
        ),
        wanted_at=asked.wanted_at,
        asked_by=asked.asked_by,
    )
    for known in (*desk.inputs.orders.values(), *desk.changed.values()):
        is_same = (known.kind, known.target, known.supercomputer) == (order.kind, order.target, order.supercomputer)
        if is_same and known.is_open:
            fields = {"kind": order.kind, "target": order.target, "order": known.id}
            return reason(Code.ORDER_EXISTS, **fields, request=known.request)
    refusing = (meeting for meeting in book.meet(order.kind, nodes) if meeting.outcome is Outcome.REFUSE)
    for meeting in refusing:
        claims = (c for node in nodes for c in book.claims.get(node.name, ()) if c.name == meeting.order)
        why = why_held(shorten([node.name for node in nodes]), order.kind, claims)
        if why is not None:
            return why
    return order


def _say_unknown(book: RequestBook, target: Target) -> Reason:
    fleet = book.fleet
    known: dict[TargetLevel, Iterable[str]] = {
        TargetLevel.CLUSTER: fleet.clusters,
        TargetLevel.RACK: {node.rack for node in fleet.nodes.values()},
        TargetLevel.NODE: fleet.nodes,
        TargetLevel.DEVICE: fleet.devices,
    }
    near = nearest(target.name, known[target.level])
    return reason(Code.SCOPE_UNKNOWN, level=target.level, name=target.name, nearest=near)


def _opened(desk: Desk, book: RequestBook, order: WorkOrder) -> Opened:
    nodes = book.ordered.desk.places.nodes_of(order)
    return Opened(
        order=order,
        request=order.request,
        incarnation=desk.inputs.stored[order.request].incarnation,
        nodes=tuple(node.name for node in nodes),
        meets=book.meet(order.kind, nodes, but=order.id),
    )


def _why_not_yet(book: RequestBook, order: WorkOrder, nodes: Sequence[Node]) -> Iterable[Reason]:
    """Every reason why the order may not begin now."""
    if order.is_open and not order.in_work:
        yield from why_not_yet(book, order, nodes)
        yield from _why_busy(book, order, nodes)


def _why_serving(order: WorkOrder, nodes: Sequence[Node], *, drained: bool) -> Iterable[Reason]:
    serving = [node.name for node in nodes if node.state is NodeState.IN_SERVICE]
    if serving and not drained and order.started is None and order.impact is not Impact.IMPACTLESS:
        yield reason(Code.ORDER_NOT_DRAINED, nodes=shorten(serving), order=order.id)


def _why_busy(book: RequestBook, order: WorkOrder, nodes: Sequence[Node]) -> Iterable[Reason]:
    """One request at a time holds a node. What a run holds it hands over by itself, when it is empty and idle."""
    waiting = [m for m in book.meet(order.kind, nodes, but=order.id) if _is_in_the_way(m)]
    for meeting in waiting:
        holder = meeting.order or f"a run, for {meeting.request}"
        yield reason(Code.ORDER_NODE_BUSY, order=order.id, nodes=f"{meeting.nodes} node(s)", holder=holder)


def _is_in_the_way(meeting: Meeting) -> bool:
    is_run = meeting.kind is RequestKind.DEPLOYMENT and meeting.state is RequestState.IN_PROGRESS
    return is_run or meeting.outcome in (Outcome.WAIT, Outcome.REFUSE)


def _replaced(book: RequestBook, order: WorkOrder, nodes: Sequence[Node]) -> Iterable[WorkOrder]:
    """Orders on nothing but nodes of this one, in whose place it comes."""
    own = {node.name for node in nodes}
    for meeting in book.meet(order.kind, nodes, but=order.id):
        if meeting.outcome is Outcome.REPLACE and meeting.order is not None:
            other = book.orders[meeting.order]
            if own.issuperset(book.ordered.hear(other).nodes):
                yield other


def _entry(order: WorkOrder, event: str, actor: str, now: datetime, why: str) -> journal.Entry:
    return journal.Entry(
        at=now,
        actor=actor,
        event=f"order.{event}",
        subject=f"order:{order.id}",
        why=why,
        data={
            "request": order.request,
            "kind": order.kind.value,
            "target": str(order.target),
            "impact": order.impact.value,
            "criticality": order.criticality.value,
            "due_at": order.due_at.isoformat(),
        },
    )
