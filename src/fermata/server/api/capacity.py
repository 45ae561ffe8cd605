"""The capacity ledger: what was taken from whom, what came back, what is owed."""

from fermata.domain.capacity_ledger import CapacityView, GroupBy
from fermata.server.api.bodies import Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services.capacity import show_capacity

router = open_noun("capacity")


@router.get("/capacity")
def get_capacity(given: Given, campaign: Name | None = None, by: GroupBy = GroupBy.CUSTOMER) -> CapacityView:
    """Taken = returned + kept out as found + untouched + gone + owed, in every line, over all runs of the campaign."""
    return show_capacity(given.db, campaign=campaign, by=by)
