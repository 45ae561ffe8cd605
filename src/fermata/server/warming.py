"""Reads beside the first requests what the first look at a page would wait for: the board and its campaign, what is
asked of the whole fleet, the picture of the doors. Until a large fleet is read, a page that needs it says so at once.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus

from fastapi.responses import HTMLResponse, Response

from fermata.domain.ids import CampaignId
from fermata.domain.pending_lines import PendingFilter
from fermata.server.context import Context
from fermata.server.metering import run_in_threadpool
from fermata.server.warmth import Stage
from fermata.server.web import render
from fermata.services import requests, updates_board
from fermata.services.board import StoreUnavailable
from fermata.services.errors import Refusal
from fermata.services.wall_views import Asked

_log = logging.getLogger("fermata.server")

AGAIN_SECONDS = 2  # until a page that waits looks again by itself


async def warm_desks(context: Context) -> None:
    """Once. A store without a fleet or a campaign has nothing to read; what else goes wrong, its page will tell."""
    try:
        await _try(_read_board, context)
        context.warmth.reach(Stage.BOARD)
        await _try(_read_fleet, context)
    finally:
        context.warmth.reach(Stage.FLEET)


async def _try(read: Callable[[Context], Awaitable[None]], context: Context) -> None:
    try:
        with suppress(Refusal, StoreUnavailable):
            await read(context)
    except Exception:  # noqa: BLE001 - top of a task: logged, and the page that needs it reads for itself
        _log.exception("server.warming_failed")


async def _read_board(context: Context) -> None:
    await context.live.parts()
    board = context.reader.latest
    if board is not None and board.head is not None:
        await run_in_threadpool(context.campaigns.look, CampaignId(board.head.id), context.now())


async def _read_fleet(context: Context) -> None:
    await run_in_threadpool(context.wall.glance, Asked())
    await run_in_threadpool(requests.list_requests, context.db, PendingFilter(), now=context.now())
    await run_in_threadpool(context.maintenance.look)
    await run_in_threadpool(updates_board.list_lines, context.db, now=context.now())


def say_reading(context: Context) -> Response:
    """The page that stands until then, and looks again by itself."""
    html = render.render_page("reading.html", seconds=round(context.warmth.seconds))
    headers = {"Cache-Control": "no-store", "Refresh": str(AGAIN_SECONDS), "Retry-After": str(AGAIN_SECONDS)}
    return HTMLResponse(html, status_code=HTTPStatus.ACCEPTED, headers=headers)
