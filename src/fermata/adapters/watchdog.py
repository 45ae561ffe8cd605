"""One deadline for all that a call does. A client's own timeouts count anew with each piece that comes in, so who sends
a byte now and then is waited for without end.
"""

import socket
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

_MADE = "connection.connect_tcp.complete"  # httpcore's word for it, with the connection as `return_value`


class Watchdog:
    """Within its block, connections that it was told of end when `most` is over: whoever reads or writes there then
    fails at once.
    """

    def __init__(self, most: timedelta) -> None:
        self._until = time.monotonic() + most / timedelta(seconds=1)
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(self.left, self._end)
        self._timer.daemon = True

    @property
    def left(self) -> float:
        """Seconds; never below 0."""
        return max(0.0, self._until - time.monotonic())

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._watched:
                each.close()
            self._watched = []

    def watch(self, made: socket.socket) -> None:
        """A second handle is kept: the first is taken away from its object where TLS begins."""
        with self._lock:
            self._watched.append(made.dup())
        if not self.left:
            self._end()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore calls with each thing that it does (`extensions`, `trace`)."""
        if event == _MADE:
            self.watch(info["return_value"].get_extra_info("socket"))

    def _end(self) -> None:
        with self._lock:
            for each in self._watched:
                _shut(each)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other end was quicker
