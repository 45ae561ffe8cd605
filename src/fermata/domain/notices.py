"""Notices: what customers are told, of which change, and when they count as told. Values in, values out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from fermata.domain.hashing import to_plain
from fermata.domain.ids import ClusterId, CustomerId, RequestId, SupercomputerId, UpdateId, WindowId
from fermata.domain.notified import Notified, NotifiedTimes
from fermata.domain.own_part import own_part
from fermata.domain.plans import Plan, Window
from fermata.domain.policy import AfterDue, Customer
from fermata.domain.request_standing import CONDUCTOR, NextStep
from fermata.domain.requests import Request, request_id
from fermata.domain.updates import Impact


class NoticeKind(StrEnum):
    """What a notice tells of. The values are stable names on the wire."""

    REQUEST_OPENED = "request.opened"
    REQUEST_CHANGED = "request.changed"
    REQUEST_OVERDUE = "request.overdue"  # its time to choose is over, and a word is missing
    REQUEST_CLOSED = "request.closed"  # nothing of it is pending any more
    CONSENT_APPROVED = "consent.approved"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_DECLINED = "consent.declined"  # a no until a time
    CONSENT_OFFERED = "consent.offered"  # another time, which the operator accepts or refuses
    CONSENT_REFUSED = "consent.refused"  # the operator's no to that
    PLAN_PUBLISHED = "plan.published"
    WINDOW_WAITING = "window.waiting"
    WINDOW_OPENED = "window.opened"
    WINDOW_LATE = "window.late"  # nodes are not back when promised
    WINDOW_CLOSED = "window.closed"
    WINDOW_MISSED = "window.missed"
    WINDOW_SKIPPED = "window.skipped"
    WINDOW_CANCELLED = "window.cancelled"
    NODES_RETURNED = "nodes.returned"
    NODES_KEPT_OUT = "nodes.kept_out"  # done and proven, but they were out of service before, so they stay out
    NODES_LEFT_OUT = "nodes.left_out"  # the window went on without them
    FREEZE_ADDED = "freeze.added"
    FREEZE_ENDED = "freeze.ended"
    EXEMPTION_ASKED = "exemption.asked"
    EXEMPTION_CONFIRMED = "exemption.confirmed"
    INCIDENT_OPENED = "incident.opened"  # what is announced, under one key from first to last
    INCIDENT_UPDATED = "incident.updated"
    INCIDENT_ACKNOWLEDGED = "incident.acknowledged"
    INCIDENT_CLOSED = "incident.closed"
    MAINTENANCE_SCHEDULED = "maintenance.scheduled"  # a window of a published plan, for status pages alone
    MAINTENANCE_MOVED = "maintenance.moved"
    MAINTENANCE_WITHDRAWN = "maintenance.withdrawn"
    UNIT_NEEDS_REPAIR = "unit.needs_repair"  # what the conductor tells whoever repairs
    UNIT_ASTRAY = "unit.astray"
    UNIT_BACK = "unit.back"  # neither any more
    TEST = "test"


ASKING = frozenset({NoticeKind.REQUEST_OPENED, NoticeKind.REQUEST_CHANGED})  # those that a promised notice counts from
OF_WINDOWS = frozenset(kind for kind in NoticeKind if kind.value.startswith("window."))
OF_NODES = frozenset(kind for kind in NoticeKind if kind.value.startswith("nodes."))
OF_CONSENT = frozenset(kind for kind in NoticeKind if kind.value.startswith("consent."))
OF_SCHEDULES = frozenset(kind for kind in NoticeKind if kind.value.startswith("maintenance."))
OF_INCIDENTS = OF_SCHEDULES | {kind for kind in NoticeKind if kind.value.startswith(("incident.", "unit."))}
ENDING = frozenset({NoticeKind.INCIDENT_CLOSED, NoticeKind.UNIT_BACK, NoticeKind.MAINTENANCE_WITHDRAWN})  # of incidents
OF_FREEZES = frozenset(
    {
        NoticeKind.FREEZE_ADDED,
        NoticeKind.FREEZE_ENDED,
        NoticeKind.EXEMPTION_ASKED,
        NoticeKind.EXEMPTION_CONFIRMED,
    }
)


class Audience(StrEnum):
    """For whom the words of an announcement are, beyond whom it concerns."""

    ALL = "all"
    CREW = "crew"  # those who do the work: never on a status page, which strangers read
    CUSTOMERS = "customers"  # subscriptions that name customers, and status pages; the operator has the crew's words


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One customer told of one change. `seq` is 0 until it is stored, then its place among all notices.

    Notices of one `thread`, a request, reach a subscriber in the order of seq. `subject` is the kind and name of what
    changed, as in the journal; `facts` are JSON-ready and say what changed. `at` is UTC.
    """

    at: datetime
    kind: NoticeKind
    customer: CustomerId
    supercomputer: SupercomputerId
    subject: str
    actor: str
    why: str
    facts: Mapping[str, Any]
    seq: int = 0

    @property
    def id(self) -> str:
        """What a receiver knows it by, however often it comes."""
        return f"ntc_{self.seq:010}"

    @property
    def thread(self) -> RequestId:
        """What it stands in line with: its incident, its request, or that of the supercomputer's updates."""
        kind, _, name = self.subject.partition(":")
        if self.kind in OF_CONSENT and self.facts.get("request"):
            return RequestId(self.facts["request"])
        if self.kind in OF_INCIDENTS:
            return RequestId(self.subject)
        return RequestId(name) if kind == "request" else request_id(self.supercomputer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change as it was recorded: `event` in dotted words, `subject` the kind and name of what changed."""

    at: datetime
    actor: str
    event: str
    subject: str
    why: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name alone."""
        return self.subject.partition(":")[2]


def notified_at(request: Request, notified: Iterable[Notified]) -> datetime | None:
    """When the last of its customers knew of the last of its items; None while one does not know, or nothing is due."""
    times = NotifiedTimes(notified)
    asked = [(name, item.update, item.impact) for name in request.customers for item in own_part(request, name).items]
    asked += [(name, UpdateId(order.id), order.impact) for order in request.orders for name in order.customers]
    found = [times.since(customer, request.supercomputer, item, impact) for customer, item, impact in asked]
    known = [at for at in found if at is not None]
    return max(known) if known and len(known) == len(found) else None


def knows_items(notice: Notice, at: datetime) -> tuple[Notified, ...]:
    """What its customer knows from `at` on, once the notice is delivered."""
    if notice.kind not in ASKING:
        return ()
    return tuple(
        Notified(
            customer=notice.customer,
            supercomputer=notice.supercomputer,
            update=UpdateId(name),
            impact=Impact(impact),
            at=at,
        )
        for name, impact in _asked_of(notice)
    )


def _asked_of(notice: Notice) -> Iterator[tuple[str, str]]:
    """The updates and the work orders that a notice asks for, each with its impact."""
    yield from ((item["update"], item["impact"]) for item in notice.facts["items"])
    for order in notice.facts.get("orders", ()):
        if notice.customer in order["customers"]:
            yield order["id"], order["impact"]


def tell_request(change: Change, request: Request) -> tuple[Notice, ...]:
    """A request that was opened, changed or came to nothing: to each of its customers what is asked of it, and nothing
    to one of whom nothing is or was.
    """
    if "own" not in change.data:
        return tuple(_tell_part(change, change.data, own_part(request, name)) for name in request.customers)
    parts = [(moved, own_part(request, CustomerId(name))) for name, moved in change.data["own"].items()]
    return tuple(
        _tell_part(replace(change, why=_own_why(change, moved, part)), moved, part)
        for moved, part in parts
        if part.is_open or moved["left"]
    )


def _tell_part(change: Change, moved: Mapping[str, Any], part: Request) -> Notice:
    """`moved`: what joined and left of this part."""
    kind = NoticeKind.REQUEST_CHANGED if part.is_open else NoticeKind.REQUEST_CLOSED
    if kind is NoticeKind.REQUEST_CHANGED and part.incarnation == 1:
        kind = NoticeKind.REQUEST_OPENED
    facts = {
        "request": part.id,
        "incarnation": part.incarnation,
        "due_at": part.due_at.isoformat() if part.due_at else None,
        "impact": part.impact.value if part.impact else None,
        "nodes": part.nodes,
        "shared_devices": part.shared_devices,
        "items": to_plain(part.items),
        "orders": to_plain(part.orders),
        "joined": list(moved.get("joined", ())),
        "left": list(moved.get("left", ())),
    }
    return make_notice(change, kind, part.customers[0], part.supercomputer, facts)


def _own_why(change: Change, moved: Mapping[str, Any], part: Request) -> str:
    """Why this part changed: of what joined for others the cause is not told, nor why theirs left."""
    joined = set(moved["joined"])
    if joined != set(change.data["joined"]) and part.orders:
        return "; ".join(dict.fromkeys(order.cause for order in part.orders if order.id in joined))
    is_of_others = not (joined or moved["left"]) and bool(change.data["joined"] or change.data["left"])
    return "" if is_of_others else change.why


def tell_overdue(change: Change, request: Request, customers: Mapping[CustomerId, Customer]) -> tuple[Notice, ...]:
    """A request whose time to choose is over, to each customer whose word is missing, with its own approvers and what
    follows without an answer: unless all of it proceeds, what its own policy says. A customer that answered hears
    nothing, and each only of its own part.
    """
    is_escalated = change.data["needed"] == NextStep.ESCALATE
    told = []
    for name in (CustomerId(each) for each in change.data["silent"]):
        part, customer = own_part(request, name), customers.get(name)
        said = change.data.get("own", {}).get(name) or {"due_at": change.data["due_at"], "why": change.why}
        follows = customer.after_due if customer else AfterDue.ESCALATE
        facts = {
            "request": part.id,
            "incarnation": change.data["incarnation"],
            "due_at": said["due_at"],
            "impact": part.impact.value if part.impact else None,
            "nodes": part.nodes,
            "shared_devices": part.shared_devices,
            "needed": change.data["needed"],
            "who": [each for each in change.data["who"] if each in (name, CONDUCTOR)],
            "approvers": sorted(customer.approvers) if customer else [],
            "after_due": (follows if is_escalated else AfterDue.PROCEED).value,
        }
        own = replace(change, why=said["why"])
        told.append(make_notice(own, NoticeKind.REQUEST_OVERDUE, name, part.supercomputer, facts))
    return tuple(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a cluster belongs."""

    customer: CustomerId
    supercomputer: SupercomputerId


def tell_plan(change: Change, plan: Plan, parent: Plan | None, homes: Mapping[ClusterId, Home]) -> tuple[Notice, ...]:
    """A plan that came into force: to each customer, by supercomputer, what is new, moved or no more. Where nothing
    changed, nothing is told.
    """
    before = {window.id: window for window in parent.windows} if parent else {}
    after = {window.id: window for window in plan.windows}
    lines: dict[Home, list[dict[str, Any]]] = {}
    for name in sorted(before.keys() | after.keys()):
        told = _tell_window(before.get(name), after.get(name))
        home = homes.get((after.get(name) or before[name]).cluster)
        if told is not None and home is not None:
            lines.setdefault(home, []).append(told)
    return tuple(
        make_notice(
            change,
            NoticeKind.PLAN_PUBLISHED,
            home.customer,
            home.supercomputer,
            {
                "plan": plan.id,
                "parent": plan.parent,
                "campaign": plan.campaign,
                "windows": sorted(lines[home], key=lambda line: (line["start"], line["window"])),
            },
        )
        for home in sorted(lines, key=lambda home: (home.supercomputer, home.customer))
    )


def _tell_window(was: Window | None, now: Window | None) -> dict[str, Any] | None:
    """None for one that stands as it did."""
    stands = now or was
    assert stands is not None
    if was is not None and now is not None:
        if (was.start, was.end, was.nodes, was.updates) == (now.start, now.end, now.nodes, now.updates):
            return None
        change = "moved" if was.start != now.start or was.end != now.end else "changed"
    else:
        change = "added" if was is None else "dropped"
    return {
        "window": stands.id,
        "change": change,
        "cluster": stands.cluster,
        "start": stands.start.isoformat(),
        "end": stands.end.isoformat(),
        "nodes": list(stands.nodes),
        "left": sorted(set(was.nodes) - set(now.nodes)) if was is not None and now is not None else [],
        "updates": list(stands.updates),
        "reboots_per_node": stands.reboots_per_node,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A window as planned, with those who hold its cluster. `nodes` as the plan has them."""

    window: WindowId
    cluster: ClusterId
    home: Home
    start: datetime
    end: datetime
    nodes: tuple[str, ...]
    reboots_per_node: int


def tell_window(changes: Iterable[Change], place: Place) -> Notice:
    """What became of a window. Several changes of one kind to its nodes at once are one notice."""
    (first, *rest) = changes
    kind = WINDOW_EVENTS[first.event]
    facts: dict[str, Any] = {
        "window": place.window,
        "cluster": place.cluster,
        "start": place.start.isoformat(),
        "end": place.end.isoformat(),
        "reboots_per_node": place.reboots_per_node,
    }
    if kind is NoticeKind.WINDOW_LATE or kind in OF_NODES:
        facts["nodes"] = sorted(change.name for change in (first, *rest))
    else:
        facts |= {"nodes": list(place.nodes), **{key: first.data[key] for key in _WINDOW_FACTS if key in first.data}}
    return make_notice(first, kind, place.home.customer, place.home.supercomputer, facts)


WINDOW_EVENTS = {
    "window.waiting": NoticeKind.WINDOW_WAITING,
    "window.opened": NoticeKind.WINDOW_OPENED,
    "window.closed": NoticeKind.WINDOW_CLOSED,
    "window.missed": NoticeKind.WINDOW_MISSED,
    "window.skipped": NoticeKind.WINDOW_SKIPPED,
    "window.cancelled": NoticeKind.WINDOW_CANCELLED,
    "unit.tail": NoticeKind.WINDOW_LATE,
    "node.returned": NoticeKind.NODES_RETURNED,
    "node.kept_out": NoticeKind.NODES_KEPT_OUT,
    "node.left_out": NoticeKind.NODES_LEFT_OUT,
}
_WINDOW_FACTS = ("taken", "left_out", "behind_minutes")


def make_notice(
    change: Change, kind: NoticeKind, customer: CustomerId, supercomputer: SupercomputerId, facts: Mapping[str, Any]
) -> Notice:
    """Of a change, as yet without a seq."""
    return Notice(
        at=change.at,
        kind=kind,
        customer=customer,
        supercomputer=supercomputer,
        subject=change.subject,
        actor=change.actor,
        why=change.why,
        facts=facts,
    )
