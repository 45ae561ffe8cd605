"""What is pending and what is asked for: kept up to date in the store, listed from the store or from files alone."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.consent import consent_gaps
from fermata.domain.fleet import Device, Fleet
from fermata.domain.ids import NodeId, RequestId, UpdateId
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.pending_lines import (
    PendingFilter,
    PendingGroup,
    PendingLine,
    Standing,
    group_lines,
    list_lines,
    place_of,
    unknown_names,
)
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import Coverage, Request, build_requests, cover_clusters, shared_devices
from fermata.domain.updates import Catalogue
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown
from fermata.store import consent as consent_store
from fermata.store import inventory, journal
from fermata.store import requests as request_store
from fermata.store.database import Connection, Database, NotStored

ACTOR = "fermata"  # who changes a request when pending work changes: no person does


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What pending work and requests follow from. `stored` is empty for files, which remember no incarnation."""

    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    ledger: tuple[ConsentEntry, ...]
    stored: Mapping[RequestId, Request] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PendingList:
    """Lines that passed the filter, and the same counted by update."""

    lines: tuple[PendingLine, ...]
    groups: tuple[PendingGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPage:
    """Some of the lines that passed a filter, and how many come after them. `total` and `groups` count all."""

    total: int
    rest: int
    lines: tuple[PendingLine, ...]
    groups: tuple[PendingGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWork:
    """A shared device with due work, and every node behind it. `drains` tells whether those nodes must be empty."""

    device: Device
    updates: tuple[UpdateId, ...]
    drains: bool
    nodes: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request and how far consent reaches. `devices` is filled where one request is asked for in detail."""

    request: Request
    coverage: tuple[Coverage, ...]
    devices: tuple[DeviceWork, ...] = ()


def refresh_requests(db: Database, *, now: datetime) -> tuple[Request, ...]:
    """Recomputes every request from what is pending now; returns those that changed. Idempotent."""
    with db.begin() as conn:
        return refresh_in(conn, now=now, why="pending work was looked at again")


def refresh_in(conn: Connection, *, now: datetime, why: str, fleet: Fleet | None = None) -> tuple[Request, ...]:
    """As `refresh_requests`, inside the caller's transaction; `fleet` is what the store holds, if it is at hand.

    Before all inputs are imported there is no request.
    """
    try:
        catalogue, policy = inventory.load_catalogue(conn), inventory.load_policy(conn)
    except NotStored:
        return ()
    fleet = fleet or inventory.load_fleet(conn)
    before = request_store.load_requests(conn)
    built = build_requests(fleet, find_pending(fleet, catalogue), policy, before)
    changed = tuple(request for request in built if before.get(request.id) != request)
    request_store.save_requests(conn, changed)
    journal.append_many(conn, [_entry(request, before.get(request.id), now, why) for request in changed])
    return changed


def read_inputs(db: Database) -> Inputs:
    """What the store holds now. Raises Refusal when something was not imported yet."""
    with refusing_unknown(), db.read() as conn:
        return Inputs(
            fleet=inventory.load_fleet(conn),
            catalogue=inventory.load_catalogue(conn),
            policy=inventory.load_policy(conn),
            ledger=consent_store.load_ledger(conn),
            stored=request_store.load_requests(conn),
        )


def list_pending(source: Database | Inputs, wanted: PendingFilter) -> PendingList:
    """Everything pending that passes the filter. Raises Refusal for a name in the filter that nobody knows."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    _refuse_unknown(inputs, wanted)
    pending = find_pending(inputs.fleet, inputs.catalogue)
    lines = tuple(sorted(list_lines(inputs.fleet, inputs.catalogue, inputs.policy, pending, wanted), key=place_of))
    return PendingList(lines=lines, groups=group_lines(lines, inputs.catalogue))


def page_pending(
    source: Database | Inputs,
    wanted: PendingFilter,
    *,
    superseded: bool,
    after: tuple[str | int, ...] | None = None,
    limit: int | None = None,
) -> PendingPage:
    """As `list_pending`: `limit` lines of it, None for all, from behind the place `after` on. Without `superseded` it
    is as if older updates did not exist.
    """
    found = list_pending(source, wanted)
    hidden = () if superseded else (Standing.SUPERSEDED,)
    lines = [line for line in found.lines if line.standing not in hidden]
    start = 0 if after is None else bisect_right(lines, after, key=place_of)
    end = len(lines) if limit is None else min(start + limit, len(lines))
    return PendingPage(
        total=len(lines),
        rest=len(lines) - end,
        lines=tuple(lines[start:end]),
        groups=tuple(group for group in found.groups if group.standing not in hidden),
    )


def list_requests(source: Database | Inputs, wanted: PendingFilter) -> tuple[RequestView, ...]:
    """Open requests, by due date and id, with at least one cluster and one update that pass the filter."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    _refuse_unknown(inputs, wanted)
    pending = find_pending(inputs.fleet, inputs.catalogue)
    gaps = consent_gaps(inputs.fleet, inputs.policy, pending, inputs.ledger)
    taken = {c.supercomputer for c in inputs.fleet.clusters.values() if wanted.takes(c)}
    open_ones = [
        (request.due_at, request)
        for request in _requests(inputs, pending)
        if request.due_at
        and request.supercomputer in taken
        and (not wanted.updates or not wanted.updates.isdisjoint(request.updates))
    ]
    open_ones.sort(key=lambda pair: (pair[0], pair[1].id))
    return tuple(
        RequestView(request=request, coverage=cover_clusters(inputs.fleet, pending, gaps, request.supercomputer))
        for _, request in open_ones
    )


def show_request(source: Database | Inputs, request_id: RequestId) -> RequestView:
    """One request with its shared devices and every node behind each. Raises Refusal for an unknown id."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    pending = find_pending(inputs.fleet, inputs.catalogue)
    requests = {request.id: request for request in _requests(inputs, pending)}
    if request_id not in requests:
        known = nearest(request_id, requests)
        raise Refusal(reason(Code.REQUEST_UNKNOWN, request=request_id, nearest=known))
    request = requests[request_id]
    gaps = consent_gaps(inputs.fleet, inputs.policy, pending, inputs.ledger)
    return RequestView(
        request=request,
        coverage=cover_clusters(inputs.fleet, pending, gaps, request.supercomputer),
        devices=tuple(
            _device_work(inputs.fleet, pending, device)
            for device in shared_devices(inputs.fleet, pending, request.supercomputer)
        ),
    )


def _requests(inputs: Inputs, pending: FleetPending) -> tuple[Request, ...]:
    return build_requests(inputs.fleet, pending, inputs.policy, inputs.stored)


def _device_work(fleet: Fleet, pending: FleetPending, device: Device) -> DeviceWork:
    due = pending.of_device(device).due
    return DeviceWork(
        device=device,
        updates=tuple(item.update.id for item in due),
        drains=any(item.update.needs_drain for item in due),
        nodes=tuple(node.name for node in fleet.nodes_behind(device)),
    )


def _refuse_unknown(inputs: Inputs, wanted: PendingFilter) -> None:
    refuse_all(_unknown(inputs, kind, name) for kind, name in unknown_names(inputs.fleet, inputs.catalogue, wanted))


def _unknown(inputs: Inputs, kind: str, name: str) -> Reason:
    fleet = inputs.fleet
    known: dict[str, Iterable[str]] = {
        "cluster": set(fleet.clusters),
        "supercomputer": {c.supercomputer for c in fleet.clusters.values()},
        "customer": {c.customer for c in fleet.clusters.values()},
        "sku": {c.sku for c in fleet.clusters.values()},
        "update": set(inputs.catalogue.updates),
        "node": set(fleet.nodes),
        "device": set(fleet.devices),
    }
    return reason(Code.SCOPE_UNKNOWN, level=kind, name=name, nearest=nearest(name, known[kind]))


def _entry(request: Request, before: Request | None, now: datetime, why: str) -> journal.Entry:
    earlier = before.updates if before else frozenset()
    return journal.Entry(
        at=now,
        actor=ACTOR,
        event="request.changed",
        subject=f"request:{request.id}",
        why=why,
        data={
            "incarnation": request.incarnation,
            "due_at": request.due_at.isoformat() if request.due_at else None,
            "impact": request.impact.value if request.impact else None,
            "joined": sorted(request.updates - earlier),
            "left": sorted(earlier - request.updates),
            "nodes": request.nodes,
            "shared_devices": request.shared_devices,
        },
    )
