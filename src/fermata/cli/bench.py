"""`fermata bench rcpsp`: solves classic project-scheduling files and says how good each schedule is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Thread
from time import perf_counter
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.waiting import wait_for
from fermata.formats.psplib import find_projects, read_best_known, read_projects
from fermata.planning.rcpsp.budget import Budget, Effort, Seconds
from fermata.planning.rcpsp.project import Project
from fermata.planning.rcpsp.solve import Schedule, solve_project

WORKERS_MAX = 64  # threads; more than any machine these problems repay
LINE = "{:<{width}}  {:>5}  {:>8}  {:>6}  {:>7}  {:<10}  {:>8}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    project: Project
    schedule: Schedule
    seconds: float
    best_known: int | None

    @property
    def gap(self) -> float:
        return _share_over(self.schedule.makespan, self.schedule.bound)

    @property
    def is_best(self) -> bool:
        """Proven, or equal to the best known."""
        known = self.best_known
        return self.schedule.is_proven or (known is not None and self.schedule.makespan <= known)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    bench = typer.Typer(help="Solves classic benchmark problems.", no_args_is_help=True, rich_markup_mode=None)
    bench.callback()(_bench)
    bench.command("rcpsp")(rcpsp)
    app.add_typer(bench, name="bench")


def _bench() -> None:
    """Solves classic benchmark problems."""


def rcpsp(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Project files (.sm, .rcp), or folders of them.", show_default=False),
    ],
    *,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="Time for each file.")] = 10.0,
    effort: Annotated[
        float | None,
        typer.Option(
            "--effort",
            min=0.0,
            help="In place of seconds, units of work: the same answer on every machine.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=WORKERS_MAX, help="Threads.")] = 2,
    best_known: Annotated[
        Path | None,
        typer.Option(
            "--best-known", help="CSV file with the columns file and makespan, to compare with.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Starts the dice.")] = 1,
    as_json: options.JsonOption = False,
) -> None:
    """Finds the shortest schedule of each project, with a bound that no schedule can be under.

    Exit code 0: every file is solved as far as its time went. 2: a file that cannot be read; then none is solved.
    """
    known = read_best_known(best_known) if best_known else {}
    projects = read_projects(find_projects(files))
    width = max(len(project.name) for project in projects)
    if not as_json:
        headings = ("file", "tasks", "makespan", "bound", "gap", "", "seconds")
        output.out.print(LINE.format(*headings, width=width).rstrip(), markup=False, style="dim")
    lines = []
    for number, project in enumerate(projects, start=1):
        with output.err.status(f"Solving {project.name}, {number} of {len(projects)}"):
            began = perf_counter()
            budget = _budget(seconds, effort, workers)
            schedule = wait_for(lambda p=project, b=budget: solve_project(p, b, seed=seed, workers=workers))  # type: ignore[misc]
        took = perf_counter() - began
        lines.append(_Line(project=project, schedule=schedule, seconds=took, best_known=known.get(project.name)))
        if not as_json:
            _tell(lines[-1], width)
    if as_json:
        output.print_json({"files": [_to_json(line) for line in lines], "summary": _summarise(lines)})
    else:
        _tell_summary(_summarise(lines))


def _budget(seconds: float, effort: float | None, workers: int) -> Budget:
    if effort is not None:
        return Effort(effort)
    end = perf_counter() + seconds
    return Seconds(remaining=lambda: end - perf_counter(), side_by_side=_run_side_by_side if workers > 1 else None)


def _run_side_by_side(calls: Sequence[Callable[[], None]]) -> None:
    """Each in a thread of its own: the solver holds nobody up while it computes. Raises what one of them raised."""
    errors: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # handed over, not swallowed: raised below
            errors.append(error)

    threads = [Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _share_over(value: int, base: int) -> float:
    """By which share `value` is above `base`; a project without any length has no gap."""
    return (value - base) / base if base else 0.0


def _to_json(line: _Line) -> dict[str, Any]:
    return {
        "file": line.project.name,
        "tasks": len(line.project.tasks),
        "makespan": line.schedule.makespan,
        "bound": line.schedule.bound,
        "gap": round(line.gap, 6),
        "proven": line.schedule.is_proven,
        "seconds": round(line.seconds, 3),
        "best_known": line.best_known,
        "starts": list(line.schedule.starts),
    }


def _summarise(lines: Sequence[_Line]) -> dict[str, Any]:
    """Stable keys. What compares with the best known counts the files whose best is known, None when there is none."""
    compared = [(line, line.best_known) for line in lines if line.best_known is not None]
    return {
        "files": len(lines),
        "proven": sum(line.schedule.is_proven for line in lines),
        "mean_gap": round(fmean(line.gap for line in lines), 6),
        "seconds": round(sum(line.seconds for line in lines), 3),
        "compared": len(compared),
        "proven_or_equal": sum(line.is_best for line, _ in compared) if compared else None,
        "equal_to_best_known": sum(line.schedule.makespan <= known for line, known in compared) if compared else None,
        "mean_gap_to_best_known": round(
            fmean(_share_over(line.schedule.makespan, known) for line, known in compared), 6
        )
        if compared
        else None,
    }


def _tell(line: _Line, width: int) -> None:
    schedule = line.schedule
    verdict = "proven" if schedule.is_proven else "best found"
    told = (line.project.name, len(line.project.tasks), schedule.makespan, schedule.bound, f"{line.gap:.1%}", verdict)
    known = "" if line.best_known is None else f"  best known {line.best_known}"
    text = LINE.format(*told, f"{line.seconds:.2f} s", width=width) + known
    output.out.print(text, markup=False, soft_wrap=True)


def _tell_summary(summary: dict[str, Any]) -> None:
    files = output.count(summary["files"], "file")
    proven = f"{summary['proven']:,} proven, mean gap to the bound {summary['mean_gap']:.2%}"
    output.out.print(f"{files} in {summary['seconds']:.1f} s: {proven}", soft_wrap=True)
    if summary["compared"]:
        output.out.print(
            f"Against the best known of {output.count(summary['compared'], 'file')}: {summary['proven_or_equal']:,} "
            f"proven or equal, {summary['equal_to_best_known']:,} equal, "
            f"mean gap {summary['mean_gap_to_best_known']:.2%}",
            soft_wrap=True,
        )
