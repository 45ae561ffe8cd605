"""Asks sources of inventory by the clock while the server runs, in a worker thread: a slow source slows nobody."""

import asyncio
import logging

from fermata.server.context import Context
from fermata.services.board import StoreUnavailable
from fermata.services.inventory_sources import sync_due

_log = logging.getLogger("fermata.inventory")

LOOK_SECONDS = 5.0  # for a source whose time has come; they are asked every minute at most


async def run_sync_loop(context: Context) -> None:
    """Until cancelled; ends at once where nobody is to be asked. What goes wrong with one look is logged, not fatal."""
    while context.sources.readers:
        try:
            await asyncio.to_thread(sync_due, context.db, context.sources, now=context.now(), new_id=context.new_id)
        except StoreUnavailable as error:
            _log.warning("inventory.store_unavailable", extra={"why": str(error)})
        except Exception:  # noqa: BLE001 - top of the loop: logged, and the next look tries again
            _log.exception("inventory.sync_failed")
        await asyncio.sleep(LOOK_SECONDS)
