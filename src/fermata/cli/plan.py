"""`fermata plan`: makes a checked plan from a campaign's files, or says why there is none."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.plan_confidence import CONFIDENCE, ConfidenceOption, MaxBreachOption, tell_confidence
from fermata.cli.plan_files import order_plan, read_folder
from fermata.cli.plan_show import tell_infeasible, tell_plan
from fermata.cli.waiting import wait_for
from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId
from fermata.domain.plans import ConsentBasis
from fermata.domain.reasons import Code, reason
from fermata.formats.plans import plan_to_json, write_plan
from fermata.formats.scenario import Scenario
from fermata.planning.inputs import Asked, Infeasible, PlanningOutcome
from fermata.planning.planner import PlanFaulted, plan_campaign
from fermata.services import plans, records
from fermata.services.errors import Refusal

_DRAFT_NOTICE = (
    "A draft: no approvals were given, so this is planned as if every request were approved."
    " Ask consent with it; nothing can be published from it."
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("plan")(plan)


def plan(
    campaign: Annotated[
        str,
        typer.Argument(
            metavar="CAMPAIGN",
            help="Folder with fleet/, updates.yaml, policy.yaml, campaign.yaml and, if given, approvals;"
            " or the id of a campaign in the store, planned with the consent on record there.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.", show_default=False)] = None,
    approvals: Annotated[
        Path | None,
        typer.Option("--approvals", help="Approvals file to go by, in place of the folder's.", show_default=False),
    ] = None,
    workloads: Annotated[
        Path | None,
        typer.Option("--workloads", help="Workload map to go by, in place of the folder's.", show_default=False),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option("--now", help="Plan as of this time; else the campaign's planned_as_of.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Equal seeds give equal plans.")] = 1,
    confidence: ConfidenceOption = CONFIDENCE,
    max_breach: MaxBreachOption = None,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Makes a plan that passed the checker. With --json prints the plan itself.

    Exit code 0: a plan. 1: refused, or the checker faults it; nothing is written. 2: files that cannot be read.
    3: no plan exists.
    """
    moment = options.parse_time(now) if now is not None else None
    asked = Asked(seed=seed, confidence=confidence, max_breach=max_breach)
    if Path(campaign).is_dir():
        scenario = read_folder(Path(campaign), workloads)
        of, outcome = _plan_folder(scenario, approvals, now=moment, asked=asked)
    else:
        _refuse_files({"approvals": approvals, "workloads": workloads})
        of, outcome = _plan_stored(campaign, store, as_of=moment, asked=asked)
    if isinstance(outcome, Infeasible):
        tell_infeasible(outcome, of, as_json=as_json)
        raise typer.Exit(output.INFEASIBLE)
    if out is not None:
        write_plan(outcome.plan, out)
    if outcome.plan.consent is ConsentBasis.ASSUMED:
        output.err.print(_DRAFT_NOTICE, style="yellow")
    if as_json:
        output.print_json(plan_to_json(outcome.plan))
    else:
        tell_plan(outcome.plan, of)
        tell_confidence(outcome.plan, of, wanted=confidence)
        if out is not None:
            output.out.print(f"Written to {out}", markup=False, soft_wrap=True)


def _refuse_files(given: Mapping[str, Path | None]) -> None:
    """A store has what the folder of a campaign has beside it."""
    for name, path in given.items():
        if path is not None:
            raise typer.BadParameter(f"a store has its own {name}; name a folder to use --{name}")


def _plan_folder(
    scenario: Scenario, approvals: Path | None, *, now: datetime | None, asked: Asked
) -> tuple[Campaign, PlanningOutcome]:
    order = order_plan(scenario, approvals, now=now, asked=asked)
    found = _search(
        scenario.campaign.id, lambda: plan_campaign(order.inputs, new_plan_id=order.plan_id, hashes=order.hashes)
    )
    return scenario.campaign, found


def _plan_stored(
    campaign: str, store: str, *, as_of: datetime | None, asked: Asked
) -> tuple[Campaign, PlanningOutcome]:
    if "/" in campaign or campaign.startswith("."):
        raise typer.BadParameter(f"'{campaign}' is not a folder")
    name = CampaignId(campaign)
    with options.opened_store(store) as database:
        of = records.find_campaign(database, name)
        found = _search(
            name,
            lambda: plans.make_plan(
                database,
                name,
                now=wiring.utc_now(),
                new_id=wiring.mint_id,
                as_of=as_of,
                asked=asked,
            ),
        )
    return of, found


def _search(name: str, work: Callable[[], PlanningOutcome]) -> PlanningOutcome:
    """Raises Refusal when the checker faults what was found: nothing is written then."""
    with output.err.status(f"Planning {name}"):
        try:
            return wait_for(work)
        except PlanFaulted as faulted:
            first = faulted.violations[0]
            fields = {"plan": "The new plan", "count": len(faulted.violations), "rule": first.rule}
            raise Refusal(reason(Code.PLAN_VIOLATES, **fields, sentence=first.sentence)) from faulted
