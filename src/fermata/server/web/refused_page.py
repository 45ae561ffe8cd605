"""Who goes to a page and gets none reads why on a page, in the words that programs get as a problem document."""

import gzip
from http import HTTPStatus
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.server.errors import MEDIA_TYPE
from fermata.server.identity.paths import is_page
from fermata.server.web.render import render_page

HEADS = {
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.CONFLICT: "There is nothing to show yet",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much at once",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The server failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not at the moment",
}
OTHERWISE = "This cannot be shown"


class RefusedPages:
    """ASGI middleware. Problem documents become pages where a browser goes to a page; status and headers stay."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not is_page(scope):
            await self.app(scope, receive, send)
            return
        started: Message | None = None
        parts = list[bytes]()

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and _is_problem(message):
                started = message
            elif started is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _send_page(scope, started, b"".join(parts), send)

        await self.app(scope, receive, send_on)


def _is_problem(start: Message) -> bool:
    return MutableHeaders(scope=start).get("content-type", "").startswith(MEDIA_TYPE)


async def _send_page(scope: Scope, start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(scope=start)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
        del headers["content-encoding"]
    told: dict[str, Any] = orjson.loads(body)
    page = render_page(
        "refused.html",
        here=scope["path"],
        head=HEADS.get(HTTPStatus(start["status"]), OTHERWISE),
        code=told["code"],
        sentence=told["detail"],
        others=[reason["sentence"] for reason in told.get("reasons", [])[1:]],
    ).encode()
    headers["content-type"] = "text/html; charset=utf-8"
    headers["content-length"] = str(len(page))
    await send(start)
    await send({"type": "http.response.body", "body": page})
