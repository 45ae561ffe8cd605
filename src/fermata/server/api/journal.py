"""The journal of every change."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import records

LINES_MAX = 1000

router = open_noun("journal")


class JournalPage(BaseModel):
    """Lines, oldest first. `next` is the cursor to go on from; it stays when nothing is left, so that one can poll."""

    lines: list[records.Entry]
    next: int


@router.get("/journal")
def get_journal(
    given: Given,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX)] = 200,
    subject: Annotated[str | None, Query(max_length=200)] = None,
) -> JournalPage:
    """Who changed what, when and why, after the cursor."""
    lines = records.read_journal(given.db, after=after, limit=limit, subject=subject)
    return JournalPage(lines=list(lines), next=lines[-1].seq if lines else after)
