"""What the store knows of requests beside what they ask for, and the journal of their states."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.ids import OrderId, RequestId
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep, Plan, Window
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import OnRecord, Standing
from fermata.domain.request_states import ENDED, RequestState, find_path
from fermata.domain.requests import Request, build_requests
from fermata.domain.run_states import NOT_OPENED_YET
from fermata.domain.updates import Catalogue
from fermata.domain.work_orders import OrderWord, WorkOrder, how_ended
from fermata.services.observed import find_rows
from fermata.store import consent as consent_store
from fermata.store import inventory, journal, plans, unit_ops, work_orders
from fermata.store import requests as request_store
from fermata.store.database import Connection
from fermata.store.requests import SeenState

ACTOR = "fermata"  # who moves a request when time passes or work goes on: no person does


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What pending work and requests follow from. What files do not tell is empty: they remember no incarnation, no
    work order and no plan in force. `scheduled`: nodes and devices with a time to come; `in_work`: nodes under way.
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

    def list_requests(self, pending: FleetPending) -> tuple[Request, ...]:
        """Every request by its id, those with nothing left included. `pending`: what is due on the fleet."""
        return build_requests(self.fleet, pending, self.policy, self.stored, self.orders.values())

    def open_book(
        self, now: datetime, pending: FleetPending, ends: Mapping[RequestId, RequestState] | None = None
    ) -> RequestBook:
        """Where all of it stands at `now`. `ends`: how those came to their end that were found to have nothing left."""
        return RequestBook(
            fleet=self.fleet,
            policy=self.policy,
            pending=pending,
            ledger=self.ledger,
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
    """What the store holds at `now`; None: what is scheduled and under way is not asked. `fleet`: if it is at hand.

    Raises NotStored before all inputs are imported.
    """
    catalogue, policy = inventory.load_catalogue(conn), inventory.load_policy(conn)
    scheduled: set[str] = set()
    for campaign in inventory.list_campaigns(conn) if now is not None else ():
        plan = plans.published_plan(conn, campaign.id)
        if plan is not None and now is not None:
            scheduled.update(_units_to_come(conn, plan, now))
    return Inputs(
        fleet=fleet or inventory.load_fleet(conn),
        catalogue=catalogue,
        policy=policy,
        ledger=consent_store.load_ledger(conn),
        stored=request_store.load_requests(conn),
        orders=work_orders.load_orders(conn),
        words=work_orders.load_words(conn),
        seen=request_store.load_states(conn),
        scheduled=frozenset(scheduled),
        in_work=frozenset(unit_ops.nodes_in_work(conn)) if now is not None else frozenset(),
    )


def _units_to_come(conn: Connection, plan: Plan, now: datetime) -> Iterable[str]:
    rows = find_rows(conn, plan.campaign)
    for window in plan.windows:
        row = rows.get(window.id)
        is_to_come = now < window.end if row is None else row.state in NOT_OPENED_YET
        if is_to_come:
            yield from _units(window)


def _units(window: Window) -> Iterable[str]:
    yield from window.nodes
    for step in window.steps:
        if isinstance(step, DeviceApplyStep):
            yield from step.devices


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A request that was found in another state than it was last seen in."""

    request: Request
    before: SeenState | None
    after: SeenState
    standing: Standing


def find_moved(
    book: RequestBook, seen: Mapping[RequestId, SeenState], requests: Iterable[Request]
) -> tuple[Moved, ...]:
    """Those whose state differs from what was recorded."""
    moved = []
    for request in requests:
        before, standing = seen.get(request.id), book.stand(request)
        if before is not None and before.state is standing.state:
            continue
        told = before.notified_at if before is not None and standing.state not in ENDED else None
        after = SeenState(state=standing.state, since=book.record.now, notified_at=told)
        moved.append(Moved(request=request, before=before, after=after, standing=standing))
    return tuple(moved)


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
        },
    )
