"""`fermata policy test`: what would happen to an update on a node at a time, and which rule says so."""

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.requests import opened_listing
from fermata.domain.policy_trial import Outcome, Trial

WORDS = {
    Outcome.ALLOWED: "allowed",
    Outcome.WAITS: "waits",
    Outcome.NEEDS_APPROVAL: "needs an approval",
    Outcome.BLOCKED: "blocked",
    Outcome.NOT_THERE: "nothing to do there",
}
STYLES = {Outcome.ALLOWED: "bold green", Outcome.WAITS: "bold yellow"}  # the others: bold red


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    policies = typer.Typer(no_args_is_help=True, help="What customers' policies say, tried without doing anything.")
    policies.callback()(_group)
    policies.command("test")(try_it)
    app.add_typer(policies, name="policy")


def _group() -> None:
    """What customers' policies say, tried without doing anything."""


def try_it(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node.", show_default=False)],
    update: Annotated[str, typer.Argument(metavar="UPDATE", help="The update, by its id.", show_default=False)],
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", help="When, e.g. 2026-01-09T22:00:00Z; a date is its midnight UTC. Default: now."),
    ] = None,
    scenario: options.ScenarioOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Says what would happen to an update on a node at a time, which rule decides, and why. Does nothing.

    From files alone nothing counts as approved, except what approvals in the folder say.
    """
    when = options.parse_time(at) if at else wiring.utc_now()
    with opened_listing(scenario, store, server) as listing:
        found = listing.try_policy(node, update, when)
    if as_json:
        output.print_json(_json(found))
    else:
        _tell(found)


def _tell(found: Trial) -> None:
    style = STYLES.get(found.outcome, "bold red")
    told = f"{escape(found.update)} on {escape(found.node)} at {output.utc(found.at)}"
    output.out.print(f"{told}: [{style}]{WORDS[found.outcome]}[/]", soft_wrap=True)
    output.out.print(f"Decided by {found.rule}: {found.stance.replace('_', ' ')}.", markup=False, soft_wrap=True)
    for why in found.why:
        output.out.print(f"  {why}", markup=False, soft_wrap=True)
    if found.next_at is not None and found.next_at - found.at > timedelta(0):
        output.out.print(f"As things stand it could begin at {output.utc(found.next_at)}.", soft_wrap=True)
    output.out.print(f"It is due on {output.utc(found.due_at)}.", soft_wrap=True)


def _json(found: Trial) -> dict[str, Any]:
    return {
        "node": found.node,
        "update": found.update,
        "at": output.iso(found.at),
        "outcome": found.outcome,
        "stance": found.stance,
        "rule": found.rule,
        "reasons": [{"code": why.code, "sentence": why.sentence} for why in found.why],
        "due_at": output.iso(found.due_at),
        "next_at": output.iso(found.next_at) if found.next_at else None,
    }
