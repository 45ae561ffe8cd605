"""`fermata readmission`: may these nodes go back, what of that is proven, and what is missing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.client import ServerRefusal
from fermata.domain.hashing import to_plain
from fermata.domain.reasons import Code
from fermata.services.errors import Refusal
from fermata.services.readmission import MayReturn, NodeReturn

WORDS = {MayReturn.YES: "yes", MayReturn.NO: "no", MayReturn.NOT_ASKED: "not asked"}

NodesArgument = Annotated[
    list[str], typer.Argument(metavar="NODE...", help="The nodes, by their names.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("readmission")(readmission)


def readmission(
    nodes: NodesArgument,
    *,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Says whether nodes may go back to their workloads, by the proof that the conductor asks before it lets them go.

    A yes needs all of it, after the last write, reboot or reset: versions read from the components themselves, a
    health check passed, our lock, consent, and shared devices proven. Missing evidence is a no.

    Exit code 0: no node has a no. 1: one has. 2: an unknown name.

    Examples:

      fermata readmission h100-01-n0001

      fermata readmission h100-01-n0001 h100-01-n0002 --json

      fermata readmission gb200-03-n0117 --server http://127.0.0.1:8321
    """
    try:
        with options.opened_place(store, server) as place:
            found = place.judge_returns(nodes)
    except Refusal as refusal:
        _refuse_unknown([(why.code, why.sentence) for why in refusal.reasons], as_json=as_json)
        raise
    except ServerRefusal as refusal:
        _refuse_unknown(refusal.reasons, as_json=as_json)
        raise
    if as_json:
        output.print_json({"schema": "fermata.readmission/1", "nodes": [_plain(each) for each in found]})
    else:
        for each in found:
            _tell(each)
    if any(each.answer is MayReturn.NO for each in found):
        raise typer.Exit(output.REFUSED)


def _refuse_unknown(reasons: Sequence[tuple[str, str]], *, as_json: bool) -> None:
    """An unknown name is bad input; whatever else was refused is left to the caller."""
    code, sentence = reasons[0]
    if code != Code.NODE_UNKNOWN:
        return
    shown = {"reasons": [{"code": each, "sentence": text} for each, text in reasons]}
    output.fail(code, sentence, exit_code=output.BAD_INPUT, as_json=as_json, detail=shown)
    if not as_json:
        for _, text in reasons[1:]:
            output.err.print(text, markup=False, soft_wrap=True)
    raise typer.Exit(output.BAD_INPUT)


def _tell(found: NodeReturn) -> None:
    place = f"{found.window}, {found.state}" if found.window else found.cluster
    at = f", as of {output.utc(found.as_of)}" if found.as_of else ""
    output.out.print(f"{found.node}  {WORDS[found.answer]}  ({place}{at})", style="bold", markup=False, soft_wrap=True)
    output.say(f"  {found.sentence}")
    for piece in found.proven:
        output.say(f"  proven   {piece.component} {piece.version}, read {output.utc(piece.seen_at)} ({piece.update})")
    for why in found.missing:
        output.say(f"  missing  {why}")


def _plain(found: NodeReturn) -> dict[str, Any]:
    body: dict[str, Any] = to_plain(found)
    body["as_of"] = _iso(found.as_of)
    for line, piece in zip(body["proven"], found.proven, strict=True):
        line["seen_at"] = _iso(piece.seen_at)
    return body


def _iso(at: datetime | None) -> str | None:
    return None if at is None else output.iso(at)
