"""`fermata publish`: puts a plan in force."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from fermata import wiring
from fermata.cli import options, output
from fermata.domain.ids import PlanId
from fermata.formats.plans import read_plan
from fermata.services.plans import publish


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
    as_json: options.JsonOption = False,
) -> None:
    """Puts a plan in force: checked again, with the consent of this moment, in the place of its parent."""
    now = wiring.utc_now()
    with options.opened_store(store) as database, output.err.status("Checking"):
        given = read_plan(Path(plan)) if Path(plan).suffix == ".json" else PlanId(plan)
        done = publish(database, given, now=now, actor=actor, why=why)
    if as_json:
        output.print_json(
            {
                "id": done.plan.id,
                "campaign": done.plan.campaign,
                "parent": done.plan.parent,
                "windows": len(done.plan.windows),
                "already": done.already,
            }
        )
        return
    state = "was in force already" if done.already else "is in force"
    windows = output.count(len(done.plan.windows), "window")
    output.out.print(
        f"{done.plan.id} {state}: {windows} of campaign {done.plan.campaign}", markup=False, soft_wrap=True
    )
