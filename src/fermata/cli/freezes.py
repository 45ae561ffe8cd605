"""`fermata freeze`: when nothing may happen, and what may all the same once two people said so."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import WhoOption, WhyOption
from fermata.domain.ids import CustomerId, ExemptionId, FreezeId, OrderId, UpdateId
from fermata.domain.policy import Exemption, Freeze, MaintenanceKind, Scope, ScopeLevel
from fermata.services.exemptions import ExemptionOrder
from fermata.services.freezes import FreezeOrder, FreezeView


class OrderedKinds(StrEnum):
    """What policies judge work orders as."""

    REPAIR = "repair"  # hardware maintenance too
    DECOMMISSION = "decommission"  # moves too


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    freezes = typer.Typer(no_args_is_help=True, help="Closes a part of the fleet for a time; beats approvals.")
    freezes.command("list")(freeze_list)
    freezes.command("add")(freeze_add)
    freezes.command("end")(freeze_end)
    freezes.command("exempt")(freeze_exempt)
    freezes.command("confirm")(freeze_confirm)
    app.add_typer(freezes, name="freeze")


def freeze_list(
    *,
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows the freezes that are not over, and what may pass them."""
    with options.opened_place(store, server) as place:
        found = place.list_freezes(over=over)
    if as_json:
        output.print_json({"freezes": [_view_json(view) for view in found]})
        return
    if not found:
        output.out.print("No freeze is in force or to come.")
        return
    rows = [(f.id, f.scope, output.utc(f.start), output.utc(f.end), f.reason) for f in (view.freeze for view in found)]
    output.out.print(output.table("Freezes", ("freeze", "scope", "from", "to", "reason"), rows))
    passing = [(e.id, e.freeze, _names(e), _standing(e)) for view in found for e in view.exemptions]
    if passing:
        output.out.print(output.table("Exemptions", ("exemption", "freeze", "what", "standing"), passing))


def freeze_add(
    level: Annotated[ScopeLevel, typer.Argument(help="What is named: supercomputer, cluster, rack or node.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    start: Annotated[
        str, typer.Option("--from", help="First instant, e.g. 2026-01-09T00:00:00Z; a date is its midnight UTC.")
    ],
    end: Annotated[str, typer.Option("--to", help="First instant after it.")],
    why: Annotated[str, typer.Option("--reason", help="Why; shown wherever work waits for it.")],
    customer: Annotated[
        str | None, typer.Option("--customer", help="Default: who holds the scope.", show_default=False)
    ] = None,
    actor: WhoOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Adds a freeze (no-fly zone): no work that a workload would feel, in that scope, for that time."""
    order = FreezeOrder(
        scope=Scope(level=level, name=name),
        start=options.parse_time(start),
        end=options.parse_time(end),
        reason=why,
        customer=CustomerId(customer) if customer else None,
        actor=actor,
    )
    with options.opened_place(store, server) as place:
        freeze = place.add_freeze(order)
    if as_json:
        output.print_json(_freeze_json(freeze))
        return
    times = f"{output.utc(freeze.start)} to {output.utc(freeze.end)}"
    output.out.print(
        f"{freeze.id}: {freeze.scope} is frozen from {times} for {freeze.customer}", markup=False, soft_wrap=True
    )


def freeze_end(
    freeze_id: Annotated[str, typer.Argument(help="Id of the freeze.")],
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Ends a freeze now, whether it was added by hand or imported."""
    with options.opened_place(store, server) as place:
        ended = place.end_freeze(FreezeId(freeze_id), actor=actor, why=why)
    freeze = ended.freeze
    if as_json:
        output.print_json({**_freeze_json(freeze), "ended_at": output.iso(ended.ended_at)})
        return
    output.out.print(f"{freeze.id}: {freeze.scope} is open again", markup=False, soft_wrap=True)


def freeze_exempt(
    freeze_id: Annotated[str, typer.Argument(metavar="FREEZE", help="Id of the freeze.")],
    *,
    update: Annotated[
        list[str] | None, typer.Option("--update", help="An update that may pass it (repeatable).")
    ] = None,
    order: Annotated[list[str] | None, typer.Option("--order", help="A work order, likewise.")] = None,
    kind: Annotated[
        list[OrderedKinds] | None,
        typer.Option("--kind", help="All work orders that policies judge as this, those to come included."),
    ] = None,
    why: Annotated[str, typer.Option("--reason", help="Why it cannot wait; stays on record.")],
    actor: Annotated[str, typer.Option("--as", help="Who asks; somebody else has to confirm it.")],
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Asks that updates or work orders may pass a freeze: only of a criticality that the customer's policy exempts.

    It does nothing before a second person, who decides for the customer, confirmed it.
    """
    asked = ExemptionOrder(
        freeze=FreezeId(freeze_id),
        updates=frozenset(UpdateId(name) for name in update or ()),
        reason=why,
        actor=actor,
        orders=frozenset(OrderId(name) for name in order or ()),
        kinds=frozenset(MaintenanceKind(name.value) for name in kind or ()),
    )
    with options.opened_place(store, server) as place:
        exemption = place.ask_exemption(asked)
    if as_json:
        output.print_json(_exemption_json(exemption))
        return
    output.out.print(
        f"{exemption.id}: {_names(exemption)} may pass {exemption.freeze} once a second person confirms it:"
        f" fermata freeze confirm {exemption.id} --as NAME",
        markup=False,
        soft_wrap=True,
    )


def freeze_confirm(
    exemption_id: Annotated[str, typer.Argument(metavar="EXEMPTION", help="Id of the exemption.")],
    *,
    actor: WhoOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Confirms an exemption as the second person: what it names may pass its freeze from now on."""
    with options.opened_place(store, server) as place:
        exemption = place.confirm_exemption(ExemptionId(exemption_id), actor=actor)
    if as_json:
        output.print_json(_exemption_json(exemption))
        return
    output.out.print(
        f"{exemption.id}: {_names(exemption)} may pass {exemption.freeze}; {_standing(exemption)}", soft_wrap=True
    )


def _names(exemption: Exemption) -> str:
    kinds = [f"work of kind {kind}" for kind in sorted(exemption.kinds)]
    return ", ".join([*sorted(exemption.updates), *sorted(exemption.orders), *kinds])


def _standing(exemption: Exemption) -> str:
    asked = f"asked by {exemption.asked.actor}"
    if exemption.confirmed is None:
        return f"{asked}, waits for a second person"
    return f"{asked}, confirmed by {exemption.confirmed.actor}"


def _view_json(view: FreezeView) -> dict[str, Any]:
    return {**_freeze_json(view.freeze), "exemptions": [_exemption_json(each) for each in view.exemptions]}


def _exemption_json(exemption: Exemption) -> dict[str, Any]:
    confirmed = exemption.confirmed
    return {
        "id": exemption.id,
        "freeze": exemption.freeze,
        "updates": sorted(exemption.updates),
        "orders": sorted(exemption.orders),
        "kinds": sorted(exemption.kinds),
        "reason": exemption.reason,
        "asked_by": exemption.asked.actor,
        "asked_at": output.iso(exemption.asked.at),
        "confirmed_by": confirmed.actor if confirmed else None,
        "confirmed_at": output.iso(confirmed.at) if confirmed else None,
    }


def _freeze_json(freeze: Freeze) -> dict[str, Any]:
    return {
        "id": freeze.id,
        "customer": freeze.customer,
        "level": freeze.scope.level,
        "name": freeze.scope.name,
        "start": output.iso(freeze.start),
        "end": output.iso(freeze.end),
        "reason": freeze.reason,
    }
