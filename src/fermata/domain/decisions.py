"""What may be decided about one unit, and `carry_out`, which turns a decision into the unit's next row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from fermata.domain.moving import moved
from fermata.domain.node_states import UnitEvent, UnitKind, advance
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.reasons import Code, Reason, reason

TRIES_MAX = 3  # of one step between two repairs: a fourth try of a firmware write has never helped anyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Start `step`: intent first, then the port call. `patience`: how long before it counts as hung.

    `why`: the failure that a reset, or another lock, answers. `retries`: as they are after a try that is counted only
    now.
    """

    event: UnitEvent
    step: str
    attempt: int
    position: int
    patience: timedelta
    slip_minutes: int
    changes_unit: bool
    why: str = ""
    retries: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandBack:
    """The proven node goes back to its workloads, or is unlocked and left out of service as it was found."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Ask again under the same key: the target never heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Under way, or waiting for a repair: look again at `until`. `reason`: why an operator should know.

    `listed`: it is on the tail list from now on. `held`: it has not begun and may not, so its time does not run.
    """

    until: datetime
    reason: Reason | None = None
    listed: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Nothing may begin: wait at `gate`, looked at again at `until` at the latest. `listed`: a person has to know."""

    gate: Gate
    reason: Reason
    position: int
    step: str
    until: datetime
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndStep:
    """The step ended; what is written and what runs now, and the tries so far. `why`: it did not succeed."""

    event: UnitEvent
    applied: int
    active: int
    retries: Mapping[str, int]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Every targeted component reports its target, and the unit is healthy.

    `reason`: why it goes back although not everything is done, which an abort has; `event` then may be `unchanged`.
    """

    active: int
    event: UnitEvent = UnitEvent.PROVE
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Onto the tail list: a repair is asked for, and nothing more is tried before it is done.

    `retries`: as they are after a try that is counted only now.
    """

    reason: Reason
    retries: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """To the people of a work order, and onto the tail list: they are told, and nothing is done before they are done.

    `retries`: of the step it failed in before, that it is done again under a fresh key.
    """

    step: str
    attempt: int
    retries: Mapping[str, int]
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Repaired: go on with what is not proven, with fresh tries under fresh keys."""

    event: UnitEvent
    applied: int
    active: int
    retries: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The unit is out of our hands: returned, kept out as found, or never taken. `reason`: why it was not."""

    event: UnitEvent
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """The target took the call. `check_again_at`: when it may be done; None: the call was all there is to it."""

    check_again_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Whether the target took the call is unknown: observe before asking again."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Postpone:
    """The target said no for now: the same key again at `until`. `stuck`: an operator has to know. `unmade`: it was not
    asked, and why.
    """

    until: datetime
    stuck: Reason | None = None
    unmade: str = ""


Decision = Begin | HandBack | Repeat | Watch | Park | EndStep | Prove | GiveUp | HandOver | Resume | Leave
Settlement = Accept | Doubt | Postpone | Begin | EndStep | GiveUp | Leave


def carry_out(op: UnitOp, decision: Decision, now: datetime) -> UnitOp:
    """The row after `decision`, with a higher version. Raises IllegalMove."""
    match decision:
        case Begin():
            return _begin(op, decision, now)
        case EndStep() | Resume():
            return _end(op, decision, now)
        case Prove():
            return _prove(op, decision, now)
        case GiveUp():
            return _give_up(op, decision, now)
        case HandOver():
            return _hand_over(op, decision, now)
        case Leave():
            return _leave(op, decision, now)
        case _:
            return _stay(op, decision, now)


def _stay(op: UnitOp, decision: HandBack | Repeat | Watch | Park, now: datetime) -> UnitOp:
    match decision:
        case HandBack(step=step):
            return moved(
                op,
                step=step,
                attempt=op.retries.get(step, 0) + 1,
                asked=Asked.INTENDED,
                next_at=now,
                step_started_at=now,
                version=op.version + 1,
            )
        case Repeat():
            told = op.reason if op.tail_since or _goes_early(op) else None
            return moved(op, asked=Asked.INTENDED, reason=told, next_at=now, version=op.version + 1)
        case Watch():
            return _watch(op, decision, now)
        case Park():
            return _park(op, decision, now)
        case _:
            assert_never(decision)


def settle(op: UnitOp, answer: Settlement, now: datetime) -> UnitOp:
    """The row after its port call was answered, with a higher version."""
    match answer:
        case Accept(check_again_at=until):
            if until is None:
                return moved(op, asked=Asked.NOTHING, next_at=now, version=op.version + 1)
            return moved(
                op,
                asked=Asked.UNDER_WAY,
                next_at=min(until, op.limit_at) if op.limit_at else until,
                version=op.version + 1,
            )
        case Doubt(until=until):
            return moved(op, asked=Asked.UNSURE, next_at=until, version=op.version + 1)
        case Postpone(until=until, stuck=stuck):
            return moved(
                op,
                next_at=until,
                reason=stuck or op.reason,
                tail_since=op.tail_since or (now if stuck else None),
                version=op.version + 1,
            )
        case _:
            return carry_out(op, answer, now)


def _watch(op: UnitOp, decision: Watch, now: datetime) -> UnitOp:
    waits = decision.until - now if decision.held else timedelta(0)
    return moved(
        op,
        next_at=decision.until,
        reason=op.reason if op.astray_since is not None else decision.reason or op.reason,
        step_started_at=op.step_started_at + waits if op.step_started_at else None,
        limit_at=op.limit_at + waits if op.limit_at else None,
        tail_since=op.tail_since or (now if decision.listed else None),
        version=op.version + 1,
    )


def _goes_early(op: UnitOp) -> bool:
    return op.reason is not None and op.reason.code is Code.GIVEN_BACK


def _leave(op: UnitOp, decision: Leave, now: datetime) -> UnitOp:
    given_back = op.reason if _goes_early(op) else None
    return moved(
        op,
        state=advance(op.kind, op.state, decision.event),
        asked=Asked.NOTHING,
        gate=None,
        next_at=None,
        limit_at=None,
        reason=decision.reason or given_back,
        finished_at=now,
        version=op.version + 1,
    )


def _begin(op: UnitOp, decision: Begin, now: datetime) -> UnitOp:
    return moved(
        op,
        state=advance(op.kind, op.state, decision.event),
        step=decision.step,
        attempt=decision.attempt,
        retries=op.retries if decision.retries is None else decision.retries,
        position=decision.position,
        asked=Asked.INTENDED,
        gate=None,
        reason=_kept_reason(op, decision),
        next_at=now,
        step_started_at=now,
        limit_at=now + decision.patience,
        slip_minutes=decision.slip_minutes,
        begun=op.begun or decision.changes_unit,
        locked_at=op.locked_at or (now if decision.event is UnitEvent.LOCK else None),
        astray_since=None if decision.event is UnitEvent.DRAIN else op.astray_since,
        version=op.version + 1,
    )


def _kept_reason(op: UnitOp, decision: Begin) -> Reason | None:
    """Whoever is on the tail list stays there with the reason; a node that is drained again is in our hands again."""
    if decision.event is UnitEvent.DRAIN and op.astray_since is not None:
        return reason(Code.NODE_REGAINED, unit=op.unit, at=f"{op.astray_since:%Y-%m-%d %H:%MZ}")
    return op.reason if op.tail_since else None


def _park(op: UnitOp, decision: Park, now: datetime) -> UnitOp:
    return moved(
        op,
        gate=decision.gate,
        reason=decision.reason,
        position=decision.position,
        step=decision.step,
        asked=Asked.NOTHING,
        next_at=decision.until,
        tail_since=op.tail_since or (now if decision.listed else None),
        version=op.version + 1,
    )


def _end(op: UnitOp, decision: EndStep | Resume, now: datetime) -> UnitOp:
    resumed = isinstance(decision, Resume)
    return moved(
        op,
        state=advance(op.kind, op.state, decision.event),
        asked=Asked.NOTHING,
        applied=decision.applied,
        active=decision.active,
        retries=decision.retries,
        tries_max=op.tries_max + TRIES_MAX if resumed else op.tries_max,
        drained_at=now if decision.event is UnitEvent.EMPTIED else op.drained_at,
        failed_at=None,
        next_at=now,
        limit_at=None,
        version=op.version + 1,
    )


def _prove(op: UnitOp, decision: Prove, now: datetime) -> UnitOp:
    is_final = op.kind is not UnitKind.NODE  # a node still goes back
    return moved(
        op,
        state=advance(op.kind, op.state, decision.event),
        asked=Asked.NOTHING,
        applied=decision.active,
        active=decision.active,
        gate=None,
        reason=decision.reason,
        next_at=None if is_final else now,
        limit_at=None,
        failed_at=None,
        finished_at=now if is_final else None,
        version=op.version + 1,
    )


def _give_up(op: UnitOp, decision: GiveUp, now: datetime) -> UnitOp:
    return moved(
        op,
        state=advance(op.kind, op.state, UnitEvent.GIVE_UP),
        retries=op.retries if decision.retries is None else decision.retries,
        asked=Asked.INTENDED,
        gate=None,
        reason=decision.reason,
        next_at=now,
        limit_at=None,
        failed_at=now,
        tail_since=op.tail_since or now,
        version=op.version + 1,
    )


def _hand_over(op: UnitOp, decision: HandOver, now: datetime) -> UnitOp:
    return moved(
        op,
        state=advance(op.kind, op.state, UnitEvent.HAND_OVER),
        step=decision.step,
        attempt=decision.attempt,
        retries=decision.retries,
        asked=Asked.INTENDED,
        gate=None,
        reason=decision.reason,
        next_at=now,
        step_started_at=now,
        limit_at=None,
        failed_at=op.failed_at or now,
        tail_since=op.tail_since or now,
        version=op.version + 1,
    )
