"""One picture of pending work, consent, windows and work under way for every door, read again only when it changed."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256

from fermata.domain.fleet import Fleet, Node
from fermata.domain.hearing import notice_over
from fermata.domain.ids import DeviceId, NodeId, OrderId, RequestId, RunId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.notified import NotifiedTimes
from fermata.domain.operations import WindowRun
from fermata.domain.pending import FleetPending
from fermata.domain.plans import Window
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, Reason
from fermata.domain.requests import Request, request_id
from fermata.domain.scheduled_events import (
    Leads,
    OrderedWork,
    Outlook,
    Question,
    ScheduledEvent,
    Stay,
    find_events,
    tell,
)
from fermata.domain.scopes import Scopes
from fermata.domain.updates import Catalogue, Impact, Update
from fermata.services.fleets import read_fleet
from fermata.services.ordered_work import hand_over, read_ordered_work
from fermata.services.query import read_windows
from fermata.services.request_basis import read_told
from fermata.store import event_rows, handovers
from fermata.store import requests as request_store
from fermata.store.database import Connection, Database, NotStored
from fermata.store.event_rows import Marks

FRESH_SECONDS = 0.5  # clients look once a second
FIRST_NUMBERS = 2**30  # leaves as many again below 2**31, which every client can hold
ASKED = frozenset({Code.APPROVAL_MISSING, Code.APPROVAL_OUTDATED})
WAITING = ASKED | {Code.SHARED_DEVICE_UNAPPROVED}  # every other gap is somebody's no


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStay:
    """A window of a plan in force, or of one that its run followed; `run` is how far it came."""

    plan: str
    window: Window
    run: WindowRun | None


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What changes when people decide, or a window opens or closes. All of one reading of the store."""

    fleet: Fleet
    catalogue: Catalogue | None
    policy: Policy | None
    requests: Mapping[RequestId, Request]
    pending: FleetPending
    gaps: Mapping[NodeId, Reason]
    windows: Mapping[NodeId, tuple[PlannedStay, ...]]
    ordered: Mapping[NodeId, tuple[OrderedWork, ...]]
    runs: tuple[RunId, ...]

    @cached_property
    def scopes(self) -> Scopes:
        """Scopes of the fleet."""
        return Scopes(fleet=self.fleet)

    @cached_property
    def told(self) -> NotifiedTimes:
        """Since when customers know of what."""
        return NotifiedTimes((self.policy.notified if self.policy is not None else None) or ())

    @cached_property
    def devices_of(self) -> Mapping[NodeId, tuple[DeviceId, ...]]:
        """The shared devices with due work that each node hangs on."""
        found: dict[NodeId, list[DeviceId]] = {}
        for name, unit in self.pending.devices.items():
            if unit.due:
                for node in self.fleet.nodes_behind(self.fleet.devices[name]):
                    found.setdefault(node.name, []).append(name)
        return {node: tuple(devices) for node, devices in found.items()}

    def updates_of(self, node: Node) -> tuple[Update, ...]:
        """All that is due on the node or on a device it hangs on, by id."""
        found = {item.update.id: item.update for item in self.pending.of_node(node).due}
        for device in self.devices_of.get(node.name, ()):
            found |= {item.update.id: item.update for item in self.pending.devices[device].due}
        return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Everything doors answer from. `number` grows with each picture. `handed`: nodes that windows have out for a work
    order now, each since when.
    """

    number: int
    settled: Settled
    units: Mapping[tuple[RunId, WindowId, NodeId], UnitState]
    handed: Mapping[tuple[OrderId, NodeId], datetime]
    outlooks: dict[NodeId, Outlook] = field(default_factory=dict)

    @property
    def fleet(self) -> Fleet:
        """As stored."""
        return self.settled.fleet

    def outlook(self, node: NodeId) -> Outlook:
        """What awaits the node, which the fleet must have."""
        found = self.outlooks.get(node)
        if found is None:
            found = self.outlooks[node] = self._look(self.fleet.nodes[node])
        return found

    @cached_property
    def events(self) -> Mapping[str, ScheduledEvent]:
        """Every event of every node that may be approved, by its id."""
        return {event.id: event for node in self.fleet.nodes for event in find_events(self.outlook(node))}

    def _look(self, node: Node) -> Outlook:
        gap = self.settled.gaps.get(node.name)
        stays = (self._stay(node.name, planned) for planned in self.settled.windows.get(node.name, ()))
        return Outlook(
            node=node.name,
            question=self._question(node, gap),
            stays=tuple(stays),
            is_held=gap is not None and gap.code not in WAITING,
            ordered=tuple(
                hand_over(work, self.handed.get((work.order, node.name)))
                for work in self.settled.ordered.get(node.name, ())
            ),
        )

    def _stay(self, node: NodeId, planned: PlannedStay) -> Stay:
        window, run = planned.window, planned.run
        return Stay(
            window=window.id,
            cluster=window.cluster,
            start=window.start,
            end=window.end,
            reboots=bool(window.reboots_per_node),
            window_state=run.state if run else None,
            unit=self.units.get((run.run, run.window, node)) if run else None,
        )

    def _question(self, node: Node, gap: Reason | None) -> Question | None:
        settled, cluster = self.settled, self.fleet.clusters[node.cluster]
        request = settled.requests.get(request_id(cluster.supercomputer))
        updates = settled.updates_of(node)
        if request is None or settled.policy is None or not updates:
            return None
        ends = [notice_over(settled.policy, settled.told, update, cluster) for update in updates]
        return Question(
            request=request.id,
            incarnation=request.incarnation,
            updates=tuple(update.id for update in updates),
            due_at=min(settled.policy.due_at(update) for update in updates),
            choose_until=min((at for at in ends if at is not None), default=None),
            reboots=any(update.impact is Impact.REBOOTFUL for update in updates),
            is_open=gap is not None and gap.code in ASKED,
        )


@dataclass(slots=True, kw_only=True)
class Document:
    """What one node is told. `incarnation` is another number when, and only when, `events` are others. `texts` keeps
    what a door wrote from them, by its own name for it.
    """

    incarnation: int
    events: tuple[ScheduledEvent, ...]
    picture: int
    changes_at: datetime | None
    texts: dict[str, bytes] = field(default_factory=dict)


class MaintenanceDesk:
    """Keeps the picture. Safe for many threads; `look` may take a second or two after an import of a large fleet."""

    def __init__(
        self, db: Database, leads: Leads, *, fresh_seconds: float = FRESH_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._db = db
        self._leads = leads
        self._fresh_seconds = fresh_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._marks: Marks | None = None
        self._looked_at = float("-inf")
        self._documents: dict[NodeId, Document] = {}

    @property
    def db(self) -> Database:
        """The store that it reads."""
        return self._db

    @property
    def fresh(self) -> Picture | None:
        """The picture, if it need not be looked at again yet."""
        return self._picture if self._monotonic() - self._looked_at < self._fresh_seconds else None

    def look(self, *, again: bool = False) -> Picture:
        """The picture as the store stands, at most FRESH_SECONDS ago, or `again`, now."""
        with self._lock:
            found = self.fresh
            if found is not None and not again:
                return found
            asked_at = self._monotonic()
            with self._db.read() as conn:
                marks = event_rows.read_marks(conn)
                if self._picture is None or marks != self._marks:
                    self._picture = self._read(conn, marks)
                    self._marks = marks
            self._looked_at = asked_at
            return self._picture

    def document(self, picture: Picture, node: NodeId, now: datetime) -> Document:
        """What the node is told at `now`. Its incarnation counts on with each change; where it begins follows from
        the content, so that a client that knew an earlier process takes nothing new for what it had seen.
        """
        before = self._documents.get(node)
        if (
            before is not None
            and before.picture == picture.number
            and (before.changes_at is None or now < before.changes_at)
        ):
            return before
        told = tell(picture.outlook(node), now, self._leads)
        if before is not None and before.events == told.events:
            before.picture, before.changes_at = picture.number, told.changes_at
            return before
        incarnation = _first_number(told.events) if before is None else before.incarnation + 1
        made = Document(incarnation=incarnation, events=told.events, picture=picture.number, changes_at=told.changes_at)
        self._documents[node] = made
        return made

    def _read(self, conn: Connection, marks: Marks) -> Picture:
        before = self._picture
        if before is not None and self._marks is not None and marks.settled == self._marks.settled:
            settled = before.settled
        else:
            settled = _read_settled(conn)
        rows = event_rows.read_unit_states(conn, settled.runs) if settled.runs else ()
        units = {(run, window, unit): state for run, window, unit, state in rows}
        handed = handovers.load_with_people(conn, settled.runs) if settled.runs else {}
        number = before.number + 1 if before else 1
        return Picture(number=number, settled=settled, units=units, handed=handed)


def _first_number(events: Iterable[ScheduledEvent]) -> int:
    """Another one for other events, as good as always, in this process and the next."""
    text = "\n".join(f"{e.id} {e.type} {e.status} {e.not_before} {e.ends_at} {e.description}" for e in events)
    return 1 + int.from_bytes(sha256(text.encode()).digest()[:8]) % FIRST_NUMBERS


def _read_settled(conn: Connection) -> Settled:
    pending = FleetPending(nodes={}, devices={})
    requests = request_store.load_requests(conn)
    ordered: Mapping[NodeId, tuple[OrderedWork, ...]] = {}
    catalogue: Catalogue | None = None
    policy: Policy | None = None
    gaps: Mapping[NodeId, Reason] = {}
    try:
        told = read_told(conn)
    except NotStored:  # before all is imported nothing is pending
        fleet = read_fleet(conn)
    else:
        fleet, catalogue, policy, pending = told.basis.fleet, told.catalogue, told.basis.policy, told.basis.pending
        gaps = told.basis.judged.consent.gaps
        ordered = read_ordered_work(conn, fleet, policy, requests)
    windows: dict[NodeId, list[PlannedStay]] = {}
    runs: set[RunId] = set()
    for planned in read_windows(conn):
        stay = PlannedStay(plan=planned.plan, window=planned.window, run=planned.run)
        if planned.run is not None:
            runs.add(planned.run.run)
        for node in planned.window.nodes:
            windows.setdefault(node, []).append(stay)
    return Settled(
        fleet=fleet,
        catalogue=catalogue,
        policy=policy,
        requests=requests,
        pending=pending,
        gaps=gaps,
        windows={node: tuple(stays) for node, stays in windows.items()},
        ordered=ordered,
        runs=tuple(sorted(runs)),
    )
