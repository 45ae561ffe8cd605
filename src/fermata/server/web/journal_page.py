"""The page of the journal: who changed what, when and why, the newest first, of one subject if it is named."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from fermata.server.context import Given
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services import records
from fermata.services.words import facts_words

FRESH = {"Cache-Control": "no-store"}
LINES = 100
SUBJECT_MAX = 200

router = page_router()


@router.get("/journal")
def journal_page(
    given: Given,
    subject: Annotated[str, Query(max_length=SUBJECT_MAX)] = "",
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    """One page, from the newest or from before a line on."""
    wanted = subject.strip() or None
    lines = records.look_back(given.db, before=before, limit=LINES + 1, subject=wanted)
    shown, older = lines[:LINES], lines[LINES - 1].seq if len(lines) > LINES else None
    html = render.render_page(
        "journal.html", lines=shown, older=older, subject=wanted or "", before=before, facts_words=facts_words
    )
    return HTMLResponse(html, headers=FRESH)
