"""What is pending, and what customers are asked for."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import RequestId
from fermata.domain.pending_lines import PendingFilter, PendingGroup, PendingLine, place_of
from fermata.server.api.cursors import (
    CURSOR_MAX,
    LIMIT_MOST,
    CursorParam,
    LimitParam,
    link_next,
    page,
    read_cursor,
    write_cursor,
)
from fermata.server.context import Given
from fermata.services import requests

LINES_MAX = LIMIT_MOST
LINE_PLACE = (str, int, str, int, str)
NAMES_MAX = 200

router = APIRouter(tags=["requests"])

Names = Annotated[frozenset[str], Field(max_length=NAMES_MAX)]


class Filter(BaseModel):
    """Every set that is not empty must hold the line's value."""

    model_config = ConfigDict(extra="forbid")

    cluster: Names = frozenset()
    supercomputer: Names = frozenset()
    customer: Names = frozenset()
    update: Names = frozenset()
    node: Names = frozenset()
    device: Names = frozenset()
    sku: Names = frozenset()

    def to_filter(self) -> PendingFilter:
        """As the domain has it."""
        return PendingFilter(
            clusters=self.cluster,
            supercomputers=self.supercomputer,
            customers=self.customer,
            updates=self.update,
            nodes=self.node,
            devices=self.device,
            skus=self.sku,
        )


class PagedFilter(Filter):
    """A filter, and which of the lines that pass it. `superseded`: also older updates whose place a newer one takes."""

    superseded: bool = True
    limit: Annotated[int, Field(ge=0, le=LINES_MAX)] = 1000
    cursor: Annotated[str | None, Field(max_length=CURSOR_MAX)] = None


class PendingAnswer(BaseModel):
    """A page of lines. `total` and `groups` count all that pass the filter, `rest` those after the page; `next`
    is the cursor to go on from, null at the end (and where `limit` is 0).
    """

    total: int
    rest: int
    lines: list[PendingLine]
    groups: list[PendingGroup]
    next: str | None


@router.get("/pending")
def get_pending(
    given: Given, wanted: Annotated[PagedFilter, Query()], request: Request, response: Response
) -> PendingAnswer:
    """What is due on which node and device, and why: lines by cluster and unit, and counts by update."""
    after = read_cursor(wanted.cursor, LINE_PLACE) if wanted.cursor is not None else None
    found = requests.page_pending(
        given.db, wanted.to_filter(), superseded=wanted.superseded, after=after, limit=wanted.limit
    )
    following = write_cursor(place_of(found.lines[-1])) if found.rest and found.lines else None
    if following is not None:
        link_next(request, response, following)
    return PendingAnswer(
        total=found.total, rest=found.rest, lines=list(found.lines), groups=list(found.groups), next=following
    )


class RequestsFilter(Filter):
    """A filter, and which page of the requests that pass it."""

    limit: LimitParam = 1000
    cursor: CursorParam = None


@router.get("/requests")
def get_requests(
    given: Given, wanted: Annotated[RequestsFilter, Query()], request: Request, response: Response
) -> list[requests.RequestView]:
    """Open requests by due date, with how far consent reaches."""
    return page(
        requests.list_requests(given.db, wanted.to_filter()),
        lambda view: (view.request.due_at.isoformat() if view.request.due_at else "", view.request.id),
        like=(str, str),
        cursor=wanted.cursor,
        limit=wanted.limit,
        exchange=(request, response),
    )


@router.get("/requests/{request_id}")
def get_request(given: Given, request_id: str) -> requests.RequestView:
    """One request with its shared devices and every node behind each."""
    return requests.show_request(given.db, RequestId(request_id))
