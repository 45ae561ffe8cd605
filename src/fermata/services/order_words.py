"""What customers say of work orders: yes, no until a date, or a word taken back. One call is one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.ids import NodeId, OrderId, RequestId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.requests import Request
from fermata.domain.work_orders import OrderWord, Word, WorkOrder
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.consent import store_words
from fermata.services.consent_desk import say_since
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown, shorten
from fermata.services.work_orders import Desk, NewId, open_desk
from fermata.store import work_orders
from fermata.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOrder:
    """One word on one scope; None: all of the supercomputer. `orders`: which ones it speaks of, None for all that the
    request holds. `seen`: the incarnation that was looked at, None takes the current one. `until`: of a no, UTC.

    `actor` None lets the customer's first approver speak: for a machine of one's own, where nobody signs in.
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
    db: Database,
    request_id: RequestId,
    words: Sequence[WordOrder],
    *,
    now: datetime,
    new_id: NewId,
    since: int | None = None,
) -> tuple[SaidWord, ...]:
    """Carries out all words on one request, in their order, or none. `since`: the seq of the last word on work orders
    that was seen; None takes whatever was said.

    A word on an order speaks for every node behind its target that lies in the scope, and only who may speak for all
    who hold one of them may give it. Raises Refusal with every reason found.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        refuse_all(_said_since(desk.inputs.words, request_id, since))
        told = decide_in(desk, request_id, words, new_id=new_id)
        refuse_all(answer for answer in told if isinstance(answer, Reason))
        return tuple(answer for answer in told if isinstance(answer, SaidWord))


def _said_since(words: Sequence[OrderWord], request_id: RequestId, since: int | None) -> Iterator[Reason]:
    later = [word for word in words if since is not None and word.seq > since and word.request == request_id]
    if later:
        yield say_since(request_id, [(w.actor, w.word, w.scope, w.at) for w in later])


def decide_in(
    desk: Desk, request_id: RequestId, words: Sequence[WordOrder], *, new_id: NewId
) -> tuple[SaidWord | Reason, ...]:
    """Records the words on one request that may be, in their order, beside whatever else the desk's transaction holds,
    and says of each what came of it. Raises Refusal when there is no such request of work orders.
    """
    request = _find(desk, request_id)
    asking = _open(desk, request)
    judged = [_judge(asking, asked, new_id) for asked in words]
    told = [each for each in judged if isinstance(each, SaidWord)]
    if not told:
        return tuple(judged)
    seqs = iter(store_words(desk.conn, [said.entry for said in told], desk.now))
    desk.inputs = replace(desk.inputs, words=work_orders.load_words(desk.conn))
    desk.changed = {name: desk.inputs.orders[name] for name in request.order_ids}
    desk.keep(actor=told[-1].entry.actor, why="")
    return tuple(
        replace(each, entry=replace(each.entry, seq=next(seqs))) if isinstance(each, SaidWord) else each
        for each in judged
    )


def _find(desk: Desk, request_id: RequestId) -> Request:
    request = desk.inputs.stored.get(request_id)
    if request is None:
        raise Refusal(reason(Code.REQUEST_UNKNOWN, request=request_id, nearest=nearest(request_id, desk.inputs.stored)))
    if request.kind is RequestKind.DEPLOYMENT:
        raise Refusal(reason(Code.ORDER_KIND_WRONG, request=request_id))
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """What words on a request are judged by, read once however many there are. `nodes`: of each of its orders."""

    request: Request
    book: RequestBook
    known: Mapping[OrderId, WorkOrder]
    nodes: Mapping[OrderId, frozenset[NodeId]]


def _open(desk: Desk, request: Request) -> _Asking:
    book = desk.book()
    known = {name: desk.inputs.orders[name] for name in request.order_ids}
    nodes = {
        name: frozenset(node.name for node in book.ordered.desk.places.nodes_of(order)) for name, order in known.items()
    }
    return _Asking(request=request, book=book, known=known, nodes=nodes)


def _judge(asking: _Asking, asked: WordOrder, new_id: NewId) -> SaidWord | Reason:
    request, book, known = asking.request, asking.book, asking.known
    if asked.seen is not None and asked.seen != request.incarnation:
        return reason(Code.REQUEST_CHANGED, request=request.id, current=request.incarnation, seen=asked.seen)
    scope = asked.scope or Scope(level=ScopeLevel.SUPERCOMPUTER, name=request.supercomputer)
    places = book.ordered.desk.places
    wrong = judge_scope(places.scopes, scope)
    if wrong is not None:
        return wrong
    spoken = _list_spoken(asking, asked, scope)
    if isinstance(spoken, Reason):
        return spoken
    wrong = _judge_time(asked, _choose_until(book, [(known[name], nodes) for name, nodes in spoken.items()]), book)
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
        at=book.record.now,
        reason=asked.reason,
        until=asked.until if asked.word is Word.DECLINED else None,
    )
    return SaidWord(entry=entry, nodes=len(concerned))


def _list_spoken(asking: _Asking, asked: WordOrder, scope: Scope) -> Mapping[OrderId, tuple[Node, ...]] | Reason:
    """The orders that the word speaks of, each with its nodes in the scope."""
    known = asking.known
    for name in sorted((asked.orders or frozenset()) - known.keys()):
        return reason(Code.ORDER_UNKNOWN, order=name, nearest=nearest(name, known))
    inside = asking.book.ordered.desk.places.scopes.nodes(scope)
    spoken = {
        name: tuple(node for node in inside if node.name in asking.nodes[name])
        for name in sorted(known if asked.orders is None else asked.orders)
    }
    found = {name: nodes for name, nodes in spoken.items() if nodes}
    return found or reason(Code.NOTHING_PENDING, scope=scope)


def _choose_until(book: RequestBook, spoken: Sequence[tuple[WorkOrder, tuple[Node, ...]]]) -> datetime:
    """When the time to choose is over for the first of these orders. Who speaks untold knows of it from now on."""
    ends: list[datetime] = []
    for order, nodes in spoken:
        notice = order.due_at - order.opened.at
        for cluster in {node.cluster for node in nodes}:
            over = book.ordered.desk.notice_over(order, book.fleet.clusters[cluster])
            ends.append(over or max(order.due_at, book.record.now + notice))
    return min(ends)


def _judge_time(asked: WordOrder, due: datetime, book: RequestBook) -> Reason | None:
    """A no has an end, ahead and within the time to choose: afterwards the policy says what happens."""
    if asked.word is not Word.DECLINED:
        return None
    if asked.until is not None and book.record.now < asked.until <= due:
        return None
    until = f"{asked.until:%Y-%m-%d %H:%MZ}" if asked.until else "no time"
    return reason(Code.DECLINE_UNTIL_WRONG, due=f"{due:%Y-%m-%d %H:%MZ}", until=until)
