"""Who is let in by `fermata serve`, and whether it may listen where others can reach it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fermata.domain.access import AccessBook
from fermata.domain.reasons import Code, reason
from fermata.formats.access import read_access
from fermata.server.identity.admission import LOOPBACK_NAMES, Admission
from fermata.server.serving import Tls
from fermata.services.errors import Refusal
from fermata.settings import Settings, is_loopback
from fermata.wiring.named_secrets import open_secrets

CertificateOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="Serve https with this certificate (PEM).", show_default=False)
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="Its key, if it stands in another file.", show_default=False)
]
AccessOption = Annotated[
    Path | None, typer.Option("--access", help="File that says who may sign in, and as what.", show_default=False)
]
NamesOption = Annotated[
    str | None,
    typer.Option("--names", help="What it answers to beside loopback, e.g. fermata.example.", show_default=False),
]
NO_ACCESS = "nobody would have to sign in: --access names the file that says who may"
NO_TLS = (
    "what people send would not be encrypted: name a certificate with --tls-cert, or a trusted_proxy in access.yaml"
)
NO_NAMES = "no browser could call it by any name: say with --names what it answers to"
NO_WAY_IN = "nobody could come in: access.yaml names no provider of identities"


def find_access(settings: Settings) -> Admission:
    """What the settings say. Raises BadInput for a file that cannot be used."""
    book = None if settings.access is None else read_access(settings.access)
    own = {name.strip().lower() for name in settings.names.split(",") if name.strip()}
    return Admission(book=book, names=LOOPBACK_NAMES | own, secrets=open_secrets(settings))


def with_clients(tls: Tls | None, book: AccessBook | None) -> Tls | None:
    """Asks nodes for their certificates, where access says so."""
    if tls is None or book is None or book.certificates is None:
        return tls
    return replace(tls, client_authority=book.certificates.ca_file)


def refuse_open_door(settings: Settings, access: Admission, tls: Tls | None) -> None:
    """Raises Refusal where others could reach the server, and it would not know them, or be overheard."""
    if is_loopback(settings.host):
        return
    book = access.book
    if book is None:
        why = NO_ACCESS
    elif book.oidc is None:
        why = NO_WAY_IN
    elif tls is None and not book.proxy.networks:
        why = NO_TLS
    elif access.names == LOOPBACK_NAMES:
        why = NO_NAMES
    else:
        return
    raise Refusal(reason(Code.NOT_LOOPBACK, host=settings.host, why=why))
