"""`fermata publish`: puts a plan in force."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.risks import print_risks
from fermata.domain.combinations import say_new
from fermata.domain.ids import PlanId
from fermata.formats.plans import read_plan


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("publish")(publish_plan)


def publish_plan(
    plan: Annotated[str, typer.Argument(help="Id of a stored plan, or a plan file (plan.json).", show_default=False)],
    actor: Annotated[
        str,
        typer.Option(
            "--as", help="Who publishes; goes into the journal.", default_factory=getpass.getuser, show_default=False
        ),
    ],
    why: Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)] = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Puts a plan in force: checked again, with the consent of this moment, in the place of its parent."""
    with options.opened_place(store, server) as place, output.err.status("Checking"):
        given = read_plan(Path(plan)) if Path(plan).suffix == ".json" else PlanId(plan)
        done = place.publish(given, actor=actor, why=why)
        risks = () if done.already else say_new(place.list_combinations(None, done.plan))
    if as_json:
        output.print_json(
            {
                "id": done.plan,
                "campaign": done.campaign,
                "parent": done.parent,
                "windows": done.windows,
                "already": done.already,
                "risks": [{"code": risk.code, "sentence": risk.sentence} for risk in risks],
            }
        )
        return
    state = "was in force already" if done.already else "is in force"
    windows = output.count(done.windows, "window")
    output.out.print(f"{done.plan} {state}: {windows} of campaign {done.campaign}", markup=False, soft_wrap=True)
    print_risks(risks)
