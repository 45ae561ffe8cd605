"""Looks at requests once a minute, so that a due date that passes is on record although nobody asked."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from fermata.services.board import Database
from fermata.services.requests import watch_requests

_log = logging.getLogger("fermata.requests")

LOOK_SECONDS = 60.0


async def watch(db: Database, now: Callable[[], datetime], seconds: float = LOOK_SECONDS) -> None:
    """Until cancelled. A look that failed is logged, and the next one tries again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(watch_requests, db, now=now())
        except Exception:  # noqa: BLE001 - top of the loop: the next minute tries again
            _log.exception("requests.look_failed")
