"""Lays out the windows of the January campaign and times the days together. Baselines: steps one after the other, and
days as the search left them, with each window's steps where they were laid out.
"""

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import harness
import stores
from fermata.formats.scenario import read_scenario
from fermata.planning.daywork import time_days
from fermata.planning.layout import Layout, lay_out_shape, put_in_line
from fermata.planning.outline import compile_problem
from fermata.planning.problem import Problem
from fermata.planning.scope import find_scope
from fermata.planning.search import DEFAULTS, Found, find_plan
from fermata.planning.shape import Shape, find_shape
from fermata.planning.work import cut_cells, find_cells, gather_work
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch
from planning import planning_input

DAY_SECONDS = 5.0  # what was promised, on 2 cores, for the windows of one day


def main() -> None:
    """Makes the scenario once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes)
        target = DAY_SECONDS if options.nodes is None else None
        harness.run(
            Benchmark(
                name="sequencing",
                title="steps of windows, and windows of days",
                cases=[
                    Case(name="one after the other", run=line_up),
                    Case(name="lay out", run=lay_out, baseline="one after the other"),
                    Case(name="days as searched", run=leave_days),
                    Case(name="fullest day together", run=time_fullest, target_seconds=target),
                    Case(name="every day together", run=time_every, baseline="days as searched"),
                ],
                each_run=lambda: stores.fresh_stores(None, (), {"scenario": str(scenario)}),
                notes=[
                    "Minutes: from drain to verification, by medians, added up over whole clusters.",
                    "Minutes saved: by how much earlier windows end than the search left them.",
                ],
            ),
            options,
        )


def line_up(place: Place) -> Sample:
    """Every window one step after the other."""
    shapes = _shapes(place)
    with Watch() as watch:
        minutes = [_minutes(shape, put_in_line(shape).verify) * count for shape, count in shapes.items()]
    return watch.sample(windows=shapes.total(), minutes=sum(minutes))


def lay_out(place: Place) -> Sample:
    """Every window as the planner lays it out."""
    shapes = _shapes(place)
    with Watch() as watch:
        layouts: dict[Shape, Layout] = {shape: lay_out_shape(shape) for shape in shapes}
    return watch.sample(
        windows=shapes.total(),
        minutes=sum(_minutes(shape, layouts[shape].verify) * count for shape, count in shapes.items()),
        shapes=len(shapes),
        proven=sum(layout.proven for layout in layouts.values()),
    )


def leave_days(place: Place) -> Sample:
    """The sum of starts, from the start of each day's room, as the search left them."""
    _, found = _search(place)
    with Watch() as watch:
        starts = sum(spot.start for spot in found.spots)
    return watch.sample(windows=len(found.spots), late_minutes=starts)


def time_fullest(place: Place) -> Sample:
    """The day with the most windows."""
    problem, found = _search(place)
    ((day, windows),) = Counter(spot.day for spot in found.spots).most_common(1)
    only = replace(found, spots=tuple(spot for spot in found.spots if spot.day == day))
    with Watch() as watch:
        timed = time_days(problem, only, DEFAULTS)
    return watch.sample(windows=windows, proven=timed.days[0].proven, minutes_saved=timed.days[0].minutes_saved)


def time_every(place: Place) -> Sample:
    """All days, one after the other."""
    problem, found = _search(place)
    with Watch() as watch:
        timed = time_days(problem, found, DEFAULTS)
    return watch.sample(
        windows=len(found.spots),
        late_minutes=sum(spot.start for spot in timed.found.spots),
        days=len(timed.days),
        proven=sum(day.proven for day in timed.days),
        minutes_saved=sum(day.minutes_saved for day in timed.days),
    )


def _shapes(place: Place) -> Counter[Shape]:
    """The shapes of the windows in which whole clusters go, with how many there are of each."""
    inputs = planning_input(read_scenario(Path(place["scenario"])))
    scope = find_scope(inputs)
    found: Counter[Shape] = Counter()
    for item in scope.works:
        work = gather_work(
            item.nodes, item.devices, fleet=inputs.fleet, pending=scope.pending, catalogue=inputs.catalogue
        )
        cells = find_cells(work)
        found[find_shape(work, len(cells), cut_cells(work, cells))] += 1
    return found


def _minutes(shape: Shape, verify: int) -> int:
    return verify + shape.verify


def _search(place: Place) -> tuple[Problem, Found]:
    problem = compile_problem(planning_input(read_scenario(Path(place["scenario"]))))
    found = find_plan(problem)
    if not isinstance(found, Found):
        raise SystemExit("No plan exists")
    return problem, found


if __name__ == "__main__":
    main()
