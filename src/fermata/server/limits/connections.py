"""Connections with limits: uvicorn's own protocol waits for a head or a body as long as a client likes, lets it be as
long as it likes, and lets one address hold every connection that there is.

One look a second finds whoever is late; a request itself pays for two attributes. `serving` hands this to uvicorn.
"""

import asyncio
import resource
from collections import Counter
from enum import Enum, auto
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fermata.server.limits.bounds import CONNECTION_BOUNDS, ConnectionBounds
from fermata.server.limits.rates import network_of
from fermata.server.limits.refusals import LimitCode, OverLimit, bytes_of
from fermata.server.peers import PeerProtocol

LOOK_SECONDS = 1.0
KEPT_FILES = 128  # descriptors that the store, files and listeners need
AGAIN_SECONDS = 5.0


class _Phase(Enum):
    HEAD = auto()  # nothing, or a part of a request's head has come
    BODY = auto()
    ANSWER = auto()  # all of the request is here; between two requests, too: uvicorn ends what is idle
    OVER = auto()  # closed by us; what was written may still be on its way


class Warden:
    """Who is connected, and who is late. One for each server."""

    def __init__(self, bounds: ConnectionBounds = CONNECTION_BOUNDS) -> None:
        self.bounds = bounds
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = bounds.all if files == resource.RLIM_INFINITY else max(8, min(bounds.all, files - KEPT_FILES))
        self._held = Counter[str]()
        self._known = set["BoundedProtocol"]()
        self._looking: asyncio.TimerHandle | None = None

    def admit(self, connection: "BoundedProtocol", address: str, *, is_trusted: bool = False) -> OverLimit | None:
        """None when the connection may stay; it is to `leave` at its end either way. `is_trusted`: a proxy's, which has
        callers behind it.
        """
        self._held[address] += 1
        self._known.add(connection)
        if self._looking is None:
            self._look_again(connection.loop)
        if len(self._known) > self.most:
            sentence = "The server holds as many connections as it can: connect again in a moment."
            return OverLimit(LimitCode.SERVER_FULL, sentence, after=AGAIN_SECONDS)
        if self._held[address] > self.bounds.each and not is_trusted:
            sentence = f"One address may hold {self.bounds.each} connections: close some, or use them again."
            return OverLimit(LimitCode.TOO_MANY_CONNECTIONS, sentence, after=AGAIN_SECONDS)
        return None

    def pause_before_no(self, address: str) -> float:
        """Seconds for which one connection too many is held before it is told so: whoever comes again at once is no
        faster than it has connections. 0 when there are too many of those, too.
        """
        is_room = self._held[address] <= 2 * self.bounds.each and len(self._known) <= self.most
        return self.bounds.pause_seconds if is_room else 0.0

    def leave(self, connection: "BoundedProtocol", address: str) -> None:
        """The connection is gone."""
        self._known.discard(connection)
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = None
        now = loop.time()
        for connection in tuple(self._known):
            connection.end_if_late(now)
        if self._known:
            self._look_again(loop)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = loop.call_later(LOOK_SECONDS, self._look, loop)


