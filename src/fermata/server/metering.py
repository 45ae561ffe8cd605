"""What of the processor's time a request takes on the threads that work for it: its own, however many others are worked
on beside it. The event loop's thread is not counted.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool as run_in_thread

_P = ParamSpec("_P")
_T = TypeVar("_T")
_meter: ContextVar["Meter | None"] = ContextVar("_meter", default=None)


class Meter:
    """Of one request, or with `of_all` of all of them. Threads add to it; the loop reads it."""

    def __init__(self, of_all: "Meter | None" = None) -> None:
        self._of_all = of_all
        self._lock = threading.Lock()
        self._done = 0.0
        self._at_work: dict[int, float] = {}  # threads, and what their clocks showed as they began

    def count(self, work: Callable[[], _T]) -> _T:
        """What the work returns or raises, counted; on the thread that does it."""
        thread, began = threading.get_ident(), time.thread_time()
        if thread in self._at_work:  # a part of work that is counted
            return work()
        with self._lock:
            self._at_work[thread] = began
        try:
            return work() if self._of_all is None else self._of_all.count(work)
        finally:
            with self._lock:
                del self._at_work[thread]
                self._done += time.thread_time() - began

    def seconds(self) -> float:
        """So far. Of work that is not over, only where one thread may read another's clock: not on macOS."""
        with self._lock:  # none of these threads ends meanwhile
            return self._done + sum(max(0.0, _clock_of(at) - began) for at, began in self._at_work.items())


ALL = Meter()


def uncounted() -> float:
    """Seconds of the processor's time that other threads than the one that asks spent so far on what no request
    counts, such as finding out who asks and checking what is answered.
    """
    return time.process_time() - time.thread_time() - ALL.seconds()


def _clock_of(thread: int) -> float:
    if not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread))


@contextmanager
def counted_by(meter: Meter) -> Iterator[None]:
    """What runs in threads inside is counted there."""
    before = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(before)


async def run_in_threadpool(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Starlette's, counted where a request is."""
    return await run_in_thread(partial(_count, work), *args, **kwargs)


def _count(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    meter = _meter.get()
    return work(*args, **kwargs) if meter is None else meter.count(partial(work, *args, **kwargs))


class MeteredRoute(APIRoute):
    """A route whose handler is counted when it runs in a thread."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else _counted(endpoint), **options)


def _counted(handle: Callable[_P, _T]) -> Callable[_P, _T]:
    @wraps(handle)
    def count(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _count(handle, *args, **kwargs)

    return count
