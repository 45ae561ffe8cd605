"""`fermata break-glass`: takes a role for a while in an emergency; everybody is told, and it is over by itself."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from fermata.cli import options, output
from fermata.client import connect
from fermata.domain.break_glass import BreakGlass, place_words
from fermata.domain.hashing import to_plain
from fermata.domain.identity import LOCAL, Grant, GrantLevel, Role
from fermata.domain.ids import BreakGlassId
from fermata.services import emergencies
from fermata.wiring import clocks

RoleOption = Annotated[Role | None, typer.Option("--role", help="The role to take.", show_default=False)]
OnOption = Annotated[
    str, typer.Option("--on", help="everything, or LEVEL:NAME of a customer, supercomputer or cluster.")
]
MinutesOption = Annotated[int, typer.Option("--minutes", help="For how long.")]
WhyOption = Annotated[str, typer.Option("--why", "--reason", help="Why; everybody reads it.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="Also those that are over.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Which one.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="Takes a role in an emergency, of those that were laid down for you; it is loud, and over by itself.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    group.callback()(take)
    group.command("show")(show)
    group.command("end")(end)
    app.add_typer(group, name="break-glass")


def take(
    context: typer.Context,
    *,
    role: RoleOption = None,
    on: OnOption = "everything",
    minutes: MinutesOption = 30,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes the role from now on."""
    if context.invoked_subcommand is not None:
        return
    if role is None or not why:
        raise typer.BadParameter("name the role, with --role, and why, with --why")
    grant = _grant(role, on)
    if server is not None:
        with connect(server) as place:
            taken = place.break_glass(grant, minutes=minutes, why=why)
    else:
        with options.opened_store(store) as database:
            wanted = emergencies.Taking(grant=grant, minutes=minutes, why=why)
            taken = emergencies.break_glass(database, LOCAL, wanted, now=clocks.utc_now(), new_id=clocks.mint_id)
    _tell([taken], as_json=as_json)


def show(
    *,
    over: AllOption = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Who has taken which role, until when, and why."""
    if server is not None:
        with connect(server) as place:
            found = place.list_broken(over=over)
    else:
        with options.opened_store(store) as database:
            found = emergencies.list_broken(database, now=clocks.utc_now(), over=over)
    _tell(found, as_json=as_json)


def end(
    name: IdArgument,
    *,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Gives a role back before its time: your own, or on the store's machine anybody's."""
    if server is not None:
        with connect(server) as place:
            ended = place.give_back(BreakGlassId(name))
    else:
        with options.opened_store(store) as database:
            ended = emergencies.give_back(database, BreakGlassId(name), now=clocks.utc_now(), actor=None, who=actor)
    _tell([ended], as_json=as_json)


def _grant(role: Role, on: str) -> Grant:
    level, _, name = on.partition(":")
    try:
        return Grant(role=role, level=GrantLevel(level), name=name)
    except ValueError as error:
        raise typer.BadParameter(f"{on!r} is neither everything nor LEVEL:NAME, such as customer:lumen") from error


def _tell(found: Sequence[BreakGlass], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"schema": "fermata.break_glass/1", "taken": output.with_z([to_plain(one) for one in found])})
        return
    if not found:
        output.out.print("Nobody has broken the glass.")
    for one in found:
        until = output.utc(one.ended_at or one.until)
        said = (
            f"{one.id}: {one.holder} has the role {one.grant.role} on {place_words(one.grant)} until {until}: {one.why}"
        )
        output.out.print(escape(said))
