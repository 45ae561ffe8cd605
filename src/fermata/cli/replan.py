"""`fermata replan`: plan what is left again while a campaign is conducted, and what the conductor may do by itself."""

from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.runs import WhyOption
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId
from fermata.domain.replans import Replan, ReplanLine, ReplanOutcome
from fermata.domain.run_states import ReplanMode

LINES_SHOWN = 40  # two screens; --json holds all

CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="The campaign's id, if more than one is on record.", show_default=False)
]
_MODES = {
    ReplanMode.OFF: "stays with its plan, whatever happens: ask with fermata replan.",
    ReplanMode.PROPOSE: "plans again when reality differs, and asks before anything is published.",
    ReplanMode.AUTO: "plans again when reality differs, and publishes what breaks no date inside its notice.",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(invoke_without_command=True, help="Plans again what a campaign has left, from what happened.")
    group.callback()(replan)
    group.command("mode")(replan_mode)
    app.add_typer(group, name="replan")


def replan(
    context: typer.Context,
    *,
    campaign: CampaignOption = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Put the last proposal in force, or what is found now if that is outdated."),
    ] = False,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Plans again now: what ran stays, what is published moves only if it must; --publish puts it in force."""
    if context.invoked_subcommand is not None:
        return
    with options.opened_place(store, server) as place, output.err.status("Planning"):
        made = place.replan(CampaignId(campaign) if campaign else None, actor=actor, publish=publish)
    if as_json:
        output.print_json(replan_json(made))
        return
    tell_replan(made)


def replan_mode(
    mode: Annotated[ReplanMode, typer.Argument(help="off, propose or auto.")],
    *,
    campaign: CampaignOption = None,
    why: WhyOption = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What the conductor does when reality differs from the plan: nothing, propose another, or publish it as well."""
    with options.opened_place(store, server) as place:
        run = place.set_replan_mode(CampaignId(campaign) if campaign else None, mode, actor=actor, why=why)
    if as_json:
        output.print_json({"schema": "fermata.run/1", "run": output.with_z(to_plain(run))})
    else:
        output.out.print(f"{run.id} {_MODES[run.replan]}")


def replan_json(made: Replan) -> dict[str, Any]:
    """JSON-ready, with stable keys."""
    return {"schema": "fermata.replan/1", **output.with_z(to_plain(made))}


def tell_replan(made: Replan) -> None:
    """What differs, what comes of it, and what a person has to do."""
    for cause in made.causes:
        output.out.print(f"- {cause.sentence}", markup=False, soft_wrap=True)
    output.out.print(_headline(made), markup=False, soft_wrap=True)
    if made.lines:
        rows = [_row(line) for line in made.lines[:LINES_SHOWN]]
        output.out.print(
            output.table("What changes", ("window", "change", "was", "is", "nodes", "why"), rows, right=(4,))
        )
    if len(made.lines) > LINES_SHOWN:
        output.out.print(f"... and {len(made.lines) - LINES_SHOWN:,} more rows; --json tells all")
    if made.needs is not None:
        output.out.print(f"Needs you: {made.needs.sentence}", markup=False, soft_wrap=True)


def _headline(made: Replan) -> str:
    stay = f"{output.count(made.ran, 'window')} ran, {made.kept:,} kept as told"
    match made.outcome:
        case ReplanOutcome.PROPOSED:
            return f"{made.plan} would follow {made.parent}: {stay}"
        case ReplanOutcome.PUBLISHED:
            return f"{made.plan} is in force after {made.parent}: {stay}"
        case ReplanOutcome.UNCHANGED:
            return f"{made.parent} stays as it is: {stay}"
        case ReplanOutcome.NO_PLAN:
            return f"{made.parent} stays in force"


def _row(line: ReplanLine) -> tuple[object, ...]:
    named = line.windows[0] if len(line.windows) == 1 else f"{line.cluster}, {len(line.windows)} windows"
    was, now = (output.utc(at) if at is not None else "-" for at in (line.was, line.now))
    return named, line.change.value, was, now, line.nodes, line.cause.sentence
