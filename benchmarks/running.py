"""What the conductor does between two ticks when it looks at its plan: whether January still follows it, plans it again
after a freeze, and foresees the deadline. Baseline, in the same run: the re-plan alone, from inputs in memory.

The plan is made once, before anything is measured.
"""

import tempfile
from datetime import timedelta
from itertools import count
from pathlib import Path

import harness
import stores
from conduct import fill
from conducting import prepare
from fermata.domain.ids import FreezeId, RunId
from fermata.domain.policy import Freeze, Scope, ScopeLevel
from fermata.domain.replans import ReplanOutcome
from fermata.formats.plans import read_plan
from fermata.formats.scenario import read_scenario
from fermata.planning.planner import plan_campaign
from fermata.services import runs as run_service
from fermata.services.foresight import foresee
from fermata.services.plans import Wanted, read_inputs
from fermata.services.replans import StoreReplanner
from fermata.store import consent, plans
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

AHEAD = timedelta(days=3)  # farther away than the notice: the frozen window may move
FROZEN = timedelta(days=2)
STORES = ("alone", "planned", "frozen", "far")  # one for each case: what it does stays in it


def main() -> None:
    """Makes scenario and plan once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario, plan = write_scenario(Path(name), options.nodes), Path(name, "plan.json")
        harness.in_own_process(prepare, scenario, plan)
        harness.run(
            Benchmark(
                name="running",
                title="the conductor looks at its plan",
                cases=[
                    Case(name="re-plan alone", run=plan_alone),
                    Case(name="look: as planned", run=look, baseline="re-plan alone"),
                    Case(name="look: a freeze", run=look_at_freeze, baseline="re-plan alone"),
                    Case(name="foresee", run=look_far, baseline="re-plan alone"),
                ],
                each_run=lambda: stores.fresh_stores(None, STORES, {"scenario": str(scenario), "plan": str(plan)}),
                notes=["A look reads the fleet, the consent and the plan from SQLite, and stores what came of it."],
            ),
            options,
        )


def plan_alone(place: Place) -> Sample:
    """A re-plan after the freeze, its inputs read before."""
    database, _ = _start(place, "alone")
    _freeze(database, place)
    plan = read_plan(Path(place["plan"]))
    with database.read() as conn:
        inputs = read_inputs(conn, plan.campaign, now=plan.created_at, wanted=Wanted(as_of=plan.created_at))
    with Watch() as watch:
        plan_campaign(inputs, new_plan_id="plan_again", hashes=plan.inputs)
    database.close()
    return watch.sample()


def look(place: Place) -> Sample:
    """Nothing happened."""
    database, run = _start(place, "planned")
    with Watch() as watch:
        made = _replanner(database).consider(run, read_plan(Path(place["plan"])).created_at)
    assert made is None, made
    database.close()
    return watch.sample()


def look_at_freeze(place: Place) -> Sample:
    """A customer froze a cluster over its day."""
    database, run = _start(place, "frozen")
    _freeze(database, place)
    with Watch() as watch:
        made = _replanner(database).consider(run, read_plan(Path(place["plan"])).created_at)
    assert made is not None, "the freeze was seen"
    assert made.outcome is ReplanOutcome.PROPOSED
    database.close()
    return watch.sample(changes=len(made.lines), kept=made.kept)


def look_far(place: Place) -> Sample:
    """How likely the deadline is missed."""
    database, run = _start(place, "far")
    with Watch() as watch:
        risk = foresee(database, run, read_plan(Path(place["plan"])).created_at)
    assert risk is not None
    database.close()
    return watch.sample(plays=risk.plays, missed=risk.missed, remedies=len(risk.remedies))


def _replanner(database: Database) -> StoreReplanner:
    numbers = count(1)
    return StoreReplanner(database, lambda kind: f"{kind}_again_{next(numbers)}")


def _start(place: Place, store: str) -> tuple[Database, RunId]:
    scenario, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    database = open_database(place[f"{store}_sqlite"])
    fill(database, scenario, plan)
    with database.begin() as conn:
        plans.save_snapshot(conn, plan.inputs.updates, scenario.catalogue)
        plans.save_snapshot(conn, plan.inputs.campaign, scenario.campaign)
    now = plan.created_at
    run = run_service.start(database, plan.campaign, now=now, actor="bench", new_id=lambda kind: f"{kind}_bench")
    return database, run.id


def _freeze(database: Database, place: Place) -> None:
    plan = read_plan(Path(place["plan"]))
    scenario = read_scenario(Path(place["scenario"]))
    window = next(w for w in plan.windows if w.start > plan.created_at + AHEAD)
    with database.begin() as conn:
        consent.add_freeze(
            conn,
            Freeze(
                id=FreezeId("frz_bench"),
                customer=scenario.fleet.clusters[window.cluster].customer,
                scope=Scope(level=ScopeLevel.CLUSTER, name=window.cluster),
                start=window.start - FROZEN / 2,
                end=window.start + FROZEN,
                reason="bench",
            ),
        )


if __name__ == "__main__":
    main()
