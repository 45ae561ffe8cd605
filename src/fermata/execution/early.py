"""Lets a later window of the day open early where room is free and nobody was promised notice of a new time.

Opening early is a move of a published start: with a policy that promises any notice it could not be told in time.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.operations import Run, WindowRun
from fermata.domain.plans import Window
from fermata.domain.replanning import lead_time
from fermata.domain.run_states import Desired, WindowState
from fermata.domain.scripts import BadScript
from fermata.domain.windows import calendar_day
from fermata.execution.gating import find_closed
from fermata.execution.opening import muster_window, take
from fermata.execution.outlook import find_room
from fermata.execution.recheck import JUDGED_LIVE, OF_THE_WHOLE_PLAN, find_fault
from fermata.execution.stage import Stage
from fermata.planning.checker import check_case
from fermata.store import inventory

NOT_ASKED = JUDGED_LIVE | OF_THE_WHOLE_PLAN | {"PUBLISHED_KEPT"}  # the last one is what `lead_time` was asked for
AHEAD_LEAST = timedelta(minutes=30)  # less is not worth a time other than the one that was told


def pull_forward(stage: Stage, run: Run, now: datetime) -> None:
    """Opens those of today's windows that may go now, in their order, unless a window waits for its turn already."""
    rows = sorted(stage.windows.values(), key=lambda row: (row.planned_start, row.window))
    zone, today = stage.campaign.timezone, calendar_day(now, stage.campaign.timezone)
    later = [
        row
        for row in rows
        if row.state is WindowState.PLANNED
        and row.planned_start >= now + AHEAD_LEAST
        and calendar_day(row.planned_start, zone) == today
    ]
    is_held_up = any(row.state is WindowState.WAITING for row in rows)
    if not later or is_held_up or run.desired is not Desired.RUN or _notice(stage) > timedelta(0):
        return
    for row in later:
        stage.windows[row.window] = _open_early(stage, row, now)


def _notice(stage: Stage) -> timedelta:
    with stage.database.read() as conn:
        return lead_time(inventory.load_policy(conn))


def _open_early(stage: Stage, row: WindowRun, now: datetime) -> WindowRun:
    """The row as it is then: unchanged unless all of its nodes may go at once, and nobody wants it otherwise."""
    if not stage.intents.of_window(row.run, row.window).is_free:
        return row
    try:
        script = stage.script(row.window)
    except BadScript:
        return row
    without = stage.go_missing(row.window)
    if without or find_closed(stage, row) or find_fault(stage, row) or _breaks_a_rule(stage, row, now):
        return row
    muster = muster_window(stage, row, script, now)
    whole = frozenset(script.nodes)
    if frozenset(muster.taken) != whole or find_room(stage, row, whole, now) != now:
        return row
    return take(stage, row, muster, now)


def _breaks_a_rule(stage: Stage, row: WindowRun, now: datetime) -> bool:
    """True when the plan with this window at `now` breaks a rule: hours, limits, teams, beside all other windows."""
    plan = stage.score(row.plan).plan
    moved = tuple(_shift(w, now - w.start) if w.id == row.window else w for w in plan.windows)
    violations = check_case(stage.cases[row.plan], replace(plan, windows=moved), only=frozenset({row.window}))
    return any(violation.rule not in NOT_ASKED for violation in violations)


def _shift(window: Window, by: timedelta) -> Window:
    steps = tuple(replace(step, start=step.start + by, end=step.end + by) for step in window.steps)
    return replace(window, start=window.start + by, end=window.end + by, steps=steps)
