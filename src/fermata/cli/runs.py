"""`fermata start` and `status`: a run begins, and where it stands."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from fermata.cli import options, output
from fermata.cli.conducting import SiteOption, check_site, conduct_until_over, live_run
from fermata.cli.flights_show import say_where
from fermata.cli.simulating import chosen_settings
from fermata.cli.tail import age_words
from fermata.domain.hashing import to_plain
from fermata.domain.ids import CampaignId
from fermata.domain.operations import Run
from fermata.domain.reasons import ASTRAY, Code
from fermata.domain.run_states import ReplanMode, WindowState
from fermata.services.errors import shorten
from fermata.services.gates import GatesView
from fermata.services.job_words import say_cost, say_keeping
from fermata.services.run_views import RunStatus, TailEntry, WindowStatus

TAIL_SHOWN = 20  # of a long tail on a terminal; all of it in --json
MINUTE = timedelta(minutes=1)
SERVES = "`fermata serve`, with --site or --simulate,"

CampaignArgument = Annotated[
    str | None,
    typer.Argument(help="The campaign's id, if more than one is on record.", show_default=False),
]
WhyOption = Annotated[str, typer.Option("--why", help="Why; goes into the journal.", show_default=False)]
ReplanOption = Annotated[
    ReplanMode | None,
    typer.Option(
        "--replan",
        help="When reality differs from the plan: off, propose another, or auto. A new run proposes.",
        show_default=False,
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every window, not only those of interest now.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("start")(start)
    app.command("status")(status)


def start(
    campaign: CampaignArgument = None,
    *,
    replan: ReplanOption = None,
    site: SiteOption = None,
    actor: options.ActorOption = "operator",
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Begins to conduct the campaign's published plan; a live run goes over to a newly published one. With --site this
    process conducts it, on the real fleet, until it is over; a run that is live already goes on.
    """
    if site is None:
        with options.opened_place(store, server) as place:
            run = place.start_run(named(campaign), replan, actor=actor)
        tell(run, f"{run.id} conducts {run.plan}. {SERVES} does the work.", as_json=as_json)
        return
    if server is not None:
        raise typer.BadParameter("a server conducts on its own site: leave --site or --server out")
    settings = chosen_settings(store=store)
    with options.opened_place(store, None) as place, options.opened_store(store) as database:
        check_site(database, site)
        run = live_run(database, named(campaign)) or place.start_run(named(campaign), replan, actor=actor)
        tell(run, f"{run.id} conducts {run.plan}. This process does the work until it is ended.", as_json=as_json)
        ended = conduct_until_over(database, settings, site, run.campaign)
    if not as_json:
        output.say(f"{ended.id} is {ended.state}.")


