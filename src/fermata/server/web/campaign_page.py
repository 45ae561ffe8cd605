"""The page of a campaign: its calendar, every window as planned and as it ran, limits over time, and how far it is."""

from typing import Annotated, Any

import orjson
from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from fermata.domain.ids import CampaignId
from fermata.domain.replans import Replan, ReplanOutcome
from fermata.server.context import Context, Given
from fermata.server.metering import run_in_threadpool
from fermata.server.web import campaign_shapes, render, words
from fermata.server.web.routing import page_router
from fermata.services.campaigns import CampaignView
from fermata.services.errors import Refusal
from fermata.services.run_views import RunStatus
from fermata.services.runs import status as run_status

FRESH = {"Cache-Control": "no-store"}
NAME_MAX = 200

router = page_router()

Name = Annotated[str, Query(max_length=NAME_MAX)]


@router.get("/campaign")
async def campaign_page(given: Given, campaign: Name = "") -> Response:
    """The campaign on the board, or the one that is named."""
    chosen = await find_chosen(given, campaign)
    if chosen is None:
        return HTMLResponse(render.render_page("campaign.html", view=None), headers=FRESH)
    html = await run_in_threadpool(_render, given, chosen)
    return HTMLResponse(html, headers=FRESH)


@router.get("/campaign/curves")
async def campaign_curves(given: Given, campaign: Name = "") -> Response:
    """What the charts of the page draw; null before there is a plan."""
    chosen = await find_chosen(given, campaign)
    values = await run_in_threadpool(_curves, given, chosen) if chosen is not None else None
    return Response(orjson.dumps(values), media_type="application/json", headers=FRESH)


async def find_chosen(given: Context, campaign: str) -> CampaignId | None:
    """The named campaign, else the one on the board; None in an empty store."""
    if campaign:
        return CampaignId(campaign)
    await given.live.parts()
    board = given.reader.latest
    return CampaignId(board.head.id) if board is not None and board.head is not None else None


def find_status(given: Context, campaign: CampaignId) -> RunStatus | None:
    """The newest run of the campaign, or None."""
    try:
        return run_status(given.db, campaign)
    except Refusal:
        return None


def find_proposal(run: RunStatus | None) -> Replan | None:
    """The proposal that waits for somebody to publish it, or None."""
    last = run.last_replan if run is not None else None
    if run is None or last is None or last.plan is None or last.outcome is not ReplanOutcome.PROPOSED:
        return None
    return last if last.parent == run.plan else None


def page_values(given: Context, view: CampaignView, here: str) -> dict[str, Any]:
    """What the head of each page of a campaign shows."""
    return {
        "view": view,
        "campaign": view.campaign,
        "zone": view.campaign.timezone,
        "now": view.board.now,
        "others": [each for each in given.campaigns.list_campaigns() if each.id != view.campaign.id],
        "here": here,
    }


def _render(given: Context, name: CampaignId) -> str:
    view = given.campaigns.look(name, given.now())
    zone, board = view.campaign.timezone, view.board
    on_board = given.reader.latest
    proposal = find_proposal(view.status)
    return render.render_page(
        "campaign.html",
        **page_values(given, view, "overview"),
        board=board,
        weeks=campaign_shapes.list_weeks(view),
        gantt=campaign_shapes.draw_gantt(view, zone),
        limits=campaign_shapes.draw_limits(view),
        burn=campaign_shapes.list_burn_days(view, zone),
        bars={bar.chip.id: bar for row in view.rows for bar in row.bars},
        days_of=[{day.day: day for day in line.days} for line in view.limits],
        foreseen=_say_fan(view),
        out_words=render.say_out(board),
        links=on_board is not None and on_board.head is not None and on_board.head.id == view.campaign.id,
        pace=words.pace_text(board),
        needs=[
            need
            for need in board.needs
            if proposal is None or proposal.needs is None or need != proposal.needs.sentence
        ],
        proposal=proposal,
    )


def _say_fan(view: CampaignView) -> str:
    """What the fan says of the deadline, or why there is none."""
    figures, risk = view.board.figures, view.risk
    if figures is None:
        return ""
    if view.board.head is None or view.board.head.run is None:
        return "Foreseen once the run has started."
    if risk is None or not risk.fan:
        return "Not foreseen yet: the conductor does so once a day and plan, while no window is open."
    at = next((each for each in risk.fan if each.day == view.campaign.deadline), risk.fan[-1])
    return (
        f"By the end of {words.day(at.day)}, of {words.number(figures.in_scope)}: {words.number(at.median)} or more in"
        f" half of {words.number(risk.plays)} plays, {words.number(at.bound)} or more in nine of ten. The deadline is"
        f" missed in {risk.missed:.0%}. Foreseen {words.moment(risk.at, view.campaign.timezone)}; nodes on the tail"
        " list, and of windows that would miss their day, are not counted."
    )


def _curves(given: Context, name: CampaignId) -> dict[str, Any] | None:
    return campaign_shapes.charts_values(given.campaigns.look(name, given.now()))
