"""What the store knows of requests beside what they ask for, and the journal of their states."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from fermata.domain.fleet import Fleet
from fermata.domain.flights import Flight, Undone, find_flights
from fermata.domain.freshness import StaleSource
from fermata.domain.ids import CustomerId, OrderId, RequestId
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.request_basis import Basis, found_basis
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import OnRecord, Standing, say_silent
from fermata.domain.request_states import ENDED, Evidence, RequestState, find_path
from fermata.domain.requests import Request
from fermata.domain.updates import Catalogue
from fermata.domain.work_orders import OrderWord, WorkOrder, how_ended
from fermata.services.request_basis import read_told, units_to_come
from fermata.store import journal, unit_ops, work_orders
from fermata.store import requests as request_store
from fermata.store.database import Connection
from fermata.store.flights import load_undone
from fermata.store.inventory_sources import stale_sources
from fermata.store.requests import SeenState

ACTOR = "fermata"  # who moves a request when time passes or work goes on: no person does


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What pending work and requests follow from. What files do not tell is empty: they remember no incarnation, no
    work order and no plan in force. `scheduled`: nodes and devices with a time to come; `in_work`: nodes under way;
    `undone`: flights that were rolled back; `stale`: sources of inventory whose last word is too old.
    """

    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    ledger: tuple[ConsentEntry, ...]
    stored: Mapping[RequestId, Request] = field(default_factory=dict)
    orders: Mapping[OrderId, WorkOrder] = field(default_factory=dict)
    words: tuple[OrderWord, ...] = ()
    seen: Mapping[RequestId, SeenState] = field(default_factory=dict)
    scheduled: frozenset[str] = frozenset()
    in_work: frozenset[str] = frozenset()
    undone: Undone = field(default_factory=dict)
    stale: tuple[StaleSource, ...] = ()
    known: Basis | None = None

    @cached_property
    def flights(self) -> tuple[Flight, ...]:
        """Every flight that is approved somewhere."""
        return find_flights(self.fleet, self.catalogue, self.policy, self.ledger, self.undone)

    @cached_property
    def basis(self) -> Basis:
        """What pending work and requests follow from: as remembered of the store, if it is."""
        return self.known or found_basis(self.fleet, self.catalogue, self.policy, self.ledger)

    def list_requests(self) -> tuple[Request, ...]:
        """Every request by its id, those with nothing left included."""
        return self.basis.requests(self.stored, self.orders.values())

    def open_book(self, now: datetime, ends: Mapping[RequestId, RequestState] | None = None) -> RequestBook:
        """Where all of it stands at `now`. `ends`: how those came to their end that were found to have nothing left."""
        return RequestBook(
            basis=self.basis,
            record=OnRecord(
                now=now,
                scheduled=self.scheduled,
                in_work=self.in_work,
                notified={name: seen.notified_at for name, seen in self.seen.items() if seen.notified_at is not None},
                ended={**self._ended(), **(ends or {})},
            ),
            orders=self.orders,
            words=self.words,
        )

    def _ended(self) -> Mapping[RequestId, RequestState]:
        found = {name: seen.state for name, seen in self.seen.items() if seen.state in ENDED}
        by_request: dict[RequestId, list[WorkOrder]] = {}
        for order in self.orders.values():
            by_request.setdefault(order.request, []).append(order)
        return {**found, **{name: how_ended(orders) for name, orders in by_request.items()}}


