"""Looks, at sensible moments, whether the run still follows its plan, and has it planned again where it does not.

Asking costs a read of the fleet, so it is asked only when something happened: a window that did not run, consent or
inventory that changed and, once the day's windows are over, what they left. Nothing is asked while a window waits.
"""

from datetime import datetime

from fermata.domain.deviation import DID_NOT_RUN, Look, is_quiet, may_plan_now
from fermata.domain.operations import Run
from fermata.domain.replans import ReplanOutcome
from fermata.domain.run_states import Desired, ReplanMode, WindowState
from fermata.domain.windows import calendar_day
from fermata.execution.stage import Stage
from fermata.store import journal

SAID = ("consent", "exemption", "freeze", "inventory", "order", "policy", "workloads")


def plan_again(stage: Stage, run: Run, now: datetime) -> None:
    """Plans again if something happened since it was last looked at; the stage follows a plan that came into force."""
    windows = stage.windows.values()
    if stage.site.replanner is None or run.replan is ReplanMode.OFF or run.desired is Desired.STOP:
        return
    if not may_plan_now(windows):
        return
    look = _look(stage, run, now)
    if look == stage.look:
        return
    made = stage.site.replanner.consider(run.id, now)
    stage.look = look
    if made is not None and made.outcome is ReplanOutcome.PUBLISHED:
        stage.renew()


def foresee(stage: Stage, run: Run, now: datetime) -> None:
    """Has the deadline's risk worked out once a day and plan, at an hour when no window is open."""
    of = (run.plan, calendar_day(now, stage.campaign.timezone))
    if stage.site.replanner is None or stage.foreseen == of:
        return
    if not stage.foresees and not is_quiet(stage.windows.values()):
        return
    stage.foresees = not stage.site.replanner.foresee(run.id, now)
    stage.foreseen = None if stage.foresees else of


def is_foreseeing(stage: Stage, _now: datetime) -> bool:
    """True while it is being worked out."""
    return stage.foresees


def goes_on(stage: Stage, run: Run, now: datetime) -> bool:
    """Asked before a run ends: true when what its windows left has got new windows."""
    before = len(stage.windows)
    plan_again(stage, run, now)
    return len(stage.windows) != before or any(row.recheck_at is not None for row in stage.windows.values())


def _look(stage: Stage, run: Run, now: datetime) -> Look:
    windows = stage.windows.values()
    quiet = is_quiet(windows)
    said = stage.look.said if stage.look is not None else 0
    with stage.database.read() as conn:
        said = journal.latest_seq(conn, SAID, after_seq=said)
    states = DID_NOT_RUN | {WindowState.CLOSED} if quiet else DID_NOT_RUN
    return Look(
        plan=run.plan,
        mode=run.replan,
        over=tuple(sorted((row.window, row.state) for row in windows if row.state in states)),
        day=calendar_day(now, stage.campaign.timezone) if quiet else None,
        said=said,
    )
