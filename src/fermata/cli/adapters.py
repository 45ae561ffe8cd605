"""`fermata adapters`: which kinds there are, what is wrong with those of a site, and whether one keeps its promises."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.conformance import Bench, Outcome, Trial, Verdict, Write, list_trials, make_live_bench, try_all
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.formats.site import read_settings_file
from fermata.ports import AdapterPorts
from fermata.wiring import clocks
from fermata.wiring.clocks import SystemClock
from fermata.wiring.kinds import AdapterKind, KindBook, list_kinds
from fermata.wiring.named_secrets import in_context, open_secrets
from fermata.wiring.site import Probed, attach, open_site, say_gap

SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site",
        envvar="FERMATA_SITE",
        help="File with the adapters to a real fleet.",
        show_default=False,
    ),
]

WriteOption = Annotated[
    bool,
    typer.Option("--write", help="Try what changes the target, too: on the units named, nodes given back after."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="Adapters to real targets: which there are, and whether they work.")
    group.command("list")(list_adapters)
    group.command("doctor")(doctor)
    group.command("try")(try_adapter)
    app.add_typer(group, name="adapters")


def list_adapters(as_json: options.JsonOption = False) -> None:
    """Shows every kind of adapter, ours and those that other packages bring, with the ports that it serves."""
    found = list_kinds()
    if as_json:
        output.print_json(_kinds_json(found))
        return
    rows = [(k.kind, ", ".join(sorted(k.ports)), k.origin, k.summary) for k in found.kinds.values()]
    if rows:
        output.out.print(output.table("Adapters", ("kind", "serves", "from", ""), rows))
    else:
        output.say("No kind of adapter is installed here.")
    for kind in found.unusable.values():
        output.say(f"{kind.kind} ({kind.origin}) cannot be used: {kind.why}", style="bold red")


def doctor(
    site: SiteOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Asks the target of every adapter who it is, says what is wrong and what to do; harmless. Ends with 1 if something
    is. With a store, whether all that its plans in force need is served.
    """
    book = list_kinds()
    wrong = [f"{kind.kind} ({kind.origin}) cannot be used: {kind.why}" for kind in book.unusable.values()]
    if site is None:
        _tell_doctor([], wrong, ["Name a site's file by --site to have its adapters looked at."], as_json=as_json)
        return
    with open_site(site, SystemClock(), book=book) as opened:
        if _is_there(store):
            with options.opened_store(store) as database:
                opened.attach(database)
                probed = opened.probe()
                gaps, notes = [say_gap(gap) for gap in opened.find_gaps(database)], []
        else:
            probed, gaps = opened.probe(), []
            notes = [f"There is no store at {store}: whether all units are served was not looked at."]
    _tell_doctor(probed, [*wrong, *gaps], notes, as_json=as_json)


