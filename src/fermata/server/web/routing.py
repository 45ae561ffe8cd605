"""Where pages are added: outside of the API's description, as HTML."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from fermata.server.metering import MeteredRoute


def page_router() -> APIRouter:
    """For the pages of one module."""
    return APIRouter(include_in_schema=False, default_response_class=HTMLResponse, route_class=MeteredRoute)
