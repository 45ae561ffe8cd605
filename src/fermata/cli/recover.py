"""`fermata recover`: what can be done about an update on each unit, and the order to roll it back."""

from collections import Counter
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId, DeviceId, NodeId, UpdateId
from fermata.domain.recovery import Recovery, RecoveryOption
from fermata.services.recovery import Asked

LINES_SHOWN = 40  # of many units on a terminal; all of them in --json

NodesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Nodes; without any, and without --device, all units that began it.", show_default=False),
]
DeviceOption = Annotated[
    list[str] | None, typer.Option("--device", help="A shared device; may be given again.", show_default=False)
]
UpdateOption = Annotated[
    list[str] | None, typer.Option("--update", help="The update; may be given again.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="Every update that the run brought.")]
DoOption = Annotated[
    bool, typer.Option("--do/--plan", help="Order it, or only show what could be done (so by itself).")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; goes into the journal.", show_default=False)]
CampaignOption = Annotated[
    str | None,
    typer.Option("--campaign", help="The campaign's id, if more than one is on record.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("recover")(recover)


def recover(
    nodes: NodesArgument = None,
    *,
    update: UpdateOption = None,
    everything: AllOption = False,
    device: DeviceOption = None,
    do: DoOption = False,
    why: ReasonOption = "",
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows, or orders, what can be done about an update that went wrong: roll back, forward only, in-operable."""
    if bool(update) == everything:
        raise typer.BadParameter("name the update with --update, or say --all: one of the two")
    asked = Asked(
        updates=frozenset(map(UpdateId, update or ())),
        nodes=frozenset(map(NodeId, nodes or ())),
        devices=frozenset(map(DeviceId, device or ())),
    )
    named = CampaignId(campaign) if campaign else None
    with options.opened_place(store, server) as place:
        found = place.recover(named, asked, actor=actor, why=why) if do else place.plan_recovery(named, asked)
    if as_json:
        output.print_json({"schema": "fermata.recovery/2", "ordered": do, "options": to_plain(tuple(found))})
        return
    rows = [_row(option) for option in found[:LINES_SHOWN]]
    hidden = len(found) - len(rows)
    title = f"Recovery ({hidden} more: --json)" if hidden else "Recovery"
    output.out.print(output.table(title, ("unit", "update", "option", "back to", "why"), rows))
    counts = Counter(option.option for option in found)
    said = ", ".join(f"{counts[option]:,} {option}" for option in Recovery if counts[option])
    output.out.print(
        f"{said}. " + ("Ordered." if do else "Nothing is changed: --do --reason TEXT orders the roll-backs.")
    )


def _row(option: RecoveryOption) -> tuple[object, ...]:
    return option.unit, option.update, option.option, option.to_version, option.reason.sentence
