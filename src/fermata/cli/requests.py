"""`fermata pending` and `fermata requests`: what is due on what and why, and what customers are asked for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fermata.cli import options, output, work_orders
from fermata.cli.flights_show import flight_json, print_flights
from fermata.cli.request_show import (
    entry_json,
    order_json,
    print_history,
    print_orders,
    print_stale,
    print_standing,
    stale_json,
    standing_json,
)
from fermata.cli.risks import print_risks
from fermata.cli.verbs import Listing
from fermata.domain.ids import RequestId
from fermata.domain.pending_lines import PendingFilter, PendingGroup, PendingLine, Standing
from fermata.domain.request_states import RequestState
from fermata.domain.requests import Request
from fermata.formats.scenario import read_scenario
from fermata.services.request_words import next_words, state_words
from fermata.services.requests import Inputs, PendingPage, RequestView

LIMIT = 50  # rows of a table that names units
NODES_SHOWN = 3  # behind one device on a terminal; all of them in --json

_Names = list[str] | None
ClusterOption = Annotated[
    _Names, typer.Option("--cluster", help="Only of this cluster (repeatable).", show_default=False)
]
SupercomputerOption = Annotated[_Names, typer.Option("--supercomputer", help="Only of this one.", show_default=False)]
CustomerOption = Annotated[_Names, typer.Option("--customer", help="Only of this customer.", show_default=False)]
UpdateOption = Annotated[_Names, typer.Option("--update", help="Only this update.", show_default=False)]
SkuOption = Annotated[_Names, typer.Option("--sku", help="Only on this hardware.", show_default=False)]
LimitOption = Annotated[int, typer.Option("--limit", help="Most rows that name units; 0 shows all.", min=0)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("pending")(pending)
    group = typer.Typer(invoke_without_command=True)
    group.callback()(requests)
    work_orders.register(group)
    app.add_typer(group, name="requests")


def pending(
    *,
    cluster: ClusterOption = None,
    supercomputer: SupercomputerOption = None,
    customer: CustomerOption = None,
    update: UpdateOption = None,
    sku: SkuOption = None,
    node: Annotated[
        _Names, typer.Option("--node", help="This node and the devices it hangs on.", show_default=False)
    ] = None,
    device: Annotated[_Names, typer.Option("--device", help="This shared device.", show_default=False)] = None,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also older updates whose place a newer one takes.")
    ] = False,
    detail: Annotated[bool, typer.Option("--detail", help="One row per unit, with why.")] = False,
    limit: LimitOption = LIMIT,
    scenario: options.ScenarioOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows what is due on which nodes and devices, and why."""
    wanted = PendingFilter(
        clusters=frozenset(cluster or ()),
        supercomputers=frozenset(supercomputer or ()),
        customers=frozenset(customer or ()),
        updates=frozenset(update or ()),
        skus=frozenset(sku or ()),
        nodes=frozenset(node or ()),
        devices=frozenset(device or ()),
    )
    by_unit = detail or bool(node or device)
    with opened_listing(scenario, store, server) as listing:
        found = listing.page_pending(wanted, superseded=superseded, limit=(limit or None) if by_unit else 0)
    if as_json:
        output.print_json(_pending_json(found))
        return
    _print_groups(found.groups)
    if by_unit:
        _print_lines(found.lines, found.total)
    print_stale(found.stale)


