"""How soon a campaign has a checked plan, how good its terms are when, and how far from their bounds they end; beside a
list schedule, a cluster a day, and HiGHS on the same model.

    python benchmarks/campaigns.py --runs 1             # January
    python benchmarks/campaigns.py --runs 1 --times 10  # ten times as large, clusters of other sizes and places
    python benchmarks/campaigns.py --runs 1 --times 50  # a fleet of 924,000 nodes; without HiGHS
"""

import gc
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ortools.linear_solver import pywraplp

import harness
import stores
from fermata.domain.campaign import FewestWindows, FinishByDeadline
from fermata.domain.windows import days_between
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.inputs import Infeasible
from fermata.planning.outline import compile_problem
from fermata.planning.planner import plan_campaign
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.rows import Row, build_rows
from fermata.planning.search import Found, Milestone, SearchOptions
from fermata.planning.terms import late_node_days, term_of
from fermata.planning.values import value_of
from fleets import write_multiple, write_scenario
from harness import Benchmark, Case, Place, Sample, Watch
from planning import list_schedule, measure_bookings, planning_input, works_of

SEED = 1  # of the sizes and places in a multiple
NEAR = 0.01  # of its bound: a term that is no further away counts as good
HIGHS_SECONDS = 120  # as long as the larger campaigns may take
HIGHS_TIMES_MOST = 10  # of 50 its model alone, with twelve million entries, would need more than the machine has
PLAN_SECONDS = {10: 120.0, 50: 600.0}  # what was promised, by Januaries in the campaign
LATE_WEIGHT = 1000  # of a late node-day against a window, so that one solve keeps the order of the two terms


def main() -> None:
    """Makes the scenario once, then measures."""
    parser = harness.options_parser(__doc__ or "", runs=1)
    parser.add_argument("--times", type=harness.positive, default=1, help="Januaries in one campaign (default 1)")
    parser.add_argument("--without-highs", action="store_true", help="leave out what takes minutes beside the planner")
    asked = parser.parse_args()
    options = harness.to_options(asked)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        folder = Path(name)
        is_multiple = options.times > 1
        made = (
            write_multiple(folder, options.times, seed=SEED) if is_multiple else write_scenario(folder, options.nodes)
        )
        target = PLAN_SECONDS.get(options.times)
        cases = [Case(name="list schedule", run=schedule), Case(name="a cluster a day", run=take_turns)]
        if options.times <= HIGHS_TIMES_MOST and not asked.without_highs:
            cases.append(Case(name="HiGHS, same model", run=solve_plainly, baseline="list schedule"))
        harness.run(
            Benchmark(
                name="campaigns",
                title=f"plan a campaign, {options.times} times January",
                cases=[*cases, Case(name="plan", run=plan, baseline=cases[-1].name, target_seconds=target)],
                each_run=lambda: stores.fresh_stores(None, (), {"scenario": str(made)}),
                notes=[
                    "Late node-days: nodes times days after the deadline. first: a plan that the checker passed.",
                    f"near: the first two terms are within {NEAR:.0%} of their bounds. Reading files is not counted.",
                ],
            ),
            options,
        )


def read_frozen(folder: str) -> Scenario:
    """The scenario, put aside from the garbage collector (set as the command does): it lives as long as the process."""
    read = read_scenario(Path(folder))
    gc.collect()
    gc.freeze()
    return read


def schedule(place: Place) -> Sample:
    """The list schedule; a window takes its whole day."""
    read = read_frozen(place["scenario"])
    with Watch() as watch:
        booked, unplaced = list_schedule(read)
    return watch.sample(**measure_bookings(booked, read.campaign), unplaced_nodes=unplaced)


def take_turns(place: Place) -> Sample:
    """One whole cluster a day, by name, for as many days as that takes: what needs no planner."""
    read = read_frozen(place["scenario"])
    with Watch() as watch:
        works = sorted(works_of(read).items())
        end = date.fromordinal(read.campaign.first_day.toordinal() + len(works) - 1)
        days = days_between(read.campaign.first_day, end)
        booked = [(day, nodes) for day, (_, nodes) in zip(days, works, strict=True)]
    return watch.sample(**measure_bookings(booked, read.campaign), unplaced_nodes=0)


