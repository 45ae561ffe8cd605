"""Work that takes longer than a request should: done in a thread of its own, told line by line, one at a time."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import orjson
from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from fermata.formats.faults import BadInput
from fermata.server.errors import ServerBusy, answer_to
from fermata.services.board import StoreUnavailable
from fermata.services.errors import Refusal

_log = logging.getLogger("fermata.api")

MEDIA_TYPE = "application/x-ndjson"
LINES: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}
BEAT_SECONDS = 5.0  # an empty line so often while nothing is told: the other end knows that we live, we that it does

Progress = Callable[[Mapping[str, Any]], None]
Work = Callable[[Progress], object]


class _Left(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    value: object


_Told = Mapping[str, Any] | _Answer | Exception


@dataclass(frozen=True, slots=True)
class LongWork:
    """Admits one piece of work at a time: each takes whole cores and gigabytes, and a board is served beside it."""

    beat_seconds: float = BEAT_SECONDS
    _taken: Lock = field(default_factory=Lock)

    def take(self) -> bool:
        """True when there was room, which is the caller's then until it gives it back."""
        return self._taken.acquire(blocking=False)

    def give_back(self) -> None:
        """Lets others begin."""
        self._taken.release()

    def stream(self, kind: Any, work: Work) -> Response:
        """Lines of JSON: `{"progress": ...}` each time that `work` tells some, at last `{"answer": ...}`, of type
        `kind`, or `{"problem": ...}`. What fails at once, before anything is told, is raised here and answered as ever.

        When the other end leaves, the next thing told raises in `work`: it ends there, and nothing is stored.
        Raises ServerBusy while other work is on.
        """
        if not self.take():
            raise ServerBusy
        told: SimpleQueue[_Told] = SimpleQueue()
        left = Event()
        args = (self._do, work, told, left)  # in the request's context: its key goes with what the work stores
        Thread(target=copy_context().run, args=args, name="fermata-long-work", daemon=True).start()
        try:
            first = told.get(timeout=self.beat_seconds)
        except Empty:
            first = None
        if isinstance(first, Exception):
            raise first
        return StreamingResponse(self._lines(kind, first, told, left), media_type=MEDIA_TYPE)

    def _do(self, work: Work, told: "SimpleQueue[_Told]", left: Event) -> None:
        def tell(progress: Mapping[str, Any]) -> None:
            if left.is_set():
                raise _Left
            told.put(progress)

        outcome: _Told
        try:
            outcome = _Answer(value=work(tell))
        except Exception as error:  # noqa: BLE001  # handed over, not swallowed: the request answers with it
            outcome = error
        self.give_back()
        told.put(outcome)

    def _lines(
        self,
        kind: Any,
        first: Mapping[str, Any] | _Answer | None,
        told: "SimpleQueue[_Told]",
        left: Event,
    ) -> Iterator[bytes]:
        try:
            following: _Told = first if first is not None else (yield from self._wait(told))
            while not isinstance(following, _Answer | Exception):
                yield orjson.dumps({"progress": following}, option=orjson.OPT_APPEND_NEWLINE)
                following = yield from self._wait(told)
            if isinstance(following, _Answer):
                yield b'{"answer":' + TypeAdapter(kind).dump_json(following.value) + b"}\n"
            else:
                yield b'{"problem":' + _describe(following) + b"}\n"
        finally:
            left.set()

    def _wait(self, told: "SimpleQueue[_Told]") -> Generator[bytes, None, _Told]:
        """What is told next; an empty line whenever it is not told for a while."""
        while True:
            try:
                return told.get(timeout=self.beat_seconds)
            except Empty:
                yield b"\n"


def _describe(error: Exception) -> bytes:
    """The problem document, on one line."""
    if not isinstance(error, Refusal | BadInput | StoreUnavailable):
        _log.error("long_work.failed", exc_info=error)
    return bytes(answer_to(error).body)
