"""`fermata simulate`: how likely a plan breaks a limit, ends windows late or misses its deadline, and what it costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fermata.cli import options, output
from fermata.cli.check_follow import Followed, ObservedFileOption, ParentFileOption, read_planned
from fermata.cli.plan_write import Targets, check_targets, tell_written
from fermata.cli.simulate_show import tell_risk, to_json
from fermata.cli.waiting import wait_for
from fermata.domain.ids import PlanId
from fermata.formats.plans import write_whole
from fermata.planning.risk.luck import CORRELATION
from fermata.planning.risk.simulate import Simulation
from fermata.server.web.simulation_page import render_simulation
from fermata.services.simulation import RUNS_MOST, Told
from fermata.services.simulation import simulate as play


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("simulate")(simulate)


def simulate(
    plan: Annotated[
        str, typer.Argument(help="A plan file (plan.json), or the id of a stored plan.", show_default=False)
    ],
    *,
    runs: Annotated[int, typer.Option("--runs", min=1, max=RUNS_MOST, help="How many campaigns.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Equal seeds give equal figures.")] = 1,
    correlation: Annotated[
        float,
        typer.Option(
            "--correlation",
            min=0.0,
            max=0.9,
            help="Share of a step's spread that an update has in common everywhere or within a cluster.",
        ),
    ] = CORRELATION,
    gate: Annotated[
        bool, typer.Option("--gate", help="Also with windows that wait at run time while a limit is full.")
    ] = False,
    scenario: options.ScenarioOption = None,
    workloads: options.WorkloadsOption = None,
    parent: ParentFileOption = None,
    observed: ObservedFileOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the figures as one page to this file.", show_default=False)
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Plays a plan as a whole campaign many times, node by node, with drains that drag, retries, fallout and repairs.

    Exit code 0: figures. 1: inputs that changed since. 2: a file that cannot be read.
    """
    followed = Followed(parent=parent, observed=observed)
    _check_place(plan, scenario, workloads, followed)
    targets = Targets(html=html)
    check_targets(targets)
    asked = Simulation(runs=runs, seed=seed, correlation=correlation, with_gate=gate)
    with _shown() as told:
        if scenario is not None:
            made, inputs = read_planned(Path(plan), scenario, workloads, followed)
            found = wait_for(lambda: play(inputs, made, asked, told))
        else:
            with options.opened_place(store, server) as place:
                found = wait_for(lambda: place.simulate_plan(PlanId(plan), asked, told))
    if html is not None:
        write_whole(render_simulation(found.plan, found.campaign, found.risk).encode(), html)
    if as_json:
        output.print_json(to_json(found.plan, found.risk))
    else:
        tell_risk(found.plan, found.campaign, found.risk)
        tell_written(targets)


def _check_place(plan: str, scenario: Path | None, workloads: Path | None, followed: Followed) -> None:
    """A plan file goes with its folder, and a stored plan with nothing. Raises typer.BadParameter."""
    if workloads is not None and scenario is None:
        raise typer.BadParameter("--workloads goes with --scenario: a store has its own workload map")
    is_file = Path(plan).suffix == ".json"
    if is_file and scenario is None:
        raise typer.BadParameter("say with --scenario which folder the plan file was made from")
    if not is_file and scenario is not None:
        raise typer.BadParameter(f"with --scenario name a plan file, such as plan.json, not {plan}")
    if not is_file and (followed.parent is not None or followed.observed is not None):
        raise typer.BadParameter("--parent and --observed go with a plan file: a store knows what its plans follow")


@contextmanager
def _shown() -> Iterator[Told]:
    """Shows on a terminal how many blocks of runs are played."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[of]}"), TimeElapsedColumn())
    with Progress(*columns, console=output.err, transient=True, disable=not output.err.is_terminal) as progress:
        task = progress.add_task("Reading the plan", total=None, of="")

        def told(played: int, blocks: int) -> None:
            of = f"{played} of {output.count(blocks, 'block')} of runs"
            progress.update(task, description="Simulating", completed=played, total=blocks, of=of)

        yield told
