"""`fermata gates`: what is known of every update of a run, and a person's word on one: proceed, hold, roll back."""

from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.domain.gates import GateState, GateWord
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId, UpdateId
from fermata.services.gates import GatesView, GateView

CampaignOption = Annotated[
    str | None,
    typer.Option("--campaign", help="The campaign's id, if more than one is on record.", show_default=False),
]
UpdateArgument = Annotated[str, typer.Argument(help="The update's id.", show_default=False)]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; goes into the journal.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    gates = typer.Typer(
        help="What is known of every update of a run: who failed, who is good, and whether others may begin it.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    gates.callback()(show)
    gates.command("proceed")(proceed)
    gates.command("hold")(hold)
    gates.command("rollback")(rollback)
    app.add_typer(gates, name="gates")


def show(
    context: typer.Context,
    campaign: CampaignOption = None,
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """The gates of the newest run: verdict, evidence, what they wait for."""
    if context.invoked_subcommand is not None:
        return
    with options.opened_place(store, server) as place:
        found = place.show_gates(_named(campaign))
    if as_json:
        output.print_json({"schema": "fermata.gates/1", **output.with_z(to_plain(found))})
        return
    print_gates(found)


def proceed(
    update: UpdateArgument,
    *,
    why: ReasonOption = "",
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Others may begin it: what failed so far is known, and the test starts anew."""
    _say(GateWord.PROCEED, (update, why, actor, campaign), (store, server), as_json=as_json)


def hold(
    update: UpdateArgument,
    *,
    why: ReasonOption = "",
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Nobody else begins it until the next word; whoever has begun goes on."""
    _say(GateWord.HOLD, (update, why, actor, campaign), (store, server), as_json=as_json)


def rollback(
    update: UpdateArgument,
    *,
    why: ReasonOption = "",
    campaign: CampaignOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Nobody else begins it, and it is taken back where it was begun."""
    _say(GateWord.ROLL_BACK, (update, why, actor, campaign), (store, server), as_json=as_json)


def _say(
    word: GateWord, said: tuple[str, str, str, str | None], where: tuple[str, str | None], *, as_json: bool
) -> None:
    update, why, actor, campaign = said
    with options.opened_place(*where) as place:
        state = place.say_at_gate(_named(campaign), UpdateId(update), word, actor=actor, why=why)
    if as_json:
        output.print_json({"schema": "fermata.gate/1", "gate": output.with_z(to_plain(state))})
    else:
        output.out.print(f"{state.judged.verdict}: {state.judged.reason.sentence}")


def print_gates(found: GatesView) -> None:
    """The gates as a table, and the numbers of the test below it."""
    headings = ("update", "phase", "verdict", "good", "failed", "regressed", "open", "waiting", "why")
    rows = [_row(view) for view in found.gates]
    output.out.print(output.table(f"Gates of {found.run}", headings, rows, right=(3, 4, 5, 6, 7)))
    for view in found.gates[:1]:
        output.out.print(_terms(view))


def _row(view: GateView) -> tuple[object, ...]:
    state = view.gate
    known = state.evidence
    return (
        state.update,
        state.phase,
        state.judged.verdict,
        known.good,
        known.failed,
        known.regressed,
        known.open,
        view.waiting,
        _why(state),
    )


def _why(state: GateState) -> str:
    until = f" Looked at again {output.utc(state.judged.until)}." if state.judged.until else ""
    return state.judged.reason.sentence + until


def _terms(view: GateView) -> str:
    base, test = view.gate.base, view.terms.test
    bounds = view.gate.judged.bounds
    return (
        f"A failure rate of {bounds.p0:.2%} is ordinary ({base.source}, {base.nodes:,} nodes on record),"
        f" {bounds.p1:.2%} must not pass: a good update is stopped in {test.false_stop:.2%} of cases, one that bad"
        f" passes in {test.missed_stop:.2%}."
    )


def _named(campaign: str | None) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None
