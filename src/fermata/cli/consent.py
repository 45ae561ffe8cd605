"""`fermata approve` and `withdraw`: what customers let happen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.formats.approvals import read_approvals
from fermata.services.consent import Order, Said

SAID_SHOWN = 20  # of a bulk file on a terminal; all of them in --json

LevelArgument = Annotated[
    ScopeLevel | None, typer.Argument(help="What is named: supercomputer, cluster, rack or node.", show_default=False)
]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="One or more names.", show_default=False)]
FileOption = Annotated[
    Path | None,
    typer.Option("--from", help="Bulk file (YAML or CSV) of approvals and withdrawals.", exists=True, dir_okay=False),
]
SeenOption = Annotated[
    int | None,
    typer.Option("--incarnation", help="The incarnation looked at: refused if the request moved on.", min=1),
]
WhoOption = Annotated[
    str | None,
    typer.Option("--as", help="The approver who says so; default: the customer's first.", show_default=False),
]
WhyOption = Annotated[str, typer.Option("--why", help="Why; goes into ledger and journal.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("approve")(approve)
    app.command("withdraw")(withdraw)


def approve(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    file: FileOption = None,
    seen: SeenOption = None,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Approves all that is pending on a supercomputer, cluster, rack or node."""
    orders = _orders(Verdict.APPROVED, level, names or [], file, (actor, why, seen))
    _decide(orders, store, server, as_json=as_json)


def withdraw(
    level: LevelArgument = None,
    names: NamesArgument = None,
    *,
    file: FileOption = None,
    seen: SeenOption = None,
    actor: WhoOption = None,
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes an approval back, as long as no work has started there."""
    orders = _orders(Verdict.WITHDRAWN, level, names or [], file, (actor, why, seen))
    _decide(orders, store, server, as_json=as_json)


def _orders(
    verdict: Verdict,
    level: ScopeLevel | None,
    names: Sequence[str],
    file: Path | None,
    said: tuple[str | None, str, int | None],
) -> list[Order]:
    actor, why, seen = said
    if (file is None) == (level is None or not names):
        raise typer.BadParameter("give a level and names (cluster h100-01 h100-02), or --from FILE, not both")
    if file is None:
        assert level is not None
        scopes = [Scope(level=level, name=name) for name in names]
        return [Order(scope=scope, verdict=verdict, actor=actor, reason=why, seen=seen) for scope in scopes]
    given = read_approvals(file)
    if any(order.verdict is not verdict for order in given):
        raise typer.BadParameter(f"{file} also holds other words than {verdict}: give them to their own command")
    return [Order(scope=o.scope, verdict=o.verdict, actor=o.actor, reason=o.reason or why, at=o.at) for o in given]


def _decide(orders: list[Order], store: str, server: str | None, *, as_json: bool) -> None:
    with options.opened_place(store, server) as place:
        told = place.decide(orders)
    if as_json:
        output.print_json({"orders": [_said_json(said) for said in told]})
        return
    for said in told[:SAID_SHOWN]:
        output.out.print(_sentence(said), markup=False, soft_wrap=True)
    if len(told) > SAID_SHOWN:
        added = sum(said.entry is not None for said in told)
        output.out.print(f"... {len(told):,} in all: {added:,} recorded, {len(told) - added:,} stood so already")


def _sentence(said: Said) -> str:
    order = said.order
    if said.entry is None:
        word = "approved" if order.verdict is Verdict.APPROVED else "without approval"
        return f"{order.scope}: already {word}, nothing recorded"
    entry = said.entry
    nodes = output.count(said.nodes, "node")
    return f"{order.scope}: {order.verdict} by {entry.actor}, {nodes}, {entry.request} incarnation {entry.incarnation}"


def _said_json(said: Said) -> dict[str, Any]:
    entry = said.entry
    return {
        "level": said.order.scope.level,
        "name": said.order.scope.name,
        "verdict": said.order.verdict,
        "already": entry is None,
        "nodes": said.nodes,
        "id": entry.id if entry else None,
        "request": entry.request if entry else None,
        "incarnation": entry.incarnation if entry else None,
        "updates": sorted(entry.updates) if entry else [],
        "actor": entry.actor if entry else None,
    }
