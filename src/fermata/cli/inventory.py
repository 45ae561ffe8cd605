"""`fermata import`: takes the fleet, updates, policy, campaigns and workloads from files into the store, and
`fermata remove`: ends the one of them that plans can do without.
"""

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.services.import_files import ImportKind, find_files, read_import
from fermata.services.inventory import ImportSummary

PathArgument = Annotated[Path, typer.Argument(help="File or folder to read.", exists=True, show_default=False)]
WhyOption = Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)]
WhoOption = Annotated[
    str,
    typer.Option(
        "--as", help="Who does it; goes into the journal.", default_factory=getpass.getuser, show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Adds `import` and its nouns."""
    group = typer.Typer(no_args_is_help=True, help="Takes inputs from files into the store, all of a file or nothing.")
    group.command("fleet")(import_fleet)
    group.command("updates")(import_updates)
    group.command("policy")(import_policy)
    group.command("campaign")(import_campaign)
    group.command("workloads")(import_workloads)
    group.command("scenario")(import_scenario)
    app.add_typer(group, name="import")
    removal = typer.Typer(no_args_is_help=True, help="Ends an input that plans can do without.")
    removal.command("workloads")(remove_workloads)
    removal.callback()(_removal)
    app.add_typer(removal, name="remove")


def import_fleet(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Makes the stored fleet equal to a folder (or file) of clusters, nodes and devices."""
    _import(ImportKind.FLEET, path, (store, server), (actor, why), as_json=as_json)


def import_updates(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the catalogue of updates."""
    _import(ImportKind.UPDATES, path, (store, server), (actor, why), as_json=as_json)


def import_policy(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the customers' policies; freezes added by hand stay."""
    _import(ImportKind.POLICY, path, (store, server), (actor, why), as_json=as_json)


def import_campaign(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Adds a campaign, or replaces the one of its id."""
    _import(ImportKind.CAMPAIGN, path, (store, server), (actor, why), as_json=as_json)


def import_workloads(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Replaces the workload map by workloads.yaml and, if it stands beside it, workloads.csv."""
    _import(ImportKind.WORKLOADS, path, (store, server), (actor, why), as_json=as_json)


def import_scenario(
    path: PathArgument,
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Imports a whole folder (fleet/, updates.yaml, policy.yaml, campaign.yaml, workloads if there): all or none."""
    _import(ImportKind.SCENARIO, path, (store, server), (actor, why), as_json=as_json)


def _removal() -> None:
    """Ends an input that plans can do without."""


def remove_workloads(
    actor: WhoOption,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    why: WhyOption = "",
    as_json: options.JsonOption = False,
) -> None:
    """Ends the workload map: from now on plans know no service. Plans that were made with it keep it."""
    with options.opened_place(store, server) as place:
        done = place.remove_workloads(actor=actor, why=why)
    if as_json:
        output.print_json({"removed": done.removed})
    elif done.removed:
        output.out.print("Removed: workloads. A plan that is not published yet has to be made again.")
    else:
        output.out.print("Nothing changed: there was no workload map.")


def _import(
    kind: ImportKind, path: Path, where: tuple[str, str | None], said: tuple[str, str], *, as_json: bool
) -> None:
    with output.err.status("Reading"):
        read = read_import(kind, path)
    actor, why = said
    with options.opened_place(*where) as place, output.err.status("Saving"):
        done = place.import_files(kind, find_files(kind, path), read, actor=actor, why=why)
    if as_json:
        output.print_json(_to_json(done))
    else:
        _tell(done)


def _to_json(done: ImportSummary) -> dict[str, Any]:
    return {
        "changed": done.changed,
        "fleet": done.fleet,
        "documents": list(done.documents),
        "requests": [{"id": request.id, "incarnation": request.incarnation} for request in done.requests],
    }


def _tell(done: ImportSummary) -> None:
    if not done.changed:
        output.out.print("Nothing changed: the store held all of it already.")
        return
    if any(n for numbers in done.fleet.values() for n in numbers.values()):
        rows = [(f"{kind}s", *(f"{n:,}" for n in numbers.values())) for kind, numbers in done.fleet.items()]
        output.out.print(output.table("Fleet", ("", "added", "changed", "removed"), rows, right=(1, 2, 3)))
        for action, names in done.named.items():
            _name(action, names, sum(numbers[action] for numbers in done.fleet.values()))
    if done.documents:
        output.out.print(f"Stored: {', '.join(done.documents)}")
    if done.requests:
        output.out.print(f"{output.count(len(done.requests), 'request')} changed: fermata requests shows them.")


def _name(action: str, names: Sequence[str], total: int) -> None:
    if names:
        hidden = total - len(names)
        more = f" and {hidden:,} more" if hidden else ""
        output.out.print(f"{action}: {', '.join(names)}{more}", markup=False, soft_wrap=True)
