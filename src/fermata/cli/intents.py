"""`fermata pause`, `resume`, `stop`, `abort`: what is wanted of nodes, a window, a run or the fleet."""

from collections.abc import Sequence
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.runs import CampaignArgument, named, tell
from fermata.client.words import RunChange
from fermata.domain.hashing import to_plain
from fermata.domain.ids import NodeId, WindowId
from fermata.domain.intents import Intent
from fermata.domain.run_states import Desired
from fermata.services.intents import Wanted

SHOWN = 10  # of many nodes on a terminal; all of them in --json

ReasonOption = Annotated[str, typer.Option("--reason", "--why", help="Why; others read it.", show_default=False)]
NodeOption = Annotated[
    list[str] | None, typer.Option("--node", help="Of this node; may be given often.", show_default=False)
]
WindowOption = Annotated[
    str | None, typer.Option("--window", help="Of this window of the live run.", show_default=False)
]
FleetOption = Annotated[bool, typer.Option("--fleet", help="Of the whole fleet.")]

_CHANGES = {
    RunChange.PAUSE: (Desired.PAUSE, "pauses: nothing new begins."),
    RunChange.RESUME: (Desired.RUN, "goes on."),
    RunChange.STOP: (Desired.STOP, "stops: no further window opens."),
    RunChange.ABORT: (Desired.ABORT, "ends: what can be proven goes back, no further window opens."),
}
_OUTCOMES = {
    Desired.PAUSE: "pauses: nothing new begins, what runs is let end.",
    Desired.RUN: "goes on, unless a wider word still holds it.",
    Desired.STOP: "stops: what is taken is finished, nothing new is taken.",
    Desired.ABORT: "goes back as soon as it is proven; nothing new is taken.",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("stop")(stop)
    app.command("abort")(abort)


def pause(
    campaign: CampaignArgument = None,
    *,
    node: NodeOption = None,
    window: WindowOption = None,
    fleet: FleetOption = False,
    why: ReasonOption = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Nothing new begins; what runs ends, and proven nodes go back."""
    _say(RunChange.PAUSE, _wanted(campaign, node, window, fleet=fleet), (why, actor), (store, server), as_json=as_json)


def resume(
    campaign: CampaignArgument = None,
    *,
    node: NodeOption = None,
    window: WindowOption = None,
    fleet: FleetOption = False,
    why: ReasonOption = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Takes the word of the same scope back; a wider one still holds."""
    _say(RunChange.RESUME, _wanted(campaign, node, window, fleet=fleet), (why, actor), (store, server), as_json=as_json)


def stop(
    campaign: CampaignArgument = None,
    *,
    node: NodeOption = None,
    window: WindowOption = None,
    fleet: FleetOption = False,
    why: ReasonOption = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What is taken is conducted to its end, nothing new is taken. Of a run it cannot be taken back."""
    _say(RunChange.STOP, _wanted(campaign, node, window, fleet=fleet), (why, actor), (store, server), as_json=as_json)


def abort(
    campaign: CampaignArgument = None,
    *,
    node: NodeOption = None,
    window: WindowOption = None,
    fleet: FleetOption = False,
    why: ReasonOption = "",
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What can be proven goes back now, what is written ends, nothing new begins. `stop` has the rest finished."""
    _say(RunChange.ABORT, _wanted(campaign, node, window, fleet=fleet), (why, actor), (store, server), as_json=as_json)


def _wanted(campaign: str | None, node: list[str] | None, window: str | None, *, fleet: bool) -> Wanted:
    if sum((bool(node), window is not None, fleet)) > 1 or (campaign and (node or fleet)):
        raise typer.BadParameter("name one of them: a campaign, nodes, a window or the fleet")
    return Wanted(
        nodes=tuple(NodeId(name) for name in node or ()),
        window=WindowId(window) if window else None,
        campaign=named(campaign),
        fleet=fleet,
    )


def _say(
    change: RunChange, wanted: Wanted, said: tuple[str, str], where: tuple[str, str | None], *, as_json: bool
) -> None:
    why, actor = said
    desired, outcome = _CHANGES[change]
    with options.opened_place(*where) as place:
        if not wanted.nodes and wanted.window is None and not wanted.fleet:
            run = place.change_run(change, wanted.campaign, actor=actor, why=why)
            tell(run, f"{run.id} {outcome}", as_json=as_json)
            return
        words = place.say_intent(wanted, desired, actor=actor, why=why)
    _tell_words(words, as_json=as_json)


def _tell_words(words: Sequence[Intent], *, as_json: bool) -> None:
    if as_json:
        output.print_json({"schema": "fermata.intents/1", "intents": output.with_z(to_plain(words))})
        return
    for word in words[:SHOWN]:
        output.out.print(f"{word.place} {_OUTCOMES[word.desired]}")
    if len(words) > SHOWN:
        output.out.print(f"and {len(words) - SHOWN:,} more")
