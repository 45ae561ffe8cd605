"""Conducts the whole campaign on the simulated fleet, unpaced, into SQLite: how fast virtual time passes, and what each
move of a node costs. Baseline: a bare event queue that walks the same nodes through the same steps, no store, no ports.

The plan is made once, before anything is measured. `conduct.py` beside this does one such run and tells more of it.
"""

import heapq
import random
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import harness
import stores
from conduct import fill, make_plan
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.plans import NodeApplyStep
from fermata.execution.embedded import conduct
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import read_scenario
from fermata.services import runs as run_service
from fermata.sim.clock import VirtualClock
from fermata.store import runs, unit_ops
from fermata.store.opening import open_database
from fermata.wiring.conducting import open_simulated_site
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

SEED = 1
DAYS_MAX = 60  # of virtual time: nodes that no repair brings back would keep a run going for ever
SPREAD = 0.3  # of the logarithm of a step's length, in the baseline


def main() -> None:
    """Makes scenario and plan once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario, plan = write_scenario(Path(name), options.nodes), Path(name, "plan.json")
        harness.in_own_process(prepare, scenario, plan)
        harness.run(
            Benchmark(
                name="conducting",
                title="a campaign on the simulated fleet, unpaced",
                cases=[
                    Case(name="bare event queue", run=walk_plainly),
                    Case(name="sqlite: conduct", run=conduct_all, baseline="bare event queue"),
                ],
                each_run=lambda: stores.fresh_stores(None, ("store",), {"scenario": str(scenario), "plan": str(plan)}),
                notes=["A move is one change of a node's row that was stored; the queue's moves are ends of steps."],
            ),
            options,
        )


def prepare(scenario: Path, plan: Path) -> None:
    """Plans the scenario."""
    write_plan(make_plan(read_scenario(scenario)), plan)


def conduct_all(place: Place) -> Sample:
    """One run until it is over, or DAYS_MAX have passed."""
    scenario, plan = read_scenario(Path(place["scenario"])), read_plan(Path(place["plan"]))
    database = open_database(place["store_sqlite"])
    fill(database, scenario, plan)
    began = plan.created_at
    clock = VirtualClock(began, None)
    log = Path(place["folder"], "world.jsonl")
    site = open_simulated_site(database, plan.campaign, clock=clock, seed=SEED, log=log)
    run = run_service.start(database, plan.campaign, now=began, actor="bench", new_id=lambda kind: f"{kind}_bench")
    until = began + timedelta(days=DAYS_MAX)
    with Watch() as watch:
        ended = conduct(database, site, clock, run.id, stop=lambda: clock.now() >= until)
    with database.read() as conn:
        windows = [row.window for row in runs.load_windows(conn, run.id)]
        ops = [op for window in windows for op in unit_ops.ops_of_window(conn, run.id, window)]
    database.close()
    nodes = [op for op in ops if op.kind is UnitKind.NODE]
    states = Counter(op.state for op in nodes)
    days = (ended.clock_at - began) / timedelta(days=1)
    moves = sum(op.version - 1 for op in nodes)
    return watch.sample(
        windows=len(windows),
        nodes=len(nodes),
        returned=states[UnitState.RETURNED] + states[UnitState.KEPT_OUT],
        virtual_days=days,
        virtual_days_per_second=days / watch.seconds,
        moves=moves,
        moves_per_second=moves / watch.seconds,
        cpu_ms_per_move=watch.cpu_seconds / max(moves, 1) * 1000,
    )


def walk_plainly(place: Place) -> Sample:
    """Every node of every window through its steps, each with a length of its own, in the order of time."""
    plan = read_plan(Path(place["plan"]))
    dice = random.Random(SEED)
    with Watch() as watch:
        queue: list[tuple[float, int, str]] = []
        lengths: list[list[float]] = []
        for number, window in enumerate(plan.windows):
            steps = [s for s in window.steps if not (isinstance(s, NodeApplyStep) and s.batch > 1)]
            lengths.append([(step.end - step.start) / timedelta(minutes=1) for step in steps])
            queue += [(window.start.timestamp() / 60, number, node) for node in window.nodes]
        heapq.heapify(queue)
        done: Counter[str] = Counter()
        moves = 0
        while queue:
            now, number, node = heapq.heappop(queue)
            position = done[node]
            if position < len(lengths[number]):
                done[node] += 1
                moves += 1
                length = lengths[number][position] * dice.lognormvariate(0, SPREAD)
                heapq.heappush(queue, (now + length, number, node))
    return watch.sample(nodes=len(done), moves=moves, moves_per_second=moves / watch.seconds)


if __name__ == "__main__":
    main()
