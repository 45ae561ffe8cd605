"""The outbox: notices, their deliveries, and since when customers know. Written with the change that they tell of."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from fermata.domain.deliveries import MOVES, OPEN, DeliveryState
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, UpdateId
from fermata.domain.notices import ASKING, ENDING, OF_INCIDENTS, Audience, Notice, NoticeKind
from fermata.domain.notified import Notified
from fermata.domain.updates import Impact
from fermata.store.bulk import NAMES_PER_STATEMENT, insert_rows
from fermata.store.parts import part_of, tell_each
from fermata.store.schema import Json, Sequence64, UtcTime, metadata
from fermata.store.tenancy.owners import SOMEBODY

DELIVERIES_MAX = 10_000  # of one read
_NO_WORDS = frozenset({"audience", "clusters", "end", "key", "severity", "start", "state", "window"})  # of facts

notice = Table(
    "notice",
    metadata,
    Column("seq", Sequence64, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("supercomputer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("facts", Json, nullable=False),
    Index("ix_notice_customer", "customer", "seq"),
    Index("ix_notice_subject", "subject", "seq"),
    sqlite_autoincrement=True,
)
delivery = Table(
    "delivery",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("notice", Sequence64, ForeignKey("notice.seq"), nullable=False),
    Column("subscription", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("first_at", UtcTime, nullable=True),
    Column("next_at", UtcTime, nullable=True),
    Column("delivered_at", UtcTime, nullable=True),
    Column("lock", String, nullable=True),
    Column("why", Text, nullable=False),
    Index("ix_delivery_state", "state", "subscription", "thread", "id"),
    Index("ix_delivery_notice", "notice"),
    sqlite_autoincrement=True,
)
notified = Table(
    "notified",
    metadata,
    Column("customer", String, primary_key=True),
    Column("supercomputer", String, primary_key=True),
    Column("update", String, primary_key=True),
    Column("impact", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice on its way to one subscription. `attempt` counts tries begun. `next_at`: when it is tried next or, while
    a try is on, when it counts as lost. `lock` names the receipt of one that was fetched.
    """

    id: int
    subscription: SubscriptionId
    state: DeliveryState
    attempt: int
    first_at: datetime | None
    next_at: datetime | None
    delivered_at: datetime | None
    lock: str | None
    why: str
    notice: Notice


def add_notice(conn: Connection, told: Notice) -> int:
    """Adds one and returns the seq it got."""
    result = conn.execute(insert(notice).values(_to_row(told)))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def add_deliveries(conn: Connection, told: Notice, subscriptions: Iterable[SubscriptionId], at: datetime) -> None:
    """One to each subscription, to be tried from `at` on. `told` is stored."""
    rows = [
        {
            "notice": told.seq,
            "subscription": name,
            "thread": told.thread,
            "state": DeliveryState.PENDING.value,
            "attempt": 0,
            "next_at": at,
            "why": "",
        }
        for name in subscriptions
    ]
    insert_rows(conn, delivery, rows)


def add_notified(conn: Connection, known: Iterable[Notified]) -> None:
    """What customers know from now on; what they knew already keeps its time."""
    told = {(n.customer, n.supercomputer, n.update, n.impact): n for n in known}
    homes = {each.supercomputer for each in told.values()}
    there = {(n.customer, n.supercomputer, n.update, n.impact) for n in load_notified(conn, homes)}
    rows = [
        {
            "customer": each.customer,
            "supercomputer": each.supercomputer,
            "update": each.update,
            "impact": each.impact.value,
            "at": each.at,
        }
        for key, each in told.items()
        if key not in there
    ]
    insert_rows(conn, notified, rows)


def count_notified(conn: Connection) -> int:
    """How much customers know: it grows with all that they learn."""
    return conn.execute(select(func.count()).select_from(notified)).scalar_one()


def load_notified(conn: Connection, supercomputers: Collection[SupercomputerId] | None = None) -> tuple[Notified, ...]:
    """Everything that customers know, since when; of those supercomputers, if any are named."""
    query = select(notified).order_by(*notified.primary_key.columns)
    if supercomputers is not None:
        query = query.where(notified.c.supercomputer.in_(sorted(supercomputers)))
    return tuple(
        Notified(
            customer=CustomerId(row.customer),
            supercomputer=SupercomputerId(row.supercomputer),
            update=UpdateId(row.update),
            impact=Impact(row.impact),
            at=row.at,
        )
        for row in conn.execute(query)
    )