def read_inputs_in(conn: Connection, now: datetime | None, fleet: Fleet | None = None) -> Inputs:
    """What the store holds at `now`; None: what is scheduled, under way and stale is not asked. `fleet`: if at hand.

    Raises NotStored before all inputs are imported.
    """
    told = read_told(conn, fleet)
    return Inputs(
        fleet=told.basis.fleet,
        catalogue=told.catalogue,
        policy=told.basis.policy,
        ledger=told.ledger,
        undone=load_undone(conn, told.ledger),
        stored=request_store.load_requests(conn),
        orders=work_orders.load_orders(conn),
        words=work_orders.load_words(conn),
        seen=request_store.load_states(conn),
        scheduled=units_to_come(conn, now) if now is not None else frozenset(),
        in_work=frozenset(unit_ops.nodes_in_work(conn)) if now is not None else frozenset(),
        stale=stale_sources(conn, now) if now is not None else (),
        known=told.basis,
    )


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A request that was found in another state than it was last seen in. `evidence`: of one that is overdue, what says
    since when and who is silent; None of all others. `own`: the same of each customer's part, where several share it.
    """

    request: Request
    before: SeenState | None
    after: SeenState
    standing: Standing
    evidence: Evidence | None = None
    own: Mapping[CustomerId, Evidence] = field(default_factory=dict)


def find_moved(
    book: RequestBook, seen: Mapping[RequestId, SeenState], requests: Iterable[Request]
) -> tuple[Moved, ...]:
    """Those whose state differs from what was recorded, and overdue ones for which another customer's time to choose
    is over since.
    """
    moved = []
    for request in requests:
        before, standing = seen.get(request.id), book.stand(request)
        evidence = book.weigh(request) if standing.state is RequestState.OVERDUE else None
        if before is not None and before.state is standing.state and not _is_over_for_more(evidence, before, book):
            continue
        told = before.notified_at if before is not None and standing.state not in ENDED else None
        after = SeenState(state=standing.state, since=book.record.now, notified_at=told)
        silent = [customer for customer, _ in evidence.ends] if evidence is not None else []
        own = {name: book.weigh(request, name) for name in silent} if len(request.customers) > 1 else {}
        moved.append(Moved(request=request, before=before, after=after, standing=standing, evidence=evidence, own=own))
    return tuple(moved)


def _is_over_for_more(evidence: Evidence | None, before: SeenState, book: RequestBook) -> bool:
    ends = evidence.ends if evidence is not None else ()
    return any(before.since < at <= book.record.now for _, at in ends)


def record_moved(conn: Connection, moved: Iterable[Moved], *, actor: str, now: datetime) -> None:
    """Writes the states and, for each, a line in the journal: how it came there, why, and who has to act. That a new
    one is pending is told by the line about its content.
    """
    found = tuple(moved)
    request_store.save_states(conn, {each.request.id: each.after for each in found})
    told = (each for each in found if each.before is not None or each.after.state is not RequestState.PENDING)
    journal.append_many(conn, [_entry(each, actor, now) for each in told])


def find_ends(
    before: Mapping[RequestId, Request], after: Iterable[Request], catalogue: Catalogue
) -> Mapping[RequestId, RequestState]:
    """How those deployments ended of which nothing is left: done, if an update that they asked for is in the catalogue
    still and due nowhere any more; else what they asked for was taken back.
    """
    ready = {update.id for update in catalogue.production_ready}
    found: dict[RequestId, RequestState] = {}
    for request in after:
        earlier = before.get(request.id)
        if request.kind is RequestKind.DEPLOYMENT and earlier is not None and earlier.items and not request.items:
            is_done = any(item.update in ready for item in earlier.items)
            found[request.id] = RequestState.COMPLETED if is_done else RequestState.CANCELLED
    return found


def _entry(moved: Moved, actor: str, now: datetime) -> journal.Entry:
    before = moved.before.state if moved.before is not None else RequestState.PENDING
    standing = moved.standing
    return journal.Entry(
        at=now,
        actor=actor,
        event=f"request.{standing.state}",
        subject=f"request:{moved.request.id}",
        why=standing.why.sentence,
        data={
            "kind": moved.request.kind.value,
            "incarnation": moved.request.incarnation,
            "from": before.value if moved.before is not None else None,
            "moves": [event.value for event in find_path(before, standing.state)],
            "code": standing.why.code.value,
            "needed": standing.needed.value,
            "who": list(standing.who),
            "approvers": list(standing.approvers),
            **(_say_overdue(moved.evidence, moved.own, now) if moved.evidence is not None else {}),
        },
    )


def _say_overdue(evidence: Evidence, own: Mapping[CustomerId, Evidence], now: datetime) -> Mapping[str, Any]:
    """What notices of it are made from: since when, and the customers whose word is missing although their time to
    choose is over, also where their own policy lets it proceed. Where several share it, `own` says that of each part.
    """
    assert evidence.due_at is not None, "what nobody was told of is never overdue"
    ends = [(customer, at) for customer, at in evidence.ends if at <= now]
    silent = sorted(customer for customer, _ in ends)
    parts = {
        name: {"due_at": at.isoformat(), "why": say_silent(own[name]).sentence} for name, at in ends if name in own
    }
    return {"due_at": evidence.due_at.isoformat(), "silent": silent, **({"own": parts} if parts else {})}
