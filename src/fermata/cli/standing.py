"""`fermata standing`: which pending updates share which outage in the year to come, when no campaign is on."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.waiting import wait_for
from fermata.domain.reasons import Code, reason
from fermata.formats.scenario import read_inventory
from fermata.formats.standing import read_outages, standing_to_json, write_standing
from fermata.planning.standing.outages import ClusterStanding, Outage, StandingPlan
from fermata.planning.standing.plan import Terms, plan_standing
from fermata.services.errors import Refusal
from fermata.services.standing import DAYS_MOST
from fermata.wiring import clocks

OUTAGES_SHOWN = 30  # a screen; --limit 0 and --json tell all


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("standing")(standing)


def standing(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folder with fleet/, updates.yaml and policy.yaml; without it, what the store or server holds.",
            show_default=False,
        ),
    ] = None,
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS_MOST, help="How far to look ahead.")] = 365,
    now: Annotated[
        str | None, typer.Option("--now", help="Plan as of this time; else the clock.", show_default=False)
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=1, max=24, help="How long one outage may last.")] = 8.0,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", help="The standing plan in force: outages that were told stay.", show_default=False),
    ] = None,
    notice_days: Annotated[
        int, typer.Option("--notice-days", min=0, max=DAYS_MOST, help="How many days ahead outages are told.")
    ] = 30,
    cluster: Annotated[
        list[str] | None, typer.Option("--cluster", help="Only these clusters; repeatable.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Outages to show; 0 shows all.")] = OUTAGES_SHOWN,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.", show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Equal seeds give equal plans.")] = 1,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Folds all that is pending, and what is announced, into the fewest outages that meet every due date."""
    if folder is not None:
        options.refuse_server(context, str(folder))
    terms = Terms(days=days, notice_days=notice_days, room_minutes=60 * hours, seed=seed)
    moment = options.parse_time(now) if now is not None else None
    told = read_outages(previous) if previous is not None else ()
    with output.err.status("Planning outages"):
        made = wait_for(lambda: _make(folder, (store, server), terms, now=moment, told=told))
    if cluster:
        made = _only(made, cluster)
    if out is not None:
        write_standing(made, out)
    if as_json:
        output.print_json(standing_to_json(made))
    else:
        _tell(made, limit or None, out)


def _make(
    folder: Path | None, where: tuple[str, str | None], terms: Terms, *, now: datetime | None, told: Sequence[Outage]
) -> StandingPlan:
    if folder is not None:
        return plan_standing(*read_inventory(folder), terms, now=now or clocks.utc_now(), published=told)
    with options.opened_place(*where) as place:
        return place.plan_standing(terms, now=now, published=told)


def _only(plan: StandingPlan, wanted: Sequence[str]) -> StandingPlan:
    """Raises Refusal for a cluster on which nothing is pending or announced."""
    known = {of.cluster for of in plan.clusters}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise Refusal(reason(Code.NOTHING_PENDING, scope=f"cluster {missing[0]}"))
    return StandingPlan(
        made_at=plan.made_at,
        first_day=plan.first_day,
        last_day=plan.last_day,
        clusters=tuple(of for of in plan.clusters if of.cluster in wanted),
    )


def _tell(plan: StandingPlan, limit: int | None, out: Path | None) -> None:
    span = f"{plan.first_day} to {plan.last_day}"
    if not plan.outages:
        output.out.print(f"No outage is needed from {span}.")
    else:
        separate, nodes = (
            sum(values) for values in zip(*((c.separate, c.separate_node_outages) for c in plan.clusters), strict=True)
        )
        output.out.print(
            f"{output.count(plan.outages, 'outage')} from {span}, in place of {separate:,} with one per update."
        )
        output.out.print(f"{_say_nodes(plan)}; one outage per update would take {nodes:,}.")
        rows = [row for name, of in _by_supercomputer(plan) for row in _rows(name, of)]
        headings = ("supercomputer", "cluster", "day", "nodes", "updates", "no later than", "because of")
        shown = sorted(rows, key=lambda row: (row[2], row[1]))
        output.out.print()
        output.out.print(output.table("Outages", headings, shown[:limit], right=(3, 4)))
        if limit is not None and len(shown) > limit:
            output.out.print(f"... and {len(shown) - limit:,} more; --limit 0 shows all, --json every node")
    _tell_quiet(plan)
    _tell_troubles(plan, limit)
    if out is not None:
        output.out.print(f"Written to {out}", markup=False, soft_wrap=True)


def _say_nodes(plan: StandingPlan) -> str:
    taken = f"Nodes are taken out {plan.node_outages:,} times in all"
    if plan.node_outages_bound >= plan.node_outages:
        return f"{taken}, proven fewest"
    return f"{taken}, at least {plan.node_outages_bound:,} are needed"


def _by_supercomputer(plan: StandingPlan) -> list[tuple[str, list[ClusterStanding]]]:
    ordered = sorted(plan.clusters, key=lambda of: (of.supercomputer, of.cluster))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda of: of.supercomputer)]


def _rows(supercomputer: str, clusters: Sequence[ClusterStanding]) -> list[tuple[str, ...]]:
    return [
        (
            supercomputer,
            outage.cluster,
            str(outage.day),
            f"{len(outage.nodes):,}",
            str(len(outage.updates)),
            str(outage.due),
            outage.forced_by,
        )
        for of in clusters
        for outage in of.outages
    ]


def _tell_quiet(plan: StandingPlan) -> None:
    quiet = [(item.day, item.cluster, item.update) for of in plan.clusters for item in of.quiet]
    if quiet:
        first, cluster, update = min(quiet)
        output.out.print(
            f"{output.count(len(quiet), 'update')} without an outage, on days of their own;"
            f" first {update} on {cluster}, {first}.",
            markup=False,
            soft_wrap=True,
        )


def _tell_troubles(plan: StandingPlan, limit: int | None) -> None:
    troubles = [trouble for of in plan.clusters for trouble in of.troubles]
    if not troubles:
        return
    rows = [(trouble.cluster, f"{trouble.units:,}", str(trouble.reason)) for trouble in troubles]
    output.out.print()
    output.out.print(output.table("Not as it should be", ("cluster", "units", "why"), rows[:limit], right=(1,)))
    if limit is not None and len(rows) > limit:
        output.out.print(f"... and {len(rows) - limit:,} more; --limit 0 shows all")
