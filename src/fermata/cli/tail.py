"""`fermata tail`: what is not back, who owns it and what happens next; assign an owner, ask for one more try."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId
from fermata.domain.tail import RepairTime, TailStep
from fermata.services.run_views import TailEntry, TailView

UnitArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node or device on the list.")]
NEXT = {
    TailStep.GO_ON: "goes on by itself",
    TailStep.TRY_AGAIN: "tried again",
    TailStep.REPAIR: "repair",
    TailStep.GIVE_BACK: "return asked again",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(tail)
    group.command("assign")(assign)
    group.command("retry")(retry)
    app.add_typer(group, name="tail")


def tail(
    context: typer.Context,
    *,
    campaign: Annotated[str | None, typer.Option("--campaign", help="Of this campaign.", show_default=False)] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Only what this owner has.", show_default=False)] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows every unit that is not back: age, reason, owner, next step; and how long repairs take."""
    if context.invoked_subcommand is not None:
        return
    with options.opened_place(store, server) as place:
        found = place.show_tail(CampaignId(campaign) if campaign else None, owner)
    if as_json:
        output.print_json(_plain(found))
        return
    of = f" of {owner}" if owner else ""
    title = f"Tail{of}: {output.count(len(found.tail), 'unit')} as of {output.utc(found.as_of)}"
    headings = ("unit", "age", "owner", "next", "at", "order", "reason")
    output.out.print(output.table(title, headings, [_row(entry) for entry in found.tail], right=(1,)))
    if found.repairs:
        output.out.print(repair_table(found.repairs))


def assign(
    unit: UnitArgument,
    *,
    owner: Annotated[str, typer.Option("--owner", help="The team or person who sees to it.")],
    promised: Annotated[
        str | None, typer.Option("--promised", help="When they promise its repair, UTC.", show_default=False)
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)] = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Makes somebody the owner of a unit on the list."""
    at = options.parse_time(promised) if promised else None
    with options.opened_place(store, server) as place:
        entry = place.assign_tail(unit, owner, promised_at=at, actor=actor, why=why)
    _tell(entry, f"{entry.unit} is {entry.owner}'s from now on.", as_json=as_json)


def retry(
    unit: UnitArgument,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why another try may help; goes into the journal.")],
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Asks for one more try of a failed unit. The conductor begins it within minutes."""
    with options.opened_place(store, server) as place:
        entry = place.retry_tail(unit, actor=actor, why=reason)
    _tell(entry, f"{entry.unit} is tried again within minutes, unless the run is paused.", as_json=as_json)


def _tell(entry: TailEntry, sentence: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"schema": "fermata.tail_entry/1", **_entry(entry)})
    else:
        output.out.print(sentence)


def _plain(found: TailView) -> dict[str, Any]:
    body = output.with_z(to_plain(found))
    body["tail"] = [_entry(entry) for entry in found.tail]
    return {"schema": "fermata.tail/1", **body}


def _entry(entry: TailEntry) -> dict[str, Any]:
    body: dict[str, Any] = output.with_z(to_plain(entry))
    body["age_minutes"] = round(entry.age / timedelta(minutes=1))
    del body["age"]
    return body


def _row(entry: TailEntry) -> tuple[object, ...]:
    step = "another try" if entry.retry_wanted else NEXT[entry.next_step]
    at = output.utc(entry.next_at) if entry.next_at else ""
    reason = entry.reason.sentence
    return entry.unit, age_words(entry.age), entry.owner, step, at, entry.order or "", reason


def age_words(age: timedelta) -> str:
    """Hours, from two days on days."""
    hours = age / timedelta(hours=1)
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def repair_table(repairs: Sequence[RepairTime]) -> output.Fitted:
    """How long repairs took, and take."""
    rows = [(line.group, line.name, f"{line.repaired:,}", f"{line.open_now:,}", *_hours(line)) for line in repairs]
    headings = ("by", "name", "repaired", "open", "mean", "median")
    return output.table("Hours to repair (open ones: at least)", headings, rows, right=(2, 3, 4, 5))


def _hours(line: RepairTime) -> tuple[str, str]:
    least = "≥ " if line.open_now else ""
    return f"{least}{line.mean_hours:,.1f}", f"{least}{line.median_hours:,.1f}"
