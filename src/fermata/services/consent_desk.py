"""What every order of consent is judged by: read once for a call, however many orders it carries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from fermata.domain.fleet import Node
from fermata.domain.hearing import notice_over
from fermata.domain.ids import ApprovalId, CustomerId, NodeId, RequestId, SupercomputerId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.notified import NotifiedTimes
from fermata.domain.order_scopes import judge_companions, judge_flight
from fermata.domain.orders import NO_TERMS, Asked, Spoken, Terms, find_spoken, is_naive, judge_terms, names_flight
from fermata.domain.policy import NO_CONDITIONS, ConsentEntry, Policy, Scope, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import Request, RequestItem, empty_request, nodes_concerned, request_id
from fermata.domain.scopes import Scopes, is_as_wide
from fermata.domain.updates import Update
from fermata.services.approvers import find_approver, judge_scope
from fermata.services.errors import shorten
from fermata.services.request_basis import read_told
from fermata.store import requests as request_store
from fermata.store.database import Connection
from fermata.store.unit_ops import nodes_in_work

NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One word on one scope. `seen` is the incarnation that was looked at; None takes the current one. `at` (UTC) is
    when the word was given; None is when it is recorded.

    `actor` None lets the customer's first approver speak: for a machine of one's own, where nobody signs in.
    """

    scope: Scope
    verdict: Verdict
    actor: str | None = None
    reason: str = ""
    seen: int | None = None
    at: datetime | None = None
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An order that may be recorded. `stands`: it would not change what holds."""

    order: Order
    actor: str
    request: Request
    nodes: tuple[Node, ...]
    spoken: Spoken
    stands: bool


@dataclass(kw_only=True)
class Desk:
    """`decisions` and `seq` move on with each entry."""

    scopes: Scopes
    policy: Policy
    updates: Mapping[UpdateId, Update]
    requests: Mapping[RequestId, Request]
    concerned: frozenset[NodeId]
    in_work: frozenset[NodeId]
    ledger: list[ConsentEntry]
    decisions: Decisions
    seq: int
    now: datetime
    _asked: dict[SupercomputerId, Asked | None] = field(default_factory=dict)
    _approvers: dict[tuple[tuple[CustomerId, ...], str | None], str | Reason] = field(default_factory=dict)

    def said_since(self, orders: Sequence[Order], since: int | None) -> Iterator[Reason]:
        """What was said of the orders' requests after the word `since`, which was the last that was seen: a reason for
        each request, with the newest word; nothing when `since` is None.
        """
        if since is None:
            return
        asked = {request_id(name) for order in orders for name in self.scopes.supercomputers(order.scope)}
        later: dict[RequestId, list[ConsentEntry]] = {}
        for entry in self.ledger:
            if entry.seq > since and entry.request in asked:
                later.setdefault(entry.request, []).append(entry)
        for name, entries in sorted(later.items()):
            yield say_since(name, [(e.actor, e.verdict, e.scope, e.at) for e in entries])

    def judge(self, order: Order) -> Reason | Heard:
        """Why the order is refused, or what it says."""
        wrong = judge_scope(self.scopes, order.scope)
        if wrong is not None:
            return wrong
        nodes = self.scopes.nodes(order.scope)
        (supercomputer,) = self.scopes.supercomputers(order.scope)
        if names_flight(order.terms, self.updates):
            self._ask_of_flights(supercomputer, order.scope)
        elif not any(node.name in self.concerned for node in nodes):
            return reason(Code.NOTHING_PENDING, scope=order.scope)
        asked = self._ask(supercomputer)
        if asked is None:
            return reason(Code.NOTHING_PENDING, scope=order.scope)
        actor = self._approver(self.scopes.customers(order.scope), order.actor)
        if isinstance(actor, Reason):
            return actor
        request = self.requests[asked.request]
        return self._judge_word(order, asked, request, nodes) or self._hear(order, actor, asked, request, nodes)

    def _judge_word(self, order: Order, asked: Asked, request: Request, nodes: tuple[Node, ...]) -> Reason | None:
        if is_naive(order.at):
            return reason(Code.TIME_WITHOUT_ZONE, member="at", time=order.at)
        if order.seen is not None and order.seen != request.incarnation:
            return reason(Code.REQUEST_CHANGED, request=request.id, current=request.incarnation, seen=order.seen)
        wrong = judge_terms(order.scope, order.terms, order.verdict, order.reason, asked)
        if wrong is not None:
            return wrong
        takes_back = order.verdict is not Verdict.APPROVED or bool(order.terms.without or order.terms.conditions)
        if takes_back and self.in_work:
            started = sorted(node.name for node in nodes if node.name in self.in_work)
            if started:
                return reason(Code.WORK_STARTED, nodes=shorten(started))
        if order.terms is NO_TERMS:
            return None
        return self._judge_companions(order)

    def _hear(
        self, order: Order, actor: str, asked: Asked, request: Request, nodes: tuple[Node, ...]
    ) -> Heard | Reason:
        spoken = find_spoken(order.terms, order.verdict, asked)
        if spoken.flight is not None and order.verdict is Verdict.APPROVED:
            wanted = self._make_entry(order, actor, request, spoken, ApprovalId(""))
            wrong = judge_flight(self.scopes, self.policy, self.updates, self.ledger, wanted)
            if wrong is not None:
                return wrong
        stands = self._stands_already(order, spoken, nodes)
        return Heard(order=order, actor=actor, request=request, nodes=nodes, spoken=spoken, stands=stands)

    def record(self, heard: Heard, new_id: NewId) -> ConsentEntry:
        """The entry that the order adds; later orders of the same call are judged with it."""
        self.seq += 1
        entry = self._make_entry(heard.order, heard.actor, heard.request, heard.spoken, ApprovalId(new_id("apr")))
        self.decisions.add(entry)
        self.ledger.append(entry)
        return entry

    def _make_entry(
        self, order: Order, actor: str, request: Request, spoken: Spoken, entry_id: ApprovalId
    ) -> ConsentEntry:
        return ConsentEntry(
            seq=self.seq,
            id=entry_id,
            request=request.id,
            incarnation=request.incarnation,
            updates=spoken.updates,
            scope=order.scope,
            verdict=order.verdict,
            actor=actor,
            at=order.at or self.now,
            reason=order.reason,
            excluded=spoken.excluded,
            is_part=spoken.is_part,
            flight=spoken.flight,
            place=self.scopes.place(order.scope),
            conditions=order.terms.conditions or NO_CONDITIONS,
            until=order.terms.until,
            then=order.terms.then,
        )

    def _ask_of_flights(self, supercomputer: SupercomputerId, scope: Scope) -> None:
        """Where nothing was ever pending there is no request: a word on a flight is then on one that holds nothing."""
        name = request_id(supercomputer)
        if name not in self.requests:
            self.requests = {**self.requests, name: empty_request(supercomputer, self.scopes.customers(scope))}

    def _ask(self, supercomputer: SupercomputerId) -> Asked | None:
        """The request of a supercomputer; None when it has none."""
        if supercomputer not in self._asked:
            request = self.requests.get(request_id(supercomputer))
            self._asked[supercomputer] = None if request is None else self.about(request)
        return self._asked[supercomputer]

    def about(self, request: Request) -> Asked:
        """What the terms of an order are judged by."""
        return Asked(
            request=request.id,
            items=request.updates,
            due={item.update: self._choose_until(item, request) for item in request.items},
            updates=self.updates,
            now=self.now,
        )

    def _choose_until(self, item: RequestItem, request: Request) -> datetime:
        """When the time to choose is over, for the first of the request's customers. One that speaks before it was told
        knows of the item from now on.
        """
        update = self.updates.get(item.update)
        if update is None:
            return item.due_at
        clusters = (c for c in self.scopes.fleet.clusters.values() if c.supercomputer == request.supercomputer)
        ends = (notice_over(self.policy, self._told, update, cluster) for cluster in clusters)
        from_now = max(item.due_at, self.now + self.policy.promised(update))
        return min((from_now if at is None else at for at in ends), default=item.due_at)

    @cached_property
    def _told(self) -> NotifiedTimes:
        return NotifiedTimes(self.policy.notified or ())

    def _approver(self, customers: tuple[CustomerId, ...], actor: str | None) -> str | Reason:
        key = (customers, actor)
        if key not in self._approvers:
            self._approvers[key] = find_approver(self.policy, customers, actor)
        return self._approvers[key]

    def _judge_companions(self, order: Order) -> Reason | None:
        other = order.terms.conditions.with_scope if order.terms.conditions else None
        if other is None:
            return None
        return judge_scope(self.scopes, other) or judge_companions(self.scopes, order.scope, other)

    def _stands_already(self, order: Order, spoken: Spoken, nodes: tuple[Node, ...]) -> bool:
        """True when the order would not change what holds for any node, nor for nodes that join its scope later."""
        if order.terms is not NO_TERMS:
            return self._stands_exactly(order, spoken, nodes)
        decided = [self.decisions.standing(node) for node in nodes]
        match order.verdict:
            case Verdict.APPROVED:
                return all(standing and _is_given(standing, order.scope, spoken) for standing in decided)
            case Verdict.WITHDRAWN:
                is_open = any(e.verdict in _OPEN for standing in decided for e in standing)
                return not is_open and all(self._waits_for_a_word(node) for node in nodes)
            case _:
                return False

    def _waits_for_a_word(self, node: Node) -> bool:
        """False where silence lets work begin at its due date: who withdraws there says no more than nobody would."""
        if not self.policy.proceeds(self.scopes.fleet.clusters[node.cluster].customer):
            return True
        standing = self.decisions.standing(node)
        return bool(standing) and not standing[-1].is_part and all(e.verdict is Verdict.WITHDRAWN for e in standing)

    def _stands_exactly(self, order: Order, spoken: Spoken, nodes: tuple[Node, ...]) -> bool:
        """True when the newest word on every node says the same of the same items, on the same scope."""
        terms = order.terms
        said = (order.verdict, order.scope, terms.conditions or NO_CONDITIONS, terms.until, terms.then)

        def is_said(entry: ConsentEntry | None) -> bool:
            return entry is not None and (
                (entry.verdict, entry.scope, entry.conditions, entry.until, entry.then) == said
                and (entry.updates, entry.excluded, entry.is_part) == (spoken.updates, spoken.excluded, spoken.is_part)
            )

        return all(is_said(self.decisions.entry(node)) for node in nodes)


def _is_given(standing: tuple[ConsentEntry, ...], scope: Scope, spoken: Spoken) -> bool:
    """True when all of it is approved already, unconditionally and as widely; flights are another question."""
    *parts, whole = standing
    return (
        not whole.is_part
        and whole.verdict is Verdict.APPROVED
        and whole.updates >= spoken.updates
        and whole.conditions == NO_CONDITIONS
        and is_as_wide(whole.scope, scope)
        and all(part.flight is not None for part in parts)
    )


_OPEN = (Verdict.APPROVED, Verdict.OFFERED, Verdict.DECLINED)  # what a withdrawal takes back


def open_desk(conn: Connection, now: datetime) -> Desk:
    """Everything on record that orders are judged by."""
    told = read_told(conn)
    fleet, ledger = told.basis.fleet, told.ledger
    return Desk(
        scopes=Scopes(fleet=fleet),
        policy=told.basis.policy,
        updates=told.catalogue.updates,
        requests=request_store.load_requests(conn),
        concerned=nodes_concerned(fleet, told.basis.pending),
        in_work=nodes_in_work(conn),
        ledger=list(ledger),
        decisions=Decisions(fleet, ledger),
        seq=ledger[-1].seq if ledger else 0,
        now=now,
    )


def say_since(request: RequestId, words: Sequence[tuple[str, str, Scope, datetime]]) -> Reason:
    """That these words (who, what, of which part, when; oldest first) were said of a request after it was looked at."""
    (actor, verdict, scope, at), others = words[-1], len(words) - 1
    return reason(
        Code.SAID_MEANWHILE,
        request=request,
        actor=actor,
        verdict=verdict,
        scope=scope,
        at=f"{at:%Y-%m-%d %H:%MZ}",
        more=f", and {others:,} more word{'' if others == 1 else 's'} came" if others else "",
    )


def find_open_offers(ledger: Sequence[ConsentEntry]) -> dict[ApprovalId, ConsentEntry]:
    """Counter-offers that nobody answered, by id, oldest first."""
    answered = {entry.offer for entry in ledger if entry.offer is not None}
    return {e.id: e for e in ledger if e.verdict is Verdict.OFFERED and e.id not in answered}
