"""Planning again while a campaign is conducted: by the conductor when reality differs, and by a person who asks.

A plan is solved outside of any transaction. What came of it is stored in one, with the plan itself and, where the
conductor may, its publication and the run's going over to it: cut off anywhere, nothing is half in force.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.deviation import Deviation, find_deviation
from fermata.domain.ids import CampaignId, PlanId, RunId
from fermata.domain.operations import Run
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plan_diff import PlanDiff
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.replans import Replan, ReplanOutcome, judge_alone, list_lines
from fermata.domain.run_states import LIVE_RUNS, Desired, ReplanMode
from fermata.planning.inputs import Infeasible, Planned
from fermata.services.aside import Aside, AsideFailed, AtOnce
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.foresight import foresee
from fermata.services.plans import (
    Solved,
    Wanted,
    judge_inputs,
    keep_plan,
    publish_in,
    read_inputs,
    refusing_faulted,
    solve,
)
from fermata.services.run_facts import gather_facts
from fermata.services.runs import find_run, go_over
from fermata.store import journal, replans, runs
from fermata.store import plans as plan_store
from fermata.store.database import Connection, Database
from fermata.store.journal import Entry

CONDUCTOR = "conductor"
NO_DEVIATION = Deviation(causes=(), key="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Who plans again, for which run, why, and whether the outcome is put in force when nothing speaks against it."""

    run: Run
    parent: PlanId
    deviation: Deviation
    publishes: bool
    actor: str
    now: datetime


@dataclass(frozen=True, slots=True)
class StoreReplanner:
    """`ports.Replanner` over a store."""

    database: Database
    new_id: Callable[[str], str]
    aside: Aside[DeadlineRisk] = field(default_factory=AtOnce)

    def consider(self, run: RunId, now: datetime) -> Replan | None:
        """As in `ports.Replanner`."""
        try:
            case = self._find_case(run, now)
        except Refusal:  # what a plan is made of is not on record, or contradicts itself: the run goes on with its plan
            return None
        if case is None:
            return None
        try:
            return _plan_again(self.database, case, new_id=self.new_id)
        except Refusal as refused:
            if refused.reason.code is PlanCode.PLAN_INPUTS_CHANGED:
                return None
            return _record(self.database, _without_plan(case, refused.reason), case)

    def foresee(self, run: RunId, now: datetime) -> bool:
        """As in `ports.Replanner`."""
        with suppress(Refusal, AsideFailed):  # as in `consider`: nothing is foreseen from what is not on record
            foresee(self.database, run, now, self.aside)
        return not self.aside.is_under_way(run)

    def _find_case(self, run_id: RunId, now: datetime) -> _Case | None:
        with refusing_unknown(), self.database.read() as conn:
            run = runs.load_run(conn, run_id)
            if run is None or run.replan is ReplanMode.OFF:
                return None
            inputs = read_inputs(conn, run.campaign, now=now, wanted=Wanted(as_of=now))
            if inputs.parent is None or inputs.parent.id != run.plan:
                return None  # a newer one is in force: the run goes over to that first
            deviation = find_deviation(gather_facts(conn, run, inputs))
            if deviation is None or replans.latest_replan(conn, run_id, key=deviation.key) is not None:
                return None
        return _Case(
            run=run,
            parent=run.plan,
            deviation=deviation,
            publishes=run.replan is ReplanMode.AUTO and run.desired is Desired.RUN,
            actor=CONDUCTOR,
            now=now,
        )


def replan(
    db: Database,
    campaign: CampaignId | None,
    *,
    now: datetime,
    actor: str,
    new_id: Callable[[str], str],
    publish: bool = False,
) -> Replan:
    """Plans again at once, whether anything differs or not, for the instant up to which the run was worked on.

    With `publish`: puts in force what was proposed last, if that still holds, and else what is found now, unless that
    takes back dates that the proposal did not; a live run goes over to it. Refused without a run, and when the plan in
    force is not the run's.
    """
    case = _asked(db, campaign, now=now, actor=actor, publish=publish)
    if publish:
        done = _publish_proposal(db, case)
        if done is not None:
            return done
    return _plan_again(db, case, new_id=new_id)


