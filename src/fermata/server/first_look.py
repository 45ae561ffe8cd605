"""What a page waits for that needs more of the store than can be read while somebody looks on."""

from fastapi import Request

from fermata.server.context import Context, Given
from fermata.server.identity.paths import is_page
from fermata.server.warmth import Stage

PATIENCE_SECONDS = 1.5  # a fleet of 20,000 nodes is read by then


class StillReading(Exception):
    """A person asks for a page of what is still being read."""


async def board_is_read(request: Request, given: Given) -> None:
    """For pages of windows and campaigns. Raises StillReading; programs, and what pages ask for later, wait instead."""
    await _wait(request, given, Stage.BOARD)


async def fleet_is_read(request: Request, given: Given) -> None:
    """As `board_is_read`, for pages of what is asked of nodes."""
    await _wait(request, given, Stage.FLEET)


async def _wait(request: Request, given: Context, stage: Stage) -> None:
    if is_page(request.scope) and not await given.warmth.wait(stage, PATIENCE_SECONDS):
        raise StillReading
