"""What one worker does with what it holds of a run, the lead, cohorts or both: everything that is due, then it waits.

Leading is to follow the operator, open windows, do the duties and end the run; a cohort is the units of one window.
`execution.embedded` and the adapter of a durable engine drive this; both call `work`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.ids import PlanId, WindowId
from fermata.domain.intents import Intent
from fermata.domain.operations import Run, WindowRun
from fermata.domain.run_states import LIVE_RUNS, RunState, WindowState, advance_run
from fermata.execution.ahead import is_owed
from fermata.execution.batch import step_cohort
from fermata.execution.closing import close_if_over, take_sample
from fermata.execution.duties import DUTIES
from fermata.execution.gating import follow_verdicts, judge_gates, save_figures
from fermata.execution.keeping_up import keep_up
from fermata.execution.obeying import obey_now, wake_all
from fermata.execution.opening import open_window
from fermata.execution.patrol import PATROL, PATROL_EVERY, make_round
from fermata.execution.recovering import follow_orders
from fermata.execution.runner import goes_on
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.execution.trains import step_trains
from fermata.execution.wake import wake_paused, wake_roused
from fermata.execution.window_room import follow_words
from fermata.store import journal, runs
from fermata.store.journal import Entry
from fermata.store.news import News, read_news
from fermata.store.runs import Stale

LOOK_EVERY = timedelta(minutes=30)  # at the latest: the run's clock and its curves move even when nothing else does
ROUNDS_MAX = 10_000  # of work at one instant: 10 million units; more means that two rows wake each other forever
STALE_MAX = 20  # times in a row that somebody else changed the same rows first


@dataclass(kw_only=True)
class Beat:
    """What a worker remembers of a run between two instants; a restart may forget it.

    `is_sure`: a window whose last unit finished was closed, as far as that was not cut off.
    """

    is_sure: bool = False
    words: tuple[Intent, ...] | None = None
    plan: PlanId | None = None
    done_at: dict[str, datetime] = field(default_factory=dict)


def work(stage: Stage, beat: Beat, now: datetime) -> Run:
    """Does everything that is due at `now` of what the stage holds. Returns the run as it is then.

    Raises Outdated when another worker holds some of it by now; the rest can be gone on with after `stage.give_up`.
    """
    for attempt in range(STALE_MAX):
        try:
            return _work(stage, beat, now)
        except Stale:
            if attempt + 1 == STALE_MAX:
                raise
            stage.reload()
            beat.is_sure = False
    raise AssertionError("unreachable")


def next_instant(stage: Stage, now: datetime) -> datetime:
    """When there is work again, at the latest."""
    instants = [row.recheck_at for row in stage.windows.values() if row.recheck_at is not None and is_ours(stage, row)]
    rosters = [stage.roster, *([stage.yard.roster] if stage.yard is not None and stage.ownership.leads else [])]
    units = [due for roster in rosters if (due := roster.next_due()) is not None]
    ours = (stage.jobs.try_at, stage.rooms.next_at) if stage.ownership.leads else ()
    tries: list[datetime] = [at for at in (stage.try_again_at, *ours) if at is not None]
    return max(now, min([*instants, *units, *tries, now + LOOK_EVERY]))


def is_ours(stage: Stage, row: WindowRun) -> bool:
    """True of open windows whose cohort is held, and, for the lead, of those that have not opened."""
    return row.window in stage.ownership.held if row.state is WindowState.OPEN else stage.ownership.leads


def _work(stage: Stage, beat: Beat, now: datetime) -> Run:
    news = _read(stage, beat)
    run = news.run
    obey_now(stage, now, news.intent)
    if stage.ownership.leads:
        run = _follow_operator(stage, run, now)
    _heed(stage, beat, now)
    worked = False
    follow_verdicts(stage, now, news.gate_word)
    follow_orders(stage, now, news.order)
    follow_words(stage, now, news.room_word)
    if not beat.is_sure:
        _close_settled(stage, beat, now)
    _patrol(stage, beat, now)
    _do_duties(stage, beat, run, now, of_cohorts=True)
    for _ in range(ROUNDS_MAX):
        if stage.ownership.leads:
            judge_gates(stage, now)
        moved = _decide_windows(stage, run, now)
        units, settled = step_cohort(stage, now)
        units += step_trains(stage, now) if stage.ownership.leads else 0
        worked = worked or bool(units)
        for window in sorted(settled):
            _close(stage, window, now)
        if not moved and not units:
            break
    else:
        raise AssertionError(f"still work to do at {now} after {ROUNDS_MAX} rounds")
    if stage.ownership.leads:
        _do_duties(stage, beat, run, now, of_cohorts=False)
        _keep_time(stage, run, now, worked=worked)
        run = _finish_if_over(stage, run, now)
    return run


def _patrol(stage: Stage, beat: Beat, now: datetime) -> None:
    """Before anything is decided, if a round is due: every worker looks after the nodes of its own cohorts."""
    last = beat.done_at.get(PATROL)
    if last is None or now - last >= PATROL_EVERY:
        make_round(stage, now)
        beat.done_at[PATROL] = now


def _read(stage: Stage, beat: Beat) -> News:
    """What is new about the run; and what others change of windows and units, where others work on the run."""
    with stage.database.read() as conn:
        news = read_news(conn, stage.run)
    assert news is not None
    run = news.run
    if stage.ownership.leads and beat.plan is not None and beat.plan != run.plan:
        stage.renew()
    elif stage.ownership.leads and beat.plan is None:
        stage.reload()
    elif stage.ownership.leads and stage.is_shared():
        keep_up(stage)
    beat.plan = run.plan
    return news


def _heed(stage: Stage, beat: Beat, now: datetime) -> None:
    """Who waits because of what operators said, or for want of room, is looked at when that changes."""
    words = stage.intents.words
    if beat.words is None:
        wake_paused(stage, now)
    if beat.words != words and (beat.words or words):
        wake_all(stage, now)
        if stage.ownership.leads and beat.words is not None:
            with stage.database.begin() as conn:
                stage.ownership.rouse_others(conn)
    beat.words = words
    if stage.ownership.roused:
        stage.ownership.roused = False
        if not stage.ownership.leads:
            keep_up(stage)  # the lead may have changed rows of units that are moved here
        wake_roused(stage, now)


def _follow_operator(stage: Stage, run: Run, now: datetime) -> Run:
    """Moves the run towards what is wanted of it."""
    wanted = stage.intents.of_run(run.id)
    goal = RunState.STOPPING if wanted.end else RunState.PAUSED if wanted.pause else RunState.RUNNING
    if run.state in LIVE_RUNS and run.state is not goal and run.state is not RunState.STOPPING:
        run = _save_run(stage, replace(run, state=advance_run(run.state, goal)), now)
    return run


def _decide_windows(stage: Stage, run: Run, now: datetime) -> bool:
    rows = (row for row in stage.windows.values() if is_ours(stage, row))
    due = [row for row in rows if row.recheck_at is not None and row.recheck_at <= now]
    for row in sorted(due, key=lambda row: (row.planned_start, row.window)):
        if row.state is WindowState.OPEN:
            stage.windows[row.window] = close_if_over(stage, row, now)
        else:
            stage.windows[row.window] = open_window(stage, row, now)
        after = stage.windows[row.window]
        if after.state is WindowState.OPEN and stage.ownership.leads:
            take_sample(stage, run, now)
    return bool(due)


def _close_settled(stage: Stage, beat: Beat, now: datetime) -> None:
    """What a kill, or somebody else's write, kept from being closed when its last unit finished."""
    for window in sorted(stage.ownership.held.keys() & stage.windows.keys()):
        if stage.roster.is_settled(window):
            _close(stage, window, now)
    beat.is_sure = True


