"""Looks once a minute at what time alone changes, so that it is on record although nobody asked: due dates of requests
that pass, and roles taken in an emergency that are over.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from fermata.services.board import Database
from fermata.services.emergencies import end_over
from fermata.services.requests import watch_requests

_log = logging.getLogger("fermata.requests")

LOOK_SECONDS = 60.0


async def watch(db: Database, now: Callable[[], datetime], seconds: float = LOOK_SECONDS) -> None:
    """Until cancelled. A look that failed is logged, and the next one tries again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(_look, db, now())
        except Exception:  # noqa: BLE001 - top of the loop: the next minute tries again
            _log.exception("requests.look_failed")


def _look(db: Database, now: datetime) -> None:
    watch_requests(db, now=now)
    end_over(db, now)
