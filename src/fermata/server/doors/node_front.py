"""The front of the doors for clients inside a node: lets in nobody but nodes, as the doorkeeper has found them.

It stands before everything else of the server, since every node may ask once a second: what has not changed is
answered from memory. An absolute request line, as a client sends it to a proxy, means the same as its path.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from fermata.domain.identity import PrincipalKind
from fermata.domain.ids import NodeId
from fermata.server.context import Context
from fermata.server.limits.bounds import Bounds
from fermata.server.metering import run_in_threadpool
from fermata.server.principals import find_principal
from fermata.server.quota import Quota
from fermata.services.board import StoreUnavailable
from fermata.services.maintenance import Document, MaintenanceDesk, Picture

BODY_BYTES_MAX = 64 * 1024  # a thousand events in one approval
JSON, TEXT = b"application/json", b"text/plain"
NO_EXTRA: Mapping[str, object] = {}
UNKNOWN_CALLER = (
    "This caller is no node that is known here: a client inside a node comes with the node's name and key, as user and"
    " password of its http_proxy."
)


class BadCall(Exception):
    """Ends in `status`, a 400 unless said otherwise."""

    def __init__(
        self, sentence: str, *, status: int = HTTPStatus.BAD_REQUEST, extra: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.extra = extra or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `headers` beside type and length."""

    body: bytes = b""
    status: int = HTTPStatus.OK
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a node that is known. `path` is in lower case, without a slash at its end."""

    given: Context
    node: NodeId
    picture: Picture
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    receive: Receive

    def header(self, name: bytes) -> str:
        """A header's value, "" without it."""
        return self.headers.get(name, b"").decode("latin-1")

    def options(self) -> dict[str, str]:
        """The query by name in lower case. Raises BadCall for a name that stands twice."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            if name.lower() in found:
                raise BadCall(f"Bad request. {name} stands in the query twice.")
            found[name.lower()] = value
        return found

    def document(self) -> Document:
        """What the node is told now."""
        return self.given.maintenance.document(self.picture, self.node, self.given.now())

    async def body(self) -> bytes:
        """The whole body. Raises BadCall for one that is too large."""
        parts, size, more = list[bytes](), 0, True
        while more:
            message = await self.receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > BODY_BYTES_MAX:
                raise BadCall(f"Bad request. A body holds at most {BODY_BYTES_MAX:,} bytes.")
            more = message.get("more_body", False)
        return b"".join(parts)


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A path, in lower case, and who answers each method there. `below`: all that lies below it too."""

    path: str
    methods: Mapping[str, Handler]
    below: bool = False


class NodeFront:
    """ASGI middleware. Whatever lies below the first parts of its doors' paths is answered here or nowhere."""

    def __init__(self, app: ASGIApp, *, doors: tuple[Door, ...], bounds: Bounds) -> None:
        self.app = app
        self._exact = {door.path: door for door in doors}
        self._below = tuple(door for door in doors if door.below)
        self._is_for_nodes = is_for_nodes(doors)
        self._quota = Quota(most=bounds.node_calls, seconds=bounds.node_seconds)
        self._looking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_for_nodes(scope):
            await self.app(scope, receive, send)
            return
        path = _path_of(scope)
        try:
            reply = await self._answer(scope, receive, path.rstrip("/"))
        except BadCall as bad:
            reply = error_reply(str(bad), status=bad.status, extra=bad.extra)
        except StoreUnavailable as error:
            reply = error_reply(str(error), status=HTTPStatus.INTERNAL_SERVER_ERROR)
        await _send(reply, send)

    async def _answer(self, scope: Scope, receive: Receive, path: str) -> Reply:
        headers = dict(scope["headers"])
        if b"x-forwarded-for" in headers:
            raise BadCall("Bad request. X-Forwarded-For must not be there: a forwarder speaks for somebody else.")
        given: Context = scope["app"].state.context
        caller = find_principal(scope)
        node = NodeId(caller.name) if caller is not None and caller.kind is PrincipalKind.NODE else None
        if node is None:
            raise BadCall(UNKNOWN_CALLER, status=HTTPStatus.FORBIDDEN)
        if not self._quota.take(node, time.monotonic()).allowed:
            raise BadCall("Too many requests: at most five a second.", status=HTTPStatus.TOO_MANY_REQUESTS)
        picture = await self._look(given.maintenance)
        if node not in picture.fleet.nodes:
            raise BadCall(UNKNOWN_CALLER, status=HTTPStatus.FORBIDDEN)
        door = self._find(path)
        if door is None:
            raise BadCall("Not found.", status=HTTPStatus.NOT_FOUND)
        handler = door.methods.get(scope["method"])
        if handler is None:
            return error_reply("Method not allowed.", status=405, headers=((b"allow", _allowed(door)),))
        query = scope["query_string"].decode("latin-1")
        call = Call(given=given, node=node, picture=picture, path=path, query=query, headers=headers, receive=receive)
        return await handler(call)

    def _find(self, path: str) -> Door | None:
        found = self._exact.get(path)
        if found is None:
            found = next((door for door in self._below if path.startswith(door.path + "/")), None)
        return found

    async def _look(self, desk: MaintenanceDesk) -> Picture:
        found = desk.fresh
        if found is not None:
            return found
        async with self._looking:  # one looks, the others wait for what it sees
            return await run_in_threadpool(desk.look)


def is_for_nodes(doors: tuple[Door, ...]) -> Callable[[Scope], bool]:
    """What tells whether a request lies below the first parts of their paths."""
    roots = tuple({"/" + door.path.split("/")[1] + "/" for door in doors})
    return lambda scope: _path_of(scope).startswith(roots)


def error_reply(
    sentence: str,
    *,
    status: int,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    extra: Mapping[str, object] = NO_EXTRA,
) -> Reply:
    """An error in the shape that clients know."""
    return Reply(body=orjson.dumps({"error": sentence, **extra}), status=status, headers=headers)


def _path_of(scope: Scope) -> str:
    if scope["type"] != "http":
        return ""
    path: str = scope["path"]
    if not path.startswith("/"):  # absolute, by a parser that left it so
        path = urlsplit(path).path
    return path.lower()


def _allowed(door: Door) -> bytes:
    return ", ".join(sorted(door.methods)).encode()


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (b"content-type", reply.media_type),
        (b"content-length", str(len(reply.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