def plan(place: Place) -> Sample:
    """The planner, with when it had what: by the clock, and in seconds of CPU where the machine had other work."""
    read = read_frozen(place["scenario"])
    inputs, hashes = planning_input(read), input_hashes(read)
    told: list[tuple[float, float, Milestone, Found]] = []
    with Watch() as watch:
        began, spent = time.perf_counter(), time.process_time()

        def tell(stage: Milestone, found: Found) -> None:
            told.append((time.perf_counter() - began, time.process_time() - spent, stage, found))

        options = SearchOptions(tell=tell)
        outcome = plan_campaign(inputs, new_plan_id="plan_bench", hashes=hashes, options=options)
    if isinstance(outcome, Infeasible):
        raise SystemExit("; ".join(["No plan exists", *(clash.sentence for clash in outcome.clashes)]))
    figures: dict[str, float] = {}
    goals = [term.bound for term in outcome.plan.objective[:2]]
    first = [(at, cpu) for at, cpu, stage, _ in told if stage is Milestone.FIRST]
    near = [(at, cpu) for at, cpu, _, found in told if _is_near(found, goals)]
    for name, found in (("first", first), ("near", near)):
        figures |= {f"{name}_seconds": found[0][0], f"{name}_cpu_seconds": found[0][1]} if found else {}
    figures |= {"days": len(outcome.days), "days_proven": sum(day.proven for day in outcome.days)}
    for term in outcome.plan.objective:
        figures |= {term.term: term.value, f"{term.term}_bound": term.bound}
    return watch.sample(**figures)


def _is_near(found: Found, goals: Sequence[float]) -> bool:
    pairs = list(zip(found.terms, goals, strict=False))
    return len(pairs) == len(goals) and all(term.value <= goal * (1 + NEAR) for term, goal in pairs)


def solve_plainly(place: Place) -> Sample:
    """HiGHS on the planner's spots and rows, for late node-days and windows in one sum."""
    read = read_frozen(place["scenario"])
    inputs = planning_input(read)
    with Watch() as watch:
        problem = compile_problem(inputs)
        spots = find_spots(problem)
        chosen = _solve(problem, spots, build_rows(problem, spots, with_reserve=True))
    return watch.sample(**_measure(problem, chosen))


def _measure(problem: Problem, chosen: Sequence[Spot]) -> dict[str, float]:
    late = value_of(chosen, term_of(problem, FinishByDeadline()))
    windows = value_of(chosen, term_of(problem, FewestWindows()))
    nodes = sum(problem.group_of(spot).nodes for spot in chosen)
    return {"windows": windows, "late_node_days": late, "nodes": nodes}


def _solve(problem: Problem, spots: Sequence[Spot], rows: Sequence[Row]) -> list[Spot]:
    """The chosen spots; none when HiGHS had no solution in its time."""
    solver = pywraplp.Solver.CreateSolver("HIGHS")
    solver.SetTimeLimit(HIGHS_SECONDS * 1000)
    taken = [solver.BoolVar("") for _ in spots]
    _serve_once(solver, problem, spots, taken)
    for row in rows:
        limit = solver.Constraint(-solver.infinity(), row.capacity)
        for number, units in zip(row.spots.tolist(), row.units.tolist(), strict=True):
            limit.SetCoefficient(taken[number], units)
    objective = solver.Objective()
    for spot, variable in zip(spots, taken, strict=True):
        objective.SetCoefficient(variable, LATE_WEIGHT * late_node_days(problem, spot) + 1)
    objective.SetMinimization()
    if solver.Solve() not in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE):
        return []
    return [spot for spot, variable in zip(spots, taken, strict=True) if variable.solution_value() > 0.5]


def _serve_once(
    solver: pywraplp.Solver, problem: Problem, spots: Sequence[Spot], taken: Sequence[pywraplp.Variable]
) -> None:
    """Each cluster in one way, a part a day. That the last part comes last is left out, which favours HiGHS."""
    used = {way: solver.BoolVar("") for ways in problem.ways_of for way in ways}
    for ways in problem.ways_of:
        solver.Add(sum(used[way] for way in ways) == 1)
    members: dict[tuple[int, int], list[pywraplp.Variable]] = {}
    days: dict[tuple[int, int], list[pywraplp.Variable]] = {}
    for spot, variable in zip(spots, taken, strict=True):
        members.setdefault((spot.way, spot.group), []).append(variable)
        days.setdefault((spot.way, spot.day), []).append(variable)
    for way, is_used in used.items():
        for g, group in enumerate(problem.ways[way].groups):
            solver.Add(sum(members.get((way, g), [])) == len(group.parts) * is_used)
    for variables in days.values():
        solver.Add(sum(variables) <= 1)


if __name__ == "__main__":
    main()
