"""Solves PSPLIB files with `solve_project` beside the bare solver, the same seconds and threads for both. Takes folders
of files; prints a table for each folder, and says so when it is given none.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from threading import Thread
from time import perf_counter

from ortools.sat.python import cp_model

import harness
from fermata.formats.psplib import find_projects, read_best_known, read_projects
from fermata.planning.rcpsp.budget import Seconds
from fermata.planning.rcpsp.project import Project
from fermata.planning.rcpsp.solve import solve_project

Result = tuple[int | None, int, float]  # makespan (None: none found), bound, seconds
SOURCE = "PSPLIB is at the Technical University of Munich, www.om-db.wi.tum.de/psplib; none of it is kept here."


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
    print(f"{asked.seconds:g} s a file, {asked.workers} threads; {harness.describe_machine({})}")
    for folder in asked.folders:
        projects = read_projects(find_projects([folder])[:: asked.every])
        print(f"== {folder.name}: {len(projects)} files")
        results: dict[str, list[Result]] = {"bare solver": [], "solve_project": []}
        for project in projects:
            results["bare solver"].append(solve_barely(project, asked.seconds, asked.workers))
            results["solve_project"].append(solve(project, asked.seconds, asked.workers))
        figures[folder.name] = {name: summarise(projects, found, known) for name, found in results.items()}
        for name, told in figures[folder.name].items():
            print(f"  {name:<14}", ", ".join(f"{key} {value:g}" for key, value in told.items()), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def solve(project: Project, seconds: float, workers: int) -> Result:
    """Ours, as the command runs it."""
    began = perf_counter()
    budget = Seconds(remaining=lambda: began + seconds - perf_counter(), side_by_side=run_side_by_side)
    found = solve_project(project, budget, workers=workers)
    return found.makespan, found.bound, perf_counter() - began


def run_side_by_side(calls: Sequence[Callable[[], None]]) -> None:
    """A thread each."""
    threads = [Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def solve_barely(project: Project, seconds: float, workers: int) -> Result:
    """The textbook model with the solver's defaults."""
    began = perf_counter()
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
    return value, round(solver.best_objective_bound), perf_counter() - began


def summarise(projects: Sequence[Project], found: Sequence[Result], known: Mapping[str, int]) -> dict[str, float]:
    """Percentages of the files, but for the median time."""
    best = [known.get(project.name) for project in projects]
    proven = [span is not None and span <= bound for span, bound, _ in found]
    equal = [span is not None and b is not None and span <= b for (span, _, _), b in zip(found, best, strict=True)]
    gaps = [span / b - 1 for (span, _, _), b in zip(found, best, strict=True) if span is not None and b]
    either = [one or two for one, two in zip(proven, equal, strict=True)]
    return {
        "proven %": round(100 * fmean(proven), 1),
        "equal to best known %": round(100 * fmean(equal), 1),
        "proven or equal %": round(100 * fmean(either), 1),
        "mean gap to best known %": round(100 * fmean(gaps), 2) if gaps else 0.0,
        "found %": round(100 * fmean(span is not None for span, _, _ in found), 1),
        "median s": round(median(seconds for _, _, seconds in found), 2),
    }


if __name__ == "__main__":
    main()
