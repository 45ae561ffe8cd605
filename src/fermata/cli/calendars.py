"""`fermata calendar`: the published schedule as a calendar."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.formats.plans import write_whole
from fermata.services.calendars import FeedOf


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("calendar")(calendar)


def calendar(
    of: Annotated[
        FeedOf | None,
        typer.Argument(help="Whose: of a customer, a cluster or a team. Left out: all.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="Its name.", show_default=False)] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it to this file; left out: to where output goes.", show_default=False),
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Writes the published schedule as a calendar (iCalendar): fermata calendar customer lumen --out lumen.ics

    To subscribe to it instead, give a calendar the address that `fermata serve` has for it:
    /api/v1/calendars/customer/lumen.ics
    """
    if (of is None) != (name is None):
        raise typer.BadParameter("name one of them: fermata calendar customer lumen")
    with options.opened_place(store, server) as place:
        drawn = place.draw_feed(of, name or "")
    windows = drawn.count(b"BEGIN:VEVENT")
    if out is not None:
        _write(drawn, out)
    if as_json:
        said = {"calendar": drawn.decode()} if out is None else {"file": str(out)}
        output.print_json({"windows": windows, **said})
    elif out is None:
        sys.stdout.buffer.write(drawn)
    else:
        output.say(f"Wrote {windows:,} window{'' if windows == 1 else 's'} to {out}")


def _write(drawn: bytes, out: Path) -> None:
    try:
        write_whole(drawn, out)
    except OSError as error:
        raise typer.BadParameter(f"{out} cannot be written: {error.strerror}") from error
