"""The board's pages and its event stream."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated

from fastapi import Header, Query
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from fermata.domain.ids import PlanId
from fermata.server.context import Given
from fermata.server.demo import DemoInfo
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render, words
from fermata.server.web.plan_page import render_plan
from fermata.server.web.routing import page_router
from fermata.services.board import BoardReader
from fermata.services.board_assembly import tail_page
from fermata.services.plans import load_plan_inputs

_log = logging.getLogger("fermata.board")
PAGE_MAX = 10_000
FRESH = {"Cache-Control": "no-store"}
ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

router = page_router()

Code = Annotated[str, Query(max_length=64)]
Page = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class _Stream(EventSourceResponse):
    """Events until the viewer leaves, or takes nothing for too long."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            _log.warning("board.viewer_dropped client=%s", scope.get("client"))


def renderer(
    reader: BoardReader, now: Callable[[], datetime], demo: DemoInfo | None
) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """What LiveBoard calls: reads the store and renders every part, in a worker thread."""

    def make() -> Mapping[str, str]:
        board = reader.snapshot(now())
        parts = dict(render.render_fragments(board, tail_page(board, page=1, code=None), demo))
        parts["charts"] = render.charts_json(board).decode()
        parts["title"], parts["zone"] = words.headline(board), words.zone_words(board)
        return parts

    async def make_in_thread() -> Mapping[str, str]:
        return await run_in_threadpool(make)

    return make_in_thread


@router.get("/")
async def board_page(given: Given, code: Code = "", page: Page = 1) -> Response:
    """The board. `code` and `page` choose what of the tail is shown, for browsers without script."""
    parts = dict(await given.live.parts())
    seen = given.live.event_id
    if code or page > 1:
        parts["tail"] = await run_in_threadpool(_tail_html, given.reader, code, page)
    values = {name: Markup(text) for name, text in parts.items()} | {"charts": parts["charts"]}
    html = render.render_page(
        "board.html",
        title=f"{parts['title']} – Fermata",
        fragments=values,
        stream_url=f"/board/stream?seen={seen}",
        version=seen,
        zone_words=parts["zone"],
        days=render.day_parts(parts),
    )
    return HTMLResponse(html, headers=FRESH)


@router.get("/board/stream")
async def stream(
    given: Given,
    seen: Annotated[str, Query(max_length=64)] = "",
    bare: Annotated[bool, Query()] = False,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Events from what the page, or the last event, has seen on; `bare`, only that there is something new."""
    if not given.live.admits:
        raise HTTPException(503, "Too many viewers: try again in a minute.", {"Retry-After": "60"})
    events = given.live.stream(last_event_id or seen, bare=bare)
    return _Stream(events, ping=0, send_timeout=given.live.timing.slow, headers=FRESH)


@router.get("/board/days")
async def days(given: Given) -> Response:
    """All days of the calendar, as a fragment: asked for when a new plan adds or drops days."""
    return HTMLResponse(render.render_days(await given.live.parts()), headers=FRESH)


@router.get("/board/tail")
async def tail(given: Given, code: Code = "", page: Page = 1) -> Response:
    """One page of the tail, as a fragment."""
    await given.live.parts()
    html = await run_in_threadpool(_tail_html, given.reader, code, page)
    return HTMLResponse(html, headers=FRESH)


@router.get("/windows/{window_id}")
async def window_page(given: Given, window_id: str) -> Response:
    """One window by itself, as of now."""
    await given.live.parts()
    view = await run_in_threadpool(given.reader.window, window_id)
    if view is None:
        raise HTTPException(404, f"The plan in force has no window {window_id}.")
    return HTMLResponse(render.render_window(view), headers=FRESH)


@router.get("/plans/{plan_id}")
def plan_page(given: Given, plan_id: str) -> Response:
    """A stored plan as one page that stands alone: what `fermata plan --html` writes."""
    made, inputs = load_plan_inputs(given.db, PlanId(plan_id))
    return HTMLResponse(render_plan(inputs, made), headers=FRESH | {"Content-Security-Policy": ALONE})


def _tail_html(reader: BoardReader, code: str, page: int) -> str:
    board = reader.latest
    if board is None:
        raise HTTPException(503, "No snapshot yet: try again in a second.")
    return render.render_tail(board, tail_page(board, page=page, code=code or None))
