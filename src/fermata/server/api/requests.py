"""What is pending, and what customers are asked for."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from fermata.domain.ids import RequestId
from fermata.domain.pending_lines import PendingFilter
from fermata.server.context import Given
from fermata.services import requests

LINES_MAX = 10_000
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
    offset: Annotated[int, Field(ge=0)] = 0


@router.get("/pending")
def get_pending(given: Given, wanted: Annotated[PagedFilter, Query()]) -> requests.PendingPage:
    """What is due on which node and device, and why: lines by cluster and unit, and counts by update."""
    return requests.page_pending(
        given.db, wanted.to_filter(), superseded=wanted.superseded, offset=wanted.offset, limit=wanted.limit
    )


@router.get("/requests")
def get_requests(given: Given, wanted: Annotated[Filter, Query()]) -> list[requests.RequestView]:
    """Open requests by due date, with how far consent reaches."""
    return list(requests.list_requests(given.db, wanted.to_filter()))


@router.get("/requests/{request_id}")
def get_request(given: Given, request_id: str) -> requests.RequestView:
    """One request with its shared devices and every node behind each."""
    return requests.show_request(given.db, RequestId(request_id))
