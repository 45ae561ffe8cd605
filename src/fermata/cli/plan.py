"""`fermata plan`: makes a checked plan from a campaign's files, or says why there is none."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fermata import wiring
from fermata.cli import options, output
from fermata.cli.waiting import wait_for
from fermata.domain.campaign import Campaign
from fermata.domain.hashing import content_sha256
from fermata.domain.ids import CampaignId
from fermata.domain.plans import ConsentBasis, InputHashes, Plan
from fermata.domain.policy import ConsentEntry
from fermata.domain.reasons import Code, reason
from fermata.domain.windows import calendar_day
from fermata.formats.approvals import decode_approvals
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document
from fermata.formats.ledger import LedgerMaker
from fermata.formats.plans import plan_to_json, write_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.inputs import Infeasible, PlanningInput, PlanningOutcome
from fermata.planning.planner import PlanFaulted, plan_campaign
from fermata.services import plans, records
from fermata.services.errors import Refusal

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LEFT_OUT_SHOWN = 20  # a screen; --json holds every node
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
    now: Annotated[
        str | None,
        typer.Option("--now", help="Plan as of this time; else the campaign's planned_as_of.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Equal seeds give equal plans.")] = 1,
    store: options.StoreOption = options.DEFAULT_STORE,
    as_json: options.JsonOption = False,
) -> None:
    """Makes a plan that passed the checker. With --json prints the plan itself.

    Exit code 0: a plan. 1: refused, or the checker faults it; nothing is written. 2: files that cannot be read.
    3: no plan exists.
    """
    moment = options.parse_time(now) if now is not None else None
    outcome: PlanningOutcome
    if Path(campaign).is_dir():
        scenario = read_scenario(Path(campaign))
        of = scenario.campaign
        outcome = _plan_files(scenario, approvals, now=moment, seed=seed)
    else:
        if approvals is not None:
            raise typer.BadParameter("a store has its own approvals; name a folder to use --approvals")
        if "/" in campaign or campaign.startswith("."):
            raise typer.BadParameter(f"'{campaign}' is not a folder")
        with options.opened_store(store) as database:
            of, outcome = _plan_stored(database, CampaignId(campaign), as_of=moment, seed=seed)
    if isinstance(outcome, Infeasible):
        _tell_infeasible(outcome, of, as_json=as_json)
        raise typer.Exit(output.INFEASIBLE)
    if out is not None:
        write_plan(outcome.plan, out)
    if outcome.plan.consent is ConsentBasis.ASSUMED:
        output.err.print(_DRAFT_NOTICE, style="yellow")
    if as_json:
        output.print_json(plan_to_json(outcome.plan))
    else:
        _tell_plan(outcome.plan, of, out)


def _plan_files(scenario: Scenario, approvals: Path | None, *, now: datetime | None, seed: int) -> PlanningOutcome:
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.catalogue,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=_read_ledger(scenario, approvals) if approvals is not None else scenario.ledger,
        now=now or scenario.campaign.planned_as_of or wiring.utc_now(),
        seed=seed,
    )
    hashes = input_hashes(scenario)
    plan_id = derive_plan_id(inputs, hashes)
    return _search(scenario.campaign.id, lambda: plan_campaign(inputs, new_plan_id=plan_id, hashes=hashes))


def _plan_stored(
    database: wiring.Database, name: CampaignId, *, as_of: datetime | None, seed: int
) -> tuple[Campaign, PlanningOutcome]:
    of = records.find_campaign(database, name)
    outcome = _search(
        name,
        lambda: plans.make_plan(database, name, now=wiring.utc_now(), new_id=wiring.mint_id, as_of=as_of, seed=seed),
    )
    return of, outcome


def _search(name: str, work: Callable[[], PlanningOutcome]) -> PlanningOutcome:
    """Raises Refusal when the checker faults what was found: nothing is written then."""
    with output.err.status(f"Planning {name}"):
        try:
            return wait_for(work)
        except PlanFaulted as faulted:
            first = faulted.violations[0]
            fields = {"plan": "The new plan", "count": len(faulted.violations), "rule": first.rule}
            raise Refusal(reason(Code.PLAN_VIOLATES, **fields, sentence=first.sentence)) from faulted


def _read_ledger(scenario: Scenario, path: Path) -> tuple[ConsentEntry, ...]:
    document = Document(log=FaultLog(path))
    placed = decode_approvals(path, document)
    raise_faults([document.log])
    ledger = LedgerMaker(scenario.fleet, scenario.catalogue, scenario.campaign, document.log).entries(placed)
    raise_faults([document.log])
    return ledger


def derive_plan_id(inputs: PlanningInput, hashes: InputHashes) -> str:
    """The id of the plan that these inputs give: shaped like a minted one, yet equal for equal inputs."""
    content = (hashes, inputs.now, inputs.seed, inputs.ledger)
    digest = hashlib.sha256(content_sha256(content).encode()).digest()
    milliseconds = int(inputs.now.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(digest[:10])
    return "plan_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _tell_plan(made: Plan, campaign: Campaign, out: Path | None) -> None:
    nodes = sum(len(window.nodes) for window in made.windows)
    days = sorted({calendar_day(window.start, campaign.timezone) for window in made.windows})
    span = f", {days[0]} to {days[-1]} on {output.count(len(days), 'day')}" if days else ""
    output.out.print(f"{made.id}  {campaign.title}", markup=False, soft_wrap=True)
    output.out.print(f"{output.count(len(made.windows), 'window')}, {output.count(nodes, 'node')}{span}")
    rows = [
        (term.term, f"{term.value:g}", f"{term.bound:g}", _judge(term.value, term.bound)) for term in made.objective
    ]
    headings = ("preference", "value", "bound", "")
    output.out.print(output.table("What the plan reaches", headings, rows, right=(1, 2)))
    if made.unplanned:
        left_out = [(group.cluster, f"{len(group.nodes):,}", str(group.reason)) for group in made.unplanned]
        output.out.print(output.table("Left out", ("cluster", "nodes", "why"), left_out[:LEFT_OUT_SHOWN], right=(1,)))
        if len(left_out) > LEFT_OUT_SHOWN:
            output.out.print(f"... and {len(left_out) - LEFT_OUT_SHOWN:,} more groups; --json tells all, node by node")
    if out is not None:
        output.out.print(f"Written to {out}", markup=False, soft_wrap=True)


def _judge(value: float, bound: float) -> str:
    return "proven best" if bound >= value else "best found"


def _tell_infeasible(outcome: Infeasible, campaign: Campaign, *, as_json: bool) -> None:
    why = reason(Code.NO_PLAN, campaign=campaign.id, count=len(outcome.clashes))
    clashes = [{"rule": clash.rule, "sentence": clash.sentence} for clash in outcome.clashes]
    relaxations = [{"rule": change.rule, "sentence": change.sentence} for change in outcome.relaxations]
    detail = {"clashes": clashes, "relaxations": relaxations}
    output.fail(why.code, why.sentence, exit_code=output.INFEASIBLE, as_json=as_json, detail=detail)
    if as_json:
        return
    for clash in clashes:
        output.err.print(f"  clashes  {clash['sentence']}", markup=False, soft_wrap=True)
    for change in relaxations:
        output.err.print(f"  or       {change['sentence']}", markup=False, soft_wrap=True)
    if not relaxations:
        output.err.print("  No single change was found that makes a plan possible.", markup=False)