class BoundedProtocol(PeerProtocol):
    """One connection. `warden` is set by the class that `bounded_protocol` makes for a server."""

    warden: ClassVar[Warden]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = ""
        self._phase = _Phase.HEAD
        self._late_at = float("inf")
        self._stalled_at = float("inf")
        self._head_bytes = 0  # of a head that is not complete, as it came in
        self._named_bytes = 0  # of the headers that were read of it
        self._why: OverLimit | None = None
        self._no: asyncio.TimerHandle | None = None  # until then it is not told that it is one too many
        self._asked: list[RequestResponseCycle] = []  # that are not answered, those sent ahead included

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._address = network_of(self.client[0]) if self.client else ""
        self._late_at = self.loop.time() + self.warden.bounds.head_seconds
        is_trusted = self.client is not None and self.warden.bounds.trusted.holds(self.client[0])
        refused = self.warden.admit(self, self._address, is_trusted=is_trusted)
        if refused is None:
            return
        pause = self.warden.pause_before_no(self._address)
        if not pause:
            self._end(refused)
            return
        transport.pause_reading()
        self._phase = _Phase.OVER
        self._late_at = float("inf")
        self._no = self.loop.call_later(pause, self._say_no, refused)

    def _say_no(self, why: OverLimit) -> None:
        self._phase = _Phase.HEAD
        self._end(why)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._no is not None:
            self._no.cancel()
        self.warden.leave(self, self._address)
        self._forget_asked()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.OVER:
            return
        if self._phase is _Phase.ANSWER and self.cycle.response_complete:
            self._begin_head()
        if self._phase is _Phase.HEAD:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEAD and self._head_bytes > self.warden.bounds.head_bytes:
            self._end(self._head_too_large())

    def on_message_begin(self) -> None:
        if self._phase is not _Phase.HEAD:  # a request that came in the same piece as the one before
            self._begin_head()
        self._named_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.warden.bounds.target_bytes:
            most = self.warden.bounds.target_bytes
            sentence = f"Path and query are longer than {most:,} bytes: send long lists in a body, or ask in parts."
            self._give_up(OverLimit(LimitCode.ADDRESS_TOO_LONG, sentence))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._named_bytes += len(name) + len(value)
        bounds = self.warden.bounds
        if len(self.headers) > bounds.headers or self._named_bytes > bounds.head_bytes:
            self._give_up(self._head_too_large())

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= self.warden.bounds.pipelined:
            sentence = "Too many requests were sent ahead: wait for the answers to those before."
            self._give_up(OverLimit(LimitCode.REQUEST_UNREADABLE, sentence))
        super().on_headers_complete()
        self._asked = [cycle for cycle in self._asked if not cycle.response_complete]
        self._asked.append(self.cycle)
        self._phase = _Phase.BODY
        self._late_at = self.loop.time() + self.warden.bounds.body_seconds

    def on_body(self, body: bytes) -> None:
        self._late_at += len(body) / self.warden.bounds.body_bytes_a_second
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = _Phase.ANSWER
        self._late_at = float("inf")
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._stalled_at = self.loop.time() + self.warden.bounds.stall_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_at = float("inf")
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        sentence = "This is no HTTP request that can be read: nothing was changed."
        self._end(self._why or OverLimit(LimitCode.REQUEST_UNREADABLE, sentence))

    def end_if_late(self, now: float) -> None:
        """Called once a second."""
        if self.transport.is_closing() and self._phase is not _Phase.OVER:
            self._be_over(now)
        if now >= self._stalled_at or (self._phase is _Phase.OVER and now >= self._late_at):
            self._forget_asked()
            self.transport.abort()
        elif now >= self._late_at and not self._waits_for_us():
            what = "head" if self._phase is _Phase.HEAD else "body"
            sentence = f"The {what} of the request came in too slowly: send it again, faster. Nothing was changed."
            self._end(OverLimit(LimitCode.REQUEST_TOO_SLOW, sentence))

    def _waits_for_us(self) -> bool:
        """The handler has not read yet what came in already: that is not the client's fault."""
        return self._phase is _Phase.BODY and self.flow.read_paused

    def _begin_head(self) -> None:
        self._phase = _Phase.HEAD
        self._head_bytes = 0
        self._late_at = self.loop.time() + self.warden.bounds.head_seconds

    def _head_too_large(self) -> OverLimit:
        most = self.warden.bounds
        sentence = f"A request has at most {most.headers} headers of {most.head_bytes:,} bytes in all: send fewer."
        return OverLimit(LimitCode.HEADERS_TOO_LARGE, sentence)

    def _give_up(self, why: OverLimit) -> None:
        """Ends the parser's work from within; it tells `send_400_response`."""
        self._why = why
        raise why

    def _end(self, why: OverLimit) -> None:
        """Says why, unless an answer is under way already, and closes."""
        pending = [cycle for cycle in self._asked if not cycle.response_complete]
        is_open = self._phase is _Phase.HEAD and not pending  # or the answer would be taken for another's
        is_open |= bool(pending) and self._phase is not _Phase.HEAD and not pending[0].response_started
        self._forget_asked()
        if is_open and not self.transport.is_closing():
            self.transport.write(bytes_of(why))
        self.transport.close()
        self._be_over(self.loop.time())

    def _forget_asked(self) -> None:
        """Nobody waits for these answers any more; without this uvicorn would write the first of several to nobody."""
        for cycle in self._asked:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._asked = []
        self.pipeline.clear()

    def _be_over(self, now: float) -> None:
        self._phase = _Phase.OVER
        self._late_at = now + self.warden.bounds.stall_seconds


def bounded_protocol(bounds: ConnectionBounds = CONNECTION_BOUNDS) -> type[BoundedProtocol]:
    """For one server."""

    class Bounded(BoundedProtocol):
        warden = Warden(bounds)

    return Bounded
