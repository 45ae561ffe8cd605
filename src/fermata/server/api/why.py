"""Why: what holds a window, a cluster or a node where the plan has it."""

from typing import Annotated

from fastapi import Query

from fermata.domain.ids import CampaignId, PlanId
from fermata.planning.why import Explanation
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import why

NAME_MAX = 200

router = open_noun("plans")

Name = Annotated[str, Query(min_length=1, max_length=NAME_MAX)]
Optional = Annotated[str | None, Query(max_length=NAME_MAX)]


@router.get("/why")
def get_why(given: Given, name: Name, plan: Optional = None, campaign: Optional = None) -> Explanation:
    """Of the window, cluster or node `name`, by that plan or by the one in force; `kind` says which it is."""
    return why.explain_stored(
        given.db,
        name,
        plan=PlanId(plan) if plan else None,
        campaign=CampaignId(campaign) if campaign else None,
    )
