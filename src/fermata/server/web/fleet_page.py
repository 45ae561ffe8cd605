"""The wall of every node, and the page of one. Both work without script: the wall is a table of clusters then."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from fermata.domain.ids import CampaignId, ClusterId, NodeId
from fermata.server.context import Given
from fermata.server.first_look import fleet_is_read
from fermata.server.metering import run_in_threadpool
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.server.web.why_page import render_why
from fermata.services.errors import Refusal
from fermata.services.node_views import view_node
from fermata.services.readmission import MayReturn
from fermata.services.wall_views import Asked, Shade
from fermata.services.why import explain_stored

FRESH = {"Cache-Control": "no-store"}
ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
NAME_MAX = 200
SHADE_WORDS = {
    Shade.STATE: "where it stands",
    Shade.PENDING: "what is pending",
    Shade.CONSENT: "whether work may begin",
    Shade.VERSION: "a version",
}
ANSWER_WORDS = {
    MayReturn.YES: "It may go back",
    MayReturn.NO: "It may not go back",
    MayReturn.NOT_ASKED: "No window has it",
}

router = page_router()

Name = Annotated[str, Query(max_length=NAME_MAX)]


@router.get("/fleet")
def fleet_page(
    given: Given,
    shade: Shade = Shade.STATE,
    component: Name = "",
    cluster: Name = "",
    counted: Annotated[bool, Query()] = False,
) -> Response:
    """The wall, of one cluster if it is named, at once: where counts take a while, they come with the cells. A browser
    without script asks for the page `counted`, and waits.
    """
    asked = _asked(shade, component, cluster)
    wall = given.wall.look(asked) if counted else given.wall.glance(asked)
    if wall is None:
        raise _no_cluster(cluster)
    html = render.render_page("fleet.html", wall=wall, shades=SHADE_WORDS, cluster=cluster)
    return HTMLResponse(html, headers=FRESH)


@router.get("/fleet/cells")
def fleet_cells(given: Given, shade: Shade = Shade.STATE, component: Name = "", cluster: Name = "") -> Response:
    """The colours of the wall: of each cluster, in its nodes' order, the number of the mark, one digit a node."""
    wall = given.wall.look(_asked(shade, component, cluster))
    if wall is None:
        raise _no_cluster(cluster)
    clusters = [{"name": one.name, "cells": _digits(one.cells), "counts": one.counts} for one in wall.clusters]
    marks = [{"tone": mark.tone, "label": mark.label} for mark in wall.marks]
    return _json({"shape": wall.shape, "marks": marks, "totals": wall.totals, "clusters": clusters})


@router.get("/fleet/names")
def fleet_names(given: Given, cluster: Name = "") -> Response:
    """The names of the nodes on the wall, in their order."""
    shape, names = given.wall.names(ClusterId(cluster) if cluster else None)
    if cluster and not names:
        raise _no_cluster(cluster)
    return _json({"shape": shape, "clusters": names})


@router.get("/nodes/{name}", dependencies=[Depends(fleet_is_read)])
async def node_page(given: Given, name: str) -> Response:
    """One node: where it stands and why, what is due on it, the proof of its return, what happened to it."""
    await given.live.parts()
    view = await run_in_threadpool(lambda: view_node(given.db, given.wall.picture, NodeId(name)))
    if view is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"The inventory has no node '{name}'.")
    board = given.reader.latest
    zone = board.head.timezone if board is not None and board.head is not None else "UTC"
    answer = ANSWER_WORDS[view.proof.answer]
    return HTMLResponse(render.render_page("node.html", view=view, zone=zone, answer=answer), headers=FRESH)


@router.get("/nodes/{name}/why")
def why_node(given: Given, name: str) -> Response:
    """Why the plan in force has the node when it has it, as a page that stands alone."""
    board = given.reader.latest
    campaign = CampaignId(board.head.id) if board is not None and board.head is not None else None
    try:
        found = explain_stored(given.db, name, plan=None, campaign=campaign)
    except Refusal as refused:
        raise HTTPException(HTTPStatus.NOT_FOUND, refused.reasons[0].sentence) from refused
    return HTMLResponse(render_why(found), headers=FRESH | {"Content-Security-Policy": ALONE})


def _asked(shade: Shade, component: str, cluster: str) -> Asked:
    return Asked(shade=shade, component=component or None, cluster=ClusterId(cluster) if cluster else None)


def _no_cluster(name: str) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"The inventory has no cluster {name}.")


def _json(told: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers=FRESH)


def _digits(cells: Sequence[int]) -> str:
    """One hexadecimal digit each: there are at most sixteen marks."""
    return "".join(map(_DIGITS.__getitem__, cells))


_DIGITS = "0123456789abcdef"
