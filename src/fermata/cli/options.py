"""Options that several commands share, and what their values turn into."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fermata import wiring
from fermata.store.database import Database

DEFAULT_STORE = "fermata.db"

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="FERMATA_STORE",
        help="Store to work on: a SQLite file, or a URL such as postgresql+psycopg://user@host/name.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, and nothing else.")]
ScenarioOption = Annotated[
    Path | None,
    typer.Option("--scenario", help="Work on the files of this folder alone instead of a store.", show_default=False),
]
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
    database = wiring.open_database(store_url(text))
    try:
        yield database
    finally:
        database.close()


def parse_time(text: str) -> datetime:
    """An aware UTC time from ISO 8601 text; a date alone is midnight UTC. Raises typer.BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is not a time; write it like 2026-01-03T19:00:00Z") from error
    if found.tzinfo is None and len(text) > len("2026-01-03"):
        raise typer.BadParameter(f"'{text}' names no zone; end it with Z for UTC")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
