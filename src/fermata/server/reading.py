"""How bodies of JSON are read: as strictly as RFC 8259, once, and not on the loop where that would take long."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response

from fermata.server.metering import MeteredRoute, run_in_threadpool

HELD = "fermata.held"  # in the scope: what a body holds, as whoever judged the request has read it
LARGE_BYTES = 1 << 15  # a millisecond of reading
_BOM = b"\xef\xbb\xbf"
_FRACTION = re.compile(rb"[0-9][.eE]")


def read_json(raw: bytes) -> Any:
    """What the body holds. JSON knows one kind of number: 3.0 is an integer there. Raises json.JSONDecodeError."""
    held = orjson.loads(raw.removeprefix(_BOM))
    return _with_whole_numbers(held) if _FRACTION.search(raw) else held


def _with_whole_numbers(held: Any) -> Any:
    if isinstance(held, dict):
        return {name: _with_whole_numbers(value) for name, value in held.items()}
    if isinstance(held, list):
        return [_with_whole_numbers(value) for value in held]
    return int(held) if isinstance(held, float) and held.is_integer() else held


class _JsonRequest(Request):
    async def json(self) -> Any:
        """See the base: the framework asks for it before it looks at a body's members."""
        if HELD not in self.scope:
            raw = await self.body()
            is_large = len(raw) > LARGE_BYTES
            self.scope[HELD] = await run_in_threadpool(read_json, raw) if is_large else read_json(raw)
        return self.scope[HELD]


class JsonRoute(MeteredRoute):
    """A route whose bodies are read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See the base."""
        handle = super().get_route_handler()

        async def handle_read(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_read
