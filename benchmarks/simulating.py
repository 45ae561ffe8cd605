"""Conducts the whole campaign on the simulated fleet with every fault that a target can have, and asks every invariant
at every instant. Baseline: the same campaign, conducted alike and watched by nobody; the rest is what watching costs.

The plan is made once, before anything is measured.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.simulation.mirror import Mirror, Trace, install
from tests.simulation.watching import Watcher

import harness
import stores
from conduct import fill, make_plan
from fermata.domain.plans import Plan
from fermata.execution.embedded import conduct
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import Scenario, read_scenario
from fermata.services import runs as run_service
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import Faults
from fermata.sim.site import open_site
from fermata.sim.world import World, open_world
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import write_multiple, write_scenario
from harness import Benchmark, Case, Options, Place, Sample, Watch

SEED = 1
SECONDS = {1: 60.0, 50: 1800.0}  # what was promised, by Januaries in the campaign
DAYS_MAX = 60  # of virtual time: nodes that no repair brings back would keep a run going for ever
EVERY_FAULT = Faults(
    half_done=0.003, done_anyway=0.003, device_dies=0.002, flaps=0.003, no_bmc=0.002, cut_off=0.01, no_answer=0.002,
    stale=0.001, missing=0.001, breaks=0.05, bad_update="gpu_fw",
)  # fmt: skip


def main() -> None:
    """Makes scenario and plan once, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=3)
    parser.add_argument("--grain", type=harness.positive, default=1, help="minutes on whose multiples steps end")
    parser.add_argument("--times", type=harness.positive, default=1, help="Januaries in one campaign (default 1)")
    asked = parser.parse_args()
    options = harness.to_options(asked)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = make_scenario(Path(name), options)
        plan = Path(name, "plan.json")
        harness.in_own_process(prepare, scenario, plan)
        alone, watched = "conducted", "conducted and watched"
        harness.run(
            Benchmark(
                name="simulating",
                title="a campaign with every fault, every invariant asked at every instant",
                cases=[
                    Case(name=alone, run=conduct_alone),
                    Case(name=watched, run=conduct_watched, baseline=alone, target_seconds=SECONDS.get(options.times)),
                ],
                each_run=lambda: stores.fresh_stores(
                    None,
                    ("store", "watched"),
                    {"scenario": str(scenario), "plan": str(plan), "grain": str(asked.grain)},
                ),
                notes=[
                    "The target is for the whole January campaign, or for fifty times it with --times 50.",
                    *([] if asked.grain == 1 else [f"Steps end on whole {asked.grain} minutes, not on every minute."]),
                ],
            ),
            options,
        )


def make_scenario(folder: Path, options: Options) -> Path:
    """January, so many of its nodes, or several Januaries in one campaign."""
    if options.times > 1:
        return write_multiple(folder, options.times, seed=SEED)
    return write_scenario(folder, options.nodes)


def prepare(scenario: Path, plan: Path) -> None:
    """Plans the scenario."""
    write_plan(make_plan(read_scenario(scenario)), plan)


class Run:
    """One campaign in one store."""

    def __init__(self, place: Place, store: str) -> None:
        self.url = place[f"{store}_sqlite"]
        self.scenario: Scenario = read_scenario(Path(place["scenario"]))
        self.plan: Plan = read_plan(Path(place["plan"]))
        self.database: Database = open_database(self.url)
        fill(self.database, self.scenario, self.plan)
        fallout = self.scenario.campaign.fallout
        faults = replace(EVERY_FAULT, fallout=fallout.fraction, mean_days_to_repair=fallout.mean_days_to_repair)
        self.world: World = open_world(
            self.scenario.fleet,
            self.scenario.catalogue,
            faults=faults,
            seed=SEED,
            path=Path(place["folder"], f"{store}.jsonl"),
            grain=timedelta(minutes=int(place["grain"])),
        )

    def conduct(self, clock: VirtualClock) -> int:
        """Until it is over, or DAYS_MAX have passed; how many minutes that took by its own clock."""
        began = self.plan.created_at
        campaign = self.plan.campaign
        run = run_service.start(self.database, campaign, now=began, actor="bench", new_id=lambda kind: f"{kind}_bench")
        until = began + timedelta(days=DAYS_MAX)
        site = open_site(self.world, clock)
        ended = conduct(self.database, site, clock, run.id, stop=lambda: clock.now() >= until)
        return round((ended.clock_at - began) / timedelta(minutes=1))


class WatchedClock(VirtualClock):
    """Before each wait, `look` is called."""

    def __init__(self, start: datetime, look: Callable[[datetime], None]) -> None:
        super().__init__(start, None)
        self._look = look

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        self._look(self.now())
        return super().wait_until(instant, stop)


def conduct_alone(place: Place) -> Sample:
    """Nobody looks."""
    run = Run(place, "store")
    with Watch() as watch:
        minutes = run.conduct(VirtualClock(run.plan.created_at, None))
    run.database.close()
    return watch.sample(virtual_days=minutes / 60 / 24, faults=sum(run.world.happened.values()))


def conduct_watched(place: Place) -> Sample:
    """Every invariant is asked at every instant; a breach ends the benchmark."""
    run = Run(place, "watched")
    path = run.url.removeprefix("sqlite:///")
    install(path)
    trace = Trace(path)
    mirror = Mirror(fleet=run.scenario.fleet, catalogue=run.scenario.catalogue, campaign=run.scenario.campaign)
    with Watch() as watch:
        clock = WatchedClock(run.plan.created_at, lambda now: look(watcher, now))
        watcher = Watcher(run.world, run.database, trace, mirror, clock.now)
        minutes = run.conduct(clock)
        watcher.finish(clock.now(), clock.now(), run.plan)
    trace.close()
    run.database.close()
    return watch.sample(
        nodes=sum(mirror.sizes.values()),
        virtual_days=minutes / 60 / 24,
        faults=sum(run.world.happened.values()),
        instants=watcher.ticks,
        row_changes=watcher.moves,
        calls_seen=len(run.world.steps),
    )


def look(watcher: Watcher, now: datetime) -> None:
    """Asks every invariant about all that is new."""
    watcher.look(now, now, is_done=True)


if __name__ == "__main__":
    main()
