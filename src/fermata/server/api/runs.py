"""The run of a campaign: its status, and start, pause, resume, stop."""

from typing import Annotated

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import CampaignId
from fermata.domain.operations import Run
from fermata.server.context import Given
from fermata.services import runs
from fermata.services.run_views import RunStatus

NAME_MAX = 200
TEXT_MAX = 2000

router = APIRouter(prefix="/campaigns/{campaign}/run", tags=["runs"])


class StartBody(BaseModel):
    """Who orders it."""

    model_config = ConfigDict(extra="forbid")

    actor: Annotated[str, Field(min_length=1, max_length=NAME_MAX)]


class ChangeBody(StartBody):
    """Who orders it, and why."""

    why: Annotated[str, Field(max_length=TEXT_MAX)] = ""


@router.get("")
def get_status(given: Given, campaign: str) -> RunStatus:
    """The newest run of the campaign, window by window, with its limits and its tail."""
    return runs.status(given.db, CampaignId(campaign), now=given.now())


@router.post("/start", status_code=status.HTTP_201_CREATED)
def post_start(given: Given, campaign: str, body: StartBody) -> Run:
    """Begins to conduct the published plan, or lets the live run go over to a newly published one."""
    return runs.start(given.db, CampaignId(campaign), now=given.now(), actor=body.actor, new_id=given.new_id)


@router.post("/pause")
def post_pause(given: Given, campaign: str, body: ChangeBody) -> Run:
    """Nothing new begins: no window, no write, no reboot. What runs ends; proven nodes go back."""
    return runs.pause(given.db, CampaignId(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post("/resume")
def post_resume(given: Given, campaign: str, body: ChangeBody) -> Run:
    """Goes on after a pause."""
    return runs.resume(given.db, CampaignId(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post("/stop")
def post_stop(given: Given, campaign: str, body: ChangeBody) -> Run:
    """No further window opens; open ones are conducted to their end. Cannot be taken back."""
    return runs.stop(given.db, CampaignId(campaign), now=given.now(), actor=body.actor, why=body.why)
