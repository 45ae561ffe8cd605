"""`fermata audit`: whether the journal is what was written, checkpoints that prove it later, and who may touch it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.verifying import verifying
from fermata.formats import checkpoints
from fermata.formats.archives import SUFFIX
from fermata.services import archives, audit
from fermata.services.audit import Evidence, Verified
from fermata.wiring import clocks


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    group = typer.Typer(help="The journal as evidence: nothing in it changed, nothing missing.", no_args_is_help=True)
    group.command("verify")(verify)
    group.command("checkpoint")(checkpoint)
    group.command("archive")(archive)
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
    archived: Annotated[
        list[Path] | None,
        typer.Option(
            "--archive",
            help="What fermata audit archive wrote, or a folder of it. Again for more.",
            show_default="none",
        ),
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Reads the whole journal and names the first line that was edited, removed, moved or put in. Exit code 1 then.

    That lines were cut off its end, or all of it written anew, only checkpoints can show that are kept elsewhere. Of a
    journal whose old lines were archived it begins after the cut, and reads the archives that are named.
    """
    if points and key is None:
        raise typer.BadParameter("whose signature is it? Name the public key with --key.", param_hint="--checkpoint")
    signed = checkpoints.read_checkpoints(points, key) if points and key else ()
    evidence = Evidence(checkpoints=signed, archives=_list_archives(archived or ()), key=key)
    with options.opened_store(store) as database, verifying() as told:
        found = audit.verify(database, evidence, told)
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
        point = audit.take_checkpoint(database, now=clocks.utc_now())
    text = checkpoints.sign(point, key)
    if out is not None:
        file = out / f"journal-{point.seq:012d}{checkpoints.SUFFIX}"
        file.write_text(text, encoding="utf-8")
    if out is None or as_json:
        typer.echo(text, nl=False)
        return
    output.out.print(f"{file}: the journal up to line {point.seq:,}.", soft_wrap=True)


def archive(
    *,
    before: Annotated[
        str, typer.Option("--before", help="Everything older goes: a date, or a time like 2026-01-03T19:00:00Z.")
    ],
    to: Annotated[Path, typer.Option("--to", help="The new file; never written over.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Private key that signs the cut.", show_default=False)],
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Moves old lines of the journal, and old notices that nobody needs, into a file. What is left stays provable: the
    cut is signed. Refused while something open needs some of them. Keep the file as long as the law asks.
    """
    now = clocks.utc_now()
    at = options.parse_time(before)
    with options.opened_store(store) as database, verifying() as told:
        made = archives.archive(database, to, at, key, told, now=now, actor=actor)
    if as_json:
        output.print_json(
            {
                "schema": "fermata.archived/1",
                "file": str(made.file),
                "first": made.first,
                "last": made.last,
                "notices": made.notices,
                "sha256": made.sha256,
            }
        )
        return
    notices = output.count(made.notices, "notice")
    output.say(f"{made.file}: lines {made.first:,} to {made.last:,} of the journal, and {notices}. Keep it.")
    output.say(f"Verify it with fermata audit verify --archive {made.file} --key PUBLIC.")


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
    output.out.print(f"{file}: keep it away from the store. {public}: for everybody who verifies.", soft_wrap=True)


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
        "begins": found.begins,
        "archived": found.archived,
        "checkpoints": checkpoints_read,
        "checkpoints_behind": found.behind,
        "broken": broken,
        "unmet": unmet,
    }


def _list_archives(places: Sequence[Path]) -> tuple[Path, ...]:
    found = (sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place] for place in places)
    return tuple(file for files in found for file in files)


def _tell(found: Verified, checkpoints_read: int) -> None:
    fits = f"{output.count(found.lines, 'line')} {'fits' if found.lines == 1 else 'fit'}, up to line {found.seq:,}."
    if found.broken is None:
        output.say(f"The journal: {fits}", style="" if found.unmet else "green")
    else:
        output.say(f"{found.broken.code}  {found.broken.sentence}", style="red")
        output.say(f"Before it, {fits}")
    for why in found.unmet:
        output.say(f"{why.code}  {why.sentence}", style="red")
    if found.archived:
        output.say(f"Archives: {output.count(found.archived, 'line')} that fit.")
    elif found.begins:
        output.say(f"It begins after line {found.begins:,}: lines before are in an archive that was not given.")
    _tell_of_checkpoints(found, checkpoints_read)


def _tell_of_checkpoints(found: Verified, checkpoints_read: int) -> None:
    met = checkpoints_read - found.behind
    if found.behind:
        output.say(f"{output.count(found.behind, 'checkpoint')} of lines that were archived: give the archive, too.")
    if met and found.holds:
        output.say(f"{output.count(met, 'checkpoint')} {'agrees' if met == 1 else 'agree'} with it.")
    elif not checkpoints_read and found.broken is None:
        output.say("No checkpoint was given: what was cut off its end cannot be seen.")
