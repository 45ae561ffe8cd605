"""Campaigns conducted on the simulated fleet whose steps take other lengths than claimed, with everything that a
forecast could have known at each look: what `forecasting.py` judges forecasts by.
"""

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import conduct as whole
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.plans import Plan
from fermata.domain.updates import Duration
from fermata.execution import conduct as loop
from fermata.execution.duties import DUTIES, Duty
from fermata.execution.embedded import conduct
from fermata.execution.stage import Stage
from fermata.formats.scenario import Scenario
from fermata.services import runs as services
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import Faults
from fermata.sim.log import CommandLog
from fermata.sim.site import open_site
from fermata.sim.world import Command, World
from fermata.store import journal, runs, unit_ops
from fermata.store.database import migrate
from fermata.store.journal import Entry
from fermata.store.opening import open_database

LOOK = timedelta(minutes=10)
AFTER = timedelta(days=12)  # of conducting after the last planned end: repairs take two days on average


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How the world differs from what the catalogue claims. Spreads are standard deviations of logarithms, in units of
    each duration's own: `everywhere` of an update, `here` of a cluster, `own` of a unit.
    """

    name: str
    faults: Faults
    factor: float = 1.0
    everywhere: float = 0.0
    here: float = 0.0
    own: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was on record of the open windows at one instant."""

    at: datetime
    ops: Mapping[WindowId, tuple[UnitOp, ...]]


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """One campaign: its looks, its journal, and when each node of each window was back."""

    seed: int
    truth: Truth
    run: Run
    windows: Mapping[WindowId, WindowRun]
    looks: tuple[Look, ...]
    lines: tuple[Entry, ...]
    back: Mapping[WindowId, Mapping[NodeId, datetime]]


class StrainedWorld(World):
    """A world whose durations are not what the catalogue claims."""

    truth: Truth
    clusters: Mapping[str, ClusterId]
    dice: random.Random
    seed: int

    def _duration(self, command: Command) -> Duration:
        claimed = super()._duration(command)
        kind = command.update.id if command.update is not None else command.op
        cluster = self.clusters[command.unit]
        strain = self.truth.everywhere * self._normal(kind) + self.truth.here * self._normal(f"here:{cluster}")
        own = claimed.narrowed(self.truth.own)
        median = claimed.quantile(strain) * self.truth.factor
        return Duration(p50=median, p90=median * own.p90 / own.p50)

    def _normal(self, what: str) -> float:
        return random.Random(f"{self.seed}/{what}").gauss(0, 1)


def conduct_once(scenario: Scenario, plan: Plan, truth: Truth, seed: int) -> Conducted:
    """Conducts the plan to its end, looking every ten minutes."""
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        url = f"sqlite:///{Path(name) / 'store.sqlite'}"
        migrate(url)
        database = open_database(url)
        whole.fill(database, scenario, plan)
        clock = VirtualClock(plan.created_at, None)
        world = _strained(scenario, truth, seed)
        campaign = scenario.campaign.id
        run = services.start(
            database, campaign, now=plan.created_at, actor="bench", new_id=lambda kind: f"{kind}_{seed}"
        )
        looks: list[Look] = []

        def look(stage: Stage, _run: Run, now: datetime) -> None:
            ops = {row.window: tuple(stage.roster.of_window(row.window)) for row in stage.open_windows()}
            if ops:
                looks.append(Look(at=now, ops=ops))

        loop.DUTIES = (*DUTIES, Duty(name="look", every=LOOK, do=look))  # type: ignore[misc]
        until = max(window.end for window in plan.windows) + AFTER
        conduct(database, open_site(world, clock), clock, run.id, stop=lambda: clock.now() >= until)
        with database.read() as conn:
            rows = {row.window: row for row in runs.load_windows(conn, run.id)}
            back = {window: _back(unit_ops.ops_of_window(conn, run.id, window)) for window in rows}
            lines = tuple(
                journal.read_events(
                    conn, ("step.ended", "step.failed", "unit.proven", "unit.failed", "unit.resumed", "node.returned")
                )
            )
            ended = runs.load_run(conn, run.id)
        database.close()
        assert ended is not None
        return Conducted(seed=seed, truth=truth, run=ended, windows=rows, looks=tuple(looks), lines=lines, back=back)


def _back(ops: tuple[UnitOp, ...]) -> dict[NodeId, datetime]:
    return {
        NodeId(op.unit): op.finished_at
        for op in ops
        if op.kind is UnitKind.NODE and op.in_service_before and op.finished_at is not None
    }


def _strained(scenario: Scenario, truth: Truth, seed: int) -> World:
    world = StrainedWorld(scenario.fleet, scenario.catalogue, truth.faults, seed, CommandLog(None))
    world.truth, world.seed, world.clusters = truth, seed, _clusters(scenario.fleet)
    return world


def _clusters(fleet: Fleet) -> dict[str, ClusterId]:
    return {unit.name: unit.cluster for unit in (*fleet.nodes.values(), *fleet.devices.values())}
