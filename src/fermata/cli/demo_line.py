"""The demo's line, from files to returned capacity. What comes next is read from the store: it can be cut anywhere."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from fermata import scenarios, wiring
from fermata.cli import output
from fermata.cli.demo_view import Teller, told_step
from fermata.domain.campaign import Campaign
from fermata.domain.operations import Run
from fermata.domain.plans import Plan
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.report import Outcome, Report
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.execution.conduct import conduct
from fermata.formats.scenario import Scenario, read_scenario
from fermata.planning.inputs import Infeasible
from fermata.services import plans, records, runs
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.report import make_report

SCENARIO = "january"
ACTOR = "demo"
LEAD = timedelta(minutes=30)  # of virtual time before the first window: the night before it shows nothing
PLANS_MAX = 6  # plans after which what is left stays left: each takes what the one before it missed
STATUS_SECONDS = 0.5
_NOT_OVER = NOT_OPENED_YET | {WindowState.OPEN}


class Next(Enum):
    """What the line does next."""

    IMPORT = auto()
    PLAN = auto()
    START = auto()
    CONDUCT = auto()
    FOLLOW_UP = auto()
    FINISH = auto()


@dataclass(kw_only=True)
class DemoLine:
    """One demo over one store. `stop` ends it between two steps, or within one that conducts."""

    database: wiring.Database
    clock: wiring.CampaignClock
    scenario: Scenario
    world_log: wiring.Path
    teller: Teller
    seed: int
    stop: threading.Event = field(default_factory=threading.Event)
    report: Report | None = None

    def run(self) -> None:
        """Goes on from wherever the store is until every window is over, or `stop` is set. Raises Refusal."""
        while not self.stop.is_set():
            match self.next_step():
                case Next.IMPORT:
                    self._import_and_approve()
                case Next.PLAN | Next.FOLLOW_UP:
                    if not self._plan():
                        return
                case Next.START:
                    self._start()
                case Next.CONDUCT:
                    self._conduct(until_windows_are_over=True)
                case Next.FINISH:
                    return
                case never:
                    assert_never(never)

    def next_step(self) -> Next:
        """Read from the store alone, so that it is the same after any kind of end."""
        held = records.list_imports(self.database)
        in_force = next((c.plan for c in held.campaigns if c.id == self._campaign.id), None)
        if held.missing or in_force is None and not self._is_approved():
            return Next.IMPORT
        if in_force is None:
            return Next.PLAN
        run = runs.find_run(self.database, self._campaign.id)
        if run is None or run.plan != in_force:
            return Next.START
        if any(window.state in _NOT_OVER for window in runs.status(self.database, run.id).windows):
            return Next.CONDUCT
        return Next.FOLLOW_UP if self._is_something_left() else Next.FINISH
