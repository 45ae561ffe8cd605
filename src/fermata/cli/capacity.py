"""`fermata capacity`: what was taken from whom, what came back with proof, what is owed."""

from collections.abc import Sequence
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.domain.capacity_ledger import CapacityLine, GroupBy
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId

HEADINGS = ("baseline", "taken", "returned", "kept out", "untouched", "gone", "owed", "ready", "all ready since")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("capacity")(capacity)


def capacity(
    campaign: Annotated[str | None, typer.Argument(help="Campaign, if several are on record.")] = None,
    *,
    by: Annotated[GroupBy, typer.Option("--by", help="What to add up by.")] = GroupBy.CUSTOMER,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What was taken, returned with proof and is owed, by customer or otherwise; and who may ramp up again."""
    with options.opened_place(store, server) as place:
        found = place.show_capacity(CampaignId(campaign) if campaign else None, by)
    if as_json:
        output.print_json({"schema": "fermata.capacity/1", **output.with_z(to_plain(found))})
        return
    as_of = output.utc(found.as_of) if found.as_of else "no run yet"
    lines = [*found.lines, found.total] if len(found.lines) > 1 else list(found.lines)
    output.out.print(account_table(f"Capacity of {found.campaign}, {as_of}", by.value, lines))
    if found.total.capacity_owed:
        output.out.print(f"{output.count(found.total.capacity_owed, 'node')} of the baseline not back: fermata tail")


def account_table(title: str, group: str, lines: Sequence[CapacityLine]) -> output.Fitted:
    """One row a line: taken is all that follows it, up to owed."""
    return output.table(title, (group, *HEADINGS), [_row(line) for line in lines], right=tuple(range(1, 9)))


def _row(line: CapacityLine) -> tuple[object, ...]:
    counts = (line.baseline, line.taken, line.returned, line.kept_out, line.untouched, line.gone, line.owed)
    ready = f"{line.windows_ready:,} of {line.windows:,}"
    since = output.utc(line.ready_at) if line.ready_at else ""
    return line.name, *(f"{number:,}" for number in counts), ready, since