def _close(stage: Stage, window: WindowId, now: datetime) -> None:
    row = stage.windows[window]
    if row.state is WindowState.OPEN:
        row = stage.windows[window] = close_if_over(stage, row, now)
    if row.state is WindowState.CLOSED and stage.roster.drop_finished(window):
        with stage.database.begin() as conn:
            stage.ownership.end_cohort(conn, window)
        stage.ownership.forget(window)


def _do_duties(stage: Stage, beat: Beat, run: Run, now: datetime, *, of_cohorts: bool) -> None:
    """Those of cohorts come before units are moved, so that what they change is moved at the same instant."""
    for duty in DUTIES:
        done_at = beat.done_at.get(duty.name)
        is_due = done_at is None or now - done_at >= duty.every or duty.is_due(stage, now)
        if duty.of_cohorts is of_cohorts and is_due:
            duty.do(stage, run, now)
            beat.done_at[duty.name] = now


def _keep_time(stage: Stage, run: Run, now: datetime, *, worked: bool) -> None:
    if run.clock_at < now and not worked:
        with stage.database.begin() as conn:
            runs.touch_clock(conn, stage.run, now)


def _finish_if_over(stage: Stage, run: Run, now: datetime) -> Run:
    riding = stage.yard is not None and stage.yard.roster.is_anything_left()
    waiting = riding or is_owed(stage) or any(row.recheck_at is not None for row in stage.windows.values())
    if waiting or stage.roster.is_anything_left() or run.state not in LIVE_RUNS or goes_on(stage, run, now):
        return run
    save_figures(stage, now)
    state = RunState.STOPPED if run.state is RunState.STOPPING else RunState.FINISHED
    ended = _save_run(stage, replace(run, state=advance_run(run.state, state), ended_at=now), now)
    stage.ownership.end(stage.database)
    return ended


def load(stage: Stage) -> Run:
    """The run as it is."""
    with stage.database.read() as conn:
        run = runs.load_run(conn, stage.run)
    assert run is not None
    return run


def _save_run(stage: Stage, run: Run, now: datetime) -> Run:
    with stage.database.begin() as conn:
        saved = runs.save_run(conn, run)
        line = Entry(at=now, actor=ACTOR, event=f"run.{run.state}", subject=f"run:{run.id}", why="", data={})
        journal.append(conn, line)
    return saved
