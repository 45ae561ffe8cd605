"""ETag and If-None-Match: who asks again for what has not changed is told so, and sent nothing."""

import hashlib
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BYTES_MAX = 32 * 1024 * 1024
JSON = "application/json"


class Conditional:
    """ASGI middleware: whole JSON answers to GET under `prefix` get a strong ETag (RFC 9110, 8.8.3) of their bytes, if
    they have none of their own.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Tagging(send, Headers(scope=scope).get("if-none-match", "")).send)


class _Tagging:
    """Holds an answer back until it is whole. One that is none of ours, or too long, passes as it comes."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._length = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            is_json = headers.get("content-type", "").partition(";")[0] == JSON
            if message["status"] == HTTPStatus.OK and is_json:
                self._start = message
            else:
                await self._send(message)
        elif message["type"] == "http.response.body" and self._start is not None:
            self._parts.append(message.get("body", b""))
            self._length += len(self._parts[-1])
            if not message.get("more_body", False):
                await self._finish(self._start, b"".join(self._parts))
            elif self._length > BYTES_MAX:
                await self._send(self._start)
                await self._send({**message, "body": b"".join(self._parts)})
                self._start = None
        else:
            await self._send(message)

    async def _finish(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        tag = headers.get("etag") or entity_tag(body)
        headers["ETag"] = tag
        headers["Cache-Control"] = "no-cache"  # keep it if you like, but ask before you use it
        if is_known(tag, self._known):
            del headers["content-length"]
            start, body = {**start, "status": HTTPStatus.NOT_MODIFIED}, b""
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def entity_tag(body: bytes) -> str:
    """Quoted, as it stands in the header."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_known(tag: str, known: str) -> bool:
    """Whether the header `known` (If-Match, If-None-Match) names the tag. Compared weakly (RFC 9110, 8.8.3.2)."""
    named = {part.strip().removeprefix("W/") for part in known.split(",")}
    return "*" in named or tag in named
