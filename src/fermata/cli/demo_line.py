"""The demo's line, from files to returned capacity. What comes next is read from the store: it can be cut anywhere."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import assert_never

from fermata.cli import output
from fermata.cli.demo_view import Teller, told_step
from fermata.cli.driving import conduct_on_temporal
from fermata.cli.plan_show import tell_no_plan
from fermata.cli.simulating import begin_run, conduct_simulated
from fermata.domain.ids import PlanId
from fermata.domain.operations import Run
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.report import Outcome, Report
from fermata.domain.run_states import LIVE_RUNS, NOT_OPENED_YET, ReplanMode, WindowState
from fermata.formats.scenario import Scenario
from fermata.planning.inputs import Asked, Infeasible
from fermata.services import plans, records, runs
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.records import PlanLine
from fermata.services.report import make_report
from fermata.services.run_views import RunStatus
from fermata.wiring import clocks
from fermata.wiring.clocks import CampaignClock
from fermata.wiring.stores import Database

ACTOR = "demo"
PLANS_MAX = 6  # plans after which what is left stays left: each takes what the one before it missed
STATUS_SECONDS = 1.0  # one reading takes 40 ms of the conductor's own thread
_NOT_OVER = NOT_OPENED_YET | {WindowState.OPEN}


class Next(Enum):
    """What the line does next."""

    IMPORT = auto()
    PLAN = auto()
    START = auto()
    CONDUCT = auto()
    FINISH = auto()


@dataclass(kw_only=True)
class DemoLine:
    """One demo over one store. `stop` ends it between two steps, or within one that conducts.

    `temporal`: the server that drives what is conducted; None: nothing but this process does.
    """

    database: Database
    scenario: Scenario
    clock: CampaignClock
    world_log: Path
    teller: Teller
    seed: int
    temporal: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    report: Report | None = None
    _prepared: bool = False
    _judged: set[PlanId] = field(default_factory=set)
    _told_at: float = 0.0

    def run(self) -> None:
        """Goes on from wherever the store is until every window is over, or `stop` is set. Raises Refusal."""
        while not self.stop.is_set():
            step = self.next_step()
            match step:
                case Next.IMPORT:
                    self._import()
                    self._approve()
                    self._prepared = True
                case Next.PLAN:
                    if not self._plan():
                        return
                case Next.START:
                    self._start()
                case Next.CONDUCT:
                    self._conduct(_are_windows_over)
                case Next.FINISH:
                    return
                case _:
                    assert_never(step)

    def conduct_tail(self) -> None:
        """Goes on with the nodes whose repair is awaited, until the run is over or `stop` is set."""
        run = self._run()
        if run is not None and run.state in LIVE_RUNS:
            self._conduct(_never)

    def next_step(self) -> Next:
        """Read from the store alone, so that it is the same after any kind of end."""
        lines = records.list_plans(self.database, self.scenario.campaign.id)
        in_force = _in_force(lines)
        if in_force is None:
            return Next.PLAN if self._prepared else Next.IMPORT
        run = self._run()
        if run is None or run.plan != in_force:
            return Next.START
        if not _are_windows_over(runs.status(self.database, run.campaign)):
            return Next.CONDUCT
        self.report = make_report(self.database, campaign=run.campaign)
        published = sum(line.published_at is not None for line in lines)
        return Next.PLAN if published < PLANS_MAX and _is_something_left(self.report) else Next.FINISH

    def _import(self) -> None:
        given = self.scenario
        with told_step(self.teller, "import", f"Importing the scenario of {given.campaign.title}") as conclude:
            everything = ImportSet(
                fleet=given.fleet, catalogue=given.catalogue, policy=given.policy, campaign=given.campaign
            )
            import_set(self.database, everything, now=self.clock.now(), actor=ACTOR, why="the demo begins")
            clusters, nodes = len(given.fleet.clusters), len(given.fleet.nodes)
            words = f"{output.count(clusters, 'cluster')} with {output.count(nodes, 'node')} imported"
            conclude(words, clusters=clusters, nodes=nodes)

    def _approve(self) -> None:
        with told_step(self.teller, "approve", "Approving every request as the demo's customers") as conclude:
            names = sorted({cluster.supercomputer for cluster in self.scenario.fleet.clusters.values()})
            orders = [
                Order(
                    scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name=name),
                    verdict=Verdict.APPROVED,
                    reason="the demo's customers agree",
                )
                for name in names
            ]
            decide(self.database, orders, now=self.clock.now(), new_id=clocks.mint_id)
            conclude(f"{output.count(len(names), 'supercomputer')} approved", supercomputers=len(names))

    def _plan(self) -> bool:
        """Makes and publishes a plan that follows the one in force. False when there is none to be had."""
        draft = self._standing_draft() or self._make_plan()
        if draft is None or self.stop.is_set():
            return False
        with told_step(self.teller, "publish", "Checking the plan once more and publishing it") as conclude:
            plans.publish(self.database, draft, now=self.clock.now(), actor=ACTOR)
            conclude("Plan published", plan=draft)
        return True

    def _standing_draft(self) -> PlanId | None:
        """A plan made before the demo was cut off that the store still bears out; each is looked at once."""
        lines = records.list_plans(self.database, self.scenario.campaign.id)
        in_force = _in_force(lines)
        fitting = [line.id for line in lines if line.published_at is None and line.parent == in_force]
        if not fitting or fitting[-1] in self._judged:
            return None
        self._judged.add(fitting[-1])
        try:
            return None if plans.check_stored_plan(self.database, fitting[-1]) else fitting[-1]
        except Refusal:
            return None

    def _make_plan(self) -> PlanId | None:
        now = self.clock.now()
        with told_step(self.teller, "plan", "Planning the campaign") as conclude:
            wanted = plans.Wanted(as_of=now, asked=Asked(seed=self.seed))
            outcome = plans.make_plan(
                self.database, self.scenario.campaign.id, now=now, new_id=clocks.mint_id, wanted=wanted
            )
            if isinstance(outcome, Infeasible):
                conclude("No plan exists: " + "; ".join(clash.sentence for clash in outcome.clashes))
                self._refuse_without_plan(len(outcome.clashes))
                return None
            plan = outcome.plan
            ahead = [window for window in plan.windows if window.start >= now]
            nodes, left = sum(len(w.nodes) for w in ahead), sum(len(u.nodes) for u in plan.unplanned)
            words = f"{output.count(len(ahead), 'window')} for {output.count(nodes, 'node')}, {left:,} left out"
            conclude(words, plan=plan.id, windows=len(ahead), nodes=nodes, unplanned=left)
        return plan.id if ahead else None

    def _refuse_without_plan(self, clashes: int) -> None:
        """What is left over after a plan may stay left; but without a first one there is no demo."""
        campaign = self.scenario.campaign.id
        if _in_force(records.list_plans(self.database, campaign)) is None:
            raise Refusal(tell_no_plan(campaign, clashes))

    def _start(self) -> None:
        campaign, plans_itself = self.scenario.campaign.id, ReplanMode.OFF
        run = begin_run(self.database, campaign, self.clock, actor=ACTOR, replan=plans_itself)
        words = f"Conducting from {output.utc(self.clock.now())}"
        self.teller.tell("run_started", words, run=run.id, plan=run.plan, as_of=output.iso(self.clock.now()))

    def _conduct(self, is_done: Callable[[RunStatus], bool]) -> None:
        run = self._run()
        assert run is not None
        if self.temporal is not None:
            conduct_on_temporal(
                self.database,
                run,
                self.clock,
                self.temporal,
                seed=self.seed,
                log=self.world_log,
                stop=lambda: self._look(run, is_done),
            )
            return
        conduct_simulated(
            self.database, run, self.clock, seed=self.seed, log=self.world_log, stop=lambda: self._look(run, is_done)
        )

    def _look(self, run: Run, is_done: Callable[[RunStatus], bool]) -> bool:
        """Asked by the conductor many times a second: whether to stop; shows the status now and then."""
        if self.stop.is_set():
            return True
        if time.monotonic() - self._told_at < STATUS_SECONDS:
            return False
        status = runs.status(self.database, run.campaign)
        self.teller.status(status)
        self._told_at = time.monotonic()
        return is_done(status)

    def _run(self) -> Run | None:
        return records.find_run(self.database, self.scenario.campaign.id)


def _never(_: RunStatus) -> bool:
    return False


def _are_windows_over(status: RunStatus) -> bool:
    return not any(window.state in _NOT_OVER for window in status.windows)


def _in_force(lines: Sequence[PlanLine]) -> PlanId | None:
    """The plan that no published one follows: publishing is a chain from parent to child."""
    published = {line.id: line.parent for line in lines if line.published_at is not None}
    return next((name for name in published if name not in published.values()), None)


def _is_something_left(report: Report) -> bool:
    """True when a window passed nodes by that nobody holds: another plan may take them."""
    return any(line.outcome is Outcome.NOT_TAKEN and line.window is not None for line in report.nodes)
