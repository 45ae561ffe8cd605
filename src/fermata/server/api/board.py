"""The board as values: what the terminal's `watch` shows."""

from starlette.exceptions import HTTPException

from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services.board_views import Board

router = open_noun("runs")


@router.get("/board")
async def get_board(given: Given) -> Board:
    """Today's windows, the calendar, what needs a person, the tail: as the board's pages show it, at most a second old.
    `GET /board/stream?bare=true` says when to ask again.
    """
    await given.live.parts()
    if given.reader.latest is None:
        raise HTTPException(503, "No snapshot yet: try again in a second.")
    return given.reader.latest
