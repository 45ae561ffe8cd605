"""The machine of a request: a transition table, `move`, and what state follows from what is on record."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from fermata.domain.ids import CustomerId
from fermata.domain.reasons import Code, Reason, reason


class RequestState(StrEnum):
    """Where a request, or the work on one unit of it, stands."""

    PENDING = "pending"
    NOTIFIED = "notified"
    PARTLY_APPROVED = "partly_approved"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DECLINED = "declined"  # until a date
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    OVERDUE = "overdue"


class RequestEvent(StrEnum):
    """What moves a request."""

    NOTIFY = "notify"
    APPROVE_PART = "approve_part"
    APPROVE = "approve"
    DECLINE = "decline"
    TAKE_BACK = "take_back"  # a yes or a no was taken back, or the time of a no is over
    CHANGE = "change"  # of what it asks for, or of a part of what was said
    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    BEGIN = "begin"
    CEASE = "cease"  # nothing runs and something is left
    PASS_DUE = "pass_due"
    FINISH = "finish"
    FIND_DONE = "find_done"  # nothing is left, though nobody saw it done here
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    REOPEN = "reopen"


class IllegalRequestMove(Exception):
    """The table has no such move; `reason` says so of what was to move."""

    def __init__(self, name: str, state: RequestState, event: RequestEvent) -> None:
        words = [str(e).replace("_", " ") for e in RequestEvent if (state, e) in MOVES]
        self.reason: Reason = reason(
            Code.REQUEST_MOVE_ILLEGAL,
            name=name,
            state=str(state).replace("_", " "),
            event=str(event).replace("_", " "),
            moves=", ".join(words),
        )
        super().__init__(str(self.reason))


_S = RequestState
_E = RequestEvent

_LEAVING = {_E.FIND_DONE: _S.COMPLETED, _E.CANCEL: _S.CANCELLED, _E.SUPERSEDE: _S.SUPERSEDED}
_SAYING = {_E.APPROVE: _S.APPROVED, _E.APPROVE_PART: _S.PARTLY_APPROVED, _E.DECLINE: _S.DECLINED}
_TABLE = {
    _S.PENDING: {_E.NOTIFY: _S.NOTIFIED, **_SAYING, _E.PASS_DUE: _S.OVERDUE, **_LEAVING},
    _S.NOTIFIED: {**_SAYING, _E.CHANGE: _S.PENDING, _E.PASS_DUE: _S.OVERDUE, **_LEAVING},
    _S.PARTLY_APPROVED: {
        _E.APPROVE: _S.APPROVED,
        _E.DECLINE: _S.DECLINED,
        _E.TAKE_BACK: _S.PENDING,
        _E.BEGIN: _S.IN_PROGRESS,
        _E.PASS_DUE: _S.OVERDUE,
        **_LEAVING,
    },
    _S.APPROVED: {
        _E.SCHEDULE: _S.SCHEDULED,
        _E.BEGIN: _S.IN_PROGRESS,
        _E.TAKE_BACK: _S.PENDING,
        _E.CHANGE: _S.PARTLY_APPROVED,
        **_LEAVING,
    },
    _S.SCHEDULED: {
        _E.BEGIN: _S.IN_PROGRESS,
        _E.UNSCHEDULE: _S.APPROVED,
        _E.TAKE_BACK: _S.PENDING,
        _E.CHANGE: _S.PARTLY_APPROVED,
        **_LEAVING,
    },
    _S.IN_PROGRESS: {
        _E.FINISH: _S.COMPLETED,
        _E.SCHEDULE: _S.SCHEDULED,
        _E.CEASE: _S.APPROVED,
        _E.CHANGE: _S.PARTLY_APPROVED,
        _E.PASS_DUE: _S.OVERDUE,
    },
    _S.DECLINED: {
        _E.APPROVE: _S.APPROVED,
        _E.APPROVE_PART: _S.PARTLY_APPROVED,
        _E.TAKE_BACK: _S.PENDING,
        _E.PASS_DUE: _S.OVERDUE,
        **_LEAVING,
    },
    _S.OVERDUE: {
        _E.APPROVE: _S.APPROVED,
        _E.SCHEDULE: _S.SCHEDULED,  # the policy lets it proceed, or the rest of it was approved
        _E.BEGIN: _S.IN_PROGRESS,
        _E.CHANGE: _S.PENDING,
        **_LEAVING,
    },
    _S.COMPLETED: {_E.REOPEN: _S.PENDING},
    _S.SUPERSEDED: {_E.REOPEN: _S.PENDING},
    _S.CANCELLED: {_E.REOPEN: _S.PENDING},
}
MOVES: MappingProxyType[tuple[RequestState, RequestEvent], RequestState] = MappingProxyType(
    {(before, event): after for before, moves in _TABLE.items() for event, after in moves.items()}
)

ENDED = frozenset({_S.COMPLETED, _S.SUPERSEDED, _S.CANCELLED})  # nothing is asked; the next item reopens it
ASKED = frozenset({_S.PENDING, _S.NOTIFIED, _S.PARTLY_APPROVED, _S.DECLINED, _S.OVERDUE})  # no word lets all of it go


def move(name: str, state: RequestState, event: RequestEvent) -> RequestState:
    """The state after `event`. Raises IllegalRequestMove, which tells it of `name`, when the table has no such move."""
    after = MOVES.get((state, event))
    if after is None:
        raise IllegalRequestMove(name, state, event)
    return after


def find_path(before: RequestState, after: RequestState) -> tuple[RequestEvent, ...]:
    """The fewest moves from one state to another: between two looks more than one thing may have happened."""
    found: dict[RequestState, tuple[RequestEvent, ...]] = {before: ()}
    queue = deque([before])
    while queue and after not in found:
        state = queue.popleft()
        for event, reached in _TABLE[state].items():
            if reached not in found:
                found[reached] = (*found[state], event)
                queue.append(reached)
    return found[after]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is on record of a request, or of a part of it, counted in units: nodes, and devices that drain none.

    `approved`: units that policy or approval lets go; `proceeding`: those that nobody answered for and that the policy
    lets go from the due date on; the rest lack something. `scheduled`: those of both with a time to come in a plan in
    force; `in_work`: under way now. `dated`: the due date of what was not approved, None when all is. `due_at`: when
    the time to choose is over for it: never before that date, nor before the notice that was promised is over; None
    while nobody was told. `ends`: the same by customer. `declined_until`: the no that holds for all that lacks
    something. `waits_for`: the customers of what was not approved. `ended`: how what it asked for last went away, once
    nothing is left.
    """

    is_open: bool
    units: int = 0
    approved: int = 0
    proceeding: int = 0
    scheduled: int = 0
    in_work: int = 0
    dated: datetime | None = None
    due_at: datetime | None = None
    ends: tuple[tuple[CustomerId, datetime], ...] = ()
    notified_at: datetime | None = None
    declined_until: datetime | None = None
    waits_for: tuple[CustomerId, ...] = ()
    ended: RequestState = RequestState.COMPLETED

    @property
    def lacking(self) -> int:
        """Units that may not go, whatever day it is."""
        return self.units - self.approved - self.proceeding

    def is_due(self, now: datetime) -> bool:
        """True when the time in which the customer may choose is over."""
        return self.due_at is not None and now >= self.due_at


