"""Virtual time: it stands still while work is done and jumps to the next instant, at a pace a person can watch."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

NAP_SECONDS = 0.1  # how long a wait goes on before it asks again whether to stop
CREDIT_SECONDS = 60.0  # of real time that work may lag behind `speed` and catch up with in quiet hours: a busy day's


class VirtualClock:
    """Starts at `start`; runs at most `speed` times real time, None: as fast as the work allows.

    While one thread waits, other threads see the time flow; results depend only on the instants waited for.
    """

    def __init__(self, start: datetime, speed: float | None) -> None:
        self._now = start
        self._speed = speed
        self._left_at = time.monotonic()
        self._waiting: tuple[datetime, float] | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware UTC, whole seconds while time flows."""
        with self._lock:
            return self._flowing()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or before it when `stop` turns true: the time it is then."""
        with self._lock:
            began = max(self._left_at, time.monotonic() - CREDIT_SECONDS)
            self._waiting = (instant, began)
        span = 0.0 if self._speed is None else (instant - self._now).total_seconds() / self._speed
        due = began + max(0.0, span)
        stopped = _sleep_until(due, stop)
        with self._lock:
            self._now = self._flowing() if stopped else max(self._now, instant)
            self._waiting = None
            self._left_at = time.monotonic() if stopped else due
            return self._now

    def _flowing(self) -> datetime:
        if self._waiting is None or self._speed is None:
            return self._now
        instant, began = self._waiting
        gone = timedelta(seconds=int((time.monotonic() - began) * self._speed))
        return min(max(self._now, self._now + gone), max(self._now, instant))


def _sleep_until(due: float, stop: Callable[[], bool]) -> bool:
    """Sleeps until `due` on the monotonic clock; True when `stop` ended it."""
    while (left := due - time.monotonic()) > 0:
        if stop():
            return True
        time.sleep(min(left, NAP_SECONDS))
    return False


class SystemClock:
    """Real time, for real fleets."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Sleeps; returns at `instant`, or before it when `stop` turns true."""
        while not stop() and (left := (instant - self.now()).total_seconds()) > 0:
            time.sleep(min(left, 1.0))
        return self.now()
