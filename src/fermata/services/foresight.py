"""How likely a run's campaign misses its deadline as things stand, and what would help: from the store, kept in it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from fermata.domain.campaign import Campaign, LimitKind
from fermata.domain.deadline_risk import ALERT_ABOVE, DeadlineRisk, Driver, Remedy
from fermata.domain.deviation import DID_NOT_RUN, RunFacts
from fermata.domain.ids import RunId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.windows import calendar_day, day_interval
from fermata.planning.inputs import Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.planning.risk.deadline import Foreseen, foresee_deadline
from fermata.planning.search import SearchOptions
from fermata.services.aside import Aside, AtOnce
from fermata.services.errors import refusing_unknown
from fermata.services.patience import overdue_after
from fermata.services.plans import Wanted, load_inputs, read_inputs
from fermata.services.run_facts import gather_facts
from fermata.store import journal, replans, runs, unit_counts, unit_ops
from fermata.store.database import Connection, Database
from fermata.store.journal import Entry

ONE_DAY = timedelta(days=1)
PLAYS = 250  # the standard error of a share near one in ten is then 0.02
PLAYS_OF_REMEDY = 125
SECONDS_MOST = 20  # for all plays, and again for each remedy that is planned
RAISE = 0.1  # of a limit on nodes out, as a remedy
REMEDIES_MOST = 3
REMEDIES_KEPT = timedelta(days=3)
ALIKE = 0.05  # two standard errors of a share of so many plays


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of a campaign. `inputs`: of the plan in force; `now`: of one that would follow it."""

    run: Run
    plan: Plan
    inputs: PlanningInput
    now: PlanningInput
    facts: RunFacts
    tail: int
    returned: int
    deadline: datetime

    @property
    def recovery_days(self) -> int:
        """How many days after its own a window that did not run may run at the earliest: its notice is told anew."""
        return 1 + math.ceil(self.now.lead / ONE_DAY)

    @property
    def ahead(self) -> Plan:
        """The plan with only the windows that have not opened."""
        names = {row.window for row in self.facts.windows if row.state in NOT_OPENED_YET}
        return replace(self.plan, windows=tuple(window for window in self.plan.windows if window.id in names))

    @property
    def homeless(self) -> int:
        """Nodes that need a window and have none."""
        lost = sum(row.nodes for row in self.facts.windows if row.state in DID_NOT_RUN)
        return lost + sum(len(names) for group in (self.facts.left, self.facts.new) for names in group.values())


def foresee(
    db: Database, run_id: RunId, now: datetime, aside: Aside[DeadlineRisk] | None = None
) -> DeadlineRisk | None:
    """Foresees once a campaign day and plan; what was foreseen before comes back. Nothing is held while it is played.
    None for a run that has no plan in force, and while it is worked out `aside`, under the run's id (None: at once).
    Raises AsideFailed.
    """
    if aside is None:
        aside = AtOnce()
    if aside.is_under_way(run_id):
        return None
    found = aside.take(run_id)
    if found is not None and (kept := _keep(db, found)) is not None:
        return kept
    with refusing_unknown(), db.read() as conn:
        left = _read(conn, run_id, now)
        last = replans.latest_risk(conn, run_id)
    if left is None:
        return None
    zone = left.now.campaign.timezone
    if last is not None and last.plan == left.plan.id and calendar_day(last.at, zone) == calendar_day(now, zone):
        return last
    aside.begin(run_id, partial(work_out, left, last, now))
    found = aside.take(run_id)
    return None if found is None else _keep(db, found)


def work_out(left: Left, last: DeadlineRisk | None, now: datetime) -> DeadlineRisk:
    """Plays what is left, and what would help; `last`: what was foreseen before. Reads nothing but a clock of how long
    it takes.
    """
    is_overdue = overdue_after(SECONDS_MOST)
    seen = foresee_deadline(
        left.inputs, left.ahead, plays=PLAYS, recovery_days=left.recovery_days, is_overdue=is_overdue
    )
    risk = _tell(left, seen, now)
    if risk.missed > ALERT_ABOVE:
        risk = _with_remedies(left, risk, last)
        risk = replace(risk, alert=_alert(left, risk))
    return risk


def _keep(db: Database, risk: DeadlineRisk) -> DeadlineRisk | None:
    """Kept, and an alert told. None: another plan has come into force, of which it says nothing."""
    with db.begin() as conn:
        run = runs.load_run(conn, risk.run)
        if run is None or run.plan != risk.plan:
            return None
        if risk.alert is not None:
            data = {"missed": risk.missed, "plan": risk.plan, "late_node_days": risk.late_node_days}
            why, subject = str(risk.alert), f"run:{risk.run}"
            line = Entry(at=risk.at, actor="conductor", event="deadline.at_risk", subject=subject, why=why, data=data)
            journal.append(conn, line)
        return replans.add_risk(conn, risk)


def _with_remedies(left: Left, risk: DeadlineRisk, last: DeadlineRisk | None) -> DeadlineRisk:
    """With what would help: each is planned and played, so what was tried lately of about the same risk is kept."""
    if last is not None and last.remedies_at is not None:
        is_alike = abs(last.missed - risk.missed) <= ALIKE
        if is_alike and risk.at - last.remedies_at < REMEDIES_KEPT:
            return replace(risk, remedies=last.remedies, remedies_at=last.remedies_at)
    found = sorted(_find_remedies(left), key=lambda remedy: (remedy.missed, remedy.moved))
    return replace(risk, remedies=tuple(found), remedies_at=risk.at)