def derive(evidence: Evidence, now: datetime) -> RequestState:
    """The state that the evidence shows at `now`. What waits for a word past its due date shows before all else: work
    that goes on beside it must not hide it.
    """
    if not evidence.is_open:
        return _S.IN_PROGRESS if evidence.in_work else evidence.ended
    is_due = evidence.is_due(now)
    if is_due and evidence.lacking:
        return _S.OVERDUE
    if evidence.in_work:
        return _S.IN_PROGRESS
    may_go = evidence.approved + (evidence.proceeding if is_due else 0)
    if evidence.units and may_go == evidence.units:
        if evidence.scheduled == evidence.units:
            return _S.SCHEDULED
        return _S.OVERDUE if evidence.proceeding else _S.APPROVED
    if evidence.declined_until is not None and now < evidence.declined_until:
        return _S.DECLINED
    if evidence.approved:
        return _S.PARTLY_APPROVED
    return _S.NOTIFIED if evidence.notified_at is not None else _S.PENDING


def mermaid() -> str:
    """The table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", f"    [*] --> {_S.PENDING}"]
    lines += [f"    {before} --> {after}: {event}" for (before, event), after in MOVES.items()]
    lines += [f"    {state} --> [*]" for state in RequestState if state in ENDED]
    return "\n".join(lines) + "\n"


def diagram_page() -> str:
    """The page docs/request-machine.md: the machine, drawn from its table."""
    command = "python -c 'from fermata.domain.request_states import diagram_page; print(diagram_page(), end=\"\")'"
    parts = ["# How a request moves", "", "```mermaid", mermaid().rstrip(), "```", ""]
    parts.append(f"Drawn from the table in `fermata.domain.request_states` by `{command}`.")
    return "\n".join(parts) + "\n"
