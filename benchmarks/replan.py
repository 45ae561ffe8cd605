"""Plans the January campaign again in its middle: nothing happened, a lower cap, longer work, windows missed.

Baseline, in the same run: the same campaign planned from scratch, as the only answer to a surprise that is no re-plan.
"""

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import harness
import stores
from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.observed import Fate, Observed, Stretch, WindowSeen
from fermata.domain.plans import Plan
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.inputs import Infeasible
from fermata.planning.planner import plan_campaign
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch
from planning import planning_input

REPLAN_SECONDS = 5.0  # what was promised, on 2 cores, for January in mid-campaign
AS_PLANNED = Observed(as_planned=True)
LOWER = 0.9  # the cap that was lowered, as a share of what it was
LONGER = 1.4


def main() -> None:
    """Makes the scenario once, then measures; the first case leaves the plan that the others follow."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes)
        target = REPLAN_SECONDS if options.nodes is None else None
        again = [
            Case(name=title, run=run, baseline="from scratch", target_seconds=target)
            for title, run in (("nothing", nothing), ("lower cap", lower), ("longer", longer), ("missed", missed))
        ]
        harness.run(
            Benchmark(
                name="replan",
                title="plan again in mid-campaign",
                cases=[Case(name="from scratch", run=scratch), *again],
                each_run=lambda: stores.fresh_stores(None, (), {"scenario": str(scenario)}),
                notes=["`same`: windows that stand as they did. A re-plan's time includes its check and its reasons."],
            ),
            options,
        )


def scratch(place: Place) -> Sample:
    """The plan that the others follow."""
    read = read_scenario(Path(place["scenario"]))
    inputs = planning_input(read)
    with Watch() as watch:
        outcome = plan_campaign(inputs, new_plan_id="plan_parent", hashes=input_hashes(read))
    assert not isinstance(outcome, Infeasible), outcome
    write_plan(outcome.plan, _parent_of(place))
    return watch.sample(windows=len(outcome.plan.windows))


def nothing(place: Place) -> Sample:
    """All went as planned."""
    return _again(place, AS_PLANNED)


def lower(place: Place) -> Sample:
    """Every limit on nodes out at once is lowered."""
    return _again(place, AS_PLANNED, lower=True)


def longer(place: Place) -> Sample:
    """Everything takes longer than the catalogue says."""
    return _again(place, replace(AS_PLANNED, stretch=Stretch(overall=LONGER)))


def missed(place: Place) -> Sample:
    """The first two windows did not run."""
    parent = read_plan(_parent_of(place))
    seen = tuple(WindowSeen(window=window.id, fate=Fate.MISSED) for window in parent.windows[:2])
    return _again(place, replace(AS_PLANNED, windows=seen))


def _again(place: Place, observed: Observed, *, lower: bool = False) -> Sample:
    read, parent = read_scenario(Path(place["scenario"])), read_plan(_parent_of(place))
    begun = parent.windows[len(parent.windows) // 2].start
    inputs = replace(planning_input(read), parent=parent, now=begun + timedelta(hours=12), observed=observed)
    if lower:
        inputs = replace(inputs, campaign=replace(read.campaign, limits=_lower(read)))
    with Watch() as watch:
        outcome = plan_campaign(inputs, new_plan_id="plan_child", hashes=input_hashes(read))
    assert not isinstance(outcome, Infeasible), outcome
    return watch.sample(windows=len(outcome.plan.windows), same=_same(outcome.plan, parent))


def _lower(read: Scenario) -> tuple[Limit, ...]:
    return tuple(
        replace(limit, at_once=int(limit.at_once * LOWER))
        if limit.what is LimitKind.NODES_OUT and limit.at_once is not None
        else limit
        for limit in read.campaign.limits
    )


def _same(plan: Plan, parent: Plan) -> int:
    stands = set(plan.windows)
    return sum(window in stands for window in parent.windows)


def _parent_of(place: Place) -> Path:
    return Path(place["folder"], "parent.json")


if __name__ == "__main__":
    main()
