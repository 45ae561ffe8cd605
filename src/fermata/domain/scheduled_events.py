"""What a node is told of maintenance that is to come: scheduled events, as clients inside the node know them. Pure.

An event is one node in one window of a plan in force, or, before there is one, the question whether the work that is
pending on the node may be done; and one node in one work order, from the question to its end. Clients empty their
node as soon as they see an event, so it is shown shortly before its window, and a question in the last days before it
is due.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain import arm
from fermata.domain.ids import ClusterId, NodeId, OrderId, RequestId, UpdateId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.request_kinds import KIND_WORDS, RequestKind
from fermata.domain.run_states import NOT_OPENED_YET, WindowState

UNKNOWN_SECONDS = -1
NEVER_RUNS = frozenset({WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED})
BACK = frozenset({UnitState.RETURNED, UnitState.KEPT_OUT})


class EventStatus(StrEnum):
    """Where an event stands. Inside the node the last two are never seen: the event is gone."""

    SCHEDULED = "Scheduled"
    STARTED = "Started"
    COMPLETED = "Completed"
    CANCELED = "Canceled"


COMING = frozenset({EventStatus.SCHEDULED, EventStatus.STARTED})


class EventType(StrEnum):
    """What the node goes through: it is rebooted, or merely emptied and held."""

    FREEZE = "Freeze"
    REBOOT = "Reboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A node's part in one window, out over `[start, end)`, UTC. `unit` None: nothing is done to the node yet, or the
    window opened without it; `window_state` None: no run has the window yet.
    """

    window: WindowId
    cluster: ClusterId
    start: datetime
    end: datetime
    reboots: bool
    window_state: WindowState | None = None
    unit: UnitState | None = None

    @property
    def status(self) -> EventStatus:
        """An event ends where it ends for its node: the window may go on."""
        return event_status(self.window_state, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether `updates`, all that is pending on the node or behind devices it hangs on, may be done. `is_open`: an
    approval is missing. `due_at` is the earliest due date. `choose_until`: when the time to choose is over for the
    first of what was told, None while nothing was.
    """

    request: RequestId
    incarnation: int
    updates: tuple[UpdateId, ...]
    due_at: datetime
    choose_until: datetime | None
    reboots: bool
    is_open: bool


class Answer(StrEnum):
    """What was answered to a work order on one node."""

    ASKED = "asked"  # nothing yet, and it waits for that
    HELD = "held"  # a no, a word taken back, or a policy that keeps it off
    GIVEN = "given"  # it may begin, now or at some time


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedWork:
    """A work order on one node. `incarnation` is its request's. `starts_at`: from when it may begin as things stand,
    None while that is unknown; `began_at`: since when its people have the node, or a window of its own takes it there.
    `is_approved`: the last word on it is a yes, whatever a policy makes of that. Times are UTC.
    """

    order: OrderId
    kind: RequestKind
    request: RequestId
    incarnation: int
    target: str
    cause: str
    reboots: bool
    due_at: datetime
    answer: Answer
    is_approved: bool = False
    starts_at: datetime | None = None
    began_at: datetime | None = None
    status: EventStatus = EventStatus.SCHEDULED

    @property
    def not_before(self) -> datetime:
        """Its due date, unless it began, or is to begin, at another time."""
        if self.began_at is not None:
            return self.began_at
        return self.starts_at if self.answer is Answer.GIVEN and self.starts_at is not None else self.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What awaits a node. `is_held`: its customer took an approval of updates back, or a policy keeps them off whatever
    is approved; then no client inside the node is asked to think otherwise.
    """

    node: NodeId
    question: Question | None = None
    stays: tuple[Stay, ...] = ()
    is_held: bool = False
    ordered: tuple[OrderedWork, ...] = ()

    def hears_agent(self, event: "ScheduledEvent") -> bool:
        """True when a client inside the node may approve the event: it overrules nobody who said no."""
        if event.status is not EventStatus.SCHEDULED:
            return True
        if event.order is None:
            return not self.is_held
        return any(work.order == event.order and work.answer is not Answer.HELD for work in self.ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """How long before its due date a question is shown, and before its window an event."""

    question: timedelta = timedelta(days=7)
    window: timedelta = timedelta(hours=1)


AT_ONCE = Leads(question=timedelta(days=36_500), window=timedelta(days=36_500))  # from outside a node all is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledEvent:
    """One event of one node. `not_before` is UTC, and past once it started; `ends_at` None: nobody knows yet. `order`
    None: it is about updates.
    """

    id: str
    node: NodeId
    type: EventType
    status: EventStatus
    not_before: datetime
    ends_at: datetime | None
    description: str
    seconds: int
    order: OrderId | None = None
    kind: RequestKind = RequestKind.DEPLOYMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The events of a node as they are shown until `changes_at`, None: until something happens."""

    events: tuple[ScheduledEvent, ...]
    changes_at: datetime | None


def event_status(window: WindowState | None, unit: UnitState | None) -> EventStatus:
    """Where a node's event stands, by its window and by what is done to the node there."""
    if window is None or window in NOT_OPENED_YET:
        return EventStatus.SCHEDULED
    if window in NEVER_RUNS or unit is None or unit is UnitState.LEFT_OUT:
        return EventStatus.CANCELED
    if unit in BACK:
        return EventStatus.COMPLETED
    return EventStatus.SCHEDULED if unit is UnitState.PENDING else EventStatus.STARTED


def event_type(*, reboots: bool) -> EventType:
    """What is said of work that reboots the node, or does not."""
    return EventType.REBOOT if reboots else EventType.FREEZE


def tell(outlook: Outlook, now: datetime, leads: Leads) -> Told:
    """The node's events by when they may begin. A question is told while no window of the node is."""
    shown = [(stay.start - leads.window, stay_event(outlook.node, stay)) for stay in _coming(outlook)]
    events = [event for since, event in shown if since <= now or event.status is EventStatus.STARTED]
    later = [since for since, _ in shown if since > now]
    question = outlook.question
    if question is not None and question.is_open and not outlook.is_held and not events:
        since = question.due_at - leads.question
        if since <= now:
            events.append(question_event(outlook.node, question))
        else:
            later.append(since)
    for since, event in _ordered_events(outlook, leads):
        if since <= now or event.status is EventStatus.STARTED:
            events.append(event)
        else:
            later.append(since)
    events.sort(key=lambda event: (event.not_before, event.id))
    return Told(events=tuple(events), changes_at=min(later, default=None))


def find_events(outlook: Outlook) -> Iterator[ScheduledEvent]:
    """Every event that may be approved, shown or not yet, the question even when it was answered."""
    for stay in outlook.stays:
        if stay.status in COMING:
            yield stay_event(outlook.node, stay)
    if outlook.question is not None:
        yield question_event(outlook.node, outlook.question)
    yield from (order_event(outlook.node, work) for work in outlook.ordered if work.status in COMING)


def past_events(outlook: Outlook) -> tuple[ScheduledEvent, ...]:
    """What is over, the oldest first."""
    over = [stay_event(outlook.node, stay) for stay in outlook.stays if stay.status not in COMING]
    over += [order_event(outlook.node, work) for work in outlook.ordered if work.status not in COMING]
    return tuple(sorted(over, key=lambda event: (event.not_before, event.id)))


def stay_event(node: NodeId, stay: Stay) -> ScheduledEvent:
    """The event of a node in a window."""
    return ScheduledEvent(
        id=arm.event_id(stay.window, node),
        node=node,
        type=event_type(reboots=stay.reboots),
        status=stay.status,
        not_before=stay.start,
        ends_at=stay.end,
        description=f"Planned maintenance of {stay.cluster}, window {stay.window}",
        seconds=int((stay.end - stay.start).total_seconds()),
    )


def question_event(node: NodeId, question: Question) -> ScheduledEvent:
    """The event that asks for an approval. Other work is another question, with an id of its own: who approved it
    approved what it held.
    """
    return ScheduledEvent(
        id=arm.question_id(question.request, node, question.updates),
        node=node,
        type=event_type(reboots=question.reboots),
        status=EventStatus.SCHEDULED,
        not_before=question.due_at,
        ends_at=None,
        description=f"Approval wanted for {_list_some(question.updates)} on {node}; no window is planned yet",
        seconds=UNKNOWN_SECONDS,
    )


def order_event(node: NodeId, work: OrderedWork) -> ScheduledEvent:
    """The event of a node in a work order, the same from its question to its end."""
    asks = "Approval wanted: " if work.status is EventStatus.SCHEDULED and work.answer is not Answer.GIVEN else ""
    return ScheduledEvent(
        id=arm.order_event_id(work.order, node),
        node=node,
        type=event_type(reboots=work.reboots),
        status=work.status,
        not_before=work.not_before,
        ends_at=None,
        description=f"{asks}{KIND_WORDS[work.kind]} of {work.target}, order {work.order}: {work.cause}",
        seconds=UNKNOWN_SECONDS,
        order=work.order,
        kind=work.kind,
    )


def _ordered_events(outlook: Outlook, leads: Leads) -> Iterator[tuple[datetime, ScheduledEvent]]:
    """Each with when it is shown: a question in the last days before it is due, and what may begin shortly before its
    time. What may begin at any time is shown once it does.
    """
    for work in outlook.ordered:
        event = order_event(outlook.node, work)
        if work.status is EventStatus.STARTED:
            yield event.not_before, event
        elif work.status is EventStatus.SCHEDULED and work.answer is Answer.ASKED:
            yield work.due_at - leads.question, event
        elif work.status is EventStatus.SCHEDULED and work.answer is Answer.GIVEN and work.starts_at is not None:
            yield work.starts_at - leads.window, event


def _coming(outlook: Outlook) -> Iterator[Stay]:
    for stay in outlook.stays:
        status = stay.status
        if status is EventStatus.STARTED or (status is EventStatus.SCHEDULED and not outlook.is_held):
            yield stay


def _list_some(updates: Iterable[UpdateId], most: int = 5) -> str:
    names = list(updates)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
