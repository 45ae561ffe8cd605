"""The page of capacity: what was taken from whom, what came back with proof, what is owed, and who sees to the rest."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from fermata.domain.capacity_ledger import CapacityView, GroupBy
from fermata.domain.ids import CampaignId
from fermata.domain.reasons import Reason
from fermata.server.context import Context, Given
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services.board_assembly import NEXT_WORDS
from fermata.services.capacity import show_capacity
from fermata.services.errors import Refusal
from fermata.services.run_views import TailView
from fermata.services.tail import show_tail

FRESH = {"Cache-Control": "no-store"}
NAME_MAX = 200
GROUP_WORDS = {
    GroupBy.CUSTOMER: "customer",
    GroupBy.SUPERCOMPUTER: "supercomputer",
    GroupBy.SKU: "SKU",
    GroupBy.REGION: "region",
    GroupBy.WINDOW: "window",
}

router = page_router()


@router.get("/capacity")
async def capacity_page(
    given: Given, by: GroupBy = GroupBy.CUSTOMER, owner: Annotated[str, Query(max_length=NAME_MAX)] = ""
) -> Response:
    """The ledger of the campaign on the board, and its tail, of one owner if one is named."""
    await given.live.parts()
    board = given.reader.latest
    head = board.head if board is not None else None
    found = await run_in_threadpool(_read, given, CampaignId(head.id) if head is not None else None, by)
    view, tail = (None, None) if isinstance(found, Reason) else found
    html = render.render_page(
        "capacity.html",
        zone=head.timezone if head is not None else "UTC",
        title=head.title if head is not None else "",
        refusal=found if isinstance(found, Reason) else None,
        view=view,
        lines=(*view.lines, view.total) if view is not None and len(view.lines) > 1 else view.lines if view else (),
        tail=tail,
        listed=[each for each in tail.tail if not owner or each.owner == owner] if tail is not None else (),
        owners=sorted({each.owner for each in tail.tail}) if tail is not None else (),
        owner=owner,
        by=by,
        groups=GROUP_WORDS,
        next_words=NEXT_WORDS,
    )
    return HTMLResponse(html, headers=FRESH)


def _read(given: Context, campaign: CampaignId | None, by: GroupBy) -> tuple[CapacityView, TailView | None] | Reason:
    try:
        view = show_capacity(given.db, campaign=campaign, by=by)
    except Refusal as refused:
        return refused.reasons[0]
    return view, show_tail(given.db, campaign) if view.as_of is not None else None
