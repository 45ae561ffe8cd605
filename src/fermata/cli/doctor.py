"""`fermata doctor`: what is wrong with a store, its settings and this machine, and what to do."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.simulating import chosen_settings
from fermata.wiring import clocks
from fermata.wiring.doctor import Copies, Examined, examine_all

BackupsOption = Annotated[
    Path | None,
    typer.Option(
        "--backups",
        envvar="FERMATA_BACKUPS",
        help="Folder that fermata backup --keep writes to.",
        show_default=False,
        file_okay=False,
    ),
]
CheckpointsOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        envvar="FERMATA_CHECKPOINTS",
        help="Folder that gets signed checkpoints of the journal.",
        show_default=False,
        file_okay=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor(
    *,
    backups: BackupsOption = None,
    checkpoints: CheckpointsOption = None,
    within: Annotated[
        float, typer.Option("--within", min=0.01, help="Days; the newest backup and checkpoint are no older.")
    ] = 1.0,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Looks for what is wrong with the store, the settings (FERMATA_...) and this machine, and says what to do. Run it
    where the server runs, with its environment. Nothing is changed. Exit code 1 when something is wrong.
    """
    settings = chosen_settings(store=store)
    copies = Copies(backups=backups, checkpoints=checkpoints, allowed=timedelta(days=within))
    found = examine_all(options.store_url(settings.store), settings, copies, now=clocks.utc_now())
    if as_json:
        findings = [{"code": why.code, "sentence": why.sentence} for why in found.findings]
        well = not found.findings
        output.print_json({"schema": "fermata.doctor/1", "well": well, "findings": findings, "notes": found.notes})
    else:
        _tell(found)
    if found.findings:
        raise typer.Exit(output.REFUSED)


def _tell(found: Examined) -> None:
    for why in found.findings:
        output.say(why.code, style="bold red")
        output.say(f"  {why.sentence}")
    if found.notes:
        output.say("Not looked at:", style="dim")
        for note in found.notes:
            output.say(f"  {note}", style="dim")
    if found.findings:
        output.say(f"{output.count(len(found.findings), 'thing')} to mend.", style="bold")
    else:
        output.say("Nothing is wrong.", style="green")
