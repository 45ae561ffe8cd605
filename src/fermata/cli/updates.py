"""`fermata updates`: the catalogue's life, from registered to production-ready, and what ran together before."""

from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli import updates_show as show
from fermata.cli.inventory import WhoOption, WhyOption
from fermata.domain.ids import FreezeId, PlanId, SupercomputerId, UpdateId
from fermata.domain.qualification import Result, Ring
from fermata.services.updates import CatalogueChanged, SignalOrder

NameArgument = Annotated[str, typer.Argument(metavar="UPDATE", help="Id of the update.", show_default=False)]
FileArgument = Annotated[Path, typer.Argument(help="File to read.", exists=True, dir_okay=False, show_default=False)]
NeededWhyOption = Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="The catalogue of updates: register, qualify, promote, take back.")
    group.command("list")(list_updates)
    group.command("show")(show_update)
    group.command("register")(register_updates)
    group.command("rules")(save_rules)
    group.command("signal")(record_signal)
    group.command("promote")(promote_update)
    group.command("demote")(demote_update)
    group.command("withdraw")(withdraw_update)
    group.command("combinations")(list_combinations)
    group.command("piles")(list_piles)
    app.add_typer(group, name="updates")


def list_updates(
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows the catalogue by release: where each update stands, and on how many units it is due."""
    with options.opened_place(store, server) as place:
        found = place.list_updates()
    if as_json:
        output.print_json({"updates": [show.update_json(view) for view in found]})
    else:
        show.show_updates(found)


def show_update(
    name: NameArgument,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows one update: what its rule asks for, what it has shown, and what it lacks."""
    with options.opened_place(store, server) as place:
        view = place.show_update(UpdateId(name))
    if as_json:
        output.print_json(show.update_json(view))
    else:
        show.show_update(view)


def register_updates(
    path: FileArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Adds the updates of a file in the form of updates.yaml; those of a known id are replaced, the others stay."""
    with options.opened_place(store, server) as place:
        done = place.register_updates(path, actor=actor, why=why)
    _tell(done, "Registered", as_json=as_json)


def save_rules(
    path: FileArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the rules of qualification by those of a file (qualification.yaml)."""
    with options.opened_place(store, server) as place:
        rules = place.save_rules(path, actor=actor, why=why)
    if as_json:
        output.print_json({"rules": [rule.id for rule in rules]})
        return
    for rule in rules:
        output.say(f"{rule.id}: asks for {output.count(len(rule.needs), 'signal')}")


def record_signal(
    names: Annotated[list[str], typer.Argument(metavar="UPDATE...", help="What ran, together.", show_default=False)],
    actor: WhoOption,
    *,
    ring: Annotated[Ring, typer.Option("--ring", help="Where.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="What was judged, e.g. soak or nccl-bandwidth.")],
    result: Annotated[Result, typer.Option("--result", help="How it went.", show_default=False)],
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="On how many nodes.", show_default=False)],
    sku: Annotated[str, typer.Option("--sku", help="Of which SKU.", show_default=False)] = "",
    at: Annotated[
        str | None, typer.Option("--at", help="When it was judged. Default: now.", show_default=False)
    ] = None,
    note: Annotated[str, typer.Option("--note", help="What an owner should know.", show_default=False)] = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Records what was seen of updates in a ring. Several updates ran together, and are known to from now on."""
    order = SignalOrder(
        updates=frozenset(UpdateId(update) for update in names),
        ring=ring,
        name=name,
        result=result,
        nodes=nodes,
        sku=sku,
        at=options.parse_time(at) if at else None,
        note=note,
    )
    with options.opened_place(store, server) as place:
        said = place.record_signal(order, actor=actor)
    if as_json:
        output.print_json(show.signal_json(said))
        return
    updates, where = ", ".join(sorted(said.updates)), said.ring.replace("_", "-")
    output.say(f"Recorded: {updates} {said.result} {said.name} on {output.count(said.nodes, 'node')}, ring {where}")


def promote_update(
    name: NameArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Makes an update production-ready, when it has every signal that its rule names: it is pending from now on."""
    with options.opened_place(store, server) as place:
        done = place.promote_update(UpdateId(name), actor=actor, why=why)
    _tell(done, "Production-ready", as_json=as_json)


def demote_update(
    name: NameArgument,
    actor: WhoOption,
    why: NeededWhyOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Makes an update flight-ready again: it is pending nowhere until it is promoted anew."""
    with options.opened_place(store, server) as place:
        done = place.demote_update(UpdateId(name), actor=actor, why=why)
    _tell(done, "Flight-ready again", as_json=as_json)


def withdraw_update(
    name: NameArgument,
    actor: WhoOption,
    why: NeededWhyOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes an update out of the catalogue."""
    with options.opened_place(store, server) as place:
        done = place.withdraw_update(UpdateId(name), actor=actor, why=why)
    _tell(done, "Withdrawn", as_json=as_json)


def list_combinations(
    *,
    supercomputer: Annotated[
        str | None, typer.Option("--supercomputer", help="Only what is pending there.", show_default=False)
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", help="Only what the windows of this plan bring.", show_default=False)
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows which sets of updates are pending on the same nodes, and whether exactly these ran together before."""
    with options.opened_place(store, server) as place:
        found = place.list_combinations(
            SupercomputerId(supercomputer) if supercomputer else None, PlanId(plan) if plan else None
        )
    if as_json:
        output.print_json({"combinations": [show.combination_json(one) for one in found]})
    else:
        show.show_combinations(found)


def list_piles(
    *,
    freeze: Annotated[str | None, typer.Option("--freeze", help="Only this one.", show_default=False)] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows what piled up during each freeze that has begun: updates, nodes, age, and pairs that never ran together."""
    with options.opened_place(store, server) as place:
        found = place.list_piles(FreezeId(freeze) if freeze else None)
    if as_json:
        output.print_json({"piles": [show.pile_json(pile) for pile in found]})
    else:
        show.show_piles(found)


def _tell(done: CatalogueChanged, verb: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"updates": list(done.updates), "requests": list(done.requests)})
        return
    if not done.updates:
        output.say("Nothing changed: the catalogue held all of it already.")
        return
    output.say(f"{verb}: {', '.join(done.updates)}")
    if done.requests:
        output.say(f"{output.count(len(done.requests), 'request')} changed: fermata requests shows them.")
