"""What became of planning again by the conductor: the record of each time, and whether a person has to say yes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.ids import CampaignId, ClusterId, PlanId, RunId, WindowId
from fermata.domain.plan_diff import Change, PlanDiff, WindowChange
from fermata.domain.plans import Window
from fermata.domain.reasons import Code, Reason, reason

# What customers said themselves: a date that they took back is not one that we break.
OF_CUSTOMERS = frozenset(
    {
        Code.APPROVAL_DECLINED,
        Code.APPROVAL_WITHDRAWN,
        Code.DID_NOT_RUN,
        Code.LEFT_OVER,
        Code.NODES_GONE,
        Code.NOTHING_LEFT,
        Code.WITHDRAWN,
    }
)


class ReplanOutcome(StrEnum):
    """What came of it. Proposed: a person publishes it, or does not. Unchanged: the plan in force stays as it is."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    NO_PLAN = "no_plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplanLine:
    """One difference to the plan in force. Times: the first window's start before and after; None: no window."""

    change: Change
    cluster: ClusterId
    windows: tuple[WindowId, ...]
    nodes: int
    was: datetime | None
    now: datetime | None
    cause: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan:
    """One time that the conductor, or a person, planned again. `key`: of the facts that were the `causes`.

    `plan` None: there is none to publish. `needs`: why a person has to say so, and how; None when nobody has to.
    `seq` is 0 until it is stored.
    """

    run: RunId
    campaign: CampaignId
    at: datetime
    key: str
    causes: tuple[Reason, ...]
    outcome: ReplanOutcome
    parent: PlanId
    plan: PlanId | None = None
    ran: int = 0
    kept: int = 0
    lines: tuple[ReplanLine, ...] = ()
    needs: Reason | None = None
    seq: int = 0


def list_lines(diff: PlanDiff) -> tuple[ReplanLine, ...]:
    """The differences without the windows' nodes and steps."""
    return tuple(_line(change) for change in diff.changes)


def _line(change: WindowChange) -> ReplanLine:
    taken = change.now or change.was
    return ReplanLine(
        change=change.change,
        cluster=change.cluster,
        windows=tuple(window.id for window in taken),
        nodes=sum(len(window.nodes) for window in taken),
        was=_first(change.was),
        now=_first(change.now),
        cause=change.cause,
    )


def _first(windows: tuple[Window, ...]) -> datetime | None:
    return min((window.start for window in windows), default=None)


def find_broken(diff: PlanDiff, *, now: datetime, lead: timedelta) -> tuple[WindowChange, ...]:
    """Changes that take back a date told for a time nearer than the notice, without the customer's own word for it."""
    return tuple(
        change
        for change in diff.changes
        if change.change is not Change.CHANGED
        and change.cause.code not in OF_CUSTOMERS
        and any(now <= window.start < now + lead for window in change.was)
    )


def judge_alone(diff: PlanDiff, *, campaign: CampaignId, now: datetime, lead: timedelta) -> Reason | None:
    """Why a person has to publish the plan, or None when the conductor may by itself: no date inside its notice is
    taken back. That every move has a cause is in the type of a change.
    """
    broken = find_broken(diff, now=now, lead=lead)
    if not broken:
        return None
    first = broken[0]
    return reason(
        Code.REPLAN_BREAKS_DATES,
        windows=len(broken),
        example=first.was[0].id,
        start=f"{first.was[0].start:%Y-%m-%d %H:%MZ}",
        why=first.cause.sentence.rstrip("."),
        campaign=campaign,
    )