def due_deliveries(
    conn: Connection, now: datetime, limit: int, subscriptions: Collection[SubscriptionId]
) -> tuple[Delivery, ...]:
    """The first of each line to these subscriptions, if its time has come, oldest first. Who stands behind another in a
    line waits.
    """
    heads = (
        select(func.min(delivery.c.id))
        .where(delivery.c.state.in_(_values(OPEN)), delivery.c.subscription.in_(sorted(subscriptions)))
        .group_by(delivery.c.subscription, delivery.c.thread)
    )
    query = _joined().where(delivery.c.id.in_(heads), delivery.c.next_at <= now).order_by(delivery.c.id).limit(limit)
    return tuple(_to_delivery(row) for row in conn.execute(query))


def open_deliveries(conn: Connection, subscription: SubscriptionId, limit: int) -> tuple[Delivery, ...]:
    """What is still to come to a subscription, in the order of its lines."""
    query = (
        _joined()
        .where(delivery.c.subscription == subscription, delivery.c.state.in_(_values(OPEN)))
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return tuple(_to_delivery(row) for row in conn.execute(query))


def count_open(conn: Connection, subscription: SubscriptionId) -> int:
    """How many are still to come to a subscription."""
    query = select(func.count()).where(delivery.c.subscription == subscription, delivery.c.state.in_(_values(OPEN)))
    return int(conn.execute(query).scalar_one())


def move_delivery(
    conn: Connection,
    moved: Delivery,
    state: DeliveryState,
    **changed: Any,
) -> bool:
    """Moves a delivery from where it was read; False when it has moved since, and nothing was changed."""
    assert state in MOVES[moved.state], f"{moved.state} -> {state}"
    found = conn.execute(
        update(delivery)
        .where(
            delivery.c.id == moved.id,
            delivery.c.state == moved.state.value,
            delivery.c.attempt == moved.attempt,
        )
        .values(state=state.value, **changed)
    )
    return found.rowcount == 1


def end_deliveries(conn: Connection, subscription: SubscriptionId, state: DeliveryState, why: str) -> None:
    """Everything still to come to a subscription ends in `state`."""
    conn.execute(
        update(delivery)
        .where(delivery.c.subscription == subscription, delivery.c.state.in_(_values(OPEN)))
        .values(state=state.value, next_at=None, why=why)
    )


def find_notice(conn: Connection, seq: int) -> Notice | None:
    """One notice, or None."""
    row = conn.execute(select(notice).where(notice.c.seq == seq)).one_or_none()
    return None if row is None else _seen(conn, [_to_notice(row)])[0]


def find_last(conn: Connection, like: Notice) -> Notice | None:
    """The last notice of the same kind, of the same subject, to the same customer; None when there is none."""
    same = (notice.c.customer == like.customer, notice.c.subject == like.subject, notice.c.kind == like.kind.value)
    row = conn.execute(select(notice).where(*same).order_by(notice.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _to_notice(row)


def latest_notice(conn: Connection) -> int:
    """The greatest seq there is, 0 when there is none."""
    return int(conn.execute(select(func.coalesce(func.max(notice.c.seq), 0))).scalar_one())


def notices_after(conn: Connection, seq: int) -> tuple[Notice, ...]:
    """Those that were written after it, in their order."""
    found = conn.execute(select(notice).where(notice.c.seq > seq).order_by(notice.c.seq).limit(DELIVERIES_MAX))
    return tuple(_to_notice(row) for row in found)


def list_notices(
    conn: Connection, *, customers: Collection[CustomerId] = (), before: int | None = None, limit: int = 100
) -> tuple[Notice, ...]:
    """The newest first, of these customers (none named: of all), older than seq `before`."""
    query = select(notice).order_by(notice.c.seq.desc()).limit(min(limit, DELIVERIES_MAX))
    if customers:
        query = query.where(notice.c.customer.in_(sorted(customers)))
    if before is not None:
        query = query.where(notice.c.seq < before)
    return _seen(conn, [_to_notice(row) for row in conn.execute(query)])


def list_deliveries(
    conn: Connection, *, notices: Sequence[int] | None = None, states: Collection[DeliveryState] = (), limit: int = 1000
) -> tuple[Delivery, ...]:
    """Deliveries of these notices, or of all, in one of these states, or in any; by notice, then subscription."""
    query = _joined().order_by(delivery.c.notice, delivery.c.subscription, delivery.c.id)
    if notices is not None:
        query = query.where(delivery.c.notice.in_(notices))
    if states:
        query = query.where(delivery.c.state.in_(_values(states)))
    found = [_to_delivery(row) for row in conn.execute(query.limit(min(limit, DELIVERIES_MAX)))]
    seen = _seen(conn, [each.notice for each in found])
    return tuple(replace(each, notice=notice) for each, notice in zip(found, seen, strict=True))


def latest_asking(conn: Connection) -> tuple[Notice, ...]:
    """The last notice of every request to each of its customers; of one that was closed since, there is none."""
    last = select(func.max(notice.c.seq)).where(notice.c.kind.in_(_OF_REQUESTS))
    last = last.group_by(notice.c.customer, notice.c.subject)
    found = conn.execute(select(notice).where(notice.c.seq.in_(last)).order_by(notice.c.seq))
    return _seen(conn, [each for each in (_to_notice(row) for row in found) if each.kind in ASKING])


def open_incidents(conn: Connection, prefix: str = "") -> tuple[Notice, ...]:
    """The last notice of every incident that is not closed, to each of its customers; of those whose key begins so."""
    begins = f"incident:{prefix}"
    last = select(func.max(notice.c.seq)).where(notice.c.subject >= begins, notice.c.subject < begins[:-1] + ";")
    last = last.where(notice.c.kind.in_(_values(OF_INCIDENTS)))
    last = last.group_by(notice.c.customer, notice.c.subject)
    is_open = notice.c.kind.not_in(_values(ENDING))
    found = conn.execute(select(notice).where(notice.c.seq.in_(last), is_open).order_by(notice.c.seq))
    return _seen(conn, [_to_notice(row) for row in found])


def _seen(conn: Connection, found: Sequence[Notice]) -> tuple[Notice, ...]:
    """As who sees a part of the fleet reads them: what was said to those who do the work is not told."""
    part = part_of(conn)
    if part is None:
        return tuple(found)
    whole, tell = part.read(lambda everything: _facts(everything, [each.seq for each in found])), part.teller()
    return tuple(replace(each, facts=tell_each(_for_customers(whole[each.seq]), tell)) for each in found)


def _facts(conn: Connection, seqs: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for start in range(0, len(seqs), NAMES_PER_STATEMENT):
        chunk = select(notice.c.seq, notice.c.facts).where(notice.c.seq.in_(seqs[start : start + NAMES_PER_STATEMENT]))
        found |= {row.seq: row.facts for row in conn.execute(chunk)}
    return found


def _for_customers(facts: Mapping[str, Any]) -> dict[str, Any]:
    if facts.get("audience") != Audience.CREW:
        return dict(facts)
    own = {key: value for key, value in facts.items() if key in _NO_WORDS or isinstance(value, int | float)}
    return {**own, "subject": SOMEBODY, "text": SOMEBODY}


_OF_REQUESTS = sorted(kind.value for kind in (*ASKING, NoticeKind.REQUEST_CLOSED))


def _joined() -> Select[Any]:
    named = [column.label(f"notice_{column.name}") for column in notice.c]
    return select(delivery, *named).join(notice, delivery.c.notice == notice.c.seq)


def _values(kinds: Iterable[DeliveryState] | Iterable[NoticeKind]) -> list[str]:
    return sorted(kind.value for kind in kinds)


def _to_row(told: Notice) -> dict[str, Any]:
    return {
        "at": told.at,
        "kind": told.kind.value,
        "customer": told.customer,
        "supercomputer": told.supercomputer,
        "subject": told.subject,
        "actor": told.actor,
        "why": told.why,
        "facts": dict(told.facts),
    }


def _to_notice(row: Row[Any], prefix: str = "") -> Notice:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    return Notice(
        seq=found[f"{prefix}seq"],
        at=found[f"{prefix}at"],
        kind=NoticeKind(found[f"{prefix}kind"]),
        customer=CustomerId(found[f"{prefix}customer"]),
        supercomputer=SupercomputerId(found[f"{prefix}supercomputer"]),
        subject=found[f"{prefix}subject"],
        actor=found[f"{prefix}actor"],
        why=found[f"{prefix}why"],
        facts=found[f"{prefix}facts"],
    )


def _to_delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        subscription=SubscriptionId(row.subscription),
        state=DeliveryState(row.state),
        attempt=row.attempt,
        first_at=row.first_at,
        next_at=row.next_at,
        delivered_at=row.delivered_at,
        lock=row.lock,
        why=row.why,
        notice=_to_notice(row, "notice_"),
    )
