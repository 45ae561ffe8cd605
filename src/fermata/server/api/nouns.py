"""What the routes of every noun have in common."""

from fastapi import APIRouter, Depends

from fermata.server.api.problems import RESPONSES
from fermata.server.guarded_routes import was_judged
from fermata.server.reading import JsonRoute

PREFIX = "/api/v1"


def open_noun(tag: str, path: str = "") -> APIRouter:
    """A router with whole paths: what is included in another one has its routes worked out once more. `tag`: under
    which the API's description lists them.
    """
    return APIRouter(
        prefix=f"{PREFIX}{path}",
        tags=[tag],
        responses=RESPONSES,
        dependencies=[Depends(was_judged)],
        route_class=JsonRoute,
    )