def requests(
    context: typer.Context,
    *,
    request: Annotated[str | None, typer.Option("--request", help="One request in detail.", show_default=False)] = None,
    cluster: ClusterOption = None,
    supercomputer: SupercomputerOption = None,
    customer: CustomerOption = None,
    update: UpdateOption = None,
    sku: SkuOption = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those of which nothing is left.")] = False,
    limit: LimitOption = LIMIT,
    scenario: options.ScenarioOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Shows the cumulative requests: what customers are asked for, where that stands, and who has to act next."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    if request is not None:
        with opened_listing(scenario, store, server) as listing:
            view = listing.show_request(RequestId(request))
        if as_json:
            output.print_json(_request_json(view, detail=True))
        else:
            _print_request(view, limit)
        return
    wanted = PendingFilter(
        clusters=frozenset(cluster or ()),
        supercomputers=frozenset(supercomputer or ()),
        customers=frozenset(customer or ()),
        updates=frozenset(update or ()),
        skus=frozenset(sku or ()),
    )
    with opened_listing(scenario, store, server) as listing:
        views = listing.list_requests(wanted, ended=ended)
    if as_json:
        output.print_json({"requests": [_request_json(view, detail=False) for view in views]})
    else:
        _print_requests(views)


def _refuse_options(context: typer.Context) -> None:
    """Options of the list that stand before another command would be lost: they belong behind it."""
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        flags = ", ".join(f"--{name.removeprefix('as_').replace('_', '-')}" for name in given)
        raise typer.BadParameter(f"{flags} stands before {context.invoked_subcommand}: give it behind")


@contextmanager
def opened_listing(scenario: Path | None, store: str, server: str | None) -> Iterator[Listing]:
    """The place to look things up in: a folder of files, a server or a store. Raises BadInput, Refusal or
    StoreUnavailable.
    """
    with output.err.status("Reading"):
        if scenario is None:
            with options.opened_place(store, server) as place:
                yield place
            return
        from fermata.cli.local_files import FolderListing  # noqa: PLC0415 - loads the planner

        read = read_scenario(scenario)
        policy = replace(read.policy, notified=())  # files keep no record of notices: nobody was told of anything
        yield FolderListing(Inputs(fleet=read.fleet, catalogue=read.catalogue, policy=policy, ledger=read.ledger or ()))


def _print_groups(groups: Sequence[PendingGroup]) -> None:
    if not groups:
        output.out.print("Nothing is pending.")
        return
    headings = ("update", "units", "clusters", "from", "to", "impact", "due")
    titles = {Standing.DUE: "Due", Standing.UNKNOWN: "Version unknown, so blocked", Standing.SUPERSEDED: "Superseded"}
    for standing, title in titles.items():
        rows = [_group_row(group) for group in groups if group.standing is standing]
        if rows:
            output.out.print(_named(output.table(title, headings, rows, right=(1, 2))))


def _group_row(group: PendingGroup) -> tuple[str, ...]:
    parts = [output.count(n, noun) for n, noun in ((group.nodes, "node"), (group.devices, "device")) if n]
    first, *others = group.from_versions or ("unknown",)
    return (
        group.update,
        ", ".join(parts),
        f"{group.clusters:,}",
        f"{first} +{len(others)}" if others else first,
        group.to_version,
        group.impact,
        f"{group.due_at:%Y-%m-%d}" if group.due_at else "",
    )


def _named(table: output.Fitted) -> output.Fitted:
    """Names are what people copy: the first column is never broken."""
    table.table.columns[0].no_wrap = True
    return table


def _print_lines(lines: Sequence[PendingLine], total: int) -> None:
    rows = [(line.unit, line.update, line.standing, line.why) for line in lines]
    output.out.print(_named(output.table("By unit", ("unit", "update", "standing", "why"), rows)))
    _say_hidden(total - len(lines), "row")


def _print_requests(views: Sequence[RequestView]) -> None:
    if not views:
        output.out.print("There is no open request.")
        return
    headings = ("request", "inc.", "customer", "state", "due", "impact", "items", "nodes", "devices", "covered", "next")
    rows = [
        (
            view.request.id,
            view.request.incarnation,
            ", ".join(view.request.customers),
            state_words(view.standing.state),
            f"{view.request.due_at:%Y-%m-%d}" if view.request.due_at else "",
            view.request.impact or "",
            len(view.request.items) + len(view.request.orders),
            f"{view.request.nodes:,}",
            f"{view.request.shared_devices:,}",
            f"{sum(cover.covered for cover in view.coverage):,}",
            next_words(view.standing),
        )
        for view in views
    ]
    output.out.print(_named(output.table("Requests", headings, rows, right=(1, 6, 7, 8, 9))))
    for view in views:
        if view.standing.state is RequestState.OVERDUE:
            output.out.print(f"{view.request.id}: {view.standing.why}", markup=False, soft_wrap=True)
        for old in view.stale:
            output.out.print(f"{view.request.id}: {old.reason}", markup=False, soft_wrap=True)


def _print_request(view: RequestView, limit: int) -> None:
    request = view.request
    due = f"due {output.utc(request.due_at)}" if request.due_at else "nothing pending any more"
    customers = ", ".join(request.customers)
    output.out.print(
        f"{request.id}, incarnation {request.incarnation}, {customers}: {due}", markup=False, soft_wrap=True
    )
    print_standing(view.standing, since=view.since)
    print_stale(view.stale)
    if request.items:
        rows = [
            (item.update, item.title, item.impact, f"{item.due_at:%Y-%m-%d}", f"{item.nodes:,}", f"{item.devices:,}")
            for item in request.items
        ]
        output.out.print(
            output.table("Items", ("update", "title", "impact", "due", "nodes", "devices"), rows, right=(4, 5))
        )
    if request.superseded:
        older = [(o.update, o.by, f"{o.nodes:,}", f"{o.devices:,}") for o in request.superseded]
        headings = ("update", "superseded by", "nodes", "devices")
        output.out.print(_named(output.table("Superseded", headings, older, right=(2, 3))))
    if view.orders:
        print_orders(view.orders)
    _print_coverage(view)
    print_flights(view.flights)
    if view.devices:
        _print_devices(view, limit)
    print_risks(view.risks)
    if view.history:
        print_history(view.history)


def _print_coverage(view: RequestView) -> None:
    rows = []
    for cover in view.coverage:
        lacking: Counter[str] = Counter()
        for why, number in cover.missing:
            lacking[why.code] += number
        missing = ", ".join(f"{code} {number:,}" for code, number in lacking.most_common())
        rows.append((cover.cluster, f"{cover.nodes:,}", f"{cover.covered:,}", missing))
    headings = ("cluster", "nodes", "covered", "why the others wait")
    output.out.print(_named(output.table("Consent", headings, rows, right=(1, 2))))


def _print_devices(view: RequestView, limit: int) -> None:
    shown = view.devices[: limit or None]
    rows = []
    for work in shown:
        more = len(work.nodes) - NODES_SHOWN
        names = ", ".join(work.nodes[:NODES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
        rows.append((work.device.name, ", ".join(work.updates), "yes" if work.drains else "no", names))
    headings = ("device", "updates", "drains", "nodes behind it")
    output.out.print(_named(output.table("Shared devices", headings, rows)))
    _say_hidden(len(view.devices) - len(shown), "device")


def _say_hidden(number: int, noun: str) -> None:
    if number > 0:
        output.out.print(f"... {output.count(number, f'more {noun}')}: --limit 0 shows all")


def _pending_json(found: PendingPage) -> dict[str, Any]:
    return {
        "total": found.total,
        "groups": [
            {
                "update": group.update,
                "title": group.title,
                "component": group.component,
                "standing": group.standing,
                "impact": group.impact,
                "nodes": group.nodes,
                "devices": group.devices,
                "clusters": group.clusters,
                "from_versions": list(group.from_versions),
                "to_version": group.to_version,
                "due_at": output.iso(group.due_at) if group.due_at else None,
            }
            for group in found.groups
        ],
        "lines": [_line_json(line) for line in found.lines],
        "stale": stale_json(found.stale),
    }


def _line_json(line: PendingLine) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "unit": line.unit,
        "cluster": line.cluster,
        "supercomputer": line.supercomputer,
        "customer": line.customer,
        "update": line.update,
        "component": line.component,
        "from_version": line.from_version or None,
        "to_version": line.to_version,
        "impact": line.impact,
        "standing": line.standing,
        "due_at": output.iso(line.due_at) if line.due_at else None,
        "why": line.why,
    }


def _request_json(view: RequestView, *, detail: bool) -> dict[str, Any]:
    found = _head_json(view.request)
    found |= standing_json(view.standing)
    found["stale"] = stale_json(view.stale)
    found["coverage"] = [
        {
            "cluster": cover.cluster,
            "nodes": cover.nodes,
            "covered": cover.covered,
            "missing": [{"code": why.code, "sentence": why.sentence, "nodes": n} for why, n in cover.missing],
        }
        for cover in view.coverage
    ]
    if detail:
        found["shared_devices"] = [
            {
                "device": work.device.name,
                "kind": work.device.kind,
                "cluster": work.device.cluster,
                "updates": list(work.updates),
                "drains": work.drains,
                "nodes": list(work.nodes),
            }
            for work in view.devices
        ]
        found["since"] = output.iso(view.since) if view.since else None
        found["flights"] = [flight_json(flight) for flight in view.flights]
        found["orders"] = [order_json(order) for order in view.orders]
        found["risks"] = [{"code": why.code, "sentence": why.sentence} for why in view.risks]
        found["history"] = [entry_json(entry) for entry in view.history]
    return found


def _head_json(request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "supercomputer": request.supercomputer,
        "kind": request.kind,
        "customers": list(request.customers),
        "incarnation": request.incarnation,
        "due_at": output.iso(request.due_at) if request.due_at else None,
        "impact": request.impact,
        "nodes": request.nodes,
        "devices": request.shared_devices,
        "items": [
            {
                "update": item.update,
                "title": item.title,
                "impact": item.impact,
                "due_at": output.iso(item.due_at),
                "nodes": item.nodes,
                "devices": item.devices,
            }
            for item in request.items
        ],
        "superseded": [
            {"update": older.update, "by": older.by, "nodes": older.nodes, "devices": older.devices}
            for older in request.superseded
        ],
    }
