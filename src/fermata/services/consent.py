"""Operator verbs of consent: approve, withdraw, decline, offer another time. One order or thousands, in one go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Fleet
from fermata.domain.handed_over import end_words, end_words_on_joined, find_handed_over
from fermata.domain.order_handover import end_order_words
from fermata.domain.policy import ConsentEntry, Scope, Verdict
from fermata.domain.reasons import Reason
from fermata.domain.work_orders import OrderDesk, OrderWord, Places
from fermata.services.consent_desk import Desk, Order, open_desk
from fermata.services.errors import refuse_all, refusing_unknown
from fermata.store import consent as consent_store
from fermata.store import inventory, journal, work_orders
from fermata.store.consent_terms import write_terms
from fermata.store.database import Connection, Database

__all__ = ["Order", "Outcome", "OutcomeState", "Said", "approve", "decide", "decide_each", "decide_in", "withdraw"]

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of an order: the ledger entry it added, or None when its scope stood so already."""

    order: Order
    nodes: int
    entry: ConsentEntry | None


class OutcomeState(StrEnum):
    """What came of one order among others."""

    RECORDED = "recorded"
    STOOD = "stood"  # so already: nothing was added
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an order: `entry` when it was recorded, `refused` when it was not let through."""

    order: Order
    nodes: int = 0
    entry: ConsentEntry | None = None
    refused: Reason | None = None

    @property
    def state(self) -> OutcomeState:
        """In a word."""
        if self.refused is not None:
            return OutcomeState.REFUSED
        return OutcomeState.STOOD if self.entry is None else OutcomeState.RECORDED


def approve(db: Database, scope: Scope, *, now: datetime, actor: str | None, new_id: NewId, why: str = "") -> Said:
    """Approves everything the request holds now, on `scope`; see `decide`."""
    order = Order(scope=scope, verdict=Verdict.APPROVED, actor=actor, reason=why)
    return decide(db, [order], now=now, new_id=new_id)[0]


def withdraw(db: Database, scope: Scope, *, now: datetime, actor: str | None, new_id: NewId, why: str = "") -> Said:
    """Takes back what was said of `scope`, as long as no work has started there; see `decide`."""
    order = Order(scope=scope, verdict=Verdict.WITHDRAWN, actor=actor, reason=why)
    return decide(db, [order], now=now, new_id=new_id)[0]


def decide(
    db: Database, orders: Sequence[Order], *, now: datetime, new_id: NewId, since: int | None = None
) -> tuple[Said, ...]:
    """Carries out all orders, in their order, or none. An order that changes nothing is reported, not refused.

    `since`: the seq of the last word that was seen; None takes whatever was said. Raises Refusal with every reason
    found: scope unknown or ambiguous, nothing pending there, not an approver, request changed or spoken of since it was
    seen, terms that cannot be recorded, work started.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        refuse_all(desk.said_since(orders, since))
        outcomes = _judge_all(desk, orders, new_id)
        refuse_all(outcome.refused for outcome in outcomes if outcome.refused is not None)
        stored = _store(conn, outcomes, now)
    return tuple(Said(order=o.order, nodes=o.nodes, entry=o.entry) for o in stored)


