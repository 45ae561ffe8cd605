"""Simulates the January plan as a campaign a thousand times. Baselines: the sum of every step's percentile for each
window, which promises ends without playing anything; and one run after the other in plain Python, without waiting.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import harness
import stores
from fermata.domain.ids import UpdateId
from fermata.domain.pending import find_pending
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, Plan, RebootStep, Step, Window
from fermata.domain.updates import Catalogue, Duration
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.inputs import Infeasible, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.planning.risk.simulate import Simulation, simulate_plan
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

SIMULATE_SECONDS = 20.0  # what was promised for a thousand campaigns of January, on 2 cores
RUNS = 1000
LOOP_RUNS = 5  # of the plain loop, which would take an hour for all
Z95 = 1.645  # the return threshold's percentile of a step, as whoever sums percentiles would take it

NOTE = (
    "kept: windows that have enough nodes back by their planned end, on average; the plan itself says planned_kept. The"
    " plain loop knows no barriers, and keeps more than there is to keep. Compare ms_per_run: `against baseline` is of"
    " unequal numbers of runs."
)


def main() -> None:
    """Makes the scenario and its plan once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes)
        plan = Path(name, "plan.json")
        write_plan(make_plan(read_scenario(scenario)), plan)
        place = {"scenario": str(scenario), "plan": str(plan)}
        target = SIMULATE_SECONDS if options.nodes is None else None
        harness.run(
            Benchmark(
                name="risk",
                title="simulated campaigns",
                cases=[
                    Case(name="summed percentiles", run=sum_percentiles),
                    Case(name=f"plain loop, {LOOP_RUNS} runs", run=loop_plainly),
                    Case(
                        name=f"simulate, {RUNS} runs",
                        run=simulate,
                        baseline=f"plain loop, {LOOP_RUNS} runs",
                        target_seconds=target,
                    ),
                ],
                each_run=lambda: stores.fresh_stores(None, (), place),
                notes=[NOTE],
            ),
            options,
        )


def make_plan(read: Scenario) -> Plan:
    """A draft: consent is assumed, the time is the campaign's."""
    outcome = plan_campaign(make_inputs(read), new_plan_id="plan_bench", hashes=input_hashes(read))
    if isinstance(outcome, Infeasible):
        raise SystemExit("; ".join(["No plan exists", *(clash.sentence for clash in outcome.clashes)]))
    return outcome.plan


def make_inputs(read: Scenario) -> PlanningInput:
    """What the plan is made from."""
    assert read.campaign.planned_as_of is not None
    return PlanningInput(
        fleet=read.fleet,
        catalogue=read.catalogue,
        policy=read.policy,
        campaign=read.campaign,
        ledger=None,
        now=read.campaign.planned_as_of,
    )


def simulate(place: Place) -> Sample:
    """Every window, node by node, with what runs have in common and with repairs; one thread."""
    read, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    with Watch() as watch:
        risk = simulate_plan(make_inputs(read), plan, Simulation(runs=RUNS))
    held = risk.modes[0]
    return watch.sample(
        kept=held.kept.mean,
        planned_kept=round(risk.planned.kept, 1),
        exceeded=held.any_exceeded,
        ms_per_run=round(1000 * watch.seconds / RUNS, 2),
    )


def sum_percentiles(place: Place) -> Sample:
    """A window keeps its end if the percentiles of its steps, one after the other, add up to no more than it has."""
    read, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    with Watch() as watch:
        kept = 0
        for window in plan.windows:
            minutes = sum(length_of(step, read.catalogue).quantile(Z95) for step in unbatched(window.steps))
            kept += minutes <= (window.end - window.start).total_seconds() / 60
    return watch.sample(kept=kept)


def loop_plainly(place: Place) -> Sample:
    """Every node draws the lengths of its own steps and adds them up."""
    read, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    pending = find_pending(read.fleet, read.catalogue, read.campaign.updates)
    due = {name: {item.update.id for item in unit.due} for name, unit in pending.nodes.items()}
    kept = 0
    with Watch() as watch:
        for run in range(LOOP_RUNS):
            dice = random.Random(run)
            kept += sum(play_plainly(window, due, read, dice) for window in plan.windows)
    return watch.sample(kept=kept / LOOP_RUNS, ms_per_run=round(1000 * watch.seconds / LOOP_RUNS, 2))


def play_plainly(window: Window, due: Mapping[str, set[UpdateId]], read: Scenario, dice: random.Random) -> bool:
    """True when enough nodes of the window are back by its end."""
    minutes = (window.end - window.start).total_seconds() / 60
    steps = unbatched(window.steps)
    back = 0
    for name in window.nodes:
        if dice.random() < read.campaign.fallout.fraction:
            continue
        own = due.get(name, set())
        mine = [s for s in steps if not isinstance(s, NodeApplyStep) or s.update in own]
        lengths = [length_of(step, read.catalogue) for step in mine]
        back += sum(dice.lognormvariate(length.mu, length.sigma) for length in lengths) <= minutes
    return back >= read.campaign.return_threshold * len(window.nodes)


def unbatched(steps: Sequence[Step]) -> list[Step]:
    """Of every step that is taken in batches the first."""
    return [s for s in steps if not isinstance(s, DeviceApplyStep | NodeApplyStep) or s.batch == 1]


def length_of(step: Step, catalogue: Catalogue) -> Duration:
    """How long the step takes on one unit."""
    if isinstance(step, DeviceApplyStep | NodeApplyStep):
        return catalogue.updates[step.update].duration_minutes
    if isinstance(step, DrainStep):
        return catalogue.defaults.drain_minutes
    return catalogue.defaults.reboot_minutes if isinstance(step, RebootStep) else catalogue.defaults.verify_minutes


if __name__ == "__main__":
    main()
