"""The room of a window: what was told last, and to its customer, what is needed, who is there, who said what. Works
without script.
"""

import hashlib
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from fermata.domain.room import START, Message, RoomLine
from fermata.domain.room_words import say_line
from fermata.server.context import Context, Given
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services.rooms import RoomView

FRESH = {"Cache-Control": "no-store"}

router = page_router()


@router.get("/windows/{window_id}/room")
async def room_page(given: Given, window_id: str) -> Response:
    """The page, as of now."""
    shown = _shown(await _look(given, window_id))
    html = render.render_page("room.html", version=_version(shown), **shown)
    return HTMLResponse(html, headers=FRESH)


@router.get("/windows/{window_id}/room/body")
async def room_body(given: Given, window_id: str, seen: Annotated[str, Query(max_length=64)] = "") -> Response:
    """What of the page is live, as a fragment; nothing when it is as it was `seen`."""
    shown = _shown(await _look(given, window_id))
    version = _version(shown)
    if version == seen:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=FRESH)
    html = render.render_page("fragments/room.html", **shown)
    return HTMLResponse(html, headers=FRESH | {"X-Version": version})


async def _look(given: Context, window_id: str) -> RoomView:
    await given.live.parts()
    view = await run_in_threadpool(given.reader.room, window_id)
    if view is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"No run has a window {window_id}: a room opens with its window.")
    return view


def _shown(view: RoomView) -> dict[str, Any]:
    facts = view.gathered.facts
    return {
        "view": view,
        "facts": facts,
        "book": facts.book,
        "zone": facts.place.timezone,
        "last": view.told[0] if view.told else None,
        "heard": [message for message in view.told if message.own is not None],
        "entries": _entries(view),
        "start": START,
    }


def _entries(view: RoomView) -> list[dict[str, Any]]:
    """What was told and said, the newest first; the last message stands above it all."""
    told = [_entry(message.at, "conductor", message.title, message=message) for message in view.told[1:]]
    said = [_entry(line.at, line.actor, say_line(line), line=line) for line in view.lines]
    return sorted([*told, *said], key=lambda entry: entry["at"], reverse=True)


def _entry(at: object, who: str, text: str, *, message: Message | None = None, line: RoomLine | None = None) -> Any:
    return {"at": at, "who": who, "text": text, "message": message, "line": line}


def _version(shown: dict[str, Any]) -> str:
    html = render.render_page("fragments/room.html", **shown)
    return hashlib.sha256(html.encode()).hexdigest()[:16]