def propose(
    db: Database,
    campaign: CampaignId | None,
    *,
    now: datetime,
    actor: str,
    new_id: Callable[[str], str],
    wanted: Wanted,
) -> Replan:
    """As `replan` without publishing. What `wanted.watch` raises ends the search; nothing is stored then. The moment is
    where the run has come, whatever is wanted.
    """
    case = _asked(db, campaign, now=now, actor=actor, publish=False)
    return _plan_again(db, case, new_id=new_id, wanted=replace(wanted, as_of=case.now))


def publish_shown(db: Database, campaign: CampaignId | None, seq: int, *, actor: str, why: str = "") -> Replan:
    """Puts in force the proposal of that number, as it was shown, and nothing else; a live run goes over to it.

    Refused when it is not the newest of the campaign's run any more, telling what is in force instead and by whom; and
    as `plans.publish`, when facts changed.
    """
    with refusing_unknown(), db.begin() as conn:
        run = find_run(conn, campaign, live=False)
        last = replans.latest_replan(conn, run.id)
        if last is None or last.seq != seq or last.plan is None or last.outcome is not ReplanOutcome.PROPOSED:
            raise Refusal(_say_overtaken(conn, run, last))
        case = _Case(run=run, parent=last.parent, deviation=NO_DEVIATION, publishes=True, actor=actor, now=run.clock_at)
        published = publish_in(conn, last.plan, now=case.now, actor=actor, why=why)
        if published.already:
            raise Refusal(_say_overtaken(conn, run, last))
        if run.state in LIVE_RUNS:
            go_over(conn, run, published.plan)
        return _write(conn, replace(last, at=case.now, outcome=ReplanOutcome.PUBLISHED, needs=None, seq=0), case)


def _say_overtaken(conn: Connection, run: Run, last: Replan | None) -> Reason:
    """What is in force, since when and by whom, for one who looked at a proposal that is none any more."""
    in_force = plan_store.published_plan_id(conn, run.campaign)
    lines = journal.read(conn, subject=f"plan:{in_force}")
    told = next((line for line in lines if line.event == "plan.published"), None)
    by = f"{told.actor}, {told.at:%Y-%m-%d %H:%MZ}" if told is not None else "unknown"
    newest = last.plan if last is not None and last.outcome is ReplanOutcome.PROPOSED and last.plan else None
    newer = f" {newest} is the newest proposal." if newest is not None and newest != in_force else ""
    return reason(Code.PROPOSAL_OVERTAKEN, plan=in_force or "no plan", by=by, newer=newer)


def set_mode(
    db: Database, campaign: CampaignId | None, mode: ReplanMode, *, now: datetime, actor: str, why: str = ""
) -> Run:
    """What the conductor may do about its plan from now on. Refused without a live run."""
    with db.begin() as conn:
        run = find_run(conn, campaign)
        runs.set_replan_mode(conn, run.id, mode)
        data = {"was": run.replan.value, "mode": mode.value}
        line = Entry(at=now, actor=actor, event="run.replan_mode", subject=f"run:{run.id}", why=why, data=data)
        journal.append(conn, line)
        return replace(run, replan=mode)


def _asked(db: Database, campaign: CampaignId | None, *, now: datetime, actor: str, publish: bool) -> _Case:
    with refusing_unknown(), db.read() as conn:
        run = find_run(conn, campaign, live=False)
        inputs = read_inputs(conn, run.campaign, now=now, wanted=Wanted(as_of=run.clock_at))
        if inputs.parent is None or inputs.parent.id != run.plan:
            in_force = inputs.parent.id if inputs.parent is not None else "no plan"
            raise Refusal(reason(Code.RUN_BEHIND, run=run.id, plan=run.plan, current=in_force))
        deviation = find_deviation(gather_facts(conn, run, inputs)) or NO_DEVIATION
    return _Case(run=run, parent=run.plan, deviation=deviation, publishes=publish, actor=actor, now=run.clock_at)


def _plan_again(db: Database, case: _Case, *, new_id: Callable[[str], str], wanted: Wanted | None = None) -> Replan:
    with refusing_faulted():
        solved = solve(db, case.run.campaign, now=case.now, new_id=new_id, wanted=wanted or Wanted(as_of=case.now))
    outcome = solved.outcome
    if isinstance(outcome, Infeasible):
        return _record(db, _without_plan(case, _say_infeasible(case, outcome)), case)
    assert outcome.diff is not None, "a plan with a parent"
    if not outcome.diff.changes:
        return _record(db, _made(case, outcome.diff, None, ReplanOutcome.UNCHANGED, None), case)
    return _keep(db, case, solved, outcome, outcome.diff)


