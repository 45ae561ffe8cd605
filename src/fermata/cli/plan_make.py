"""Makes the plan that `fermata plan` was asked for, here or on a server, while it shows how far it is."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from fermata.cli import options
from fermata.cli.plan_files import Order, order_plan, read_folder
from fermata.cli.plan_follow import Following, follow
from fermata.cli.plan_progress import show_stages
from fermata.cli.plan_write import NOTHING_DRAWN, Drawn, Targets, draw
from fermata.cli.verbs import Verbs
from fermata.cli.waiting import wait_for
from fermata.domain.campaign import Campaign
from fermata.domain.combinations import say_new
from fermata.domain.ids import CampaignId
from fermata.domain.planned_flights import PlannedFlight, find_planned_flights
from fermata.domain.reasons import Reason
from fermata.planning.inputs import Asked, Planned, PlanningOutcome
from fermata.planning.planner import plan_campaign
from fermata.planning.search import SearchOptions
from fermata.planning.stages import Stage, Watch
from fermata.services.plans import Wanted, refusing_faulted


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a plan is asked for with. `now` None: the campaign's own planned_as_of, or the clock. `time_limit` is that
    of `asked`, in seconds, for a server.
    """

    campaign: str
    approvals: Path | None
    workloads: Path | None
    now: datetime | None
    asked: Asked
    store: str
    server: str | None = None
    time_limit: int | None = None
    following: Following | None = None

    @property
    def is_folder(self) -> bool:
        """Whether files are planned, else a campaign on record."""
        return Path(self.campaign).is_dir()

    @property
    def title(self) -> str:
        """How it is called while it is planned."""
        return Path(self.campaign).resolve().name if self.is_folder else self.campaign


@dataclass(frozen=True, kw_only=True)
class Made:
    """What came of it. `flights`: those that the plan brings. `risks`: sets of updates that never ran together, where a
    store knows.
    """

    campaign: Campaign
    outcome: PlanningOutcome
    drawn: Drawn
    flights: tuple[PlannedFlight, ...] = ()
    risks: tuple[Reason, ...] = ()


def make_plan(wish: Wish, targets: Targets) -> Made:
    """Plans, and draws what `targets` ask for. Raises Refusal when the checker faults what was found, BadInput for
    files, BadParameter for options.
    """
    with show_stages(wish.title) as watch:
        return _make_from_files(wish, targets, watch) if wish.is_folder else _make_stored(wish, targets, watch)


def _make_from_files(wish: Wish, targets: Targets, watch: Watch) -> Made:
    watch(Stage.READING, "")
    scenario = read_folder(Path(wish.campaign), wish.workloads)
    order = follow(order_plan(scenario, wish.approvals, now=wish.now, asked=wish.asked), wish.following)
    outcome = plan_order(order, wish.asked, watch)
    if not isinstance(outcome, Planned):
        return Made(campaign=scenario.campaign, outcome=outcome, drawn=NOTHING_DRAWN)
    flights = find_planned_flights(outcome.plan, order.inputs.catalogue.flights)
    drawn = draw(outcome.plan, order.inputs, targets)
    return Made(campaign=scenario.campaign, outcome=outcome, drawn=drawn, flights=flights)


def plan_order(order: Order, asked: Asked, watch: Watch) -> PlanningOutcome:
    """The plan of inputs at hand. Raises Refusal when the checker faults it."""
    search = SearchOptions(is_overdue=asked.is_overdue, watch=watch)
    with refusing_faulted():
        return wait_for(
            lambda: plan_campaign(order.inputs, new_plan_id=order.plan_id, hashes=order.hashes, options=search)
        )


def _make_stored(wish: Wish, targets: Targets, watch: Watch) -> Made:
    where = "store" if wish.server is None else "server"
    for name, path in (("approvals", wish.approvals), ("workloads", wish.workloads)):
        if path is not None:
            raise typer.BadParameter(f"a {where} has its own {name}; name a folder to use --{name}")
    if wish.following is not None:
        raise typer.BadParameter(f"a {where} knows the plan in force and what ran; name a folder to use --parent")
    if "/" in wish.campaign or wish.campaign.startswith("."):
        raise typer.BadParameter(f"'{wish.campaign}' is not a folder")
    if wish.server is None and "://" not in wish.store and not Path(wish.store).exists():
        raise typer.BadParameter(
            f"'{wish.campaign}' is not a folder, nor a campaign of a store: there is no {wish.store}"
        )
    wanted = Wanted(as_of=wish.now, asked=wish.asked, watch=watch)
    with options.opened_place(wish.store, wish.server) as place:
        made = wait_for(lambda: place.plan_campaign(CampaignId(wish.campaign), wanted, time_limit=wish.time_limit))
        drawn = _fetch(place, made.outcome, targets)
        risks: tuple[Reason, ...] = ()
        if isinstance(made.outcome, Planned):
            risks = say_new(place.list_combinations(None, made.outcome.plan.id))
    return Made(campaign=made.campaign, outcome=made.outcome, drawn=drawn, flights=made.flights, risks=risks)


def _fetch(place: Verbs, outcome: PlanningOutcome, targets: Targets) -> Drawn:
    if not isinstance(outcome, Planned):
        return NOTHING_DRAWN
    page = place.draw_page(outcome.plan.id) if targets.html is not None else None
    calendar = place.draw_calendar(outcome.plan.id) if targets.ics is not None else None
    return Drawn(page=page, calendar=calendar)
