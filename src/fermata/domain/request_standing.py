"""A request's state with why it is so, what is needed next and from whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fermata.domain.ids import RequestId
from fermata.domain.policy import Policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import Evidence, RequestState, derive

CONDUCTOR = "conductor"


class NextStep(StrEnum):
    """What a request needs next."""

    NOTIFY = "notify"
    ANSWER = "answer"
    ESCALATE = "escalate"
    PLAN = "plan"
    BEGIN = "begin"  # a work order
    WAIT = "wait"
    CONDUCT = "conduct"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`who` has to do `needed` next: customers by their ids, or the conductor; nobody when nothing is needed.

    `approvers`: the people who may speak for those customers.
    """

    state: RequestState
    why: Reason
    needed: NextStep
    who: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OnRecord:
    """What is known beside what is asked for. `scheduled`: nodes and devices with a time to come in a plan in force;
    `in_work`: those under way. `notified`: when customers were told of what a request asks for now. `ended`: how
    requests came to their end of which nothing is left.
    """

    now: datetime
    scheduled: frozenset[str] = frozenset()
    in_work: frozenset[str] = frozenset()
    notified: Mapping[RequestId, datetime] = field(default_factory=dict)
    ended: Mapping[RequestId, RequestState] = field(default_factory=dict)


def stand(evidence: Evidence, policy: Policy, now: datetime, kind: RequestKind = RequestKind.DEPLOYMENT) -> Standing:
    """The state that follows from the evidence of a request of that kind, and what it calls for."""
    state = derive(evidence, now)
    code, needed = _CALLS[state]
    if state is RequestState.OVERDUE and not evidence.lacking:
        code, needed = Code.REQUEST_PROCEEDS, NextStep.PLAN
    if needed is NextStep.PLAN and kind is not RequestKind.DEPLOYMENT:
        needed = NextStep.BEGIN
        code = Code.REQUEST_MAY_BEGIN if code is Code.REQUEST_APPROVED else code
    asked = evidence.waits_for if needed in (NextStep.NOTIFY, NextStep.ANSWER, NextStep.ESCALATE) else ()
    approvers = {a for name in asked if name in policy.customers for a in policy.customers[name].approvers}
    who: tuple[str, ...] = (CONDUCTOR,) if needed in _OF_CONDUCTOR else tuple(asked)
    return Standing(state=state, why=_say(code, evidence), needed=needed, who=who, approvers=tuple(sorted(approvers)))


def say_silent(evidence: Evidence) -> Reason:
    """That the time to choose is over without a word, by the evidence of one customer's part."""
    return _say(Code.REQUEST_OVERDUE if evidence.lacking else Code.REQUEST_PROCEEDS, evidence)


_CALLS: Mapping[RequestState, tuple[Code, NextStep]] = {
    RequestState.PENDING: (Code.REQUEST_PENDING, NextStep.NOTIFY),
    RequestState.NOTIFIED: (Code.REQUEST_NOTIFIED, NextStep.ANSWER),
    RequestState.PARTLY_APPROVED: (Code.REQUEST_PARTLY_APPROVED, NextStep.ANSWER),
    RequestState.APPROVED: (Code.REQUEST_APPROVED, NextStep.PLAN),
    RequestState.SCHEDULED: (Code.REQUEST_SCHEDULED, NextStep.WAIT),
    RequestState.IN_PROGRESS: (Code.REQUEST_IN_PROGRESS, NextStep.CONDUCT),
    RequestState.COMPLETED: (Code.REQUEST_COMPLETED, NextStep.NOTHING),
    RequestState.DECLINED: (Code.REQUEST_DECLINED, NextStep.WAIT),
    RequestState.SUPERSEDED: (Code.REQUEST_SUPERSEDED, NextStep.NOTHING),
    RequestState.CANCELLED: (Code.REQUEST_CANCELLED, NextStep.NOTHING),
    RequestState.OVERDUE: (Code.REQUEST_OVERDUE, NextStep.ESCALATE),
}
_OF_CONDUCTOR = frozenset({NextStep.PLAN, NextStep.BEGIN, NextStep.CONDUCT})


def _say(code: Code, evidence: Evidence) -> Reason:
    return reason(
        code,
        units=_count(evidence.units),
        waiting=_count(evidence.lacking + evidence.proceeding),
        approved=_count(evidence.approved),
        lacking=_count(evidence.lacking),
        proceeding=_count(evidence.proceeding),
        unscheduled=_count(evidence.units - evidence.scheduled),
        in_work=_count(evidence.in_work),
        who=" and ".join(evidence.waits_for) or "its customer",
        due=_say_end(evidence),
        told=_time(evidence.notified_at),
        until=_time(evidence.declined_until),
    )


def _say_end(evidence: Evidence) -> str:
    """When the time to choose is over, and why that is not the due date, where it is not."""
    dated = f"due {_time(evidence.dated)}"
    if evidence.due_at is None and evidence.dated is not None:
        return f"the promised notice is over ({dated}, but the notice counts from when they are told)"
    if evidence.dated is None or evidence.due_at is None or evidence.due_at <= evidence.dated:
        return _time(evidence.due_at)
    return f"{_time(evidence.due_at)} ({dated}, but the promised notice counts from when they were told)"


def _count(units: int) -> str:
    return f"{units:,} unit{'' if units == 1 else 's'}"


def _time(at: datetime | None) -> str:
    return "an unknown time" if at is None else f"{at:%Y-%m-%d %H:%MZ}"
