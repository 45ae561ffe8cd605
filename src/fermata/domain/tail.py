"""The tail: who owns a unit that is not back, what is done about it next and when, and when it is tried once more.

Rules are data and come in the order in which they are asked; the last owner's rule fits everything, so that no unit is
ever without one. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean, median

from fermata.domain.decide_begin import Facts, bump, patience_for
from fermata.domain.decisions import Begin, Resume
from fermata.domain.fleet import Cluster
from fermata.domain.ids import ClusterId, CustomerId, OrderId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.policy import Said
from fermata.domain.reasons import Code
from fermata.domain.scripts import APPLY_PREFIX, DRAIN, LOCK, RESET_PREFIX, UNDO_PREFIX, VERIFY, as_apply
from fermata.domain.updates import Catalogue

REPAIRERS = "repair-crew"
CONDUCTOR = "conductor"
BY_RULE = "rule"


class TailStep(StrEnum):
    """What is done next about a unit on the tail list."""

    GO_ON = "go_on"  # work on it goes on by itself
    TRY_AGAIN = "try_again"  # one more try, by itself
    REPAIR = "repair"  # people mend it, the rest follows by itself
    GIVE_BACK = "give_back"  # it is proven, and its return was refused: asked again by itself


class Owner(StrEnum):
    """Who a rule makes the owner."""

    TEAM = "team"  # that owns the update which failed
    CUSTOMER = "customer"  # whose workload has to go
    REPAIRERS = "repairers"
    CONDUCTOR = "conductor"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRule:
    """Fits a unit whose reason has one of `codes` (none: any) at a step that begins so."""

    codes: frozenset[Code]
    step: str
    owner: Owner


OWNERS: Sequence[OwnerRule] = (
    OwnerRule(codes=frozenset({Code.IN_REPAIR}), step="", owner=Owner.REPAIRERS),
    OwnerRule(codes=frozenset({Code.DRAIN_SLOW}), step="", owner=Owner.CUSTOMER),
    OwnerRule(codes=frozenset(), step=DRAIN, owner=Owner.CUSTOMER),
    OwnerRule(codes=frozenset({Code.NODE_UNREACHABLE}), step="", owner=Owner.REPAIRERS),
    OwnerRule(codes=frozenset({Code.STEP_FAILED}), step=APPLY_PREFIX, owner=Owner.TEAM),
    OwnerRule(codes=frozenset({Code.STEP_FAILED}), step=UNDO_PREFIX, owner=Owner.TEAM),
    OwnerRule(codes=frozenset({Code.STEP_FAILED}), step=VERIFY, owner=Owner.REPAIRERS),
    OwnerRule(codes=frozenset(), step="", owner=Owner.CONDUCTOR),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondTry:
    """A failed unit with that reason, at a step that begins so, is tried again `after` it failed, `times` at most."""

    code: Code
    step: str
    after: timedelta
    times: int


SECOND_TRIES: Sequence[SecondTry] = (
    SecondTry(code=Code.NODE_UNREACHABLE, step="", after=timedelta(minutes=30), times=1),
    SecondTry(code=Code.STEP_FAILED, step=VERIFY, after=timedelta(hours=1), times=1),
)  # a second power cycle brings back a good part of what hung at the first; a third has not been seen to


@dataclass(frozen=True, slots=True, kw_only=True)
class TailItem:
    """What is on record of a unit on the tail list. `owned_by`: BY_RULE, or who assigned it. `tries`: further tries
    since it is listed. `retry`: somebody wants one more. `promised_at`: when its repair is promised; None: unknown.
    """

    run: RunId
    window: WindowId
    unit: str
    owner: str
    owned_by: str
    listed_at: datetime
    promised_at: datetime | None = None
    order: OrderId | None = None
    tries: int = 0
    retry: Said | None = None
    retry_why: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The next step and when it is due, or looked at; None: nothing is known of it."""

    step: TailStep
    at: datetime | None


def choose_owner(op: UnitOp, cluster: Cluster, catalogue: Catalogue, rules: Sequence[OwnerRule] = OWNERS) -> str:
    """The name of the team or customer that owns a unit by the first rule that fits it."""
    step = op.step.removeprefix(RESET_PREFIX)
    code = op.reason.code if op.reason is not None else None
    rule = next(r for r in rules if (not r.codes or code in r.codes) and step.startswith(r.step))
    match rule.owner:
        case Owner.CUSTOMER:
            return cluster.customer
        case Owner.REPAIRERS:
            return REPAIRERS
        case Owner.TEAM:
            update = catalogue.updates.get(UpdateId(as_apply(step).removeprefix(APPLY_PREFIX)))
            return update.owner_team if update is not None else CONDUCTOR
        case Owner.CONDUCTOR:
            return CONDUCTOR


