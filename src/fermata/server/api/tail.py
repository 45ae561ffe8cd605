"""The tail list: who owns what is not back, one more try, and times to repair."""

from typing import Annotated

from fastapi import Query

from fermata.domain.ids import CampaignId
from fermata.server.api.bodies import Body, Instant, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import tail
from fermata.services.run_views import TailEntry, TailView

router = open_noun("tail", "/tail")

Campaign = Annotated[Name | None, Query()]


class AssignBody(Body):
    """Who is to see to it, and when they promise its repair."""

    actor: Name
    owner: Name
    promised_at: Instant | None = None
    why: Text = ""


class RetryBody(Body):
    """Who wants one more try, and why."""

    actor: Name
    why: Text


@router.get("")
def get_tail(given: Given, campaign: Campaign = None, owner: Annotated[Name | None, Query()] = None) -> TailView:
    """Every unit of the newest run that is not back, longest there first, with owner and next step; times to repair."""
    return tail.show_tail(given.db, _named(campaign), owner=owner)


@router.post("/{unit}/assign")
def post_assign(given: Given, unit: str, body: AssignBody, campaign: Campaign = None) -> TailEntry:
    """Makes somebody the owner of a unit."""
    return tail.assign(
        given.db,
        unit,
        owner=body.owner,
        promised_at=body.promised_at,
        why=body.why,
        now=given.now(),
        actor=body.actor,
        campaign=_named(campaign),
    )


@router.post("/{unit}/retry")
def post_retry(given: Given, unit: str, body: RetryBody, campaign: Campaign = None) -> TailEntry:
    """Asks for one more try of a failed unit."""
    named = _named(campaign)
    return tail.retry(given.db, unit, now=given.now(), actor=body.actor, why=body.why, campaign=named)


def _named(campaign: str | None) -> CampaignId | None:
    return CampaignId(campaign) if campaign else None
