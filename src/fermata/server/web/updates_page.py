"""The screen of updates: the catalogue, how far each is, what blocks it, what ran together, how long steps took.

What ran together and how long steps took is read from all runs there were: browsers ask for it once the rest stands.
"""

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from fermata.domain.qualification import Ring
from fermata.domain.updates import Stage
from fermata.server.context import Context, Given
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services import updates_board

FRESH = {"Cache-Control": "no-store"}

router = page_router()


@router.get("/updates")
def updates_page(given: Given, whole: Annotated[bool, Query()] = False) -> Response:
    """All of it. `whole`: with what is else asked for afterwards, for browsers without script."""
    lines = updates_board.list_lines(given.db, now=given.now())
    html = render.render_page(
        "updates.html",
        lines=lines,
        tried=[line for line in lines if line.view.signals or line.view.needs or line.view.flights],
        rings=[ring.value for ring in Ring],
        stages=Stage,
        late=_late(given) if whole else None,
    )
    return HTMLResponse(html, headers=FRESH)


@router.get("/updates/known")
def known(given: Given) -> Response:
    """What ran together, and how long steps took, as a fragment."""
    return HTMLResponse(render.render_page("fragments/updates_known.html", **_late(given)), headers=FRESH)


def _late(given: Context) -> dict[str, Any]:
    pairs = updates_board.list_pairs_known(given.db, now=given.now())
    return {
        "pairs": pairs,
        "names": sorted({name for pair in pairs for name in pair}),
        "durations": updates_board.list_durations(given.db),
    }
