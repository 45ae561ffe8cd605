"""`fermata sign-in`, `sign-out` and `whoami`: who the command line is for a server."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from fermata.cli import credentials, options, output
from fermata.domain.identity_codes import IdentityCode
from fermata.domain.reasons import reason
from fermata.services.errors import Refusal

Server = Annotated[
    str,
    typer.Option(
        "--server",
        envvar="FERMATA_SERVER",
        help="URL of the server, such as https://fermata.example.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("sign-in")(sign_in)
    app.command("sign-out")(sign_out)
    app.command("whoami")(whoami)


def sign_in(server: Server, as_json: options.JsonOption = False) -> None:
    """Signs you in at a server, with a browser on any device; what comes of it is kept for you alone to read."""
    from fermata.client import signing_in  # noqa: PLC0415 - loads a client of its own, of which no other command has need

    url, authorities = _parse(server), credentials.find_authorities()

    def tell(asked: signing_in.Asked) -> None:
        to = asked.whole_url or asked.url
        output.err.print(f"Open {to} and enter {asked.code}", markup=False, soft_wrap=True)

    try:
        terms = signing_in.find_terms(url, ca_file=authorities)
    except signing_in.NotSignedIn as why:
        raise Refusal(reason(IdentityCode.SIGN_IN_IMPOSSIBLE, server=url, why=why)) from why
    try:
        granted = signing_in.sign_in(terms, tell, ca_file=authorities)
    except signing_in.NotSignedIn as why:
        raise Refusal(reason(IdentityCode.SIGN_IN_FAILED, why=why)) from why
    kept = credentials.Kept(
        access_token=granted.access_token,
        refresh_token=granted.refresh_token,
        ends_at=(datetime.now(UTC) + timedelta(seconds=granted.seconds)).isoformat(),
        client_id=terms.client_id,
        token_endpoint=terms.token_endpoint,
    )
    credentials.keep(url, kept)
    _say_who(url, as_json=as_json)


def sign_out(server: Server, as_json: options.JsonOption = False) -> None:
    """Forgets what sign-in kept for a server. At the provider it ends by itself, soon."""
    url = _parse(server)
    was_there = url in credentials.read_kept()
    credentials.keep(url, None)
    if as_json:
        output.print_json({"server": url, "signed_out": was_there})
        return
    output.out.print(f"Signed out of {url}." if was_there else f"Nobody was signed in at {url}.", markup=False)


def whoami(server: Server, as_json: options.JsonOption = False) -> None:
    """Says whom a server takes you for, and what you were granted."""
    _say_who(_parse(server), as_json=as_json)


def _say_who(url: str, *, as_json: bool) -> None:
    with credentials.connect(url) as place:
        found = place.who_am_i()
    grants = [grant.role if not grant.name else f"{grant.role}:{grant.level}={grant.name}" for grant in found.grants]
    if as_json:
        output.print_json({"server": url, "name": found.name, "kind": found.kind, "grants": grants, "via": found.via})
        return
    output.out.print(f"{found.name} at {url}: {', '.join(grants)}", markup=False, soft_wrap=True)


def _parse(server: str) -> str:
    from fermata.client.link import parse_server  # noqa: PLC0415 - as in options

    try:
        return parse_server(server)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from error
