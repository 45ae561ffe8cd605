"""Idempotency-Key: a change that is sent twice, because its answer was lost, is carried out once.

As in the IETF draft `draft-ietf-httpapi-idempotency-key-header`. The key is stored by the transaction that does the
work (`store/once.py`): it is on record if and only if the work was done. A refused request leaves none.
"""

import hashlib
import logging
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.domain.identity import PrincipalKind
from fermata.server.context import Context
from fermata.server.errors import UNPROCESSABLE, answer_to, problem
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.server.metering import run_in_threadpool
from fermata.server.principals import find_principal
from fermata.server.whole_body import read_all, replay
from fermata.services.board import Database, StoreUnavailable
from fermata.services.once import Kept, Key, find_kept, keep_answer, under_key

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY_MAX = 255
ANSWER_BYTES_MAX = 16 * 1024 * 1024  # 20,000 approvals with their outcomes are 8 MB
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_log = logging.getLogger("fermata.api")


class Once:
    """ASGI middleware for changes under `prefix` that carry a key; all others pass."""

    def __init__(self, app: ASGIApp, *, context: Context, prefix: str) -> None:
        self.app = app
        self.context = context
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGES or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        name = Headers(scope=scope).get(HEADER)
        if name is None:
            await self.app(scope, receive, send)
        elif not 1 <= len(name) <= KEY_MAX or not (name.isascii() and name.isprintable()):
            sentence = f"{HEADER} holds 1 to {KEY_MAX} printable ASCII characters, a UUID for example."
            await problem(HTTPStatus.BAD_REQUEST, "KEY_UNREADABLE", sentence)(scope, receive, send)
        else:
            await self._once(name, scope, receive, send)

    async def _once(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_all(receive)
        if body is None:
            return
        caller, named = find_principal(scope), name
        if caller is not None and caller.kind is not PrincipalKind.LOCAL:
            name = f"{caller.name} {name}"  # what others were answered under the same key is theirs
        key = Key(key=name, asked_sha256=_fingerprint(scope, body), at=self.context.now())
        try:
            kept = await run_in_threadpool(find_kept, self.context.db, name)
        except StoreUnavailable as error:
            await answer_to(error)(scope, receive, send)
            return
        if kept is not None:
            await _repeat(kept, key, named)(scope, receive, send)
            return
        with under_key(key):
            await self.app(scope, replay(body, receive), _Answer(self.context.db, key, send).send)


class _Answer:
    """Passes an answer on, and keeps what can be given again before its end is sent: a repetition comes later."""

    def __init__(self, db: Database, key: Key, send: Send) -> None:
        self._db = db
        self._key = key
        self._send = send
        self._status = 0
        self._media_type = ""
        self._body = bytearray()
        self._is_secret = False  # an answer that is told this once

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = Headers(raw=message["headers"])
            self._media_type = headers.get("content-type", "")
            self._is_secret = "no-store" in headers.get("cache-control", "")
        elif len(self._body) <= ANSWER_BYTES_MAX and not self._media_type.startswith(LINES_TYPE):
            self._body += message.get("body", b"")
            is_whole = not message.get("more_body", False) and len(self._body) <= ANSWER_BYTES_MAX
            if is_whole and self._key.is_done and not self._is_secret:
                await run_in_threadpool(self._keep)
        await self._send(message)

    def _keep(self) -> None:
        try:
            keep_answer(self._db, self._key, status=self._status, media_type=self._media_type, body=bytes(self._body))
        except StoreUnavailable as error:  # the work is done and answered: only a repetition will miss it
            _log.warning("once.answer_not_kept", exc_info=error)


def _fingerprint(scope: Scope, body: bytes) -> str:
    """Another caller's key is another request: nobody is given the answer that somebody else was."""
    caller = find_principal(scope)
    who = () if caller is None or caller.kind is PrincipalKind.LOCAL else (caller.name.encode(),)
    asked = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body, *who)
    return hashlib.sha256(b"\0".join(asked)).hexdigest()


def _repeat(kept: Kept, key: Key, named: str) -> Response:
    """`named`: the key as the caller wrote it."""
    if kept.asked_sha256 != key.asked_sha256:
        sentence = f"{HEADER} {named} was used for another request: use a new one. Nothing was changed."
        return problem(UNPROCESSABLE, "KEY_REUSED", sentence)
    if kept.status is None or kept.body is None:
        sentence = (
            f"The request with {HEADER} {named} was carried out before, and its answer was not kept:"
            " read what it changed. Nothing was changed now."
        )
        return problem(HTTPStatus.CONFLICT, "ANSWER_NOT_KEPT", sentence)
    return Response(kept.body, status_code=kept.status, media_type=kept.media_type, headers={REPLAYED: "true"})