def _read(conn: Connection, run_id: RunId, now: datetime) -> Left | None:
    run = runs.load_run(conn, run_id)
    if run is None:
        return None
    inputs = read_inputs(conn, run.campaign, now=now, wanted=Wanted(as_of=now))
    if inputs.parent is None or inputs.parent.id != run.plan:
        return None
    campaign = inputs.campaign
    daily = campaign.daily_window
    hours = day_interval(campaign.deadline, daily.start, daily.back_in_service_by, campaign.timezone)
    return Left(
        run=run,
        plan=inputs.parent,
        inputs=load_inputs(conn, inputs.parent),
        now=inputs,
        facts=gather_facts(conn, run, inputs),
        returned=sum(
            c.units
            for c in unit_counts.state_counts(conn, run_id)
            if c.kind is UnitKind.NODE and c.state is UnitState.RETURNED
        ),
        tail=sum(op.kind is UnitKind.NODE for op in unit_ops.tail_ops(conn, run_id)),
        deadline=hours.end,
    )


def _tell(left: Left, seen: Foreseen, now: datetime) -> DeadlineRisk:
    running = [row for row in left.facts.windows if row.state is WindowState.OPEN]
    late = [r for r in running if r.planned_end + timedelta(minutes=r.behind_minutes or 0) > left.deadline]
    sure = tuple(Driver(window=row.window, cluster=row.cluster, nodes=row.nodes, missed=1.0) for row in late)
    is_over = left.homeless > 0 and now + left.recovery_days * ONE_DAY > left.deadline
    tail_days = left.tail * _days_late_of_one(left, now)
    return DeadlineRisk(
        run=left.run.id,
        plan=left.plan.id,
        at=now,
        deadline=left.deadline,
        plays=seen.plays,
        missed=1.0 if sure or is_over else seen.missed,
        late_node_days=round(seen.late_node_days + tail_days, 1),
        late_node_days_p90=round(seen.late_node_days_p90 + tail_days, 1),
        windows=len(left.ahead.windows),
        homeless=left.homeless,
        drivers=(*sure, *seen.drivers),
        fan=tuple(replace(day, median=left.returned + day.median, bound=left.returned + day.bound) for day in seen.fan),
    )


def _days_late_of_one(left: Left, now: datetime) -> float:
    """Expected days after the deadline of a node on the tail list: repairs end at an exponential time."""
    mean = left.now.campaign.fallout.mean_days_to_repair
    ahead = max(0.0, (left.deadline - now) / ONE_DAY)
    return mean * math.exp(-ahead / mean) if mean > 0 else 0.0


def _find_remedies(left: Left) -> Iterator[Remedy]:
    """Each change planned from what is left, free to move all that was not told within the notice, and played."""
    inputs = replace(
        left.now, parent=None, observed=None, fleet=left.now.fleet_to_come, now=left.now.now + left.now.lead
    )
    told = {(window.cluster, window.start) for window in left.ahead.windows}
    for change, campaign in list(_changes(inputs.campaign))[:REMEDIES_MOST]:
        changed, is_overdue = replace(inputs, campaign=campaign), overdue_after(SECONDS_MOST)
        options = SearchOptions(is_overdue=is_overdue)
        outcome = plan_campaign(changed, new_plan_id="plan_remedy", hashes=left.plan.inputs, options=options)
        if not isinstance(outcome, Planned):
            continue
        plan = outcome.plan
        seen = foresee_deadline(
            changed, plan, plays=PLAYS_OF_REMEDY, recovery_days=left.recovery_days, is_overdue=is_overdue
        )
        moved = len(told - {(window.cluster, window.start) for window in plan.windows})
        yield Remedy(change=change, missed=seen.missed, moved=moved)


def _changes(campaign: Campaign) -> Iterator[tuple[str, Campaign]]:
    yield "dates planned anew", campaign
    if not campaign.weekends_staffed:
        yield "weekends staffed", replace(campaign, weekends_staffed=True)
    capped = next((x for x in campaign.limits if x.what is LimitKind.NODES_OUT and x.at_once is not None), None)
    if capped is not None and capped.at_once is not None:
        more = capped.at_once + math.ceil(RAISE * capped.at_once)
        limits = tuple(replace(x, at_once=more) if x is capped else x for x in campaign.limits)
        yield f"nodes_out {capped.at_once:,} raised to {more:,}", replace(campaign, limits=limits)
    daily = campaign.daily_window
    later = (datetime.combine(campaign.deadline, daily.back_in_service_by) + timedelta(hours=1)).time()
    if daily.back_in_service_by < later <= daily.hard_stop:
        longer = replace(daily, back_in_service_by=later)
        yield f"capacity back by {later:%H:%M}", replace(campaign, daily_window=longer)


def _alert(left: Left, risk: DeadlineRisk) -> Reason:
    first = risk.drivers[0] if risk.drivers else None
    better = [remedy for remedy in risk.remedies if remedy.missed < risk.missed]
    told = "; ".join(f"{x.change}: {x.missed:.0%}, {x.moved} date(s) moved" for x in better)
    homeless = f" {risk.homeless:,} node(s) have no window: see fermata replan." if risk.homeless else ""
    return reason(
        Code.DEADLINE_AT_RISK,
        campaign=left.run.campaign,
        deadline=f"{risk.deadline:%Y-%m-%d %H:%MZ}",
        percent=round(100 * risk.missed),
        node_days=f"{risk.late_node_days:,g}",
        driver=f", most often by {first.window} ({first.missed:.0%})" if first is not None else "",
        help=(f"What would help: {told}." if told else "No change that was tried helps.") + homeless,
    )
