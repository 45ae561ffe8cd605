"""The screen of requests: kind, state, why it is so, what is needed next and from whom. Works without script."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from fermata.domain.ids import RequestId
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.request_kinds import KIND_WORDS
from fermata.server.context import Given
from fermata.server.web import render
from fermata.services import request_words, requests

FRESH = {"Cache-Control": "no-store"}
NAME_MAX = 200

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/requests")
def requests_page(given: Given, request: Annotated[str, Query(max_length=NAME_MAX)] = "") -> Response:
    """Open requests by due date, below one of them in detail if it is named."""
    now = given.now()
    one = requests.show_request(given.db, RequestId(request), now=now) if request else None
    html = render.render_page(
        "requests.html",
        one=one,
        views=requests.list_requests(given.db, PendingFilter(), now=now),
        kinds=KIND_WORDS,
        words_next=request_words.next_words,
        words_state=request_words.state_words,
        say_meeting=request_words.say_meeting,
        is_waited_for=request_words.is_waited_for,
    )
    return HTMLResponse(html, headers=FRESH)
