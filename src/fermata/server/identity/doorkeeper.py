"""What every request meets first: who sends it is written into its scope, or it goes no further."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.domain.access import NO_PROXY
from fermata.domain.identity import LOCAL, Principal, PrincipalKind
from fermata.domain.ids import NodeId
from fermata.server.errors import BodyTooLarge, answer_to
from fermata.server.guard import with_headers
from fermata.server.identity import paths, signers
from fermata.server.identity.cookies import is_csrf
from fermata.server.identity.known import SAFE_METHODS, Identity, Known, Unknown
from fermata.server.identity.proxies import NODE, unwrap
from fermata.server.identity.viewer import seen_by
from fermata.server.limits.again import Again
from fermata.server.limits.bounds import BOUNDS, Bounds
from fermata.server.limits.refusals import OverLimit
from fermata.server.limits.refusals import answer_to as refuse
from fermata.server.limits.strangers import Strangers
from fermata.server.metering import run_in_threadpool
from fermata.server.principals import find_principal, note_principal
from fermata.server.whole_body import read_at_most, replay
from fermata.services.board import StoreUnavailable

CSRF_HEADER, CSRF_FIELD = b"x-fermata-csrf", "csrf"
FORM = b"application/x-www-form-urlencoded"
FORM_BYTES_MAX = 1 << 20
HSTS = "max-age=31536000"
LOOK_SECONDS = 2.0  # between two looks whether what opened a stream still stands


class Doorkeeper:
    """ASGI middleware, before all others. `is_for_nodes` tells what clients inside nodes ask for, `again` who was just
    told to come later.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        identity: Identity,
        is_for_nodes: Callable[[Scope], bool],
        again: Again,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self.app = app
        self.identity = identity
        self.is_for_nodes = is_for_nodes
        self.again = again
        self.strangers = Strangers(bounds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a connection of type {scope['type']} is not served")
        book = self.identity.book
        unwrap(scope, book.proxy if book is not None else NO_PROXY)
        send = _secure(scope, send)
        if self.is_for_nodes(scope):
            await self._let_node_in(scope)
            await self.app(scope, receive, send)
            return
        if paths.is_open(scope):
            await self.app(scope, receive, send)
            return
        try:
            met = await self._meet(scope, receive)
        except OverLimit as refused:
            await asyncio.sleep(self.again.count_pause(scope))
            await _put_off(refused, scope)(scope, receive, with_headers(send))
            return
        except StoreUnavailable as error:
            await answer_to(error)(scope, receive, with_headers(send))
            return
        if met is not None:
            found, receive = met
            await self._serve(found, scope, receive, send)

    async def _meet(self, scope: Scope, receive: Receive) -> tuple[Known | Unknown, Receive] | None:
        """Who sent it, and its body as if nobody had read it. None when the other end has left. Raises OverLimit."""
        found = self.identity.find_at_once(scope)
        if found is None and signers.is_signed(scope):
            return await self._look_up_signed(scope, receive)
        return found or await self._look_up(scope), receive

    async def _look_up_signed(self, scope: Scope, receive: Receive) -> tuple[Known | Unknown, Receive] | None:
        """Who signed it, and its body again, which has to be read for that: no more of it than the door takes. None
        when the other end has left. Raises OverLimit as `_look_up` does. No two requests show the same signature, so
        nobody is remembered by one.
        """
        self._admit(scope)
        found: Known | Unknown = signers.TOO_LARGE
        try:
            body = await read_at_most(receive, signers.BYTES_MAX)
        except BodyTooLarge:
            body = b""
        else:
            if body is None:
                return None
            found = await run_in_threadpool(signers.find, self.identity.db, scope, body, self.identity.now())
        if isinstance(found, Unknown):
            self.strangers.note_unknown(scope)
        return found, replay(body, receive)

    def _admit(self, scope: Scope) -> None:
        told = self.again.find(scope)
        if told is not None:
            raise told
        if not paths.has_own_key(scope):
            self.strangers.admit(scope)

    async def _look_up(self, scope: Scope) -> Known | Unknown:
        """Who sent it. Raises OverLimit, before anybody is looked up, for who was just told to come later, and for
        addresses from which too much came of nobody.
        """
        self._admit(scope)
        found = await run_in_threadpool(self.identity.find, scope)
        if isinstance(found, Known):
            self.strangers.note_known(scope)
        else:
            self.strangers.note_unknown(scope)
        return found

    async def _serve(self, found: Known | Unknown, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(found, Unknown):
            if paths.has_own_key(scope):
                await self.app(scope, receive, send)
            else:
                await _turn_away(found, scope)(scope, receive, with_headers(send))
            return
        note_principal(scope, found.principal)
        if found.session and scope["method"] not in SAFE_METHODS:
            body = await _form(scope, receive)
            shown = _shown(scope, body)
            if not is_csrf(found.session, shown):
                sentence = "This change does not come from a page of yours: load the page again. Nothing was changed."
                answer = paths.refuse(scope, HTTPStatus.FORBIDDEN, "CSRF_TOKEN_WRONG", sentence)
                await answer(scope, receive, with_headers(send))
                return
            receive = receive if body is None else replay(body, receive)
        with seen_by(found.viewer):
            if found.principal is LOCAL or signers.is_signed(scope):  # nothing there ends, and no answer goes on
                await self.app(scope, receive, send)
            else:
                await self._while_known(scope, receive, send)

    async def _while_known(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer without end is cut off soon after what opened it is over, or shows less."""
        looked = time.monotonic()
        with anyio.CancelScope() as over:

            async def send_on(message: Message) -> None:
                nonlocal looked
                if message.get("more_body") and time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    given = find_principal(scope)  # with what it has taken for a while, as the handler knows it
                    if given is None or not await run_in_threadpool(self.identity.still_sees, scope, given):
                        await send({"type": "http.response.body", "body": b""})
                        over.cancel()
                        await anyio.lowlevel.checkpoint()
                await send(message)

            await self.app(scope, receive, send_on)

    async def _let_node_in(self, scope: Scope) -> None:
        """Notes which node it is, if any: the door behind says no to all others, in its own shape."""
        nodes = self.identity.nodes
        node: NodeId | None = scope.get(NODE) or nodes.by_memory(scope)
        if node is None and nodes.workloads is not None:
            node = await run_in_threadpool(nodes.by_token, scope, self.identity.now())
        if node is not None:
            note_principal(scope, Principal(name=node, kind=PrincipalKind.NODE, grants=frozenset()))


def _put_off(refused: OverLimit, scope: Scope) -> Response:
    """Clients that sign read one shape alone."""
    if not signers.is_signed(scope):
        return refuse(refused)
    answer = paths.refuse(scope, HTTPStatus(refused.status_code), refused.code, refused.detail)
    answer.headers.update(refused.headers or {})
    return answer


def _turn_away(found: Unknown, scope: Scope) -> Response:
    if found.wants_sign_in and paths.is_page(scope):
        if found.status is HTTPStatus.FORBIDDEN:
            return RedirectResponse(paths.NO_ACCESS, status_code=HTTPStatus.SEE_OTHER)
        return paths.send_to_sign_in(scope)
    if found.wants_sign_in and paths.is_form(scope):
        return paths.send_to_sign_in(scope)
    return paths.refuse(scope, found.status, found.code, found.sentence)


async def _form(scope: Scope, receive: Receive) -> bytes | None:
    """The body of a form that a browser sends by itself; None for all others, which stay unread."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if CSRF_HEADER in headers or not headers.get(b"content-type", b"").lower().startswith(FORM):
        return None
    parts, size, more = list[bytes](), 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False) and size <= FORM_BYTES_MAX
    return b"".join(parts)


def _shown(scope: Scope, body: bytes | None) -> str:
    """The token that a page sends along."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if body is None:
        return headers.get(CSRF_HEADER, b"").decode("latin-1")
    try:
        fields = parse_qs(body.decode(), max_num_fields=100_000)
    except ValueError:
        return ""
    found = fields.get(CSRF_FIELD, [])
    return found[0] if len(found) == 1 else ""


def _secure(scope: Scope, send: Send) -> Send:
    """Browsers come back by https alone, once they came so."""
    if scope.get("scheme") != "https":
        return send

    async def send_secure(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Strict-Transport-Security", HSTS)
        await send(message)

    return send_secure
