"""`fermata simulate`: how likely a plan breaks a limit, ends windows late or misses its deadline, and what it costs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fermata.cli import options, output
from fermata.cli.check_follow import Followed, ObservedFileOption, ParentFileOption, with_parent
from fermata.cli.plan_files import read_planned
from fermata.cli.simulate_show import tell_risk, to_json
from fermata.cli.waiting import wait_for
from fermata.domain.ids import PlanId
from fermata.domain.plans import Plan
from fermata.planning.inputs import PlanningInput
from fermata.planning.risk.figures import CampaignRisk
from fermata.planning.risk.luck import CORRELATION
from fermata.planning.risk.record import Record
from fermata.planning.risk.simulate import Campaigns, Simulation
from fermata.services.plans import load_plan_inputs

RUNS_MOST = 100_000  # an hour or two for January; the figures do not get better in any way that shows
THREADS = 2  # most of the time is spent in arrays, which leave the interpreter to others


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
    workloads: Annotated[
        Path | None,
        typer.Option("--workloads", help="Workload map that the plan was made with, if not the folder's."),
    ] = None,
    parent: ParentFileOption = None,
    observed: ObservedFileOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Plays a plan as a whole campaign many times, node by node, with drains that drag, retries, fallout and repairs.

    Exit code 0: figures. 1: inputs that changed since. 2: a file that cannot be read.
    """
    if workloads is not None and scenario is None:
        raise typer.BadParameter("--workloads goes with --scenario: a store has its own workload map")
    is_file = Path(plan).suffix == ".json"
    if not is_file and (parent is not None or observed is not None):
        raise typer.BadParameter("--parent and --observed go with a plan file: a store knows what its plans follow")
    followed = Followed(parent=parent, observed=observed)
    made, inputs = _read_files(Path(plan), scenario, workloads, followed) if is_file else _load(plan, scenario, store)
    asked = Simulation(runs=runs, seed=seed, correlation=correlation, with_gate=gate)
    risk = wait_for(lambda: _play(Campaigns(inputs, made, asked)))
    if as_json:
        output.print_json(to_json(made, risk))
    else:
        tell_risk(made, inputs.campaign, risk)


def _read_files(
    path: Path, folder: Path | None, workloads: Path | None, followed: Followed
) -> tuple[Plan, PlanningInput]:
    if folder is None:
        raise typer.BadParameter("say with --scenario which folder the plan file was made from")
    made, inputs = read_planned(path, folder, workloads)
    return made, with_parent(inputs, made, followed)


def _load(plan: str, folder: Path | None, store: str) -> tuple[Plan, PlanningInput]:
    if folder is not None:
        raise typer.BadParameter(f"with --scenario name a plan file, such as plan.json, not {plan}")
    with options.opened_store(store) as database:
        return load_plan_inputs(database, PlanId(plan))


def _play(campaigns: Campaigns) -> CampaignRisk:
    """All blocks, in their order whoever finishes first."""
    columns = (TextColumn("Simulating"), BarColumn(), MofNCompleteColumn(), TextColumn("blocks of runs"))
    with Progress(*columns, console=output.err, transient=True, disable=not output.err.is_terminal) as progress:
        task = progress.add_task("", total=campaigns.blocks)
        with ThreadPoolExecutor(THREADS) as pool:
            found: list[tuple[Record, ...]] = []
            for records in pool.map(campaigns.play, range(campaigns.blocks)):
                found.append(records)
                progress.advance(task)
    return campaigns.judge(found)
