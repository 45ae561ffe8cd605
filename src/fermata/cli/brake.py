"""`fermata brake on`, `off` and `show`: nothing new begins anywhere, even while the store is slow or gone."""

from functools import partial
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.credentials import connect
from fermata.cli.simulating import chosen_settings
from fermata.domain.hashing import to_plain
from fermata.domain.intents import Intent
from fermata.services import intents
from fermata.services.intents import BrakeShown
from fermata.wiring import clocks
from fermata.wiring.stores import StoreUnavailable, open_brake

ReasonOption = Annotated[str, typer.Option("--reason", "--why", help="Why; others read it at night.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(name="brake", help="The brake of the whole fleet: nothing new begins while it is on.")
    group.command("on")(pull)
    group.command("off")(release)
    group.command("show")(show)
    app.add_typer(group)


def pull(
    *,
    why: ReasonOption,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Nothing new begins from now on; what runs is let end. Works while the store does not."""
    if server is not None:
        with connect(server) as place:
            shown = place.pull_brake(actor=actor, why=why)
    else:
        file = open_brake(options.store_url(store), chosen_settings())
        opened = partial(options.opened_store, store)
        shown = intents.pull_brake(opened, file, now=clocks.utc_now(), actor=actor, why=why)
    _tell(shown, as_json=as_json)


def release(
    *,
    why: ReasonOption,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Work may begin again. The brakes of other machines stay as they are."""
    if server is not None:
        with connect(server) as place:
            shown = place.release_brake(actor=actor, why=why)
    else:
        file = open_brake(options.store_url(store), chosen_settings())
        with options.opened_store(store) as database:
            shown = intents.release_brake(database, file, now=clocks.utc_now(), actor=actor, why=why)
    _tell(shown, as_json=as_json)


def show(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Whether it is on, who pulled it, when and why. While the store does not answer: what this machine knows, and exit
    code 1.
    """
    if server is not None:
        with connect(server) as place:
            shown = place.show_brake()
    else:
        file = open_brake(options.store_url(store), chosen_settings())
        try:
            with options.opened_store(store) as database:
                shown = intents.show_brake(database, file)
        except StoreUnavailable as error:
            shown = BrakeShown(file=file.read(), row=None, path=str(file.path), row_missing=str(error))
    _tell(shown, as_json=as_json)
    if shown.row_missing:
        raise typer.Exit(1)


def _tell(shown: BrakeShown, *, as_json: bool) -> None:
    if as_json:
        is_on = shown.is_on or (None if shown.row_missing else False)
        output.print_json({"schema": "fermata.brake/1", "on": is_on, **output.with_z(to_plain(shown))})
        return
    output.out.print(output.styled("The brake is ", (_say_state(shown), "bold"), "."))
    _line(f"this machine ({shown.path})", shown.file)
    _line("the store, for every machine", shown.row)
    if shown.row_missing:
        output.err.print(f"What the store says for other machines is not known: {shown.row_missing}.")
        output.err.print("Pull it on every machine that conducts, or try again.")


def _say_state(shown: BrakeShown) -> str:
    if not shown.row_missing:
        return "on: nothing new begins" if shown.is_on else "off"
    return "on for this machine alone: nothing new begins here" if shown.is_on else "off on this machine"


def _line(where: str, word: Intent | None) -> None:
    if word is not None:
        output.out.print(f"  {where}: since {output.utc(word.at)}, {word.who}")
