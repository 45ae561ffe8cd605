"""`fermata inventory`: sources that say what is there, what they would change, and what waits for a person."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.inventory import WhoOption, WhyOption
from fermata.domain.ids import HoldId, SourceId
from fermata.domain.inventory_holds import HoldState
from fermata.domain.inventory_reports import NotTaken
from fermata.domain.sources import SourceKind
from fermata.services.inventory_changes import ChangeLine, Synced, SyncOutcome
from fermata.services.inventory_held import HoldView
from fermata.services.inventory_sources import SourceLine

ROWS_SHOWN = 8  # of changes and of units not taken in; --json has more
VALUE_SHOWN = 40
ReasonOption = Annotated[str, typer.Option("--why", help="Why; goes into the journal.")]
HoldArgument = Annotated[str, typer.Argument(metavar="HOLD", help="Id of what is held.")]
SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Keeps the fleet as its sources say; asks a person where that is odd."
    )
    for name, command in (
        ("sources", list_sources),
        ("sync", sync),
        ("diff", diff),
        ("held", held),
        ("accept", accept),
        ("drop", drop),
        ("forget", forget),
    ):
        group.command(name)(command)
    app.add_typer(group, name="inventory")


def list_sources(
    sources: options.SourcesOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows each source, how fresh it is, and what it names that could not be taken in."""
    with options.opened_place(store, server, sources) as place:
        found = place.list_sources()
    if as_json:
        output.print_json({"sources": [_source_json(line) for line in found]})
        return
    if not found:
        output.out.print("No source of inventory: name a file with them by --sources (docs/inventory.md says how).")
        return
    rows = [
        (s.id, s.kind, f"{s.nodes:,}", output.utc(s.observed_at) if s.observed_at else "never", _standing(s))
        for s in found
    ]
    output.out.print(output.table("Sources", ("source", "kind", "nodes", "last heard", "standing"), rows, right=(2,)))
    for line in found:
        if line.stale is not None:
            output.out.print(str(line.stale), markup=False, soft_wrap=True)
        _tell_not_taken(line.not_taken, line.not_taken_total)


def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Ids; default: every one that can be asked.")
    ] = None,
    *,
    actor: WhoOption,
    sources: options.SourcesOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Asks sources now and takes in what they say. Ends with 1 when one is held or could not be read."""
    with options.opened_place(store, server, sources) as place:
        chosen = names or [s.id for s in place.list_sources() if s.configured and s.kind is not SourceKind.PUSH]
        done = [place.sync_source(SourceId(name), actor=actor) for name in chosen]
    if as_json:
        output.print_json({"synced": [_synced_json(each) for each in done]})
    elif not done:
        output.out.print("Nothing to ask: no source of inventory stands in the settings (--sources).")
    else:
        for each in done:
            _tell(each)
    if any(each.outcome in (SyncOutcome.HELD, SyncOutcome.FAILED) for each in done):
        raise typer.Exit(output.REFUSED)


def diff(
    source: SourceArgument,
    *,
    sources: options.SourcesOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows what syncing a source now would change; nothing is changed."""
    with options.opened_place(store, server, sources) as place:
        found = place.diff_source(SourceId(source))
    if as_json:
        output.print_json(_synced_json(found))
    else:
        _tell(found, would=True)


