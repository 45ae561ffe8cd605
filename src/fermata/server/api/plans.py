"""Plans: list, read, check, put in force."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, UploadFile, status
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import CampaignId, PlanId
from fermata.formats.plans import plan_to_json, read_plan
from fermata.planning.inputs import Violation
from fermata.server.api.uploads import ActorField, WhyField, saved_files
from fermata.server.context import Given
from fermata.services import plans, records

NAME_MAX = 200
TEXT_MAX = 2000
PLAN_FILE = "plan.json"

router = APIRouter(tags=["plans"])


class PublishBody(BaseModel):
    """Who publishes, and why."""

    model_config = ConfigDict(extra="forbid")

    actor: Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
    why: Annotated[str, Field(max_length=TEXT_MAX)] = ""


@router.get("/plans")
def get_plans(
    given: Given, campaign: Annotated[str | None, Query(max_length=NAME_MAX)] = None
) -> list[records.PlanLine]:
    """Plans without their windows, in the order in which they were stored."""
    return list(records.list_plans(given.db, CampaignId(campaign) if campaign else None))


@router.get("/plans/{plan_id}")
def get_plan(given: Given, plan_id: str) -> dict[str, Any]:
    """A whole plan, schema fermata.plan/1."""
    return plan_to_json(records.find_plan(given.db, PlanId(plan_id)))


@router.get("/plans/{plan_id}/violations")
def get_violations(given: Given, plan_id: str) -> list[Violation]:
    """What the plan breaks under the consent and the freezes of this moment; empty for a sound one."""
    return list(plans.check_stored_plan(given.db, PlanId(plan_id)))


@router.post("/plans/{plan_id}/publish")
def post_publish(given: Given, plan_id: str, body: PublishBody) -> plans.PublishedLine:
    """Puts a plan in force in the place of its parent, after the checker passed it once more."""
    return plans.publish(given.db, PlanId(plan_id), now=given.now(), actor=body.actor, why=body.why).line


@router.post("/plans", status_code=status.HTTP_201_CREATED)
def post_plan(given: Given, plan: UploadFile, actor: ActorField, why: WhyField = "") -> plans.PublishedLine:
    """Stores a plan made from files and puts it in force, both or neither; otherwise as `publish`."""
    with saved_files({PLAN_FILE: plan}) as folder:
        made = read_plan(folder / PLAN_FILE)
    return plans.publish(given.db, made, now=given.now(), actor=actor, why=why).line
