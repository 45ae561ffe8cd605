"""Options that several commands share, and what their values turn into: above all the one place a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fermata.cli.credentials import connect
from fermata.settings import BadSetting, read_settings
from fermata.store.database import Database
from fermata.wiring.named_secrets import find_seal_key
from fermata.wiring.stores import open_database

if TYPE_CHECKING:
    from fermata.cli.verbs import Verbs

DEFAULT_STORE = "fermata.db"

_NAMED, _INHERITED = "COMMANDLINE", "ENVIRONMENT"


def _choose(context: typer.Context, option: typer.CallbackParam, value: object) -> object:
    """What the command line names beats the environment; a server and another place named alike are a usage error.

    Options of the command line are always processed before those of the environment.
    """
    sources = {name: context.get_parameter_source(name) for name in ("server", "store", "scenario")}
    given = {name: found.name for name, found in sources.items() if found and found.name in {_NAMED, _INHERITED}}
    if option.name not in given:
        return value
    if given[option.name] == _INHERITED and _NAMED in given.values():
        return DEFAULT_STORE if option.name == "store" else None
    if "server" in given and len(given) > 1:
        options = " or ".join(f"--{name}" for name in given)
        variables = " (FERMATA_SERVER, FERMATA_STORE)" if _INHERITED in given.values() else ""
        raise typer.BadParameter(f"work on {options}, on one of them alone{variables}")
    return value


def _choose_server(context: typer.Context, option: typer.CallbackParam, value: str | None) -> str | None:
    if value is None or _choose(context, option, value) is None:
        return None
    from fermata.client.link import parse_server  # noqa: PLC0415 - loads the API's bodies, of which a store has no need

    try:
        return parse_server(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="FERMATA_STORE",
        callback=_choose,
        help="Store to work on: a SQLite file, or a URL such as postgresql+psycopg://user@host/name.",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="FERMATA_SERVER",
        callback=_choose_server,
        help="URL of the server to work on in place of a store, such as http://127.0.0.1:8321.",
        show_default=False,
    ),
]
ScenarioOption = Annotated[
    Path | None,
    typer.Option(
        "--scenario",
        callback=_choose,
        help="Work on the files of this folder alone instead of a store.",
        show_default=False,
    ),
]
WorkloadsOption = Annotated[
    Path | None,
    typer.Option(
        "--workloads", help="Workload map that the plan was made with, if not the folder's.", show_default=False
    ),
]
SourcesOption = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        envvar="FERMATA_SOURCES",
        help="File with the sources of inventory. A server asks its own.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, and nothing else.")]
ActorOption = Annotated[str, typer.Option("--as", help="Who says so; goes into the journal.", show_default=False)]


def store_url(text: str) -> str:
    """A SQLAlchemy URL from what the user gave: URLs stay, anything else is the path of a SQLite file.

    A plain postgresql:// or postgres:// URL gets the driver that we ship.
    """
    for scheme in ("postgresql://", "postgres://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    if "://" in text:
        return text
    return f"sqlite:///{Path(text)}"


@contextmanager
def opened_store(text: str) -> Iterator[Database]:
    """The store the user named, closed at the end of the block. Raises StoreUnavailable."""
    try:
        seal_key = find_seal_key(read_settings())
    except BadSetting as bad:
        raise typer.BadParameter(str(bad)) from bad
    database = open_database(store_url(text), seal_key=seal_key)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def opened_place(store: str, server: str | None, sources: Path | None = None) -> Iterator["Verbs"]:
    """The verbs of the server, if one is named, else of the store, with the sources of inventory that a file describes.

    Raises StoreUnavailable and BadInput.
    """
    if server is not None:
        with connect(server) as verbs:
            yield verbs
        return
    from fermata.cli.local import StoreVerbs  # noqa: PLC0415 - loads the planner, of which a server has no need
    from fermata.wiring.sources import open_sources  # noqa: PLC0415 - likewise

    with opened_store(store) as database:
        yield StoreVerbs(database, open_sources(sources))


def refuse_server(context: typer.Context, folder: str) -> None:
    """Raises BadParameter when the command line names a server beside a folder; one of the environment is not meant."""
    source = context.get_parameter_source("server")
    if source is not None and source.name == _NAMED:
        raise typer.BadParameter(f"{folder} is planned from its files, here: leave --server out")


def parse_time(text: str) -> datetime:
    """An aware UTC time from ISO 8601 text; a date alone is midnight UTC. Raises typer.BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is not a time; write it like 2026-01-03T19:00:00Z") from error
    if found.tzinfo is None and len(text) > len("2026-01-03"):
        raise typer.BadParameter(f"'{text}' names no zone; end it with Z for UTC")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
