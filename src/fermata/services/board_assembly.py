"""From what was read to what the board shows. Pure: the same values at the same instant give the same board."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from fermata.domain.campaign import Campaign, LimitKind
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import ASTRAY, Code
from fermata.domain.run_states import NOT_OPENED_YET, RunState
from fermata.domain.tail import TailStep
from fermata.domain.windows import calendar_day, local_to_utc
from fermata.services.board_curves import SampleBuckets, planned_curve
from fermata.services.board_lanes import Conduct, make_axis, make_days, make_lanes, pick_day, slip_of
from fermata.services.board_views import (
    Board,
    Day,
    Figures,
    Head,
    Lane,
    Mark,
    NextStep,
    Pace,
    Slip,
    Stage,
    TailPage,
    TailReason,
    TailRow,
)
from fermata.services.run_views import RunStatus, TailEntry
from fermata.services.words import chance_words, span_words

TAIL_PAGE_ROWS = 12
NEXT_WORDS = {
    TailStep.GO_ON: "goes on",
    TailStep.TRY_AGAIN: "tried again",
    TailStep.REPAIR: "repair",
    TailStep.GIVE_BACK: "return asked again",
}
ONE_DAY = timedelta(days=1)
STAGES = {
    RunState.RUNNING: Stage.RUNNING,
    RunState.PAUSED: Stage.PAUSED,
    RunState.STOPPING: Stage.STOPPED,
    RunState.STOPPED: Stage.STOPPED,
    RunState.FINISHED: Stage.FINISHED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The plan in force with those that its run followed before. `windows` holds the newest of each id."""

    plan: Plan
    windows: tuple[Window, ...]
    nodes: int

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> "Followed":
        """From plans, oldest first; `nodes` counts every node that any of them names, once."""
        windows = {window.id: window for plan in plans for window in plan.windows}
        nodes = {node for window in windows.values() for node in window.nodes}
        nodes |= {node for left in plans[-1].unplanned for node in left.nodes}
        return cls(plan=plans[-1], windows=tuple(windows.values()), nodes=len(nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A campaign with its plan in force, and the run that conducts it once it was started."""

    campaign: Campaign
    followed: Followed
    status: RunStatus | None


def no_campaign(now: datetime) -> Board:
    """The board of an empty store."""
    step = NextStep(
        sentence="Nothing is imported yet. Import fleet, updates, policy and campaign in one go, or one by one:",
        commands=("fermata import scenario DIR", "fermata import fleet|updates|policy|campaign PATH"),
    )
    return Board(now=now, stage=Stage.NO_CAMPAIGN, next_step=step)


def without_plan(campaign: Campaign, now: datetime, *, drafts: int) -> Board:
    """The board of a campaign without a plan in force; `drafts` plans are stored for it."""
    if drafts:
        step = NextStep(sentence="A plan is stored but not in force. Publish it:", commands=("fermata publish PLAN",))
    else:
        step = NextStep(
            sentence="No plan yet. See what is asked for, collect approvals, plan, publish:",
            commands=(
                "fermata requests",
                "fermata approve supercomputer NAME",
                "fermata plan DIR --out plan.json",
                "fermata publish plan.json",
            ),
        )
    return Board(now=now, stage=Stage.NO_PLAN, head=_head(campaign, now, None, None), next_step=step)


def assemble(subject: Subject, conduct: Conduct, buckets: SampleBuckets, now: datetime) -> Board:
    """The board of a campaign with a plan."""
    campaign, status = subject.campaign, subject.status
    windows = [window for window in subject.followed.windows if not conduct.is_cancelled(window)]
    stage = STAGES[status.state] if status else Stage.NOT_STARTED
    days = make_days(campaign, windows, conduct, now)
    shown = pick_day(days)
    by_id: dict[str, Window] = {window.id: window for window in windows}
    lanes = make_lanes(shown, by_id, conduct, now) if shown else ()
    planned = planned_curve(windows)
    end = local_to_utc(days[-1].day + ONE_DAY, time.min, campaign.timezone)
    tail = _tail_rows(status.tail) if status else ()
    counted = Counter(row.code for row in tail)
    return Board(
        now=now,
        stage=stage,
        head=_head(campaign, now, subject.followed.plan, status),
        next_step=_start_step(campaign) if status is None else None,
        note=_note(stage, days, lanes, counted),
        trains=_trains(status),
        needs=tuple(need.sentence for need in status.needs) if status else (),
        deadline=_deadline(status) if status else None,
        figures=_figures(subject, conduct, days, lanes, now),
        days=days,
        axis=make_axis(campaign, shown, lanes) if shown else None,
        lanes_day=shown.day if shown else None,
        lanes=lanes,
        tail=tuple(TailReason(code=code, nodes=nodes) for code, nodes in counted.most_common()),
        tail_rows=tail,
        curves=buckets.curves(max(end, now), planned),
    )


def _trains(status: RunStatus | None) -> str | None:
    riding = [train for train in status.trains if train.closed_at is None] if status else []
    if not riding:
        return None
    proven, riders = sum(t.proven for t in riding), sum(t.riders for t in riding)
    return f"{len(riding)} impactless train(s) go: {proven:,} of {riders:,} nodes proven, all in service."


def tail_page(board: Board, *, page: int, code: str | None) -> TailPage:
    """One page of the tail, of one reason if `code` is given. A page past the last is the last."""
    rows = [row for row in board.tail_rows if code is None or row.code == code]
    pages = max(1, -(-len(rows) // TAIL_PAGE_ROWS))
    page = min(page, pages)
    first = (page - 1) * TAIL_PAGE_ROWS
    shown = tuple(rows[first : first + TAIL_PAGE_ROWS])
    return TailPage(rows=shown, page=page, pages=pages, total=len(rows), code=code)


def _start_step(campaign: Campaign) -> NextStep:
    return NextStep(
        sentence="The plan is published and waits for its start:", commands=(f"fermata start {campaign.id}",)
    )


def _head(campaign: Campaign, now: datetime, plan: Plan | None, status: RunStatus | None) -> Head:
    day = (calendar_day(now, campaign.timezone) - campaign.first_day).days + 1
    return Head(
        id=campaign.id,
        title=campaign.title,
        timezone=campaign.timezone,
        day=day if day >= 1 else None,
        days=(campaign.deadline - campaign.first_day).days + 1,
        first_day=campaign.first_day,
        deadline=campaign.deadline,
        plan=plan.id if plan else None,
        run=status.run if status else None,
    )


def _figures(subject: Subject, conduct: Conduct, days: Sequence[Day], lanes: Sequence[Lane], now: datetime) -> Figures:
    status = subject.status
    windows = [window for window in subject.followed.windows if not conduct.is_cancelled(window)]
    today = next((day for day in days if day.is_today and day.chips), None)
    lanes = lanes if today else ()
    to_open = [w.start for w in windows if _may_open(conduct, w) and w.start > now]
    chips = [chip for day in days for chip in day.chips]
    end = max((lane.forecast for lane in lanes), default=None)
    promised = max((lane.chip.end for lane in lanes), default=None)
    return Figures(
        in_scope=subject.followed.nodes,
        returned=status.nodes_returned if status else 0,
        due_back=sum(len(w.nodes) for w in windows if w.end <= now),
        out=status.nodes_out if status else 0,
        cap=_cap(subject.campaign),
        baseline=status.baseline_in_service if status else 0,
        in_service=status.in_service if status else 0,
        tail=status.nodes_in_tail if status else 0,
        windows=len(chips),
        windows_done=sum(chip.closed is not None for chip in chips),
        end=end,
        promised=promised,
        next_start=min(to_open, default=None),
        slip=_slip_today(lanes),
    )


def _may_open(conduct: Conduct, window: Window) -> bool:
    status = conduct.windows.get(window.id)
    return status is None or status.state in NOT_OPENED_YET


def _slip_today(lanes: Sequence[Lane]) -> Slip:
    """The day's last end, forecast against planned; nothing to compare before the first window opened."""
    begun = any(lane.opened or lane.slip.pace is Pace.BEHIND for lane in lanes)
    if not begun:
        return Slip(pace=Pace.NONE)
    late = max(lane.forecast for lane in lanes) - max(lane.chip.end for lane in lanes)
    last = max(lanes, key=lambda lane: (lane.forecast, lane.chip.id))
    in_spare_time = late <= timedelta(0) and last.closed is None and last.foretold is not None
    return last.slip if in_spare_time else slip_of(late)


def _cap(campaign: Campaign) -> int | None:
    """The tightest limit on nodes out over the whole scope; limits on a part of it are not the campaign's cap."""
    whole = [
        limit.at_once
        for limit in campaign.limits
        if limit.what is LimitKind.NODES_OUT and limit.at_once is not None and not limit.where.conditions
    ]
    return min(whole, default=None)


def _deadline(status: RunStatus) -> str | None:
    risk = status.deadline_risk
    if risk is None or any(need.code is Code.DEADLINE_AT_RISK for need in status.needs):
        return None  # that says it all
    missed = f"The deadline is missed in {risk.missed:.0%} of {risk.plays:,} plays of what is left"
    return f"{missed}, with {risk.late_node_days:,g} late node-days on average."


def _note(stage: Stage, days: Sequence[Day], lanes: Sequence[Lane], tail: Mapping[str, int]) -> str | None:
    """What a conductor should look at first, or None. `tail`: nodes on the tail list by code."""
    if stage in (Stage.NOT_STARTED, Stage.FINISHED):
        return None
    astray = sum(tail.get(code, 0) for code in ASTRAY)
    them, their = ("it", "its") if astray == 1 else ("them", "their")
    first = [f"{_nodes(astray)} out of our hands: find out who scaled {them} in, or took {their} lock off"]
    first = first if astray else []
    if stage is not Stage.RUNNING:
        return f"{first[0]}." if first else None
    missed = sum(chip.mark is Mark.MISSED for day in days for chip in day.chips)
    behind = [lane for lane in lanes if lane.slip.pace is Pace.BEHIND and lane.closed is None]
    told = first
    at_risk = [lane for lane in lanes if lane.foretold is not None and lane.foretold.is_alarming]
    if at_risk:
        told.append(_needs_you(at_risk))
    if behind:
        worst = max(behind, key=lambda lane: lane.slip.by)
        told.append(f"{_windows(len(behind))} behind, worst {worst.chip.cluster} by {span_words(worst.slip.by)}")
    if missed:
        told.append(f"{_windows(missed)} missed, to be planned again")
    return "; ".join(told) + "." if told else None


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


def _needs_you(at_risk: Sequence[Lane]) -> str:
    """The promise that is least sure, and what would help it most."""
    sure = [(lane.foretold.kept or 0.0, lane) for lane in at_risk if lane.foretold is not None]
    kept, worst = min(sure, key=lambda one: (one[0], one[1].chip.id))
    helps = worst.foretold.helps if worst.foretold is not None else ()
    best = f" ({chance_words(helps[0].kept)} if you {helps[0].sentence})" if helps else ""
    return f"{worst.chip.cluster} needs you: its promise is kept with {chance_words(kept)}{best}"


def _windows(count: int) -> str:
    return f"{count} window{'' if count == 1 else 's'}"


def _tail_rows(tail: Sequence[TailEntry]) -> tuple[TailRow, ...]:
    return tuple(
        TailRow(
            node=entry.unit,
            cluster=entry.cluster,
            window=entry.window,
            since=entry.since,
            code=entry.reason.code,
            sentence=entry.reason.sentence,
            owner=entry.owner,
            next_step=NEXT_WORDS[entry.next_step],
            next_at=entry.next_at,
        )
        for entry in tail
    )