def find_second_try(op: UnitOp, tries: int, rules: Sequence[SecondTry] = SECOND_TRIES) -> datetime | None:
    """When the unit is tried again by itself, by the first rule that fits; None: it is not."""
    if op.state is not UnitState.FAILED or op.reason is None or op.failed_at is None:
        return None
    step = op.step.removeprefix(RESET_PREFIX)
    if op.kind is UnitKind.DEVICE and step != op.step:  # its reset may go on still, and it is not reset once more
        return None
    rule = next((r for r in rules if r.code is op.reason.code and step.startswith(r.step)), None)
    return None if rule is None or tries >= rule.times else op.failed_at + rule.after


def plan_next(op: UnitOp, item: TailItem) -> Next:
    """What happens next to a unit on the list."""
    if op.state is UnitState.FAILED:
        again = op.next_at if item.retry is not None else find_second_try(op, item.tries)
        if again is not None:
            return Next(step=TailStep.TRY_AGAIN, at=again)
        return Next(step=TailStep.REPAIR, at=item.promised_at)
    if op.state is UnitState.IN_REPAIR:
        return Next(step=TailStep.REPAIR, at=item.promised_at)
    if op.state is UnitState.PROVEN:
        return Next(step=TailStep.GIVE_BACK, at=op.next_at)
    return Next(step=TailStep.GO_ON, at=op.next_at)


def try_again(op: UnitOp, facts: Facts) -> Begin | Resume:
    """One more try of what a failed unit failed in, under a fresh key: after a power cycle where it is a node that
    holds no workload; a device, or a node that still may hold one, is only asked once more.
    """
    failed_in = op.step.removeprefix(RESET_PREFIX)
    retries = bump(op.retries, (failed_in,))
    if op.kind is UnitKind.DEVICE:
        return Resume(event=UnitEvent.REPAIRED, applied=0, active=0, retries=retries)
    if failed_in in (LOCK, DRAIN):
        return Resume(event=UnitEvent.LOCK, applied=op.applied, active=op.active, retries=retries)
    return Begin(
        event=UnitEvent.RESET,
        step=RESET_PREFIX + failed_in,
        attempt=max(op.retries.get(failed_in, 0), op.attempt) + 1,
        position=op.position,
        patience=patience_for(RESET_PREFIX, facts),
        slip_minutes=op.slip_minutes,
        changes_unit=True,
    )


def may_try_again(op: UnitOp) -> bool:
    """Only what failed is tried once more, whether its repair notice could be delivered or not."""
    return op.state is UnitState.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairSpell:
    """One stretch of time for which a unit waited for its repair. `cause`: a reason's code, or the kind of its order.
    `ended_at` None: it waits still.
    """

    unit: str
    kind: UnitKind
    cause: str
    cluster: ClusterId
    customer: CustomerId
    sku: str
    since: datetime
    ended_at: datetime | None


class RepairGroup(StrEnum):
    """What times to repair may be told by."""

    CAUSE = "cause"
    CUSTOMER = "customer"
    SKU = "sku"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairTime:
    """Times to repair of one group, in hours. Open ones count as at least as long as they last already, so that mean
    and median are lower bounds while `open_now` is not 0.
    """

    group: RepairGroup
    name: str
    repaired: int
    open_now: int
    mean_hours: float
    median_hours: float


def time_repairs(spells: Sequence[RepairSpell], now: datetime) -> tuple[RepairTime, ...]:
    """By every group, then by name."""
    found = []
    for group in RepairGroup:
        names = sorted({getattr(spell, group.value) for spell in spells})
        for name in names:
            members = [spell for spell in spells if getattr(spell, group.value) == name]
            hours = [max(0.0, ((s.ended_at or now) - s.since) / timedelta(hours=1)) for s in members]
            found.append(
                RepairTime(
                    group=group,
                    name=name,
                    repaired=sum(s.ended_at is not None for s in members),
                    open_now=sum(s.ended_at is None for s in members),
                    mean_hours=round(fmean(hours), 2),
                    median_hours=round(median(hours), 2),
                )
            )
    return tuple(found)
