"""Keeps one rendered board in memory and pushes what changed to every viewer over server-sent events."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

_log = logging.getLogger("fermata.board")

RETRY_MS = 2000  # a browser's pause before it connects again
VIEWERS_MAX = 1000  # descriptors and memory are finite; the next one is told to come back
TROUBLE = "The board cannot be refreshed: the figures are old. Look at the server's log."


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """In seconds. `slow`: a viewer that takes nothing for so long is dropped; its browser comes back by itself.
    `warms`: what first looks at pages need is read as soon as the server runs.
    """

    refresh: float = 1.0  # at most one snapshot a second, however many watch
    heartbeat: float = 5.0  # board.js calls its figures old after three of them
    slow: float = 20.0
    warms: bool = False


DEFAULT_TIMING = Timing()


Render = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One live part of the page: its text, its event's bytes, and the version that last changed it."""

    text: str
    event: bytes
    version: int


@dataclass(slots=True, kw_only=True)
class _State:
    version: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    trouble: str | None = None
    refreshed: float = float("-inf")


class LiveBoard:
    """`render` gives every part by name; it is awaited at most once a second, and only while somebody watches.

    Nothing is queued for a viewer: it gets what changed since the version it has, so a slow one skips versions
    and holds no memory. Event ids carry this process's epoch: after a restart a viewer gets everything again.
    """

    def __init__(self, render: Render, timing: Timing) -> None:
        self._render = render
        self.timing = timing
        self._epoch = secrets.token_hex(4)
        self._state = _State()
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watched = asyncio.Event()
        self._messages: dict[int, bytes] = {}
        self._is_over = False
        self.viewers = 0

    @property
    def event_id(self) -> str:
        """What a viewer hands back to resume from here."""
        return f"{self._epoch}-{self._state.version}"

    @property
    def admits(self) -> bool:
        """False when one viewer more would be too many."""
        return self.viewers < VIEWERS_MAX

    async def parts(self) -> Mapping[str, str]:
        """Every part's text, at most one refresh old. Raises what `render` raises."""
        await self._refresh()
        return {name: part.text for name, part in self._state.parts.items()}

    async def run(self) -> None:
        """Refreshes while somebody watches, until cancelled: its streams end then. A failed refresh is told to every
        viewer.
        """
        try:
            while True:
                await self._watched.wait()
                try:
                    await self._refresh()
                except Exception:  # noqa: BLE001 - top of the loop: viewers are told, the next second tries again
                    _log.exception("board.refresh_failed")
                    self._set_trouble(TROUBLE)
                await asyncio.sleep(self.timing.refresh)
        finally:
            self.close()
            self._wake()

    def close(self) -> None:
        """Nobody refreshes it any more: streams end, so that browsers come back to whatever stands in its place. From
        any thread.
        """
        self._is_over = True

    async def stream(self, last_event_id: str | None, *, bare: bool = False) -> AsyncIterator[bytes]:
        """Events from what `last_event_id` has seen on, until the board is closed; a heartbeat when nothing changes.
        `bare`: only that there is something new, for viewers that read the board elsewhere.
        """
        seen = self._version_of(last_event_id)
        self.viewers += 1
        self._watched.set()
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not self._is_over:
                changed, version = self._changed, self._state.version
                yield self._tick() if bare else self._message(seen)
                seen = version
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), self.timing.heartbeat)
        finally:
            self.viewers -= 1
            if not self.viewers:
                self._watched.clear()

    async def _refresh(self) -> None:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._state.refreshed < self.timing.refresh * 0.9:
                return
            texts = await self._render()
            self._state.refreshed = now
            self._set_trouble(None)
            self._take(texts)

    def _take(self, texts: Mapping[str, str]) -> None:
        parts = self._state.parts
        changed = [name for name, text in texts.items() if name not in parts or parts[name].text != text]
        if not changed:
            return
        self._state.version += 1
        for name in changed:
            text = texts[name]
            parts[name] = Part(text=text, event=_event(name, text), version=self._state.version)
        self._wake()

    def _set_trouble(self, trouble: str | None) -> None:
        if self._state.trouble != trouble:
            self._state.trouble = trouble
            self._wake()

    def _wake(self) -> None:
        self._messages.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    def _message(self, seen: int) -> bytes:
        """What a viewer at version `seen` lacks, then a tick. Only the tick carries the id: a message that is cut
        off is sent again whole. Shared by all viewers at the same version.
        """
        if seen not in self._messages:
            events = [part.event for part in self._state.parts.values() if part.version > seen]
            events.append(self._tick())
            self._messages[seen] = b"".join(events)
        return self._messages[seen]

    def _tick(self) -> bytes:
        return _event("tick", orjson.dumps({"trouble": self._state.trouble}).decode(), event_id=self.event_id)

    def _version_of(self, event_id: str | None) -> int:
        epoch, _, version = (event_id or "").rpartition("-")
        if epoch != self._epoch or not version.isdecimal():
            return 0
        return min(int(version), self._state.version)


def _event(name: str, text: str, event_id: str | None = None) -> bytes:
    lines = [f"event: {name}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    lines += [f"data: {line}" for line in text.splitlines()] or ["data:"]
    return ("\n".join(lines) + "\n\n").encode()
