"""What customers say of work orders: yes, no until a date, or a word taken back. One call is one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.ids import OrderId, RequestId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.requests import Request
from fermata.domain.work_orders import OrderWord, Places, Word, WorkOrder
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown, shorten
from fermata.services.work_orders import Desk, NewId, open_desk
from fermata.store import journal, work_orders
from fermata.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOrder:
    """One word on one scope; None: all of the supercomputer. `orders`: which ones it speaks of, None for all that the
    request holds. `seen`: the incarnation that was looked at, None takes the current one. `until`: of a no, UTC.

    `actor` None lets the customer's first approver speak: for a machine of one's own, there is no sign-in yet.
    """

    word: Word
    scope: Scope | None = None
    orders: frozenset[OrderId] | None = None
    actor: str | None = None
    reason: str = ""
    seen: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidWord:
    """What came of it: the line it added to the ledger, and how many nodes it is about."""

    entry: OrderWord
    nodes: int


def decide_orders(
    db: Database, request_id: RequestId, words: Sequence[WordOrder], *, now: datetime, new_id: NewId
) -> tuple[SaidWord, ...]:
    """Carries out all words on one request, in their order, or none.

    A word on an order speaks for every node behind its target that lies in the scope, and only who may speak for all
    who hold one of them may give it. Raises Refusal with every reason found.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        request = _find(desk, request_id)
        told: list[SaidWord] = []
        refused: list[Reason] = []
        for asked in words:
            judged = _judge(desk, request, asked, new_id)
            if isinstance(judged, Reason):
                refused.append(judged)
            else:
                told.append(judged)
        refuse_all(refused)
        seqs = work_orders.append_words(conn, [said.entry for said in told])
        journal.append_many(conn, [_entry(said.entry, now) for said in told])
        kept = tuple(replace(s, entry=replace(s.entry, seq=seq)) for s, seq in zip(told, seqs, strict=True))
        desk.inputs = replace(desk.inputs, words=work_orders.load_words(conn))
        desk.changed = {name: desk.inputs.orders[name] for name in request.order_ids}
        desk.keep(actor=kept[-1].entry.actor if kept else "", why="")
        return kept


def _find(desk: Desk, request_id: RequestId) -> Request:
    request = desk.inputs.stored.get(request_id)
    if request is None:
        raise Refusal(reason(Code.REQUEST_UNKNOWN, request=request_id, nearest=nearest(request_id, desk.inputs.stored)))
    if request.kind is RequestKind.DEPLOYMENT:
        raise Refusal(reason(Code.ORDER_KIND_WRONG, request=request_id))
    return request


def _judge(desk: Desk, request: Request, asked: WordOrder, new_id: NewId) -> SaidWord | Reason:
    if asked.seen is not None and asked.seen != request.incarnation:
        return reason(Code.REQUEST_CHANGED, request=request.id, current=request.incarnation, seen=asked.seen)
    scope = asked.scope or Scope(level=ScopeLevel.SUPERCOMPUTER, name=request.supercomputer)
    book = desk.book()
    places = book.ordered.desk.places
    wrong = judge_scope(places.scopes, scope)
    if wrong is not None:
        return wrong
    known = {name: desk.inputs.orders[name] for name in request.order_ids}
    spoken = _list_spoken(places, known, asked, scope)
    if isinstance(spoken, Reason):
        return spoken
    wrong = _judge_time(asked, [known[name] for name in spoken], desk.now)
    if wrong is not None:
        return wrong
    concerned = {node.name: node for nodes in spoken.values() for node in nodes}
    customers = sorted({book.fleet.clusters[node.cluster].customer for node in concerned.values()})
    begun = [node.name for name in spoken if known[name].in_work for node in spoken[name]]
    if asked.word is not Word.APPROVED and begun:
        return reason(Code.WORK_STARTED, nodes=shorten(sorted(set(begun))))
    actor = find_approver(book.policy, customers, asked.actor)
    if isinstance(actor, Reason):
        return actor
    entry = OrderWord(
        seq=0,
        id=new_id("word"),
        request=request.id,
        incarnation=request.incarnation,
        orders=frozenset(spoken),
        scope=scope,
        word=asked.word,
        actor=actor,
        at=desk.now,
        reason=asked.reason,
        until=asked.until if asked.word is Word.DECLINED else None,
    )
    return SaidWord(entry=entry, nodes=len(concerned))


def _list_spoken(
    places: Places, known: Mapping[OrderId, WorkOrder], asked: WordOrder, scope: Scope
) -> Mapping[OrderId, tuple[Node, ...]] | Reason:
    """The orders that the word speaks of, each with its nodes in the scope."""
    for name in sorted((asked.orders or frozenset()) - known.keys()):
        return reason(Code.ORDER_UNKNOWN, order=name, nearest=nearest(name, known))
    inside = frozenset(node.name for node in places.scopes.nodes(scope))
    spoken = {
        name: tuple(node for node in places.nodes_of(known[name]) if node.name in inside)
        for name in sorted(known if asked.orders is None else asked.orders)
    }
    found = {name: nodes for name, nodes in spoken.items() if nodes}
    return found or reason(Code.NOTHING_PENDING, scope=scope)


def _judge_time(asked: WordOrder, orders: Sequence[WorkOrder], now: datetime) -> Reason | None:
    """A no has an end, ahead and within the time to choose: afterwards the policy says what happens."""
    if asked.word is not Word.DECLINED:
        return None
    due = min(order.due_at for order in orders)
    if asked.until is not None and now < asked.until <= due:
        return None
    until = f"{asked.until:%Y-%m-%d %H:%MZ}" if asked.until else "no time"
    return reason(Code.DECLINE_UNTIL_WRONG, due=f"{due:%Y-%m-%d %H:%MZ}", until=until)


def _entry(word: OrderWord, now: datetime) -> journal.Entry:
    return journal.Entry(
        at=now,
        actor=word.actor,
        event=f"consent.{word.word}",
        subject=f"{word.scope.level}:{word.scope.name}",
        why=word.reason,
        data={
            "id": word.id,
            "request": word.request,
            "incarnation": word.incarnation,
            "orders": sorted(word.orders),
            "until": word.until.isoformat() if word.until else None,
        },
    )
