"""Which lane a caller's queries take: whoever asks for long ones waits for others who do, and keeps nobody else.

Safe for many threads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

SLOW_AFTER_SECONDS = 0.5  # of one query: then it is ended in the quick lane, and begun again in the slow one
REMEMBERED_SECONDS = 600.0  # that a caller stays in the slow lane after a long query
CALLERS_MAX = 10_000

_caller: ContextVar[str] = ContextVar("caller", default="")


class Lane(StrEnum):
    """Each has processes of its own."""

    QUICK = "quick"
    SLOW = "slow"


@contextmanager
def asked_by(caller: str) -> Iterator[None]:
    """Whose queries are asked within the block. Outside of one they are this process's own."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


class Lanes:
    """Who asked for long queries lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slow: dict[str, float] = {}  # until when; who was slow last stands last
        self._lock = threading.Lock()

    def lane(self) -> Lane:
        """Of whoever asks now; what nobody asks over a connection has no lane to keep free."""
        with self._lock:
            is_slow = not _caller.get() or self._slow.get(_caller.get(), 0.0) > self._clock()
            return Lane.SLOW if is_slow else Lane.QUICK

    def note_slow(self) -> None:
        """Whoever asks now has asked for a long query."""
        with self._lock:
            self._slow.pop(_caller.get(), None)
            self._slow[_caller.get()] = self._clock() + REMEMBERED_SECONDS
            if len(self._slow) > CALLERS_MAX:
                del self._slow[next(iter(self._slow))]
