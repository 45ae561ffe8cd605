"""Virtual time: it stands still while work is done and jumps to the next instant, at a pace a person can watch."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

NAP_SECONDS = 0.1  # how long a wait goes on before it asks again whether to stop
TOUCH_SECONDS = 1.0  # of real time: how often a shared clock's record says that somebody reads it
STANDS_STILL_AFTER_SECONDS = 10.0  # without a reader
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


class SharedClock:
    """Virtual time that several processes of one machine agree on: a function of wall time, on record in a file.

    It stands still while no process reads it. `speed` counts for who makes the record; who joins takes what it says.
    """

    def __init__(self, record: Path, start: datetime, speed: float) -> None:
        self._record = record
        self._touched = time.time()
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            last = os.fstat(file.fileno()).st_mtime
            known = orjson.loads(text) if text else None
            if known is None or self._touched - last > STANDS_STILL_AFTER_SECONDS:
                if known is not None:
                    self._take(known)
                    start, speed = max(self._at(last), start), known["speed"]
                known = {"start": start.timestamp(), "speed": speed, "began": self._touched}
                file.truncate(0)
                file.write(orjson.dumps(known).decode())
        self._take(known)

    def now(self) -> datetime:
        """Aware UTC, whole seconds."""
        at = time.time()
        if at - self._touched > TOUCH_SECONDS:
            self._touched = at
            os.utime(self._record)
        return self._at(at)

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or before it when `stop` turns true: the time it is then."""
        while not stop() and (left := self.seconds_until(instant)) > 0:
            time.sleep(min(left, NAP_SECONDS))
            self.now()
        return self.now()

    def seconds_until(self, instant: datetime) -> float:
        """Of real time."""
        return max(0.0, (instant - self._at(time.time())).total_seconds()) / self._speed

    def working(self) -> AbstractContextManager[None]:
        """Around work: time goes on."""
        return nullcontext()

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """Nobody is waited for."""

    def _take(self, known: dict[str, float]) -> None:
        self._start, self._speed, self._began = known["start"], known["speed"], known["began"]

    def _at(self, wall: float) -> datetime:
        return datetime.fromtimestamp(int(self._start + (wall - self._began) * self._speed), UTC)


class IdleClock:
    """Virtual time of one process whose threads work at times of their own. It stands still while any of them works,
    and at every instant at which one of them has something to do, until that is done: nobody is ever late.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        self._now = start
        self._speed = speed
        self._read_at = time.monotonic()
        self._working = 0
        self._due: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware UTC, whole seconds."""
        with self._lock:
            return self._flow().replace(microsecond=0)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around work."""
        with self._lock:
            self._flow()
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                self._read_at = time.monotonic()

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """When there is something to do, by who does it; None: never again."""
        with self._lock:
            self._due.update({name: at for name, at in due.items() if at is not None})
            for name in [name for name, at in due.items() if at is None]:
                self._due.pop(name, None)

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or before it when `stop` turns true: the time it is then."""
        while not stop() and (left := self.seconds_until(instant)) > 0:
            time.sleep(min(left, NAP_SECONDS))
        return self.now()

    def seconds_until(self, instant: datetime) -> float:
        """Of idle real time, at least."""
        return max(0.0, (instant - self.now()).total_seconds()) / self._speed

    def _flow(self) -> datetime:
        at = time.monotonic()
        if not self._working:
            reached = self._now + timedelta(seconds=(at - self._read_at) * self._speed)
            self._now = max(self._now, min([reached, *self._due.values()]))
            self._read_at = at
        return self._now


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

    def seconds_until(self, instant: datetime) -> float:
        """Of real time."""
        return max(0.0, (instant - self.now()).total_seconds())

    def working(self) -> AbstractContextManager[None]:
        """Around work: time goes on."""
        return nullcontext()

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """Nobody is waited for."""
