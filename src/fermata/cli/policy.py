"""`fermata policy`: what would happen to an update on a node at a time, and which rule says so; the stored policy, and
another in its place.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.consent import WhyOption
from fermata.cli.requests import opened_listing
from fermata.domain.policy import Ruling
from fermata.domain.policy_trial import Outcome, Trial
from fermata.formats.policy_written import write_document
from fermata.services.policy import PolicyPreview
from fermata.wiring import clocks

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
    policies = typer.Typer(no_args_is_help=True, help="What customers' policies say, and what others would.")
    policies.callback()(_group)
    policies.command("test")(try_it)
    policies.command("show")(show_policy)
    policies.command("replace")(replace_policy)
    app.add_typer(policies, name="policy")


def _group() -> None:
    """What customers' policies say, and what others would."""


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
    when = options.parse_time(at) if at else clocks.utc_now()
    with opened_listing(scenario, store, server) as listing:
        found = listing.try_policy(node, update, when)
    if as_json:
        output.print_json(_json(found))
    else:
        _tell(found)


def show_policy(
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Prints the stored policy as a file: change it, and give it to `policy replace`. Freezes added by hand are in
    `freeze list`.
    """
    with options.opened_place(store, server) as place:
        found = place.show_policy()
    if as_json:
        output.print_json({"sha256": found.sha256, "policy": found.document})
        return
    text = f"# sha256 {found.sha256}\n{write_document(found.document)}"
    output.out.print(text, markup=False, highlight=False, soft_wrap=True, end="")


def replace_policy(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A policy.yaml.", exists=True, dir_okay=False)],
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Say what would change, and change nothing.")] = False,
    seen: Annotated[
        str | None, typer.Option("--seen", metavar="SHA256", help="Only in the place of this one, as `show` has it.")
    ] = None,
    actor: Annotated[str, typer.Option("--as", help="Who says so.")] = "operator",
    why: WhyOption = "",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Puts the policy of a file in the place of the stored one, and says of pending work what that changes.

    Approvals and freezes that were given by hand stay.
    """
    with options.opened_place(store, server) as place:
        found = place.preview_policy(path) if preview else place.replace_policy(path, actor=actor, why=why, seen=seen)
    if as_json:
        output.print_json(_preview_json(found))
    else:
        _tell_preview(found, done=not preview)


def _tell_preview(found: PolicyPreview, *, done: bool) -> None:
    if not found.changes:
        output.say("The same policy is stored already.")
        return
    output.say(f"{'Replaced by' if done else 'Would be replaced by'} {found.sha256}.")
    effects = found.effects
    rows = [
        (e.customer, e.update or e.order or "", _ruling(e.before), _ruling(e.after), f"{e.nodes:,}", e.example)
        for e in effects.rulings
    ]
    if rows:
        columns = ("customer", "work", "was", "is" if done else "would be", "nodes", "such as")
        output.out.print(output.table("Rulings", columns, rows))
    for example in found.examples:
        if example.before.outcome is not example.after.outcome:
            words = f"{WORDS[example.before.outcome]} -> {WORDS[example.after.outcome]}"
            output.say(f"{example.after.update} on {example.after.node} now: {words}")
    for change in effects.due:
        output.say(f"{change.update} is due on {output.utc(change.after)}, was {output.utc(change.before)}")
    for freeze in effects.freezes_added:
        output.say(f"Freeze {freeze.id} of {freeze.scope} is new")
    for freeze in effects.freezes_gone:
        output.say(f"Freeze {freeze.id} of {freeze.scope} is stated no more")


def _ruling(ruling: Ruling) -> str:
    return f"{ruling.stance.replace('_', ' ')} ({ruling.rule})"


def _preview_json(found: PolicyPreview) -> dict[str, Any]:
    effects = found.effects
    return {
        "sha256": found.sha256,
        "before_sha256": found.before_sha256,
        "rulings": [
            {
                "customer": e.customer,
                "update": e.update,
                "order": e.order,
                "before": {"stance": e.before.stance, "rule": e.before.rule},
                "after": {"stance": e.after.stance, "rule": e.after.rule},
                "nodes": e.nodes,
                "example": e.example,
            }
            for e in effects.rulings
        ],
        "examples": [{"before": _json(e.before), "after": _json(e.after)} for e in found.examples],
        "due": [
            {"update": d.update, "before": output.iso(d.before), "after": output.iso(d.after)} for d in effects.due
        ],
        "customers": list(effects.customers),
        "freezes_added": [freeze.id for freeze in effects.freezes_added],
        "freezes_gone": [freeze.id for freeze in effects.freezes_gone],
    }


def _tell(found: Trial) -> None:
    style = STYLES.get(found.outcome, "bold red")
    told = f"{found.update} on {found.node} at {output.utc(found.at)}"
    output.out.print(output.styled(f"{told}: ", (WORDS[found.outcome], style)), soft_wrap=True)
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
