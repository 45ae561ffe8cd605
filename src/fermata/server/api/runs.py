"""The run of a campaign: its status, and start, pause, resume, stop, abort."""

from typing import Annotated

from fastapi import Response, status
from pydantic import Field

from fermata.domain.ids import CampaignId
from fermata.domain.operations import Run
from fermata.domain.replans import Replan
from fermata.domain.run_states import ReplanMode
from fermata.server.api.bodies import Body, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.server.long_work import LINES, Progress
from fermata.services import replans, runs
from fermata.services.run_views import RunStatus

NAMED = "/campaigns/{campaign}/run"
ONLY = "/run"  # of the one campaign on record, or of the one that `campaign` of the query names

router = open_noun("runs")

Campaign = str | None


class AskBody(Body):
    """Who orders it."""

    actor: Name


class StartBody(AskBody):
    """Who orders it. `replan`: what the conductor may do about its plan; null: as it is, and a new run proposes."""

    replan: Annotated[ReplanMode, Field(strict=False)] | None = None


class ChangeBody(AskBody):
    """Who orders it, and why."""

    why: Text = ""


class ReplanBody(AskBody):
    """Who orders it, and whether the last proposal, or what is found now if that is outdated, is put in force."""

    publish: bool = False


class ModeBody(ChangeBody):
    """What the conductor does when reality differs from its plan."""

    mode: Annotated[ReplanMode, Field(strict=False)]


@router.get(NAMED)
@router.get(ONLY)
def get_status(given: Given, campaign: Campaign = None) -> RunStatus:
    """The newest run, window by window, with its limits and tail, as of the instant up to which it was worked on."""
    return runs.status(given.db, _named(campaign))


@router.post(f"{NAMED}/start", status_code=status.HTTP_201_CREATED)
@router.post(f"{ONLY}/start", status_code=status.HTTP_201_CREATED)
def post_start(given: Given, body: StartBody, campaign: Campaign = None) -> Run:
    """Begins to conduct the published plan, or lets the live run go over to a newly published one."""
    named = _named(campaign) or runs.only_campaign(given.db)
    return runs.start(given.db, named, now=given.now(), actor=body.actor, new_id=given.new_id, replan=body.replan)


@router.post(f"{NAMED}/pause")
@router.post(f"{ONLY}/pause")
def post_pause(given: Given, body: ChangeBody, campaign: Campaign = None) -> Run:
    """Nothing new begins: no window, no write, no reboot. What runs ends; proven nodes go back."""
    return runs.pause(given.db, _named(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post(f"{NAMED}/resume")
@router.post(f"{ONLY}/resume")
def post_resume(given: Given, body: ChangeBody, campaign: Campaign = None) -> Run:
    """Goes on after a pause."""
    return runs.resume(given.db, _named(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post(f"{NAMED}/stop")
@router.post(f"{ONLY}/stop")
def post_stop(given: Given, body: ChangeBody, campaign: Campaign = None) -> Run:
    """No further window opens; open ones are conducted to their end. Cannot be taken back."""
    return runs.stop(given.db, _named(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post(f"{NAMED}/abort")
@router.post(f"{ONLY}/abort")
def post_abort(given: Given, body: ChangeBody, campaign: Campaign = None) -> Run:
    """What can be proven now goes back, what is written ends, no further window opens. Stop finishes the rest."""
    return runs.abort(given.db, _named(campaign), now=given.now(), actor=body.actor, why=body.why)


@router.post(f"{NAMED}/replan", response_class=Response, responses=LINES)
@router.post(f"{ONLY}/replan", response_class=Response, responses=LINES)
def post_replan(given: Given, body: ReplanBody, campaign: Campaign = None) -> Response:
    """Plans again what is left: what ran stays, what is published moves only if it must. Lines of JSON; the last one is
    the `answer`.
    """

    def work(_: Progress) -> Replan:
        return replans.replan(
            given.db, _named(campaign), now=given.now(), actor=body.actor, new_id=given.new_id, publish=body.publish
        )

    return given.long_work.stream(Replan, work)


@router.post(f"{NAMED}/replan-mode")
@router.post(f"{ONLY}/replan-mode")
def post_replan_mode(given: Given, body: ModeBody, campaign: Campaign = None) -> Run:
    """What the conductor may do about its plan from now on."""
    return replans.set_mode(given.db, _named(campaign), body.mode, now=given.now(), actor=body.actor, why=body.why)


def _named(campaign: Campaign) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None
