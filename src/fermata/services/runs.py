"""Operator verbs on runs: start, pause, resume, stop, and the status that everything else shows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import CampaignId, RunId
from fermata.domain.openings import count_limits
from fermata.domain.operations import Run, WindowRun
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import NOT_OPENED_YET, Desired, ReplanMode, RunState, WindowState, advance_window
from fermata.domain.windows import calendar_day, local_to_utc
from fermata.services.errors import Refusal
from fermata.services.intents import no_run, refuse_stopped_fleet, say_of_run
from fermata.services.observed import find_rows
from fermata.services.run_status import assemble
from fermata.services.run_views import RunStatus
from fermata.store import inventory, journal, plans, runs, wakes
from fermata.store.database import Connection, Database
from fermata.store.flights import load_planned
from fermata.store.journal import Entry

ONE_DAY = timedelta(days=1)


def start(
    database: Database,
    campaign: CampaignId,
    *,
    now: datetime,
    actor: str,
    new_id: Callable[[str], str],
    replan: ReplanMode | None = None,
) -> Run:
    """Begins to conduct the campaign's published plan, or lets its live run go over to a newly published one.

    Windows that are open, and their tails, go on; those that have not opened give way to the new plan's. Refused
    when nothing is published, when that plan is being conducted already, or when catalogue or campaign changed since.
    `replan` None: as the live run has it, and a new one proposes.
    """
    with database.begin() as conn:
        refuse_stopped_fleet(conn)
        plan = plans.published_plan(conn, campaign)
        if plan is None:
            raise Refusal(reason(Code.NOT_PUBLISHED, campaign=campaign))
        live = runs.live_run(conn, campaign)
        if live is not None and live.plan == plan.id:
            raise Refusal(reason(Code.RUN_LIVE, campaign=campaign, run=live.id))
        run = _begin(conn, plan, now, RunId(new_id("run"))) if live is None else go_over(conn, live, plan)
        if replan is not None:
            runs.set_replan_mode(conn, run.id, replan)
            run = replace(run, replan=replan)
        data = {"plan": plan.id, "windows": len(plan.windows)}
        line = Entry(at=now, actor=actor, event="run.started", subject=f"run:{run.id}", why="", data=data)
        journal.append(conn, line)
        wakes.hint(conn)
        return run


def only_campaign(database: Database) -> CampaignId:
    """The campaign that a command means when it names none. Refused when there is not exactly one on record."""
    with database.read() as conn:
        found = inventory.list_campaigns(conn)
    if not found:
        raise Refusal(reason(Code.NOT_IMPORTED, kind="campaign"))
    if len(found) > 1:
        names = ", ".join(campaign.id for campaign in found)
        raise Refusal(reason(Code.CAMPAIGN_NOT_NAMED, campaigns=names))
    return found[0].id


def pause(database: Database, campaign: CampaignId | None, *, now: datetime, actor: str, why: str = "") -> Run:
    """Nothing new begins: no window, no write, no reboot. What runs ends; proven nodes go back."""
    return _want(database, campaign, Desired.PAUSE, now, actor, why)


def resume(database: Database, campaign: CampaignId | None, *, now: datetime, actor: str, why: str = "") -> Run:
    """Goes on after a pause."""
    return _want(database, campaign, Desired.RUN, now, actor, why)


def stop(database: Database, campaign: CampaignId | None, *, now: datetime, actor: str, why: str = "") -> Run:
    """No further window opens; open ones are conducted to their end. Cannot be taken back: start again instead."""
    return _want(database, campaign, Desired.STOP, now, actor, why)


def abort(database: Database, campaign: CampaignId | None, *, now: datetime, actor: str, why: str) -> Run:
    """What can be proven now goes back, what is written ends, no further window opens. `stop` finishes the rest.

    Refused without a reason.
    """
    if not why.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb="abort"))
    return _want(database, campaign, Desired.ABORT, now, actor, why)


def worked_until(db: Database) -> datetime | None:
    """The instant up to which the live run, else the newest, was worked on; None before any."""
    with db.read() as conn:
        run = runs.live_run(conn) or runs.latest_run(conn)
    return run.clock_at if run is not None else None


def status(database: Database, campaign: CampaignId | None = None, *, now: datetime | None = None) -> RunStatus:
    """The newest run, of that campaign if one is named. `now` None: the instant up to which it was worked on.

    Refused when there is none.
    """
    with database.read() as conn:
        run = find_run(conn, campaign, live=False)
        return assemble(conn, run, now or run.clock_at)


def find_run(conn: Connection, campaign: CampaignId | None, *, live: bool = True) -> Run:
    """The live run, of that campaign if one is named; without `live` also the newest one that is over. Refused when
    there is none.
    """
    found = runs.live_run(conn, campaign) or (None if live else runs.latest_run(conn, campaign))
    if found is None:
        raise no_run(campaign)
    return found


def _want(
    database: Database, campaign: CampaignId | None, desired: Desired, now: datetime, actor: str, why: str
) -> Run:
    with database.begin() as conn:
        return say_of_run(conn, find_run(conn, campaign), desired, now=now, actor=actor, why=why)


def _refuse_changed(conn: Connection, plan: Plan) -> None:
    """What was said of flights since is heard when windows open, as all consent is."""
    catalogue = inventory.load_catalogue(conn)
    found: Mapping[str, tuple[object, str]] = {
        "update catalogue": (
            replace(catalogue, flights=load_planned(conn, catalogue, plan).flights),
            plan.inputs.updates,
        ),
        "campaign": (inventory.load_campaign(conn, plan.campaign), plan.inputs.campaign),
    }
    for what, (value, sha256) in found.items():
        if content_sha256(value) != sha256:
            raise Refusal(reason(Code.CATALOGUE_CHANGED, what=what, plan=plan.id))


def _begin(conn: Connection, plan: Plan, now: datetime, run_id: RunId) -> Run:
    _refuse_changed(conn, plan)
    campaign = inventory.load_campaign(conn, plan.campaign)
    fleet = inventory.load_fleet(conn)
    nodes, in_service = count_baseline(fleet, campaign)
    run = Run(
        id=run_id,
        campaign=plan.campaign,
        plan=plan.id,
        state=RunState.RUNNING,
        desired=Desired.RUN,
        started_at=now,
        ended_at=None,
        clock_at=now,
        baseline_nodes=nodes,
        baseline_in_service=in_service,
        limits_allowed=tuple(allowed for _, _, allowed in count_limits(campaign, fleet).counted),
    )
    ran = {name for name, row in find_rows(conn, plan.campaign).items() if row.opened_at is not None}
    ahead = [window for window in plan.windows if window.id not in ran]
    runs.create_run(conn, run, [window_row(run.id, plan, window, campaign) for window in ahead])
    return run


def go_over(conn: Connection, live: Run, plan: Plan) -> Run:
    """The live run takes on a new plan: what has not opened is replaced. Refused when catalogue or campaign changed."""
    _refuse_changed(conn, plan)
    campaign = inventory.load_campaign(conn, plan.campaign)
    before = {row.window: row for row in runs.load_windows(conn, live.id)}
    fresh = [window_row(live.id, plan, window, campaign) for window in plan.windows]
    opened = {name for name, row in before.items() if row.opened_at is not None}
    added: list[WindowRun] = []
    for row in fresh:
        old = before.get(row.window)
        if old is None:
            added.append(row)
        elif row.window not in opened:
            runs.save_window(conn, replace(row, version=old.version))
    kept = {row.window for row in fresh}
    for name, row in before.items():
        if name not in kept and row.state in NOT_OPENED_YET:
            why = reason(Code.PLAN_REPLACED, plan=plan.id, window=name)
            state = advance_window(row.state, WindowState.CANCELLED)
            runs.save_window(conn, replace(row, state=state, reason=why, recheck_at=None))
    runs.add_windows(conn, added)
    return runs.save_run(conn, replace(live, plan=plan.id))


def count_baseline(fleet: Fleet, campaign: Campaign) -> tuple[int, int]:
    """In-scope nodes, and how many of them are in service."""
    members = [n for n in fleet.nodes.values() if campaign.scope.matches_cluster(fleet.clusters[n.cluster])]
    return len(members), sum(node.state is NodeState.IN_SERVICE for node in members)


def window_row(run: RunId, plan: Plan, window: Window, campaign: Campaign) -> WindowRun:
    """A planned window with the promises of its day."""
    zone, daily = campaign.timezone, campaign.daily_window
    day = calendar_day(window.start, zone)
    begins = local_to_utc(day, daily.start, zone)
    if window.start < begins:
        day -= ONE_DAY  # past midnight of a daily window that crosses it
        begins = local_to_utc(day, daily.start, zone)
    back_by = local_to_utc(day, daily.back_in_service_by, zone)
    hard_stop = local_to_utc(day, daily.hard_stop, zone)
    if back_by <= begins:
        back_by = local_to_utc(day + ONE_DAY, daily.back_in_service_by, zone)
    if hard_stop <= begins:
        hard_stop = local_to_utc(day + ONE_DAY, daily.hard_stop, zone)
    return WindowRun(
        run=run,
        window=window.id,
        plan=plan.id,
        cluster=window.cluster,
        mode=window.mode,
        part=window.part,
        parts=window.parts,
        nodes=len(window.nodes),
        planned_start=window.start,
        planned_end=window.end,
        back_by=back_by,
        hard_stop=hard_stop,
        recheck_at=window.start,
    )
