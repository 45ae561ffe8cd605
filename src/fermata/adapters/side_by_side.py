"""Blocking calls of many items, carried out side by side over one event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import Any, TypeVar

from fermata.ports import CALL_SIZE_MAX, OutcomeUnknown, TryLater

AGAIN = timedelta(minutes=1)
CLOSE_SECONDS_MAX = 30.0
A = TypeVar("A")
B = TypeVar("B")


class Loop:
    """An event loop that other threads hand work to."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()
        self.is_closed = False

    def run(self, work: Coroutine[Any, Any, A]) -> A:
        """Waits for it. Raises OutcomeUnknown when it was cut short, TryLater when nothing is begun any more."""
        if self.is_closed:
            work.close()
            raise TryLater(AGAIN, "the adapter is closed")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (CancelledError, asyncio.CancelledError) as cut:
            raise OutcomeUnknown("the adapter was closed meanwhile") from cut

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ends what hangs, does `last`, and stops. Harmless twice."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(_cut_short(last), self._loop).result(CLOSE_SECONDS_MAX)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS_MAX)
            if not self._thread.is_alive():
                self._loop.close()


async def _cut_short(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    hanging = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    await last()


class Desk:
    """What ports share: items side by side, as many as the bounds of whoever carries them out let through."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def each(self, items: Sequence[A], one: Callable[[A], Awaitable[B]]) -> list[B]:
        if len(items) > CALL_SIZE_MAX:
            raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")

        async def every() -> list[B]:
            return list(await asyncio.gather(*(one(item) for item in items)))

        return self._loop.run(every())