def try_adapter(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of adapter, as `fermata adapters list` shows it.")],
    *,
    settings: Annotated[Path, typer.Option("--settings", help="File with the settings of the adapter, in YAML.")],
    node: Annotated[
        list[str] | None,
        typer.Option(
            "--node", help="Node that the target knows; with --write it is taken. Best three.", metavar="NAME"
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="The same of a shared device; with --write it is written to.", metavar="NAME"),
    ] = None,
    write: WriteOption = False,
    update: Annotated[
        str | None,
        typer.Option(
            "--update", help="What --write may write, for adapters of firmware.", metavar="UPDATE:COMPONENT=VERSION"
        ),
    ] = None,
    device_update: Annotated[
        str | None,
        typer.Option("--device-update", help="The same, for the devices.", metavar="UPDATE:COMPONENT=VERSION"),
    ] = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Tries an adapter with every sentence of the conformance suite, on your own staging system. Changes nothing unless
    --write is given. Ends with 1 when a sentence is broken.
    """
    if write and not (node or device):
        raise typer.BadParameter("--write takes units: name those that may be taken by --node or --device")
    chosen = _find_kind(kind, list_kinds())
    given = read_settings_file(settings, chosen, in_context(open_secrets(), settings.parent))
    clock, run = SystemClock(), clocks.mint_id("try")

    def build() -> AdapterPorts:
        ports = chosen.open(given, clock)
        if database is not None:
            attach(ports, database, clock)
        return ports

    def make(_trial: Trial) -> Bench:
        return make_live_bench(
            build,
            given,
            clock,
            nodes=[NodeId(name) for name in node or ()],
            devices=[DeviceId(name) for name in device or ()],
            writes=_read_write(update),
            device_writes=_read_write(device_update),
            may_write=write,
            run=run,
        )

    kinds = [UnitKind.NODE] * bool(node or not device) + [UnitKind.DEVICE] * bool(device)
    with options.opened_store(store) if _is_there(store) else nullcontext() as database:
        _try_all(list_trials(chosen.ports, of=kinds), make, as_json=as_json)


def _try_all(trials: Sequence[Trial], make: Callable[[Trial], Bench], *, as_json: bool) -> None:
    found: list[Outcome] = []
    for outcome in try_all(trials, make):
        found.append(outcome)
        if not as_json:
            _tell_outcome(outcome)
    _sum_up(found, as_json=as_json)


def _find_kind(kind: str, book: KindBook) -> AdapterKind:
    if kind in book.unusable:
        raise typer.BadParameter(f"{kind} cannot be used: {book.unusable[kind].why}")
    if kind not in book.kinds:
        raise typer.BadParameter(f"there is no kind of adapter '{kind}'; there are: {', '.join(book.kinds) or 'none'}")
    return book.kinds[kind]


def _read_write(text: str | None) -> Sequence[Write]:
    if text is None:
        return []
    update, _, rest = text.partition(":")
    component, _, version = rest.partition("=")
    if not (update and component and version):
        raise typer.BadParameter(f"'{text}' is no update; write it like nic-28:nic_fw=28.43.1014")
    return [Write(update=UpdateId(update), component=component, to_version=version)]


def _is_there(store: str) -> bool:
    """True of a store that need not be made first."""
    return "://" in store or Path(store).is_file()


def _tell_doctor(probed: Sequence[Probed], wrong: Sequence[str], notes: Sequence[str], *, as_json: bool) -> None:
    is_well = not wrong and not any(found.wrong for found in probed)
    if as_json:
        lines = [{"adapter": p.adapter, "kind": p.kind, "target": dict(p.target), "wrong": p.wrong} for p in probed]
        output.print_json({"well": is_well, "adapters": lines, "wrong": list(wrong), "notes": list(notes)})
    else:
        for found in probed:
            said = ", ".join(f"{key} {value}" for key, value in found.target.items())
            output.say(
                f"{found.adapter} ({found.kind}): {found.wrong or said}", style="bold red" if found.wrong else ""
            )
        for sentence in wrong:
            output.say(sentence, style="bold red")
        for sentence in notes:
            output.say(sentence)
        if is_well and probed:
            output.say("Nothing is wrong.")
    if not is_well:
        sys.exit(output.REFUSED)


def _kinds_json(book: KindBook) -> dict[str, object]:
    kinds = [
        {"kind": k.kind, "ports": sorted(k.ports), "origin": k.origin, "summary": k.summary, "why_unusable": None}
        for k in book.kinds.values()
    ]
    kinds += [
        {"kind": k.kind, "ports": [], "origin": k.origin, "summary": "", "why_unusable": k.why}
        for k in book.unusable.values()
    ]
    return {"adapters": kinds}


def _tell_outcome(outcome: Outcome) -> None:
    why = f": {outcome.why}" if outcome.why else ""
    styles = {Verdict.KEPT: "green", Verdict.BROKEN: "bold red", Verdict.NOT_TRIED: "dim"}
    output.say(f"{outcome.verdict.value:9}  {outcome.trial}{why}", style=styles[outcome.verdict])


def _sum_up(found: Sequence[Outcome], *, as_json: bool) -> None:
    counts = {verdict: sum(outcome.verdict is verdict for outcome in found) for verdict in Verdict}
    if as_json:
        lines = [{"sentence": str(o.trial), "verdict": o.verdict.value, "why": o.why} for o in found]
        output.print_json({"trials": lines, **{v.name.lower(): n for v, n in counts.items()}})
    else:
        output.say(", ".join(f"{number} {verdict.value}" for verdict, number in counts.items()), style="bold")
    if counts[Verdict.BROKEN]:
        sys.exit(output.REFUSED)
