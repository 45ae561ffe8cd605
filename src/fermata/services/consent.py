"""Operator verbs of consent: approve and withdraw, singly or in bulk. One transaction, whole or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.consent import Decisions
from fermata.domain.fleet import Node
from fermata.domain.ids import ApprovalId, NodeId, RequestId
from fermata.domain.pending import find_pending
from fermata.domain.policy import ConsentEntry, Policy, Scope, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import Request, nodes_concerned, request_id
from fermata.domain.scopes import Scopes, is_as_wide
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.errors import Refusal, refusing_unknown, shorten
from fermata.store import consent as consent_store
from fermata.store import inventory, journal
from fermata.store import requests as request_store
from fermata.store.database import Connection, Database
from fermata.store.unit_ops import nodes_in_work

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One word on one scope. `seen` is the incarnation that was looked at; None takes the current one. `at` (UTC) is
    when the word was given; None is when it is recorded.

    `actor` None lets the customer's first approver speak: for a machine of one's own, there is no sign-in yet.
    """

    scope: Scope
    verdict: Verdict
    actor: str | None = None
    reason: str = ""
    seen: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came of an order: the ledger entry it added, or None when its scope stood so already."""

    order: Order
    nodes: int
    entry: ConsentEntry | None


def approve(db: Database, scope: Scope, *, now: datetime, actor: str | None, new_id: NewId, why: str = "") -> Said:
    """Approves everything the request holds now, on `scope`; see `decide`."""
    order = Order(scope=scope, verdict=Verdict.APPROVED, actor=actor, reason=why)
    return decide(db, [order], now=now, new_id=new_id)[0]


def withdraw(db: Database, scope: Scope, *, now: datetime, actor: str | None, new_id: NewId, why: str = "") -> Said:
    """Takes back the approval of `scope`, as long as no work has started there; see `decide`."""
    order = Order(scope=scope, verdict=Verdict.WITHDRAWN, actor=actor, reason=why)
    return decide(db, [order], now=now, new_id=new_id)[0]


def decide(db: Database, orders: Sequence[Order], *, now: datetime, new_id: NewId) -> tuple[Said, ...]:
    """Carries out all orders, in their order, or none. An order that changes nothing is reported, not refused.

    Raises Refusal with every reason found: scope unknown or ambiguous, nothing pending there, not an approver,
    request changed since it was seen, work started.
    """
    with refusing_unknown(), db.begin() as conn:
        desk = _open_desk(conn)
        told: list[Said] = []
        refused: list[Reason] = []
        for order in orders:
            answer = _judge(desk, order)
            if isinstance(answer, Reason):
                refused.append(answer)
            else:
                told.append(_say(desk, answer, now=now, new_id=new_id))
        if refused:
            raise Refusal(*refused)
        return _store(conn, told, now)


@dataclass(kw_only=True)
class _Desk:
    """What every order is judged by. `decisions` and `seq` move on with each entry."""

    scopes: Scopes
    policy: Policy
    requests: dict[RequestId, Request]
    concerned: frozenset[NodeId]
    in_work: frozenset[NodeId]
    decisions: Decisions
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    order: Order
    actor: str
    request: Request
    nodes: tuple[Node, ...]


def _open_desk(conn: Connection) -> _Desk:
    fleet = inventory.load_fleet(conn)
    ledger = consent_store.load_ledger(conn)
    return _Desk(
        scopes=Scopes(fleet=fleet),
        policy=inventory.load_policy(conn),
        requests=request_store.load_requests(conn),
        concerned=nodes_concerned(fleet, find_pending(fleet, inventory.load_catalogue(conn))),
        in_work=nodes_in_work(conn),
        decisions=Decisions(fleet, ledger),
        seq=ledger[-1].seq if ledger else 0,
    )


def _judge(desk: _Desk, order: Order) -> Reason | _Heard:
    wrong = judge_scope(desk.scopes, order.scope)
    if wrong is not None:
        return wrong
    nodes = desk.scopes.nodes(order.scope)
    (supercomputer,) = desk.scopes.supercomputers(order.scope)
    request = desk.requests.get(request_id(supercomputer))
    if request is None or not any(node.name in desk.concerned for node in nodes):
        return reason(Code.NOTHING_PENDING, scope=order.scope)
    actor = find_approver(desk.policy, desk.scopes.customers(order.scope), order.actor)
    if isinstance(actor, Reason):
        return actor
    if order.seen is not None and order.seen != request.incarnation:
        return reason(Code.REQUEST_CHANGED, request=request.id, current=request.incarnation, seen=order.seen)
    started = sorted(node.name for node in nodes if node.name in desk.in_work)
    if order.verdict is Verdict.WITHDRAWN and started:
        return reason(Code.WORK_STARTED, nodes=shorten(started))
    return _Heard(order=order, actor=actor, request=request, nodes=nodes)


def _say(desk: _Desk, heard: _Heard, *, now: datetime, new_id: NewId) -> Said:
    order = heard.order
    if _stands_already(desk, heard):
        return Said(order=order, nodes=len(heard.nodes), entry=None)
    desk.seq += 1
    entry = ConsentEntry(
        seq=desk.seq,
        id=ApprovalId(new_id("apr")),
        request=heard.request.id,
        incarnation=heard.request.incarnation,
        updates=heard.request.updates,
        scope=order.scope,
        verdict=order.verdict,
        actor=heard.actor,
        at=order.at or now,
        reason=order.reason,
    )
    desk.decisions.add(entry)
    return Said(order=order, nodes=len(heard.nodes), entry=entry)


def _stands_already(desk: _Desk, heard: _Heard) -> bool:
    """True when the order would not change what holds for any node, nor for nodes that join its scope later."""
    decided = [desk.decisions.entry(node) for node in heard.nodes]
    match heard.order.verdict:
        case Verdict.APPROVED:
            return all(
                entry is not None
                and entry.verdict is Verdict.APPROVED
                and entry.updates >= heard.request.updates
                and is_as_wide(entry.scope, heard.order.scope)
                for entry in decided
            )
        case Verdict.WITHDRAWN:
            return not any(entry is not None and entry.verdict is Verdict.APPROVED for entry in decided)


def _store(conn: Connection, told: Sequence[Said], now: datetime) -> tuple[Said, ...]:
    """Writes ledger and journal; what comes back carries the seqs that the ledger gave."""
    added = [said.entry for said in told if said.entry]
    seqs = iter(consent_store.append_entries(conn, added))
    journal.append_many(conn, [_journal_entry(entry, now) for entry in added])
    return tuple(replace(said, entry=replace(said.entry, seq=next(seqs))) if said.entry else said for said in told)


def _journal_entry(entry: ConsentEntry, now: datetime) -> journal.Entry:
    return journal.Entry(
        at=now,
        actor=entry.actor,
        event=f"consent.{entry.verdict}",
        subject=f"{entry.scope.level}:{entry.scope.name}",
        why=entry.reason,
        data={
            "id": entry.id,
            "request": entry.request,
            "incarnation": entry.incarnation,
            "updates": sorted(entry.updates),
        },
    )
