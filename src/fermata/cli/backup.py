"""`fermata backup` and `fermata restore`: the whole store as one file, and back."""

from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.verifying import verifying
from fermata.services import backups
from fermata.services.backups import Backup
from fermata.store.database import Database
from fermata.wiring import clocks


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("backup")(back_up)
    app.command("restore")(restore)


def back_up(
    file: Annotated[
        Path,
        typer.Argument(help="The new file; never written over. With --keep the folder of all.", show_default=False),
    ],
    *,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Name it after the time, and keep so many of them.", show_default=False),
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Writes the whole store, as it is at one moment, into one file. Everything else goes on meanwhile."""
    database = Database(options.store_url(store))  # as it is: a backup upgrades nothing
    try:
        if keep is None:
            made = backups.back_up(database, file)
        elif file.is_dir():
            made = backups.back_up_in(database, file, now=clocks.utc_now(), keep=keep)
        else:
            raise typer.BadParameter(f"{file} is no folder: --keep names the backups in one", param_hint="FILE")
        _tell("backed up", made, as_json=as_json)
    finally:
        database.close()


def restore(
    file: Annotated[Path, typer.Argument(help="What fermata backup wrote.", show_default=False)],
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only try it, in a place that is thrown away; --store is left alone.")
    ] = False,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Makes an empty store what the backup was, on either database, upgraded to this release, with the brake on: what
    the fleet did since then nobody there knows. Look at it, then release with fermata brake off.
    """
    with verifying() as told:
        if verify:
            made = backups.rehearse(file, told)
        else:
            now = clocks.utc_now()
            made = backups.restore(file, options.store_url(store), told, now=now, actor=actor)
    _tell("can be restored" if verify else "restored, the brake is on", made, as_json=as_json)


def _tell(what: str, made: Backup, *, as_json: bool) -> None:
    at = None if made.at is None else output.iso(made.at)
    if as_json:
        told = {"schema": "fermata.backup/1", "file": str(made.file), "rows": made.rows, "line": made.seq, "at": at}
        output.print_json(told)
        return
    last = "its journal is empty" if at is None else f"the journal up to line {made.seq:,}, {at}"
    output.say(f"{made.file}: {what}. {output.count(made.rows, 'row')}, {last}.")
