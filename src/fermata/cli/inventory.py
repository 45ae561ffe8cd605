"""`fermata import`: takes the fleet, updates, policy and campaigns from files into the store."""

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata import wiring
from fermata.cli import options, output
from fermata.formats.campaign import read_campaign
from fermata.formats.fleet import read_fleet
from fermata.formats.policy import read_policy
from fermata.formats.scenario import read_scenario
from fermata.formats.updates import read_updates
from fermata.services.inventory import Imported, ImportSet, import_set

CHANGES_SHOWN = 10  # of each kind on a terminal; all of them stand in the journal

PathArgument = Annotated[Path, typer.Argument(help="File or folder to read.", exists=True, show_default=False)]
WhyOption = Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)]
WhoOption = Annotated[
    str,
    typer.Option(
        "--as", help="Who imports; goes into the journal.", default_factory=getpass.getuser, show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Adds `import` and its nouns."""
    group = typer.Typer(no_args_is_help=True, help="Takes inputs from files into the store, all of a file or nothing.")
    group.command("fleet")(import_fleet)
    group.command("updates")(import_updates)
    group.command("policy")(import_policy)
    group.command("campaign")(import_campaign)
    group.command("scenario")(import_scenario)
    app.add_typer(group, name="import")


def import_fleet(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Makes the stored fleet equal to a folder (or file) of clusters, nodes and devices."""
    with output.err.status("Reading the fleet"):
        given = ImportSet(fleet=read_fleet(path))
    _import(given, store, actor, why, as_json=as_json)


def import_updates(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the catalogue of updates."""
    _import(ImportSet(catalogue=read_updates(path)), store, actor, why, as_json=as_json)


def import_policy(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the customers' policies; freezes added by hand stay."""
    _import(ImportSet(policy=read_policy(path)), store, actor, why, as_json=as_json)


def import_campaign(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Adds a campaign, or replaces the one of its id."""
    _import(ImportSet(campaign=read_campaign(path)), store, actor, why, as_json=as_json)


def import_scenario(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Imports a whole folder (fleet/, updates.yaml, policy.yaml, campaign.yaml): all four or none."""
    with output.err.status("Reading the files"):
        read = read_scenario(path)
    given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    _import(given, store, actor, why, as_json=as_json)


def _import(given: ImportSet, store: str, actor: str, why: str, *, as_json: bool) -> None:
    with options.opened_store(store) as database, output.err.status("Saving"):
        done = import_set(database, given, now=wiring.utc_now(), actor=actor, why=why)
    if as_json:
        output.print_json(_to_json(done))
    else:
        _tell(done, fleet=given.fleet is not None)


def _to_json(done: Imported) -> dict[str, Any]:
    return {
        "changed": done.changed,
        "fleet": done.fleet.counts(),
        "documents": list(done.documents),
        "requests": [{"id": request.id, "incarnation": request.incarnation} for request in done.requests],
    }


def _tell(done: Imported, *, fleet: bool) -> None:
    if not done.changed:
        output.out.print("Nothing changed: the store held all of it already.")
        return
    if fleet and done.fleet.changes:
        rows = [(f"{kind}s", *(f"{n:,}" for n in numbers.values())) for kind, numbers in done.fleet.counts().items()]
        output.out.print(output.table("Fleet", ("", "added", "changed", "removed"), rows, right=(1, 2, 3)))
        for action in ("changed", "removed"):
            _name(done, action)
    if done.documents:
        output.out.print(f"Stored: {', '.join(done.documents)}")
    if done.requests:
        output.out.print(f"{output.count(len(done.requests), 'request')} changed: fermata requests shows them.")


def _name(done: Imported, action: str) -> None:
    names = [name for kind in ("cluster", "node", "device") for name in done.fleet.names(kind, action)]
    if names:
        hidden = len(names) - CHANGES_SHOWN
        more = f" and {hidden:,} more" if hidden > 0 else ""
        output.out.print(f"{action}: {', '.join(names[:CHANGES_SHOWN])}{more}", markup=False, soft_wrap=True)