def decide_each(
    db: Database, orders: Sequence[Order], *, now: datetime, new_id: NewId, since: int | None = None
) -> tuple[Outcome, ...]:
    """Carries out the orders that may be, in their order, and says of each what came of it. `since` as in `decide`.

    Raises Refusal with every reason found when no order may be: then nothing was changed.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = open_desk(conn, now)
        refuse_all(desk.said_since(orders, since))
        outcomes = _store(conn, _judge_all(desk, orders, new_id), now)
        refused = [outcome.refused for outcome in outcomes if outcome.refused is not None]
        if len(refused) == len(outcomes):
            refuse_all(refused)
        return outcomes


def decide_in(conn: Connection, orders: Sequence[Order], *, now: datetime, new_id: NewId) -> tuple[Outcome, ...]:
    """Records the orders that may be, in their order, beside whatever else the transaction holds, and says of each what
    came of it. Raises NotStored before all is imported.
    """
    return _store(conn, _judge_all(open_desk(conn, now), orders, new_id), now) if orders else ()


def _judge_all(desk: Desk, orders: Sequence[Order], new_id: NewId) -> list[Outcome]:
    told = []
    for order in orders:
        answer = desk.judge(order)
        if isinstance(answer, Reason):
            told.append(Outcome(order=order, refused=answer))
        else:
            entry = None if answer.stands else desk.record(answer, new_id)
            told.append(Outcome(order=order, nodes=len(answer.nodes), entry=entry))
    return told


def _store(conn: Connection, outcomes: Sequence[Outcome], now: datetime) -> tuple[Outcome, ...]:
    """Writes ledger and journal; what comes back carries the seqs that the ledger gave."""
    seqs = iter(store_entries(conn, [o.entry for o in outcomes if o.entry is not None], now))
    told = []
    for outcome in outcomes:
        entry = outcome.entry
        if entry is not None and (seq := next(seqs)) != entry.seq:  # a database may leave numbers out
            told.append(replace(outcome, entry=replace(entry, seq=seq)))
        else:
            told.append(outcome)
    return tuple(told)


def store_entries(
    conn: Connection, entries: Sequence[ConsentEntry], now: datetime, *, answered_by: str | None = None
) -> tuple[int, ...]:
    """Adds entries with a line in the journal each; their seqs. `answered_by`: who answered a counter-offer."""
    seqs = consent_store.append_entries(conn, entries)
    journal.append_many(conn, (_journal_entry(entry, now, answered_by) for entry in entries))
    return seqs


def end_words_of_others(conn: Connection, before: Fleet, after: Fleet, *, now: datetime, actor: str) -> None:
    """What was said of nodes by whoever held them before ends as they change hands, and so does what others said of a
    place that they come to. Words on work orders likewise.
    """
    handed = find_handed_over(before, after)
    if handed:
        ledger = consent_store.load_ledger(conn)
        store_entries(conn, tuple(end_words(before, handed, ledger, now=now, actor=actor)), now)
    moved = any(
        name not in before.nodes or (before.nodes[name].cluster, before.nodes[name].rack) != (node.cluster, node.rack)
        for name, node in after.nodes.items()
    )
    if not moved and not handed:
        return
    ledger, words = consent_store.load_ledger(conn), work_orders.load_words(conn)
    if not ledger and not words:
        return
    policy = inventory.load_policy(conn)
    store_entries(conn, tuple(end_words_on_joined(before, after, ledger, policy, now=now, actor=actor)), now)
    was, is_now = (OrderDesk(places=Places(fleet), policy=policy, words=words) for fleet in (before, after))
    orders = work_orders.load_open(conn).values() if words else ()
    store_words(conn, tuple(end_order_words(was, is_now, orders, now=now, actor=actor)), now)


def store_words(conn: Connection, words: Sequence[OrderWord], now: datetime) -> tuple[int, ...]:
    """Adds words on work orders with a line in the journal each; their seqs."""
    seqs = work_orders.append_words(conn, words)
    journal.append_many(conn, [_word_entry(word, now) for word in words])
    return seqs


def _word_entry(word: OrderWord, now: datetime) -> journal.Entry:
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


def _journal_entry(entry: ConsentEntry, now: datetime, answered_by: str | None) -> journal.Entry:
    data = {
        "id": entry.id,
        "request": entry.request,
        "incarnation": entry.incarnation,
        "updates": sorted(entry.updates),
        **(write_terms(entry) or {}),
    }
    return journal.Entry(
        at=now,
        actor=answered_by or entry.actor,
        event=f"consent.{entry.verdict}",
        subject=f"{entry.scope.level}:{entry.scope.name}",
        why=entry.reason,
        data=data,
    )
