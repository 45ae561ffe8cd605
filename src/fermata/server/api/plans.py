"""Plans: make, list, read, check, simulate, put in force."""

from datetime import UTC
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query, Request, Response, UploadFile, status
from pydantic import Field

from fermata.domain.ids import CampaignId, PlanId
from fermata.formats.plans import plan_to_json, read_plan
from fermata.planning.inputs import Asked, Violation
from fermata.planning.risk.luck import CORRELATION
from fermata.planning.risk.simulate import Simulation
from fermata.planning.stages import Stage
from fermata.server.api.bodies import NAME_MAX, Body, Instant, Name, Seed, Text
from fermata.server.api.cursors import CursorParam, LimitParam, page
from fermata.server.api.nouns import open_noun
from fermata.server.api.tags import IfMatch, refuse_other
from fermata.server.api.uploads import ActorField, WhyField, saved_files
from fermata.server.context import Given
from fermata.server.long_work import LINES, Progress
from fermata.services import plans, records, simulation
from fermata.services.patience import overdue_after

PLAN_FILE = "plan.json"
CALENDAR_TYPE = "text/calendar"

router = open_noun("plans")


class PublishBody(Body):
    """Who publishes, and why."""

    actor: Name
    why: Text = ""


class PlanBody(Body):
    """What a plan is to be. `as_of` null: the campaign's own moment, or where its run has come. `time_limit`, in
    seconds, ends the search at the next stage after it; without one it takes the effort it needs.
    """

    as_of: Instant | None = None
    seed: Seed = 1
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9
    max_breach: Annotated[float, Field(ge=0.001, le=0.5)] | None = None
    time_limit: Annotated[int, Field(ge=0)] | None = None

    def to_asked(self) -> Asked:
        """As the planner has it; the time limit counts from now."""
        is_overdue = overdue_after(self.time_limit)
        return Asked(seed=self.seed, confidence=self.confidence, max_breach=self.max_breach, is_overdue=is_overdue)


class SimulationBody(Body):
    """How often, with which seed, how much runs have in common, and whether also with windows that wait."""

    runs: Annotated[int, Field(ge=1, le=simulation.RUNS_MOST)] = 1000
    seed: Seed = 1
    correlation: Annotated[float, Field(ge=0, le=0.9)] = CORRELATION
    gate: bool = False


@router.get("/plans")
def get_plans(
    given: Given,
    request: Request,
    response: Response,
    campaign: Annotated[str | None, Query(max_length=NAME_MAX)] = None,
    cursor: CursorParam = None,
    limit: LimitParam = 1000,
) -> list[records.PlanLine]:
    """Plans without their windows, in the order in which they were stored."""
    lines = records.list_plans(given.db, CampaignId(campaign) if campaign else None)
    return page(
        lines,
        lambda line: (line.saved_at.isoformat(), line.id),
        like=(str, str),
        cursor=cursor,
        limit=limit,
        exchange=(request, response),
    )


@router.get("/plans/{plan_id}")
def get_plan(given: Given, plan_id: str, response: Response) -> dict[str, Any]:
    """A whole plan, schema fermata.plan/1. It never changes, so its ETag is its id."""
    response.headers["ETag"] = _tag(plan_id)
    return plan_to_json(records.find_plan(given.db, PlanId(plan_id)))


@router.get("/plans/{plan_id}/violations")
def get_violations(given: Given, plan_id: str) -> list[Violation]:
    """What the plan breaks under the consent and the freezes of this moment; empty for a sound one."""
    return list(plans.check_stored_plan(given.db, PlanId(plan_id)))


@router.get("/plans/{plan_id}/calendar", response_class=Response, responses={200: {"content": {CALENDAR_TYPE: {}}}})
def get_calendar(given: Given, plan_id: str) -> Response:
    """The plan's windows as a calendar (iCalendar), an event for each."""
    return Response(plans.draw_calendar(given.db, PlanId(plan_id)), media_type=CALENDAR_TYPE)


@router.post("/campaigns/{campaign}/plan", response_class=Response, responses=LINES)
def post_campaign_plan(given: Given, campaign: str, body: PlanBody) -> Response:
    """Plans the campaign with the consent on record, to follow the plan in force, and stores the plan. Lines of JSON:
    stages as `progress`, at last the plan, or why there is none, as `answer`.
    """
    as_of = body.as_of.astimezone(UTC) if body.as_of else None

    def work(tell: Progress) -> plans.Made:
        def watch(stage: Stage, detail: str) -> None:
            tell({"stage": stage, "detail": detail})

        wanted = plans.Wanted(as_of=as_of, asked=body.to_asked(), watch=watch)
        return plans.plan_stored_campaign(
            given.db, CampaignId(campaign), now=given.now(), new_id=given.new_id, wanted=wanted
        )

    return given.long_work.stream(plans.Made, work)


@router.post("/plans/{plan_id}/simulation", response_class=Response, responses=LINES)
def post_simulation(given: Given, plan_id: str, body: SimulationBody) -> Response:
    """Plays the plan as a whole campaign many times. Lines of JSON: blocks of runs as `progress`, at last the figures
    as `answer`. Nothing is stored.
    """
    asked = Simulation(runs=body.runs, seed=body.seed, correlation=body.correlation, with_gate=body.gate)

    def work(tell: Progress) -> simulation.Simulated:
        def told(done: int, of: int) -> None:
            tell({"done": done, "of": of})

        return simulation.simulate_stored(given.db, PlanId(plan_id), asked, told)

    return given.long_work.stream(simulation.Simulated, work)


@router.post("/plans/{plan_id}/publish")
def post_publish(given: Given, plan_id: str, body: PublishBody, if_match: IfMatch = None) -> plans.PublishedLine:
    """Puts a plan in force in the place of its parent, after the checker passed it once more."""
    refuse_other(if_match, _tag(plan_id))
    return plans.publish(given.db, PlanId(plan_id), now=given.now(), actor=body.actor, why=body.why).line


@router.post("/plans", status_code=status.HTTP_201_CREATED)
def post_plan(given: Given, plan: UploadFile, actor: ActorField, why: WhyField = "") -> plans.PublishedLine:
    """Stores a plan made from files and puts it in force, both or neither; otherwise as `publish`."""
    with saved_files({PLAN_FILE: plan}) as folder:
        made = read_plan(folder / PLAN_FILE)
    return plans.publish(given.db, made, now=given.now(), actor=actor, why=why).line


def _tag(plan_id: str) -> str:
    """Quoted; bytes that a header cannot carry stand as in a path."""
    return f'"{quote(plan_id)}"'
