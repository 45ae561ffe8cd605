"""Solves PSPLIB files with `solve_project` beside the bare solver, the same seconds and threads for both. Takes folders
of files; prints a table with two lines for each folder, and says so when it is given none.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from threading import Thread
from time import perf_counter, process_time

from ortools.sat.python import cp_model

import harness
from fermata.formats.psplib import find_projects, read_best_known, read_projects
from fermata.planning.rcpsp.budget import Seconds
from fermata.planning.rcpsp.project import Project
from fermata.planning.rcpsp.solve import solve_project

Found = tuple[int | None, int]  # makespan (None: none found), bound
COLUMNS = (
    "proven %",
    "equal to best known %",
    "proven or equal %",
    "mean gap to best known %",
    "median s",
    "mean CPU s",
)
SOURCE = "PSPLIB is at the Technical University of Munich, www.om-db.wi.tum.de/psplib; none of it is kept here."


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one file; `makespan` is None when no schedule was found."""

    makespan: int | None
    bound: int
    seconds: float
    cpu_seconds: float

    def meets(self, span: int | None) -> bool:
        """True when nothing longer than `span` was found."""
        return span is not None and self.makespan is not None and self.makespan <= span


def main() -> None:
    """Measures the folders named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of .sm or .rcp files")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each file (default 10)")
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--best-known", type=Path, help="CSV file with the columns file and makespan")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth file of a folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    asked = parser.parse_args()
    if not asked.folders:
        print(f"No folder was named, so nothing is measured. {SOURCE}")
        return
    known = read_best_known(asked.best_known) if asked.best_known else {}
    figures = {}
    load = f"load before {os.getloadavg()[0]:.1f}"
    print(f"{asked.seconds:g} s a file, {asked.workers} threads; {load}; {harness.describe_machine({})}")
    print(f"{'set':<10}  {'files':>5}  {'':<13}", *COLUMNS, sep="  ")
    for folder in asked.folders:
        projects = read_projects(find_projects([folder])[:: asked.every])
        results: dict[str, list[Result]] = {"bare solver": [], "solve_project": []}
        for project in projects:
            results["bare solver"].append(measure(solve_barely, project, asked.seconds, asked.workers))
            results["solve_project"].append(measure(solve, project, asked.seconds, asked.workers))
        figures[folder.name] = {name: summarise(projects, found, known) for name, found in results.items()}
        for name, told in figures[folder.name].items():
            cells = [f"{told[column]:>{len(column)}g}" for column in COLUMNS]
            print(f"{folder.name:<10}  {len(projects):>5}  {name:<13}", *cells, sep="  ", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(solver: Callable[[Project, float, int], Found], project: Project, seconds: float, workers: int) -> Result:
    """One solve of one file. CPU far below the seconds times the threads: the machine had other work to do."""
    began, cpu_began = perf_counter(), process_time()
    makespan, bound = solver(project, seconds, workers)
    took, cpu = perf_counter() - began, process_time() - cpu_began
    return Result(makespan=makespan, bound=bound, seconds=took, cpu_seconds=cpu)


def solve(project: Project, seconds: float, workers: int) -> Found:
    """Ours, as the command runs it."""
    began = perf_counter()
    budget = Seconds(remaining=lambda: began + seconds - perf_counter(), side_by_side=run_side_by_side)
    found = solve_project(project, budget, workers=workers)
    return found.makespan, found.bound


def run_side_by_side(calls: Sequence[Callable[[], None]]) -> None:
    """A thread each."""
    threads = [Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def solve_barely(project: Project, seconds: float, workers: int) -> Found:
    """The textbook model with the solver's defaults."""
    model = cp_model.CpModel()
    horizon = sum(task.duration for task in project.tasks)
    starts = [model.new_int_var(0, horizon, "") for _ in project.tasks]
    pairs = list(zip(project.tasks, starts, strict=True))
    makespan = model.new_int_var(0, horizon, "")
    for task, start in pairs:
        model.add(makespan >= start + task.duration)
        for successor in task.successors:
            model.add(starts[successor] >= start + task.duration)
    intervals = [model.new_fixed_size_interval_var(start, task.duration, "") for task, start in pairs]
    for number, resource in enumerate(project.resources):
        model.add_cumulative(intervals, [task.demands[number] for task in project.tasks], resource.capacity)
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    found = solver.solve(model) in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    value = round(solver.objective_value) if found else None
    return value, round(solver.best_objective_bound)


def summarise(projects: Sequence[Project], found: Sequence[Result], known: Mapping[str, int]) -> dict[str, float]:
    """Percentages of the files, but for the seconds."""
    best = [known.get(project.name) for project in projects]
    proven = [result.meets(result.bound) for result in found]
    equal = [result.meets(span) for result, span in zip(found, best, strict=True)]
    gaps = [r.makespan / span - 1 for r, span in zip(found, best, strict=True) if r.makespan is not None and span]
    return {
        "proven %": round(100 * fmean(proven), 1),
        "equal to best known %": round(100 * fmean(equal), 1),
        "proven or equal %": round(100 * fmean(one or two for one, two in zip(proven, equal, strict=True)), 1),
        "mean gap to best known %": round(100 * fmean(gaps), 2) if gaps else 0.0,
        "found %": round(100 * fmean(result.makespan is not None for result in found), 1),
        "median s": round(median(result.seconds for result in found), 2),
        "mean CPU s": round(fmean(result.cpu_seconds for result in found), 2),
    }


if __name__ == "__main__":
    main()
