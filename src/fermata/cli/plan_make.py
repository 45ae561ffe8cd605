"""Makes the plan that `fermata plan` was asked for, from a folder's files or a store, while it shows how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from fermata import wiring
from fermata.cli import options
from fermata.cli.plan_files import Order, order_plan, read_folder
from fermata.cli.plan_follow import Following, follow
from fermata.cli.plan_progress import show_stages
from fermata.cli.waiting import wait_for
from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId
from fermata.domain.reasons import Code, reason
from fermata.planning.inputs import Asked, Planned, PlanningInput, PlanningOutcome
from fermata.planning.planner import PlanFaulted, plan_campaign
from fermata.planning.search import SearchOptions
from fermata.planning.stages import Stage, Watch
from fermata.services import plans, records
from fermata.services.errors import Refusal


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a plan is asked for with. `now` None: the campaign's own planned_as_of, or the clock."""

    campaign: str
    approvals: Path | None
    workloads: Path | None
    now: datetime | None
    asked: Asked
    store: str
    following: Following | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of it. `inputs` are what the plan was made from; None where there is no plan in the store to ask."""

    campaign: Campaign
    outcome: PlanningOutcome
    inputs: PlanningInput | None


def make_plan(wish: Wish) -> Made:
    """Plans. Raises Refusal when the checker faults what was found, BadInput for files, BadParameter for options."""
    with show_stages(
        wish.campaign if not Path(wish.campaign).is_dir() else Path(wish.campaign).resolve().name
    ) as watch:
        return _make_stored(wish, watch) if not Path(wish.campaign).is_dir() else _make_from_files(wish, watch)


def _make_from_files(wish: Wish, watch: Watch) -> Made:
    watch(Stage.READING, "")
    scenario = read_folder(Path(wish.campaign), wish.workloads)
    order = follow(order_plan(scenario, wish.approvals, now=wish.now, asked=wish.asked), wish.following)
    return Made(campaign=scenario.campaign, outcome=plan_order(order, wish.asked, watch), inputs=order.inputs)


def plan_order(order: Order, asked: Asked, watch: Watch) -> PlanningOutcome:
    """The plan of inputs at hand. Raises Refusal when the checker faults it."""
    search = SearchOptions(is_overdue=asked.is_overdue, watch=watch)
    return _search(lambda: plan_campaign(order.inputs, new_plan_id=order.plan_id, hashes=order.hashes, options=search))


def _make_stored(wish: Wish, watch: Watch) -> Made:
    for name, path in (("approvals", wish.approvals), ("workloads", wish.workloads)):
        if path is not None:
            raise typer.BadParameter(f"a store has its own {name}; name a folder to use --{name}")
    if wish.following is not None:
        raise typer.BadParameter("a store knows the plan in force and what ran; name a folder to use --parent")
    if "/" in wish.campaign or wish.campaign.startswith("."):
        raise typer.BadParameter(f"'{wish.campaign}' is not a folder")
    if "://" not in wish.store and not Path(wish.store).exists():
        raise typer.BadParameter(
            f"'{wish.campaign}' is not a folder, nor a campaign of a store: there is no {wish.store}"
        )
    name = CampaignId(wish.campaign)
    wanted = plans.Wanted(as_of=wish.now, asked=wish.asked, watch=watch)
    with options.opened_store(wish.store) as database:
        of = records.find_campaign(database, name)
        outcome = _search(
            lambda: plans.make_plan(database, name, now=wiring.utc_now(), new_id=wiring.mint_id, wanted=wanted)
        )
        inputs = plans.load_plan_inputs(database, outcome.plan.id)[1] if isinstance(outcome, Planned) else None
    return Made(campaign=of, outcome=outcome, inputs=inputs)


def _search(work: Callable[[], PlanningOutcome]) -> PlanningOutcome:
    try:
        return wait_for(work)
    except PlanFaulted as faulted:
        first = faulted.violations[0]
        fields = {"plan": "The new plan", "count": len(faulted.violations), "rule": first.rule}
        raise Refusal(reason(Code.PLAN_VIOLATES, **fields, sentence=first.sentence)) from faulted
