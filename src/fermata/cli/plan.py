"""`fermata plan`: makes a checked plan from a campaign's files, or says why there is none."""

from pathlib import Path
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.plan_confidence import CONFIDENCE, ConfidenceOption, MaxBreachOption
from fermata.cli.plan_diff import diff_to_json, tell_diff
from fermata.cli.plan_follow import AsOfOption, ObservedOption, ParentOption, read_following
from fermata.cli.plan_guard import TimeLimitOption, tell_notes
from fermata.cli.plan_make import Made, Wish, make_plan
from fermata.cli.plan_show import tell_infeasible, tell_plan
from fermata.cli.plan_what_if import WhatIfOption, ask_what_if
from fermata.cli.plan_write import HtmlOption, IcsOption, Targets, check_targets, tell_written, write_results
from fermata.cli.risks import print_risks
from fermata.domain.plans import ConsentBasis
from fermata.formats.plans import plan_to_json
from fermata.planning.inputs import Asked, Infeasible
from fermata.services.patience import overdue_after

_DRAFT_NOTICE = (
    "A draft: no approvals were given, so this is planned as if every request were approved."
    " Ask consent with it; nothing can be published from it."
)

CampaignArgument = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN",
        help="Folder with fleet/, updates.yaml, policy.yaml, campaign.yaml and, if given, approvals;"
        " or the id of a campaign of the store or server, planned with the consent on record there.",
        show_default=False,
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.", show_default=False)]
ApprovalsOption = Annotated[
    Path | None,
    typer.Option("--approvals", help="Approvals file to go by, in place of the folder's.", show_default=False),
]
WorkloadsOption = Annotated[
    Path | None,
    typer.Option("--workloads", help="Workload map to go by, in place of the folder's.", show_default=False),
]
NowOption = Annotated[
    str | None,
    typer.Option("--now", help="Plan as of this time; else the campaign's planned_as_of.", show_default=False),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Equal seeds give equal plans.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("plan")(plan)


def plan(
    context: typer.Context,
    campaign: CampaignArgument,
    *,
    out: OutOption = None,
    html: HtmlOption = None,
    ics: IcsOption = None,
    what_if: WhatIfOption = None,
    approvals: ApprovalsOption = None,
    workloads: WorkloadsOption = None,
    now: NowOption = None,
    parent: ParentOption = None,
    as_of: AsOfOption = None,
    observed: ObservedOption = None,
    seed: SeedOption = 1,
    confidence: ConfidenceOption = CONFIDENCE,
    max_breach: MaxBreachOption = None,
    time_limit: TimeLimitOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    server: options.ServerOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Makes a plan that passed the checker. With --json prints the plan itself, and what changed of its parent; with
    --what-if the comparison.

    Exit code 0: a plan. 1: refused, or the checker faults it; nothing is written. 2: files that cannot be read.
    3: no plan exists.
    """
    if Path(campaign).is_dir():
        options.refuse_server(context, campaign)
    moment = options.parse_time(now) if now is not None else None
    asked = Asked(seed=seed, confidence=confidence, max_breach=max_breach, is_overdue=overdue_after(time_limit))
    wish = Wish(
        campaign=campaign,
        approvals=approvals,
        workloads=workloads,
        now=moment,
        asked=asked,
        store=store,
        server=server,
        time_limit=time_limit,
        following=read_following(parent, as_of, observed, now),
    )
    targets = Targets(out=out, html=html, ics=ics)
    check_targets(targets)
    if what_if:
        ask_what_if(wish, what_if, targets, as_json=as_json)
    else:
        _finish(make_plan(wish, targets), targets, wanted=confidence, as_json=as_json)


def _finish(made: Made, targets: Targets, *, wanted: float, as_json: bool) -> None:
    outcome = made.outcome
    if isinstance(outcome, Infeasible):
        tell_infeasible(outcome, made.campaign, as_json=as_json)
        raise typer.Exit(output.INFEASIBLE)
    write_results(outcome.plan, made.drawn, targets)
    if outcome.plan.consent is ConsentBasis.ASSUMED:
        output.say(_DRAFT_NOTICE, style="yellow", console=output.err)
    tell_notes(outcome)
    if as_json:
        more = {"diff": diff_to_json(outcome.diff)} if outcome.diff is not None else {}
        output.print_json({**plan_to_json(outcome.plan), **more})
        return
    tell_plan(outcome.plan, made.campaign, wanted=wanted, timed=outcome.days, flights=made.flights)
    if outcome.diff is not None:
        tell_diff(outcome.diff, made.campaign)
    print_risks(made.risks)
    tell_written(targets)
