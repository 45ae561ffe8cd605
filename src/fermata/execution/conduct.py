"""The run loop: whatever drives it - a thread, a process, a test - it works until nothing is due, then waits."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.ids import PlanId, RunId, WindowId
from fermata.domain.operations import Run
from fermata.domain.run_states import LIVE_RUNS, NOT_OPENED_YET, Desired, RunState, WindowState, advance_run
from fermata.execution.batch import step_batch
from fermata.execution.closing import close_if_over, take_sample
from fermata.execution.duties import DUTIES
from fermata.execution.gating import follow_words, judge_gates
from fermata.execution.opening import open_window
from fermata.execution.recovering import follow_orders
from fermata.execution.runner import goes_on
from fermata.execution.stage import Stage, set_stage
from fermata.execution.trail import ACTOR
from fermata.execution.wake import wake_paused
from fermata.ports import Clock, Site
from fermata.store import gates, journal, recovery, runs
from fermata.store.database import Database
from fermata.store.journal import Entry
from fermata.store.runs import Stale

LOOK_EVERY = timedelta(minutes=30)  # at the latest: the run's clock and its curves move even when nothing else does
ROUNDS_MAX = 10_000  # of work at one instant: 10 million units; more means that two rows wake each other forever
STALE_MAX = 20  # times in a row that somebody else changed the same rows first


@dataclass(kw_only=True)
class Beat:
    """What the loop remembers between two instants; a restart may forget it."""

    desired: Desired | None = None
    plan: PlanId | None = None
    done_at: dict[str, datetime] = field(default_factory=dict)


def conduct(
    database: Database,
    site: Site,
    clock: Clock,
    run_id: RunId,
    *,
    stop: Callable[[], bool],
    crash: Callable[[str], None] | None = None,
) -> Run:
    """Conducts a run until it is over or `stop` turns true; call it again to go on. Returns the run as it is then.

    `crash`: called at every point where a kill could hurt; for tests.
    """
    stage = set_stage(database, site, clock, run_id)
    if crash is not None:
        stage.crash = crash
    beat = Beat()
    while not stop():
        run = work(stage, beat, clock.now())
        if run.state not in LIVE_RUNS:
            return run
        clock.wait_until(_next_instant(stage, clock.now()), _changed(stage, run, stop))
    return _run(stage)


def work(stage: Stage, beat: Beat, now: datetime) -> Run:
    """Does everything that is due at `now`. Returns the run as it is then."""
    for attempt in range(STALE_MAX):
        try:
            return _work(stage, beat, now)
        except Stale:
            if attempt + 1 == STALE_MAX:
                raise
            stage.reload()
    raise AssertionError("unreachable")


def _work(stage: Stage, beat: Beat, now: datetime) -> Run:
    run = _follow_operator(stage, beat, now)
    paused = run.desired is not Desired.RUN and run.state is not RunState.STOPPING
    worked = False
    follow_words(stage, now)
    follow_orders(stage, now)
    for _ in range(ROUNDS_MAX):
        judge_gates(stage, now)
        moved = _decide_windows(stage, run, now)
        units, settled = step_batch(stage, now, paused=paused)
        worked = worked or bool(units)
        for window in sorted(settled):
            _close(stage, window, now)
        if not moved and not units:
            break
    else:
        raise AssertionError(f"still work to do at {now} after {ROUNDS_MAX} rounds")
    _keep_time(stage, beat, run, now, worked=worked)
    return _finish_if_over(stage, run, now)


def _follow_operator(stage: Stage, beat: Beat, now: datetime) -> Run:
    """Moves the run towards what is desired of it."""
    run = _run(stage)
    if beat.plan is not None and beat.plan != run.plan:
        stage.renew()
    beat.plan = run.plan
    if beat.desired is not run.desired and run.desired is Desired.RUN:
        wake_paused(stage, now)
    if beat.desired is not run.desired and run.desired is Desired.STOP:
        _make_due(stage, now)
    beat.desired = run.desired
    towards = {Desired.RUN: RunState.RUNNING, Desired.PAUSE: RunState.PAUSED, Desired.STOP: RunState.STOPPING}
    goal = towards[run.desired]
    if run.state in LIVE_RUNS and run.state is not goal and run.state is not RunState.STOPPING:
        run = _save_run(stage, replace(run, state=advance_run(run.state, goal)), now)
    return run


def _make_due(stage: Stage, now: datetime) -> None:
    """Every window that has not opened is looked at now."""
    with stage.database.begin() as conn:
        for row in stage.windows.values():
            if row.state in NOT_OPENED_YET:
                runs.save_window(conn, replace(row, recheck_at=now))
    stage.reload()


def _decide_windows(stage: Stage, run: Run, now: datetime) -> bool:
    due = [row for row in stage.windows.values() if row.recheck_at is not None and row.recheck_at <= now]
    for row in sorted(due, key=lambda row: (row.planned_start, row.window)):
        if row.state is WindowState.OPEN:
            stage.windows[row.window] = close_if_over(stage, row, now)
        else:
            stage.windows[row.window] = open_window(stage, row, now, run.desired)
        after = stage.windows[row.window]
        if after.state is WindowState.OPEN:
            take_sample(stage, run, now)
    return bool(due)


def _close(stage: Stage, window: WindowId, now: datetime) -> None:
    row = stage.windows[window]
    if row.state is WindowState.OPEN:
        row = stage.windows[window] = close_if_over(stage, row, now)
    if row.state is WindowState.CLOSED:
        stage.roster.drop_finished(window)


def _keep_time(stage: Stage, beat: Beat, run: Run, now: datetime, *, worked: bool) -> None:
    for duty in DUTIES:
        done_at = beat.done_at.get(duty.name)
        if done_at is None or now - done_at >= duty.every:
            duty.do(stage, run, now)
            beat.done_at[duty.name] = now
    if run.clock_at < now and not worked:
        with stage.database.begin() as conn:
            runs.touch_clock(conn, stage.run, now)


def _finish_if_over(stage: Stage, run: Run, now: datetime) -> Run:
    waiting = any(row.recheck_at is not None for row in stage.windows.values())
    if waiting or stage.roster.next_due() is not None or run.state not in LIVE_RUNS or goes_on(stage, run, now):
        return run
    state = RunState.STOPPED if run.state is RunState.STOPPING else RunState.FINISHED
    return _save_run(stage, replace(run, state=advance_run(run.state, state), ended_at=now), now)


def _next_instant(stage: Stage, now: datetime) -> datetime:
    instants = [row.recheck_at for row in stage.windows.values() if row.recheck_at is not None]
    unit = stage.roster.next_due()
    return max(now, min([*instants, *([unit] if unit else []), now + LOOK_EVERY]))


def _run(stage: Stage) -> Run:
    with stage.database.read() as conn:
        run = runs.load_run(conn, stage.run)
    assert run is not None
    return run


def _changed(stage: Stage, run: Run, stop: Callable[[], bool]) -> Callable[[], bool]:
    """True when the wait should end: somebody wants the loop, or the run, to do something else."""

    def check() -> bool:
        if stop():
            return True
        with stage.database.read() as conn:
            found = runs.load_run(conn, run.id)
            has_news = gates.latest_word(conn, run.id) != stage.gates.latest_word
            has_news = has_news or recovery.latest_order(conn, run.id) != stage.undo.latest
        if found is None or has_news:
            return True
        return (found.desired, found.plan, found.replan) != (run.desired, run.plan, run.replan)

    return check


def _save_run(stage: Stage, run: Run, now: datetime) -> Run:
    with stage.database.begin() as conn:
        saved = runs.save_run(conn, run)
        line = Entry(at=now, actor=ACTOR, event=f"run.{run.state}", subject=f"run:{run.id}", why="", data={})
        journal.append(conn, line)
    return saved
