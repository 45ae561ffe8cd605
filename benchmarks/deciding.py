"""How long a decision takes: one window with all nodes of January's largest cluster (2,956), conducted on the simulated
fleet in which nothing goes wrong, and each batch timed from what was seen of its units to the rows that follow, without
looks, store and calls. Baseline: the rows of its first batches copied once each.
"""

import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import harness
import stores
from conduct import fill, make_plan
from crew import open_site
from fermata.execution import batch
from fermata.execution.embedded import conduct
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import read_scenario
from fermata.services import runs as run_service
from fermata.sim.clock import VirtualClock
from fermata.store.opening import open_database
from fleets import write_largest
from harness import Benchmark, Case, Place, Sample, Watch

DECIDES = "_decide_batch"  # of `batch`: the step between looking and storing
COPIED_BATCHES = 60  # are enough for what a copy takes


def main() -> None:
    """Makes scenario and plan once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario, plan = Path(name, "scenario"), Path(name, "plan.json")
        harness.in_own_process(prepare, scenario, plan, options.nodes)
        shared = {"scenario": str(scenario), "plan": str(plan)}
        copied, decided = "rows copied", "rows decided"
        harness.run(
            Benchmark(
                name="deciding",
                title="the longest decision about a batch of one large window",
                cases=[
                    Case(name=copied, run=partial(time_batches, copies=True)),
                    Case(name=decided, run=partial(time_batches, copies=False), baseline=copied, target_seconds=0.05),
                ],
                each_run=lambda: stores.fresh_stores(None, ("copied", "decided"), shared),
                notes=["Seconds are those of CPU of the longest batch, of which one holds 1,000 units at most."],
            ),
            options,
        )


def prepare(scenario: Path, plan: Path, nodes: int | None) -> None:
    """Plans the scenario."""
    write_plan(make_plan(read_scenario(write_largest(scenario, nodes))), plan)


def time_batches(place: Place, *, copies: bool) -> Sample:
    """Conducts the window; `copies`: what is timed is a copy of each row in place of the decision."""
    scenario, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    database = open_database(place["copied_sqlite" if copies else "decided_sqlite"])
    fill(database, scenario, plan)
    now = plan.created_at
    run = run_service.start(database, plan.campaign, now=now, actor="bench", new_id=lambda kind: f"{kind}_bench")
    clock = VirtualClock(now, None)
    site = open_site(Path(place["scenario"]), Path(place["folder"], f"world_{copies}.jsonl"), clock)
    timed: list[tuple[float, int]] = []
    decide = getattr(batch, DECIDES)

    def decide_timed(of: Any, ops: Any, looked: Any) -> Any:
        began = time.thread_time()
        if copies:
            for op in ops:
                replace(op, version=op.version + 1)
            timed.append((time.thread_time() - began, len(ops)))
        found = decide(of, ops, looked)
        if not copies:
            timed.append((time.thread_time() - began, len(ops)))
        return found

    setattr(batch, DECIDES, decide_timed)
    with Watch() as watch:
        conduct(database, site, clock, run.id, stop=lambda: copies and len(timed) >= COPIED_BATCHES)
    setattr(batch, DECIDES, decide)
    database.close()
    longest, units = max(timed)
    return Sample(
        seconds=longest,
        cpu_seconds=watch.cpu_seconds,
        figures={
            "nodes": max(len(window.nodes) for window in plan.windows),
            "batches": len(timed),
            "units_of_longest": units,
            "median_ms": median(seconds for seconds, _ in timed) * 1000,
            "us_per_unit": sum(seconds for seconds, _ in timed) / sum(units for _, units in timed) * 1e6,
        },
    )


if __name__ == "__main__":
    main()