def status(
    campaign: CampaignArgument = None,
    *,
    everything: AllOption = False,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Where the run stands: windows, nodes out against the limits, share in service, tail list."""
    with options.opened_place(store, server) as place:
        found = place.show_status(named(campaign))
        gates = None if as_json else place.show_gates(named(campaign))
    if as_json:
        output.print_json(_plain(found))
        return
    _print_head(found)
    _print_astray(found)
    _print_limits(found)
    _print_windows(found, everything=everything)
    _print_jobs(found, everything=everything)
    _print_gates(gates)
    _print_trains(found, everything=everything)
    _print_tail(found)


def named(campaign: str | None) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None


def tell(run: Run, sentence: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"schema": "fermata.run/1", "run": output.with_z(to_plain(run))})
    else:
        output.out.print(sentence)


def _plain(found: RunStatus) -> dict[str, Any]:
    body = to_plain(found)
    body["in_service_share"] = round(found.in_service_share, 4)
    for line, window in zip(body["windows"], found.windows, strict=True):
        line["behind_minutes"] = None if window.behind is None else round(window.behind / MINUTE)
        del line["behind"]
    for line, entry in zip(body["tail"], found.tail, strict=True):
        line["age_minutes"] = round(entry.age / MINUTE)
        del line["age"]
    return {"schema": "fermata.status/1", **output.with_z(body)}


def _print_head(found: RunStatus) -> None:
    wanted = "" if found.desired.value == "run" else f", asked to {found.desired}"
    told = f"  {found.state}{wanted} as of {output.utc(found.as_of)}"
    output.out.print(output.styled((found.campaign, "bold"), told))
    for word in found.words:
        output.out.print(word.sentence)
    output.out.print(
        f"{output.count(found.nodes_returned, 'node')} back of {found.nodes_planned:,} planned, "
        f"{found.nodes_kept_out:,} proven but left out as found, {found.nodes_out:,} out, "
        f"{found.nodes_in_tail:,} of them on the tail list; "
        f"{found.in_service_share:.1%} of {found.baseline_in_service:,} in service"
    )
    risk = found.deadline_risk
    if risk is not None and all(need.code is not Code.DEADLINE_AT_RISK for need in found.needs):
        words = f"{risk.missed:.0%} of {risk.plays:,} plays, {risk.late_node_days:,g} late node-days on average"
        output.out.print(f"Deadline {output.utc(risk.deadline)} missed in {words}, as foreseen {output.utc(risk.at)}")
    over = {window.window for window in found.windows if window.closed_at is not None}
    for flight in found.flights:
        ended = sum(name in over for name in flight.windows)
        output.say(f"Flight {say_where(flight)}, {ended:,} over")
    for need in found.needs:
        output.out.print(f"Needs you: {need.sentence}", markup=False, soft_wrap=True)
    if found.forecast_end is not None:
        output.out.print(f"Last window foretold to end {output.utc(found.forecast_end)}")


def _print_astray(found: RunStatus) -> None:
    """Before everything else: somebody put workloads where work goes on."""
    names = [entry.unit for entry in found.tail if entry.reason.code in ASTRAY]
    if names:
        output.say(
            f"Out of our hands: {shorten(names)}. Find out who scaled them in, or unlocked them; the tail list says"
            " what becomes of them.",
            style="bold red",
        )


def _print_limits(found: RunStatus) -> None:
    rows = [(_limit(item.limit.what, item.limit.where.conditions), item.used, item.allowed) for item in found.limits]
    output.out.print(output.table("Limits", ("limit", "now", "allowed"), rows, right=(1, 2)))


def _limit(what: str, conditions: Any) -> str:
    where = ", ".join(f"{key} {'/'.join(sorted(values))}" for key, values in sorted(conditions.items()))
    return f"{what} where {where}" if where else what


def _print_windows(found: RunStatus, *, everything: bool) -> None:
    interesting = (WindowState.OPEN, WindowState.WAITING, WindowState.MISSED, WindowState.SKIPPED)
    shown = [w for w in found.windows if everything or w.state in interesting]
    headings = ("window", "state", "start", "end", "pace", "nodes", "back", "working", "tail", "reason")
    rows = [_window_row(window) for window in shown]
    hidden = len(found.windows) - len(shown)
    title = f"Windows ({hidden} more: --all)" if hidden else "Windows"
    output.out.print(output.table(title, headings, rows, right=(5, 6, 7, 8)))


def _print_jobs(found: RunStatus, *, everything: bool) -> None:
    """Of windows within a day, and of those whose jobs are to be kept off and are not; all that are near with --all."""
    known = [window for window in found.windows if window.jobs is not None]
    shown = [w for w in known if w.jobs and (everything or w.jobs.cost is not None or w.jobs.why is not None)]
    if not shown:
        return
    headings = ("window", "start", "jobs a drain would meet", "jobs to come", "reason")
    rows = [
        (w.window, output.utc(w.opened_at or w.planned_start), say_cost(w.jobs, output.utc),
         say_keeping(w.jobs), w.jobs.why.sentence if w.jobs.why else "")
        for w in shown if w.jobs is not None
    ]  # fmt: skip
    hidden = len(known) - len(shown)
    output.out.print(output.table(f"Jobs ahead ({hidden} more: --all)" if hidden else "Jobs ahead", headings, rows))


def _print_trains(found: RunStatus, *, everything: bool) -> None:
    """Only where there are some."""
    shown = [train for train in found.trains if everything or train.closed_at is None]
    if shown:
        headings = ("train", "cluster", "updates", "since", "until", "riders", "proven", "writing", "left")
        rows = [
            (t.train, t.cluster, ", ".join(t.updates), output.utc(t.opened_at), output.utc(t.closed_at or t.due_by),
             t.riders, t.proven, t.writing, t.left)
            for t in shown
        ]  # fmt: skip
        output.out.print(output.table("Impactless trains (nodes in service)", headings, rows, right=(5, 6, 7, 8)))


def _window_row(window: WindowStatus) -> tuple[object, ...]:
    return (
        window.window,
        window.state,
        output.utc(window.opened_at or window.planned_start),
        output.utc(window.closed_at or window.planned_end),
        _pace(window.behind),
        window.taken or window.nodes,
        window.returned + window.kept_out,
        window.working,
        window.in_tail,
        window.reason.sentence if window.reason else "",
    )


def _pace(behind: timedelta | None) -> str:
    if behind is None:
        return ""
    minutes = round(behind / MINUTE)
    if minutes == 0:
        return "on time"
    return f"{minutes} min late" if minutes > 0 else f"{-minutes} min early"


def _print_gates(found: GatesView | None) -> None:
    """Those that let nobody begin: `fermata gates` tells them all."""
    for view in found.gates if found is not None else ():
        judged = view.gate.judged
        if view.gate.is_closed:
            waiting = output.count(view.waiting, "unit")
            head = (f"Gate of {view.gate.update}: {judged.verdict}", "bold")
            output.out.print(output.styled(head, f", {waiting} waiting. {judged.reason.sentence}"))


def _print_tail(found: RunStatus) -> None:
    rows = [_tail_row(entry) for entry in found.tail[:TAIL_SHOWN]]
    hidden = len(found.tail) - len(rows)
    title = f"Tail list ({hidden} more: fermata tail)" if hidden else "Tail list"
    output.out.print(output.table(title, ("unit", "age", "state", "owner", "reason"), rows))


def _tail_row(entry: TailEntry) -> tuple[object, ...]:
    return entry.unit, age_words(entry.age), entry.state, entry.owner, str(entry.reason)
