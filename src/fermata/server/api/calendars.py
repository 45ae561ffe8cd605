"""Calendars of the published schedule, to be subscribed to."""

from http import HTTPStatus
from typing import Any

from fastapi import Request, Response, status

from fermata.server.api.nouns import open_noun
from fermata.server.conditional import entity_tag, is_known
from fermata.server.context import Context, Given
from fermata.server.errors import problem
from fermata.services.calendars import FeedOf, draw_feed
from fermata.services.errors import Refusal

CALENDAR_TYPE = "text/calendar"

router = open_noun("calendars")
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {CALENDAR_TYPE: {}}},
    304: {"description": "It is the one that you have."},
}


@router.get("/calendars/all.ics", response_class=Response, responses=_ANSWERS)
def get_all(given: Given, request: Request) -> Response:
    """The schedule of all campaigns (iCalendar)."""
    return _answer(given, request, None, "")


@router.get("/calendars/{of}/{name}.ics", response_class=Response, responses=_ANSWERS)
def get_feed(given: Given, request: Request, of: FeedOf, name: str) -> Response:
    """What concerns one customer, cluster or team, and nothing of others (iCalendar). It keeps its ETag while nothing
    else is published of it.
    """
    return _answer(given, request, of, name)


def _answer(given: Context, request: Request, of: FeedOf | None, name: str) -> Response:
    try:
        drawn = draw_feed(given.db, of, name)
    except Refusal as unknown:
        first = unknown.reasons[0]
        return problem(HTTPStatus.NOT_FOUND, first.code, first.sentence)
    tag = entity_tag(drawn)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    headers["Content-Disposition"] = f'inline; filename="{of.value if of else "maintenance"}.ics"'
    return Response(drawn, media_type=CALENDAR_TYPE, headers=headers)
