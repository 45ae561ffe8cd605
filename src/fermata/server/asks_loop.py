"""Asks operators outside by the clock what they want, while the server runs, in a worker thread."""

import asyncio
import logging
from datetime import datetime

from fermata.domain.ids import SourceId
from fermata.ports import Refused, TryLater
from fermata.server.context import Context
from fermata.services.board import StoreUnavailable
from fermata.services.outside_asks import TakenAsks, take_asks

_log = logging.getLogger("fermata.requests")

LOOK_SECONDS = 5.0  # for a source whose time has come; they are asked every minute at most


async def run_asks_loop(context: Context) -> None:
    """Until cancelled; ends at once where nobody is to be asked. What goes wrong with one look is logged, not fatal."""
    looks = Looks()
    while context.sources.askers:
        await asyncio.to_thread(looks.look, context)
        await asyncio.sleep(LOOK_SECONDS)


class Looks:
    """When each source was asked, and what it was told last, so that the same is not logged every minute."""

    def __init__(self) -> None:
        self._asked: dict[SourceId, datetime] = {}
        self._told: dict[SourceId, object] = {}

    def look(self, context: Context) -> None:
        """Asks those whose time has come."""
        now = context.now()
        for name, reader in sorted(context.sources.askers.items()):
            if name in self._asked and self._asked[name] + context.sources.book.requests[name].every > now:
                continue
            self._asked[name] = now
            try:
                self._tell(name, take_asks(context.db, name, reader, now=now, new_id=context.new_id))
            except StoreUnavailable as error:
                _log.warning("requests.store_unavailable", extra={"why": str(error)})
            except (TryLater, Refused) as error:
                self._tell_once(name, str(error), "requests.source_failed")
            except Exception:  # noqa: BLE001 - top of the loop: logged, and the next look tries again
                _log.exception("requests.look_failed", extra={"source": name})

    def _tell(self, name: SourceId, taken: TakenAsks) -> None:
        if taken.opened or taken.completed or taken.cancelled:
            extra = {"opened": taken.opened, "completed": taken.completed, "cancelled": taken.cancelled}
            _log.info("requests.taken_in", extra={"source": name, **extra})
        self._tell_once(name, taken.left, "requests.left_out")

    def _tell_once(self, name: SourceId, what: object, event: str) -> None:
        if self._told.get(name) != what and what:
            _log.warning(event, extra={"source": name, "why": what})
        self._told[name] = what
