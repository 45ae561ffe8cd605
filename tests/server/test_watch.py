"""The server looks at requests by itself, and goes on after a look that failed."""

import asyncio
from contextlib import suppress
from datetime import datetime

from tests.constraints import world as w
from tests.services.orders import DAY, REPAIR, opened, prepare

from fermata.domain.request_states import RequestState
from fermata.domain.updates import Criticality
from fermata.server.watch import watch
from fermata.store import requests
from fermata.store.database import Database

QUICK = 0.01


def test_a_due_date_that_passes_is_on_record_although_nobody_asked(db: Database) -> None:
    prepare(db)
    opened(db, "node alpha-n00", criticality=Criticality.CRITICAL_LIVESITE)

    times = [w.NOW, datetime.min, w.NOW + DAY, w.NOW + DAY]  # noqa: DTZ901 - of a clock out of order: that look fails

    async def look_on() -> None:
        done = asyncio.Event()

        def now() -> datetime:
            if len(times) == 1:
                done.set()  # the look before has ended
            return times.pop(0) if len(times) > 1 else times[0]

        task = asyncio.create_task(watch(db, now, QUICK))
        await done.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def recorded() -> RequestState:
        with db.read() as conn:
            return requests.load_states(conn)[REPAIR].state

    assert recorded() is RequestState.PENDING
    asyncio.run(asyncio.wait_for(look_on(), 60))
    assert recorded() is RequestState.OVERDUE
