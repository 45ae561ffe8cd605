"""Januaries of other clusters, sizes, places and rules, one a seed: when there is a first plan that the checker passed,
how many terms end within 1 % of their bounds, and what each comes to; or, where there is none, how soon that is known.

    python benchmarks/varied.py --runs 1
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import harness
import stores
from campaigns import NEAR, read_frozen
from fermata.formats.scenario import input_hashes
from fermata.planning.inputs import Infeasible
from fermata.planning.planner import plan_campaign
from fermata.planning.search import Found, Milestone, SearchOptions
from fleets import write_scenario, write_varied
from harness import Benchmark, Case, Place, Sample, Watch
from planning import planning_input

SEEDS = (1, 4, 5, 7, 8, 9, 12)  # of 1 to 12; 2, 3, 6 and 11 have no plan, as 4 has none, and 10 is like 9
SECONDS = 60.0  # within which a campaign of this size is to be proven


def main() -> None:
    """Makes the scenarios once, January first, then plans each."""
    options = harness.read_options(__doc__ or "", runs=1)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        made = {"January": str(write_scenario(Path(name) / "January", options.nodes))}
        if options.nodes is None:
            made |= {f"seed {seed}": str(write_varied(Path(name) / str(seed), seed)) for seed in SEEDS}
        harness.run(
            Benchmark(
                name="varied",
                title="plan Januaries of other clusters, sizes, places and rules",
                cases=[Case(name=each, run=partial(plan, each), target_seconds=SECONDS) for each in made],
                each_run=lambda: stores.fresh_stores(None, (), made),
                notes=[
                    "first_cpu: CPU seconds to a first plan that the checker passed. Reading files is not counted.",
                    f"near: terms that end within {NEAR:.0%} of their bounds, of `terms`. No terms: no plan exists.",
                ],
            ),
            options,
        )


def plan(name: str, place: Place) -> Sample:
    """The planner, with when it had a first plan."""
    read = read_frozen(place[name])
    inputs, hashes = planning_input(read), input_hashes(read)
    first: list[float] = []

    def note(stage: Milestone, _: Found) -> None:
        if stage is Milestone.FIRST:
            first.append(time.process_time() - began)

    with Watch() as watch:
        began = time.process_time()
        outcome = plan_campaign(inputs, new_plan_id="plan_bench", hashes=hashes, options=SearchOptions(tell=note))
    if isinstance(outcome, Infeasible):
        return watch.sample(clashes=len(outcome.clashes), offers=len(outcome.relaxations))
    terms = outcome.plan.objective
    near = sum(term.value <= term.bound * (1 + NEAR) for term in terms)
    figures = {"first_cpu": first[0], "terms": len(terms), "near": near}
    for term in terms:
        figures |= {term.term: term.value, f"{term.term}_bound": term.bound}
    return watch.sample(**figures)


if __name__ == "__main__":
    main()