def held(
    hold: Annotated[str | None, typer.Argument(metavar="[HOLD]", help="Id; default: all that wait.")] = None,
    *,
    over: Annotated[bool, typer.Option("--all", help="Also those that are decided.")] = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows changes that wait for a person, and why."""
    with options.opened_place(store, server) as place:
        found = [place.show_held(HoldId(hold))] if hold is not None else place.list_held(over=over)
    if as_json:
        output.print_json({"holds": [_hold_json(view) for view in found]})
        return
    if not found:
        output.out.print("Nothing waits for a person.")
    for view in found:
        output.out.print(f"{view.id}: {view.source}, {view.state}, held since {output.utc(view.held_at)}", markup=False)
        _tell_reasons(view.reasons)
        _tell_counts(view.counts)
        if view.state is HoldState.OPEN:
            _tell_changes(view.changes, view.changes_total)
        if view.decided_by is not None and view.decided_at is not None:
            said = f"{view.state} by {view.decided_by} at {output.utc(view.decided_at)}: {view.why}"
            output.out.print(said, markup=False, soft_wrap=True)


def accept(
    hold: HoldArgument,
    why: ReasonOption,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Applies what is held: the source is right."""
    with options.opened_place(store, server) as place:
        done = place.accept_held(HoldId(hold), actor=actor, why=why)
    if as_json:
        output.print_json(_synced_json(done))
    else:
        _tell(done)


def drop(
    hold: HoldArgument,
    why: ReasonOption,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Leaves the fleet as it is: the source is wrong. It is not heard on the same again."""
    with options.opened_place(store, server) as place:
        view = place.drop_held(HoldId(hold), actor=actor, why=why)
    if as_json:
        output.print_json(_hold_json(view))
    else:
        output.out.print(f"{view.id}: dropped, the fleet stays as it is.", markup=False)


def forget(
    source: SourceArgument,
    *,
    actor: WhoOption,
    why: WhyOption = "",
    sources: options.SourcesOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Ends a source that is no more in the settings: its nodes stay and do not grow stale."""
    with options.opened_place(store, server, sources) as place:
        done = place.forget_source(SourceId(source), actor=actor, why=why)
    if as_json:
        output.print_json({"source": done.source, "nodes": done.nodes})
    else:
        output.out.print(f"{done.source}: forgotten; {output.count(done.nodes, 'node')} stay.", markup=False)


def _standing(line: SourceLine) -> str:
    said = []
    if not line.configured:
        said.append("not in the settings")
    if line.failure:
        said.append(f"failed: {line.failure}")
    if line.hold is not None:
        said.append(f"held: {line.hold}")
    if line.stale is not None:
        said.append("stale")
    if line.not_taken_total:
        said.append(f"{line.not_taken_total:,} not taken in")
    return "; ".join(said) or "well"


OUTCOMES = {
    SyncOutcome.APPLIED: "applied",
    SyncOutcome.UNCHANGED: "nothing new",
    SyncOutcome.HELD: "held for a person, nothing was changed",
    SyncOutcome.DROPPED: "dropped before, nothing was changed",
    SyncOutcome.FAILED: "failed, nothing was changed",
}
WOULD = {**OUTCOMES, SyncOutcome.APPLIED: "would be applied", SyncOutcome.HELD: "would be held for a person"}


def _tell(done: Synced, *, would: bool = False) -> None:
    output.out.print(f"{done.source}: {(WOULD if would else OUTCOMES)[done.outcome]}", markup=False)
    _tell_reasons(done.reasons)
    if done.outcome is not SyncOutcome.DROPPED:
        _tell_counts(done.counts)
        _tell_changes(done.changes, sum(n for kinds in done.counts.values() for n in kinds.values()))
    _tell_not_taken(done.not_taken, done.not_taken_total)
    if done.hold is not None:
        output.out.print(f"See it: fermata inventory held {done.hold}", markup=False)
    if done.requests:
        output.out.print(f"{output.count(len(done.requests), 'request')} changed: fermata requests shows them.")


def _tell_reasons(reasons: Iterable[object]) -> None:
    for why in reasons:
        output.out.print(str(why), markup=False, soft_wrap=True)


def _tell_counts(counts: Mapping[str, Mapping[str, int]]) -> None:
    if any(n for kinds in counts.values() for n in kinds.values()):
        rows = [(f"{kind}s", *(f"{n:,}" for n in numbers.values())) for kind, numbers in counts.items()]
        output.out.print(output.table("Fleet", ("", "added", "gone", "moved", "changed"), rows, right=(1, 2, 3, 4)))


def _tell_changes(changes: Sequence[ChangeLine], total: int) -> None:
    for change in changes[:ROWS_SHOWN]:
        fields = "" if change.what in ("added", "gone") else f": {', '.join(_field(*f) for f in change.fields.items())}"
        output.out.print(f"{change.what} {change.kind} {change.name}{fields}", markup=False, soft_wrap=True)
    if total > ROWS_SHOWN:
        output.out.print(f"... and {total - ROWS_SHOWN:,} more")


def _field(name: str, values: tuple[Any, Any]) -> str:
    before, after = (("nothing" if value in (None, "") else str(value))[:VALUE_SHOWN] for value in values)
    return f"{name} {before} -> {after}"


def _tell_not_taken(units: Sequence[NotTaken], total: int) -> None:
    for left in units[:ROWS_SHOWN]:
        output.out.print(f"not taken in: {left.reason}", markup=False, soft_wrap=True)
    if total > ROWS_SHOWN:
        output.out.print(f"... and {total - ROWS_SHOWN:,} more not taken in")


def _source_json(line: SourceLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "kind": line.kind,
        "configured": line.configured,
        "nodes": line.nodes,
        "tried_at": output.iso(line.tried_at) if line.tried_at else None,
        "observed_at": output.iso(line.observed_at) if line.observed_at else None,
        "due_at": output.iso(line.due_at) if line.due_at else None,
        "stale": _reason_json(line.stale) if line.stale else None,
        "failure": line.failure or None,
        "hold": line.hold,
        "not_taken_total": line.not_taken_total,
        "not_taken": [_left_json(left) for left in line.not_taken],
    }


def _synced_json(done: Synced) -> dict[str, Any]:
    return {
        "source": done.source,
        "outcome": done.outcome,
        "observed_at": output.iso(done.observed_at) if done.observed_at else None,
        "counts": done.counts,
        "changes": [_change_json(change) for change in done.changes],
        "not_taken_total": done.not_taken_total,
        "not_taken": [_left_json(left) for left in done.not_taken],
        "reasons": [_reason_json(why) for why in done.reasons],
        "hold": done.hold,
        "requests": list(done.requests),
    }


def _hold_json(view: HoldView) -> dict[str, Any]:
    return {
        "id": view.id,
        "source": view.source,
        "state": view.state,
        "held_at": output.iso(view.held_at),
        "observed_at": output.iso(view.observed_at),
        "reasons": [_reason_json(why) for why in view.reasons],
        "counts": view.counts,
        "changes": [_change_json(change) for change in view.changes],
        "changes_total": view.changes_total,
        "decided_at": output.iso(view.decided_at) if view.decided_at else None,
        "decided_by": view.decided_by,
        "why": view.why,
    }


def _reason_json(why: Any) -> dict[str, Any]:
    return {"code": why.code, "sentence": why.sentence}


def _left_json(left: NotTaken) -> dict[str, Any]:
    return {"kind": left.kind, "unit": left.unit, **_reason_json(left.reason)}


def _change_json(change: ChangeLine) -> dict[str, Any]:
    fields = {name: {"before": before, "after": after} for name, (before, after) in change.fields.items()}
    return {"kind": change.kind, "name": change.name, "what": change.what, "fields": fields}
