"""Reads the settings of those who are asked what operators outside want: `requests` in the file of sources."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from fermata.domain.ids import SourceId
from fermata.domain.reach import find_trusted_url_fault, show_url
from fermata.domain.sources import AskKind, Operators
from fermata.formats.faults import quote
from fermata.formats.fields import Document, Fields, check_choice
from fermata.formats.secret_names import choose_ref
from fermata.formats.spots import Spot

REQUIRED = ("id", "url", "asks")
OPTIONAL = ("token", "token_file", "ca_file", "every_minutes", "requestor")
REQUESTOR = "maintenance.fermata.io"
MINUTES_MAX = 60


def open_operators(document: Document, spot: Spot) -> Fields:
    """One entry, with the keys that it may have."""
    return Fields(document, spot, required=REQUIRED, optional=OPTIONAL)


def read_operators(fields: Fields, folder: Path) -> Operators:
    """One entry. Faults go to the log."""
    every = fields.integer("every_minutes", least=1, most=MINUTES_MAX) if fields.has("every_minutes") else 1
    return Operators(
        id=SourceId(fields.name("id")),
        url=read_url(fields),
        asks=_asks(fields),
        every=timedelta(minutes=every),
        requestor=fields.text("requestor") if fields.has("requestor") else REQUESTOR,
        token=choose_ref(fields, "token", folder),
        ca_file=read_file(fields, "ca_file", folder),
    )


def _asks(fields: Fields) -> frozenset[AskKind]:
    allowed = [kind.value for kind in AskKind]
    found = [check_choice(spot, fields.document.log, allowed) for spot in fields.items("asks")]
    if not found and fields.has("asks"):
        fields.fault("asks", f"asks names nothing; it names some of {', '.join(allowed)}.")
    return frozenset(AskKind(each) for each in found)


def read_url(fields: Fields) -> str:
    """The address of a server."""
    url = fields.text("url")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
    except ValueError:
        good = False
    if url and not good:
        shown = quote(show_url(url))
        fields.fault("url", f"{shown} is no URL of a server, such as https://netbox.example; it names no user.")
    elif url and (fault := find_trusted_url_fault(url)) is not None:
        fields.fault("url", f"{quote(show_url(url))} is never called: {fault}.")
    return url.rstrip("/")


def read_file(fields: Fields, key: str, folder: Path) -> str | None:
    """A path that is relative to the settings."""
    return str(folder / fields.text(key)) if fields.has(key) else None