def _keep(db: Database, case: _Case, solved: Solved, planned: Planned, diff: PlanDiff) -> Replan:
    """Stores the plan, or puts it in force, with the record of it. Refused when facts changed since they were read."""
    plan, campaign = planned.plan, case.run.campaign
    breaks = judge_alone(diff, campaign=campaign, now=case.now, lead=solved.inputs.lead)
    with refusing_unknown(), db.begin() as conn:
        changed = judge_inputs(conn, solved, plan, case.now)
        if changed is not None:
            raise Refusal(changed)
        keep_plan(conn, solved.inputs, plan, now=case.now, actor=case.actor)
        if case.publishes and breaks is None:
            _put_in_force(conn, case, plan)
            return _write(conn, _made(case, diff, plan, ReplanOutcome.PUBLISHED, None), case)
        needs = breaks or reason(Code.REPLAN_WAITS, plan=plan.id, campaign=campaign)
        return _write(conn, _made(case, diff, plan, ReplanOutcome.PROPOSED, needs), case)


def _put_in_force(conn: Connection, case: _Case, plan: Plan) -> None:
    publish_in(conn, plan, now=case.now, actor=case.actor, why="; ".join(map(str, case.deviation.causes)))
    live = runs.load_run(conn, case.run.id)
    assert live is not None, "it was read before"
    if live.state in LIVE_RUNS:
        go_over(conn, live, plan)


def _publish_proposal(db: Database, case: _Case) -> Replan | None:
    """Puts the last proposal in force as it was shown. None when there is none, or facts changed since."""
    with refusing_unknown(), db.begin() as conn:
        last = replans.latest_replan(conn, case.run.id)
        if (
            last is None
            or last.plan is None
            or last.outcome is not ReplanOutcome.PROPOSED
            or last.parent != case.parent
        ):
            return None
        try:
            published = publish_in(conn, last.plan, now=case.now, actor=case.actor)
        except Refusal:
            return None
        live = runs.load_run(conn, case.run.id)
        if live is not None and live.state in LIVE_RUNS:
            go_over(conn, live, published.plan)
        return _write(conn, replace(last, at=case.now, outcome=ReplanOutcome.PUBLISHED, needs=None, seq=0), case)


def _made(case: _Case, diff: PlanDiff, plan: Plan | None, outcome: ReplanOutcome, needs: Reason | None) -> Replan:
    return Replan(
        run=case.run.id,
        campaign=case.run.campaign,
        at=case.now,
        key=case.deviation.key,
        causes=case.deviation.causes,
        outcome=outcome,
        parent=case.parent,
        plan=plan.id if plan is not None else None,
        ran=len(diff.ran),
        kept=len(diff.kept),
        lines=list_lines(diff),
        needs=needs,
    )


def _without_plan(case: _Case, why: Reason) -> Replan:
    return Replan(
        run=case.run.id,
        campaign=case.run.campaign,
        at=case.now,
        key=case.deviation.key,
        causes=case.deviation.causes,
        outcome=ReplanOutcome.NO_PLAN,
        parent=case.parent,
        needs=why,
    )


def _say_infeasible(case: _Case, found: Infeasible) -> Reason:
    clash = found.clashes[0].sentence if found.clashes else "the search found none."
    told = " ".join(change.sentence for change in found.relaxations)
    return reason(Code.REPLAN_NO_PLAN, clash=clash, help=told, campaign=case.run.campaign)


def _record(db: Database, made: Replan, case: _Case) -> Replan:
    with db.begin() as conn:
        return _write(conn, made, case)


def _write(conn: Connection, made: Replan, case: _Case) -> Replan:
    why = "; ".join(map(str, made.causes))
    data = {"plan": made.plan, "parent": made.parent, "changes": len(made.lines), "kept": made.kept}
    event, subject = f"replan.{made.outcome}", f"run:{made.run}"
    journal.append(conn, Entry(at=case.now, actor=case.actor, event=event, subject=subject, why=why, data=data))
    return replans.add_replan(conn, made)
