"""`fermata tokens`: what programs call a server with."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.sessions import TOKEN_LIFE, TOKEN_LIFE_MAX, ApiToken
from fermata.services.identity import NewToken, say_grant

FORM = "a role, or a role on a part of the fleet: viewer, approver:customer=acme, operator:cluster=gb200-01"


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    group = typer.Typer(help="Tokens that programs call a server with.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_all)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens")


def create(
    label: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    *,
    grant: Annotated[list[str], typer.Option("--grant", help=f"What it may do (repeatable): {FORM}.")],
    days: Annotated[
        int, typer.Option("--days", min=1, max=TOKEN_LIFE_MAX.days, help="How long it lives.")
    ] = TOKEN_LIFE.days,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    aws: Annotated[bool, typer.Option("--aws", help="Print its access key, for clients of AWS, in its place.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Makes a token in your name, for part of what you may do. It is shown this once."""
    wanted = NewToken(label=label, grants=frozenset(map(parse_grant, grant)), life=timedelta(days=days))
    with options.opened_place(store, server) as place:
        made = place.make_token(wanted)
        pair = made.access_key
        if aws and pair is None:
            gone = place.revoke_token(made.token.id)
            sentence = f"{made.no_access_key} {gone.id} was revoked again, and shown to nobody."
            output.fail("NO_ACCESS_KEY", sentence, exit_code=output.REFUSED, as_json=as_json)
            raise typer.Exit(output.REFUSED)
    if as_json:
        access_key = None if pair is None else {"id": pair.id, "secret": pair.secret}
        more = {"access_key": access_key, "no_access_key": made.no_access_key}
        output.print_json({**_as_json(made.token), "token": made.secret, **more})
        return
    if aws and pair is not None:
        told = f"AWS_ACCESS_KEY_ID={pair.id}\nAWS_SECRET_ACCESS_KEY={pair.secret}"
        takers = "clients of AWS take it from these variables"
    else:
        told, takers = made.secret, "programs take it from FERMATA_TOKEN"
    output.out.print(told, markup=False, soft_wrap=True)
    output.err.print(
        f"{made.token.id}, good until {output.utc(made.token.expires_at)}. It is shown this once; {takers}.",
        markup=False,
    )


def list_all(
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows your tokens, and those that can do no more than you."""
    with options.opened_place(store, server) as place:
        found = place.list_tokens()
    if as_json:
        output.print_json({"tokens": [_as_json(token) for token in found]})
        return
    if not found:
        output.out.print("There are no tokens.")
        return
    rows = [
        (
            token.id,
            token.label,
            token.owner,
            ", ".join(sorted(map(say_grant, token.grants))),
            "revoked" if token.revoked_at else output.utc(token.expires_at),
            output.utc(token.used_at) if token.used_at else "never",
        )
        for token in found
    ]
    output.out.print(output.table("Tokens", ("token", "label", "owner", "may", "until", "last used"), rows))


def revoke(
    token: Annotated[str, typer.Argument(help="Id of the token.", show_default=False)],
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Ends a token at once."""
    with options.opened_place(store, server) as place:
        gone = place.revoke_token(token)
    if as_json:
        output.print_json(_as_json(gone))
        return
    output.out.print(f"{gone.id} ({gone.label} of {gone.owner}) is good for nothing now.", markup=False)


def parse_grant(text: str) -> Grant:
    """From `role` or `role:level=name`. Raises typer.BadParameter."""
    role, _, part = text.partition(":")
    level, _, name = part.partition("=")
    try:
        return Grant(role=Role(role), level=GrantLevel(level) if part else GrantLevel.EVERYTHING, name=name)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no grant; write {FORM}", param_hint="--grant") from error


def _as_json(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "owner": token.owner,
        "grants": sorted(map(say_grant, token.grants)),
        "created_at": output.iso(token.created_at),
        "expires_at": output.iso(token.expires_at),
        "used_at": output.iso(token.used_at) if token.used_at else None,
        "revoked_at": output.iso(token.revoked_at) if token.revoked_at else None,
    }
