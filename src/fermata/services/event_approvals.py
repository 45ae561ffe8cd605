"""Words that arrive through doors: the same in the same ledgers as all others. One call is one transaction, whatever
requests it speaks of: what breaks off in between leaves nothing said.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.ids import NodeId, OrderId, RequestId
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scheduled_events import EventStatus, OrderedWork, ScheduledEvent
from fermata.domain.work_orders import Word
from fermata.services import consent, order_words
from fermata.services.errors import refuse_all, refusing_unknown
from fermata.services.maintenance import MaintenanceDesk, Picture
from fermata.services.work_orders import open_desk
from fermata.store.database import Connection, Database

NewId = Callable[[str], str]
TRIES = 3  # a request that changes under our hands is looked at again so often


class UnknownEvents(Exception):
    """There are no such events where they were looked for; nothing was approved. `ids` in the order given."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(", ".join(self.ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Where a word is heard, when, and `why` it was said: which door, and in answer to what."""

    db: Database
    desk: MaintenanceDesk
    now: datetime
    new_id: NewId
    why: str


def start_node_events(hearing: Hearing, node: NodeId, ids: Collection[str]) -> None:
    """Approves the work behind events of one node, for a client inside it: all or, with an unknown id, nothing. What
    the node's customer took back, or a policy keeps off, is unknown to it. Raises UnknownEvents or Refusal.
    """

    def choose(picture: Picture) -> list[ScheduledEvent]:
        outlook = picture.outlook(node)
        found = [picture.events.get(name.lower()) for name in ids]
        known = {
            event.id: event
            for event in found
            if event is not None and event.node == node and outlook.hears_agent(event)
        }
        unknown = [name for name in ids if name.lower() not in known]
        if unknown:
            raise UnknownEvents(unknown)
        return list(known.values())

    refuse_all(dict.fromkeys(_approve(hearing, choose, is_whole=True).values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What came of one event of a list. `is_known`: it is an event of what was asked about; `refused`: why its approval
    was not recorded. Neither: it is approved, now or before.
    """

    is_known: bool
    refused: Reason | None = None


def acknowledge_events(
    hearing: Hearing, ids: Collection[str], among: Callable[[Picture], Collection[NodeId]], *, is_agent: bool = False
) -> Mapping[str, Acknowledged]:
    """Approves the work behind those events that are of a node `among` the picture's, each by itself, and says of each
    id what came of it. To an agent inside a node (`is_agent`) what somebody said no to is unknown.
    """
    known: set[str] = set()

    def choose(picture: Picture) -> list[ScheduledEvent]:
        nodes = frozenset(among(picture))
        events = {name: picture.events.get(name.lower()) for name in ids}
        chosen = {
            name: event
            for name, event in events.items()
            if event is not None
            and event.node in nodes
            and not (is_agent and not picture.outlook(event.node).hears_agent(event))
        }
        known.clear()
        known.update(chosen)
        return list(chosen.values())

    refused = _approve(hearing, choose, is_whole=False)
    return {name: Acknowledged(is_known=name in known, refused=refused.get(name.lower())) for name in ids}


Pick = Callable[[OrderedWork], bool]


def is_any(_work: OrderedWork) -> bool:
    """Every work order."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a word on a place is about: its updates or not, and those of its work orders that `orders` picks."""

    scope: Scope
    nodes: Collection[NodeId]
    updates: bool = True
    orders: Pick = is_any


def approve_work(hearing: Hearing, subject: Subject) -> None:
    """Approves all of it that awaits a word or had a no, one word on each request: all or nothing. Raises Refusal; when
    nothing is there, NOTHING_PENDING.
    """

    def missing(work: OrderedWork) -> bool:
        return not work.is_approved and work.status is EventStatus.SCHEDULED

    _say(hearing, subject, Word.APPROVED, missing)


def withdraw_work(hearing: Hearing, subject: Subject) -> None:
    """Takes back what was approved of it, as long as no work of it has started: all or nothing. Raises Refusal; when
    nothing is there, NOTHING_PENDING.
    """
    _say(hearing, subject, Word.WITHDRAWN, lambda work: work.is_approved)


def _say(hearing: Hearing, subject: Subject, word: Word, speaks_of: Pick) -> None:
    picture = hearing.desk.look(again=True)
    coming = {EventStatus.SCHEDULED, EventStatus.STARTED}
    works = [w for node in subject.nodes for w in picture.outlook(node).ordered if w.status in coming]
    there = [work for work in works if subject.orders(work)]
    asked: dict[RequestId, set[OrderId]] = {}
    for work in there:
        if speaks_of(work):
            asked.setdefault(work.request, set()).add(work.order)
    with refusing_unknown(), hearing.db.begin() as conn:
        refused: list[Reason] = []
        if subject.updates:
            verdict = Verdict.APPROVED if word is Word.APPROVED else Verdict.WITHDRAWN
            order = consent.Order(scope=subject.scope, verdict=verdict, reason=hearing.why)
            (outcome,) = consent.decide_in(conn, [order], now=hearing.now, new_id=hearing.new_id)
            if outcome.refused is not None and not (there and outcome.refused.code is Code.NOTHING_PENDING):
                refused.append(outcome.refused)
        elif not there:
            refused.append(reason(Code.NOTHING_PENDING, scope=subject.scope))
        desk = open_desk(conn, hearing.now) if asked else None
        for request, names in sorted(asked.items()):
            assert desk is not None
            said = order_words.WordOrder(word=word, scope=subject.scope, orders=frozenset(names), reason=hearing.why)
            told = order_words.decide_in(desk, request, [said], new_id=hearing.new_id)
            refused += [answer for answer in told if isinstance(answer, Reason)]
        refuse_all(dict.fromkeys(refused))
    hearing.desk.look(again=True)


@dataclass(kw_only=True)
class _Spoken:
    """What the chosen events come to: one word on updates for each node, one on each of its requests of work orders.
    Each with the ids of the events that it answers.
    """

    orders: dict[NodeId, consent.Order] = field(default_factory=dict)
    words: dict[RequestId, list[order_words.WordOrder]] = field(default_factory=dict)
    of_node: dict[NodeId, list[str]] = field(default_factory=dict)
    of_word: dict[RequestId, list[list[str]]] = field(default_factory=dict)


def _approve(
    hearing: Hearing, choose: Callable[[Picture], list[ScheduledEvent]], *, is_whole: bool
) -> Mapping[str, Reason]:
    """Why events were refused, by id. All words are recorded in one transaction: with `is_whole` every one or, when one
    is refused, none; else those that may be. Each is judged against the incarnation that its event was read from, so
    that an event covers nothing that came later than it.
    """
    for left in reversed(range(TRIES)):
        picture = hearing.desk.look(again=True)
        spoken = _speak(picture, choose(picture), hearing.why)
        if not spoken.orders and not spoken.words:
            return {}
        refused: dict[str, Reason] = {}
        try:
            with refusing_unknown(), hearing.db.begin() as conn:
                refused = _record(conn, spoken, hearing)
                is_late = any(why.code is Code.REQUEST_CHANGED for why in refused.values())
                if refused and (is_whole or (is_late and left)):
                    raise _TakenBack
        except _TakenBack:
            if is_late and left:
                continue
            return refused
        hearing.desk.look(again=True)
        return refused
    raise AssertionError("the last try returns")


class _TakenBack(Exception):
    """Ends a transaction without a trace."""


def _record(conn: Connection, spoken: _Spoken, hearing: Hearing) -> dict[str, Reason]:
    now, new_id = hearing.now, hearing.new_id
    refused: dict[str, Reason] = {}
    outcomes = consent.decide_in(conn, list(spoken.orders.values()), now=now, new_id=new_id)
    for node, outcome in zip(spoken.orders, outcomes, strict=True):
        if outcome.refused is not None:
            refused |= dict.fromkeys(spoken.of_node[node], outcome.refused)
    desk = open_desk(conn, now) if spoken.words else None
    for request, said in spoken.words.items():
        assert desk is not None
        told = order_words.decide_in(desk, request, said, new_id=new_id)
        for ids, answer in zip(spoken.of_word[request], told, strict=True):
            if isinstance(answer, Reason):
                refused |= dict.fromkeys(ids, answer)
    return refused


def _speak(picture: Picture, chosen: Iterable[ScheduledEvent], why: str) -> _Spoken:
    """Of what has started nothing more is said, nor where a yes is the last word on an order already."""
    spoken = _Spoken()
    coming = [event for event in chosen if event.status is EventStatus.SCHEDULED]
    for event in coming:
        if event.order is None:
            spoken.orders[event.node] = _order(picture, event, why)
            spoken.of_node.setdefault(event.node, []).append(event.id)
    by_node: dict[NodeId, dict[OrderId, str]] = {}
    for event in coming:
        if event.order is not None:
            by_node.setdefault(event.node, {})[event.order] = event.id
    for node, ids in sorted(by_node.items()):
        for (request, seen), names in _asked_of(picture, node, ids).items():
            word = _yes(why, Scope(level=ScopeLevel.NODE, name=node), frozenset(names))
            spoken.words.setdefault(request, []).append(replace(word, seen=seen))
            spoken.of_word.setdefault(request, []).append([ids[name] for name in names])
    return spoken


def _asked_of(
    picture: Picture, node: NodeId, ids: Mapping[OrderId, str]
) -> Mapping[tuple[RequestId, int], list[OrderId]]:
    """Those of the named orders of a node that lack a yes, by request and incarnation."""
    asked: dict[tuple[RequestId, int], list[OrderId]] = {}
    for work in picture.outlook(node).ordered:
        if work.order in ids and not work.is_approved:
            asked.setdefault((work.request, work.incarnation), []).append(work.order)
    return asked


def _yes(why: str, scope: Scope, names: frozenset[OrderId]) -> order_words.WordOrder:
    return order_words.WordOrder(word=Word.APPROVED, scope=scope, orders=names, reason=why)


def _order(picture: Picture, event: ScheduledEvent, why: str) -> consent.Order:
    question = picture.outlook(event.node).question
    return consent.Order(
        scope=Scope(level=ScopeLevel.NODE, name=event.node),
        verdict=Verdict.APPROVED,
        reason=why,
        seen=question.incarnation if question else None,
    )


def sentences(reasons: Iterable[Reason]) -> str:
    """What a client is told of a refusal."""
    return " ".join(reason.sentence for reason in reasons)
