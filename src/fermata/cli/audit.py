"""`fermata audit`: whether the journal is what was written, checkpoints that prove it later, and who may touch it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.verifying import verifying
from fermata.formats import checkpoints
from fermata.services import audit
from fermata.services.audit import Verified


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    group = typer.Typer(help="The journal as evidence: nothing in it changed, nothing missing.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("checkpoint")(checkpoint)
    group.command("key")(make_key)
    group.command("grants")(print_grants)
    app.add_typer(group, name="audit")


def verify(
    *,
    points: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", help="A signed checkpoint, or a folder of them. Again for more.", show_default="none"
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key of those who signed them.", show_default="none")
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Reads the whole journal and names the first line that was edited, removed, moved or put in. Exit code 1 then.

    That lines were cut off its end, or all of it written anew, only checkpoints can show that are kept elsewhere.
    """
    if points and key is None:
        raise typer.BadParameter("whose signature is it? Name the public key with --key.", param_hint="--checkpoint")
    signed = checkpoints.read_checkpoints(points, key) if points and key else ()
    with options.opened_store(store) as database, verifying() as told:
        found = audit.verify(database, signed, told)
    if as_json:
        output.print_json(_plain(found, len(signed)))
    else:
        _tell(found, len(signed))
    if not found.holds:
        raise typer.Exit(output.REFUSED)


def checkpoint(
    *,
    key: Annotated[Path, typer.Option("--key", help="Private key to sign with.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder that gets a file, named after the line.", show_default="printed, no file is written"
        ),
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Signs what the journal's last line carries. Keep file and key where nobody who writes to the store can write."""
    with options.opened_store(store) as database:
        point = audit.take_checkpoint(database, now=wiring.utc_now())
    text = checkpoints.sign(point, key)
    if out is not None:
        file = out / f"journal-{point.seq:012d}{checkpoints.SUFFIX}"
        file.write_text(text, encoding="utf-8")
    if out is None or as_json:
        typer.echo(text, nl=False)
        return
    output.out.print(escape(f"{file}: the journal up to line {point.seq:,}."), soft_wrap=True)


def make_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; the public one beside it.")],
    *,
    as_json: options.JsonOption = False,
) -> None:
    """Makes a pair of Ed25519 keys for checkpoints. An existing file is left alone."""
    public = checkpoints.make_key(file)
    if as_json:
        output.print_json({"private": str(file), "public": str(public)})
        return
    output.out.print(
        escape(f"{file}: keep it away from the store. {public}: for everybody who verifies."), soft_wrap=True
    )


def print_grants(
    role: Annotated[str, typer.Argument(help="The role that fermata signs in with, not the owner of the tables.")],
    *,
    as_json: options.JsonOption = False,
) -> None:
    """Prints SQL for PostgreSQL: a role that works with the store, but cannot change or delete what is append-only.

    The owner of the tables runs it, and upgrades the store from then on: that role may not.
    """
    sql = audit.grants_of(role)
    if as_json:
        output.print_json({"sql": sql})
        return
    typer.echo(sql, nl=False)


def _plain(found: Verified, checkpoints_read: int) -> dict[str, object]:
    unmet = [{"code": why.code, "sentence": why.sentence} for why in found.unmet]
    broken = found.broken and {"code": found.broken.code, "sentence": found.broken.sentence}
    return {
        "schema": "fermata.audit/1",
        "holds": found.holds,
        "lines": found.lines,
        "seq": found.seq,
        "head": found.head,
        "checkpoints": checkpoints_read,
        "broken": broken,
        "unmet": unmet,
    }


def _tell(found: Verified, checkpoints_read: int) -> None:
    fits = f"{output.count(found.lines, 'line')} {'fits' if found.lines == 1 else 'fit'}, up to line {found.seq:,}."
    if found.broken is None:
        output.say(f"The journal: {fits}", style="" if found.unmet else "green")
    else:
        output.say(f"{found.broken.code}  {found.broken.sentence}", style="red")
        output.say(f"Before it, {fits}")
    for why in found.unmet:
        output.say(f"{why.code}  {why.sentence}", style="red")
    if checkpoints_read and found.holds:
        output.say(
            f"{output.count(checkpoints_read, 'checkpoint')} {'agrees' if checkpoints_read == 1 else 'agree'} with it."
        )
    elif not checkpoints_read and found.broken is None:
        output.say("No checkpoint was given: what was cut off its end cannot be seen.")
