"""Work orders, and the ledger of what customers say of them, append-only like the journal."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Index, Select, String, Table, Text, bindparam, delete, func, insert, select

from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, OrderId, RequestId
from fermata.domain.ledger import Decisions
from fermata.domain.pending import FleetPending
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.repairs import LEAVING
from fermata.domain.request_basis import Basis
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import OnRecord
from fermata.domain.request_states import RequestState
from fermata.domain.work_orders import OrderWord, Word, WorkOrder, list_open
from fermata.store import inventory
from fermata.store.asking import ask
from fermata.store.bulk import insert_rows
from fermata.store.codec import from_json, to_json
from fermata.store.cut_bodies import cut_order
from fermata.store.parts import part_of
from fermata.store.schema import Json, Sequence64, UtcTime, metadata
from fermata.store.tenancy.owners import SOMEBODY

ORDERS_KNOWN = 4096  # decoded: the conductor reads those that are not over every few minutes, and few of them change

work_order = Table(
    "work_order",
    metadata,
    Column("id", String, primary_key=True),
    Column("supercomputer", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Column("body", Text, nullable=False),
    Index("ix_work_order_supercomputer", "supercomputer", "kind"),
)
order_word = Table(
    "order_word",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("request", String, nullable=False),
    Column("incarnation", Sequence64, nullable=False),
    Column("orders", Json, nullable=False),
    Column("scope_level", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("word", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcTime, nullable=True),
    sqlite_autoincrement=True,
)

_BODIES = select(work_order.c.body)
_OPEN = _BODIES.where(work_order.c.ended_at.is_(None))
_ENDED = select(work_order.c.id).where(
    work_order.c.ended_at.is_not(None), work_order.c.id.in_(bindparam("of_names", expanding=True))
)
_WORDS = select(order_word).order_by(order_word.c.seq)
_SIGNATURE = select(
    func.count().filter(work_order.c.ended_at.is_(None)),
    func.count(),
    func.coalesce(func.sum(func.length(work_order.c.body)), 0),
    select(func.coalesce(func.max(order_word.c.seq), 0)).scalar_subquery(),
).select_from(work_order)


def save_orders(conn: Connection, orders: Sequence[WorkOrder]) -> None:
    """Adds orders, or replaces those of the same ids."""
    for order in orders:
        conn.execute(delete(work_order).where(work_order.c.id == order.id))
    insert_rows(conn, work_order, [_order_row(order) for order in orders])


def load_orders(conn: Connection) -> dict[OrderId, WorkOrder]:
    """Every order ever opened, those that are over included, by id."""
    found = _read(conn, _BODIES)
    return {order.id: order for order in sorted(found, key=lambda order: order.id)}


def append_words(conn: Connection, words: Sequence[OrderWord]) -> tuple[int, ...]:
    """Adds words in the order given and returns the seqs they got; their own `seq` is not read."""
    if not words:
        return ()
    statement = insert(order_word).returning(order_word.c.seq, sort_by_parameter_order=True)
    return tuple(conn.execute(statement, [_word_row(word) for word in words]).scalars())


def load_words(conn: Connection) -> tuple[OrderWord, ...]:
    """All words, oldest first."""
    words = tuple(_to_word(row) for row in ask(conn, _WORDS))
    part = part_of(conn)
    if part is None:
        return words
    said, seen, tell = {word.seq: word for word in part.read(load_words)}, load_orders(conn).keys(), part.teller()
    return tuple(
        replace(
            word,
            orders=said[word.seq].orders & seen,
            reason="" if word.actor == SOMEBODY else tell(said[word.seq].reason),
        )
        for word in words
    )


def load_open(conn: Connection) -> dict[OrderId, WorkOrder]:
    """Those that are not over, by when they were opened."""
    found = _read(conn, _OPEN)
    return {order.id: order for order in list_open(found)}


def load_named(conn: Connection, names: Collection[OrderId]) -> dict[OrderId, WorkOrder]:
    """Those of `names` that are on record."""
    if not names:
        return {}
    query = _BODIES.where(work_order.c.id.in_(sorted(names)))
    return {order.id: order for order in _read(conn, query)}


def load_opened(conn: Connection, kind: RequestKind, since: datetime) -> tuple[WorkOrder, ...]:
    """Orders of a kind that were opened after `since`, those that are over included, by id."""
    meant = (work_order.c.kind == kind.value, work_order.c.opened_at > since)
    return tuple(_read(conn, _BODIES.where(*meant).order_by(work_order.c.id)))


def load_ended(conn: Connection, most: int) -> tuple[WorkOrder, ...]:
    """The last ones that went away, at most so many, the newest first."""
    of = work_order.c
    query = _BODIES.where(of.ended_at.is_not(None)).order_by(of.ended_at.desc(), of.id)
    if part_of(conn) is None:
        query = query.limit(most)
    return tuple(_read(conn, query)[:most])


def ended_orders(conn: Connection, names: Collection[OrderId]) -> frozenset[OrderId]:
    """Those of `names` that are over."""
    if not names:
        return frozenset()
    if part_of(conn) is not None:
        return frozenset(name for name, order in load_named(conn, names).items() if order.ended is not None)
    return frozenset(OrderId(name) for name in conn.execute(_ENDED, {"of_names": sorted(names)}).scalars())


def signature(conn: Connection) -> tuple[int, int, int, int]:
    """Changes whenever an order is opened, begun or ends, or somebody says something of one. The first number counts
    those that are not over.
    """
    part = part_of(conn)
    if part is not None:
        return part.read(signature)
    ((still, opened, written, last),) = ask(conn, _SIGNATURE)
    return int(still), int(opened), int(written), int(last)


def left_since(conn: Connection, since: datetime) -> Mapping[NodeId, Reason]:
    """Nodes that left the fleet or their place with an order that was completed after `since`, each with why."""
    kinds = sorted(kind.value for kind in LEAVING)
    query = _BODIES.where(work_order.c.ended_at > since, work_order.c.kind.in_(kinds))
    return {
        name: reason(Code.LEFT_BY_ORDER, unit=name, order=order.id, kind=order.kind)
        for order in _read(conn, query)
        if order.ended is not None and order.ended.how is RequestState.COMPLETED
        for name in order.held
    }


def held_nodes(conn: Connection, fleet: Fleet, now: datetime) -> Mapping[NodeId, Reason]:
    """Nodes of `fleet` on which no update may be planned or begun at `now` because of work orders, each with why.

    Raises NotStored when there are orders and no policy.
    """
    orders = load_open(conn)
    if not orders:
        return {}
    return open_book(conn, fleet, orders, now).held()


def open_book(conn: Connection, fleet: Fleet, orders: Mapping[OrderId, WorkOrder], now: datetime) -> RequestBook:
    """Where these orders stand at `now`, with updates left aside. Raises NotStored when there is no policy."""
    return RequestBook(
        basis=Basis(fleet, inventory.load_policy(conn), FleetPending(nodes={}, devices={}), Decisions(fleet, ())),
        record=OnRecord(now=now),
        orders=orders,
        words=load_words(conn),
    )


def _read(conn: Connection, query: Select[Any]) -> list[WorkOrder]:
    """The orders whose bodies it selects; for who sees a part of the fleet, what it sees of them: whose an order is,
    stands in its body alone.
    """
    part = part_of(conn)
    if part is None:
        bodies = [row.body for row in ask(conn, query)] if query is _OPEN else conn.execute(query).scalars()
        return [_from_body(body) for body in bodies]
    tell = part.teller()
    seen = (cut_order(order, part, tell) for order in part.read(lambda whole: _read(whole, query)))
    return [order for order in seen if order is not None]


@lru_cache(maxsize=ORDERS_KNOWN)
def _from_body(body: str) -> WorkOrder:
    return from_json(WorkOrder, body)


def _order_row(order: WorkOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "supercomputer": order.supercomputer,
        "kind": order.kind.value,
        "opened_at": order.opened.at,
        "ended_at": order.ended.said.at if order.ended else None,
        "body": to_json(order).decode(),
    }


def _word_row(word: OrderWord) -> dict[str, Any]:
    return {
        "id": word.id,
        "request": word.request,
        "incarnation": word.incarnation,
        "orders": sorted(word.orders),
        "scope_level": word.scope.level.value,
        "scope_name": word.scope.name,
        "word": word.word.value,
        "actor": word.actor,
        "at": word.at,
        "reason": word.reason,
        "until": word.until,
    }


def _to_word(row: Any) -> OrderWord:
    return OrderWord(
        seq=row.seq,
        id=row.id,
        request=RequestId(row.request),
        incarnation=row.incarnation,
        orders=frozenset(OrderId(name) for name in row.orders),
        scope=Scope(level=ScopeLevel(row.scope_level), name=row.scope_name),
        word=Word(row.word),
        actor=row.actor,
        at=row.at,
        reason=row.reason,
        until=row.until,
    )
